package rules_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/link"
)

// TestFraudRules: a rule is written with a mistake, which is named with its place and
// loses nothing of what was typed; it is kept once, however often the form is sent;
// switched with a question before, edited, and deleted; every version stays.
func TestFraudRules(t *testing.T) {
	w := desktest.New(t)
	w.Get(desktest.FraudPath+"/rules").Has(t, "You have no rules of your own yet", "Rules of this installation")
	form := w.Get(desktest.FraudPath + "/rules/new")
	form.Has(t, "address.cards_1d", "Different cards", "link.declined_1h", `value="shadow" checked`)
	attempt := w.Attempt(form)
	in := url.Values{
		"name":    {"Many <cards>"},
		"action":  {"block"},
		"when":    {"amount > 5 &&\n address.card_1d >= 4"},
		"state":   {"shadow"},
		"attempt": {attempt},
		"do":      {"save"},
	}
	p := w.Post(desktest.FraudPath+"/rules", in)
	if p.Status != http.StatusUnprocessableEntity {
		t.Errorf("a mistake answers %d", p.Status)
	}
	p.Has(
		t,
		"Did you mean address.cards_1d?",
		" address.card_1d &gt;= 4\n        ^</pre>",
		"Many &lt;cards&gt;",
		`value="block" selected`,
		`id="when-error"`,
	)
	w.Post(desktest.FraudPath+"/rules/check", url.Values{"when": {"amount > "}}, "HX-Request", "true").Has(t, `class="error"`)
	ok := w.Post(desktest.FraudPath+"/rules/check", url.Values{"when": {"amount > 5"}}, "HX-Request", "true")
	ok.Has(t, "The condition is understood.")
	ok.Lacks(t, "<html")
	in.Set("when", "amount > 5 && address.cards_1d >= 4")
	p = w.Post(desktest.FraudPath+"/rules", in)
	p.Has(t, "The rule is saved.", "Is asked and counted, and does nothing.")
	id := desktest.RuleAt.FindString(p.Path)
	if again := w.Post(desktest.FraudPath+"/rules", in); desktest.RuleAt.FindString(again.Path) != id {
		t.Errorf("the form sent again made %s, not %s", again.Path, id)
	}
	one := desktest.FraudPath + "/rules/" + id
	ask := w.Get(one + "/state?to=on")
	ask.Has(t, "Switch on", "In the last 30 days: 0 hits in force, 0 in shadow.", "Many &lt;cards&gt;")
	on := url.Values{"to": {"on"}, "attempt": {w.Attempt(ask)}}
	for range 2 { // sent twice acts once
		w.Post(one+"/state", on).Has(t, "The rule is in force.")
	}
	rule(w, id, rulebook.On, 2)
	edit := w.Get(one + "/edit")
	edit.Has(t, "amount &gt; 5 &amp;&amp; address.cards_1d &gt;= 4", `value="on" checked`)
	w.Post(
		one,
		url.Values{
			"name":    {"Fewer"},
			"action":  {"review"},
			"when":    {"amount > 7"},
			"state":   {"off"},
			"attempt": {w.Attempt(edit)},
			"do":      {"save"},
		},
	).Has(
		t,
		"Fewer",
		"Is not asked.",
	)
	rule(w, id, rulebook.Off, 3)
	w.Get(one).Has(t, "amount &gt; 5 &amp;&amp; address.cards_1d &gt;= 4", "Hold for review", desktest.Username)
	deletion := url.Values{"attempt": {w.Attempt(w.Get(one + "/delete"))}}
	w.Post(one+"/delete", deletion).Has(t, "The rule is deleted.")
	for _, gone := range []string{one, desktest.FraudPath + "/rules/" + rulebook.BuiltinID("card_declines")} { // that is not the account's
		p := w.Post(gone+"/delete", deletion)
		p.Has(t, "There was nothing to delete.")
		p.Lacks(t, "The rule is deleted.")
	}
	if p := w.Do(w.Client, http.MethodGet, one, nil); p.Status != http.StatusNotFound {
		t.Errorf("a deleted rule answers %d", p.Status)
	}
}

