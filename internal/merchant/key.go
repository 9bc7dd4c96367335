package merchant

import (
	"context"
	"crypto/subtle"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/spelling"
)

// Scopes that a key may have.
var Scopes = []string{
	"links:read", "links:write", "payments:read", "payments:write", "webhooks:read",
	"webhooks:write", "events:read", "balance:read", "forms:read", "forms:write",
	"fraud:read", "fraud:write", "activity:read",
}

// How the last uses of keys are collected and written.
const (
	touchEvery    = time.Minute
	touchFlushFor = 5 * time.Second // the last flush, while stopping
	maxTouched    = 100_000
)

// errKey does not distinguish an unknown key from a wrong secret. Only a caller with the right
// secret learns that a key is expired or revoked.
var (
	errKey        = fault.New(fault.KindUnauthenticated, "api_key_invalid", "The API key does not exist, or the secret is wrong.")
	errKeyExpired = fault.New(fault.KindUnauthenticated, "api_key_expired", "The API key has expired.")
	errKeyRevoked = fault.New(fault.KindUnauthenticated, "api_key_revoked", "The API key has been revoked.")
)

// Allows reports whether the key has the scope.
func (k Key) Allows(scope string) bool { return slices.Contains(k.Scopes, scope) }

// CreateKey makes a key. Only the answer contains the secret; the store keeps its hash. In
// live mode it fails with ErrUnconfirmed until an address is confirmed. Key and record are
// one commit, so a repetition under the same idempotency key returns the same secret.
func (l *Local) CreateKey(ctx context.Context, r CreateKeyRequest, t *idempotency.Ticket) (NewKey, error) {
	now := l.time()
	k, err := l.newKey(r, now)
	if err != nil {
		return NewKey{}, err
	}
	if err := l.mayGoLive(ctx, r.Account, r.Mode); err != nil {
		return NewKey{}, err
	}

	out := NewKey{Secret: newSecret(k.Mode)}
	k.Hash = hashSecret(out.Secret)
	out.Key = k
	record, err := t.Fill(out, now)
	if err != nil {
		return NewKey{}, err
	}
	ctx = l.did(ctx, k.Account, activity.KeyCreated, k.ID, map[string]string{"name": k.Name, "mode": k.Mode,
		"scopes": strings.Join(k.Scopes, " ")})
	if err := l.keys.CreateKey(ctx, k, record); err != nil {
		return NewKey{}, err
	}

	return out, nil
}

// newKey checks a request and returns the key without its hash. Scopes are put into the
// order of Scopes, each once. The expiry must be in the future by the clock of the key's
// mode.
func (l *Local) newKey(r CreateKeyRequest, now time.Time) (Key, error) {
	r.Name = spelling.Name(r.Name)
	k := Key{ID: id.New(id.Key), Account: r.Account, Name: r.Name, Mode: r.Mode, CreatedAt: now, Revision: 1}
	switch {
	case strings.TrimSpace(r.Name) == "":
		return k, fault.Invalid("name", "name_missing", "name is required.")
	case utf8.RuneCountInString(r.Name) > MaxNameChars:
		return k, fault.Invalid("name", "too_long", "name must be at most %d characters.", MaxNameChars)
	case !utf8.ValidString(r.Name) || strings.ContainsFunc(r.Name, unprintable):
		return k, fault.Invalid("name", "invalid_characters", "name must contain printable characters only.")
	case r.Mode != Test && r.Mode != Live:
		return k, fault.Invalid("mode", "value_invalid", "mode must be test or live.")
	case r.Mode == Live && !slices.ContainsFunc(l.connectors, func(c Connector) bool { return !c.Capabilities.Test }):
		return k, fault.Invalid("mode", "live_mode_unavailable", "Live mode requires an issuer other than the simulator, and none is configured.")
	case len(r.Scopes) == 0:
		return k, fault.Invalid("scopes", "scopes_missing", "scopes must contain at least one of: %s.", strings.Join(Scopes, ", "))
	}

	if err := issuer.NoNumber("name", r.Name); err != nil {
		return k, err
	}
	if err := issuer.NoNumber("scopes", r.Scopes...); err != nil {
		return k, err
	}

	for _, s := range r.Scopes {
		if !slices.Contains(Scopes, s) {
			if len(s) > 40 {
				s = strings.ToValidUTF8(s[:40], "") + "…"
			}
			return k, fault.Invalid("scopes", "scope_unknown", "Unknown scope %q; the scopes are: %s.", s, strings.Join(Scopes, ", "))
		}
	}

	for _, s := range Scopes { // in one order, each once
		if slices.Contains(r.Scopes, s) {
			k.Scopes = append(k.Scopes, s)
		}
	}

	if r.ExpiresAt != "" {
		t, err := time.Parse(time.RFC3339Nano, r.ExpiresAt)
		if t = t.UTC(); err != nil || !t.After(l.clockOf(k, now)) || t.Year() > 9999 {
			return k, fault.Invalid("expiresAt", "expiry_invalid", "expiresAt must be a future RFC 3339 time.")
		}
		k.ExpiresAt = t.Truncate(time.Millisecond)
	}

	return k, nil
}

