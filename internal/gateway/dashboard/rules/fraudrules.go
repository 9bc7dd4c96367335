package rules

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/rule"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/risk"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/payment"
)

// shapeRule is the shape of a recorded response, as the API names it.
const shapeRule = "fraud_rule"

// Routes returns the section's pages and changes.
func (d *Pages) Routes() []frame.Route {
	const base = "/dashboard/{mode}/fraud/rules"
	get := func(path string, h func(*Pages, *visit) error) frame.Route {
		return frame.Get(base+path, "fraud", d.on(h))
	}
	post := func(path string, h func(*Pages, *visit) error) frame.Route {
		return frame.Post(base+path, "fraud", d.on(h))
	}
	return []frame.Route{
		get("", (*Pages).listRules), get("/new", (*Pages).newRule), post("", (*Pages).createRule), post("/check", (*Pages).checkRule),
		get("/{id}", (*Pages).showRule), get("/{id}/edit", (*Pages).editRule), post("/{id}", (*Pages).changeRule),
		get("/{id}/state", (*Pages).askRuleState), post("/{id}/state", (*Pages).setRuleState),
		get("/{id}/delete", (*Pages).askDeleteRule), post("/{id}/delete", (*Pages).deleteRule),
	}
}

// Bounds of a rule's form, in characters.
const (
	maxRuleName  = 100
	maxCondition = 2000
)

// ruleHit is how many payments a rule matched lately, in force and in shadow.
type ruleHit struct{ Hits, Shadow int64 }

// recentHits returns the matches of each rule in the usual period. Without the analytics
// store it is empty.
func (v *visit) recentHits() (map[string]ruleHit, error) {
	out := map[string]ruleHit{}
	if v.d.Fraud.Analyst == nil {
		return out, nil
	}

	// The columns' headings name this period, so it cannot be chosen here.
	from, to, err := risk.LastDays(v.Visit, risk.UsualDays)
	if err != nil {
		return nil, err
	}

	f, err := v.d.Fraud.Analyst.Figures(v.Context(), v.Account.ID, v.Mode, from, to)
	if err != nil {
		return nil, err
	}

	for _, r := range f.Rules {
		h := out[r.Rule]
		// A rule that was switched within the period has both.
		if r.Shadow {
			h.Shadow += r.Hits
		} else {
			h.Hits += r.Hits
		}
		out[r.Rule] = h
	}

	return out, nil
}

// rulesView is the list of rules: the account's own, and those of the installation.
type rulesView struct {
	Head       parts.Head
	Tabs       []parts.Tab
	Own, House parts.Table
}

// listRules shows all rules that apply to the account, with their recent matches.
func (d *Pages) listRules(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return risk.Unavailable()
	}

	rules, err := d.Fraud.Rulebook.Rules(v.Context(), v.Account.ID, v.Mode)
	if err != nil {
		return err
	}

	hits, err := v.recentHits()
	if err != nil {
		return err
	}

	p := v.Print
	add := parts.Button{Text: p.T("fraud.newRule"), Href: v.Path("fraud", "rules", "new"), Kind: "primary", Icon: "plus"}
	view := rulesView{
		Tabs: risk.Tabs(v.Visit, "rules"),
		Head: parts.Head{Title: p.T("fraud.rules"), Lead: p.T("fraud.rulesLead"), Actions: []parts.Button{add}},
	}
	view.Own, view.House = v.ruleTable("own-rules", p.T("fraud.ownRules")), v.ruleTable("house-rules", p.T("fraud.houseRules"))
	view.Own.Empty = parts.Empty{Icon: "shield", Headline: p.T("fraud.noRules"), Lead: p.T("fraud.noRulesLead"), Actions: []parts.Button{add}}
	for _, r := range rules {
		h := hits[r.ID]
		row := parts.Row{
			ID:   r.ID,
			Href: v.Path("fraud", "rules", r.ID),
			Cells: []templ.Component{ruleNameCell(r), parts.BadgePart(risk.Action(v.Visit, r.Action)), parts.BadgePart(v.stateBadge(r.State)),
				parts.Text(p.Number(h.Hits)), parts.Text(p.Number(h.Shadow))},
		}
		// A rule of the default set becomes the account's when its state is changed, but
		// keeps its place in the list.
		if r.Account == "" || r.Builtin {
			view.House.Rows = append(view.House.Rows, row)
		} else {
			view.Own.Rows = append(view.Own.Rows, row)
		}
	}

	return v.Render(http.StatusOK, view.Head.Title, rulesPage(view))
}

