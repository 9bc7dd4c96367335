// Package story tests what paylink promises to merchants, payers and developers, in each
// deployment.
package story

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
)

func TestMain(m *testing.M) { os.Exit(dynamotest.Main(m)) }

// TestStory is what the README promises, seen by the merchant over the API and by the payer in
// Chromium, and a month of an account's time, in each deployment of paylink.
func TestStory(t *testing.T) {
	for name, deploy := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := deploy(t)
			t.Run("time passes", func(t *testing.T) { timePasses(t, p) })
			t.Run("payments", func(t *testing.T) { story(t, p) }) // stops p
		})
	}
}

func story(t *testing.T, p *harness.Process) {
	b := harness.OpenBrowser(t)
	s := harness.OpenShop(t)
	user, key := p.Merchant(t, "ada")
	refused := user.Do(
		"PUT",
		"/api/users",
		`{"paymentMethods":[{"type":"card","issuer":"simulator","currencies":["EUR","AFN"],"enabled":true}]}`,
	)
	if refused.Status != http.StatusBadRequest || !strings.Contains(string(refused.Body), "AFN") {
		t.Errorf("a currency that nobody supports: %d %s", refused.Status, refused.Body)
	}
	if a := user.As("nonsense").Do("PUT", "/api/users", `{"paymentMethods":[]}`); a.Status != http.StatusUnauthorized {
		t.Errorf("a false token: %d", a.Status)
	}
	s.Register(key)
	// The steps run in order on one server; each has its own link.
	storySteps := []struct {
		name string
		run  func(*testing.T, *harness.Process, *harness.Browser, *harness.Client)
	}{
		{"declined, paid, refunded", storyPaid},
		{"3-D Secure", storyChallenge},
		{"the answer is lost and found, live", storyLive},
		{"without JavaScript", storyPlain},
	}
	for _, step := range storySteps {
		t.Run(step.name, func(t *testing.T) {
			b.T = t
			step.run(t, p, b, key.In(t))
		})
	}
	b.T = t
	s.Heard("link.created", "link.paid", "payment.created", "payment.processing", "payment.declined", "payment.succeeded",
		"payment.requires_action", "payment.unknown", "refund.created", "refund.succeeded")
	b.OnlyOwnOrigin(p.URL)
	harness.NoCardAnywhere(t, p, key, s)
}

func storyPaid(t *testing.T, _ *harness.Process, b *harness.Browser, key *harness.Client) {
	body := `{"amount":"12.50","currency":"EUR","description":"Two tickets","reference":"order-1"}`
	first := key.Do("POST", "/api/payment", body, "Idempotency-Key", "order-1")
	again := key.Do("POST", "/api/payment", body, "Idempotency-Key", "order-1")
	if first.Status != 200 || string(first.Body) != string(again.Body) || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Fatalf("the same request twice: %d %s, %d %s", first.Status, first.Body, again.Status, again.Body)
	}
	l := first.JSON
	page := harness.Str(t, l, "url")
	b.Open(page)
	b.Sees("Pay ada")
	b.Picture("story-1-pay")
	b.Pay("4000000000000002")
	b.Sees("The payment was declined")
	b.Click("a.button")
	b.Sees("Pay ada")
	b.Pay("4242424242424242")
	b.Sees("Payment received")
	b.Picture("story-2-receipt")
	if text := harness.Ask[string](b, `document.body.innerText`); !strings.Contains(text, "12.50") || !strings.Contains(text, "4242") {
		t.Errorf("the receipt says %q", text)
	}
	b.Open(page)
	b.Sees("Payment received")
	all := harness.PaymentsOf(key, l)
	if len(all) != 2 || all[0]["status"] != "succeeded" || all[1]["status"] != "declined" {
		t.Fatalf("payments %v", all)
	}
	id := harness.Str(t, all[0], "id")
	key.OK("POST", "/api/payments/"+id+"/refunds", `{"amount":"2.50"}`, "Idempotency-Key", "refund-1")
	await.Until(t, "the refund is made", func() bool {
		return key.OK("GET", "/api/payments/"+id, "")["refundedAmount"] == "2.50"
	})
	b.Open(page)
	b.Sees("Paid, and refunded in part")
	if got := key.OK("GET", "/api/links/"+harness.Str(t, l, "id"), "")["status"]; got != "paid" {
		t.Errorf("the link is %v", got)
	}
}

func storyChallenge(t *testing.T, _ *harness.Process, b *harness.Browser, key *harness.Client) {
	for button, want := range map[string][2]string{"#approve": {"Payment received", "succeeded"},
		"#fail": {"The payment was declined", "declined"}} {
		l := key.Link(`"amount":"30"`)
		b.Open(harness.Str(t, l, "url"))
		b.Pay("4000000000003220")
		b.Sees("Your bank wants to confirm it is you")
		b.Click("a.button")
		b.Sees("Confirm your payment")
		b.Click(button)
		b.Sees(want[0])
		if where := harness.Ask[string](b, `location.pathname`); where != harness.TokenPath(t, l)+"/status" {
			t.Errorf("the payer came back to %s", where)
		}
		harness.OnePayment(key, l, want[1])
	}
}

func storyLive(t *testing.T, _ *harness.Process, b *harness.Browser, key *harness.Client) {
	l := key.Link(`"amount":"8"`)
	b.Open(harness.Str(t, l, "url"))
	b.Pay("4000000000006108")
	b.Sees("We are confirming your payment")
	b.Picture("story-3-confirming")
	harness.Ask[bool](b, `window.sameDocument = true`)
	id := harness.OnePayment(key, l, "unknown")
	await.Until(t, "reading the payment finds the issuer's answer", func() bool {
		return key.OK("GET", "/api/payments/"+id, "")["status"] == "succeeded"
	})
	b.Sees("Payment received")
	if !harness.Ask[bool](b, `window.sameDocument === true`) {
		t.Error("the page was loaded again")
	}
	if said := harness.Ask[string](b, `document.getElementById("live").textContent`); said != "Payment received" {
		t.Errorf("a screen reader hears %q", said)
	}
}

func storyPlain(t *testing.T, _ *harness.Process, b *harness.Browser, key *harness.Client) {
	b.Scripts(false)
	defer b.Scripts(true)
	l := key.Link(`"amount":"5"`)
	b.Open(harness.Str(t, l, "url"))
	b.Pay("4242 4242 4242 4241")
	b.Run(chromedp.WaitVisible(harness.CSS("#errors")))
	b.Fill("4242 4242 4242 4242")
	// Without the script nothing holds back a second post: both are one attempt.
	b.Run(chromedp.DoubleClick(harness.CSS(harness.PayButton)))
	b.Sees("Payment received")
	harness.OnePayment(key, l, "succeeded")
}

// shapes are the deployments in which the story is tested.
var shapes = map[string]func(*testing.T) *harness.Process{
	"embedded": func(t *testing.T) *harness.Process { return harness.Start(t) },
	"one process on PostgreSQL": func(t *testing.T) *harness.Process {
		harness.StoreOn(t, pgtest.Database(t))
		return harness.Start(t)
	},
	"split on PostgreSQL":              func(t *testing.T) *harness.Process { return harness.Deploy(t, pgtest.Database(t), false).Front() },
	"split on PostgreSQL and DynamoDB": func(t *testing.T) *harness.Process { return harness.Distribute(t, dynamotest.URL(t)).Front() },
}