// Keys returns a page of the account's keys, newest first, including revoked ones. A limit
// out of bounds is replaced by the largest one.
func (l *Local) Keys(ctx context.Context, account, before string, limit int) ([]Key, error) {
	if before != "" && !id.Valid(id.Key, before) {
		return nil, fault.Invalid("cursor", "cursor_invalid", "Invalid cursor: pass nextCursor from a previous page.")
	}
	if limit <= 0 || limit > MaxKeyPage+1 {
		limit = MaxKeyPage + 1
	}
	return l.keys.KeysByAccount(ctx, account, before, limit)
}

// GetKey returns one of the account's keys, even a revoked one.
func (l *Local) GetKey(ctx context.Context, account, keyID string) (Key, error) {
	return l.key(ctx, account, keyID)
}

// key returns one of the account's keys, or fault.NotFound. A malformed id is refused
// without a read.
func (l *Local) key(ctx context.Context, account, keyID string) (Key, error) {
	if !id.Valid(id.Key, keyID) {
		return Key{}, fault.NotFound("API key")
	}
	k, err := l.keys.KeyByID(ctx, keyID)
	if err == nil && k.Account != account {
		err = fault.NotFound("API key")
	}
	return k, err
}

// RotateKey replaces the secret, if nobody changed the key in the meantime; otherwise it
// fails with ErrChanged and the old secret stays. Without a grace period the old secret
// ends at once. A key that is revoked or expired cannot be rotated. A second rotation within
// the grace period ends the first secret at once.
func (l *Local) RotateKey(ctx context.Context, account, keyID string, graceSeconds int64, t *idempotency.Ticket) (NewKey, error) {
	if graceSeconds < 0 || graceSeconds > int64(MaxGrace/time.Second) {
		return NewKey{}, fault.Invalid("graceSeconds", "grace_invalid", "graceSeconds must be 0 to %d.", int64(MaxGrace/time.Second))
	}

	k, err := l.key(ctx, account, keyID)
	if err != nil {
		return NewKey{}, err
	}

	now := l.time()
	if !k.RevokedAt.IsZero() {
		return NewKey{}, fault.New(fault.KindConflict, "api_key_revoked", "The API key has been revoked; create a new one.")
	}
	if !k.ExpiresAt.IsZero() && !l.clockOf(k, now).Before(k.ExpiresAt) {
		return NewKey{}, fault.New(fault.KindConflict, "api_key_expired", "The API key has expired; create a new one.")
	}

	stored := k
	out := NewKey{Secret: newSecret(k.Mode)}
	k.PreviousHash, k.PreviousUntil = nil, time.Time{}
	if graceSeconds > 0 {
		k.PreviousHash, k.PreviousUntil = k.Hash, l.clockOf(k, now).Add(time.Duration(graceSeconds)*time.Second)
	}
	k.Hash = hashSecret(out.Secret)
	out.Key = k
	out.Key.Revision = stored.Revision + 1
	record, err := t.Fill(out, now)
	if err != nil {
		return NewKey{}, err
	}
	ctx = l.did(ctx, k.Account, activity.KeyRotated, k.ID, map[string]string{"name": k.Name, "mode": k.Mode})
	if err := l.keys.UpdateKey(ctx, k, record); err != nil {
		return NewKey{}, err
	}

	return out, nil
}

