package story

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fraud/rulebook"
)

// The addresses of the story: a card tester has a few, honest payers have one each.
const (
	testerAddress   = "203.0.113.7"
	testerElsewhere = "198.51.100.23"
)

// fraudStory is a merchant who is card-tested, in a browser, with payers and testers
// over real HTTP.
type fraudStory struct {
	t   *testing.T
	p   *harness.Process
	b   *harness.Browser
	key *harness.Client

	shop   map[string]any // the link that is tested
	second map[string]any // another link of the same merchant
	large  map[string]any
	tries  int
}

// TestFraudStory is a merchant's first attack. Cards are tested on a link, and the shield raises
// its level. The merchant reads the figures, labels what turned out to be fraud, writes a rule
// with a mistake in it, corrects it, tests it on past payments, runs it in shadow, sees what it
// would do, and enables it. New attempts of the testers are blocked, and their payer sees a
// neutral decline. A second rule holds large payments, and the queue is cleared: one approved,
// one declined, one refunded as fraud.
func TestFraudStory(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, "--trusted-proxies", "127.0.0.1/32")
	s := &fraudStory{t: t, p: p, b: harness.OpenBrowser(t)}
	_, s.key = p.Merchant(t, "babbage-tickets")
	s.shop, s.second = s.key.Link(
		harness.LinkMembers+`,"amount":"1.00","maxUses":null`,
	), s.key.Link(
		harness.LinkMembers+`,"amount":"30","maxUses":null`,
	)
	s.large = s.key.Link(harness.LinkMembers + `,"amount":"250","maxUses":null`)
	s.b.SignIn(p.URL, "babbage-tickets")
	s.b.Open(p.URL + "/dashboard/test/fraud?lang=en")
	s.b.Text("Nobody tried to pay in this period")

	honest := s.honestPayers()
	stolen := s.attack()
	s.looks()
	s.marks(honest, stolen)
	rule := s.writesRule()
	s.shadows(rule)
	s.switchesOn(rule)
	s.blocked(rule)
	s.switchesDefault()
	s.holds()
	s.clearsQueue()
	s.afterwards()
	s.b.OnlyOwnOrigin(p.URL)
}

// tries pays a link from an address, as a page's script does.
func (s *fraudStory) try(l map[string]any, address, number string) harness.Answer {
	s.t.Helper()
	s.tries++
	body := fmt.Sprintf(
		`{"attempt":"story-attempt-%06d","payer":{"name":"Payer %d","email":"payer%d@example.com"},"card":{"number":%q,"expMonth":12,"expYear":2034,"cvc":"739"}}`,
		s.tries,
		s.tries,
		s.tries,
		number,
	)
	return s.key.As("").Do("POST", harness.TokenPath(s.t, l)+"/payments", body, "X-Forwarded-For", address)
}

// newest payment of a link, as the merchant sees it.
func (s *fraudStory) newest(l map[string]any) map[string]any {
	s.t.Helper()
	return harness.List(s.t, s.key.OK("GET", "/api/payments?link="+harness.Str(s.t, l, "id"), ""), "data")[0]
}

// honestPayers pay once each, from their own addresses, and returns the first payment.
func (s *fraudStory) honestPayers() string {
	s.t.Helper()
	for i, number := range []string{"4242424242424242", "5555555555554444", "378282246310005", "6011111111111117"} {
		if a := s.try(s.second, fmt.Sprintf("192.0.%d.5", 2+i), number); a.JSON["status"] != "succeeded" {
			s.t.Fatalf("an honest payer: %d %s", a.Status, a.Body)
		}
	}
	return harness.Str(s.t, harness.List(s.t, s.key.OK("GET", "/api/payments?link="+harness.Str(s.t, s.second, "id"), ""), "data")[0], "id")
}

// attack tests stolen cards on one link from two addresses: one works, the rest is declined,
// until the shield refuses, which it does once the answers have reached it, and for a while
// after. It returns the payment of the card that worked.
func (s *fraudStory) attack() string {
	s.t.Helper()
	worked, declined, refused := "", 0, 0
	deadline := time.Now().Add(await.Patience)
	for i := 0; refused < 20 && time.Now().Before(deadline); i++ {
		address, number := testerAddress, harness.StolenCard(i)
		if i%3 == 2 {
			address = testerElsewhere
		}
		if i == 4 {
			number = "4111111111111111"
		}
		a := s.try(s.shop, address, number)
		switch {
		case a.Status == 429:
			refused++
		case a.JSON["status"] == "succeeded":
			worked = harness.Str(s.t, a.JSON, "id")
		case a.Status == http.StatusPaymentRequired:
			declined++
		}
	}
	if worked == "" || declined < 6 || refused < 20 {
		s.t.Fatalf("of %d attempts %d were declined by the issuer and %d refused by the shield; worked: %q", s.tries, declined, refused, worked)
	}
	s.t.Logf("%d attempts reached the issuer and were declined, %d were refused by the shield", declined, refused)
	return worked
}

