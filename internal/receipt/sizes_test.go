package receipt_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/receipt"
	"github.com/paylink/paylink/internal/store/storetest"
)

// TestTheLargestReceiptIsRead: Verify accepts the receipt of the largest payment, and its link
// fits a QR code.
func TestTheLargestReceiptIsRead(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	ring := keyring.NewMemory(storetest.Epoch)
	public := "https://" + strings.Repeat("p", link.MaxPublicURLBytes-len("https://"))
	for name, from := range storetest.Alphabets {
		request := storetest.LargestRequest(r, "acct_1", from)
		l := storetest.NewLink("acct_1", 1)
		l.Payee, l.Reference, l.RedirectURL = request.Payee, request.Reference, "https://"+strings.Repeat("h", 250)+".example/"
		p := storetest.LargestPayment(t, r, l, public+"/l/t", from, func(payment.Change) {})
		s := receipt.Of(p, l)
		s.Issuer = public
		signed, err := receipt.Sign(ring, s)
		if err != nil || len(signed) > receipt.MaxChars {
			t.Errorf("%s: a receipt of %d characters, %v", name, len(signed), err)
		}
	}
	if _, err := link.QRSVG(public + "/l/" + strings.Repeat("t", link.MaxTokenChars)); err != nil {
		t.Error(err)
	}
}
