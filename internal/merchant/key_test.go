package merchant

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/money"
)

// zeroSecret has 256 zero bits; its checksum was computed outside this program.
const zeroSecret = "pl_test_00000000000000000000000000000000000000000004C0Mjc"

func TestSecretChecksum(t *testing.T) {
	seen := map[string]bool{}
	for _, mode := range []string{Test, Live} {
		for range 200 {
			s := newSecret(mode)
			if !CheckSecret(s) || !strings.HasPrefix(s, "pl_"+mode+"_") || len(s) != 57 || seen[s] {
				t.Fatal(s)
			}
			seen[s] = true
		}
	}
	s := newSecret(Test)
	for i := range len(s) {
		for _, c := range base62 + "_-é" {
			if bad := s[:i] + string(c) + s[i+1:]; bad != s && CheckSecret(bad) {
				t.Fatalf("one character changed: %s", bad)
			}
		}
		if CheckSecret(s[:i]) || CheckSecret(s[i+1:]) {
			t.Fatal("truncated")
		}
	}
	// By hand, so that a scanner elsewhere can be checked against it.
	if known := "pl_test_" + strings.Repeat("0", 43) + checksum("pl_test_"+strings.Repeat("0", 43)); known != zeroSecret ||
		!CheckSecret(zeroSecret) {
		t.Errorf("%s", known)
	}
}

