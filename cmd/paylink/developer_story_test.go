package main_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	sdk "github.com/paylink/paylink/client"
)

// TestDeveloperStory is the day of a developer who has the command line and a local
// server: a link paid in a real browser, told to the local server as a webhook, what
// goes wrong in life made to happen by trigger, and a month that passes in a second.
func TestDeveloperStory(t *testing.T) {
	t.Parallel()
	p, terminal, key := developer(t)
	b := openBrowser(t)
	_, secret, _ := strings.Cut(key, ":")
	c, err := sdk.New(p.url, sdk.WithSecret(secret))
	if err != nil {
		t.Fatal(err)
	}

	// A local server hears of everything; a second terminal watches.
	local := newReceiver(t)
	l := terminal.start("listen", "--forward-to", local.URL+"/hooks")
	l.says("listening to " + p.url)
	local.trust(regexp.MustCompile(`whsec_\S+`).FindString(l.errs.String()))
	watch := terminal.start("payments", "list", "--watch")
	watch.says("REFERENCE")

	// A link, paid in the browser.
	made := object[sdk.Link](t, terminal.ok("links", "create", "--amount", "12.50", "--description", "Two coffees", "--reference", "order-7", "--json"))
	b.open(made.URL)
	b.pay("4242424242424242")
	b.sees("Payment received")
	watch.says("succeeded")
	hears(t, local, "link.created", "payment.created", "payment.processing", "payment.succeeded", "link.paid")
	var paid sdk.Payment
	for one, err := range c.Payments.All(t.Context(), sdk.PaymentFilter{Link: made.ID}) {
		if err != nil {
			t.Fatal(err)
		}
		paid = one
	}
	if paid.Status != sdk.PaymentSucceeded || paid.Reference != "order-7" {
		t.Fatalf("%+v", paid)
	}

	// What goes wrong in life.
	for event, shown := range map[string]string{"payment.declined": "declined", "payment.requires_action": "requires_action", "payment.review": "review"} {
		terminal.ok("trigger", event)
		watch.says(shown)
		hears(t, local, event)
	}
	terminal.ok("payments", "refund", paid.ID, "--amount", "2.50", "--idempotency-key", "refund-7")
	hears(t, local, "refund.created", "refund.succeeded")

	aMonth(t, terminal, local)
	l.stop()
	watch.stop()
	local.mu.Lock()
	defer local.mu.Unlock()
	if local.bad > 0 {
		t.Errorf("%d webhooks did not verify", local.bad)
	}
	if n := strings.Count(l.out.String(), "→ 200 in "); n != len(local.got) {
		t.Errorf("listen shows %d answers, the local server gave %d", n, len(local.got))
	}
	for i, e := range local.got { // none is missing, none twice
		if i > 0 && e.Seq != local.got[i-1].Seq+1 {
			t.Errorf("seq %d after %d", e.Seq, local.got[i-1].Seq)
		}
	}
}

// aMonth: "expires in 30 days" takes a second.
func aMonth(t *testing.T, terminal *terminal, local *receiver) {
	t.Helper()
	rent := object[sdk.Link](t, terminal.ok("links", "create", "--amount", "40.00", "--expires", "30d", "--reference", "rent", "--json"))
	start := time.Now()
	clock := object[sdk.Clock](t, terminal.ok("clock", "advance", "31d", "--json"))
	if ahead := time.Until(clock.Now).Hours() / 24; ahead < 30.9 || ahead > 31.1 {
		t.Errorf("the clock is %f days ahead", ahead)
	}
	if out := terminal.ok("links", "get", rent.ID); !strings.Contains(out, "expired") {
		t.Errorf("the rent is\n%s", out)
	}
	t.Logf("a month passed in %s", time.Since(start).Round(10*time.Millisecond))
	hears(t, local, "link.expired")
	expired := object[sdk.Event](t, terminal.ok("trigger", "link.expired", "--json"))
	if expired.Type != "link.expired" || about(t, expired) == rent.ID {
		t.Errorf("%+v", expired)
	}
	if out := terminal.ok("clock", "get"); !strings.Contains(out, "744h1m1s ahead") {
		t.Errorf("clock get: %s", out)
	}
}

func about(t *testing.T, e sdk.Event) string {
	t.Helper()
	l, err := e.Link()
	if err != nil {
		t.Fatal(err)
	}
	return l.ID
}

// hears waits until the local server was told of these, verified.
func hears(t *testing.T, r *receiver, types ...string) {
	t.Helper()
	for _, want := range types {
		eventually(t, "the local server hears of "+want, func() bool {
			for _, got := range r.types() {
				if got == want {
					return true
				}
			}
			return false
		})
	}
}
