package rules

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/risk"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/money"
)

// ruleView is one rule with its history, and the form of its backtest.
type ruleView struct {
	Head     parts.Head
	Tabs     []parts.Tab
	Badge    parts.Badge
	Says     string // what the state means
	When     string
	Facts    []parts.Fact
	Switches []parts.Button
	Versions parts.Table
	Action   string // where the backtest asks
	Days     string
	Spans    []parts.Option
	Tried    *backtestView // nil: not asked yet
	Problems parts.Problems
}

// backtestView shows the result of a backtest.
type backtestView struct {
	Verdict   string
	Lines     []outcome
	Money     *parts.Table
	Precision string
	Recall    string
	Maturity  string
	Notes     []string
	Examples  parts.Table
}

// outcome is one of the groups into which a backtest sorts payments.
type outcome struct{ Label, Value, Says, Tone string }

// showRule shows a rule. With a period in the query it also runs the backtest. A script
// gets only the result.
func (d *Pages) showRule(v *visit) error {
	r, err := v.ruleOf(v.PathValue("id"))
	if err != nil {
		return err
	}

	q := v.Reads()
	// Only checked here; backtest and ruleView read the period themselves.
	q.Choice("days", risk.IsSpan)
	if wrong := q.End(); wrong != nil {
		return v.Refuse(wrong, v.Path("fraud", "rules", r.ID))
	}

	view, err := v.ruleView(r)
	if err != nil {
		return err
	}

	// A backtest reads every payment of its period, so it runs only when somebody asks for
	// it.
	if v.URL.Query().Has("days") {
		if view.Tried, err = v.backtest(r, "days"); err != nil {
			// For example backtest_busy: the page is shown, and says to try later.
			if view.Problems = v.Problems(err); view.Problems == nil {
				return err
			}
		}
	}

	if v.Partial() {
		return v.Render(http.StatusOK, view.Head.Title, backtestPart(view.Tried, view.Problems))
	}

	return v.Render(http.StatusOK, view.Head.Title, rulePage(view))
}

// ruleView returns the page of a rule, without a backtest. Only rules of the account can be
// edited; those of the default set can be switched.
func (v *visit) ruleView(r rulebook.Rule) (ruleView, error) {
	p := v.Print
	days, _, _, err := risk.Period(v.Visit, v.Reads())
	if err != nil {
		return ruleView{}, err
	}

	view := ruleView{
		Head:   parts.Head{Title: r.Name, Back: parts.Button{Text: p.T("fraud.rules"), Href: v.Path("fraud", "rules")}},
		Tabs:   risk.Tabs(v.Visit, "rules"),
		Badge:  v.stateBadge(r.State),
		When:   r.When,
		Action: v.Path("fraud", "rules", r.ID),
		Days:   strconv.Itoa(days),
		Spans:  risk.SpanOptions(v.Visit),
		Says:   v.stateHint(r.State),
	}
	hits, err := v.recentHits()
	if err != nil {
		return view, err
	}

	// Without the analytics store both counts are zero.
	h := hits[r.ID]
	view.Facts = []parts.Fact{
		{Label: p.T("fraud.action"), Value: parts.BadgePart(risk.Action(v.Visit, r.Action))},
		{Label: p.T("fraud.owner"), Value: parts.Text(v.ruleOwner(r))},
		{Label: p.T("fraud.hits30"), Value: parts.Text(p.Number(h.Hits))},
		{
			Label: p.T("fraud.shadow30"),
			Value: parts.Text(p.Number(h.Shadow)),
		},
		{Label: p.T("fraud.versionHead"), Value: parts.Text(strconv.Itoa(r.Version))},
		{Label: p.T("fraud.changed"), Value: parts.When(r.UpdatedAt)},
		{Label: p.T("fraud.id"), Value: parts.Code(r.ID)},
	}

	if v.owns(r) {
		view.Head.Actions = []parts.Button{
			{Text: p.T("fraud.editRule"), Href: v.Path("fraud", "rules", r.ID, "edit")},
			{Text: p.T("fraud.deleteRule"), Href: v.Path("fraud", "rules", r.ID, "delete"), Kind: "danger", Icon: "cross"},
		}
	}
	if v.switches(r) {
		for _, to := range []string{rulebook.On, rulebook.Shadow, rulebook.Off} {
			if to == r.State {
				continue
			}
			b := parts.Button{Text: p.T(stateWords[to].title), Href: v.Path("fraud", "rules", r.ID, "state") + "?to=" + to}
			// The step forward is the primary one: from off to shadow, and from there to
			// on.
			if to == rulebook.On || (to == rulebook.Shadow && r.State == rulebook.Off) {
				b.Kind = "primary"
			}
			view.Switches = append(view.Switches, b)
		}
	}

	view.Versions, err = v.ruleVersions(r)
	return view, err
}

