package pages

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/issuer/simulator"
)

// watchReturn makes the page note, before it is left, how it comes back: whether
// it was kept, and what its card fields then hold.
const watchReturn = `addEventListener("pageshow", e => sessionStorage.setItem("return",
  JSON.stringify({kept: e.persisted, typed: document.querySelector("#number").value + document.querySelector("#cvc").value}))); true`

// TestF14DoubleClickRefreshBackButton pays with a double click, refreshes, goes back and presses
// again: in a browser that restores the page as it was left, including the card, and in one that
// fetches it again; with our script and without.
func TestF14DoubleClickRefreshBackButton(t *testing.T) {
	t.Parallel()
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	for _, c := range []struct {
		name    string
		without []string
		script  bool
	}{
		{"page kept, script", nil, true},
		{"page kept, no script", nil, false},
		{"page fetched again, script", []string{harness.KeepsNoStore}, true},
		{"page fetched again, no script", []string{harness.KeepsNoStore}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept := len(c.without) == 0
			// The browser decides whether to keep a page: a busy machine may make it fetch one
			// again. Then that case is checked, and the other is tried again.
			for range keepTries {
				b := harness.OpenBrowser(t, c.without...)
				b.Scripts(c.script)
				if goBackAndPayAgain(t, p, b, key.In(t), kept, c.script) {
					return
				}
			}
			t.Fatalf("the browser kept the page in none of %d tries", keepTries)
		})
	}
}

// keepTries is how often a browser is asked to keep a page.
const keepTries = 4

// goBackAndPayAgain reports whether the browser kept the page, or not, as wanted.
func goBackAndPayAgain(t *testing.T, p *harness.Process, b *harness.Browser, key *harness.Client, want, script bool) bool {
	t.Helper()
	l := key.Link(`"amount":"6"`)
	b.Open(harness.Str(t, l, "url"))
	harness.Ask[bool](b, watchReturn)
	b.Fill("4242424242424242")
	b.Run(chromedp.DoubleClick(harness.CSS(harness.PayButton)))
	b.Sees("Payment received")
	b.Run(chromedp.Reload())
	b.Sees("Payment received")
	id := harness.OnePayment(key, l, "succeeded")

	kept := b.Back()
	if kept && !want {
		t.Fatal("the browser kept a page that it was told not to keep")
	}
	switch {
	case kept && script:
		// The restored page has no card any more, and is replaced before it can be used.
		b.Sees("Payment received")
		if noted := harness.Ask[string](b, `sessionStorage.getItem("return")`); noted != `{"kept":true,"typed":""}` {
			t.Errorf("the page came back as %s", noted)
		}
	case kept:
		// None of our scripts run in it: the form is shown as it was sent. The same attempt is
		// the same payment, with the same card or another.
		b.Sees("Pay ada")
		b.Press(harness.PayButton)
		b.Sees("Payment received")
		b.Back()
		b.Sees("Pay ada")
		harness.Ask[string](b, `document.querySelector("#number").value = "5555555555554444"`)
		b.Press(harness.PayButton)
		b.Sees("Payment received")
	case want:
		t.Logf("the browser did not keep the page: %v", b.NotKept())
		b.Sees("Payment received")
	default:
		b.FetchedBecause(page.BackForwardCacheNotRestoredReasonMainResourceHasCacheControlNoStore)
		b.Sees("Payment received")
	}
	if harness.Ask[bool](b, `document.getElementById("pay") !== null`) {
		t.Error("there is a form to pay with")
	}
	if again := harness.OnePayment(key, l, "succeeded"); again != id {
		t.Errorf("payment %s became %s", id, again)
	}
	if n := harness.Authorized(t, p, id); n != 1 {
		t.Errorf("the issuer's book has %d authorisations", n)
	}
	book, err := simulator.OpenBook(filepath.Join(p.Data, "simulator.book"))
	if err != nil {
		t.Fatal(err)
	}
	if last := book[len(book)-1]; last.Kind != simulator.KindAuthorize || !strings.HasPrefix(last.Reference, id) {
		t.Errorf("after the payment the issuer was asked for %v", last)
	}
	return kept == want
}
