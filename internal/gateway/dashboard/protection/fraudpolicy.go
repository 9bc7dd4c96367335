package protection

import (
	"net/http"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/risk"
)

// policyView is the account's choice for what no rule decides.
type policyView struct {
	parts.Filled

	Head    parts.Head
	Tabs    []parts.Tab
	Action  string
	Open    parts.Check
	Closed  parts.Check
	Reviews []parts.Option
	Changed time.Time
}

// reviewTimes are the times to choose from for how long a review may wait; 0 means until
// the authorization ends.
var reviewTimes = []struct {
	life  time.Duration
	words string
}{{0, "fraud.reviewFor.hold"}, {time.Hour, "links.life.hour"}, {24 * time.Hour, "links.life.day"},
	{3 * 24 * time.Hour, "fraud.reviewFor.three"}, {5 * 24 * time.Hour, "fraud.reviewFor.five"}}

// showPolicy shows the policy of the account and mode.
func (d *Pages) showPolicy(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return risk.Unavailable()
	}

	kept, err := d.Fraud.Rulebook.Policy(v.Context(), v.Account.ID, v.Mode)
	if err != nil {
		return err
	}

	// An account that never chose has the policy of the installation.
	f := policyView{Changed: kept.UpdatedAt}
	f.Values = map[string][]string{"late": {"block"}, "review": {kept.ReviewFor.String()}}
	if kept.FailOpen {
		f.Values.Set("late", "allow")
	}
	return v.policy(http.StatusOK, f)
}

// policy renders the form. A time that was set by the API and is none of those to choose
// from is kept as a choice.
func (v *visit) policy(status int, f policyView) error {
	p := v.Print
	f.Tabs, f.Action, f.Head = risk.Tabs(
		v.Visit,
		"policy",
	), v.Path(
		"fraud",
		"policy",
	), parts.Head{
		Title: p.T("fraud.policy"),
		Lead:  p.T("fraud.policyLead"),
	}
	f.Open, f.Closed = f.Radio(
		"late",
		"allow",
		p.T("fraud.failOpen"),
		p.T("fraud.failOpenHint"),
	), f.Radio(
		"late",
		"block",
		p.T("fraud.failClosed"),
		p.T("fraud.failClosedHint"),
	)
	// The values of the choice are durations as text, in which equal times are equal.
	found := false
	for _, r := range reviewTimes {
		f.Reviews = append(f.Reviews, parts.Option{Value: r.life.String(), Text: p.T(r.words)})
		found = found || r.life.String() == f.Values.Get("review")
	}
	if life, err := time.ParseDuration(f.Values.Get("review")); !found && err == nil {
		f.Reviews = append(
			f.Reviews,
			parts.Option{Value: life.String(), Text: p.T("fraud.reviewFor.hours", "Hours", p.Number(int64(life/time.Hour)))},
		) // set through the API
	}
	return v.Render(status, f.Head.Title, policyPage(f))
}

// changePolicy stores the policy. Sending the same form twice changes nothing.
func (d *Pages) changePolicy(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return risk.Unavailable()
	}

	in, err := v.Posted()
	if err != nil {
		return err
	}

	// Only an explicit choice blocks payments that could not be rated in time.
	want := rulebook.Policy{FailOpen: in.Get("late") != "block"}
	want.ReviewFor, err = time.ParseDuration(in.Get("review"))
	if err != nil {
		// Until the authorization ends, which is the usual time.
		want.ReviewFor = 0
	}
	if _, err := d.Fraud.Rulebook.PutPolicy(v.Context(), v.Account.ID, v.Mode, want); err != nil {
		f := policyView{Filled: parts.Filled{Values: in}}
		if f.Problems = v.Problems(err); f.Problems == nil {
			return err
		}
		return v.policy(http.StatusUnprocessableEntity, f)
	}

	return v.Redirect(v.Path("fraud", "policy"), "good", v.Print.T("fraud.policySaved"))
}

// modelsView is the list of the models that were trained.
type modelsView struct {
	Head  parts.Head
	Tabs  []parts.Tab
	Table parts.Table
}

// modelStates has the words and the tone of a model's state.
var modelStates = map[string]struct{ key, tone string }{
	learning.Running: {"fraud.model.running", "good"}, learning.Shadow: {"fraud.state.shadow", "accent"},
	learning.Trained: {"fraud.model.trained", "wait"}, learning.Retired: {"fraud.model.retired", "quiet"},
}

// showModels shows every model with its measures. Models belong to the installation, and
// merchants cannot change them.
func (d *Pages) showModels(v *visit) error {
	if d.Fraud.Models == nil {
		return risk.Unavailable()
	}

	// Not by account or mode, as everywhere else on these pages.
	list, err := d.Fraud.Models.Models(v.Context())
	if err != nil {
		return err
	}

	p := v.Print
	t := parts.Table{
		ID:            "models",
		Caption:       p.T("fraud.models"),
		CaptionHidden: true,
		Columns: []parts.Column{{Label: p.T("fraud.versionHead")}, {Label: p.T("fraud.state")}, {Label: p.T("fraud.model.learned")},
			{
				Label:  "AUC ROC",
				Number: true,
			}, {Label: p.T("fraud.model.average"), Number: true}, {Label: p.T("fraud.model.cards"), Number: true},
			{Label: p.T("fraud.model.when"), Number: true}},
		Empty: parts.Empty{Icon: "chart", Headline: p.T("fraud.model.none"), Lead: p.T("fraud.model.noneLead")},
	}
	for _, m := range list {
		state := modelStates[m.State]
		t.Rows = append(
			t.Rows,
			parts.Row{Cells: []templ.Component{parts.Code(m.Version), parts.BadgePart(parts.Badge{Text: p.T(state.key), Tone: state.tone}),
				parts.Text(
					p.T("fraud.model.from", "Payments", p.Number(int64(m.Payments)), "Frauds", p.Number(int64(m.Frauds))),
				), measure(m.AUC), measure(m.AveragePrecision), measure(m.CardPrecision), parts.When(m.TrainedAt)}},
		)
	}

	return v.Render(
		http.StatusOK,
		p.T("fraud.models"),
		modelsPage(
			modelsView{Tabs: risk.Tabs(v.Visit, "models"), Table: t, Head: parts.Head{Title: p.T("fraud.models"), Lead: p.T("fraud.modelsLead")}},
		),
	)
}

// measure returns a measure of a test, between 0 and 1, with three decimals. Zero means
// that there is none.
func measure(x float64) templ.Component {
	if x == 0 {
		return parts.Text("–")
	}
	return parts.Text(strconv.FormatFloat(x, 'f', 3, 64))
}
