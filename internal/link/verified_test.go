package link

import (
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
)

// TestRevokedKeyAfterVerified: a token that was valid is refused once its key is revoked,
// although it is remembered.
func TestRevokedKeyAfterVerified(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	ring, err := keyring.In(dir).Open(now)
	if err != nil {
		t.Fatal(err)
	}
	l := NewLocal(LocalConfig{Ring: ring, PublicURL: "http://127.0.0.1", Now: time.Now})
	want := Claims{Link: id.New(id.Link), Account: id.New(id.Account), ExpiresAt: now.Add(time.Hour).Truncate(time.Second), Mode: Test}
	token := Mint(ring, want)
	for range 2 {
		if got, err := l.claims(token); err != nil || got.Link != want.Link {
			t.Fatalf("%+v %v", got, err)
		}
	}
	if !l.verified.has(token) {
		t.Fatal("a good token is not remembered")
	}
	_, kid, err := l.opener.open(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.In(dir).Revoke(kid, now); err != nil {
		t.Fatal(err)
	}
	if err := ring.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.claims(token); !isTokenError(err) {
		t.Fatalf("a token under a revoked key: %v", err)
	}
	if _, err := l.claims(token[:len(token)-1] + "A"); !isTokenError(err) {
		t.Fatalf("an altered token: %v", err)
	}
}

// TestVerifiedIsBounded: old tokens are forgotten, new ones kept.
func TestVerifiedIsBounded(t *testing.T) {
	var v verified
	for range 5 * maxVerified {
		v.add(id.New(id.Link))
	}
	if len(v.young)+len(v.old) > 2*maxVerified {
		t.Fatalf("%d kept", len(v.young)+len(v.old))
	}
}