// ruleTable returns an empty table of rules.
func (v *visit) ruleTable(id, caption string) parts.Table {
	p := v.Print
	return parts.Table{
		ID:      id,
		Caption: caption,
		Columns: []parts.Column{
			{Label: p.T("fraud.rule")},
			{Label: p.T("fraud.action")},
			{Label: p.T("fraud.state")},
			{Label: p.T("fraud.hits30"), Number: true},
			{Label: p.T("fraud.shadow30"), Number: true},
		},
	}
}

// stateBadge returns the state of a rule.
func (v *visit) stateBadge(state string) parts.Badge {
	switch state {
	case rulebook.On:
		return parts.Badge{Text: v.Print.T("fraud.state.on"), Tone: "good"}
	case rulebook.Shadow:
		return parts.Badge{Text: v.Print.T("fraud.state.shadow"), Tone: "accent"}
	}
	return parts.Badge{Text: v.Print.T("fraud.state.off"), Tone: "quiet"}
}

// ruleForm is the form of a rule.
type ruleForm struct {
	parts.Filled

	Head      parts.Head
	Tabs      []parts.Tab
	Action    string // where it is sent to
	Check     string // where a condition is looked at while it is typed
	Attempt   string
	Back      string
	States    []parts.Check
	Actions   []parts.Option
	Place     string // the line of the condition with a mark under what is wrong
	Variables []variables
	Examples  []example
	Tried     *backtestView // the answer of a rule that is not kept yet
}

// newRule shows the form of a new rule, which begins in shadow. The query may bring a
// condition.
func (d *Pages) newRule(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return risk.Unavailable()
	}
	f := ruleForm{Attempt: frame.NewAttempt()}
	// In shadow a rule only counts what it would have done. The action is the mildest one
	// that stops anything.
	f.Values = map[string][]string{"state": {rulebook.Shadow}, "action": {string(payment.Hold)}, "when": {v.Param("when")}}
	return v.ruleForm(http.StatusOK, f, "")
}

// ruleForm renders the form of a rule; the id "" is a new one.
func (v *visit) ruleForm(status int, f ruleForm, id string) error {
	p := v.Print
	f.Values = parts.Emptied(f.Values)
	f.Tabs, f.Check, f.Back, f.Action = risk.Tabs(
		v.Visit,
		"rules",
	), v.Path(
		"fraud",
		"rules",
		"check",
	), v.Path(
		"fraud",
		"rules",
	), v.Path(
		"fraud",
		"rules",
	)
	f.Head = parts.Head{Title: p.T("fraud.newRule"), Back: parts.Button{Text: p.T("fraud.rules"), Href: f.Back}}
	if id != "" {
		// A stored rule is sent to its own address, and the way back leads to its page.
		f.Back, f.Action = v.Path("fraud", "rules", id), v.Path("fraud", "rules", id)
		f.Head = parts.Head{
			Title: p.T("fraud.editRule"),
			Back:  parts.Button{Text: cmp.Or(f.Values.Get("name"), p.T("fraud.rules")), Href: f.Back},
		}
	}
	f.States = []parts.Check{f.Radio("state", rulebook.Shadow, p.T("fraud.state.shadow"), p.T("fraud.state.shadowHint")),
		f.Radio(
			"state",
			rulebook.On,
			p.T("fraud.state.on"),
			p.T("fraud.state.onHint"),
		), f.Radio("state", rulebook.Off, p.T("fraud.state.off"), p.T("fraud.state.offHint"))}
	f.Actions = risk.Actions(v.Visit, payment.Challenge, payment.Allow, payment.Block, payment.Hold)
	f.Variables, f.Examples = v.variables(), v.examples()
	return v.Render(status, f.Head.Title, ruleFormPage(f))
}

// askedRule reads the form into a rule of the account. The service checks it.
func (v *visit) askedRule() (ruleForm, rulebook.Rule, error) {
	in, err := v.Posted()
	if err != nil {
		return ruleForm{}, rulebook.Rule{}, err
	}
	// Browsers send line breaks as CRLF. The compiler counts lines, so they become what
	// they were in the input.
	r := rulebook.Rule{Account: v.Account.ID, Mode: v.Mode, Name: strings.TrimSpace(in.Get("name")), Action: payment.Action(in.Get("action")),
		When: strings.TrimSpace(strings.ReplaceAll(in.Get("when"), "\r\n", "\n")), State: in.Get("state")}
	return ruleForm{Filled: parts.Filled{Values: in}, Attempt: in.Get("attempt")}, r, nil
}