// looks opens the figures until the attack is in them.
func (s *fraudStory) looks() {
	s.t.Helper()
	s.reload("/dashboard/test/fraud", "the figures show the attack", func() bool {
		return harness.Ask[bool](
			s.b,
			`[...document.querySelectorAll(".figures > div")].some(e => e.innerText.includes("Refused by the shield") && Number(e.querySelector(".value").innerText) >= 10)`,
		)
	})
	s.b.Text("Nothing can be said yet.")     // of fraud: nothing is labeled yet
	s.b.Text("because no model was running") // honest about scores, too
	s.b.Picture("fraud-story-1-attack")
}

// reload reloads a page until it is as expected: the analytics store lags a moment.
func (s *fraudStory) reload(path, what string, so func() bool) {
	s.t.Helper()
	await.Until(s.t, what, func() bool {
		ctx, cancel := context.WithTimeout(s.b.Ctx, await.Patience)
		defer cancel()
		// A form that is still being sent replaces the page: try again.
		return chromedp.Do(ctx, chromedp.Navigate(s.p.URL+path)) == nil && so()
	})
}

// marks labels one payment as honest, and the tested card's as fraud.
func (s *fraudStory) marks(honest, stolen string) {
	s.t.Helper()
	for id, label := range map[string]string{honest: "legitimate", stolen: "fraud"} {
		s.b.Open(s.p.URL + "/dashboard/test/payments/" + id)
		s.b.Click(`main form[action$="/mark"] button[value="` + label + `"]`)
		await.Until(s.t, "the payment is marked "+label, func() bool {
			risk, _ := s.key.OK("GET", "/api/payments/"+id, "")["risk"].(map[string]any)
			return risk["label"] == label
		})
		s.b.Text("The mark was kept.")
	}
}

// condition types one over what is there.
func (s *fraudStory) condition(when string) {
	s.t.Helper()
	s.b.Run(chromedp.WaitVisible(harness.CSS("#when")))
	harness.Ask[any](s.b, `document.querySelector("#when").value = "", null`)
	s.b.Run(chromedp.SendKeys(harness.CSS("#when"), when))
}

// writesRule makes a mistake, which is reported with its position while it is typed and again
// when it is sent, corrects it, tests the rule, and keeps it in shadow.
func (s *fraudStory) writesRule() string {
	s.t.Helper()
	s.b.Open(s.p.URL + "/dashboard/test/fraud/rules")
	s.b.Text("You have no rules of your own yet")
	s.b.Click(`main a[href$="/fraud/rules/new"]`)
	s.b.Sees("New rule")
	s.b.Write("#name", "Many cards from one address")
	s.b.Run(chromedp.SetValue(harness.CSS("#action"), "block"))
	s.condition("address.card_1d >= 3")
	s.b.Reads("#checked", "Did you mean address.cards_1d?") // while it is typed
	s.b.Click(`main form button[value="save"]`)
	s.b.Run(harness.WaitErrors)
	s.b.Text("Did you mean address.cards_1d?")
	if v := harness.Ask[string](s.b, `document.querySelector("#name").value + "|" + document.querySelector("#action").value`); v != "Many cards from one address|block" {
		s.t.Errorf("the form kept %q", v)
	}
	if at := harness.Ask[string](s.b, `document.querySelector(".place").innerText`); !strings.Contains(at, "^") {
		s.t.Errorf("the place is not shown: %q", at)
	}
	s.b.Picture("fraud-story-2-mistake")
	s.condition("address.cards_1d >= 3")
	s.b.Click(`main form button[value="backtest"]`)
	s.b.Text("What the rule would have done")
	got := harness.Ask[[]string](s.b, `[...document.querySelectorAll(".outcomes .big")].map(e => e.innerText)`)
	if len(got) != 4 || got[0] != "1" || got[1] != "0" || got[3] != "0" {
		s.t.Errorf("would have caught, wrongly caught, not known, missed: %v", got)
	}
	s.b.Text("Precision: 100%.")
	s.b.Text("Recall: 100%.")
	s.b.Text("were declined by the issuer")
	s.b.Picture("fraud-story-3-backtest")
	s.b.Click(`main form button[value="save"]`)
	s.b.Text("The rule is saved.")
	s.b.Text("Is asked and counted, and does nothing.")
	at := harness.Ask[string](s.b, `location.pathname`)
	return at[strings.LastIndex(at, "/")+1:]
}

