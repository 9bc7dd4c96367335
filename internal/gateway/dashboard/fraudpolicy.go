package dashboard

import (
	"net/http"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"

	"github.com/a-h/templ"
)

// policyView is the account's say in what no rule decides.
type policyView struct {
	filled

	Head    head
	Tabs    []tab
	Action  string
	Open    check
	Closed  check
	Reviews []option
	Changed time.Time
}

// reviewTimes are how long a review may wait; 0 is until the authorisation ends.
var reviewTimes = []struct {
	life  time.Duration
	words string
}{{0, "fraud.reviewFor.hold"}, {time.Hour, "links.life.hour"}, {24 * time.Hour, "links.life.day"}, {3 * 24 * time.Hour, "fraud.reviewFor.three"}, {5 * 24 * time.Hour, "fraud.reviewFor.five"}}

func (d *Dashboard) showPolicy(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return noFraud()
	}
	kept, err := d.Fraud.Rulebook.Policy(v.Context(), v.account.ID, v.mode)
	if err != nil {
		return err
	}
	f := policyView{Changed: kept.UpdatedAt}
	f.Values = map[string][]string{"late": {"block"}, "review": {kept.ReviewFor.String()}}
	if kept.FailOpen {
		f.Values.Set("late", "allow")
	}
	return v.policy(http.StatusOK, f)
}

func (v *visit) policy(status int, f policyView) error {
	p := v.print
	f.Tabs, f.Action, f.Head = fraudTabs(v, "policy"), v.path("fraud", "policy"), head{Title: p.T("fraud.policy"), Lead: p.T("fraud.policyLead")}
	f.Open, f.Closed = f.radio("late", "allow", p.T("fraud.failOpen"), p.T("fraud.failOpenHint")), f.radio("late", "block", p.T("fraud.failClosed"), p.T("fraud.failClosedHint"))
	found := false
	for _, r := range reviewTimes {
		f.Reviews = append(f.Reviews, option{r.life.String(), p.T(r.words)})
		found = found || r.life.String() == f.Values.Get("review")
	}
	if life, err := time.ParseDuration(f.Values.Get("review")); !found && err == nil {
		f.Reviews = append(f.Reviews, option{life.String(), p.T("fraud.reviewFor.hours", "Hours", p.Number(int64(life/time.Hour)))}) // set through the API
	}
	return v.render(status, f.Head.Title, policyPage(f))
}

// changePolicy: saying the same twice changes nothing.
func (d *Dashboard) changePolicy(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return noFraud()
	}
	in, err := v.form()
	if err != nil {
		return err
	}
	want := rulebook.Policy{FailOpen: in.Get("late") != "block"}
	want.ReviewFor, err = time.ParseDuration(in.Get("review"))
	if err != nil {
		want.ReviewFor = 0
	}
	if _, err := d.Fraud.Rulebook.PutPolicy(v.Context(), v.account.ID, v.mode, want); err != nil {
		f := policyView{filled: filled{Values: in}}
		if f.Problems = v.problems(err); f.Problems == nil {
			return err
		}
		return v.policy(http.StatusUnprocessableEntity, f)
	}
	return v.redirect(v.path("fraud", "policy"), "good", v.print.T("fraud.policySaved"))
}

// modelsView is what was trained.
type modelsView struct {
	Head  head
	Tabs  []tab
	Table table
}

// modelStates are the words of a model's state.
var modelStates = map[string]struct{ key, tone string }{
	learning.Running: {"fraud.model.running", "good"}, learning.Shadow: {"fraud.state.shadow", "accent"},
	learning.Trained: {"fraud.model.trained", "wait"}, learning.Retired: {"fraud.model.retired", "quiet"},
}

func (d *Dashboard) showModels(v *visit) error {
	if d.Fraud.Models == nil {
		return noFraud()
	}
	list, err := d.Fraud.Models.Models(v.Context())
	if err != nil {
		return err
	}
	p := v.print
	t := table{ID: "models", Caption: p.T("fraud.models"), CaptionHidden: true, Columns: []column{{Label: p.T("fraud.versionHead")}, {Label: p.T("fraud.state")}, {Label: p.T("fraud.model.learned")},
		{Label: "AUC ROC", Number: true}, {Label: p.T("fraud.model.average"), Number: true}, {Label: p.T("fraud.model.cards"), Number: true}, {Label: p.T("fraud.model.when"), Number: true}},
		Empty: empty{Icon: "chart", Headline: p.T("fraud.model.none"), Lead: p.T("fraud.model.noneLead")}}
	for _, m := range list {
		state := modelStates[m.State]
		t.Rows = append(t.Rows, tableRow{Cells: []templ.Component{code(m.Version), badgePart(badge{p.T(state.key), state.tone}),
			text(p.T("fraud.model.from", "Payments", p.Number(int64(m.Payments)), "Frauds", p.Number(int64(m.Frauds)))), measure(m.AUC), measure(m.AveragePrecision), measure(m.CardPrecision), when(m.TrainedAt)}})
	}
	return v.render(http.StatusOK, p.T("fraud.models"), modelsPage(modelsView{Tabs: fraudTabs(v, "models"), Table: t, Head: head{Title: p.T("fraud.models"), Lead: p.T("fraud.modelsLead")}}))
}

// measure of a test, between 0 and 1; none was made where it is nought.
func measure(x float64) templ.Component {
	if x == 0 {
		return text("–")
	}
	return text(strconv.FormatFloat(x, 'f', 3, 64))
}