// switches reports whether the account may switch the rule: its own, and the default set.
func (v *visit) switches(r rulebook.Rule) bool { return r.Account == v.Account.ID || r.Builtin }

// stateHint says what a state means.
func (v *visit) stateHint(state string) string {
	switch state {
	case rulebook.On:
		return v.Print.T("fraud.state.onHint")
	case rulebook.Shadow:
		return v.Print.T("fraud.state.shadowHint")
	}
	return v.Print.T("fraud.state.offHint")
}

// ruleOwner returns whose rule it is.
func (v *visit) ruleOwner(r rulebook.Rule) string {
	switch {
	case r.Builtin:
		return v.Print.T("fraud.ownerDefault")
	case r.Account == "":
		return v.Print.T("fraud.ownerHouse")
	}
	return v.Print.T("fraud.ownerYou")
}

// who returns the name of the reader, or the id of another user.
func (v *visit) who(user string) string {
	switch user {
	case "":
		return "–"
	case v.User.ID:
		return v.User.Username
	}
	return user
}

// ruleVersions returns every version of the rule, newest first. Versions of the operator's
// rules are not shown.
func (v *visit) ruleVersions(r rulebook.Rule) (parts.Table, error) {
	p := v.Print
	t := parts.Table{
		ID:      "versions",
		Caption: p.T("fraud.history"),
		Columns: []parts.Column{
			{Label: p.T("fraud.versionHead")},
			{Label: p.T("fraud.state")},
			{Label: p.T("fraud.action")},
			{Label: p.T("fraud.condition")},
			{Label: p.T("fraud.changed")},
		},
	}
	t.Empty = parts.Empty{Icon: "clock", Headline: p.T("fraud.history"), Lead: p.T("fraud.noHistory")}
	if !v.switches(r) {
		return t, nil // what the operator wrote before is the operator's
	}
	list, err := v.d.Fraud.Rulebook.RuleVersions(v.Context(), v.Account.ID, v.Mode, r.ID)
	for _, o := range list {
		t.Rows = append(
			t.Rows,
			parts.Row{
				Cells: []templ.Component{
					parts.Text(strconv.Itoa(o.Version)),
					parts.BadgePart(v.stateBadge(o.State)),
					parts.BadgePart(risk.Action(v.Visit, o.Action)),
					condition(o.When),
					changeCell(v.who(o.UpdatedBy), o.UpdatedAt),
				},
			},
		)
	}
	return t, err
}

// backtest returns what a rule would have done in the period of the query, or of the form
// field name. Its errors are those of the backtester, such as backtest_busy.
func (v *visit) backtest(r rulebook.Rule, name string) (*backtestView, error) {
	_, from, to, err := risk.Period(v.Visit, v.Reads())
	if err != nil {
		return nil, err
	}
	// A form that is being filled in has the period among its fields. An unknown number
	// keeps the usual period.
	if days := v.PostForm.Get(name); days != "" {
		for _, s := range risk.Spans {
			if strconv.Itoa(s.Days) == days {
				from = to.AddDate(0, 0, -s.Days)
			}
		}
	}
	b, err := v.d.Fraud.Backtester.Backtest(v.Context(), learning.Backtest{Account: v.Account.ID, Mode: v.Mode, Rule: r, From: from, To: to})
	if err != nil {
		return nil, err
	}
	view := v.backtestView(b)
	return &view, nil
}

// rateScale is the precision of rates: hundredths of a percent.
const rateScale = 10_000

