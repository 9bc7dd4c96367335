package protection

import (
	"cmp"
	"iter"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/risk"
	"github.com/paylink/paylink/internal/money"
)

// maturity is how long a payment is observed before silence counts as legitimate. Most
// disputes have come by then.
const maturity = 60 * 24 * time.Hour

// Routes returns the section's pages and changes.
func (d *Pages) Routes() []frame.Route {
	const base = "/dashboard/{mode}/fraud"
	get := func(path string, h func(*Pages, *visit) error) frame.Route {
		return frame.Get(base+path, "fraud", d.on(h))
	}
	post := func(path string, h func(*Pages, *visit) error) frame.Route {
		return frame.Post(base+path, "fraud", d.on(h))
	}
	return []frame.Route{
		get("", (*Pages).showFraud), get("/tables/{table}", (*Pages).exportFraud),
		get("/lists", (*Pages).showLists), get("/lists/new", (*Pages).newListEntry), post("/lists", (*Pages).addListEntry),
		get("/lists/{id}/delete", (*Pages).askDeleteListEntry), post("/lists/{id}/delete", (*Pages).deleteListEntry),
		get("/policy", (*Pages).showPolicy), post("/policy", (*Pages).changePolicy),
		get("/models", (*Pages).showModels),
	}
}

// maxDailyPoints is the longest period, in days, that a chart shows by day. A longer one is
// shown by week.
const maxDailyPoints = 92

// fraudFigure is a number with a note: its share, or the money behind it.
type fraudFigure struct{ Label, Value, Note string }

// remark replaces a chart that would show nothing, or less than it seems to.
type remark struct {
	Title, Text string
	Action      parts.Button
}

// fraudView is the page of charts.
type fraudView struct {
	Head     parts.Head
	Tabs     []parts.Tab
	Action   string
	Days     string
	Spans    []parts.Option
	Figures  []fraudFigure
	Rate     *parts.Chart // nil: nothing is known of any payment yet
	Scores   *parts.Chart // nil: no model rated a payment
	Charts   []parts.Chart
	NoLabels remark
	NoScores remark
	Immature string
	Unrated  string
	Estimate estimateView
	Rules    parts.Table
	Empty    *parts.Empty
}

// estimateView says how many blocked payments were legitimate, how that was estimated, or
// why it cannot be.
type estimateView struct {
	Value, Says string
	How         []string
}

// showFraud shows the figures and charts of a period. It fails with fraud_unavailable if
// this process has no analytics store.
func (d *Pages) showFraud(v *visit) error {
	if d.Fraud.Analyst == nil {
		return risk.Unavailable()
	}

	r := v.Reads()
	// The days end with today by the clock of the mode, which in test mode may be ahead.
	days, from, to, err := risk.Period(v.Visit, r)
	if err != nil {
		return err
	}
	if wrong := r.End(); wrong != nil {
		return v.Refuse(wrong, v.Path("fraud"))
	}

	f, err := d.Fraud.Analyst.Figures(v.Context(), v.Account.ID, v.Mode, from, to)
	if err != nil {
		return err
	}

	p := v.Print
	view := fraudView{Tabs: risk.Tabs(v.Visit, ""), Action: v.Path("fraud"), Days: strconv.Itoa(days), Spans: risk.SpanOptions(v.Visit),
		Head: parts.Head{Title: p.T("fraud.title"), Lead: p.T("fraud.lead", "From", p.Date(from), "To", p.Date(to.Add(-time.Second)))}}

	total := totalOf(f.Days)
	// Charts of nothing would only look broken. The page leads to the rules instead.
	if total.Attempts == 0 && total.Shield == 0 {
		view.Empty = &parts.Empty{Icon: "shield", Headline: p.T("fraud.empty"), Lead: p.T("fraud.emptyLead"),
			Actions: []parts.Button{{Text: p.T("fraud.toRules"), Href: v.Path("fraud", "rules")}}}
		return v.Render(http.StatusOK, view.Head.Title, fraudPage(view))
	}

	names, err := v.rulesByID()
	if err != nil {
		return err
	}

	view.Figures = v.fraudFigures(total)
	v.fraudCharts(&view, f, total, from, to)
	view.Estimate = v.estimateView(f.Estimate)
	view.Rules = v.ruleHits(f.Rules, names, days)
	return v.Render(http.StatusOK, view.Head.Title, fraudPage(view))
}

