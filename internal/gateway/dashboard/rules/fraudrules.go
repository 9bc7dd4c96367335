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
	"github.com/paylink/paylink/internal/payment"
)

// shapeRule is that of a recorded answer, as gateway/api has it.
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

// ruleHit is what a rule did lately, in force and in shadow.
type ruleHit struct{ Hits, Shadow int64 }

// recentHits counts what each rule did in the usual period; empty where the process
// has no way to the figures.
func (v *visit) recentHits() (map[string]ruleHit, error) {
	out := map[string]ruleHit{}
	if v.d.Fraud.Analyst == nil {
		return out, nil
	}
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
		if r.Shadow {
			h.Shadow += r.Hits
		} else {
			h.Hits += r.Hits
		}
		out[r.Rule] = h
	}
	return out, nil
}

// rulesView is the list of rules.
type rulesView struct {
	Head       parts.Head
	Tabs       []parts.Tab
	Own, House parts.Table
}

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
	view := rulesView{Tabs: risk.Tabs(v.Visit, "rules"), Head: parts.Head{Title: p.T("fraud.rules"), Lead: p.T("fraud.rulesLead"), Actions: []parts.Button{add}}}
	view.Own, view.House = v.ruleTable("own-rules", p.T("fraud.ownRules")), v.ruleTable("house-rules", p.T("fraud.houseRules"))
	view.Own.Empty = parts.Empty{Icon: "shield", Headline: p.T("fraud.noRules"), Lead: p.T("fraud.noRulesLead"), Actions: []parts.Button{add}}
	for _, r := range rules {
		h := hits[r.ID]
		row := parts.Row{ID: r.ID, Href: v.Path("fraud", "rules", r.ID), Cells: []templ.Component{ruleNameCell(r), parts.BadgePart(risk.Action(v.Visit, r.Action)), parts.BadgePart(v.stateBadge(r.State)),
			parts.Text(p.Number(h.Hits)), parts.Text(p.Number(h.Shadow))}}
		if r.Account == "" || r.Builtin {
			view.House.Rows = append(view.House.Rows, row)
		} else {
			view.Own.Rows = append(view.Own.Rows, row)
		}
	}
	return v.Render(http.StatusOK, view.Head.Title, rulesPage(view))
}

func (v *visit) ruleTable(id, caption string) parts.Table {
	p := v.Print
	return parts.Table{ID: id, Caption: caption, Columns: []parts.Column{{Label: p.T("fraud.rule")}, {Label: p.T("fraud.action")}, {Label: p.T("fraud.state")}, {Label: p.T("fraud.hits30"), Number: true},
		{Label: p.T("fraud.shadow30"), Number: true}}}
}

func (v *visit) stateBadge(state string) parts.Badge {
	switch state {
	case rulebook.On:
		return parts.Badge{Text: v.Print.T("fraud.state.on"), Tone: "good"}
	case rulebook.Shadow:
		return parts.Badge{Text: v.Print.T("fraud.state.shadow"), Tone: "accent"}
	}
	return parts.Badge{Text: v.Print.T("fraud.state.off"), Tone: "quiet"}
}

// ruleForm is what is asked of a rule.
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

func (d *Pages) newRule(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return risk.Unavailable()
	}
	f := ruleForm{Attempt: frame.NewAttempt()}
	f.Values = map[string][]string{"state": {rulebook.Shadow}, "action": {string(payment.Hold)}, "when": {v.Param("when")}}
	return v.ruleForm(http.StatusOK, f, "")
}

