package app

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/keyring"
)

// allowed is the table of docs/operate/keys.md: what a process of each target can do with each
// purpose. It must not be able to do anything else.
var allowed = map[string]map[keyring.Purpose]string{
	"gateway": {
		keyring.LinkSign:    "verify",
		keyring.SessionSign: "verify",
		keyring.WebhookSign: "verify",
		keyring.ReceiptSign: "verify",
		keyring.AnswerSeal:  "use",
		keyring.CardSeal:    "use",
		keyring.MACKey:      "use",
	},
	"users": {keyring.SessionSign: "use", keyring.StoreSeal: "use", keyring.TOTPSeal: "use",
		keyring.AnswerSeal: "use", keyring.MailSeal: "use"},
	"links":    {keyring.LinkSign: "use", keyring.LinkSeal: "use", keyring.AnswerSeal: "use"},
	"verifier": {keyring.LinkSign: "verify", keyring.LinkSeal: "use"},
	"payments": {},
	"transactions": {
		keyring.StoreSeal:   "use",
		keyring.AnswerSeal:  "use",
		keyring.CardSeal:    "use",
		keyring.ReceiptSign: "use",
	},
	"notifier": {
		keyring.WebhookSign: "use",
		keyring.WebhookSeal: "use",
		keyring.AnswerSeal:  "use",
		keyring.MailSeal:    "use",
		keyring.ReceiptSign: "use",
	},
	"fraud":     {keyring.AnswerSeal: "use", keyring.PuzzleMAC: "use"},
	"simulator": {keyring.CardSeal: "use"},
}

func does(act func()) (did bool) {
	defer func() { did = recover() == nil }()
	act()
	return true
}

// can finds out by trying what a key ring can do with a purpose.
func can(whole, r *keyring.Ring, p keyring.Purpose) string {
	switch p {
	case keyring.LinkSign, keyring.SessionSign, keyring.WebhookSign, keyring.ReceiptSign:
		kid, sig := whole.Sign(p, []byte("m"))
		switch {
		case does(func() { r.Sign(p, nil) }):
			return "use"
		case r.Verify(p, kid, []byte("m"), sig):
			return "verify"
		}
	case keyring.MACKey, keyring.PuzzleMAC:
		if does(func() { r.Authenticator(p).Tag(nil) }) {
			return "use"
		}
	default:
		_, err := r.Unseal(p, whole.Seal(p, []byte("m"), nil), nil)
		seals := does(func() { r.Seal(p, nil, nil) })
		if seals != (err == nil) {
			return "half"
		}
		if seals {
			return "use"
		}
	}
	return ""
}

// TestEachTargetHoldsItsShareAlone opens the keys as a process of each target does, from its
// export and from the whole ring, and tries everything.
func TestEachTargetHoldsItsShareAlone(t *testing.T) {
	dir := t.TempDir()
	whole, err := keyring.In(dir).Open(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(allowed) != len(targetSpecs) {
		t.Errorf("%d targets in the table, %d in the product", len(allowed), len(targetSpecs))
	}
	for target := range targetSpecs {
		folders := []string{dir}
		if want := shares([]string{target}); len(want) > 0 {
			export := filepath.Join(t.TempDir(), target)
			if err := keyring.In(dir).Export(keyring.In(export), want); err != nil {
				t.Fatal(err)
			}
			folders = append(folders, export)
		}
		for _, folder := range folders {
			r, err := keyring.In(folder).OpenShare(shares([]string{target}), time.Now())
			if err != nil {
				t.Fatalf("%s: %v", target, err)
			}
			for _, p := range keyring.Purposes {
				if got, want := can(whole, r, p), allowed[target][p]; got != want {
					t.Errorf("%s can %q with %s, and should %q", target, got, p, want)
				}
			}
		}
	}
	if both := shares([]string{"verifier", "links"}); !slices.Contains(both, keyring.Share{Purpose: keyring.LinkSign}) || len(both) != 3 {
		t.Errorf("two boxes in one process hold %v", both)
	}
}
