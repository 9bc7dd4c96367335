package dashboard_test

import (
	"context"
	"encoding/csv"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/projection"
)

const fraudRoom = "/dashboard/test/fraud"

// ruleAt finds the id of a rule in an address.
var ruleAt = regexp.MustCompile(`frl_[A-Za-z0-9]+`)

// makeRule keeps a rule by the form, and gives its id.
func (w *world) makeRule(name, action, when, state string) string {
	w.t.Helper()
	form := url.Values{"name": {name}, "action": {action}, "when": {when}, "state": {state}, "attempt": {w.attempt(w.get(fraudRoom + "/rules/new"))}, "do": {"save"}}
	p := w.post(fraudRoom+"/rules", form)
	p.has(w.t, "The rule is saved.", name)
	return ruleAt.FindString(p.path)
}

// TestFraudRules: a rule is written with a mistake, which is named with its place and
// loses nothing of what was typed; it is kept once, however often the form is sent;
// switched with a question before, edited, and deleted; every version stays.
func TestFraudRules(t *testing.T) {
	w := newWorld(t)
	w.get(fraudRoom+"/rules").has(t, "You have no rules of your own yet", "Rules of this installation")
	form := w.get(fraudRoom + "/rules/new")
	form.has(t, "address.cards_1d", "Different cards", "link.declined_1h", `value="shadow" checked`)
	attempt := w.attempt(form)
	in := url.Values{"name": {"Many <cards>"}, "action": {"block"}, "when": {"amount > 5 &&\n address.card_1d >= 4"}, "state": {"shadow"}, "attempt": {attempt}, "do": {"save"}}
	p := w.post(fraudRoom+"/rules", in)
	if p.status != http.StatusUnprocessableEntity {
		t.Errorf("a mistake answers %d", p.status)
	}
	p.has(t, "Did you mean address.cards_1d?", " address.card_1d &gt;= 4\n        ^</pre>", "Many &lt;cards&gt;", `value="block" selected`, `id="when-error"`)
	w.post(fraudRoom+"/rules/check", url.Values{"when": {"amount > "}}, "HX-Request", "true").has(t, `class="error"`)
	ok := w.post(fraudRoom+"/rules/check", url.Values{"when": {"amount > 5"}}, "HX-Request", "true")
	ok.has(t, "The condition is understood.")
	ok.lacks(t, "<html")
	in.Set("when", "amount > 5 && address.cards_1d >= 4")
	p = w.post(fraudRoom+"/rules", in)
	p.has(t, "The rule is saved.", "Is asked and counted, and does nothing.")
	id := ruleAt.FindString(p.path)
	if again := w.post(fraudRoom+"/rules", in); ruleAt.FindString(again.path) != id {
		t.Errorf("the form sent again made %s, not %s", again.path, id)
	}
	one := fraudRoom + "/rules/" + id
	ask := w.get(one + "/state?to=on")
	ask.has(t, "Switch on", "In the last 30 days: 0 hits in force, 0 in shadow.", "Many &lt;cards&gt;")
	on := url.Values{"to": {"on"}, "attempt": {w.attempt(ask)}}
	for range 2 { // sent twice acts once
		w.post(one+"/state", on).has(t, "The rule is in force.")
	}
	w.rule(id, rulebook.On, 2)
	edit := w.get(one + "/edit")
	edit.has(t, "amount &gt; 5 &amp;&amp; address.cards_1d &gt;= 4", `value="on" checked`)
	w.post(one, url.Values{"name": {"Fewer"}, "action": {"review"}, "when": {"amount > 7"}, "state": {"off"}, "attempt": {w.attempt(edit)}, "do": {"save"}}).has(t, "Fewer", "Is not asked.")
	w.rule(id, rulebook.Off, 3)
	w.get(one).has(t, "amount &gt; 5 &amp;&amp; address.cards_1d &gt;= 4", "Hold for review", username)
	w.post(one+"/delete", url.Values{"attempt": {w.attempt(w.get(one + "/delete"))}}).has(t, "The rule is deleted.")
	if p := w.do(w.client, http.MethodGet, one, nil); p.status != http.StatusNotFound {
		t.Errorf("a deleted rule answers %d", p.status)
	}
}

// rule holds a rule against what is kept.
func (w *world) rule(id, state string, version int) {
	w.t.Helper()
	rules, err := w.rulebook.Rules(w.t.Context(), w.account, link.Test)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range rules {
		if r.ID == id {
			if r.State != state || r.Version != version {
				w.t.Errorf("the rule is %+v, want %s in version %d", r, state, version)
			}
			return
		}
	}
	w.t.Errorf("there is no rule %s", id)
}

