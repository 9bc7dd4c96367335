package overview

import (
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/report"
)

// overviewRoutes returns the page of the figures and its files.
func (d *Pages) overviewRoutes() []frame.Route {
	return []frame.Route{
		frame.Get("/dashboard/{mode}/overview", "overview", d.on((*Pages).showOverview)),
		frame.Get("/dashboard/{mode}/overview/{table}", "overview", d.on((*Pages).exportOverview)),
	}
}

// usualPreset is the period that the overview shows first.
const usualPreset = "30"

// overviewAsked is what the reader chose: a period and a currency. With Problems there is
// no period.
type overviewAsked struct {
	frame.Dates
	Currency string
	overview report.Period
	Problems parts.Problems
}

// overviewAsked reads the choice. If something is invalid, Problems says so, and there is
// no period. An error is a failed read of the test clock.
func (v *visit) overviewAsked() (overviewAsked, error) {
	r := v.Reads()
	a := overviewAsked{Currency: string(r.Currency("currency"))}
	var err error
	if a.Dates, err = r.Dates(usualPreset); err != nil {
		return a, err
	}
	if a.From == "" || a.To == "" {
		// The overview needs both ends: without them, figures and series would have no
		// size.
		missing := "from"
		if a.From != "" {
			missing = "to"
		}
		r.Wrong(missing, "overview.datesWrong")
	}

	if a.Problems = r.End(); len(a.Problems) > 0 {
		return a, nil
	}

	// Check also limits how long a period may be.
	a.overview = report.Period{Account: v.Account.ID, Mode: v.Mode, From: a.Period.From, To: a.Period.To, Zone: a.Location.String()}
	checked := a.overview
	if _, err := checked.Check(); err != nil {
		a.Problems = parts.Problems{{Field: fault.From(err).Param, Text: v.Print.T("overview.datesWrong")}}
	}
	return a, nil
}

// others returns the choices except the dates.
func (a overviewAsked) others() url.Values {
	q := url.Values{}
	if a.Currency != "" {
		q.Set("currency", a.Currency)
	}
	return q
}

// query returns the choice as the query of an address: days and zone, so that it means the
// same payments there and later.
func (a overviewAsked) query() string {
	q := a.others()
	a.Dates.Values(q)
	// Without the zone a file would begin and end elsewhere if the account's zone were
	// changed.
	q.Set("zone", a.Location.String())
	return frame.AsQuery(q)
}

// keyFigure is a number beside that of the period before.
type keyFigure struct {
	Label, Value string
	Before       string
	Change       parts.Badge // no text: none
}

// meter is a line of a list, with its share of the longest line.
type meter struct {
	Label, Count, Share string
	Part, Whole         int64
}

// width returns the width of the line's bar, of 100.
func (m meter) width() string {
	if m.Whole <= 0 {
		return "0"
	}
	return strconv.FormatFloat(100*float64(m.Part)/float64(m.Whole), 'f', 1, 64)
}

// meters is a list of lines that is also a table.
type meters struct {
	ID, Title, Lead, LabelHead, CountHead, ShareHead string
	Rows                                             []meter
	None                                             string // said when there are no rows
	Tone                                             string
	CSV                                              string
}

// overviewView is the page of the figures.
type overviewView struct {
	Head       parts.Head
	Asked      overviewAsked
	Action     string
	Dates      frame.DatesView
	Currencies []parts.Option
	Behind     bool
	Figures    []keyFigure
	Charts     []parts.Chart
	Declines   meters
	Funnel     meters
	Empty      *parts.Empty
}

