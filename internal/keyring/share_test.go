package keyring

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// panics reports whether f panics.
func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

// TestShareHoldsNoMore exports a share and inspects the file and the ring made from it: neither
// can be used for what is not in the share.
func TestShareHoldsNoMore(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "verifier")
	whole := at(t, dir, t0)
	shares := []Share{{LinkSign, true}, {Purpose: LinkSeal}}
	if err := In(dir).Export(In(to), shares); err != nil {
		t.Fatal(err)
	}
	secrets, _, err := In(dir).read()
	if err != nil {
		t.Fatal(err)
	}
	exported, err := os.ReadFile(filepath.Join(to, fileName))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{to, dir} { // an export, and the whole ring narrowed in memory
		r, err := In(folder).OpenShare(shares, t0)
		if err != nil {
			t.Fatal(err)
		}
		kid, sig := whole.Sign(LinkSign, []byte("m"))
		if !r.Verify(LinkSign, kid, []byte("m"), sig) {
			t.Errorf("%s: a good signature is refused", folder)
		}
		if plain, err := whole.Unseal(LinkSeal, r.Seal(LinkSeal, []byte("s"), nil), nil); err != nil || string(plain) != "s" {
			t.Errorf("%s: %v", folder, err)
		}
		for _, e := range r.keys.Load().byPurpose[LinkSign] {
			if e.private != nil {
				t.Errorf("%s: a private key is in memory", folder)
			}
		}
		if n := len(r.keys.Load().byID); n != 2 {
			t.Errorf("%s: %d keys are in memory", folder, n)
		}
		for name, act := range map[string]func(){
			"sign links":    func() { r.Sign(LinkSign, nil) },
			"sign sessions": func() { r.Sign(SessionSign, nil) },
			"seal answers":  func() { r.Seal(AnswerSeal, nil, nil) },
			"authenticate":  func() { r.Authenticator(MACKey).Tag(nil) },
		} {
			if !panics(act) {
				t.Errorf("%s: the share can %s", folder, name)
			}
		}
		if _, err := r.Unseal(AnswerSeal, whole.Seal(AnswerSeal, nil, nil), nil); err == nil {
			t.Errorf("%s: the share unseals answers", folder)
		}
		if strings.Count(string(r.JWKS()), `"kid"`) != 1 {
			t.Errorf("%s: %s", folder, r.JWKS())
		}
	}
	part, _, err := In(to).read()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range secrets.Keys {
		for _, p := range part.Keys {
			if e.Purpose != LinkSeal && string(e.Secret) == string(p.Secret) {
				t.Errorf("the export has the secret of %s", e.Purpose)
			}
		}
	}
	if strings.Contains(string(exported), "store-seal") {
		t.Errorf("the export names what it lacks: %s", exported)
	}
}

