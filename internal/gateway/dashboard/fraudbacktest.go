package dashboard

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/money"
)

// ruleView is one rule with its history, and what it would have done.
type ruleView struct {
	Head     head
	Tabs     []tab
	Badge    badge
	Says     string // what the state means
	When     string
	Facts    []fact
	Switches []button
	Versions table
	Action   string // where the backtest asks
	Days     string
	Spans    []option
	Tried    *backtestView // nil: not asked yet
	Problems problems
}

// backtestView is the answer of a backtest, told to a person.
type backtestView struct {
	Verdict   string
	Lines     []outcome
	Money     *table
	Precision string
	Recall    string
	Maturity  string
	Notes     []string
	Examples  table
}

// outcome is one of the kinds of payments that a rule sorts them into.
type outcome struct{ Label, Value, Says, Tone string }

func (d *Dashboard) showRule(v *visit) error {
	r, err := v.ruleOf(v.PathValue("id"))
	if err != nil {
		return err
	}
	q := v.reads()
	q.choice("days", isFraudSpan)
	if wrong := q.end(); wrong != nil {
		return v.refuse(wrong, v.path("fraud", "rules", r.ID))
	}
	view, err := v.ruleView(r)
	if err != nil {
		return err
	}
	if v.URL.Query().Has("days") {
		if view.Tried, err = v.backtest(r, "days"); err != nil {
			if view.Problems = v.problems(err); view.Problems == nil {
				return err
			}
		}
	}
	if v.partial() {
		return v.render(http.StatusOK, view.Head.Title, backtestPart(view.Tried, view.Problems))
	}
	return v.render(http.StatusOK, view.Head.Title, rulePage(view))
}

func (v *visit) ruleView(r rulebook.Rule) (ruleView, error) {
	p := v.print
	days, _, _, err := v.reads().fraudPeriod("days")
	if err != nil {
		return ruleView{}, err
	}
	view := ruleView{Head: head{Title: r.Name, Back: button{Text: p.T("fraud.rules"), Href: v.path("fraud", "rules")}}, Tabs: v.fraudTabs("rules"), Badge: v.stateBadge(r.State),
		When: r.When, Action: v.path("fraud", "rules", r.ID), Days: strconv.Itoa(days), Spans: v.fraudSpanOptions(), Says: v.stateHint(r.State)}
	hits, err := v.recentHits()
	if err != nil {
		return view, err
	}
	h := hits[r.ID]
	view.Facts = []fact{{p.T("fraud.action"), badgePart(v.actionBadge(r.Action))}, {p.T("fraud.owner"), text(v.ruleOwner(r))}, {p.T("fraud.hits30"), text(p.Number(h.Hits))},
		{p.T("fraud.shadow30"), text(p.Number(h.Shadow))}, {p.T("fraud.versionHead"), text(strconv.Itoa(r.Version))}, {p.T("fraud.changed"), when(r.UpdatedAt)}, {p.T("fraud.id"), code(r.ID)}}
	if v.owns(r) {
		view.Head.Actions = []button{{Text: p.T("fraud.editRule"), Href: v.path("fraud", "rules", r.ID, "edit")}, {Text: p.T("fraud.deleteRule"), Href: v.path("fraud", "rules", r.ID, "delete"), Kind: "danger", Icon: "cross"}}
	}
	if v.switches(r) {
		for _, to := range []string{rulebook.On, rulebook.Shadow, rulebook.Off} {
			if to == r.State {
				continue
			}
			b := button{Text: p.T(stateWords[to].title), Href: v.path("fraud", "rules", r.ID, "state") + "?to=" + to}
			if to == rulebook.On || (to == rulebook.Shadow && r.State == rulebook.Off) {
				b.Kind = "primary"
			}
			view.Switches = append(view.Switches, b)
		}
	}
	view.Versions, err = v.ruleVersions(r)
	return view, err
}

// switches reports whether the account may switch the rule.
func (v *visit) switches(r rulebook.Rule) bool { return r.Account == v.account.ID || r.Builtin }