// showOverview shows figures beside those of the period before, their course, why payments
// were declined, and at which step links are left.
func (d *Pages) showOverview(v *visit) error {
	a, err := v.overviewAsked()
	if err != nil {
		return err
	}

	view := overviewView{
		Asked:  a,
		Action: v.Path("overview"),
		Dates:  v.DatesView(a.Dates, v.Path("overview"), a.others(), a.Problems, frame.Presets...),
		Head:   parts.Head{Title: v.Print.T("overview.title")},
	}
	if len(a.Problems) > 0 {
		none := v.Unshown(view.Action)
		view.Empty = &none
		return v.Render(http.StatusBadRequest, view.Head.Title, overviewPage(view))
	}

	o, err := d.Reports.Overview(v.Context(), a.overview)
	if err != nil {
		return err
	}

	view.Behind = o.Behind
	view.Head.Lead = v.Print.T(
		"overview.lead",
		"From",
		v.Print.Date(a.Period.From.In(a.Location)),
		"To",
		v.Print.Date(a.Period.To.In(a.Location).Add(-time.Second)),
	)
	// One currency at a time: sums of several would mean nothing.
	part, found := choose(o, money.Currency(a.Currency))
	for _, p := range o.Parts {
		view.Currencies = append(view.Currencies, parts.Option{Value: string(p.Currency), Text: string(p.Currency)})
	}
	if !found {
		view.Empty, err = v.overviewEmpty()
		if err != nil {
			return err
		}
		return v.Render(http.StatusOK, view.Head.Title, overviewPage(view))
	}

	view.Asked.Currency = string(part.Currency)
	view.Figures = v.overviewFigures(part)
	view.Charts = v.overviewCharts(o, part, view.Asked)
	view.Declines, view.Funnel = v.declineMeters(part, view.Asked), v.funnelMeters(part, view.Asked)
	return v.Render(http.StatusOK, view.Head.Title, overviewPage(view))
}

// choose returns the part in a currency, or the first part if there is none. It returns
// false if there is no part at all.
func choose(o report.Overview, c money.Currency) (report.Part, bool) {
	for _, p := range o.Parts {
		if p.Currency == c {
			return p, true
		}
	}
	if len(o.Parts) == 0 {
		return report.Part{}, false
	}
	return o.Parts[0], true
}

