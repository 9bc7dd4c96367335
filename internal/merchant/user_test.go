package merchant

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/alexedwards/argon2id"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/keyring"
)

func TestSignUp(t *testing.T) {
	b := newBench()
	out := b.signUp(t)
	u, a := out.User, out.Account
	if u.Username != "ada.l" || u.Email != "ada@example.com" || a.ID != u.Account ||
		!strings.HasPrefix(u.PasswordHash, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(u.PasswordHash, password) {
		t.Errorf("%+v %+v", u, a)
	}
	if len(a.Methods) != 1 || a.Methods[0].Issuer != "simulator" || !a.Methods[0].Enabled || len(a.Methods[0].Currencies) != 3 ||
		!id.Valid(id.Method, a.Methods[0].ID) {
		t.Errorf("methods %+v", a.Methods)
	}
	for _, r := range []SignUpRequest{{Username: "ADA.L", Email: "b@example.com"}, {Username: "bob", Email: "ADA@example.COM"}} {
		r.Password = password
		if _, err := b.SignUp(t.Context(), r, nil); !errors.Is(err, ErrTaken) || fault.KindOf(err) != fault.KindConflict {
			t.Errorf("%+v: %v", r, err)
		}
	}
	me, acct, err := b.Me(t.Context(), u.ID)
	if err != nil || me.ID != u.ID || acct.ID != a.ID {
		t.Errorf("%+v %+v %v", me, acct, err)
	}
}

func TestSignUpRules(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	longest := strings.Repeat("correct horse battery staple ", 9)[:MaxPasswordChars]
	for _, c := range []struct{ user, email, date, pass, param, code string }{
		{"ab", "a@b.example", "", password, "username", "username_invalid"},
		{long(65), "a@b.example", "", password, "username", "username_invalid"},
		{"a b c", "a@b.example", "", password, "username", "username_invalid"},
		{"a@b.example", "a@b.example", "", password, "username", "username_invalid"},
		{"adä", "a@b.example", "", password, "username", "username_invalid"},
		{long(64), "a@b.example", "", password, "", ""},
		{"ada", "", "", password, "email", "email_invalid"},
		{"ada", "Ada <a@b.example>", "", password, "email", "email_invalid"},
		{"ada", "a@b.example (x)", "", password, "email", "email_invalid"},
		{"ada", "a@b.example, c@d.example", "", password, "email", "email_invalid"},
		{"ada", "a@b.example\r\nBcc: c@d.example", "", password, "email", "email_invalid"},
		{"ada", long(250) + "@b.example", "", password, "email", "email_invalid"},
		{"4111111111111111", "a@b.example", "", password, "username", "card_number_in_text"},
		{"ada", "4111111111111111@b.example", "", password, "email", "card_number_in_text"},
		{"ada", "a@b.example", "yesterday", password, "date", "date_invalid"},
		{"ada", "a@b.example", "1970-02-28", password, "", ""},
		{"ada", "a@b.example", "", long(11), "password", "password_too_short"},
		{"ada", "a@b.example", "", strings.Repeat("é", 11), "password", "password_too_short"},
		{"ada", "a@b.example", "", longest + "x", "password", "too_long"},
		{"ada", "a@b.example", "", long(12), "password", "password_too_common"},
		{"ada", "a@b.example", "", longest, "", ""},
		{"ada", "a@b.example", "", long(12) + "\xff", "password", "invalid_characters"},
	} {
		_, err := newBench().SignUp(t.Context(), SignUpRequest{Username: c.user, Email: c.email, Date: c.date, Password: c.pass}, nil)
		is(t, err, c.param, c.code)
	}
}

func TestSignIn(t *testing.T) {
	b := newBench()
	u := b.signUp(t).User
	for _, login := range []string{"ada.l", "ADA.L", "ada@example.com", "Ada@Example.com"} {
		in, err := b.SignIn(t.Context(), SignInRequest{Login: login, Password: password}, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, got, err := b.Authenticate(t.Context(), in.Token)
		if err != nil || got.ID != u.ID || s.ID != in.Session.ID || !s.ExpiresAt.Equal(t0.Add(time.Hour)) {
			t.Errorf("%+v %+v %v", s, got, err)
		}
	}
	for _, c := range [][2]string{{"ada.l", "wrong horse battery"}, {"nobody", password}, {"", ""},
		{"ada.l", strings.Repeat("x", 300)}, {"nobody", ""}, {"\xff", password}, {strings.Repeat("a", 255), password}} {
		if _, err := b.SignIn(t.Context(), SignInRequest{Login: c[0], Password: c[1]},
			nil); err != ErrCredentials { //nolint:errorlint // the very same value is the point
			t.Errorf("%q: %v", c, err)
		}
	}
}

// TestPasswordInAnyComposition: a password is the same in any composition. A hash of the
// password as it was typed, from before there was one spelling, still works.
func TestPasswordInAnyComposition(t *testing.T) {
	composed, apart := "Pässwörter-für-alle", "Pa\u0308sswo\u0308rter-fu\u0308r-alle"
	h, of := newHasher(time.Now, slog.New(slog.DiscardHandler)), stranger("")
	for _, made := range []string{composed, apart} {
		hash, err := h.hash(t.Context(), of, made)
		if err != nil {
			t.Fatal(err)
		}
		for _, typed := range []string{composed, apart} {
			if match, _, err := h.matches(t.Context(), of, typed, hash); err != nil || !match {
				t.Errorf("made as %q, typed as %q: %v, %v", made, typed, match, err)
			}
		}
	}
	old, err := argon2id.CreateHash(apart, &argon)
	if err != nil {
		t.Fatal(err)
	}
	if match, _, err := h.matches(t.Context(), of, apart, old); err != nil || !match {
		t.Errorf("a hash of before: %v, %v", match, err)
	}
	for _, p := range []string{strings.Repeat("é", 256), strings.Repeat("e\u0301", 256), strings.Repeat("漢", 256)} {
		if err := checkPassword(p); err != nil {
			t.Errorf("%d characters: %v", 256, err)
		}
	}
	for _, p := range []string{strings.Repeat("é", 257), strings.Repeat("x", 5000)} {
		is(t, checkPassword(p), "password", "too_long")
	}
}

// TestSignInRenewsAnOldHash: a hash of a password as it was typed, made before
// passwords had one spelling, is replaced at the first sign-in that it opens, in the same commit.
func TestSignInRenewsAnOldHash(t *testing.T) {
	b := newBench()
	user := b.signUp(t).User.ID
	composed, apart := "Pässwörter-für-alle", "Pa\u0308sswo\u0308rter-fu\u0308r-alle"
	old, err := argon2id.CreateHash(apart, &argon)
	if err != nil {
		t.Fatal(err)
	}
	store := func() User { u := b.store.users[user]; return u }
	u := store()
	u.PasswordHash = old
	b.store.users[user] = u
	in := func(password string) error {
		_, err := b.SignIn(t.Context(), SignInRequest{Login: "ada.l", Password: password}, nil)
		return err
	}
	if err := in(composed); err != ErrCredentials || store().PasswordHash != old { //nolint:errorlint // the very same value is the point
		t.Fatalf("the other spelling of an old password: %v", err)
	}
	commits := b.store.commits
	if err := in(apart); err != nil || store().PasswordHash == old || b.store.commits != commits+1 {
		t.Fatalf("the old hash stays: %v", err)
	}
	renewed := store().PasswordHash
	if err := errors.Join(in(composed), in(apart)); err != nil || store().PasswordHash != renewed {
		t.Errorf("after the renewal: %v", err)
	}
}

// TestUnknownLoginCostsAHash: the decoy costs what a real hash costs: it has the same
// parameters.
func TestUnknownLoginCostsAHash(t *testing.T) {
	b := newBench()
	real := b.signUp(t).User.PasswordHash
	if i := strings.LastIndex(real, "$"); len(real) != len(decoyHash) ||
		real[:strings.LastIndex(real[:i], "$")] != decoyHash[:strings.LastIndex(decoyHash[:i], "$")] {
		t.Errorf("the decoy differs: %s %s", real, decoyHash)
	}
	if match, _, err := b.hasher.matches(t.Context(), stranger(""), "", decoyHash); err != nil || match {
		t.Errorf("the decoy: %v, %v", match, err)
	}
}

func TestSessionEnds(t *testing.T) {
	b := newBench()
	b.signUp(t)
	in, err := b.SignIn(t.Context(), SignInRequest{Login: "ada.l", Password: password}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.now = t0.Add(SessionLife - time.Second)
	if _, _, err := b.Authenticate(t.Context(), in.Token); err != nil {
		t.Error(err)
	}
	for _, at := range []time.Duration{SessionLife, SessionLife + clockSkew + 1, -time.Minute} {
		b.now = t0.Add(at)
		if _, _, err := b.Authenticate(t.Context(), in.Token); !errors.Is(err, ErrSession) {
			t.Errorf("at %v: %v", at, err)
		}
	}
	b.now = t0
	if err := b.SignOut(t.Context(), in.Session.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Authenticate(t.Context(), in.Token); !errors.Is(err, ErrSession) {
		t.Errorf("signed out: %v", err)
	}
}

// forge builds a token by hand, signed by sign.
func forge(t *testing.T, header, payload map[string]any, sign func(msg []byte) []byte) string {
	t.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	p, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	msg := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(p)
	return msg + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(msg)))
}

// forgery is a session, and the parts from which tokens like it are made.
type forgery struct {
	*bench
	token           string
	signer          keyring.Signer
	header, payload map[string]any
}

func newForgery(t *testing.T) forgery {
	t.Helper()
	b := newBench()
	b.signUp(t)
	in, err := b.SignIn(t.Context(), SignInRequest{Login: "ada.l", Password: password}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signer := b.ring.Signer(keyring.SessionSign)
	f := forgery{b, in.Token, signer,
		map[string]any{"alg": "EdDSA", "typ": sessionType, "kid": keyring.FormatKeyID(signer.KeyID())},
		map[string]any{
			"iss": publicURL, "aud": sessionAudience, "sub": in.Session.User, "acct": in.Session.Account, "jti": in.Session.ID,
			"iat": t0.Unix(), "nbf": t0.Unix(), "exp": t0.Add(time.Hour).Unix(),
		},
	}
	if _, _, err := b.Authenticate(t.Context(), forge(t, f.header, f.payload, signer.SignMessage)); err != nil {
		t.Fatalf("the pattern itself: %v", err)
	}
	return f
}

// with returns m with one member changed, or without it for nil.
func with(m map[string]any, k string, v any) map[string]any {
	out := maps.Clone(m)
	if out[k] = v; v == nil {
		delete(out, k)
	}
	return out
}

func TestForgedSessions(t *testing.T) {
	b := newForgery(t)
	header, payload, signer := b.header, b.payload, b.signer
	kid := keyring.FormatKeyID(signer.KeyID())
	public := []byte(signer.Public().(ed25519.PublicKey))
	hs256 := func(msg []byte) []byte {
		sig, err := jwt.SigningMethodHS256.Sign(string(msg), public)
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	link := b.ring.Signer(keyring.LinkSign)
	before := b.store.reads
	for what, token := range map[string]string{
		"alg none":             forge(t, with(header, "alg", "none"), payload, func([]byte) []byte { return nil }),
		"HS256 by public key":  forge(t, with(header, "alg", "HS256"), payload, hs256),
		"no alg":               forge(t, with(header, "alg", nil), payload, signer.SignMessage),
		"another type":         forge(t, with(header, "typ", "JWT"), payload, signer.SignMessage),
		"no type":              forge(t, with(header, "typ", nil), payload, signer.SignMessage),
		"no key id":            forge(t, with(header, "kid", nil), payload, signer.SignMessage),
		"key id in other case": forge(t, with(header, "kid", "0x"+kid), payload, signer.SignMessage),
		"a link's key":         forge(t, with(header, "kid", keyring.FormatKeyID(link.KeyID())), payload, link.SignMessage),
		"a foreign key":        forge(t, header, payload, keyring.NewMemory(t0).Signer(keyring.SessionSign).SignMessage),
		"no signature":         forge(t, header, payload, func([]byte) []byte { return nil }),
		"another audience":     forge(t, header, with(payload, "aud", "other"), signer.SignMessage),
		"no audience":          forge(t, header, with(payload, "aud", nil), signer.SignMessage),
		"another issuer":       forge(t, header, with(payload, "iss", "https://evil.example"), signer.SignMessage),
		"expired":              forge(t, header, with(payload, "exp", t0.Add(-time.Minute).Unix()), signer.SignMessage),
		"no expiry":            forge(t, header, with(payload, "exp", nil), signer.SignMessage),
		"not yet":              forge(t, header, with(payload, "nbf", t0.Add(time.Minute).Unix()), signer.SignMessage),
		"no session":           forge(t, header, with(payload, "jti", nil), signer.SignMessage),
		"not a session's id":   forge(t, header, with(payload, "jti", id.New(id.Key)), signer.SignMessage),
		"oversized":            strings.Repeat("a", maxBearerBytes+1),
		"empty":                "",
		"dots":                 "..",
		"signature of another": b.token[:strings.LastIndex(b.token, ".")+1] + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"an API key's secret":  newSecret(Test),
		"padded":               b.token + "=",
	} {
		if _, _, err := b.Authenticate(t.Context(), token); !errors.Is(err, ErrSession) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if b.store.reads != before {
		t.Errorf("%d reads for forged tokens", b.store.reads-before)
	}
}

func TestSessionsOfOthers(t *testing.T) {
	b := newForgery(t)
	header, payload, signer := b.header, b.payload, b.signer
	for what, p := range map[string]map[string]any{
		"another user": with(payload, "sub", id.New(id.User)), "another account": with(payload, "acct", id.New(id.Account)),
		"unknown session": with(payload, "jti", id.New(id.Session)),
	} {
		if _, _, err := b.Authenticate(t.Context(), forge(t, header, p, signer.SignMessage)); !errors.Is(err, ErrSession) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestExpiredSessionsArePruned: a session is removed a week after it has expired, whether it
// was ended or not; its token was refused before and is refused after.
func TestExpiredSessionsArePruned(t *testing.T) {
	b := newBench()
	b.signUp(t)
	var tokens []string
	for range 2 {
		in, err := b.SignIn(t.Context(), SignInRequest{Login: "ada.l", Password: password}, nil)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, in.Token)
	}
	ses, _, err := b.Authenticate(t.Context(), tokens[0])
	if err != nil || b.SignOut(t.Context(), ses.ID) != nil {
		t.Fatal(err)
	}
	b.now = ses.ExpiresAt.Add(ExpiredSessionLife)
	young, err := b.SignIn(t.Context(), SignInRequest{Login: "ada.l", Password: password}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := b.Prune(t.Context()); n != 0 || err != nil {
		t.Fatalf("a week after the expiry: %d, %v", n, err)
	}
	b.now = b.now.Add(time.Second)
	if n, err := b.Prune(t.Context()); n != 2 || err != nil {
		t.Fatalf("later: %d, %v", n, err)
	}
	for _, token := range tokens {
		_, _, err := b.Authenticate(t.Context(), token)
		is(t, err, "", "session_invalid")
	}
	if _, _, err := b.Authenticate(t.Context(), young.Token); err != nil {
		t.Errorf("a session that is valid: %v", err)
	}
}

// TestPruningRunsAtOnceAndEnds: the first round is not an hour away.
func TestPruningRunsAtOnceAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		for i := range 3 * pruneBatch {
			n := Session{ID: strconv.Itoa(i), ExpiresAt: b.now.Add(-ExpiredSessionLife - time.Second)}
			if err := b.store.Apply(t.Context(), Change{Session: &n}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.RunPrune(ctx) }()
		synctest.Wait()
		if n := len(b.store.sessions); n != 0 {
			t.Errorf("%d are left", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestF16_TicketsRideInTheCommits(t *testing.T) {
	b := newBench()
	ticket := func(key string) *idempotency.Ticket {
		return &idempotency.Ticket{Record: idempotency.Record{Scope: "s", Key: key}, Render: json.Marshal}
	}
	r := SignUpRequest{Username: "ada", Email: "ada@x.example", Password: password}
	out, err := b.SignUp(t.Context(), r, ticket("user"))
	if err != nil {
		t.Fatal(err)
	}
	r.Username, r.Email = "bob", "bob@x.example"
	if _, err := b.SignUp(t.Context(), r, ticket("user")); !errors.Is(err, idempotency.ErrRaced) || len(b.store.users) != 1 {
		t.Errorf("%v; %d users", err, len(b.store.users))
	}
	account := out.Account.ID
	if _, err := b.SignIn(t.Context(), SignInRequest{Login: "ada", Password: password}, ticket("session")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SignIn(t.Context(), SignInRequest{Login: "ada", Password: password}, ticket("session")); !errors.Is(err,
		idempotency.ErrRaced) {
		t.Error(err)
	}
	if _, err := b.SetMethods(t.Context(), account, nil, ticket("methods")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SetMethods(t.Context(), account, nil, ticket("methods")); !errors.Is(err, idempotency.ErrRaced) {
		t.Error(err)
	}
	if r := b.store.records["s\x00session"]; !bytes.Contains(r.Answer, []byte(`"Token":"`)) {
		t.Errorf("%s", r.Answer)
	}
}
