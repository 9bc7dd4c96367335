package receipt_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/receipt"
)

var t0 = time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)

func paid() (payment.Payment, link.Link) {
	l := link.Link{ID: "lnk_1", Account: "acct_1", Mode: link.Live, Payee: "Ada's <b>shop</b> ü", Form: "frm_1",
		RedirectURL: "https://Shop.example/thanks?x=1"}
	return payment.Payment{ID: "pay_1", Account: l.Account, Link: l.ID, Mode: l.Mode, Status: payment.PartiallyRefunded,
		Amount:        money.Of(1250, "EUR"),
		CapturedMinor: 1250, RefundedMinor: 250, Reference: "order-1", CardBrand: "visa", CardLast4: "4242", PayerName: "Pat Payer",
		PayerEmail: "pat@example.com", CreatedAt: t0.Add(-time.Hour), UpdatedAt: t0}, l
}

func sign(t *testing.T, ring *keyring.Ring) (string, receipt.Statement) {
	t.Helper()
	s := receipt.Of(paid())
	s.Issuer = "https://pay.example"
	token, err := receipt.Sign(ring, s)
	if err != nil {
		t.Fatal(err)
	}
	return token, s
}

// TestReceiptIsCheckedOffline: the statement is read back from the token and the published keys
// alone.
func TestReceiptIsCheckedOffline(t *testing.T) {
	ring := keyring.NewMemory(t0)
	token, want := sign(t, ring)
	published, err := keyring.ParseJWKS(ring.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string]receipt.Keys{"published keys": published, "ring": ring} {
		got, err := receipt.Verify(keys, token)
		if err != nil || len(got.KeyID) != 8 {
			t.Fatalf("%s: %+v, %v", name, got, err)
		}
		if got.KeyID = ""; got != want {
			t.Errorf("%s: read\n%+v\nsigned\n%+v", name, got, want)
		}
	}
	if want.Audience != "https://shop.example" || want.Card != "visa 4242" || !want.Paid() || want.Refunded != money.Of(250, "EUR") {
		t.Errorf("statement %+v", want)
	}
	if !receipt.Looks(token) || receipt.Looks("a.b.c") || receipt.Looks("") {
		t.Error("the shape of a receipt is not recognised")
	}
	if len(token) > receipt.MaxChars/2 {
		t.Errorf("%d characters", len(token))
	}
	plain, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || strings.Contains(string(plain), "Pat") || strings.Contains(string(plain), "example.com") {
		t.Errorf("a receipt names the payer: %s, %v", plain, err)
	}
}

// TestAnAlteredReceiptIsRefused flips every character, and tries what a forger would: other
// parts, other keys, other kinds of token, another spelling.
func TestAnAlteredReceiptIsRefused(t *testing.T) {
	ring := keyring.NewMemory(t0)
	token, s := sign(t, ring)
	refused := func(name, bad string, keys receipt.Keys) {
		t.Helper()
		if got, err := receipt.Verify(keys, bad); !errors.Is(err, receipt.ErrReceipt) || got != (receipt.Statement{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for i := range len(token) {
		other := byte('A')
		if token[i] == 'A' {
			other = 'B'
		}
		refused("flipped", token[:i]+string(other)+token[i+1:], ring)
	}
	for i := range len(token) {
		refused("cut", token[:i], ring)
	}
	parts := strings.Split(token, ".")
	encode := base64.RawURLEncoding.EncodeToString
	none := encode([]byte(`{"alg":"none","kid":"` + s.KeyID + `","typ":"paylink-receipt+jwt"}`))
	refused("alg none", none+"."+parts[1]+".", ring)
	// One of our keys that signs something else, over the exact bytes of a receipt.
	for _, p := range []keyring.Purpose{keyring.LinkSign, keyring.SessionSign, keyring.WebhookSign} {
		signer := ring.Signer(p)
		head := encode([]byte(`{"alg":"EdDSA","kid":"` + keyring.FormatKeyID(signer.KeyID()) + `","typ":"paylink-receipt+jwt"}`))
		refused(string(p), head+"."+parts[1]+"."+encode(signer.SignMessage([]byte(head+"."+parts[1]))), ring)
	}
	// The receipt key, over a token of another type.
	signer := ring.Signer(keyring.ReceiptSign)
	head := encode([]byte(`{"alg":"EdDSA","kid":"` + keyring.FormatKeyID(signer.KeyID()) + `","typ":"JWT"}`))
	refused("another type", head+"."+parts[1]+"."+encode(signer.SignMessage([]byte(head+"."+parts[1]))), ring)
	// The receipt key, under the name of another algorithm.
	head = encode([]byte(`{"alg":"ES256","kid":"` + keyring.FormatKeyID(signer.KeyID()) + `","typ":"paylink-receipt+jwt"}`))
	refused("another algorithm", head+"."+parts[1]+"."+encode(signer.SignMessage([]byte(head+"."+parts[1]))), ring)
	refused("another ring", token, keyring.NewMemory(t0))
	refused("padded", parts[0]+"."+parts[1]+"."+parts[2]+"==", ring)
	refused("with a line break", parts[0]+"\n."+parts[1]+"."+parts[2], ring)
	refused("four parts", token+".", ring)
	refused("too long", token+strings.Repeat("A", receipt.MaxChars), ring)
}

// TestReceiptsOutliveRotation: a receipt is kept with the books; only revoking its key
// invalidates it.
func TestReceiptsOutliveRotation(t *testing.T) {
	dir := t.TempDir()
	ring, err := keyring.In(dir).Open(t0)
	if err != nil {
		t.Fatal(err)
	}
	token, _ := sign(t, ring)
	for year := 1; year <= 9; year++ {
		if _, err := keyring.In(dir).Rotate(keyring.ReceiptSign, t0.AddDate(year, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ring.Reload(); err != nil {
		t.Fatal(err)
	}
	s, err := receipt.Verify(ring, token)
	if err != nil {
		t.Fatalf("after nine rotations: %v", err)
	}
	kid, _ := keyring.ParseKeyID(s.KeyID)
	if err := keyring.In(dir).Revoke(kid, t0); err != nil {
		t.Fatal(err)
	}
	if err := ring.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := receipt.Verify(ring, token); !errors.Is(err, receipt.ErrReceipt) {
		t.Errorf("under a revoked key: %v", err)
	}
}