// backtestView returns a result in words. A negative precision or recall means that there
// is none.
func (v *visit) backtestView(b learning.BacktestResult) backtestView {
	p := v.Print
	// Rounded to a hundredth of a percent.
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
	// Without any payment in the period, or without a match, there is nothing to judge the
	// rule by.
	case b.Payments == 0:
		out.Verdict = p.T("fraud.verdictNothing")
	case b.Matched == 0:
		out.Verdict = p.T("fraud.verdictNoMatch", "Payments", p.Number(b.Payments))
	default:
		out.Verdict = p.T(
			"fraud.verdict",
			"Matched",
			p.Number(b.Matched),
			"Payments",
			p.Number(b.Payments),
			"Share",
			p.Percent(b.Matched, b.Payments),
		)
	}

	// A young payment without a dispute proves nothing yet.
	out.Maturity = p.T(
		"fraud.mature",
		"Mature",
		p.Number(b.Mature),
		"Payments",
		p.Number(b.Payments),
		"Days",
		p.Number(int64(b.MatureAfter.Hours()/24)),
	)

	// Matches that the rule would not have changed, or could not be judged on, are notes
	// below the result.
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

// backtestMoney returns the money of both sides, a row for each currency, or nil if there
// is none.
func (v *visit) backtestMoney(sums map[money.Currency]learning.BacktestMoney) *parts.Table {
	if len(sums) == 0 {
		return nil
	}
	p := v.Print
	t := parts.Table{
		ID:      "backtest-money",
		Caption: p.T("fraud.moneyTitle"),
		Columns: []parts.Column{{Label: p.T("overview.currency")}, {Label: p.T("fraud.moneyFraud"), Number: true},
			{
				Label:  p.T("fraud.moneyHonest"),
				Number: true,
			}, {Label: p.T("fraud.moneyUnknown"), Number: true}, {Label: p.T("fraud.moneyMissed"), Number: true}},
	}
	// Currencies are not added up.
	for _, c := range slices.Sorted(maps.Keys(sums)) {
		m := sums[c]
		t.Rows = append(
			t.Rows,
			parts.Row{
				Cells: []templ.Component{
					parts.Text(string(c)),
					parts.Sum(money.Of(m.FraudStopped, c)),
					parts.Sum(money.Of(m.HonestStopped, c)),
					parts.Sum(money.Of(m.UnknownStopped, c)),
					parts.Sum(money.Of(m.FraudMissed, c)),
				},
			},
		)
	}
	return &t
}

// backtestExamples returns payments that the rule matched.
func (v *visit) backtestExamples(rows []history.Row) parts.Table {
	p := v.Print
	t := parts.Table{
		ID:      "backtest-examples",
		Caption: p.T("fraud.examples"),
		Columns: []parts.Column{{Label: p.T("payments.payer")}, {Label: p.T("payments.amount"), Number: true}, {Label: p.T("payments.status")},
			{Label: p.T("fraud.known")}, {Label: p.T("payments.date"), Number: true}},
		Empty: parts.Empty{Icon: "search", Headline: p.T("fraud.noExamples"), Lead: p.T("fraud.noExamplesLead")},
	}
	for _, r := range rows {
		t.Rows = append(
			t.Rows,
			parts.Row{
				Href: v.Path("payments", r.ID),
				Cells: []templ.Component{
					exampleCell(r),
					parts.Sum(r.Amount),
					parts.BadgePart(slip.Badge(v.Visit, r.Status)),
					parts.BadgePart(v.knownBadge(r)),
					parts.When(r.CreatedAt),
				},
			},
		)
	}
	return t
}

// knownBadge returns whether a payment turned out to be fraud.
func (v *visit) knownBadge(r history.Row) parts.Badge {
	bad, _, known := r.Fraud()
	switch {
	case !known:
		return parts.Badge{Text: v.Print.T("fraud.known.unknown"), Tone: "quiet"}
	case bad:
		return parts.Badge{Text: v.Print.T("fraud.known.fraud"), Tone: "bad"}
	}
	return parts.Badge{Text: v.Print.T("fraud.known.honest"), Tone: "good"}
}