// createRule adds a rule, or tries it.
func (d *Pages) createRule(v *visit) error { return v.saveRule("") }

// changeRule replaces a rule by a new version, or tries it.
func (d *Pages) changeRule(v *visit) error { return v.saveRule(v.PathValue("id")) }

// saveRule stores a rule, or runs its backtest without storing it. If something is wrong,
// the form is shown again with what was typed. A form that is sent again shows the rule
// that it made.
func (v *visit) saveRule(id string) error {
	if v.d.Fraud.Rulebook == nil {
		return risk.Unavailable()
	}

	f, r, err := v.askedRule()
	if err != nil {
		return err
	}
	if id != "" {
		// The service would refuse the change too, but a rule that is not the account's is
		// not found here.
		if _, err := v.ownRule(id); err != nil {
			return err
		}
		r.ID = id
	}

	// The button beside the one that saves. Nothing is stored, so the attempt id is not
	// used up.
	if v.PostForm.Get("do") == "backtest" {
		if f.Tried, err = v.backtest(r, "days"); err != nil {
			return v.refusedRule(f, id, err)
		}
		return v.ruleForm(http.StatusOK, f, id)
	}

	// A new rule has its id from the service, or from the recorded response.
	kept := r
	replayed, err := v.Once(v.d.Records, shapeRule, func(t *idempotency.Ticket) (err error) {
		kept, err = v.d.Fraud.Rulebook.PutRule(v.Context(), r, v.User.ID, t)
		return err
	})
	if err != nil {
		return v.refusedRule(f, id, err)
	}
	if replayed != nil {
		if kept.ID, err = frame.RecordedID(replayed); err != nil {
			return err
		}
	}

	return v.Redirect(v.Path("fraud", "rules", kept.ID), "good", v.Print.T("fraud.ruleSaved"))
}

// refusedRule shows the form again with what is wrong, and the place in the condition.
func (v *visit) refusedRule(f ruleForm, id string, err error) error {
	if f.Problems = v.Problems(err); f.Problems == nil {
		return err
	}
	// Trimmed, as the compiler had it. Otherwise the lines would not match.
	f.Place = placeOf(strings.TrimSpace(f.Values.Get("when")), f.Problems.Of("when"))
	return v.ruleForm(http.StatusUnprocessableEntity, f, id)
}

// ruleOf returns a rule that the account may see, or not found.
func (v *visit) ruleOf(id string) (rulebook.Rule, error) {
	if v.d.Fraud.Rulebook == nil {
		return rulebook.Rule{}, risk.Unavailable()
	}
	rules, err := v.d.Fraud.Rulebook.Rules(v.Context(), v.Account.ID, v.Mode)
	if err != nil {
		return rulebook.Rule{}, err
	}
	// The rulebook has no read by id. An account has few rules.
	at := slices.IndexFunc(rules, func(r rulebook.Rule) bool { return r.ID == id })
	if at < 0 {
		return rulebook.Rule{}, fault.NotFound("rule")
	}
	return rules[at], nil
}

// ownRule returns a rule that the account may change, or not found.
func (v *visit) ownRule(id string) (rulebook.Rule, error) {
	r, err := v.ruleOf(id)
	if err == nil && !v.owns(r) {
		return r, fault.NotFound("rule") // the installation's and the default set are only looked at, and switched
	}
	return r, err
}

// owns reports whether the account wrote the rule.
func (v *visit) owns(r rulebook.Rule) bool { return r.Account == v.Account.ID && !r.Builtin }

// editRule shows the form of a rule.
func (d *Pages) editRule(v *visit) error {
	r, err := v.ownRule(v.PathValue("id"))
	if err != nil {
		return err
	}
	f := ruleForm{Attempt: frame.NewAttempt()}
	f.Values = map[string][]string{"name": {r.Name}, "action": {string(r.Action)}, "when": {r.When}, "state": {r.State}}
	return v.ruleForm(http.StatusOK, f, r.ID)
}

// checkRule answers, while a condition is typed, whether it compiles. It stores nothing.
func (d *Pages) checkRule(v *visit) error {
	in, err := v.Posted()
	if err != nil {
		return err
	}
	when := strings.TrimSpace(in.Get("when"))
	c := conditionCheck{Empty: when == ""}
	if !c.Empty {
		// It is only compiled. What depends on the other rules of the account is checked
		// when it is saved.
		if issuer.HasNumber(when) {
			c.Wrong = v.Print.T("common.fault.card") // without the place, which repeats the condition
		} else if _, err := rule.Compile(when); err != nil {
			c.Wrong, c.Place = err.Error(), placeOf(when, err.Error())
		}
	}
	return v.Render(http.StatusOK, "", conditionCheckPart(c))
}

