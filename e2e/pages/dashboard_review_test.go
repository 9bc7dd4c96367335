package pages

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// TestDashboardAccessibility_Review shows the review section to axe-core: the queue, past
// decisions and disputes, each empty and with payments; the pages of a payment that was held,
// blocked and disputed, with reasons, timeline and related payments; and every confirmation page.
func TestDashboardAccessibility_Review(t *testing.T) {
	t.Parallel()
	const user = "ada-lovelace-and-daughters"
	g := newGallery(t, harness.Start(t))
	_, g.key = g.p.Merchant(t, user)
	g.b.SignIn(g.p.URL, user)
	const queue = "/dashboard/test/review"
	g.show(queue, "review empty")
	g.show(queue+"?view=closed", "review decided empty")
	g.show(queue+"?view=disputes", "review disputes empty")

	g.scores()
	g.rule("Large amounts", "review", "amount >= 200", "on")
	g.rule("Amounts that nobody here ever pays: "+strings.Repeat("Donaudampfschifffahrt", 2), "block", "amount >= 900", "on")
	g.rule("Every card from this network", "block", "address.cards_1d >= 0", "shadow")
	_, paid := g.paidBy("4242424242424242", `"amount":"120"`)
	_, bare := g.paidBy("5555555555554444", `"amount":"240"`)
	_, held := g.paidBy("4242424242424242", `"amount":"1250.50"`)
	if status(t, g, held) != "declined" {
		t.Fatalf("a payment above 900 is %s", status(t, g, held))
	}
	blocked := held
	_, held = g.paidBy("4242424242424242", `"amount":"250.50"`)
	_, declined := g.paidBy("378282246310005", `"amount":"310"`)
	g.reviewPages(queue, held, bare)
	g.show("/dashboard/test/payments/"+blocked, "payment blocked")
	g.show("/dashboard/test/payments?q=grace", "payments with a blocked one")
	g.verdicts(queue, held, declined)
	g.disputePages(queue, paid)
	g.b.OnlyOwnOrigin(g.p.URL)
}

func status(t *testing.T, g *gallery, id string) string {
	t.Helper()
	return harness.Str(t, g.key.OK("GET", "/api/payments/"+id, ""), "status")
}

// rule writes a rule through the API.
func (g *gallery) rule(name, action, when, state string) {
	g.t.Helper()
	g.key.OK("POST", "/api/fraud/rules", `{"name":"`+name+`","action":"`+action+`","when":"`+when+`","state":"`+state+`"}`)
}

// scores puts a model in force, so that payments have a score and its reasons.
func (g *gallery) scores() {
	g.t.Helper()
	store, err := sqlstore.Open(g.t.Context(), "sqlite:"+filepath.Join(g.p.Data, "paylink.db"))
	if err != nil {
		g.t.Fatal(err)
	}
	info, file := harness.Model(g.t, 1)
	if err := store.AddModel(g.t.Context(), info, file); err != nil {
		g.t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		g.t.Fatal(err)
	}
	harness.Worked(g.t, "is running", "fraud", "models", "promote", info.Version, "--data", g.p.Data)
	await.Until(g.t, "the server scores", func() bool {
		return strings.Contains(g.p.Logs.String(), `"version":"`+info.Version+`","state":"running"`)
	})
}

// until reloads a page of the dashboard until it shows something: the analytics store lags a
// moment.
func (g *gallery) until(path, selector string) {
	g.t.Helper()
	await.Until(g.t, path+" shows "+selector, func() bool {
		g.b.Open(g.p.URL + path)
		return harness.Ask[bool](g.b, `document.querySelector(`+"`"+selector+"`"+`) !== null`)
	})
}

// reviewPages shows what waits: the queue and a payment of it.
func (g *gallery) reviewPages(queue, held, bare string) {
	g.t.Helper()
	g.until(queue, "#review-table #"+held)
	g.show(queue, "review")
	at := "/dashboard/test/payments/" + held
	g.until(at, "#related tbody tr")
	g.show(at, "payment in review")
	g.show("/dashboard/test/payments/"+bare, "payment in review alone")
	for _, verb := range []string{"approve", "decline", "fraud"} {
		g.show(at+"/"+verb+"?from=review", "review "+verb)
	}
}

// verdicts decides two payments, and shows what is left of them.
func (g *gallery) verdicts(queue, approved, declined string) {
	g.t.Helper()
	g.key.OK("POST", "/api/payments/"+approved+"/review", `{"verdict":"approve"}`, "Idempotency-Key", "approve")
	g.key.OK("POST", "/api/payments/"+declined+"/review", `{"verdict":"decline"}`, "Idempotency-Key", "decline")
	g.key.OK("POST", "/api/payments/"+approved+"/mark", `{"label":"fraud"}`, "Idempotency-Key", "mark")
	g.until(queue+"?view=closed", "#review-table #"+declined)
	g.show(queue+"?view=closed", "review decided")
	g.show("/dashboard/test/payments/"+approved, "payment approved and marked")
}

// disputePages records a dispute with a mistake first, and moves it on.
func (g *gallery) disputePages(queue, paid string) {
	g.t.Helper()
	at := "/dashboard/test/payments/" + paid
	g.show(at+"/disputes", "dispute new")
	g.b.Run(
		chromedp.SetValue(harness.CSS("#amount"), "12000"),
		chromedp.SetValue(harness.CSS("#reference"), "CB-2044"),
		chromedp.Click(harness.CSS("main form button.primary")),
		harness.WaitErrors,
	)
	g.audit("dashboard dispute errors")
	g.b.Run(
		chromedp.SetValue(harness.CSS("#amount"), "120"),
		chromedp.Click(harness.CSS("main form button.primary")),
		chromedp.WaitVisible(harness.CSS("#disputes")),
	)
	g.audit("dashboard dispute recorded")
	g.key.OK(
		"POST",
		"/api/payments/"+paid+"/disputes",
		`{"reason":"fraudulent","amount":"20","reference":"CB-2045 `+strings.Repeat(
			"Donaudampfschifffahrt",
			4,
		)+`","evidenceDueAt":"2026-01-31T23:59:59Z"}`,
		"Idempotency-Key",
		"second",
	)
	done := g.key.OK(
		"POST",
		"/api/payments/"+paid+"/disputes",
		`{"reason":"duplicate","amount":"10","reference":"CB-2046"}`,
		"Idempotency-Key",
		"third",
	)
	g.key.OK("POST", "/api/payments/"+paid+"/disputes/"+harness.Str(g.t, done, "id"), `{"state":"lost"}`, "Idempotency-Key", "lost")
	g.show(at, "payment disputed")
	move := harness.Ask[string](g.b, `document.querySelector('#disputes a[href*="to=under_review"]').getAttribute("href")`)
	for _, to := range []string{"under_review", "won", "lost"} {
		g.show(move[:strings.LastIndex(move, "=")+1]+to, "dispute "+to)
	}
	g.until(queue+"?view=disputes", "#dispute-table tbody tr:nth-child(3)")
	g.show(queue+"?view=disputes", "review disputes")
}
