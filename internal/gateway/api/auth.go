package api

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
)

// secretPrefix distinguishes an API key's secret from a session token.
const secretPrefix = "pl_"

// caller is the user or API key that makes a call, with its account and mode.
type caller struct {
	account string
	mode    string
	session string // the id of a signed-in user's session; "" for a key
	user    string // the id of a signed-in user; "" for a key
	key     string // the id of a key; "" for a user
	bound   bool   // a key acts only in its own mode
}

// by returns the id of the caller, as decisions record it: the user's, or the key's.
func (c caller) by() string {
	if c.user != "" {
		return c.user
	}
	return c.key
}

// actor returns the caller as the activity of the account names it.
func (c caller) actor() activity.Actor {
	if c.key != "" {
		return activity.Actor{Kind: activity.Key, ID: c.key}
	}
	return activity.Actor{Kind: activity.User, ID: c.user, Session: c.session}
}

// scope returns the space of the caller's idempotency keys. Two accounts, and the two modes
// of one account, never share a key. A caller without an account has none.
func (c caller) scope() string { return c.account + "/" + c.mode }

// scopeOf returns the space of a request's idempotency keys. Strangers share one only if they
// name the same user: otherwise a key that somebody else has used would be refused, and
// requests with the keys of a common pattern could be blocked in advance. The hash keeps
// addresses out of the records.
func (a *API) scopeOf(q *request) string {
	if q.caller.account != "" {
		return q.caller.scope()
	}
	var in struct{ Email, Login string }
	if err := json.Unmarshal(bytes.TrimPrefix(q.body, []byte("\ufeff")), &in); err != nil {
		in.Email, in.Login = "", "" // the call itself will refuse the body
	}
	name := strings.ToLower(strings.TrimSpace(cmp.Or(in.Email, in.Login)))
	return "public/" + hex.EncodeToString(a.Guard.MAC.Tag([]byte("idempotency scope\x00" + name))[:16])
}

// inMode applies the query parameter mode. A user may choose the mode; a key may only name
// its own, and gets mode_mismatch for the other.
func (c caller) inMode(q query) (caller, error) {
	mode, err := q.oneOf("mode", link.Test, link.Live)
	if err != nil || mode == "" || mode == c.mode {
		return c, err
	}

	if c.bound {
		f := fault.New(fault.KindForbidden, "mode_mismatch", "This API key works in %s mode only.", c.mode)
		f.Param = "mode"
		return c, f
	}
	c.mode = mode
	return c, nil
}

// credentials are the content of the Authorization header: a session's token, or the secret
// of an API key, with or without the key's id.
type credentials struct {
	token  string // a session's
	key    string // an API key's id; "" with a bare secret
	secret string
}

// readCredentials parses the Authorization header. It returns unauthenticated if the header
// is missing, repeated, or of another form than Bearer and Basic. It checks no secret.
func readCredentials(r *http.Request) (credentials, error) {
	values := r.Header.Values("Authorization")
	switch {
	case len(values) == 0:
		return credentials{}, fault.New(
			fault.KindUnauthenticated,
			"unauthenticated",
			"This call requires credentials in the Authorization header.",
		)
	case len(values) > 1:
		return credentials{}, fault.New(fault.KindUnauthenticated, "unauthenticated", "The Authorization header must be sent exactly once.")
	}

	// Some clients separate scheme and value by a tab, or by several spaces.
	scheme, rest, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(values[0]), "\t", " "), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer") && rest != "":
		return bearer(rest)
	case strings.EqualFold(scheme, "Basic"):
		if cred, err := basic(rest); cred.key != "" || err != nil {
			return cred, err
		}
	}

	return credentials{}, fault.New(
		fault.KindUnauthenticated,
		"unauthenticated",
		"The Authorization header must be Bearer with a token or secret, or Basic with a key id and its secret.",
	)
}

