package dashboard

import (
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/rule"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/payment"
)

// The shapes of recorded answers, as gateway/api has them.
const (
	shapeRule      = "fraud_rule"
	shapeListEntry = "fraud_list_entry"
)

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
	_, from, to, err := (&reading{v: v, taken: map[string]bool{}}).fraudPeriod("days")
	if err != nil {
		return nil, err
	}
	f, err := v.d.Fraud.Analyst.Figures(v.Context(), v.account.ID, v.mode, from, to)
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
	Head       head
	Tabs       []tab
	Own, House table
}

func (d *Dashboard) listRules(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return noFraud()
	}
	rules, err := d.Fraud.Rulebook.Rules(v.Context(), v.account.ID, v.mode)
	if err != nil {
		return err
	}
	hits, err := v.recentHits()
	if err != nil {
		return err
	}
	p := v.print
	add := button{Text: p.T("fraud.newRule"), Href: v.path("fraud", "rules", "new"), Kind: "primary", Icon: "plus"}
	view := rulesView{Tabs: v.fraudTabs("rules"), Head: head{Title: p.T("fraud.rules"), Lead: p.T("fraud.rulesLead"), Actions: []button{add}}}
	view.Own, view.House = v.ruleTable("own-rules", p.T("fraud.ownRules")), v.ruleTable("house-rules", p.T("fraud.houseRules"))
	view.Own.Empty = empty{Icon: "shield", Headline: p.T("fraud.noRules"), Lead: p.T("fraud.noRulesLead"), Actions: []button{add}}
	for _, r := range rules {
		h := hits[r.ID]
		row := tableRow{ID: r.ID, Href: v.path("fraud", "rules", r.ID), Cells: []templ.Component{ruleNameCell(r), badgePart(v.actionBadge(r.Action)), badgePart(v.stateBadge(r.State)),
			text(p.Number(h.Hits)), text(p.Number(h.Shadow))}}
		if r.Account == "" || r.Builtin {
			view.House.Rows = append(view.House.Rows, row)
		} else {
			view.Own.Rows = append(view.Own.Rows, row)
		}
	}
	return v.render(http.StatusOK, view.Head.Title, rulesPage(view))
}

func (v *visit) ruleTable(id, caption string) table {
	p := v.print
	return table{ID: id, Caption: caption, Columns: []column{{Label: p.T("fraud.rule")}, {Label: p.T("fraud.action")}, {Label: p.T("fraud.state")}, {Label: p.T("fraud.hits30"), Number: true},
		{Label: p.T("fraud.shadow30"), Number: true}}}
}

func (v *visit) stateBadge(state string) badge {
	switch state {
	case fraud.RuleOn:
		return badge{v.print.T("fraud.state.on"), "good"}
	case fraud.RuleShadow:
		return badge{v.print.T("fraud.state.shadow"), "accent"}
	}
	return badge{v.print.T("fraud.state.off"), "quiet"}
}

// ruleForm is what is asked of a rule.
type ruleForm struct {
	filled

	Head      head
	Tabs      []tab
	Action    string // where it is sent to
	Check     string // where a condition is looked at while it is typed
	Attempt   string
	Back      string
	States    []check
	Actions   []option
	Place     string // the line of the condition with a mark under what is wrong
	Variables []variables
	Examples  []example
	Tried     *backtestView // the answer of a rule that is not kept yet
}

func (d *Dashboard) newRule(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return noFraud()
	}
	f := ruleForm{Attempt: newAttempt()}
	f.Values = map[string][]string{"state": {fraud.RuleShadow}, "action": {string(payment.Hold)}, "when": {v.param("when")}}
	return v.ruleForm(http.StatusOK, f, "")
}

