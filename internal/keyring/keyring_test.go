package keyring

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/c2sp/wycheproof"
	"golang.org/x/crypto/chacha20poly1305"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// at opens the ring of dir with a fixed clock.
func at(t *testing.T, dir string, now time.Time) *Ring {
	t.Helper()
	r, err := In(dir).Open(now)
	if err != nil {
		t.Fatal(err)
	}
	r.clock = func() time.Time { return now }
	return r
}

func TestSignSealMAC(t *testing.T) {
	r, other := NewMemory(t0), NewMemory(t0)
	for _, p := range []Purpose{LinkSign, SessionSign, WebhookSign, ReceiptSign} {
		kid, sig := r.Sign(p, []byte("message"))
		if !r.Verify(p, kid, []byte("message"), sig) {
			t.Errorf("%s: own signature refused", p)
		}
		if r.Verify(p, kid, []byte("massage"), sig) || r.Verify(p, kid+1, []byte("message"), sig) ||
			r.Verify(p, kid, []byte("message"), sig[:63]) || r.Verify(p, kid, []byte("message"), nil) ||
			other.Verify(p, kid, []byte("message"), sig) {
			t.Errorf("%s: wrong signature accepted", p)
		}
		for _, q := range Purposes {
			if q != p && r.Verify(q, kid, []byte("message"), sig) {
				t.Errorf("a %s signature passes as %s", p, q)
			}
		}
	}
	sealed := r.Seal(StoreSeal, []byte("secret"), []byte("row 1"))
	if len(sealed) != SealOverheadBytes+6 {
		t.Errorf("sealed to %d bytes", len(sealed))
	}
	if plain, err := r.Unseal(StoreSeal, sealed, []byte("row 1")); err != nil || string(plain) != "secret" {
		t.Errorf("unseal: %q, %v", plain, err)
	}
	for i := range len(sealed) * 8 {
		bad := bytes.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := r.Unseal(StoreSeal, bad, []byte("row 1")); !errors.Is(err, ErrUnseal) {
			t.Fatalf("bit %d flipped: %v", i, err)
		}
	}
	if _, err := r.Unseal(StoreSeal, sealed, []byte("row 2")); err == nil {
		t.Error("unsealed for another row")
	}
	if _, err := r.Unseal(LinkSeal, sealed, []byte("row 1")); err == nil {
		t.Error("unsealed for another purpose")
	}
	if !bytes.Equal(r.Authenticator(MACKey).Tag([]byte("a")), r.Authenticator(MACKey).Tag([]byte("a"))) ||
		bytes.Equal(r.Authenticator(MACKey).Tag([]byte("a")), r.Authenticator(MACKey).Tag([]byte("b"))) {
		t.Error("MAC is no function of the message")
	}
	if s := fmt.Sprintf("%v %+v %#v %v", r, r, r, r.Signer(LinkSign)); s != "[keyring] [keyring] [keyring] [signer]" {
		t.Errorf("a ring prints as %s", s)
	}
}

func TestOpenManyAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	rings := make([]*Ring, 24)
	var wg sync.WaitGroup
	for i := range rings {
		wg.Go(func() {
			r, err := In(dir).Open(t0)
			if err != nil {
				t.Error(err)
				return
			}
			rings[i] = r
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, r := range rings {
		if !bytes.Equal(r.JWKS(), rings[0].JWKS()) || !bytes.Equal(r.Authenticator(MACKey).Tag(nil), rings[0].Authenticator(MACKey).Tag(nil)) {
			t.Fatal("two processes ended with different keys")
		}
	}
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*.tmp"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRotateOverlaps(t *testing.T) {
	dir := t.TempDir()
	r := at(t, dir, t0)
	old, sig := r.Sign(LinkSign, []byte("m"))
	sealed := r.Seal(StoreSeal, []byte("s"), nil)
	mac := r.Authenticator(MACKey).Tag([]byte("m"))
	fresh, err := In(dir).Rotate(LinkSign, t0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := In(dir).Rotate(StoreSeal, t0); err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	for _, c := range []struct {
		after   time.Duration
		signer  uint32
		knowOld bool
	}{
		{ActivateAfter - 1, old, true},
		{ActivateAfter, fresh, true},
		{180 * day, fresh, true},
	} {
		r := at(t, dir, t0.Add(c.after))
		if kid, _ := r.Sign(LinkSign, []byte("m")); kid != c.signer {
			t.Errorf("after %v: key %08x signs, want %08x", c.after, kid, c.signer)
		}
		if r.Verify(LinkSign, old, []byte("m"), sig) != c.knowOld || !strings.Contains(string(r.JWKS()), FormatKeyID(fresh)) {
			t.Errorf("after %v: wrong keys verify", c.after)
		}
	}
	end := t0.Add(ActivateAfter + 181*day + time.Second)
	if _, err := In(dir).Rotate(LinkSign, end); err != nil {
		t.Fatal(err)
	}
	r = at(t, dir, end)
	if r.Verify(LinkSign, old, []byte("m"), sig) {
		t.Error("the old key outlives its links")
	}
	if plain, err := r.Unseal(StoreSeal, sealed, nil); err != nil || string(plain) != "s" {
		t.Errorf("the old store key is gone: %v", err)
	}
	if !bytes.Equal(mac, r.Authenticator(MACKey).Tag([]byte("m"))) {
		t.Error("MAC changed")
	}
	if _, err := In(dir).Rotate("nonsense", t0); err == nil {
		t.Error("a key without a purpose was made")
	}
}

func TestClockBeforeAllKeys(t *testing.T) {
	dir := t.TempDir()
	at(t, dir, t0)
	r := at(t, dir, t0.Add(-time.Hour))
	if kid, sig := r.Sign(LinkSign, nil); !r.Verify(LinkSign, kid, nil, sig) {
		t.Error("a clock set back stops signing")
	}
}

func TestRevoke(t *testing.T) {
	dir := t.TempDir()
	r := at(t, dir, t0)
	kid, sig := r.Sign(SessionSign, []byte("m"))
	if err := In(dir).Revoke(kid, t0); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	if r.Verify(SessionSign, kid, []byte("m"), sig) || strings.Contains(string(r.JWKS()), FormatKeyID(kid)) {
		t.Error("a revoked key is still known")
	}
	if next, _ := r.Sign(SessionSign, nil); next == kid {
		t.Error("a revoked key signs")
	}
	sealed := r.Seal(StoreSeal, nil, nil)
	n, _ := ParseKeyID(fmt.Sprintf("%x", sealed[:4]))
	if err := In(dir).Revoke(n, t0); err == nil {
		t.Error("the key of data at rest was revoked")
	}
	if err := In(dir).Revoke(0, t0); err == nil {
		t.Error("an unknown key was revoked")
	}
}

func TestWatchReloads(t *testing.T) {
	dir := t.TempDir()
	r := at(t, dir, t0)
	old, _ := r.Sign(LinkSign, nil)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Watch(ctx, 5*time.Second, func(context.Context) {}) }()
		if err := In(dir).Revoke(old, t0); err != nil {
			t.Fatal(err)
		}
		<-time.After(6 * time.Second)
		synctest.Wait()
		if kid, _ := r.Sign(LinkSign, nil); kid == old {
			t.Error("the change went unseen")
		}
		// After a damaged file the keys in memory stay in use.
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		<-time.After(6 * time.Second)
		synctest.Wait()
		r.Sign(LinkSign, nil)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestF21_DamagedFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	at(t, dir, t0)
	path := filepath.Join(dir, fileName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f file
	if err := json.Unmarshal(good, &f); err != nil {
		t.Fatal(err)
	}
	f.Keys[0].Secret[5] ^= 1
	flipped, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Keys[0].Secret[5] ^= 1
	f.Keys = append(f.Keys, f.Keys[0])
	twice, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"empty": {}, "torn": good[:len(good)/2], "flipped": flipped, "twice": twice,
		"version": []byte(`{"version":3,"keys":[]}`),
	} {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := In(dir).Open(t0); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, raw) {
			t.Errorf("%s: the file was replaced", name)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[fs.FileMode]bool{0o600: true, 0o400: true, 0o440: true, 0o644: false, 0o660: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := In(dir).Open(t0); (err == nil) != want {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestJWKS(t *testing.T) {
	r := NewMemory(t0)
	pub, err := ParseJWKS(r.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Purpose{LinkSign, SessionSign, WebhookSign, ReceiptSign} {
		kid, sig := r.Sign(p, []byte("m"))
		if !pub.Verify(p, kid, []byte("m"), sig) {
			t.Errorf("%s: not verifiable offline", p)
		}
		if pub.Verify(LinkSeal, kid, []byte("m"), sig) || pub.Verify(p, kid, []byte("n"), sig) || pub.Verify(p, 0, []byte("m"), sig) {
			t.Errorf("%s: accepted offline what is wrong", p)
		}
	}
	var set map[string][]map[string]string
	if err := json.Unmarshal(r.JWKS(), &set); err != nil || len(set["keys"]) != 4 {
		t.Fatalf("%s: %v", r.JWKS(), err)
	}
	for _, k := range set["keys"] {
		if k["kty"] != "OKP" || k["crv"] != "Ed25519" || k["alg"] != "EdDSA" || k["use"] != "sig" || len(k["kid"]) != 8 ||
			k["d"] != "" || k["paylink:purpose"] == "" || len(k) != 7 {
			t.Errorf("key %v", k)
		}
	}
	k := string(r.JWKS()[len(`{"keys":[`) : len(r.JWKS())-2])
	first, _, _ := strings.Cut(k, "},{")
	for _, bad := range []string{"", "[]", `{"keys":[` + first + `},` + first + `}]}`,
		strings.Replace(string(r.JWKS()), `"kid":"`, `"kid":"x`, 1)} {
		if _, err := ParseJWKS([]byte(bad)); err == nil {
			t.Errorf("accepted %.60s", bad)
		}
	}
}

type vectors struct {
	NumberOfTests int
	TestGroups    []struct {
		PublicKey struct{ PK string }
		Tests     []struct {
			TcID                                          int
			Msg, Sig, Key, IV, AAD, CT, Tag, Result, Note string
		}
	}
}

func load(t *testing.T, name string) vectors {
	t.Helper()
	raw, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWycheproofEd25519(t *testing.T) {
	v, n := load(t, "ed25519_test.json"), 0
	for _, g := range v.TestGroups {
		for _, c := range g.Tests {
			n++
			got := verify(unhex(t, g.PublicKey.PK), true, unhex(t, c.Msg), unhex(t, c.Sig))
			if got != (c.Result == "valid") {
				t.Errorf("vector %d: %v, want %s", c.TcID, got, c.Result)
			}
		}
	}
	if n != v.NumberOfTests || n < 100 {
		t.Errorf("%d vectors ran of %d", n, v.NumberOfTests)
	}
}

// TestWycheproofAEAD runs the vectors through Ring.Unseal, under a ring whose key is the
// vector's.
func TestWycheproofAEAD(t *testing.T) {
	v, n := load(t, "xchacha20_poly1305_test.json"), 0
	for _, g := range v.TestGroups {
		for _, c := range g.Tests {
			n++
			aead, err := chacha20poly1305.NewX(unhex(t, c.Key))
			if err != nil {
				t.Fatal(err)
			}
			k := &key{id: 1, purpose: StoreSeal, aead: aead}
			r := &Ring{clock: func() time.Time { return t0 }}
			r.keys.Store(&set{byID: map[uint32]*key{1: k}, byPurpose: map[Purpose][]*key{StoreSeal: {k}}})
			sealed := append([]byte{0, 0, 0, 1}, unhex(t, c.IV+c.CT+c.Tag)...)
			plain, err := r.Unseal(StoreSeal, sealed, unhex(t, c.AAD))
			if (err == nil) != (c.Result == "valid") {
				t.Errorf("vector %d: %v, want %s", c.TcID, err, c.Result)
			}
			if err == nil && !bytes.Equal(plain, unhex(t, c.Msg)) {
				t.Errorf("vector %d: another plaintext", c.TcID)
			}
			if err == nil {
				again := r.Seal(StoreSeal, plain, unhex(t, c.AAD))
				if back, err := r.Unseal(StoreSeal, again, unhex(t, c.AAD)); err != nil || !bytes.Equal(back, plain) {
					t.Errorf("vector %d: does not seal again: %v", c.TcID, err)
				}
			}
		}
	}
	if n != v.NumberOfTests || n < 100 {
		t.Errorf("%d vectors ran of %d", n, v.NumberOfTests)
	}
}

func BenchmarkVerifyRefusals(b *testing.B) {
	r := NewMemory(t0)
	msg := make([]byte, 90)
	kid, sig := r.Sign(LinkSign, msg)
	high := bytes.Clone(sig)
	high[63] |= 0xf0
	for _, c := range []struct {
		name string
		kid  uint32
		sig  []byte
	}{{"valid", kid, sig}, {"unknown key", kid + 1, sig}, {"short", kid, sig[:10]}, {"scalar too large", kid, high}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				r.Verify(LinkSign, c.kid, msg, c.sig)
			}
		})
	}
}
