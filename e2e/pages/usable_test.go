//go:build !race

package pages

import (
	"math"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// maxUsableTime is in milliseconds from the navigation's start, on localhost.
const maxUsableTime = 100.0

// usable is when the form was painted and the script had run, in milliseconds; 0 while
// the browser does not know yet.
const usable = `(() => {
  const [n] = performance.getEntriesByType("navigation");
  const [p] = performance.getEntriesByName("first-contentful-paint");
  return n && n.domContentLoadedEventEnd && p ? Math.max(n.domContentLoadedEventEnd, p.startTime) : 0;
})()`

// TestPaymentPageIsUsableAtOnce opens the page until it is usable within the limit: other load on
// the machine may delay some loads, but not all. It runs without other tests.
func TestPaymentPageIsUsableAtOnce(t *testing.T) {
	p, b := harness.Start(t), harness.OpenBrowser(t)
	_, key := p.Merchant(t, harness.Payee)
	if _, err := chromedp.Call(b.Ctx, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}); err != nil {
		t.Fatal(err)
	}
	address := harness.Str(t, key.Link(harness.LinkMembers+`,"amount":"1250.50"`), "url")
	best := math.Inf(1)
	for start := time.Now(); best > maxUsableTime; {
		if time.Since(start) > 2*await.Patience {
			t.Fatalf("the page can be used after %.1f ms at best, want %.0f", best, maxUsableTime)
		}
		b.Open(address)
		await.Until(t, "the browser says when it could be used", func() bool {
			at := harness.Ask[float64](b, usable)
			if at > 0 && at < best {
				best = at
				t.Logf("usable after %.1f ms", best)
			}
			return at > 0
		})
	}
}