// overviewEmpty returns what the page shows without figures: the first step if there has
// never been a payment, or else a longer period.
func (v *visit) overviewEmpty() (*parts.Empty, error) {
	// One payment of any time is enough to know that the merchant is not new.
	any, err := v.d.Reports.Search(v.Context(), report.Query{Account: v.Account.ID, Mode: v.Mode, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(any.Payments) > 0 {
		return &parts.Empty{Icon: "chart", Headline: v.Print.T("overview.nothing"), Lead: v.Print.T("overview.nothingLead"),
			Actions: []parts.Button{{Text: v.Print.T(frame.PresetYear.Label), Href: v.Path("overview") + "?span=" + frame.PresetYear.Key}}}, nil
	}
	return &parts.Empty{Icon: "chart", Headline: v.Print.T("overview.first"), Lead: v.Print.T("overview.firstLead"),
		Actions: []parts.Button{{Text: v.Print.T("overview.firstAction"), Href: v.Path("links", "new"), Kind: "primary", Icon: "link"}}}, nil
}

// overviewFigures returns the figures of a currency. A rate has no change, because a
// difference of two shares would be misread.
func (v *visit) overviewFigures(p report.Part) []keyFigure {
	now, before := p.Total, p.Before
	amount := func(minor int64) string { return v.Print.Amount(money.Of(minor, p.Currency)) }
	count := v.Print.Number
	// Of the payments that were decided. Open ones would lower the rate without a reason.
	rate := func(f report.Figures) string {
		if f.Approved()+f.Declined() == 0 {
			return "–"
		}
		return v.Print.Percent(f.Approved(), f.Approved()+f.Declined())
	}
	out := []keyFigure{
		{
			Label:  v.Print.T("overview.volume"),
			Value:  amount(now.Volume),
			Before: amount(before.Volume),
			Change: v.change(now.Volume, before.Volume, true),
		},
		{
			Label:  v.Print.T("overview.approved"),
			Value:  count(now.Approved()),
			Before: count(before.Approved()),
			Change: v.change(now.Approved(), before.Approved(), true),
		},
		{Label: v.Print.T("overview.rate"), Value: rate(now), Before: rate(before)},
		{
			Label:  v.Print.T("overview.refunded"),
			Value:  amount(now.Refunded),
			Before: amount(before.Refunded),
			Change: v.change(now.Refunded, before.Refunded, false),
		},
	}
	return out
}

// change returns by how much a number grew or fell. good says whether more is better.
// Without a number before there is none.
func (v *visit) change(now, before int64, good bool) parts.Badge {
	switch {
	// There is no share of nothing.
	case before == 0 || now == before:
		return parts.Badge{}
	case now > before:
		return parts.Badge{Text: "+" + v.Print.Percent(now-before, before), Tone: tone(good)}
	}
	return parts.Badge{Text: "−" + v.Print.Percent(before-now, before), Tone: tone(!good)}
}

// tone returns the tone of a change.
func tone(good bool) string {
	if good {
		return "good"
	}
	return "bad"
}

// unitHeads are the headings of a series' column.
var unitHeads = map[report.Unit]string{
	report.ByHour:  "overview.by.hour",
	report.ByDay:   "overview.by.day",
	report.ByWeek:  "overview.by.week",
	report.ByMonth: "overview.by.month",
}

// overviewCharts returns the charts of volume and payments over the points of the period.
func (v *visit) overviewCharts(o report.Overview, p report.Part, a overviewAsked) []parts.Chart {
	// Both charts have the same points: one for each hour, day, week or month of the
	// period.
	volume := parts.Chart{
		ID:        "volume",
		Title:     v.Print.T("overview.volume"),
		LabelHead: v.Print.T(unitHeads[o.Unit]),
		CSV:       v.Path("overview", "volume") + a.query(),
		Series: []parts.Series{
			{Name: v.Print.T("overview.volume"), Tone: "accent"},
		},
		Format: func(n int64) string { return v.Print.Amount(money.Of(n, p.Currency)) },
	}
	payments := parts.Chart{
		ID:        "payments",
		Title:     v.Print.T("overview.payments"),
		LabelHead: volume.LabelHead,
		CSV:       v.Path("overview", "payments") + a.query(),
		Series: []parts.Series{
			{Name: v.Print.T("overview.approved"), Tone: "good"},
			{Name: v.Print.T("overview.declined"), Tone: "bad"},
		},
		Format: v.Print.Number,
	}
	for _, at := range p.Series {
		label := v.pointLabel(o.Unit, at.From.In(a.Location))
		volume.Labels, payments.Labels = append(volume.Labels, label), append(payments.Labels, label)
		volume.Series[0].Values = append(volume.Series[0].Values, at.Volume)
		payments.Series[0].Values = append(payments.Series[0].Values, at.Approved())
		payments.Series[1].Values = append(payments.Series[1].Values, at.Declined())
	}
	return []parts.Chart{volume, payments}
}

// pointLabel returns the label of a point, in the time zone of t.
func (v *visit) pointLabel(u report.Unit, t time.Time) string {
	if u == report.ByHour {
		return v.Print.DateTime(t)
	}
	return v.Print.Date(t)
}

// reasonWords are the issuers' codes in a few words, for a list.
var reasonWords = map[string]string{
	issuer.CodeDeclined: "overview.decline.cardDeclined", issuer.CodeInsufficientFunds: "overview.decline.insufficientFunds",
	issuer.CodeLost: "overview.decline.lostCard", issuer.CodeStolen: "overview.decline.stolenCard",
	issuer.CodeExpired:      "overview.decline.expiredCard",
	issuer.CodeIncorrectCVC: "overview.decline.incorrectCvc", issuer.CodeProcessing: "overview.decline.processingError",
	issuer.CodeAuthentication: "overview.decline.authenticationFailed",
}

// reasonText returns a decline code in words, or the code itself if it is unknown.
func (v *visit) reasonText(code string) string {
	if key, ok := reasonWords[code]; ok {
		return v.Print.T(key)
	}
	return v.Print.T("overview.decline.other", "Code", code)
}

// declineMeters returns the reasons for declines, most frequent first, each with its share
// of all declines.
func (v *visit) declineMeters(p report.Part, a overviewAsked) meters {
	m := meters{
		ID:        "declines",
		Title:     v.Print.T("overview.declines"),
		LabelHead: v.Print.T("overview.reason"),
		CountHead: v.Print.T("overview.payments"),
		ShareHead: v.Print.T(
			"overview.share",
		),
		None: v.Print.T("overview.declinesNone"),
		Tone: "bad",
		CSV:  v.Path("overview", "declines") + a.query(),
	}
	var all int64
	for _, r := range p.Declines {
		all += r.Count
	}
	for _, r := range p.Declines {
		m.Rows = append(
			m.Rows,
			meter{
				Label: v.reasonText(r.Code),
				Count: v.Print.Number(r.Count),
				Share: v.Print.Percent(r.Count, all),
				Part:  r.Count,
				Whole: p.Declines[0].Count,
			},
		)
	}
	return m
}

// stepWords are the steps of a link. The first is its creation.
var stepWords = [...]string{
	"overview.step.created",
	"overview.step.opened",
	"overview.step.started",
	"overview.step.submitted",
	"overview.step.paid",
}

// funnelMeters returns how many links reached each step, with the share of all that were
// created.
func (v *visit) funnelMeters(p report.Part, a overviewAsked) meters {
	m := meters{
		ID:        "funnel",
		Title:     v.Print.T("overview.funnel"),
		Lead:      v.Print.T("overview.funnelLead"),
		LabelHead: v.Print.T("overview.step"),
		CountHead: v.Print.T(
			"overview.links",
		),
		ShareHead: v.Print.T("overview.share"),
		None:      v.Print.T("overview.funnelNone"),
		Tone:      "accent",
		CSV:       v.Path("overview", "funnel") + a.query(),
	}
	// Without links there is no share. The page then says that none was made.
	made := p.Total.Links[0]
	if made == 0 {
		return m
	}
	for i, n := range p.Total.Links {
		m.Rows = append(
			m.Rows,
			meter{Label: v.Print.T(stepWords[i]), Count: v.Print.Number(n), Share: v.Print.Percent(n, made), Part: n, Whole: made},
		)
	}
	return m
}

// exportOverview streams a table of the overview as CSV, for programs: plain numbers, codes
// and times.
func (d *Pages) exportOverview(v *visit) error {
	name := v.PathValue("table")
	headers := map[string][]string{
		"volume":   {"from", "currency", "volume", "refunded"},
		"payments": {"from", "currency", "payments", "approved", "declined"},
		"declines": {"currency", "code", "payments"},
		"funnel":   {"currency", "step", "links"},
	}
	header, ok := headers[name]
	if !ok {
		return fault.NotFound("page")
	}

	a, err := v.overviewAsked()
	if err != nil {
		return err
	}
	if len(a.Problems) > 0 {
		return v.Refuse(a.Problems, v.Path("overview"))
	}

	o, err := d.Reports.Overview(v.Context(), a.overview)
	if err != nil {
		return err
	}

	return v.CSV(
		fmt.Sprintf("paylink-%s-%s-%s", v.Mode, name, a.Period.From.In(a.Location).Format(time.DateOnly)),
		header,
		overviewRows(name, o, a.Currency),
	)
}

// overviewRows yields the lines of a table, for one currency or for all.
func overviewRows(name string, o report.Overview, currency string) iter.Seq2[[]string, error] {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	steps := [...]string{"created", "opened", "started", "submitted", "paid"}
	return func(yield func([]string, error) bool) {
		for _, p := range o.Parts {
			c := string(p.Currency)
			if currency != "" && c != currency {
				continue
			}
			// A part is small: its points, reasons and steps are in memory before they are
			// sent.
			var rows [][]string
			for _, at := range p.Series {
				from := at.From.Format(time.RFC3339)
				switch name {
				case "volume":
					rows = append(rows, []string{from, c, money.Of(at.Volume, p.Currency).Decimal(), money.Of(at.Refunded, p.Currency).Decimal()})
				case "payments":
					rows = append(rows, []string{from, c, number(at.Payments()), number(at.Approved()), number(at.Declined())})
				}
			}
			switch name {
			case "declines":
				for _, r := range p.Declines {
					rows = append(rows, []string{c, r.Code, number(r.Count)})
				}
			case "funnel":
				for i, n := range p.Total.Links {
					rows = append(rows, []string{c, steps[i], number(n)})
				}
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}