// totalOf returns the sum of days.
func totalOf(days []history.DayFigures) history.DayFigures {
	t := history.DayFigures{FraudMinor: map[money.Currency]int64{}, BlockedMinor: map[money.Currency]int64{}}
	for _, d := range days {
		t = plus(t, d)
	}
	return t
}

// plus returns t with d added. It changes the maps of t.
func plus(t, d history.DayFigures) history.DayFigures {
	t.Attempts, t.Allowed, t.Challenged, t.Blocked, t.Held, t.Shield = t.Attempts+d.Attempts, t.Allowed+d.Allowed,
		t.Challenged+d.Challenged, t.Blocked+d.Blocked, t.Held+d.Held, t.Shield+d.Shield
	t.Authorised, t.Declined, t.Fraud, t.Legitimate = t.Authorised+d.Authorised, t.Declined+d.Declined, t.Fraud+d.Fraud,
		t.Legitimate+d.Legitimate
	t.ReviewOpened, t.ReviewClosed = t.ReviewOpened+d.ReviewOpened, t.ReviewClosed+d.ReviewClosed
	for c, n := range d.FraudMinor {
		t.FraudMinor[c] += n
	}
	for c, n := range d.BlockedMinor {
		t.BlockedMinor[c] += n
	}
	return t
}

// points returns the days of a period, including those without payments, or its weeks if it
// is long. Days are days of UTC.
func points(days []history.DayFigures, from, to time.Time) []history.DayFigures {
	step := 1
	if to.Sub(from) > maxDailyPoints*24*time.Hour {
		step = 7
	}
	var out []history.DayFigures
	// The last week may be shorter than the others.
	for at := from; at.Before(to); at = at.AddDate(0, 0, step) {
		end := at.AddDate(0, 0, step)
		sum := history.DayFigures{Day: at, FraudMinor: map[money.Currency]int64{}, BlockedMinor: map[money.Currency]int64{}}
		for _, d := range days {
			if !d.Day.Before(at) && d.Day.Before(end) {
				sum = plus(sum, d)
			}
		}
		out = append(out, sum)
	}

	return out
}

// moneyText lists sums of several currencies, or returns "" if all are zero.
func (v *visit) moneyText(sums map[money.Currency]int64) string {
	var out []string
	for _, c := range slices.Sorted(maps.Keys(sums)) {
		// Currencies are not added up: there is no rate of exchange here.
		if sums[c] != 0 {
			out = append(out, v.Print.Amount(money.Of(sums[c], c)))
		}
	}
	return strings.Join(out, " · ")
}

// fraudFigures returns the totals of the period.
func (v *visit) fraudFigures(t history.DayFigures) []fraudFigure {
	p := v.Print
	// A blocked payment has a note of its own amount if there is one, because money says
	// more than a share.
	share := func(part int64) string { return p.T("fraud.ofAttempts", "Share", p.Percent(part, t.Attempts)) }
	return []fraudFigure{
		{Label: p.T("fraud.attempts"), Value: p.Number(t.Attempts), Note: p.T("fraud.authorisedOf", "Count", p.Number(t.Authorised))},
		{Label: p.T("fraud.blocked"), Value: p.Number(t.Blocked), Note: cmp.Or(v.moneyText(t.BlockedMinor), share(t.Blocked))},
		{Label: p.T("fraud.held"), Value: p.Number(t.Held), Note: share(t.Held)},
		{
			Label: p.T("fraud.knownFraud"),
			Value: p.Number(t.Fraud),
			Note:  cmp.Or(v.moneyText(t.FraudMinor), p.T("fraud.ofAuthorised", "Share", p.Percent(t.Fraud, t.Authorised))),
		},
		{Label: p.T("fraud.shield"), Value: p.Number(t.Shield), Note: p.T("fraud.shieldNote")},
	}
}