func (v *visit) stateHint(state string) string {
	switch state {
	case rulebook.On:
		return v.print.T("fraud.state.onHint")
	case rulebook.Shadow:
		return v.print.T("fraud.state.shadowHint")
	}
	return v.print.T("fraud.state.offHint")
}

func (v *visit) ruleOwner(r rulebook.Rule) string {
	switch {
	case r.Builtin:
		return v.print.T("fraud.ownerDefault")
	case r.Account == "":
		return v.print.T("fraud.ownerHouse")
	}
	return v.print.T("fraud.ownerYou")
}

// who is a user as this one sees it.
func (v *visit) who(user string) string {
	switch user {
	case "":
		return "–"
	case v.user.ID:
		return v.user.Username
	}
	return user
}

// ruleVersions is all that the rule ever was, newest first.
func (v *visit) ruleVersions(r rulebook.Rule) (table, error) {
	p := v.print
	t := table{ID: "versions", Caption: p.T("fraud.history"), Columns: []column{{Label: p.T("fraud.versionHead")}, {Label: p.T("fraud.state")}, {Label: p.T("fraud.action")}, {Label: p.T("fraud.condition")},
		{Label: p.T("fraud.changed")}}}
	t.Empty = empty{Icon: "clock", Headline: p.T("fraud.history"), Lead: p.T("fraud.noHistory")}
	if !v.switches(r) {
		return t, nil // what the operator wrote before is the operator's
	}
	list, err := v.d.Fraud.Rulebook.RuleVersions(v.Context(), v.account.ID, v.mode, r.ID)
	for _, o := range list {
		t.Rows = append(t.Rows, tableRow{Cells: []templ.Component{text(strconv.Itoa(o.Version)), badgePart(v.stateBadge(o.State)), badgePart(v.actionBadge(o.Action)), condition(o.When), changeCell(v.who(o.UpdatedBy), o.UpdatedAt)}})
	}
	return t, err
}

// backtest asks what a rule would have done in the chosen period.
func (v *visit) backtest(r rulebook.Rule, name string) (*backtestView, error) {
	_, from, to, err := v.reads().fraudPeriod(name)
	if err != nil {
		return nil, err
	}
	if days := v.PostForm.Get(name); days != "" {
		for _, s := range fraudSpans {
			if strconv.Itoa(s.days) == days {
				from = to.AddDate(0, 0, -s.days)
			}
		}
	}
	b, err := v.d.Fraud.Backtester.Backtest(v.Context(), learning.Backtest{Account: v.account.ID, Mode: v.mode, Rule: r, From: from, To: to})
	if err != nil {
		return nil, err
	}
	view := v.backtestView(b)
	return &view, nil
}