// RevokeKey ends a key and returns it. It works on every instance at once, because no
// instance caches keys. Revoking again returns the first revocation.
func (l *Local) RevokeKey(ctx context.Context, account, keyID string) (Key, error) {
	for {
		k, err := l.key(ctx, account, keyID)
		if err != nil || !k.RevokedAt.IsZero() {
			return k, err
		}
		k.RevokedAt = l.time()
		err = l.keys.UpdateKey(l.did(ctx, k.Account, activity.KeyRevoked, k.ID, map[string]string{"name": k.Name, "mode": k.Mode}), k, nil)
		if err == nil {
			k.Revision++
			return k, nil
		}
		// A rotation was committed in between; the revocation must still win.
		if !errors.Is(err, ErrChanged) {
			return Key{}, err
		}
		if ctx.Err() != nil {
			return Key{}, ctx.Err()
		}
	}
}

// AuthenticateKey checks HTTP Basic credentials and returns their key. Errors are as in
// AuthenticateSecret.
func (l *Local) AuthenticateKey(ctx context.Context, keyID, secret string) (Key, error) {
	if !id.Valid(id.Key, keyID) || !CheckSecret(secret) {
		return Key{}, errKey
	}
	k, err := l.keys.KeyByID(ctx, keyID)
	if err != nil {
		return Key{}, unknown(err, errKey)
	}
	return l.admit(k, secret)
}

// AuthenticateSecret checks a Bearer secret and returns its key. The checksum refuses a
// mistyped or invented one without a read. It fails with api_key_invalid, api_key_revoked
// or api_key_expired.
func (l *Local) AuthenticateSecret(ctx context.Context, secret string) (Key, error) {
	if !CheckSecret(secret) {
		return Key{}, errKey
	}
	k, err := l.keys.KeyByHash(ctx, hashSecret(secret))
	if err != nil {
		return Key{}, unknown(err, errKey)
	}
	return l.admit(k, secret)
}

// admit returns the key if the secret is its current or previous one and it is neither
// revoked nor expired. It compares both hashes in constant time, whichever matches, and
// notes the use.
func (l *Local) admit(k Key, secret string) (Key, error) {
	real := l.now()
	now := l.clockOf(k, real)
	hash := hashSecret(secret)
	current := subtle.ConstantTimeCompare(hash, k.Hash)
	previous := subtle.ConstantTimeCompare(hash, k.PreviousHash)
	if !now.Before(k.PreviousUntil) {
		previous = 0
	}
	switch {
	case current|previous != 1:
		return Key{}, errKey
	case !k.RevokedAt.IsZero():
		return Key{}, errKeyRevoked
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return Key{}, errKeyExpired
	}

	l.touch(k, real)
	return k, nil
}

// touch records a use in memory, at most one a minute for each key; RunTouches writes it. A
// crash loses the uses of the last minute, which are only a hint. When maxTouched keys
// wait, it drops further ones.
func (l *Local) touch(k Key, now time.Time) {
	if now.Sub(k.LastUsedAt) < touchEvery {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, noted := l.touched[k.ID]; noted || len(l.touched) < maxTouched {
		l.touched[k.ID] = now.UTC().Truncate(time.Millisecond)
	}
}

// RunTouches writes the last uses of keys and sessions once a minute, until ctx ends (nil),
// and once more then.
func (l *Local) RunTouches(ctx context.Context) error {
	tick := time.NewTicker(touchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.flush(ctx)
			l.flushSeen(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), touchFlushFor)
			defer cancel()
			l.flush(last)
			l.flushSeen(last)
			return nil
		}
	}
}

// flush writes the collected uses of keys. If the write fails, they wait for the next
// round.
func (l *Local) flush(ctx context.Context) {
	l.mu.Lock()
	batch := l.touched
	l.touched = make(map[string]time.Time)
	l.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	if err := l.keys.TouchKeys(ctx, batch); err != nil {
		l.log.WarnContext(ctx, "last uses of API keys could not be written; trying again", "error", err)
		l.mu.Lock()
		maps.Copy(batch, l.touched) // later uses win
		l.touched = batch
		l.mu.Unlock()
	}
}