// rateScale is the precision of rates: hundredths of a percent.
const rateScale = 10_000

// fraudCharts adds the charts. A rate is shown only if the outcome of some payments is
// known, because 0% would be misread.
func (v *visit) fraudCharts(view *fraudView, f history.Figures, total history.DayFigures, from, to time.Time) {
	p := v.Print
	csv := v.Path("fraud", "tables", "days") + "?days=" + view.Days
	list := points(f.Days, from, to)
	labels := make([]string, len(list))
	for i, d := range list {
		labels[i] = p.Date(d.Day)
	}
	// The points were made by points, which alone decides about days or weeks.
	head := p.T("overview.by.day")
	if len(list) > 1 && list[1].Day.Sub(list[0].Day) > 24*time.Hour {
		head = p.T("overview.by.week")
	}
	// column returns one number of each point, and draw a chart of such columns. All charts
	// have the same points and the same file.
	column := func(name, tone string, of func(history.DayFigures) int64) parts.Series {
		s := parts.Series{Name: name, Tone: tone}
		for _, d := range list {
			s.Values = append(s.Values, of(d))
		}
		return s
	}
	draw := func(id, title string, s ...parts.Series) parts.Chart {
		return parts.Chart{ID: id, Title: title, Labels: labels, LabelHead: head, Series: s, Format: p.Number, CSV: csv}
	}

	if total.Fraud+total.Legitimate > 0 {
		c := draw("rate", p.T("fraud.rate"), column(p.T("fraud.rate"), "bad", func(d history.DayFigures) int64 {
			// No payment, no rate. The line is at zero there.
			if d.Authorised == 0 {
				return 0
			}
			return d.Fraud * rateScale / d.Authorised
		}))
		// A rate is a line, because its values cannot be stacked.
		c.Lines, c.Format = true, func(n int64) string { return p.Percent(n, rateScale) }
		view.Rate = &c
		view.Immature = p.T("fraud.immature", "Days", p.Number(int64(maturity/(24*time.Hour))))
	} else {
		view.NoLabels = remark{Title: p.T("fraud.rate"), Text: p.T("fraud.noLabels")}
	}

	view.Charts = []parts.Chart{
		draw("actions", p.T("fraud.actions"), column(p.T("fraud.blocked"), "bad", func(d history.DayFigures) int64 { return d.Blocked }),
			column(p.T("fraud.held"), "wait", func(d history.DayFigures) int64 { return d.Held }),
			column(p.T("fraud.challenged"), "accent", func(d history.DayFigures) int64 { return d.Challenged })),
		draw(
			"reviews",
			p.T("fraud.reviewLoad"),
			column(p.T("fraud.reviewOpened"), "wait", func(d history.DayFigures) int64 { return d.ReviewOpened }),
			column(p.T("fraud.reviewClosed"), "good", func(d history.DayFigures) int64 { return d.ReviewClosed }),
		),
		draw("shield", p.T("fraud.shieldTitle"), column(p.T("fraud.shield"), "quiet", func(d history.DayFigures) int64 { return d.Shield })),
	}
	v.scoreChart(view, f)
}

