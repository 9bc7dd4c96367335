package keyring

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// ofBefore makes a ring in dir as the version before did, with a key for fingerprints of cards, and
// returns the raw file.
func ofBefore(t *testing.T, dir string) []byte {
	t.Helper()
	at(t, dir, t0)
	f, _, err := In(dir).read()
	if err != nil {
		t.Fatal(err)
	}
	f.add(cardMAC, t0, t0)
	return writeFile(t, dir, f)
}

// writeFile writes a file without any check.
func writeFile(t *testing.T, dir string, f *file) []byte {
	t.Helper()
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileName), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return raw
}

// cardMACGone reports whether the file of a folder has neither the purpose nor the secret of a key.
func cardMACGone(t *testing.T, dir string, before []byte) bool {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	var f file
	if err := json.Unmarshal(before, &f); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(f.Keys, func(e entry) bool { return e.Purpose == cardMAC })
	secret, err := json.Marshal(f.Keys[i].Secret)
	if err != nil {
		t.Fatal(err)
	}
	return !bytes.Contains(raw, []byte(cardMAC)) && !bytes.Contains(raw, secret)
}

// TestCardMACIsDestroyed checks that every way to use the ring of the version before removes the key
// of fingerprints from the file, and leaves all other keys as they are.
func TestCardMACIsDestroyed(t *testing.T) {
	for name, use := range map[string]func(dir string) error{
		"start":   func(dir string) error { _, err := In(dir).Open(t0); return err },
		"migrate": func(dir string) error { _, err := In(dir).Destroy(); return err },
		"rotate":  func(dir string) error { _, err := In(dir).Rotate(SessionSign, t0); return err },
		"export": func(dir string) error {
			return In(dir).Export(In(filepath.Join(dir, "of-a-service")), []Share{{Purpose: CardSeal}})
		},
	} {
		dir := t.TempDir()
		raw := ofBefore(t, dir)
		before := at(t, t.TempDir(), t0)
		if err := use(dir); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !cardMACGone(t, dir, raw) {
			t.Errorf("%s: the file still has the key", name)
		}
		after := at(t, dir, t0)
		for _, p := range Purposes {
			if len(after.keys.Load().byPurpose[p]) == 0 || len(before.keys.Load().byPurpose[p]) == 0 {
				t.Errorf("%s: no key for %s", name, p)
			}
		}
		var was file
		if err := json.Unmarshal(raw, &was); err != nil {
			t.Fatal(err)
		}
		for _, e := range was.Keys {
			kid, _ := ParseKeyID(e.ID)
			if after.keys.Load().byID[kid] == nil && e.Purpose != cardMAC {
				t.Errorf("%s: the key of %s is gone", name, e.Purpose)
			}
		}
		if again, err := In(dir).Destroy(); again || err != nil {
			t.Errorf("%s: destroyed again: %v, %v", name, again, err)
		}
	}
	if did, err := In(filepath.Join(t.TempDir(), "none")).Destroy(); did || err != nil {
		t.Errorf("without a ring: %v, %v", did, err)
	}
}

// TestCardMACInAShare checks that an export of the version before loads, and is not written.
func TestCardMACInAShare(t *testing.T) {
	dir := t.TempDir()
	ofBefore(t, dir)
	var f file
	raw, err := os.ReadFile(filepath.Join(dir, fileName))
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Shares = []Share{{Purpose: CardSeal}, {Purpose: cardMAC}}
	f.Keys = slices.DeleteFunc(f.Keys, func(e entry) bool { return e.Purpose != CardSeal && e.Purpose != cardMAC })
	share := t.TempDir()
	raw = writeFile(t, share, &f)

	r, err := In(share).OpenShare([]Share{{Purpose: CardSeal}}, t0)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := r.Unseal(CardSeal, r.Seal(CardSeal, []byte("s"), nil), nil); err != nil || string(plain) != "s" {
		t.Error(err)
	}
	if n := len(r.keys.Load().byID); n != 1 {
		t.Errorf("%d keys in memory", n)
	}
	if did, err := In(share).Destroy(); did || err != nil {
		t.Errorf("an export was destroyed: %v, %v", did, err)
	}
	if now, err := os.ReadFile(filepath.Join(share, fileName)); err != nil || !bytes.Equal(now, raw) {
		t.Error("the export was written", err)
	}
	if err := In(dir).Export(In(share), []Share{{Purpose: CardSeal}}); err != nil || !cardMACGone(t, share, raw) {
		t.Errorf("a new export: %v", err)
	}
}

// TestCardMACInAReadOnlyFolder checks that a ring that cannot be written is used without the key.
func TestCardMACInAReadOnlyFolder(t *testing.T) {
	dir := t.TempDir()
	raw := ofBefore(t, dir)
	if err := os.Remove(filepath.Join(dir, lockName)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, lockName), 0o700); err != nil { // so that even root cannot write
		t.Fatal(err)
	}
	r, err := In(dir).Open(t0)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.keys.Load().byPurpose[cardMAC]) > 0 {
		t.Error("the key is in memory")
	}
	if now, err := os.ReadFile(filepath.Join(dir, fileName)); err != nil || !bytes.Equal(now, raw) {
		t.Error("the file changed", err)
	}
	if _, err := In(dir).Destroy(); err == nil {
		t.Error("a key that is still there was reported as destroyed")
	}
}
