package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// shop is a merchant's webhook receiver: it believes only what it can verify.
type shop struct {
	t      testing.TB
	server *httptest.Server

	mu      sync.Mutex
	hook    *standardwebhooks.Webhook
	types   []string
	bodies  []string
	refused []string
	closed  bool // answers 503
	knocked int  // while it was closed
}

func openShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{t: t}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			s.knocked++
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var event struct{ ID, Type string }
		if err == nil {
			err = s.hook.Verify(body, r.Header)
		}
		if err == nil {
			err = json.Unmarshal(body, &event)
		}
		if err != nil || event.ID != r.Header.Get("webhook-id") {
			s.refused = append(s.refused, string(body))
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.types, s.bodies = append(s.types, event.Type), append(s.bodies, string(body))
	}))
	t.Cleanup(s.server.Close)
	return s
}

// shut closes the shop's door, or opens it.
func (s *shop) shut(closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = closed
}

// knocks are the deliveries that found the door closed.
func (s *shop) knocks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knocked
}

// register makes the shop an endpoint of the merchant.
func (s *shop) register(key *client) {
	s.t.Helper()
	e := key.ok("POST", "/api/webhook-endpoints", `{"url":"`+s.server.URL+`/hooks"}`)
	hook, err := standardwebhooks.NewWebhook(str(s.t, e, "secret"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// heard waits for events of these types.
func (s *shop) heard(types ...string) {
	s.t.Helper()
	for _, want := range types {
		eventually(s.t, "a verified webhook "+want, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return slices.Contains(s.types, want)
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) > 0 {
		s.t.Errorf("deliveries that do not verify: %v", s.refused)
	}
}

func (s *shop) received() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.bodies, "\n")
}

// paymentsOf are the payments of a link, newest first.
func paymentsOf(key *client, l map[string]any) []map[string]any {
	key.t.Helper()
	return list(key.t, key.ok("GET", "/api/payments?link="+str(key.t, l, "id"), ""), "data")
}

// onePayment is the link's only payment, which has the status.
func onePayment(key *client, l map[string]any, status string) string {
	key.t.Helper()
	all := paymentsOf(key, l)
	if len(all) != 1 || all[0]["status"] != status {
		key.t.Fatalf("want one payment that %s, have %v", status, all)
	}
	return str(key.t, all[0], "id")
}

// TestStory is what the README promises, seen by the merchant over the API and
// by the payer in Chromium, in each shape that paylink is deployed in.
func TestStory(t *testing.T) {
	t.Parallel()
	for name, deploy := range shapes {
		t.Run(name, func(t *testing.T) { story(t, deploy(t)) })
	}
}

func story(t *testing.T, p *process) {
	b := openBrowser(t)
	s := openShop(t)
	user, key := p.merchant(t, "ada")
	refused := user.do("PUT", "/api/users", `{"paymentMethods":[{"type":"card","issuer":"simulator","currencies":["EUR","AFN"],"enabled":true}]}`)
	if refused.status != http.StatusBadRequest || !strings.Contains(string(refused.body), "AFN") {
		t.Errorf("a currency that nobody supports: %d %s", refused.status, refused.body)
	}
	if a := user.as("nonsense").do("PUT", "/api/users", `{"paymentMethods":[]}`); a.status != http.StatusUnauthorized {
		t.Errorf("a false token: %d", a.status)
	}
	s.register(key)
	// The steps are told in order on one server; each has a link of its own.
	storySteps := []struct {
		name string
		tell func(*testing.T, *process, *browser, *client)
	}{
		{"declined, paid, refunded", tellPaid},
		{"3-D Secure", tellChallenge},
		{"the answer is lost and found, live", tellLive},
		{"without JavaScript", tellPlain},
	}
	for _, step := range storySteps {
		t.Run(step.name, func(t *testing.T) {
			b.t = t
			step.tell(t, p, b, &client{t: t, url: key.url, bearer: key.bearer, check: p.client(t).check})
		})
	}
	b.t = t
	s.heard("link.created", "link.paid", "payment.created", "payment.processing", "payment.declined", "payment.succeeded",
		"payment.requires_action", "payment.unknown", "refund.created", "refund.succeeded")
	b.onlyOwnOrigin(p.url)
	searchWorld(t, p, key, s)
}

func tellPaid(t *testing.T, _ *process, b *browser, key *client) {
	body := `{"amount":"12.50","currency":"EUR","description":"Two tickets","reference":"order-1"}`
	first := key.do("POST", "/api/payment", body, "Idempotency-Key", "order-1")
	again := key.do("POST", "/api/payment", body, "Idempotency-Key", "order-1")
	if first.status != 200 || string(first.body) != string(again.body) || again.header.Get("Idempotent-Replayed") != "true" {
		t.Fatalf("the same request twice: %d %s, %d %s", first.status, first.body, again.status, again.body)
	}
	l := first.json
	page := str(t, l, "url")
	b.open(page)
	b.sees("Pay ada")
	b.picture("story-1-pay")
	b.pay("4000000000000002")
	b.sees("The payment was declined")
	b.click("a.button")
	b.sees("Pay ada")
	b.pay("4242424242424242")
	b.sees("Payment received")
	b.picture("story-2-receipt")
	if text := ask[string](b, `document.body.innerText`); !strings.Contains(text, "12.50") || !strings.Contains(text, "4242") {
		t.Errorf("the receipt says %q", text)
	}
	b.open(page)
	b.sees("Payment received")
	all := paymentsOf(key, l)
	if len(all) != 2 || all[0]["status"] != "succeeded" || all[1]["status"] != "declined" {
		t.Fatalf("payments %v", all)
	}
	id := str(t, all[0], "id")
	key.ok("POST", "/api/payments/"+id+"/refunds", `{"amount":"2.50"}`, "Idempotency-Key", "refund-1")
	eventually(t, "the refund is made", func() bool {
		return key.ok("GET", "/api/payments/"+id, "")["refundedAmount"] == "2.50"
	})
	b.open(page)
	b.sees("Paid, and refunded in part")
	if got := key.ok("GET", "/api/links/"+str(t, l, "id"), "")["status"]; got != "paid" {
		t.Errorf("the link is %v", got)
	}
}

func tellChallenge(t *testing.T, _ *process, b *browser, key *client) {
	for button, want := range map[string][2]string{"#approve": {"Payment received", "succeeded"}, "#fail": {"The payment was declined", "declined"}} {
		l := key.link(`"amount":"30"`)
		b.open(str(t, l, "url"))
		b.pay("4000000000003220")
		b.sees("Your bank wants to confirm it is you")
		b.click("a.button")
		b.sees("Confirm your payment")
		b.click(button)
		b.sees(want[0])
		if where := ask[string](b, `location.pathname`); where != tokenPath(t, l)+"/status" {
			t.Errorf("the payer came back to %s", where)
		}
		onePayment(key, l, want[1])
	}
}

func tellLive(t *testing.T, _ *process, b *browser, key *client) {
	l := key.link(`"amount":"8"`)
	b.open(str(t, l, "url"))
	b.pay("4000000000006108")
	b.sees("We are confirming your payment")
	b.picture("story-3-confirming")
	ask[bool](b, `window.sameDocument = true`)
	id := onePayment(key, l, "unknown")
	eventually(t, "reading the payment finds the issuer's answer", func() bool {
		return key.ok("GET", "/api/payments/"+id, "")["status"] == "succeeded"
	})
	b.sees("Payment received")
	if !ask[bool](b, `window.sameDocument === true`) {
		t.Error("the page was loaded again")
	}
	if said := ask[string](b, `document.getElementById("live").textContent`); said != "Payment received" {
		t.Errorf("a screen reader hears %q", said)
	}
}

func tellPlain(t *testing.T, _ *process, b *browser, key *client) {
	b.scripts(false)
	defer b.scripts(true)
	l := key.link(`"amount":"5"`)
	b.open(str(t, l, "url"))
	b.pay("4242 4242 4242 4241")
	b.run(chromedp.WaitVisible(css("#errors")))
	b.fill("4242 4242 4242 4242")
	// Without the script nothing holds a second post back: both are one attempt.
	b.run(chromedp.DoubleClick(css(payButton)))
	b.sees("Payment received")
	onePayment(key, l, "succeeded")
}