// scoreChart adds the chart of how many payments had which score, or a remark if no model
// rated any.
func (v *visit) scoreChart(view *fraudView, f history.Figures) {
	p := v.Print
	// Scores begin with the first model. Payments before it have none and are only counted.
	var rated int64
	for _, n := range f.Scores {
		rated += n
	}
	if rated == 0 {
		view.NoScores = remark{
			Title:  p.T("fraud.scores"),
			Text:   p.T("fraud.noModel"),
			Action: parts.Button{Text: p.T("fraud.tab.models"), Href: v.Path("fraud", "models")},
		}
		return
	}

	c := parts.Chart{
		ID:        "scores",
		Title:     p.T("fraud.scores"),
		LabelHead: p.T("fraud.score"),
		Format:    p.Number,
		CSV:       v.Path("fraud", "tables", "scores") + "?days=" + view.Days,
		Series:    []parts.Series{{Name: p.T("overview.payments"), Tone: "accent", Values: f.Scores[:]}},
	}
	for i := range f.Scores {
		c.Labels = append(c.Labels, scoreSpan(i))
	}
	view.Scores = &c
	if f.Unrated > 0 {
		view.Unrated = p.T("fraud.unrated", "Count", p.Number(f.Unrated))
	}
}

// scoreSpan returns the name of a tenth of the scores. The last one includes 100.
func scoreSpan(i int) string {
	last := 10*i + 9
	if i == 9 {
		last = 100
	}
	return strconv.Itoa(10*i) + "–" + strconv.Itoa(last)
}

// estimateView returns the estimate in words, with its bounds, or why there is none.
func (v *visit) estimateView(e history.Estimate) estimateView {
	p := v.Print
	whole := func(x float64) string { return p.Number(int64(math.Round(x))) }
	out := estimateView{
		How: []string{p.T("fraud.estimateHow"), p.T("fraud.estimateComparable", "Count", p.Number(e.Comparable)), p.T("fraud.estimateLimits")},
	}
	switch {
	case e.Blocked == 0:
		out.Says = p.T("fraud.estimateNone")
	// Too few comparable payments were let through: a number would be a guess.
	case !e.Explainable:
		out.Says = p.T("fraud.estimateUnknown", "Blocked", p.Number(e.Blocked), "Count", p.Number(e.Comparable))
	default:
		out.Value = whole(e.Honest)
		out.Says = p.T(
			"fraud.estimateSays",
			"Honest",
			whole(e.Honest),
			"Blocked",
			p.Number(e.Blocked),
			"Low",
			whole(e.Low),
			"High",
			whole(e.High),
		)
	}

	return out
}

// rulesByID returns the names of the account's rules by id. Without access to the rules it
// is empty.
func (v *visit) rulesByID() (map[string]string, error) {
	names := map[string]string{}
	// This process can read the figures without the rules.
	if v.d.Fraud.Rulebook == nil {
		return names, nil
	}
	rules, err := v.d.Fraud.Rulebook.Rules(v.Context(), v.Account.ID, v.Mode)
	for _, r := range rules {
		names[r.ID] = r.Name
	}
	return names, err
}

// ruleHits returns what each rule did in the period. Each version has a line of its own,
// because versions are different rules.
func (v *visit) ruleHits(list []history.RuleFigures, names map[string]string, days int) parts.Table {
	p := v.Print
	t := parts.Table{ID: "rule-hits", Caption: p.T("fraud.hits"), CSV: v.Path("fraud", "tables", "rules") + "?days=" + strconv.Itoa(days),
		Columns: []parts.Column{
			{Label: p.T("fraud.rule")},
			{Label: p.T("fraud.action")},
			{Label: p.T("fraud.hitsHead"), Number: true},
			{Label: p.T("fraud.hitFraud"), Number: true},
			{
				Label:  p.T("fraud.hitHonest"),
				Number: true,
			},
			{Label: p.T("fraud.hitUnknown"), Number: true},
			{Label: p.T("fraud.money"), Number: true},
		},
		Empty: parts.Empty{
			Icon:     "flag",
			Headline: p.T("fraud.noHits"),
			Lead:     p.T("fraud.noHitsLead"),
			Actions:  []parts.Button{{Text: p.T("fraud.toRules"), Href: v.Path("fraud", "rules")}},
		}}
	for _, r := range list {
		// A rule that was deleted meanwhile is shown by its id and has no page.
		name, known := names[r.Rule]
		row := parts.Row{
			Cells: []templ.Component{
				ruleHitCell(cmp.Or(name, r.Rule), p.T("fraud.version", "Version", strconv.Itoa(r.Version)), r.Shadow),
				parts.BadgePart(risk.Action(v.Visit, r.Action)),
				parts.Text(
					p.Number(r.Hits),
				),
				parts.Text(p.Number(r.Fraud)),
				parts.Text(p.Number(r.Legitimate)),
				parts.Text(p.Number(r.Hits - r.Fraud - r.Legitimate)),
				parts.Text(cmp.Or(v.moneyText(r.Minor), "–")),
			},
		}
		if known {
			row.Href = v.Path("fraud", "rules", r.Rule)
		}
		t.Rows = append(t.Rows, row)
	}

	return t
}

