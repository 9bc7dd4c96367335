package api

import (
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
)

// defaultGrace is how long a rotated secret lives on when the caller does not say.
const defaultGrace = 24 * time.Hour

// keyObject is an API key as callers see it. Secret is present only in the response that
// makes or rotates the key.
type keyObject struct {
	ID         string            `json:"id"`
	Object     string            `json:"object"`
	Name       string            `json:"name"`
	Mode       string            `json:"mode"`
	Scopes     []string          `json:"scopes"`
	CreatedAt  string            `json:"createdAt"`
	ExpiresAt  string            `json:"expiresAt,omitempty"`
	LastUsedAt string            `json:"lastUsedAt,omitempty"`
	RevokedAt  string            `json:"revokedAt,omitempty"`
	Links      map[string]string `json:"links"`
	Secret     string            `json:"secret,omitempty"`
}

// showKey renders a key without its secret.
func showKey(k merchant.Key) keyObject {
	self := "/api/api-keys/" + k.ID
	return keyObject{
		ID: k.ID, Object: "api_key", Name: k.Name, Mode: k.Mode, Scopes: k.Scopes, CreatedAt: link.FormatTime(k.CreatedAt),
		ExpiresAt: optionalTime(k.ExpiresAt), LastUsedAt: optionalTime(k.LastUsedAt), RevokedAt: optionalTime(k.RevokedAt),
		Links: map[string]string{"self": self, "rotate": self + "/rotate"},
	}
}

// optionalTime returns the time as the API shows it, or "" for zero, which omitempty omits.
func optionalTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return link.FormatTime(t)
}

// showNewKey renders a key with the secret, which is shown once.
func showNewKey(n merchant.NewKey) keyObject {
	o := showKey(n.Key)
	o.Secret = n.Secret
	return o
}

// createKeyBody is the body of a new key. Without expiresAt the key does not expire.
type createKeyBody struct {
	Name      field[string]   `json:"name"`
	Mode      field[string]   `json:"mode"`
	Scopes    field[[]string] `json:"scopes"`
	ExpiresAt field[stamp]    `json:"expiresAt"`
}

// createKey makes an API key and answers with its secret. A repetition under the same
// idempotency key gets the same secret, from the sealed record.
func (a *API) createKey(q *request) (any, error) {
	var in createKeyBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}

	for _, f := range []struct {
		set  bool
		name string
	}{{in.Name.Set, "name"}, {in.Mode.Set, "mode"}, {in.Scopes.Set, "scopes"}} {
		if err := required(f.set, f.name); err != nil {
			return nil, err
		}
	}

	if err := notEmpty("expiresAt", text(in.ExpiresAt)); err != nil {
		return nil, err
	}

	n, err := a.Merchants.CreateKey(q.Context(), merchant.CreateKeyRequest{
		Account: q.caller.account, Name: in.Name.Value, Mode: in.Mode.Value, Scopes: in.Scopes.Value, ExpiresAt: string(in.ExpiresAt.Value),
	}, q.ticket)
	if err != nil {
		return nil, err
	}

	return showNewKey(n), nil
}

// listKeys answers with the account's keys of both modes, newest first, without secrets.
func (a *API) listKeys(q *request) (any, error) {
	limit, err := q.query.limit()
	if err != nil {
		return nil, err
	}
	after, err := q.query.after(id.Key, false)
	if err != nil {
		return nil, err
	}
	items, err := a.Merchants.Keys(q.Context(), q.caller.account, after.ID, limit+1)
	if err != nil {
		return nil, err
	}
	return page(items, limit, showKey, func(k merchant.Key) cursor { return cursor{ID: k.ID} }), nil
}

// getKey answers with one key without its secret.
func (a *API) getKey(q *request) (any, error) {
	k, err := a.Merchants.GetKey(q.Context(), q.caller.account, q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return showKey(k), nil
}

// rotateBody is the body of a rotation. The tag repeats defaultGrace, in seconds.
type rotateBody struct {
	GraceSeconds field[int64] `json:"graceSeconds" default:"86400"`
}

// rotateKey gives a key a new secret. The old secret works until the grace period ends.
func (a *API) rotateKey(q *request) (any, error) {
	in := rotateBody{}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	grace := int64(defaultGrace / time.Second)
	if in.GraceSeconds.Set {
		grace = in.GraceSeconds.Value
	}
	n, err := a.Merchants.RotateKey(q.Context(), q.caller.account, q.PathValue("id"), grace, q.ticket)
	if err != nil {
		return nil, err
	}
	return showNewKey(n), nil
}

// revokeKey revokes a key at once, whatever its grace period. The record stays in the list.
func (a *API) revokeKey(q *request) (any, error) {
	k, err := a.Merchants.RevokeKey(q.Context(), q.caller.account, q.PathValue("id"))
	if err != nil {
		return nil, err
	}

	return deleted{ID: k.ID, Object: "api_key", Deleted: true}, nil
}