// bearer reads a token or a secret. If the text is the id of a key, or id and secret in
// one, the fault says so, instead of reporting an expired session.
func bearer(s string) (credentials, error) {
	keyID, secret, both := strings.Cut(s, ":")
	switch isKey := strings.HasPrefix(keyID, id.Key+"_"); {
	case strings.HasPrefix(s, secretPrefix):
		return credentials{secret: s}, nil
	case isKey && both && strings.HasPrefix(secret, secretPrefix):
		return credentials{}, fault.New(
			fault.KindUnauthenticated,
			"unauthenticated",
			"These are an API key's id and secret together. Send them as Basic, with the id as user name and the secret as password, or send the secret alone as Bearer.",
		)
	case isKey:
		return credentials{}, fault.New(
			fault.KindUnauthenticated,
			"unauthenticated",
			"This is the id of an API key, not its secret. Send the secret, which begins with %s, as Bearer.",
			secretPrefix,
		)
	}
	return credentials{token: s}, nil
}

// basic reads a key's id and secret, in base64 with or without padding. Text that is not in
// this form returns empty credentials without an error, and the caller explains both forms.
// An id and a secret in the wrong order have a fault of their own.
func basic(s string) (credentials, error) {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return credentials{}, nil //nolint:nilerr // not credentials at all, which the caller explains
	}

	keyID, secret, ok := strings.Cut(string(raw), ":")
	if !ok {
		return credentials{}, nil
	}
	if strings.HasPrefix(keyID, secretPrefix) {
		return credentials{}, fault.New(
			fault.KindUnauthenticated,
			"unauthenticated",
			"The user name is an API key's secret. Send the key's id as user name and the secret as password, or send the secret alone as Bearer.",
		)
	}
	return credentials{key: keyID, secret: secret}, nil
}

// authenticate finds the caller and checks that the route allows it. For missing or wrong
// credentials, the response's WWW-Authenticate header says which schemes the route accepts;
// an error of another kind, such as scope_missing, leaves the header alone.
func (a *API) authenticate(rt Route, r *http.Request, h http.Header) (caller, error) {
	if rt.Auth == authNone {
		return caller{}, nil
	}
	c, err := a.identify(rt, r)
	if fault.KindOf(err) == fault.KindUnauthenticated {
		if rt.Auth != authKey {
			h.Add("WWW-Authenticate", `Bearer realm="paylink"`)
		}
		if rt.Auth != authUser {
			h.Add("WWW-Authenticate", `Basic realm="paylink", charset="UTF-8"`)
		}
	}
	return c, err
}

// fromPage reports whether a script in a web page sent the request. A browser adds
// Origin to requests that cross origins or change something, and both Sec-Fetch-Site
// and Sec-Fetch-Mode to every request. A server's runtime may send one of these two:
// fetch in Node always sends Sec-Fetch-Mode. A URL that a person opens directly does
// not come from a page.
func fromPage(h http.Header) bool {
	mode := h.Get("Sec-Fetch-Mode")
	return h.Get("Origin") != "" || (h.Get("Sec-Fetch-Site") != "" && mode != "" && !strings.EqualFold(mode, "navigate"))
}

// identify returns the caller of a request and checks kind and scope against the route. A
// session on a call for backends is key_required, and a key on a call for users is
// user_required. A key that lacks the scope is scope_missing. follower.stillGood repeats
// this check while a stream lives.
func (a *API) identify(rt Route, r *http.Request) (caller, error) {
	cred, err := readCredentials(r)
	if err != nil {
		return caller{}, err
	}

	if cred.token != "" {
		c, err := a.identifyUser(r.Context(), cred.token)
		if err == nil && rt.Auth == authKey {
			return c, fault.New(fault.KindUnauthenticated, "key_required", "This call requires an API key.")
		}
		return c, err
	}

	// A secret in a web page is leaked. Refusing it shows the mistake at once, whether
	// or not the secret is valid.
	if fromPage(r.Header) {
		return caller{}, fault.New(
			fault.KindForbidden,
			"browser_origin_refused",
			"An API key must never be used from a browser. Call from your backend.",
		)
	}

	c, scopes, err := a.identifyKey(r.Context(), cred)
	if err != nil {
		return c, err
	}
	if rt.Auth == authUser {
		// No scope covers what users manage, so these are the wrong credentials.
		return c, fault.New(fault.KindUnauthenticated, "user_required", "This call requires a session token of a signed-in user.")
	}

	if rt.Scope != "" && !slices.Contains(scopes, rt.Scope) {
		return c, fault.New(fault.KindForbidden, "scope_missing", "This API key lacks the scope %s.", rt.Scope)
	}

	return c, nil
}