func (v *visit) backtestView(b learning.BacktestResult) backtestView {
	p := v.print
	known, rate := b.Fraud+b.Legitimate, func(r float64) string { return p.Percent(int64(r*rateScale+0.5), rateScale) }
	out := backtestView{Lines: []outcome{
		{p.T("fraud.caught"), p.Number(b.Fraud), p.T("fraud.caughtSays"), "good"},
		{p.T("fraud.wrongly"), p.Number(b.Legitimate), p.T("fraud.wronglySays"), "bad"},
		{p.T("fraud.unknown"), p.Number(b.Unknown), p.T("fraud.unknownSays"), "quiet"},
		{p.T("fraud.missed"), p.Number(b.MissedFraud), p.T("fraud.missedSays"), "wait"}}}
	out.Precision, out.Recall = p.T("fraud.precisionUnknown"), p.T("fraud.recallUnknown")
	if b.Precision >= 0 {
		out.Precision = p.T("fraud.precision", "Share", rate(b.Precision), "Fraud", p.Number(b.Fraud), "Known", p.Number(known))
	}
	if b.Recall >= 0 {
		out.Recall = p.T("fraud.recall", "Share", rate(b.Recall), "Fraud", p.Number(b.Fraud), "All", p.Number(b.Fraud+b.MissedFraud))
	}
	switch {
	case b.Payments == 0:
		out.Verdict = p.T("fraud.verdictNothing")
	case b.Matched == 0:
		out.Verdict = p.T("fraud.verdictNoMatch", "Payments", p.Number(b.Payments))
	default:
		out.Verdict = p.T("fraud.verdict", "Matched", p.Number(b.Matched), "Payments", p.Number(b.Payments), "Share", p.Percent(b.Matched, b.Payments))
	}
	out.Maturity = p.T("fraud.mature", "Mature", p.Number(b.Mature), "Payments", p.Number(b.Payments), "Days", p.Number(int64(b.MatureAfter.Hours()/24)))
	if b.AlreadyBlocked > 0 {
		out.Notes = append(out.Notes, p.T("fraud.alreadyBlocked", "Count", p.Number(b.AlreadyBlocked)))
	}
	if b.Declined > 0 {
		out.Notes = append(out.Notes, p.T("fraud.declinedMatched", "Count", p.Number(b.Declined)))
	}
	if b.Errors > 0 {
		out.Notes = append(out.Notes, p.T("fraud.evalErrors", "Count", p.Number(b.Errors)))
	}
	out.Money = v.backtestMoney(b.Money)
	out.Examples = v.backtestExamples(b.Examples)
	return out
}

// backtestMoney sets both sides beside each other, a row for each currency; nil when
// no money was touched.
func (v *visit) backtestMoney(sums map[money.Currency]learning.BacktestMoney) *table {
	if len(sums) == 0 {
		return nil
	}
	p := v.print
	t := table{ID: "backtest-money", Caption: p.T("fraud.moneyTitle"), Columns: []column{{Label: p.T("overview.currency")}, {Label: p.T("fraud.moneyFraud"), Number: true},
		{Label: p.T("fraud.moneyHonest"), Number: true}, {Label: p.T("fraud.moneyUnknown"), Number: true}, {Label: p.T("fraud.moneyMissed"), Number: true}}}
	for _, c := range slices.Sorted(maps.Keys(sums)) {
		m := sums[c]
		t.Rows = append(t.Rows, tableRow{Cells: []templ.Component{text(string(c)), sum(money.Of(m.FraudStopped, c)), sum(money.Of(m.HonestStopped, c)), sum(money.Of(m.UnknownStopped, c)), sum(money.Of(m.FraudMissed, c))}})
	}
	return &t
}

// backtestExamples are payments that the rule matched.
func (v *visit) backtestExamples(rows []history.Row) table {
	p := v.print
	t := table{ID: "backtest-examples", Caption: p.T("fraud.examples"), Columns: []column{{Label: p.T("payments.payer")}, {Label: p.T("payments.amount"), Number: true}, {Label: p.T("payments.status")},
		{Label: p.T("fraud.known")}, {Label: p.T("payments.date"), Number: true}},
		Empty: empty{Icon: "search", Headline: p.T("fraud.noExamples"), Lead: p.T("fraud.noExamplesLead")}}
	for _, r := range rows {
		t.Rows = append(t.Rows, tableRow{Href: v.path("payments", r.ID), Cells: []templ.Component{exampleCell(r), sum(r.Amount), badgePart(v.rowStatus(r)), badgePart(v.knownBadge(r)), when(r.CreatedAt)}})
	}
	return t
}

func (v *visit) rowStatus(r history.Row) badge {
	w, ok := statusWords[r.Status.Public()]
	if !ok {
		return badge{string(r.Status), "quiet"}
	}
	return badge{v.print.T(w.key), w.tone}
}

// knownBadge is what a payment turned out to be.
func (v *visit) knownBadge(r history.Row) badge {
	bad, _, known := r.Fraud()
	switch {
	case !known:
		return badge{v.print.T("fraud.known.unknown"), "quiet"}
	case bad:
		return badge{v.print.T("fraud.known.fraud"), "bad"}
	}
	return badge{v.print.T("fraud.known.honest"), "good"}
}