// ruleForm shows the form of a rule; id "" is a new one.
func (v *visit) ruleForm(status int, f ruleForm, id string) error {
	p := v.print
	f.Tabs, f.Check, f.Back, f.Action = v.fraudTabs("rules"), v.path("fraud", "rules", "check"), v.path("fraud", "rules"), v.path("fraud", "rules")
	f.Head = head{Title: p.T("fraud.newRule"), Back: button{Text: p.T("fraud.rules"), Href: f.Back}}
	if id != "" {
		f.Back, f.Action = v.path("fraud", "rules", id), v.path("fraud", "rules", id)
		f.Head = head{Title: p.T("fraud.editRule"), Back: button{Text: orElse(f.Values.Get("name"), p.T("fraud.rules")), Href: f.Back}}
	}
	f.States = []check{f.radio("state", fraud.RuleShadow, p.T("fraud.state.shadow"), p.T("fraud.state.shadowHint")),
		f.radio("state", fraud.RuleOn, p.T("fraud.state.on"), p.T("fraud.state.onHint")), f.radio("state", fraud.RuleOff, p.T("fraud.state.off"), p.T("fraud.state.offHint"))}
	f.Actions = v.actionOptions(payment.Challenge, payment.Allow, payment.Block, payment.Hold)
	f.Variables, f.Examples = v.variables(), v.examples()
	return v.render(status, f.Head.Title, ruleFormPage(f))
}

func (v *visit) actionOptions(actions ...payment.Action) []option {
	var out []option
	for _, a := range actions {
		out = append(out, option{Value: string(a), Text: v.actionBadge(a).Text})
	}
	return out
}

// askedRule reads the form.
func (v *visit) askedRule() (ruleForm, fraud.Rule, error) {
	in, err := v.form()
	if err != nil {
		return ruleForm{}, fraud.Rule{}, err
	}
	r := fraud.Rule{Account: v.account.ID, Mode: v.mode, Name: strings.TrimSpace(in.Get("name")), Action: payment.Action(in.Get("action")),
		When: strings.TrimSpace(strings.ReplaceAll(in.Get("when"), "\r\n", "\n")), State: in.Get("state")}
	return ruleForm{filled: filled{Values: in}, Attempt: in.Get("attempt")}, r, nil
}

func (d *Dashboard) createRule(v *visit) error { return v.saveRule("") }

func (d *Dashboard) changeRule(v *visit) error { return v.saveRule(v.PathValue("id")) }