// ruleForm shows the form of a rule; id "" is a new one.
func (v *visit) ruleForm(status int, f ruleForm, id string) error {
	p := v.Print
	f.Tabs, f.Check, f.Back, f.Action = risk.Tabs(v.Visit, "rules"), v.Path("fraud", "rules", "check"), v.Path("fraud", "rules"), v.Path("fraud", "rules")
	f.Head = parts.Head{Title: p.T("fraud.newRule"), Back: parts.Button{Text: p.T("fraud.rules"), Href: f.Back}}
	if id != "" {
		f.Back, f.Action = v.Path("fraud", "rules", id), v.Path("fraud", "rules", id)
		f.Head = parts.Head{Title: p.T("fraud.editRule"), Back: parts.Button{Text: cmp.Or(f.Values.Get("name"), p.T("fraud.rules")), Href: f.Back}}
	}
	f.States = []parts.Check{f.Radio("state", rulebook.Shadow, p.T("fraud.state.shadow"), p.T("fraud.state.shadowHint")),
		f.Radio("state", rulebook.On, p.T("fraud.state.on"), p.T("fraud.state.onHint")), f.Radio("state", rulebook.Off, p.T("fraud.state.off"), p.T("fraud.state.offHint"))}
	f.Actions = risk.Actions(v.Visit, payment.Challenge, payment.Allow, payment.Block, payment.Hold)
	f.Variables, f.Examples = v.variables(), v.examples()
	return v.Render(status, f.Head.Title, ruleFormPage(f))
}

// askedRule reads the form.
func (v *visit) askedRule() (ruleForm, rulebook.Rule, error) {
	in, err := v.Posted()
	if err != nil {
		return ruleForm{}, rulebook.Rule{}, err
	}
	r := rulebook.Rule{Account: v.Account.ID, Mode: v.Mode, Name: strings.TrimSpace(in.Get("name")), Action: payment.Action(in.Get("action")),
		When: strings.TrimSpace(strings.ReplaceAll(in.Get("when"), "\r\n", "\n")), State: in.Get("state")}
	return ruleForm{Filled: parts.Filled{Values: in}, Attempt: in.Get("attempt")}, r, nil
}

func (d *Pages) createRule(v *visit) error { return v.saveRule("") }

func (d *Pages) changeRule(v *visit) error { return v.saveRule(v.PathValue("id")) }

