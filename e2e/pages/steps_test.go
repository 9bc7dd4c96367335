package pages

import (
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// TestF32BrowsersTellSteps checks that a fetched page leaves no trace, that a page viewed by a
// person counts as opened, and as started once they type, and that without scripts it counts when
// the payment is submitted.
func TestF32BrowsersTellSteps(t *testing.T) {
	t.Parallel()
	p, b := harness.Start(t), harness.OpenBrowser(t)
	_, key := p.Merchant(t, "ada")
	steps := func(l map[string]any, column string) (n int) {
		if err := harness.OpenReports(t, p.Data).QueryRowContext(t.Context(), "SELECT "+column+" FROM report_links WHERE id = $1",
			l["id"]).Scan(&n); err != nil {
			return -1
		}
		return n
	}
	read, looked, plain := key.Link(`"amount":"7"`), key.Link(`"amount":"7"`), key.Link(`"amount":"7"`)
	key.As("").Do("GET", harness.TokenPath(t, read), "", "Accept", "text/html")
	b.Open(p.URL + harness.TokenPath(t, looked))
	await.Until(t, "the link counts as opened", func() bool { return steps(looked, "seen") == 1 })
	b.Fill("4242424242424242")
	await.Until(t, "the link counts as started", func() bool { return steps(looked, "seen") == 3 })
	b.Scripts(false)
	b.Open(p.URL + harness.TokenPath(t, plain))
	b.Pay("4242424242424242")
	await.Until(t, "the plain browser's link counts as submitted and paid", func() bool { return steps(plain, "steps") == 12 })
	if n := steps(read, "seen"); n != 0 {
		t.Errorf("who only read the link is counted: %d", n)
	}
	b.OnlyOwnOrigin(p.URL)
}
