package keyring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mask is a key-encryption key for tests: it adds its name and turns bits.
type mask struct {
	name  string
	calls *int
}

func (m mask) Wrap(_ context.Context, key []byte) ([]byte, error) {
	return append([]byte(m.name), m.turn(key)...), nil
}

func (m mask) Unwrap(_ context.Context, wrapped []byte) ([]byte, error) {
	if m.calls != nil {
		*m.calls++
	}
	rest, ok := bytes.CutPrefix(wrapped, []byte(m.name))
	if !ok {
		return nil, errors.New("not mine")
	}
	return m.turn(rest), nil
}

func (mask) turn(b []byte) []byte {
	out := slices.Clone(b)
	for i := range out {
		out[i] ^= 0x5a
	}
	return out
}

// TestSealedRing makes, uses, rotates, exports and reseals a ring under a key-encryption key: its
// file holds no secret, and opens under that key alone.
func TestSealedRing(t *testing.T) {
	calls := 0
	d := Folder{Path: t.TempDir(), KEK: mask{"one", &calls}}
	r, err := d.Open(t0)
	if err != nil {
		t.Fatal(err)
	}
	plain, _, err := d.read()
	if err != nil {
		t.Fatal(err)
	}
	noSecret := func(raw []byte) {
		t.Helper()
		for _, e := range plain.Keys {
			text, err := json.Marshal(e.Secret)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(raw, bytes.Trim(text, `"`)) || bytes.Contains(raw, e.Secret) {
				t.Errorf("%s is in the file", e.Purpose)
			}
		}
	}
	raw, err := d.Raw()
	if err != nil {
		t.Fatal(err)
	}
	noSecret(raw)

	calls = 0
	if err := r.Reload(); err != nil || calls != 0 {
		t.Errorf("an unchanged file was unwrapped %d times, %v", calls, err)
	}
	kid, err := d.Rotate(LinkSign, t0)
	if err != nil {
		t.Fatal(err)
	}
	calls = 0
	if err := r.Reload(); err != nil || calls != 1 || !strings.Contains(string(r.JWKS()), FormatKeyID(kid)) {
		t.Errorf("a rotated ring was unwrapped %d times, %v", calls, err)
	}

	for name, c := range map[string]struct {
		kek  Wrapper
		want string
	}{
		"no key": {nil, ErrSealed.Error()}, "another key": {mask{"two", nil}, "does not open"},
	} {
		if _, err := (Folder{d.Path, c.kek}).Open(t0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	share := Folder{filepath.Join(t.TempDir(), "links"), mask{"links", nil}}
	if err := d.Export(share, []Share{{Purpose: LinkSign}}); err != nil {
		t.Fatal(err)
	}
	if raw, err = share.Raw(); err != nil {
		t.Fatal(err)
	}
	noSecret(raw)
	if _, err := share.OpenShare([]Share{{Purpose: LinkSign}}, t0); err != nil {
		t.Error(err)
	}

	moved := Folder{d.Path, mask{"two", nil}}
	if err := d.Reseal(moved.KEK); err != nil {
		t.Fatal(err)
	}
	same, err := moved.Open(t0)
	if err != nil || !bytes.Equal(same.JWKS(), r.JWKS()) {
		t.Errorf("resealed: %v", err)
	}
	if err := moved.Reseal(nil); err != nil {
		t.Fatal(err)
	}
	if same, err = In(d.Path).Open(t0); err != nil || !bytes.Equal(same.JWKS(), r.JWKS()) {
		t.Errorf("unsealed: %v", err)
	}
	if _, err := d.Open(t0); !errors.Is(err, ErrPlain) {
		t.Errorf("a plain file was opened with a key-encryption key: %v", err)
	}
	if err := In(t.TempDir()).Reseal(nil); err == nil {
		t.Error("sealed nothing")
	}
}

// TestF21_DamagedSealedFile alters each byte of a sealed file's values: none opens.
func TestF21_DamagedSealedFile(t *testing.T) {
	d := Folder{t.TempDir(), mask{"one", nil}}
	if _, err := d.Open(t0); err != nil {
		t.Fatal(err)
	}
	raw, err := d.Raw()
	if err != nil {
		t.Fatal(err)
	}
	var s sealed
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	for _, part := range []*[]byte{&s.Wrapped, &s.Sealed} {
		for i := 0; i < len(*part); i += 7 {
			(*part)[i] ^= 4
			bad, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			(*part)[i] ^= 4
			if _, err := d.decode(bad); err == nil {
				t.Errorf("byte %d may be altered", i)
			}
		}
	}
	for _, short := range []string{"", "{", `{"version":2}`, `{"version":3}`} {
		if _, err := d.decode([]byte(short)); err == nil {
			t.Errorf("%q was opened", short)
		}
	}
}

// TestUnknownPurposes reads a ring of a later version: a key of an unknown purpose is passed over
// and stays in the file, and a damaged one is refused.
func TestUnknownPurposes(t *testing.T) {
	dir := t.TempDir()
	at(t, dir, t0)
	f, _, err := In(dir).read()
	if err != nil {
		t.Fatal(err)
	}
	later := entry{ID: "0badcafe", Purpose: "later-seal", Secret: []byte("of another length"), CreatedAt: t0, ActiveAt: t0}
	later.Check = later.check()
	f.Keys = append(f.Keys, later)
	write := func() {
		t.Helper()
		raw, err := In(dir).encode(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fileName), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	r := at(t, dir, t0)
	if got := r.Unknown(); len(got) != 1 || got[0] != "0badcafe (later-seal)" {
		t.Errorf("passed over %q", got)
	}
	if _, err := In(dir).Rotate(LinkSign, t0); err != nil {
		t.Fatal(err)
	}
	if f, _, err = In(dir).read(); err != nil || !slices.ContainsFunc(f.Keys, func(e entry) bool { return e.ID == later.ID && e.sound() }) {
		t.Errorf("a change dropped the unknown key, %v", err)
	}
	f.Keys[slices.IndexFunc(f.Keys, func(e entry) bool { return e.ID == later.ID })].Secret[0] ^= 1
	write()
	if _, err := In(dir).Open(t0); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged key of an unknown purpose: %v", err)
	}
}

// TestMACKeysRotate checks that tags from before a rotation are still recognized, new ones are made
// under the new key, and a revoked or foreign key recognizes nothing.
func TestMACKeysRotate(t *testing.T) {
	dir := t.TempDir()
	before := at(t, dir, t0).Authenticator(MACKey)
	old := before.Tag([]byte("m"))
	if _, err := In(dir).Rotate(MACKey, t0); err != nil {
		t.Fatal(err)
	}
	after := at(t, dir, t0.Add(ActivateAfter)).Authenticator(MACKey)
	fresh := after.Tag([]byte("m"))
	foreign := NewMemory(t0).Authenticator(MACKey)
	for name, c := range map[string]struct {
		a         Authenticator
		msg       string
		tag       []byte
		recognize bool
	}{
		"old": {after, "m", old, true}, "new": {after, "m", fresh, true}, "cut": {after, "m", fresh[:MinTagBytes], true},
		"too short": {after, "m", fresh[:MinTagBytes-1], false}, "too long": {after, "m", append(slices.Clone(fresh), 0), false},
		"empty": {after, "m", nil, false}, "another message": {after, "n", fresh, false}, "a key not yet known": {before, "m", fresh, false},
		"another ring": {foreign, "m", fresh, false},
	} {
		if got := c.a.Check([]byte(c.msg), c.tag); got != c.recognize {
			t.Errorf("%s: %v", name, got)
		}
	}
	if bytes.Equal(old, fresh) {
		t.Error("the new key makes the old tags")
	}

	if _, err := In(dir).Rotate(PuzzleMAC, t0); err != nil {
		t.Fatal(err)
	}
	if _, err := In(dir).Rotate(PuzzleMAC, t0.Add(2*puzzleLife)); err != nil {
		t.Fatal(err)
	}
	f, _, err := In(dir).read()
	if err != nil {
		t.Fatal(err)
	}
	count := func(p Purpose) (n int) {
		for _, e := range f.Keys {
			if e.Purpose == p {
				n++
			}
		}
		return n
	}
	if count(PuzzleMAC) != 2 || count(MACKey) != 2 {
		t.Errorf("%d keys of puzzles, %d of requests", count(PuzzleMAC), count(MACKey))
	}
}

// TestAtRest names the keys that must never be lost, those before a rotation too.
func TestAtRest(t *testing.T) {
	dir := t.TempDir()
	first := at(t, dir, t0).AtRest()
	if len(first) != 5 {
		t.Fatalf("%v", first)
	}
	if _, err := In(dir).Rotate(WebhookSeal, t0); err != nil {
		t.Fatal(err)
	}
	now := at(t, dir, t0.Add(time.Hour)).AtRest()
	for _, k := range first {
		if !slices.Contains(now, k) {
			t.Errorf("%v is forgotten", k)
		}
	}
	if len(now) != len(first)+1 {
		t.Errorf("%v", now)
	}
}
