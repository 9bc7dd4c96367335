package story

import (
	"regexp"
	"strings"
	"testing"
	"time"

	sdk "github.com/paylink/paylink/client"
	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// TestDeveloperStory is the day of a developer with the command line and a local server: a link
// paid in a real browser, its webhook at the local server, failures caused by trigger, and a
// month that passes in a second.
func TestDeveloperStory(t *testing.T) {
	t.Parallel()
	p, terminal, key := harness.Developer(t)
	b := harness.OpenBrowser(t)
	_, secret, _ := strings.Cut(key, ":")
	c, err := sdk.New(p.URL, sdk.WithSecret(secret))
	if err != nil {
		t.Fatal(err)
	}

	// A local server receives everything; a second terminal watches.
	local := harness.NewReceiver(t)
	l := terminal.Start("listen", "--forward-to", local.URL+"/hooks")
	l.Says("listening to " + p.URL)
	local.Trust(regexp.MustCompile(`whsec_\S+`).FindString(l.Errs.String()))
	watch := terminal.Start("payments", "list", "--watch")
	watch.Says("REFERENCE")

	// A link, paid in the browser.
	made := harness.Decode[sdk.Link](
		t,
		terminal.OK("links", "create", "--amount", "12.50", "--description", "Two coffees", "--reference", "order-7", "--json"),
	)
	b.Open(made.URL)
	b.Pay("4242424242424242")
	b.Sees("Payment received")
	watch.Says("succeeded")
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

	// Failures.
	for event, shown := range map[string]string{"payment.declined": "declined", "payment.requires_action": "requires_action",
		"payment.review": "review"} {
		terminal.OK("trigger", event)
		watch.Says(shown)
		hears(t, local, event)
	}
	terminal.OK("payments", "refund", paid.ID, "--amount", "2.50", "--idempotency-key", "refund-7")
	hears(t, local, "refund.created", "refund.succeeded")

	aMonth(t, terminal, local)
	l.Stop()
	watch.Stop()
	got, bad := local.Events()
	if bad > 0 {
		t.Errorf("%d webhooks did not verify", bad)
	}
	if n := strings.Count(l.Out.String(), "→ 200 in "); n != len(got) {
		t.Errorf("listen shows %d answers, the local server gave %d", n, len(got))
	}
	for i, e := range got { // none is missing, none twice
		if i > 0 && e.Seq != got[i-1].Seq+1 {
			t.Errorf("seq %d after %d", e.Seq, got[i-1].Seq)
		}
	}
}

// aMonth: "expires in 30 days" takes a second.
func aMonth(t *testing.T, terminal *harness.Terminal, local *harness.Receiver) {
	t.Helper()
	rent := harness.Decode[sdk.Link](
		t,
		terminal.OK("links", "create", "--amount", "40.00", "--expires", "30d", "--reference", "rent", "--json"),
	)
	start := time.Now()
	clock := harness.Decode[sdk.Clock](t, terminal.OK("clock", "advance", "31d", "--json"))
	if ahead := time.Until(clock.Now).Hours() / 24; ahead < 30.9 || ahead > 31.1 {
		t.Errorf("the clock is %f days ahead", ahead)
	}
	if out := terminal.OK("links", "get", rent.ID); !strings.Contains(out, "expired") {
		t.Errorf("the rent is\n%s", out)
	}
	t.Logf("a month passed in %s", time.Since(start).Round(10*time.Millisecond))
	hears(t, local, "link.expired")
	expired := harness.Decode[sdk.Event](t, terminal.OK("trigger", "link.expired", "--json"))
	if expired.Type != "link.expired" || about(t, expired) == rent.ID {
		t.Errorf("%+v", expired)
	}
	if out := terminal.OK("clock", "get"); !strings.Contains(out, "744h1m1s ahead") {
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

// hears waits until the local server has received and verified these events.
func hears(t *testing.T, r *harness.Receiver, types ...string) {
	t.Helper()
	for _, want := range types {
		await.Until(t, "the local server hears of "+want, func() bool {
			for _, got := range r.Types() {
				if got == want {
					return true
				}
			}
			return false
		})
	}
}
