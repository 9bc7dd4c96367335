package dashboard

import (
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/report"
)

func overviewRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/{mode}/overview", room: "overview", handle: (*Dashboard).showOverview},
		{method: http.MethodGet, path: "/dashboard/{mode}/overview/{table}", room: "overview", handle: (*Dashboard).exportOverview},
	}
}

// usualPreset is the period that the overview shows first.
const usualPreset = "30"

// overviewAsked is what the reader chose.
type overviewAsked struct {
	dates
	Currency string
	overview report.Period
	Problems problems
}

// overviewAsked reads the choice. Where something is not understood, the problems say
// so, and there is no period.
func (v *visit) overviewAsked() (overviewAsked, error) {
	r := v.reads()
	a := overviewAsked{Currency: string(r.currency("currency"))}
	var err error
	if a.dates, err = r.dates(usualPreset); err != nil {
		return a, err
	}
	if a.From == "" || a.To == "" {
		missing := "from"
		if a.From != "" {
			missing = "to"
		}
		r.wrong(missing, "overview.datesWrong")
	}
	if a.Problems = r.end(); len(a.Problems) > 0 {
		return a, nil
	}
	a.overview = report.Period{Account: v.account.ID, Mode: v.mode, From: a.period.From, To: a.period.To, Zone: a.zone.String()}
	checked := a.overview
	if _, err := checked.Check(); err != nil {
		a.Problems = problems{{Field: fault.From(err).Param, Text: v.print.T("overview.datesWrong")}}
	}
	return a, nil
}

// others are the choices but for the dates.
func (a overviewAsked) others() url.Values {
	q := url.Values{}
	if a.Currency != "" {
		q.Set("currency", a.Currency)
	}
	return q
}

// query is the choice as an address says it: days and zone, so that it means the same
// payments there and later.
func (a overviewAsked) query() string {
	q := a.others()
	a.dates.values(q)
	q.Set("zone", a.zone.String())
	return asQuery(q)
}

// keyFigure is a number with the one before.
type keyFigure struct {
	Label, Value string
	Before       string
	Change       badge // no text: none
}

// meter is a line of a list with a share of the longest.
type meter struct {
	Label, Count, Share string
	Part, Whole         int64
}

// width of the line's bar, of 100.
func (m meter) width() string {
	if m.Whole <= 0 {
		return "0"
	}
	return strconv.FormatFloat(100*float64(m.Part)/float64(m.Whole), 'f', 1, 64)
}

// meters are a list of lines, as a table.
type meters struct {
	ID, Title, Lead, LabelHead, CountHead, ShareHead string
	Rows                                             []meter
	None                                             string // said when there are no rows
	Tone                                             string
	CSV                                              string
}

// overviewView is the page.
type overviewView struct {
	Head       head
	Asked      overviewAsked
	Action     string
	Dates      datesView
	Currencies []option
	Behind     bool
	Figures    []keyFigure
	Charts     []chart
	Declines   meters
	Funnel     meters
	Empty      *empty
}

// showOverview tells how the business goes: figures beside those of the period
// before, their course, why payments were declined, and where links are left.
func (d *Dashboard) showOverview(v *visit) error {
	a, err := v.overviewAsked()
	if err != nil {
		return err
	}
	view := overviewView{Asked: a, Action: v.path("overview"), Dates: v.datesView(a.dates, v.path("overview"), a.others(), a.Problems, presets...),
		Head: head{Title: v.print.T("overview.title")}}
	if len(a.Problems) > 0 {
		none := v.unshown(view.Action)
		view.Empty = &none
		return v.render(http.StatusBadRequest, view.Head.Title, overviewPage(view))
	}
	o, err := d.Reports.Overview(v.Context(), a.overview)
	if err != nil {
		return err
	}
	view.Behind = o.Behind
	view.Head.Lead = v.print.T("overview.lead", "From", v.print.Date(a.period.From.In(a.zone)), "To", v.print.Date(a.period.To.In(a.zone).Add(-time.Second)))
	part, found := choose(o, money.Currency(a.Currency))
	for _, p := range o.Parts {
		view.Currencies = append(view.Currencies, option{Value: string(p.Currency), Text: string(p.Currency)})
	}
	if !found {
		view.Empty, err = v.overviewEmpty()
		if err != nil {
			return err
		}
		return v.render(http.StatusOK, view.Head.Title, overviewPage(view))
	}
	view.Asked.Currency = string(part.Currency)
	view.Figures = v.overviewFigures(part)
	view.Charts = v.overviewCharts(o, part, view.Asked)
	view.Declines, view.Funnel = v.declineMeters(part, view.Asked), v.funnelMeters(part, view.Asked)
	return v.render(http.StatusOK, view.Head.Title, overviewPage(view))
}