// shadows checks that the testers continue on another link, and that the rule only counts.
func (s *fraudStory) shadows(rule string) {
	s.t.Helper()
	for i := range 3 {
		s.try(s.second, testerAddress, harness.StolenCard(100+i))
		if decline, _ := s.newest(s.second)["decline"].(map[string]any); decline["code"] != "card_declined" {
			s.t.Fatalf("a rule in shadow blocked: %v", decline)
		}
	}
	s.reload("/dashboard/test/fraud/rules", "the rule has hits in shadow", func() bool {
		return harness.Ask[bool](
			s.b,
			`Number(document.querySelector("#`+rule+` td:nth-child(5)").innerText) >= 1 && document.querySelector("#`+rule+` td:nth-child(4)").innerText === "0"`,
		)
	})
	s.b.Picture("fraud-story-4-shadow")
}

func (s *fraudStory) switchesOn(rule string) {
	s.t.Helper()
	s.b.Open(s.p.URL + "/dashboard/test/fraud/rules/" + rule)
	s.b.Click(`main a[href$="state?to=on"]`)
	s.b.Sees("Switch on")
	s.b.Text("in shadow.") // its past hits are shown where it is enabled
	s.b.Click(`main form button[value="on"]`)
	s.b.Text("The rule is in force.")
	if n := harness.Ask[float64](s.b, `document.querySelectorAll("#versions tbody tr").length`); n != 2 {
		s.t.Errorf("%v versions are in the history", n)
	}
	s.b.Picture("fraud-story-5-on")
}

// blocked checks that a tester pays with a card that would have worked, and sees a decline
// without a reason.
func (s *fraudStory) blocked(rule string) {
	s.t.Helper()
	payer := s.b.Tab()
	comesFrom(payer, testerAddress)
	payer.Open(harness.Str(s.t, s.second, "url") + "?lang=en")
	payer.Sees("Pay babbage-tickets")
	payer.Pay("4242424242424242")
	payer.Sees("The payment was declined")
	said := strings.ToLower(harness.Ask[string](payer, `document.querySelector("main").innerText`))
	for _, word := range []string{"fraud", "rule", "block", "risk", "suspic"} {
		if strings.Contains(said, word) {
			s.t.Errorf("the payer of a blocked payment reads %q: %s", word, said)
		}
	}
	payer.Picture("fraud-story-6-payer")
	newest := s.newest(s.second)
	risk, _ := newest["risk"].(map[string]any)
	decline, _ := newest["decline"].(map[string]any)
	if decline["code"] != "payment_blocked" || risk["action"] != "block" || risk["rule"] != rule {
		s.t.Errorf("the blocked payment: %v", newest)
	}
	s.b.Open(s.p.URL + "/dashboard/test/payments/" + harness.Str(s.t, newest, "id"))
	s.b.Text("Many cards from one address") // the merchant sees why
	s.b.Picture("fraud-story-7-why")
	if a := s.try(s.second, "192.0.9.5", "4242424242424242"); a.JSON["status"] != "succeeded" {
		s.t.Errorf("an honest payer is harmed: %d %s", a.Status, a.Body)
	}
}

// comesFrom sets the address of the browser's requests, as a proxy would.
func comesFrom(b *harness.Browser, address string) {
	b.T.Helper()
	if _, err := chromedp.Call(b.Ctx, network.SetExtraHTTPHeaders,
		network.SetExtraHTTPHeadersParams{Headers: network.Headers{"X-Forwarded-For": address}}); err != nil {
		b.T.Fatal(err)
	}
}