// TestFraudDefaultRules: those of the default set are looked at and switched for the
// account, and neither edited nor deleted.
func TestFraudDefaultRules(t *testing.T) {
	w := newWorld(t)
	id := rulebook.BuiltinID("card_declines")
	one := fraudRoom + "/rules/" + id
	w.get(one).has(t, "The default set", "card.declined_1h", "Switch on")
	w.get(one).lacks(t, "Delete rule", "Edit rule")
	w.post(one+"/state", url.Values{"to": {"on"}, "attempt": {w.attempt(w.get(one + "/state?to=on"))}}).has(t, "The rule is in force.")
	w.rule(id, rulebook.On, 2)
	for _, path := range []string{"/edit", "/delete"} {
		if p := w.do(w.client, http.MethodGet, one+path, nil); p.status != http.StatusNotFound {
			t.Errorf("%s of a default rule answers %d", path, p.status)
		}
	}
}

// TestFraudLists: an entry is added once, from a payment too, refused with what is
// wrong, and removed.
func TestFraudLists(t *testing.T) {
	w := newWorld(t)
	at := fraudRoom + "/lists"
	w.get(at).has(t, "The lists are empty")
	in := url.Values{"kind": {"bin"}, "value": {"42424"}, "action": {"block"}, "life": {"168h"}, "note": {"<test>"}, "attempt": {w.attempt(w.get(at + "/new"))}}
	if p := w.post(at, in); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, `value="42424"`) || !strings.Contains(p.body, "This is no value of this kind.") {
		t.Errorf("five digits: %d %s", p.status, p.body)
	}
	in.Set("value", "424242")
	for range 2 {
		w.post(at, in).has(t, "Added to the list.", "424242", "&lt;test&gt;")
	}
	entries, err := w.rulebook.Lists(t.Context(), w.account, link.Test, "", "", 10)
	if err != nil || len(entries) != 1 || entries[0].ExpiresAt.Before(time.Now().Add(6*24*time.Hour)) || entries[0].Action != payment.Block {
		t.Fatalf("kept %+v, %v", entries, err)
	}
	paid := w.pay(w.link(nil), "4242424242424242", nil)
	w.get("/dashboard/test/payments/"+paid.ID).has(t, `lists/new?payment=`+paid.ID+`&amp;kind=email`)
	w.get(at+"/new?kind=email&payment="+paid.ID).has(t, `value="ada@example.com"`, "From payment", paid.ID)
	if p := w.do(w.client, http.MethodGet, "/dashboard/live/fraud/lists/new?kind=email&payment="+paid.ID, nil); p.status != http.StatusNotFound {
		t.Errorf("a payment of the other mode fills the form: %d", p.status)
	}
	gone := at + "/" + entries[0].ID + "/delete"
	w.post(gone, url.Values{"attempt": {w.attempt(w.get(gone))}}).has(t, "Removed from the list.", "The lists are empty")
}

// TestFraudPolicy: what happens in doubt is said and kept.
func TestFraudPolicy(t *testing.T) {
	w := newWorld(t)
	at := fraudRoom + "/policy"
	w.get(at).has(t, `value="allow" checked`, `<option value="0s" selected`)
	w.post(at, url.Values{"late": {"block"}, "review": {"24h0m0s"}}).has(t, "Saved.", `value="block" checked`, `<option value="24h0m0s" selected`)
	kept, err := w.rulebook.Policy(t.Context(), w.account, link.Test)
	if err != nil || kept.FailOpen || kept.ReviewFor != 24*time.Hour {
		t.Errorf("kept %+v, %v", kept, err)
	}
	if p := w.post(at, url.Values{"late": {"block"}, "review": {"1s"}}); p.status != http.StatusUnprocessableEntity {
		t.Errorf("a second answers %d", p.status)
	}
}

// analyst is the analytics store, whose figures a test may tell instead: a model and
// months of labels take longer than a test has.
type analyst struct {
	*projection.Analytics

	told *history.Figures
}

func (a *analyst) Figures(ctx context.Context, account, mode string, from, to time.Time) (history.Figures, error) {
	if a.told != nil {
		return *a.told, nil
	}
	return a.Analytics.Figures(ctx, account, mode, from, to)
}

// TestFraudBacktest: a rule that is not kept yet is tested on what was paid, with both
// sides of the money, and leads to the payments; what cannot be said is not said.
func TestFraudBacktest(t *testing.T) {
	w := newWorld(t)
	l := w.link(func(r *link.CreateRequest) { r.MaxUses = nil })
	small, large := w.pay(l, "4242424242424242", nil), w.pay(w.link(func(r *link.CreateRequest) { r.Amount = "900" }), "5555555555554444", nil)
	w.pay(w.link(func(r *link.CreateRequest) { r.Amount = "901" }), "4000000000000002", nil)
	w.counted()
	form := url.Values{"name": {"Large"}, "action": {"review"}, "when": {"amount > 500"}, "state": {"shadow"}, "attempt": {w.attempt(w.get(fraudRoom + "/rules/new"))}, "do": {"backtest"}}
	p := w.post(fraudRoom+"/rules", form)
	p.has(t, "It would have matched 2 of 3 payments (66.7%).", "Precision: cannot be said.", "Recall: cannot be said.", "0 of 3 payments are older than 60 days", "were declined by the issuer",
		`href="/dashboard/test/payments/`+large.ID+`"`, "€900.00", `value="Large"`)
	p.lacks(t, small.ID)
	if rules, err := w.rulebook.Rules(t.Context(), w.account, link.Test); err != nil || slices.ContainsFunc(rules, func(r rulebook.Rule) bool { return !r.Builtin }) {
		t.Errorf("a test kept a rule: %+v, %v", rules, err)
	}
	id := w.makeRule("Small", "block", "amount < 20", "off")
	w.get(fraudRoom+"/rules/"+id).lacks(t, "It would have matched")
	w.get(fraudRoom+"/rules/"+id+"?days=7").has(t, "It would have matched 1 of 3 payments", small.ID)
	part := w.get(fraudRoom+"/rules/"+id+"?days=7", "HX-Request", "true")
	part.has(t, `id="backtest"`, "It would have matched 1 of 3 payments")
	part.lacks(t, "<html", "History")
	form.Set("when", "amount > 5000000")
	w.post(fraudRoom+"/rules", form).has(t, "It would have matched none of 3 payments.", "No payment to show")
	form.Set("when", "amount >")
	if p := w.post(fraudRoom+"/rules", form); p.status != http.StatusUnprocessableEntity {
		t.Errorf("a mistake is tested: %d", p.status)
	}
}