// conditionCheck is whether a condition compiles, and where it does not.
type conditionCheck struct {
	Empty        bool
	Wrong, Place string
}

// askRuleState asks before a rule is switched, with its recent matches.
func (d *Pages) askRuleState(v *visit) error {
	r, err := v.ruleOf(v.PathValue("id"))
	if err != nil {
		return err
	}
	to, p, back := v.Param("to"), v.Print, v.Path("fraud", "rules", r.ID)
	words, ok := stateWords[to]
	// The address was changed by hand, or the rule was switched meanwhile.
	if !ok || to == r.State {
		return v.Redirect(back, "", "")
	}
	hits, err := v.recentHits()
	if err != nil {
		return err
	}
	q := parts.Question{
		Head:   parts.Head{Title: p.T(words.title), Back: parts.Button{Text: r.Name, Href: back}},
		Lead:   p.T(words.lead),
		Action: v.Path("fraud", "rules", r.ID, "state"),
		Detail: p.T("fraud.hitsSoFar", "Hits", p.Number(hits[r.ID].Hits), "Shadow", p.Number(hits[r.ID].Shadow)),
		OK: parts.Button{
			Text:  p.T(words.title),
			Kind:  words.kind,
			Name:  "to",
			Value: to,
		},
		Back: parts.Button{Text: p.T("webhooks.cancel"), Href: back},
	}
	return v.Ask(q)
}

// stateWords are the texts that ask for and report a change of state.
var stateWords = map[string]struct{ title, lead, done, kind string }{
	rulebook.On:     {"fraud.switchOn", "fraud.switchOnLead", "fraud.switchedOn", "primary"},
	rulebook.Shadow: {"fraud.switchShadow", "fraud.switchShadowLead", "fraud.switchedShadow", "primary"},
	rulebook.Off:    {"fraud.switchOff", "fraud.switchOffLead", "fraud.switchedOff", "danger"},
}

// setRuleState switches a rule, once. For a rule of the default set it stores the account's
// own state of it.
func (d *Pages) setRuleState(v *visit) error {
	in, err := v.Posted()
	if err != nil {
		return err
	}
	r, err := v.ruleOf(v.PathValue("id"))
	if err != nil {
		return err
	}
	words, ok := stateWords[in.Get("to")]
	if !ok {
		return fault.New(fault.KindInvalid, "form_invalid", "The form data is incomplete or malformed. Reload the page and try again.")
	}
	r.Account, r.State = v.Account.ID, in.Get("to") // of the default set: as this account wants it
	// The whole rule is stored once more: a change of state is a version like any other.
	if _, err := v.Once(d.Records, shapeRule, func(t *idempotency.Ticket) error {
		_, err := d.Fraud.Rulebook.PutRule(v.Context(), r, v.User.ID, t)
		return err
	}); err != nil {
		return err
	}
	return v.Redirect(v.Path("fraud", "rules", r.ID), "good", v.Print.T(words.done))
}

// askDeleteRule asks before a rule is deleted.
func (d *Pages) askDeleteRule(v *visit) error {
	r, err := v.ownRule(v.PathValue("id"))
	if err != nil {
		return err
	}
	p, back := v.Print, v.Path("fraud", "rules", r.ID)
	return v.Ask(
		parts.Question{
			Head:   parts.Head{Title: p.T("fraud.deleteRule"), Back: parts.Button{Text: r.Name, Href: back}},
			Lead:   p.T("fraud.deleteRuleLead"),
			Detail: r.Name,
			Action: v.Path(
				"fraud",
				"rules",
				r.ID,
				"delete",
			),
			OK:   parts.Button{Text: p.T("fraud.deleteRule"), Kind: "danger"},
			Back: parts.Button{Text: p.T("webhooks.cancel"), Href: back},
		},
	)
}

// deleteRule deletes a rule.
func (d *Pages) deleteRule(v *visit) error {
	r, err := v.ownRule(v.PathValue("id"))
	if err == nil {
		err = d.Fraud.Rulebook.DeleteRule(v.Context(), v.Account.ID, v.Mode, r.ID)
	}
	return v.Deleted(v.Path("fraud", "rules"), v.Print.T("fraud.ruleDeleted"), err)
}