// choose is the part in a currency, or the first.
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

// overviewEmpty teaches the first step, or says that the period has nothing.
func (v *visit) overviewEmpty() (*empty, error) {
	any, err := v.d.Reports.Search(v.Context(), report.Query{Account: v.account.ID, Mode: v.mode, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(any.Payments) > 0 {
		return &empty{Icon: "chart", Headline: v.print.T("overview.nothing"), Lead: v.print.T("overview.nothingLead"),
			Actions: []button{{Text: v.print.T(presetYear.label), Href: v.path("overview") + "?span=" + presetYear.key}}}, nil
	}
	e := &empty{Icon: "chart", Headline: v.print.T("overview.first"), Lead: v.print.T("overview.firstLead")}
	if v.d.served["/dashboard/{mode}/links/new"] {
		e.Actions = []button{{Text: v.print.T("overview.firstAction"), Href: v.path("links", "new"), Kind: "primary", Icon: "link"}}
	}
	return e, nil
}

func (v *visit) overviewFigures(p report.Part) []keyFigure {
	now, before := p.Total, p.Before
	amount := func(minor int64) string { return v.print.Amount(money.Of(minor, p.Currency)) }
	count := v.print.Number
	rate := func(f report.Figures) string {
		if f.Approved()+f.Declined() == 0 {
			return "–"
		}
		return v.print.Percent(f.Approved(), f.Approved()+f.Declined())
	}
	out := []keyFigure{
		{Label: v.print.T("overview.volume"), Value: amount(now.Volume), Before: amount(before.Volume), Change: v.change(now.Volume, before.Volume, true)},
		{Label: v.print.T("overview.approved"), Value: count(now.Approved()), Before: count(before.Approved()), Change: v.change(now.Approved(), before.Approved(), true)},
		{Label: v.print.T("overview.rate"), Value: rate(now), Before: rate(before)},
		{Label: v.print.T("overview.refunded"), Value: amount(now.Refunded), Before: amount(before.Refunded), Change: v.change(now.Refunded, before.Refunded, false)},
	}
	return out
}

// change is how much a number grew or fell; more is good unless it is of what one
// does not want.
func (v *visit) change(now, before int64, good bool) badge {
	switch {
	case before == 0 || now == before:
		return badge{}
	case now > before:
		return badge{Text: "+" + v.print.Percent(now-before, before), Tone: tone(good)}
	}
	return badge{Text: "−" + v.print.Percent(before-now, before), Tone: tone(!good)}
}

func tone(good bool) string {
	if good {
		return "good"
	}
	return "bad"
}

// unitHeads are the headings of a series' column.
var unitHeads = map[report.Unit]string{report.ByHour: "overview.by.hour", report.ByDay: "overview.by.day", report.ByWeek: "overview.by.week", report.ByMonth: "overview.by.month"}

func (v *visit) overviewCharts(o report.Overview, p report.Part, a overviewAsked) []chart {
	volume := chart{ID: "volume", Title: v.print.T("overview.volume"), LabelHead: v.print.T(unitHeads[o.Unit]), CSV: v.path("overview", "volume") + a.query(),
		Series: []series{{Name: v.print.T("overview.volume"), Tone: "accent"}}, Format: func(n int64) string { return v.print.Amount(money.Of(n, p.Currency)) }}
	payments := chart{ID: "payments", Title: v.print.T("overview.payments"), LabelHead: volume.LabelHead, CSV: v.path("overview", "payments") + a.query(),
		Series: []series{{Name: v.print.T("overview.approved"), Tone: "good"}, {Name: v.print.T("overview.declined"), Tone: "bad"}}, Format: v.print.Number}
	for _, at := range p.Series {
		label := v.pointLabel(o.Unit, at.From.In(a.zone))
		volume.Labels, payments.Labels = append(volume.Labels, label), append(payments.Labels, label)
		volume.Series[0].Values = append(volume.Series[0].Values, at.Volume)
		payments.Series[0].Values = append(payments.Series[0].Values, at.Approved())
		payments.Series[1].Values = append(payments.Series[1].Values, at.Declined())
	}
	return []chart{volume, payments}
}

func (v *visit) pointLabel(u report.Unit, t time.Time) string {
	if u == report.ByHour {
		return v.print.DateTime(t)
	}
	return v.print.Date(t)
}

// reasonWords are the issuers' codes in few words, for a list.
var reasonWords = map[string]string{
	issuer.CodeDeclined: "overview.decline.cardDeclined", issuer.CodeInsufficientFunds: "overview.decline.insufficientFunds",
	issuer.CodeLost: "overview.decline.lostCard", issuer.CodeStolen: "overview.decline.stolenCard", issuer.CodeExpired: "overview.decline.expiredCard",
	issuer.CodeIncorrectCVC: "overview.decline.incorrectCvc", issuer.CodeProcessing: "overview.decline.processingError",
	issuer.CodeAuthentication: "overview.decline.authenticationFailed",
}

func (v *visit) reasonText(code string) string {
	if key, ok := reasonWords[code]; ok {
		return v.print.T(key)
	}
	return v.print.T("overview.decline.other", "Code", code)
}

func (v *visit) declineMeters(p report.Part, a overviewAsked) meters {
	m := meters{ID: "declines", Title: v.print.T("overview.declines"), LabelHead: v.print.T("overview.reason"), CountHead: v.print.T("overview.payments"),
		ShareHead: v.print.T("overview.share"), None: v.print.T("overview.declinesNone"), Tone: "bad", CSV: v.path("overview", "declines") + a.query()}
	var all int64
	for _, r := range p.Declines {
		all += r.Count
	}
	for _, r := range p.Declines {
		m.Rows = append(m.Rows, meter{Label: v.reasonText(r.Code), Count: v.print.Number(r.Count), Share: v.print.Percent(r.Count, all), Part: r.Count, Whole: p.Declines[0].Count})
	}
	return m
}

// stepWords are the steps of a link, the first of which is being made.
var stepWords = [...]string{"overview.step.created", "overview.step.opened", "overview.step.started", "overview.step.submitted", "overview.step.paid"}

func (v *visit) funnelMeters(p report.Part, a overviewAsked) meters {
	m := meters{ID: "funnel", Title: v.print.T("overview.funnel"), Lead: v.print.T("overview.funnelLead"), LabelHead: v.print.T("overview.step"),
		CountHead: v.print.T("overview.links"), ShareHead: v.print.T("overview.share"), None: v.print.T("overview.funnelNone"), Tone: "accent", CSV: v.path("overview", "funnel") + a.query()}
	made := p.Total.Links[0]
	if made == 0 {
		return m
	}
	for i, n := range p.Total.Links {
		m.Rows = append(m.Rows, meter{Label: v.print.T(stepWords[i]), Count: v.print.Number(n), Share: v.print.Percent(n, made), Part: n, Whole: made})
	}
	return m
}

// exportOverview is a table of the overview as CSV: plain numbers, codes and times,
// for a program.
func (d *Dashboard) exportOverview(v *visit) error {
	name := v.PathValue("table")
	headers := map[string][]string{"volume": {"from", "currency", "volume", "refunded"}, "payments": {"from", "currency", "payments", "approved", "declined"},
		"declines": {"currency", "code", "payments"}, "funnel": {"currency", "step", "links"}}
	header, ok := headers[name]
	if !ok {
		return fault.NotFound("page")
	}
	a, err := v.overviewAsked()
	if err != nil {
		return err
	}
	if len(a.Problems) > 0 {
		return v.refuse(a.Problems, v.path("overview"))
	}
	o, err := d.Reports.Overview(v.Context(), a.overview)
	if err != nil {
		return err
	}
	return v.csv(fmt.Sprintf("paylink-%s-%s-%s", v.mode, name, a.period.From.In(a.zone).Format(time.DateOnly)), header, overviewRows(name, o, a.Currency))
}

func overviewRows(name string, o report.Overview, currency string) iter.Seq2[[]string, error] {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	steps := [...]string{"created", "opened", "started", "submitted", "paid"}
	return func(yield func([]string, error) bool) {
		for _, p := range o.Parts {
			c := string(p.Currency)
			if currency != "" && c != currency {
				continue
			}
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