// rule holds a rule against what is kept.
func rule(w *desktest.World, id, state string, version int) {
	w.T.Helper()
	rules, err := w.Rulebook.Rules(w.T.Context(), w.Account, link.Test)
	if err != nil {
		w.T.Fatal(err)
	}
	for _, r := range rules {
		if r.ID == id {
			if r.State != state || r.Version != version {
				w.T.Errorf("the rule is %+v, want %s in version %d", r, state, version)
			}
			return
		}
	}
	w.T.Errorf("there is no rule %s", id)
}

// TestFraudDefaultRules: those of the default set are looked at and switched for the
// account, and neither edited nor deleted.
func TestFraudDefaultRules(t *testing.T) {
	w := desktest.New(t)
	id := rulebook.BuiltinID("card_declines")
	one := desktest.FraudPath + "/rules/" + id
	w.Get(one).Has(t, "The default set", "card.declined_1h", "Switch on")
	w.Get(one).Lacks(t, "Delete rule", "Edit rule")
	w.Post(one+"/state", url.Values{"to": {"on"}, "attempt": {w.Attempt(w.Get(one + "/state?to=on"))}}).Has(t, "The rule is in force.")
	rule(w, id, rulebook.On, 2)
	for _, path := range []string{"/edit", "/delete"} {
		if p := w.Do(w.Client, http.MethodGet, one+path, nil); p.Status != http.StatusNotFound {
			t.Errorf("%s of a default rule answers %d", path, p.Status)
		}
	}
}

// TestFraudBacktest: a rule that is not kept yet is tested on what was paid, with both
// sides of the money, and leads to the payments; what cannot be said is not said.
func TestFraudBacktest(t *testing.T) {
	w := desktest.New(t)
	l := w.Link(func(r *link.CreateRequest) { r.MaxUses = nil })
	small, large := w.Pay(l, "4242424242424242", nil), w.Pay(w.Link(func(r *link.CreateRequest) { r.Amount = "900" }), "5555555555554444", nil)
	w.Pay(w.Link(func(r *link.CreateRequest) { r.Amount = "901" }), "4000000000000002", nil)
	w.Analysed()
	form := url.Values{
		"name":    {"Large"},
		"action":  {"review"},
		"when":    {"amount > 500"},
		"state":   {"shadow"},
		"attempt": {w.Attempt(w.Get(desktest.FraudPath + "/rules/new"))},
		"do":      {"backtest"},
	}
	p := w.Post(desktest.FraudPath+"/rules", form)
	p.Has(
		t,
		"It would have matched 2 of 3 payments (66.7%).",
		"Precision: cannot be said.",
		"Recall: cannot be said.",
		"0 of 3 payments are older than 60 days",
		"were declined by the issuer",
		`href="/dashboard/test/payments/`+large.ID+`"`,
		"€900.00",
		`value="Large"`,
	)
	p.Lacks(t, small.ID)
	if rules, err := w.Rulebook.Rules(t.Context(), w.Account, link.Test); err != nil ||
		slices.ContainsFunc(rules, func(r rulebook.Rule) bool { return !r.Builtin }) {
		t.Errorf("a test kept a rule: %+v, %v", rules, err)
	}
	id := w.MakeRule("Small", "block", "amount < 20", "off")
	w.Get(desktest.FraudPath+"/rules/"+id).Lacks(t, "It would have matched")
	w.Get(desktest.FraudPath+"/rules/"+id+"?days=7").Has(t, "It would have matched 1 of 3 payments", small.ID)
	part := w.Get(desktest.FraudPath+"/rules/"+id+"?days=7", "HX-Request", "true")
	part.Has(t, `id="backtest"`, "It would have matched 1 of 3 payments")
	part.Lacks(t, "<html", "History")
	form.Set("when", "amount > 5000000")
	w.Post(desktest.FraudPath+"/rules", form).Has(t, "It would have matched none of 3 payments.", "No payment to show")
	form.Set("when", "amount >")
	if p := w.Post(desktest.FraudPath+"/rules", form); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("a mistake is tested: %d", p.Status)
	}
}
