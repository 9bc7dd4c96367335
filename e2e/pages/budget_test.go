package pages

import (
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// Budgets of the payment page.
const (
	maxPageBytes = 60_000 // transferred, headers too, with an empty cache
	maxPageFiles = 4      // the page, its style, its script, its icon
)

// visit is what pages asked for, without a cache.
type visit struct {
	mu       sync.Mutex
	requests map[network.RequestID]*network.EventRequestWillBeSent
	bytes    map[network.RequestID]float64
}

func (l *visit) heard(ev any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		// The page does not wait for what the script reports once it is loaded.
		if told := e.Request.Method == "POST" && strings.HasSuffix(e.Request.URL, "/seen"); !told {
			l.requests[e.RequestID] = e
		}
	case *network.EventLoadingFinished:
		if l.requests[e.RequestID] == nil {
			return
		}
		l.bytes[e.RequestID] += e.EncodedDataLength
	}
}

// transferred are the bytes of the page and of all that it names, headers too; 0 until
// all has come. The icon, which the browser fetches when it likes, is counted apart.
const transferred = `(() => {
  const [n] = performance.getEntriesByType("navigation");
  if (!n || !n.loadEventEnd) return 0;
  const named = performance.getEntriesByType("resource").filter(r => r.initiatorType !== "fetch");
  return n.transferSize + named.reduce((sum, r) => sum + r.transferSize, 0);
})()`

// TestPaymentPageBudget checks that the payment page is light, and loads in one round of requests
// from our own origin only, also in the language with the largest page.
func TestPaymentPageBudget(t *testing.T) {
	p, b := harness.Start(t), harness.OpenBrowser(t)
	_, key := p.Merchant(t, harness.Payee)
	l := &visit{requests: map[network.RequestID]*network.EventRequestWillBeSent{}, bytes: map[network.RequestID]float64{}}
	if err := chromedp.Listen(b.Ctx, l.heard); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(b.Ctx, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}); err != nil {
		t.Fatal(err)
	}
	address := harness.Str(t, key.Link(harness.LinkMembers+`,"amount":"1250.50"`), "url")
	for _, lang := range []string{"en", "de", "ar", "ja"} {
		at := address + "?lang=" + lang
		b.Open(at)
		total := 0.0
		await.Until(t, "all of the page has come", func() bool {
			total = harness.Ask[float64](b, transferred)
			return total > 0
		})
		holdRound(t, l, at, total)
	}
	b.OnlyOwnOrigin(p.URL)
	for _, policy := range b.Policies() {
		if strings.Contains(policy, "unsafe-inline") || !strings.Contains(policy, "script-src 'self'") {
			t.Errorf("the policy is %q", policy)
		}
	}
}

// holdRound checks what the page requested against the budgets: everything is named by the page
// itself, nothing by something that the page had to fetch first. What other pages requested does
// not count: an icon may come as late as the next page.
func holdRound(t *testing.T, l *visit, address string, total float64) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	own, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for id, r := range l.requests {
		if r.DocumentURL != address {
			continue
		}
		asked++
		u, err := url.Parse(r.Request.URL)
		if err != nil || u.Host != own.Host {
			t.Errorf("the page asked for %s", r.Request.URL)
		}
		if r.Type == network.ResourceTypeDocument {
			continue
		}
		icon := strings.HasSuffix(u.Path, ".svg") // requested by the browser itself; nothing waits for it
		if icon {
			total += l.bytes[id]
		}
		if !icon && (r.Initiator.Type != network.InitiatorTypeParser || r.Initiator.URL != address) {
			t.Errorf("%s was asked for by %s %s: a second round", r.Request.URL, r.Initiator.Type, r.Initiator.URL)
		}
	}
	if asked == 0 {
		t.Errorf("no request of %s was seen", address)
	}
	if asked > maxPageFiles {
		t.Errorf("%d requests, want at most %d", asked, maxPageFiles)
	}
	if total > maxPageBytes {
		t.Errorf("%.0f bytes were transferred, want at most %d", total, maxPageBytes)
	}
	t.Logf("%s: %d requests, %.0f bytes", address, asked, total)
}
