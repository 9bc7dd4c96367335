package main_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// tab opens another tab of the same browser.
func (b *browser) tab() *browser {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	other := &browser{t: b.t, ctx: ctx, policies: map[string]string{}}
	if err := chromedp.Do(ctx); err != nil {
		b.t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, other.heard); err != nil {
		b.t.Fatal(err)
	}
	return other
}

// write types into a field, in place of what is there.
func (b *browser) write(selector, words string) {
	b.t.Helper()
	b.run(chromedp.WaitVisible(css(selector)), chromedp.Clear(css(selector)), chromedp.SendKeys(css(selector), words))
}

// TestMerchantStory is the merchant's first hour, in a browser from the sign-up on:
// a link is made, and paid in another tab; the payment appears by itself, is
// refunded, and goes to the accountant as a table.
func TestMerchantStory(t *testing.T) {
	t.Parallel()
	p, b := serve(t), openBrowser(t)
	b.signUp(p.url, "lovelace-books")
	b.open(p.url + "/dashboard/test/payments?lang=en")
	b.text("No payments yet")
	b.picture("merchant-1-empty")

	b.click("main .empty a.primary")
	b.sees("Create a link")
	address := b.makeLink()
	b.picture("merchant-2-link")

	b.open(p.url + "/dashboard/test/payments")
	b.text("No payments yet")
	payer := b.tab()
	payer.open(address)
	payer.sees("Pay lovelace-books")
	payer.run(chromedp.SendKeys(css("#name"), "Charles Babbage"))
	payer.pay("4242424242424242")
	payer.sees("Payment received")

	b.text("Charles Babbage") // by itself: nobody reloaded
	if n := ask[float64](b, `document.querySelectorAll("#live tbody tr").length`); n != 1 {
		t.Errorf("%v payments appeared", n)
	}
	b.picture("merchant-3-appeared")
	b.refundInBrowser()
	b.exportInBrowser(p.url)
	b.onlyOwnOrigin(p.url)
}

// signUp makes an account by the dashboard's own form.
func (b *browser) signUp(url, name string) {
	b.t.Helper()
	b.open(url + "/dashboard/sign-up?lang=en")
	b.write("#username", name)
	b.write("#email", name+"@example.com")
	b.write("#password", userPassword)
	b.click("main form button[type=submit]")
	b.inDashboard()
}

// makeLink fills the form, looks at the preview, and gives the link's address.
func (b *browser) makeLink() string {
	b.t.Helper()
	b.write("#amount", "49,90")
	b.write("#description", "Sketch of the Analytical Engine")
	b.write("#reference", "INV-1843")
	for _, typed := range []string{"€49.90", "INV-1843"} {
		b.reads("#preview", typed)
	}
	b.click("main form button.primary")
	b.text("The link is ready.")
	if !ask[bool](b, `document.querySelector(".qr img").naturalWidth > 0`) {
		b.t.Error("the QR code is no picture")
	}
	return ask[string](b, `document.querySelector("#url").value`)
}

func (b *browser) refundInBrowser() {
	b.t.Helper()
	b.click("#live tbody a.rowlink")
	b.text("What happened")
	b.picture("merchant-4-payment")
	b.click(`main a[href$="/refund"]`)
	b.sees("Refund this payment")
	b.write("#amount", "9.90")
	b.click("main form button.primary")
	b.sees("Refund €9.90 to the payer?")
	b.click("main form button.primary")
	b.text("The refund was carried out.")
	b.text("Partly refunded")
	b.picture("merchant-5-refunded")
}

// exportInBrowser downloads the table, and reads it as a spreadsheet would.
func (b *browser) exportInBrowser(url string) {
	b.t.Helper()
	b.open(url + "/dashboard/test/payments")
	dir := b.t.TempDir()
	if _, err := chromedp.Call(b.ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir}); err != nil {
		b.t.Fatal(err)
	}
	b.click(`main a[href*="payments.csv"]`)
	var rows [][]string
	eventually(b.t, "the table is downloaded", func() bool {
		raw, err := os.ReadFile(filepath.Join(dir, "payments.csv"))
		if err != nil {
			return false
		}
		rows, err = csv.NewReader(strings.NewReader(string(raw))).ReadAll()
		return err == nil && len(rows) > 0
	})
	if len(rows) != 2 || rows[1][3] != "partially_refunded" || rows[1][6] != "49.90" || rows[1][9] != "9.90" || rows[1][13] != "Charles Babbage" || rows[1][17] != "INV-1843" {
		b.t.Errorf("%v", rows)
	}
}