// saveRule keeps a rule, or tries it against the history without keeping it. What is
// wrong is said beside the fields, which keep what was typed.
func (v *visit) saveRule(id string) error {
	if v.d.Fraud.Rulebook == nil {
		return risk.Unavailable()
	}
	f, r, err := v.askedRule()
	if err != nil {
		return err
	}
	if id != "" {
		if _, err := v.ownRule(id); err != nil {
			return err
		}
		r.ID = id
	}
	if v.PostForm.Get("do") == "backtest" {
		if f.Tried, err = v.backtest(r, "days"); err != nil {
			return v.refusedRule(f, id, err)
		}
		return v.ruleForm(http.StatusOK, f, id)
	}
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

func (v *visit) refusedRule(f ruleForm, id string, err error) error {
	if f.Problems = v.Problems(err); f.Problems == nil {
		return err
	}
	f.Place = placeOf(strings.TrimSpace(f.Values.Get("when")), f.Problems.Of("when"))
	return v.ruleForm(http.StatusUnprocessableEntity, f, id)
}

// ruleOf is one that the account may see.
func (v *visit) ruleOf(id string) (rulebook.Rule, error) {
	if v.d.Fraud.Rulebook == nil {
		return rulebook.Rule{}, risk.Unavailable()
	}
	rules, err := v.d.Fraud.Rulebook.Rules(v.Context(), v.Account.ID, v.Mode)
	if err != nil {
		return rulebook.Rule{}, err
	}
	at := slices.IndexFunc(rules, func(r rulebook.Rule) bool { return r.ID == id })
	if at < 0 {
		return rulebook.Rule{}, fault.NotFound("rule")
	}
	return rules[at], nil
}

// ownRule is one that the account may change.
func (v *visit) ownRule(id string) (rulebook.Rule, error) {
	r, err := v.ruleOf(id)
	if err == nil && !v.owns(r) {
		return r, fault.NotFound("rule") // the installation's and the default set are only looked at, and switched
	}
	return r, err
}

func (v *visit) owns(r rulebook.Rule) bool { return r.Account == v.Account.ID && !r.Builtin }

func (d *Pages) editRule(v *visit) error {
	r, err := v.ownRule(v.PathValue("id"))
	if err != nil {
		return err
	}
	f := ruleForm{Attempt: frame.NewAttempt()}
	f.Values = map[string][]string{"name": {r.Name}, "action": {string(r.Action)}, "when": {r.When}, "state": {r.State}}
	return v.ruleForm(http.StatusOK, f, r.ID)
}

// checkRule says, while a condition is typed, whether it is understood.
func (d *Pages) checkRule(v *visit) error {
	in, err := v.Posted()
	if err != nil {
		return err
	}
	when := strings.TrimSpace(in.Get("when"))
	c := conditionCheck{Empty: when == ""}
	if !c.Empty {
		if _, err := rule.Compile(when); err != nil {
			c.Wrong, c.Place = err.Error(), placeOf(when, err.Error())
		}
	}
	return v.Render(http.StatusOK, "", conditionCheckPart(c))
}

// conditionCheck is what is thought of a condition that is being typed.
type conditionCheck struct {
	Empty        bool
	Wrong, Place string
}

func (d *Pages) askRuleState(v *visit) error {
	r, err := v.ruleOf(v.PathValue("id"))
	if err != nil {
		return err
	}
	to, p, back := v.Param("to"), v.Print, v.Path("fraud", "rules", r.ID)
	words, ok := stateWords[to]
	if !ok || to == r.State {
		return v.Redirect(back, "", "")
	}
	hits, err := v.recentHits()
	if err != nil {
		return err
	}
	q := parts.Question{Head: parts.Head{Title: p.T(words.title), Back: parts.Button{Text: r.Name, Href: back}}, Lead: p.T(words.lead), Action: v.Path("fraud", "rules", r.ID, "state"),
		Detail: p.T("fraud.hitsSoFar", "Hits", p.Number(hits[r.ID].Hits), "Shadow", p.Number(hits[r.ID].Shadow)),
		OK:     parts.Button{Text: p.T(words.title), Kind: words.kind, Name: "to", Value: to}, Back: parts.Button{Text: p.T("webhooks.cancel"), Href: back}}
	return v.Ask(q)
}

// stateWords are the texts that ask for and report a change of state.
var stateWords = map[string]struct{ title, lead, done, kind string }{
	rulebook.On:     {"fraud.switchOn", "fraud.switchOnLead", "fraud.switchedOn", "primary"},
	rulebook.Shadow: {"fraud.switchShadow", "fraud.switchShadowLead", "fraud.switchedShadow", "primary"},
	rulebook.Off:    {"fraud.switchOff", "fraud.switchOffLead", "fraud.switchedOff", "danger"},
}

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
	if _, err := v.Once(d.Records, shapeRule, func(t *idempotency.Ticket) error {
		_, err := d.Fraud.Rulebook.PutRule(v.Context(), r, v.User.ID, t)
		return err
	}); err != nil {
		return err
	}
	return v.Redirect(v.Path("fraud", "rules", r.ID), "good", v.Print.T(words.done))
}

func (d *Pages) askDeleteRule(v *visit) error {
	r, err := v.ownRule(v.PathValue("id"))
	if err != nil {
		return err
	}
	p, back := v.Print, v.Path("fraud", "rules", r.ID)
	return v.Ask(parts.Question{Head: parts.Head{Title: p.T("fraud.deleteRule"), Back: parts.Button{Text: r.Name, Href: back}}, Lead: p.T("fraud.deleteRuleLead"), Detail: r.Name,
		Action: v.Path("fraud", "rules", r.ID, "delete"), OK: parts.Button{Text: p.T("fraud.deleteRule"), Kind: "danger"}, Back: parts.Button{Text: p.T("webhooks.cancel"), Href: back}})
}

// DeleteRule: one that is gone already is what was asked for.
func (d *Pages) deleteRule(v *visit) error {
	r, err := v.ownRule(v.PathValue("id"))
	if err == nil {
		err = d.Fraud.Rulebook.DeleteRule(v.Context(), v.Account.ID, v.Mode, r.ID)
	}
	if err != nil && fault.KindOf(err) != fault.KindNotFound {
		return err
	}
	return v.Redirect(v.Path("fraud", "rules"), "good", v.Print.T("fraud.ruleDeleted"))
}