// TestShareRules: an export is never taken for a whole ring, nor changed in place, nor written
// over one, and it lacks what it lacks.
func TestShareRules(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "links")
	r := at(t, dir, t0)
	shares := []Share{{Purpose: LinkSign}}
	if err := In(dir).Export(In(to), shares); err != nil {
		t.Fatal(err)
	}
	refused := func(name string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
	_, err := In(to).Open(t0)
	refused("an export opened as a ring", err)
	_, err = In(to).Rotate(LinkSign, t0)
	refused("an export rotated", err)
	refused("an export revoked", In(to).Revoke(1, t0))
	refused("an export of an export", In(to).Export(In(t.TempDir()), shares))
	refused("an export over a ring", In(dir).Export(In(dir), shares))
	_, err = In(to).OpenShare([]Share{{Purpose: LinkSeal}}, t0)
	refused("a share that the export lacks", err)
	_, err = In(dir).OpenShare([]Share{{LinkSeal, true}}, t0)
	refused("the public part of a secret key", err)
	_, err = In(t.TempDir()).OpenShare(shares, t0)
	refused("a share of nothing", err)
	_, err = In(dir).RotateIn(LinkSign, t0, time.Second)
	refused("a rest that is too short", err)
	if none, err := In(t.TempDir()).OpenShare(nil, t0); err != nil || none.Reload() != nil {
		t.Errorf("a box without keys: %v", err)
	}
	// A rotation reaches the share through the next export, before it is active.
	share, err := In(to).OpenShare(shares, t0)
	if err != nil {
		t.Fatal(err)
	}
	kid, err := In(dir).RotateIn(LinkSign, t0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := In(dir).Export(In(to), shares); err != nil {
		t.Fatal(err)
	}
	if err := share.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, known := share.PublicKey(LinkSign, kid); !known {
		t.Error("the new key did not arrive")
	}
	if now, _ := share.Sign(LinkSign, nil); now == kid {
		t.Error("the new key did not rest")
	}
	if old, _ := r.Sign(LinkSign, nil); old == kid {
		t.Error("the old key is gone")
	}
	public := filepath.Join(t.TempDir(), "public")
	if err := In(dir).Export(In(public), []Share{{LinkSign, true}}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(public, fileName))
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(raw), `"public": "`, `"public": "A`, 1)
	if err := os.WriteFile(filepath.Join(public, fileName), []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = In(public).OpenShare([]Share{{LinkSign, true}}, t0)
	refused("a damaged public key", err)
}

// TestUpgradeAddsPurposes: opening or exporting a ring of an earlier version, which knew fewer
// purposes, adds what is missing and keeps the rest. A process that must not make keys returns
// an error that says what to do.
func TestUpgradeAddsPurposes(t *testing.T) {
	older := func(t *testing.T) (dir string, old *Ring) {
		t.Helper()
		dir = t.TempDir()
		old = at(t, dir, t0)
		if _, _, err := In(dir).change(func(f *file) error {
			f.Keys = slices.DeleteFunc(f.Keys, func(e entry) bool { return e.Purpose == MailSeal || e.Purpose == ReceiptSign })
			return nil
		}); err == nil {
			t.Fatal("an incomplete ring was written by this version")
		}
		f, _, err := In(dir).read()
		if err != nil {
			t.Fatal(err)
		}
		f.Keys = slices.DeleteFunc(f.Keys, func(e entry) bool { return e.Purpose == MailSeal || e.Purpose == ReceiptSign })
		raw, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := In(dir).write(raw); err != nil {
			t.Fatal(err)
		}
		return dir, old
	}
	same := func(t *testing.T, dir string, old *Ring) {
		t.Helper()
		r := at(t, dir, t0)
		kid, sig := old.Sign(LinkSign, []byte("m"))
		if !r.Verify(LinkSign, kid, []byte("m"), sig) {
			t.Error("the upgrade changed a key")
		}
		r.Sign(ReceiptSign, nil)
		r.Seal(MailSeal, nil, nil)
		if missing, err := In(dir).Missing(); err != nil || len(missing) > 0 {
			t.Errorf("still missing: %v, %v", missing, err)
		}
	}
	t.Run("open", func(t *testing.T) {
		dir, old := older(t)
		if missing, err := In(dir).Missing(); err != nil || !slices.Equal(missing, []Purpose{MailSeal, ReceiptSign}) {
			t.Errorf("missing: %v, %v", missing, err)
		}
		same(t, dir, old)
	})
	t.Run("export", func(t *testing.T) {
		dir, old := older(t)
		if err := In(dir).Export(In(filepath.Join(t.TempDir(), "notifier")), []Share{{Purpose: MailSeal}, {Purpose: ReceiptSign}}); err != nil {
			t.Fatal(err)
		}
		same(t, dir, old)
	})
	t.Run("share", func(t *testing.T) {
		dir, _ := older(t)
		if _, err := In(dir).OpenShare([]Share{{Purpose: MailSeal}}, t0); err == nil || !strings.Contains(err.Error(), "paylink keys create adds") {
			t.Errorf("%v", err)
		}
		if _, err := In(dir).OpenShare([]Share{{Purpose: LinkSign}}, t0); err != nil {
			t.Errorf("a box that needs none of the new keys: %v", err)
		}
	})
}