// saveRule keeps a rule, or tries it against the history without keeping it. What is
// wrong is said beside the fields, which keep what was typed.
func (v *visit) saveRule(id string) error {
	if v.d.Fraud.Rulebook == nil {
		return noFraud()
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
	replayed, err := v.once(v.d.Records.Fraud, shapeRule, func(t *idempotency.Ticket) (err error) {
		kept, err = v.d.Fraud.Rulebook.PutRule(v.Context(), r, v.user.ID, t)
		return err
	})
	if err != nil {
		return v.refusedRule(f, id, err)
	}
	if replayed != nil {
		if kept.ID, err = recordedID(replayed); err != nil {
			return err
		}
	}
	return v.redirect(v.path("fraud", "rules", kept.ID), "good", v.print.T("fraud.ruleSaved"))
}

func (v *visit) refusedRule(f ruleForm, id string, err error) error {
	if f.Problems = v.problems(err); f.Problems == nil {
		return err
	}
	f.Place = placeOf(strings.TrimSpace(f.Values.Get("when")), f.Problems.of("when"))
	return v.ruleForm(http.StatusUnprocessableEntity, f, id)
}

// ruleOf is one that the account may see.
func (v *visit) ruleOf(id string) (fraud.Rule, error) {
	if v.d.Fraud.Rulebook == nil {
		return fraud.Rule{}, noFraud()
	}
	rules, err := v.d.Fraud.Rulebook.Rules(v.Context(), v.account.ID, v.mode)
	if err != nil {
		return fraud.Rule{}, err
	}
	at := slices.IndexFunc(rules, func(r fraud.Rule) bool { return r.ID == id })
	if at < 0 {
		return fraud.Rule{}, fault.NotFound("rule")
	}
	return rules[at], nil
}

// ownRule is one that the account may change.
func (v *visit) ownRule(id string) (fraud.Rule, error) {
	r, err := v.ruleOf(id)
	if err == nil && !v.owns(r) {
		return r, fault.NotFound("rule") // the installation's and the default set are only looked at, and switched
	}
	return r, err
}

func (v *visit) owns(r fraud.Rule) bool { return r.Account == v.account.ID && !r.Builtin }

func (d *Dashboard) editRule(v *visit) error {
	r, err := v.ownRule(v.PathValue("id"))
	if err != nil {
		return err
	}
	f := ruleForm{Attempt: newAttempt()}
	f.Values = map[string][]string{"name": {r.Name}, "action": {string(r.Action)}, "when": {r.When}, "state": {r.State}}
	return v.ruleForm(http.StatusOK, f, r.ID)
}

// checkRule says, while a condition is typed, whether it is understood.
func (d *Dashboard) checkRule(v *visit) error {
	in, err := v.form()
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
	return v.render(http.StatusOK, "", conditionCheckPart(c))
}

// conditionCheck is what is thought of a condition that is being typed.
type conditionCheck struct {
	Empty        bool
	Wrong, Place string
}

func (d *Dashboard) askRuleState(v *visit) error {
	r, err := v.ruleOf(v.PathValue("id"))
	if err != nil {
		return err
	}
	to, p, back := v.param("to"), v.print, v.path("fraud", "rules", r.ID)
	words, ok := stateWords[to]
	if !ok || to == r.State {
		return v.redirect(back, "", "")
	}
	hits, err := v.recentHits()
	if err != nil {
		return err
	}
	q := question{Head: head{Title: p.T(words.title), Back: button{Text: r.Name, Href: back}}, Lead: p.T(words.lead), Action: v.path("fraud", "rules", r.ID, "state"),
		Detail: p.T("fraud.hitsSoFar", "Hits", p.Number(hits[r.ID].Hits), "Shadow", p.Number(hits[r.ID].Shadow)),
		OK:     button{Text: p.T(words.title), Kind: words.kind, Name: "to", Value: to}, Back: button{Text: p.T("webhooks.cancel"), Href: back}}
	return v.ask(q)
}

// stateWords are how a change of state is asked for and told.
var stateWords = map[string]struct{ title, lead, said, kind string }{
	fraud.RuleOn:     {"fraud.switchOn", "fraud.switchOnLead", "fraud.switchedOn", "primary"},
	fraud.RuleShadow: {"fraud.switchShadow", "fraud.switchShadowLead", "fraud.switchedShadow", "primary"},
	fraud.RuleOff:    {"fraud.switchOff", "fraud.switchOffLead", "fraud.switchedOff", "danger"},
}

func (d *Dashboard) setRuleState(v *visit) error {
	in, err := v.form()
	if err != nil {
		return err
	}
	r, err := v.ruleOf(v.PathValue("id"))
	if err != nil {
		return err
	}
	words, ok := stateWords[in.Get("to")]
	if !ok {
		return fault.New(fault.KindInvalid, "form_invalid", "The form did not arrive as your browser should send it. Open the page again.")
	}
	r.Account, r.State = v.account.ID, in.Get("to") // of the default set: as this account wants it
	if _, err := v.once(d.Records.Fraud, shapeRule, func(t *idempotency.Ticket) error {
		_, err := d.Fraud.Rulebook.PutRule(v.Context(), r, v.user.ID, t)
		return err
	}); err != nil {
		return err
	}
	return v.redirect(v.path("fraud", "rules", r.ID), "good", v.print.T(words.said))
}

func (d *Dashboard) askDeleteRule(v *visit) error {
	r, err := v.ownRule(v.PathValue("id"))
	if err != nil {
		return err
	}
	p, back := v.print, v.path("fraud", "rules", r.ID)
	return v.ask(question{Head: head{Title: p.T("fraud.deleteRule"), Back: button{Text: r.Name, Href: back}}, Lead: p.T("fraud.deleteRuleLead"), Detail: r.Name,
		Action: v.path("fraud", "rules", r.ID, "delete"), OK: button{Text: p.T("fraud.deleteRule"), Kind: "danger"}, Back: button{Text: p.T("webhooks.cancel"), Href: back}})
}

// deleteRule: one that is gone already is what was asked for.
func (d *Dashboard) deleteRule(v *visit) error {
	r, err := v.ownRule(v.PathValue("id"))
	if err == nil {
		err = d.Fraud.Rulebook.DeleteRule(v.Context(), v.account.ID, v.mode, r.ID)
	}
	if err != nil && fault.KindOf(err) != fault.KindNotFound {
		return err
	}
	return v.redirect(v.path("fraud", "rules"), "good", v.print.T("fraud.ruleDeleted"))
}