// counted waits until everything that was done is in the analytics store.
func (w *world) counted() { w.t.Helper(); w.caughtUp("analytics", w.analyst.Lag) }

// TestFraudFigures: what is known is drawn with a table behind, and what is not is
// said: no payments, no model, no labels, too little to estimate from.
func TestFraudFigures(t *testing.T) {
	w := newWorld(t)
	w.get(fraudRoom).has(t, "Nobody tried to pay in this period", fraudRoom+"/rules")
	today := time.Now().UTC().Truncate(24 * time.Hour)
	day := history.DayFigures{Day: today, Attempts: 1200, Allowed: 1100, Challenged: 30, Blocked: 80, Held: 20, Shield: 400, Authorised: 1000, Declined: 100, ReviewOpened: 20, ReviewClosed: 12,
		BlockedMinor: map[money.Currency]int64{"EUR": 90_050}}
	w.figures(history.Figures{Days: []history.DayFigures{day}, Unrated: 1200, Estimate: history.Estimate{Blocked: 80, Comparable: 3}})
	p := w.get(fraudRoom)
	p.has(t, "1,200", "€900.50", "Nothing can be said yet.", "because no model was running", "This cannot be said. 80 payments were blocked, and only 3 payments", "No rule matched")
	p.lacks(t, `id="rate"`, `id="scores"`)
	day.Fraud, day.Legitimate = 25, 300
	rule := w.makeRule("Large", "review", "amount > 100", "shadow")
	w.figures(history.Figures{Days: []history.DayFigures{day}, Scores: [10]int64{900, 50, 0, 0, 0, 0, 0, 0, 10, 40}, Unrated: 200, Estimate: history.Estimate{Blocked: 80, Honest: 6.4, Low: 2, High: 11, Comparable: 310, Explainable: true},
		Rules: []history.RuleFigures{{Rule: rule, Version: 1, Action: payment.Hold, Shadow: true, Hits: 9, Fraud: 4, Legitimate: 3, Minor: map[money.Currency]int64{"EUR": 120_000, "JPY": 5000}}}})
	p = w.get(fraudRoom + "?days=7")
	p.has(t, "2.5%", "for the last 60 days the rate will still rise", "90–100", "About 6 of 80 blocked payments were honest; between 2 and 11 with 95 % confidence.", "Payments to compare with: 310.",
		"200 payments have no score", "Large", "€1,200.00 · ¥5,000", `<option value="7" selected`)
	if n := strings.Count(p.body, `<summary>Show as a table</summary>`); n != 5 {
		t.Errorf("%d charts have a table, want 5", n)
	}
	w.get(fraudRoom+"/rules").has(t, "Large")
	w.exported("days", today.Format(time.DateOnly)+",1200,1100,30,80,20,400,1000,100,25,300,20,12")
	w.exported("rules", rule+",1,review,true,9,4,3,EUR,1200.00")
	w.exported("scores", "90,40")
	if p := w.do(w.client, http.MethodGet, fraudRoom+"/tables/all", nil); p.status != http.StatusNotFound {
		t.Errorf("an unknown table answers %d", p.status)
	}
	w.get(fraudRoom+"?days=365").has(t, "Week from")
}

// figures are what the world's analyst tells from now on.
func (w *world) figures(f history.Figures) { w.analyst.told = &f }

// exported holds a table of the charts to having a row.
func (w *world) exported(table, row string) {
	w.t.Helper()
	p := w.get(fraudRoom + "/tables/" + table + "?days=7")
	rows, err := csv.NewReader(strings.NewReader(p.body)).ReadAll()
	if err != nil || len(rows) < 2 {
		w.t.Fatalf("%s: %v, %v", table, rows, err)
	}
	for _, r := range rows[1:] {
		if len(r) != len(rows[0]) {
			w.t.Errorf("%s: %v does not fit %v", table, r, rows[0])
		}
		if strings.Join(r, ",") == row {
			return
		}
	}
	w.t.Errorf("%s lacks %s: %v", table, row, rows)
}