// switchesDefault enables a rule of the default set, which is off in test mode. It stops a card
// that is tried repeatedly before the shield has to.
func (s *fraudStory) switchesDefault() {
	s.t.Helper()
	at := "/dashboard/test/fraud/rules/" + rulebook.BuiltinID("card_declines")
	s.b.Open(s.p.URL + at + "/state?to=on")
	s.b.Click(`main form button[value="on"]`)
	s.b.Text("The rule is in force.")
	for try := 1; ; try++ {
		a := s.try(s.large, "192.0.77.5", "4000000000000002")
		if a.Status != http.StatusPaymentRequired || try > 18 { // two more and the shield, too, has seen enough
			s.t.Fatalf("try %d of a declined card: %d %s", try, a.Status, a.Body)
		}
		risk, _ := s.newest(s.large)["risk"].(map[string]any)
		if risk["rule"] == rulebook.BuiltinID("card_declines") {
			if try < 6 {
				s.t.Errorf("the card is blocked at try %d", try)
			}
			return
		}
		if try >= 5 { // the answers are counted when they have arrived through the feed
			s.b.Open(s.p.URL + at)
		}
	}
}

// holds: a second rule sends large payments to a person.
func (s *fraudStory) holds() {
	s.t.Helper()
	s.b.Open(s.p.URL + "/dashboard/test/fraud/rules/new")
	s.b.Write("#name", "Large amounts")
	s.b.Run(chromedp.SetValue(harness.CSS("#action"), "review"))
	s.condition("amount >= 200")
	s.b.Click("#state-on")
	s.b.Click(`main form button[value="save"]`)
	s.b.Text("The rule is saved.")
	for i, number := range []string{"4242424242424242", "5555555555554444", "378282246310005"} {
		if a := s.try(s.large, fmt.Sprintf("192.0.%d.5", 2+i), number); a.JSON["status"] != "authorized" {
			s.t.Errorf("a large payment: %d %s", a.Status, a.Body)
		}
	}
}

// clearsQueue decides what was held: one each way.
func (s *fraudStory) clearsQueue() {
	s.t.Helper()
	rows := func(n int) func() bool {
		return func() bool {
			return harness.Ask[float64](s.b, `document.querySelectorAll("#review-table tbody tr").length`) == float64(n)
		}
	}
	s.reload("/dashboard/test/review", "three payments wait", rows(3))
	s.b.Picture("fraud-story-8-queue")
	held := harness.List(s.t, s.key.OK("GET", "/api/payments?link="+harness.Str(s.t, s.large, "id"), ""), "data")
	said := []string{"The payment was approved.", "The payment was declined. The payer is not charged.", "The money goes back"}
	for i, verb := range []string{"approve", "decline", "fraud"} {
		id := harness.Str(s.t, held[i], "id")
		s.reload(
			"/dashboard/test/review",
			"the payment is in the queue",
			func() bool { return harness.Ask[bool](s.b, `document.getElementById("`+id+`") !== null`) },
		)
		s.b.Click(`#` + id + ` a[href*="/` + verb + `"]`)
		s.b.Click("main form.confirm button[type=submit]")
		s.b.Text(said[i])
		s.reload("/dashboard/test/review", "it has left the queue", rows(2-i))
	}
	s.b.Picture("fraud-story-9-cleared")
	for i, want := range []struct{ status, review string }{{"succeeded", "approved"}, {"canceled", "declined"}, {"canceled", "refunded"}} {
		id := harness.Str(s.t, held[i], "id")
		await.Until(s.t, "the verdict is carried out: "+want.review, func() bool {
			p := s.key.OK("GET", "/api/payments/"+id, "")
			risk, _ := p["risk"].(map[string]any)
			return p["status"] == want.status && risk["review"] == want.review && (want.review != "refunded" || risk["label"] == "fraud")
		})
	}
}

// afterwards: all of it is in the figures.
func (s *fraudStory) afterwards() {
	s.t.Helper()
	s.reload("/dashboard/test/fraud", "the figures show what was blocked, held and known", func() bool {
		return harness.Ask[bool](s.b, `(() => {
			const of = (name) => Number([...document.querySelectorAll(".figures > div")].find(e => e.querySelector("dt").innerText === name)?.querySelector(".value").innerText);
			return of("Blocked") >= 1 && of("Held for review") === 3 && of("Known fraud") === 2 && document.querySelectorAll("#reviews tbody tr").length === 30
				&& document.querySelectorAll("#rule-hits tbody tr").length >= 3 && document.querySelector("#rate") !== null;
		})()`)
	})
	s.b.Picture("fraud-story-10-afterwards")
}
