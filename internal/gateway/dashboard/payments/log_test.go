package payments_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/payment"
)

// TestLogInWords: the page says why each step was made in the reader's language, with the code
// and the person that belong to it. What an early version wrote is shown as it stands.
func TestLogInWords(t *testing.T) {
	w := desktest.New(t)
	paid, declined := w.Paid(), w.Pay(w.Link(nil), desktest.Declining, nil)
	at := "/dashboard/test/payments/"
	w.Get(at+paid.ID).Has(t, "Authorization requested from the issuer", "Approved and captured by the issuer")
	w.Get(at+declined.ID).Has(t, "Declined by the issuer", "<code><bdi>card_declined</bdi></code>")
	w.Get(at+paid.ID, "Accept-Language", "de").Has(t, "Vom Herausgeber genehmigt und eingezogen")

	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "payment", "testdata", "stored.json"))
	if err != nil {
		t.Fatal(err)
	}
	var stored map[string]payment.Payment
	if err := json.Unmarshal(raw, &stored); err != nil {
		t.Fatal(err)
	}
	old := stored["review after a void"]
	old.Account, old.Link, old.Revision = w.Account, paid.Link, 1
	if err := w.Store.CommitPayment(t.Context(), payment.Change{ID: old.LastChange, Payment: old, Entries: old.Log}); err != nil {
		t.Fatal(err)
	}
	page := w.Get(at+old.ID, "Accept-Language", "de")
	page.Has(t, `<bdi lang="en" dir="ltr">void asked by the merchant</bdi>`,
		`<bdi lang="en" dir="ltr">the issuer approved EUR 10.01 instead of EUR 10.00</bdi>`,
		"Vom Herausgeber genehmigt") // approved was a word of that version, and is a code now
}