// The columns of the files.
var (
	fraudDayColumns = []string{
		"day",
		"attempts",
		"allowed",
		"challenged",
		"blocked",
		"held",
		"shieldRefused",
		"authorised",
		"declined",
		"fraud",
		"legitimate",
		"reviewsOpened",
		"reviewsClosed",
	}
	fraudScoreColumns = []string{"score", "payments"}
	fraudRuleColumns  = []string{"rule", "version", "action", "shadow", "hits", "fraud", "legitimate", "currency", "amount"}
)

// exportFraud streams a table behind the charts as CSV, for programs.
func (d *Pages) exportFraud(v *visit) error {
	if d.Fraud.Analyst == nil {
		return risk.Unavailable()
	}

	// The names are for programs and are the same in every language.
	columns := map[string][]string{"days": fraudDayColumns, "scores": fraudScoreColumns, "rules": fraudRuleColumns}
	name := v.PathValue("table")
	if columns[name] == nil {
		return fault.NotFound("page")
	}

	r := v.Reads()
	_, from, to, err := risk.Period(v.Visit, r)
	if err != nil {
		return err
	}
	if wrong := r.End(); wrong != nil {
		return v.Refuse(wrong, v.Path("fraud"))
	}

	f, err := d.Fraud.Analyst.Figures(v.Context(), v.Account.ID, v.Mode, from, to)
	if err != nil {
		return err
	}

	return v.CSV("paylink-"+v.Mode+"-fraud-"+name+"-"+from.Format(time.DateOnly), columns[name], fraudRows(name, f))
}

// fraudRows yields the lines of a table. A rule has one line for each currency.
func fraudRows(name string, f history.Figures) iter.Seq2[[]string, error] {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	var rows [][]string
	switch name {
	case "days":
		for _, d := range f.Days {
			row := []string{d.Day.Format(time.DateOnly)}
			for _, n := range []int64{d.Attempts, d.Allowed, d.Challenged, d.Blocked, d.Held, d.Shield, d.Authorised, d.Declined, d.Fraud,
				d.Legitimate, d.ReviewOpened, d.ReviewClosed} {
				row = append(row, number(n))
			}
			rows = append(rows, row)
		}
	case "scores":
		for i, n := range f.Scores {
			rows = append(rows, []string{strconv.Itoa(10 * i), number(n)})
		}
		// The last line has no score: payments that no model rated.
		rows = append(rows, []string{"", number(f.Unrated)})
	case "rules":
		for _, r := range f.Rules {
			row := []string{
				r.Rule,
				strconv.Itoa(r.Version),
				string(r.Action),
				strconv.FormatBool(r.Shadow),
				number(r.Hits),
				number(r.Fraud),
				number(r.Legitimate),
			}
			// The counts are repeated in each line of a rule, so a program must not add
			// them up.
			for _, c := range slices.Sorted(maps.Keys(r.Minor)) {
				rows = append(rows, append(slices.Clone(row), string(c), money.Of(r.Minor[c], c).Decimal()))
			}
			if len(r.Minor) == 0 {
				rows = append(rows, append(row, "", ""))
			}
		}
	}

	// The tables are small, and are in memory before the first line is sent.
	return func(yield func([]string, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}
