package story

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// TestMerchantStory is the merchant's first hour, in a browser from the sign-up on: a link is
// created, and paid in another tab; the payment appears by itself, is refunded, and is exported
// as a table for the accountant.
func TestMerchantStory(t *testing.T) {
	t.Parallel()
	p, b := harness.Start(t), harness.OpenBrowser(t)
	signUp(b, p.URL, "lovelace-books")
	b.Open(p.URL + "/dashboard/test/payments?lang=en")
	b.Text("No payments yet")
	b.Picture("merchant-1-empty")

	b.Click("main .empty a.primary")
	b.Sees("Create a link")
	address := makeLink(b)
	b.Picture("merchant-2-link")

	b.Open(p.URL + "/dashboard/test/payments")
	b.Text("No payments yet")
	payer := b.Tab()
	payer.Open(address)
	payer.Sees("Pay lovelace-books")
	payer.Run(chromedp.SendKeys(harness.CSS("#name"), "Charles Babbage"))
	payer.Pay("4242424242424242")
	payer.Sees("Payment received")

	b.Text("Charles Babbage") // by itself: nobody reloaded
	if n := harness.Ask[float64](b, `document.querySelectorAll("#live tbody tr").length`); n != 1 {
		t.Errorf("%v payments appeared", n)
	}
	b.Picture("merchant-3-appeared")
	refundInBrowser(b)
	exportInBrowser(b, p.URL)
	b.OnlyOwnOrigin(p.URL)
}

// signUp makes an account by the dashboard's own form.
func signUp(b *harness.Browser, url, name string) {
	b.T.Helper()
	b.Open(url + "/dashboard/sign-up?lang=en")
	b.Write("#username", name)
	b.Write("#email", name+"@example.com")
	b.Write("#password", harness.Password)
	b.Click("main form button[type=submit]")
	b.InDashboard()
}

// makeLink fills the form, looks at the preview, and gives the link's address.
func makeLink(b *harness.Browser) string {
	b.T.Helper()
	b.Write("#amount", "49,90")
	b.Write("#description", "Sketch of the Analytical Engine")
	b.Write("#reference", "INV-1843")
	for _, typed := range []string{"€49.90", "INV-1843"} {
		b.Reads("#preview", typed)
	}
	b.Click("main form button.primary")
	b.Text("The link is ready.")
	if !harness.Ask[bool](b, `document.querySelector(".qr img").naturalWidth > 0`) {
		b.T.Error("the QR code is no picture")
	}
	return harness.Ask[string](b, `document.querySelector("#url").value`)
}

func refundInBrowser(b *harness.Browser) {
	b.T.Helper()
	b.Click("#live tbody a.rowlink")
	b.Text("What happened")
	b.Picture("merchant-4-payment")
	b.Click(`main a[href$="/refund"]`)
	b.Sees("Refund this payment")
	b.Write("#amount", "9.90")
	b.Click("main form button.primary")
	b.Sees("Refund €9.90 to the payer?")
	b.Click("main form button.primary")
	b.Text("The refund was carried out.")
	b.Text("Partly refunded")
	b.Picture("merchant-5-refunded")
}

// exportInBrowser downloads the table, and reads it as a spreadsheet would.
func exportInBrowser(b *harness.Browser, url string) {
	b.T.Helper()
	b.Open(url + "/dashboard/test/payments")
	dir := b.T.TempDir()
	if _, err := chromedp.Call(b.Ctx, cdpbrowser.SetDownloadBehavior,
		cdpbrowser.SetDownloadBehaviorParams{Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir}); err != nil {
		b.T.Fatal(err)
	}
	b.Click(`main a[href*="payments.csv"]`)
	var rows [][]string
	await.Until(b.T, "the table is downloaded", func() bool {
		raw, err := os.ReadFile(filepath.Join(dir, "payments.csv"))
		if err != nil {
			return false
		}
		rows, err = csv.NewReader(strings.NewReader(string(raw))).ReadAll()
		return err == nil && len(rows) > 0
	})
	if len(rows) != 2 || rows[1][3] != "partially_refunded" || rows[1][6] != "49.90" || rows[1][9] != "9.90" ||
		rows[1][13] != "Charles Babbage" ||
		rows[1][17] != "INV-1843" {
		b.T.Errorf("%v", rows)
	}
}