func FuzzCheckSecret(f *testing.F) {
	f.Add(zeroSecret)
	f.Add("")
	f.Add("pl_live_" + strings.Repeat("z", 49))
	f.Add(zeroSecret[:56])
	f.Fuzz(func(t *testing.T, s string) {
		want := len(s) == secretChars && (s[:8] == secretTest || s[:8] == secretLive) &&
			strings.Trim(s[8:], base62) == "" && checksum(s[:51]) == s[51:]
		if CheckSecret(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	})
}

func (b *bench) newKey(t *testing.T, account string) NewKey {
	t.Helper()
	k, err := b.CreateKey(t.Context(), CreateKeyRequest{Account: account, Name: "shop", Mode: Test,
		Scopes: []string{"payments:read", "links:write", "links:write"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyRules(t *testing.T) {
	live := Connector{"acme", issuer.Capabilities{Types: []string{"card"}, Currencies: []money.Currency{"EUR"}}}
	for _, c := range []struct {
		name, mode string
		scopes     []string
		expires    string
		param      string
		code       string
	}{
		{"", Test, Scopes, "", "name", "name_missing"},
		{strings.Repeat("x", 101), Test, Scopes, "", "name", "too_long"},
		{"a\x1b[2J", Test, Scopes, "", "name", "invalid_characters"},
		{"k 4111 1111 1111 1111", Test, Scopes, "", "name", "card_number_in_text"},
		{"k", Test, []string{"4111111111111111"}, "", "scopes", "card_number_in_text"},
		{"k", "demo", Scopes, "", "mode", "value_invalid"},
		{"k", Live, Scopes, "", "mode", "live_mode_unavailable"},
		{"k", Test, nil, "", "scopes", "scopes_missing"},
		{"k", Test, []string{"links:read", "links:admin"}, "", "scopes", "scope_unknown"},
		{"k", Test, Scopes, "soon", "expiresAt", "expiry_invalid"},
		{"k", Test, Scopes, "2026-03-01T12:00:00Z", "expiresAt", "expiry_invalid"},
		{"k", Test, Scopes, "2026-03-01T12:00:01Z", "", ""},
	} {
		_, err := newBench().CreateKey(t.Context(), CreateKeyRequest{Account: id.New(id.Account), Name: c.name, Mode: c.mode,
			Scopes: c.scopes, ExpiresAt: c.expires}, nil)
		is(t, err, c.param, c.code)
		if c.code == "scope_unknown" && !strings.Contains(err.Error(), `"links:admin"`) {
			t.Errorf("does not name it: %v", err)
		}
	}
	k, err := newBench(live).CreateKey(t.Context(), CreateKeyRequest{Account: id.New(id.Account), Name: "k", Mode: Live, Scopes: Scopes}, nil)
	if err != nil || !strings.HasPrefix(k.Secret, "pl_live_") {
		t.Errorf("%v", err)
	}
}

func TestKeyAuthentication(t *testing.T) {
	b := newBench()
	account := id.New(id.Account)
	k := b.newKey(t, account)
	if strings.Join(k.Key.Scopes, " ") != "links:write payments:read" || !k.Key.Allows("links:write") || k.Key.Allows("links:read") {
		t.Errorf("scopes %v", k.Key.Scopes)
	}
	if stored := b.store.keys[k.Key.ID]; bytes.Contains(stored.Hash, []byte(k.Secret)) || len(stored.Hash) != 32 {
		t.Error("the secret is stored")
	}
	both := func(id, secret string) (errs [2]error) {
		_, errs[0] = b.AuthenticateKey(t.Context(), id, secret)
		_, errs[1] = b.AuthenticateSecret(t.Context(), secret)
		return errs
	}
	want := func(what, id, secret, code string) {
		t.Helper()
		for i, err := range both(id, secret) {
			if fault.Code(err) != code || (err != nil && fault.KindOf(err) != fault.KindUnauthenticated) {
				t.Errorf("%s (%d): %v, want %q", what, i, err, code)
			}
		}
	}
	want("good", k.Key.ID, k.Secret, "")
	want("another secret", k.Key.ID, newSecret(Test), "api_key_invalid")
	want("empty", k.Key.ID, "", "api_key_invalid")
	if _, err := b.AuthenticateKey(t.Context(), b.newKey(t, account).Key.ID, k.Secret); fault.Code(err) != "api_key_invalid" {
		t.Errorf("another key's id: %v", err)
	}
	reads := b.store.reads
	want("mistyped", k.Key.ID, k.Secret[:56]+"!", "api_key_invalid")
	if b.store.reads != reads {
		t.Error("a mistyped secret was looked up")
	}

	rotated, err := b.RotateKey(t.Context(), account, k.Key.ID, 60, nil)
	if err != nil || rotated.Secret == k.Secret || rotated.Key.Revision != b.store.keys[k.Key.ID].Revision {
		t.Fatalf("%+v, %v", rotated.Key, err)
	}
	b.now = t0.Add(59 * time.Second)
	want("old within the grace", k.Key.ID, k.Secret, "")
	want("new within the grace", k.Key.ID, rotated.Secret, "")
	b.now = t0.Add(60 * time.Second)
	want("old after the grace", k.Key.ID, k.Secret, "api_key_invalid")
	want("new after the grace", k.Key.ID, rotated.Secret, "")
	again, err := b.RotateKey(t.Context(), account, k.Key.ID, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	want("old without grace", k.Key.ID, rotated.Secret, "api_key_invalid")

	if _, err := b.RevokeKey(t.Context(), account, k.Key.ID); err != nil {
		t.Fatal(err)
	}
	want("revoked", k.Key.ID, again.Secret, "api_key_revoked")
	if _, err := b.RevokeKey(t.Context(), account, k.Key.ID); err != nil {
		t.Errorf("revoked again: %v", err)
	}
	_, err = b.RotateKey(t.Context(), account, k.Key.ID, 0, nil)
	is(t, err, "", "api_key_revoked")

	e, err := b.CreateKey(t.Context(), CreateKeyRequest{Account: account, Name: "e", Mode: Test, Scopes: Scopes,
		ExpiresAt: "2026-03-01T13:00:00Z"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want("before its end", e.Key.ID, e.Secret, "")
	b.now = t0.Add(time.Hour)
	want("at its end", e.Key.ID, e.Secret, "api_key_expired")
	_, err = b.RotateKey(t.Context(), account, e.Key.ID, 0, nil)
	is(t, err, "", "api_key_expired")
}

func TestKeysOfOthersAndRaces(t *testing.T) {
	b := newBench()
	account := id.New(id.Account)
	k := b.newKey(t, account)
	for _, c := range [][2]string{{id.New(id.Account), k.Key.ID}, {account, id.New(id.Key)}, {account, "key_1"}} {
		_, err := b.RotateKey(t.Context(), c[0], c[1], 0, nil)
		is(t, err, "", "not_found")
		_, err = b.RevokeKey(t.Context(), c[0], c[1])
		is(t, err, "", "not_found")
	}
	for _, grace := range []int64{-1, 7*86400 + 1, 1 << 62} {
		_, err := b.RotateKey(t.Context(), account, k.Key.ID, grace, nil)
		is(t, err, "graceSeconds", "grace_invalid")
	}
	rotate := func() {
		if _, err := b.RotateKey(t.Context(), account, k.Key.ID, 0, nil); err != nil {
			t.Error(err)
		}
	}
	b.store.race = rotate
	if _, err := b.RotateKey(t.Context(), account, k.Key.ID, 0, nil); !errors.Is(err, ErrChanged) {
		t.Errorf("two rotations at once: %v", err)
	}
	b.store.race = rotate
	if got, err := b.RevokeKey(t.Context(), account, k.Key.ID); err != nil || got.RevokedAt.IsZero() ||
		b.store.keys[k.Key.ID].RevokedAt.IsZero() {
		t.Errorf("revoked while rotated: %+v, %v", got, err)
	}
	second := b.newKey(t, account)
	b.newKey(t, id.New(id.Account))
	list, err := b.Keys(t.Context(), account, "", 0)
	if err != nil || len(list) != 2 || list[0].ID != second.Key.ID {
		t.Errorf("%v, %v", list, err)
	}
	if list, err = b.Keys(t.Context(), account, second.Key.ID, 10); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	_, err = b.Keys(t.Context(), account, "x", 1)
	is(t, err, "cursor", "cursor_invalid")
}

func TestLastUseIsWrittenOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		k := b.newKey(t, id.New(id.Account))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.RunTouches(ctx) }()
		use := func() {
			t.Helper()
			if _, err := b.AuthenticateSecret(t.Context(), k.Secret); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			use()
		}
		if b.store.written() != 0 {
			t.Error("a request waited for the write")
		}
		b.store.failNext(errors.New("down"))
		<-time.After(touchEvery + time.Second)
		synctest.Wait()
		if !b.store.lastUse(k.Key.ID).IsZero() {
			t.Error("written though the store was down")
		}
		<-time.After(touchEvery)
		synctest.Wait()
		if got := b.store.lastUse(k.Key.ID); !got.Equal(t0) || b.store.written() != 2 {
			t.Errorf("%v after %d writes", got, b.store.written())
		}
		use() // within the minute: not noted
		<-time.After(touchEvery)
		synctest.Wait()
		if b.store.written() != 2 {
			t.Error("written again within a minute")
		}
		b.now = t0.Add(time.Hour)
		use()
		cancel()
		if err := <-done; err != nil || !b.store.lastUse(k.Key.ID).Equal(b.now) {
			t.Errorf("lost while stopping: %v", err)
		}
	})
}

func TestSetMethods(t *testing.T) {
	acme := Connector{"acme", issuer.Capabilities{Types: []string{"card"}, Currencies: []money.Currency{"EUR", "GBP"}}}
	sim := Connector{"simulator", issuer.Capabilities{Types: []string{"card"}, Currencies: []money.Currency{"EUR", "JPY"}, Test: true}}
	b := newBench(sim, acme)
	a := b.signUp(t).Account
	if len(a.Methods) != 1 {
		t.Fatalf("a new account has %+v", a.Methods)
	}
	no := false
	got, err := b.SetMethods(t.Context(), a.ID, []MethodInput{
		{Type: "card", Issuer: "acme", Currencies: []string{"GBP"}, Credentials: map[string]string{"apiKey": "top secret"}},
		{Type: "card", Issuer: "simulator", Currencies: []string{"EUR"}, Enabled: &no},
	}, nil)
	if err != nil || got.Methods[1].ID != a.Methods[0].ID || got.Methods[1].Enabled || !got.Methods[0].Enabled || got.Revision != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	sealed := got.Methods[0].SealedCredentials
	if len(sealed) == 0 || bytes.Contains(sealed, []byte("top secret")) {
		t.Error("credentials are not sealed")
	}
	if c, err := b.Credentials(a.ID, got.Methods[0]); err != nil || c["apiKey"] != "top secret" {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := b.Credentials(id.New(id.Account), got.Methods[0]); !errors.Is(err, keyring.ErrUnseal) {
		t.Errorf("opened for another account: %v", err)
	}
	// The other writer's credentials survive, for they are not given again.
	in := []MethodInput{{Type: "card", Issuer: "acme", Currencies: []string{"EUR"}}}
	b.store.race = func() {
		in := []MethodInput{{Type: "card", Issuer: "acme", Currencies: []string{"GBP"}, Credentials: map[string]string{"apiKey": "newer"}}}
		if _, err := b.SetMethods(t.Context(), a.ID, in, nil); err != nil {
			t.Error(err)
		}
	}
	got, err = b.SetMethods(t.Context(), a.ID, in, nil)
	if err != nil || got.Revision != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	if c, err := b.Credentials(a.ID, b.store.accounts[a.ID].Methods[0]); err != nil || c["apiKey"] != "newer" {
		t.Errorf("%v, %v", c, err)
	}
	in[0].Credentials = map[string]string{}
	if got, err = b.SetMethods(t.Context(), a.ID, in, nil); err != nil || got.Methods[0].SealedCredentials != nil {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = b.SetMethods(t.Context(), id.New(id.Account), in, nil)
	is(t, err, "", "not_found")
}

func TestMethodRules(t *testing.T) {
	b := newBench()
	a := b.signUp(t).Account
	good := MethodInput{Type: "card", Issuer: "simulator", Currencies: []string{"EUR"}}
	with := func(edit func(*MethodInput)) []MethodInput { m := good; edit(&m); return []MethodInput{m} }
	for _, c := range []struct {
		in          []MethodInput
		param, code string
	}{
		{[]MethodInput{good}, "", ""},
		{nil, "", ""},
		{with(func(m *MethodInput) { m.Issuer = "bank" }), "paymentMethods[0].issuer", "issuer_unknown"},
		{with(func(m *MethodInput) { m.Type = "wallet" }), "paymentMethods[0].type", "type_unsupported"},
		{with(func(m *MethodInput) { m.Currencies = nil }), "paymentMethods[0].currencies", "currencies_missing"},
		{with(func(m *MethodInput) { m.Currencies = []string{"EUR", "CHF"} }), "paymentMethods[0].currencies[1]", "currency_unsupported"},
		{with(func(m *MethodInput) { m.Currencies = []string{"eur"} }), "paymentMethods[0].currencies[0]", "currency_invalid"},
		{with(func(m *MethodInput) { m.Currencies = []string{"EUR", "EUR"} }), "paymentMethods[0].currencies[1]", "currency_duplicate"},
		{[]MethodInput{good, good}, "paymentMethods[1].issuer", "payment_method_duplicate"},
		{make([]MethodInput, MaxMethods+1), "paymentMethods", "too_long"},
		{with(func(m *MethodInput) { m.Credentials = map[string]string{"k": strings.Repeat("x", 4097)} }),
			"paymentMethods[0].credentials", "too_long"},
	} {
		_, err := b.SetMethods(t.Context(), a.ID, c.in, nil)
		is(t, err, c.param, c.code)
		if c.code == "currency_unsupported" && fault.From(err).Detail != "CHF is not supported by simulator." {
			t.Errorf("%v", err)
		}
	}
}
