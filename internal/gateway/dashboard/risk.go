package dashboard

import (
	"context"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// maxRelated payments beside one.
const maxRelated = 10

// riskView is what was known and thought of a payment, in words.
type riskView struct {
	Decision badge
	Why      string
	Note     string // where there is no decision, or something beside it
	Review   badge
	Values   []fact
	Score    string
	ScoreTip string // why the score is none, or says little
	Tone     string
	Reasons  []riskReason
	Shadow   []string
	Facts    []fact
	Verdicts []button
	Mark     markView
}

type riskReason struct{ Text, Share string }

// markView is the form of marks: one attempt for whatever button is pressed.
type markView struct {
	Label   badge
	Action  string
	Attempt string
	Buttons []button
}

// deskView is what people do with a payment beside moving its money.
type deskView struct {
	Risk      riskView
	Disputes  table
	Refunded  string // beside disputes: what was given back already
	Record    button // no Href: there is nothing to dispute
	Related   table
	NoRelated bool // it could not be read
}

func (v *visit) deskView(p payment.Payment) deskView {
	d := deskView{Risk: v.riskView(p), Disputes: v.disputesOf(p)}
	if canDispute(p) {
		d.Record = button{Text: v.print.T("review.record"), Href: v.path("payments", p.ID, "disputes"), Icon: "flag"}
	}
	if len(p.Disputes) > 0 && p.RefundedMinor > 0 {
		d.Refunded = v.print.T("review.disputeRefunded", "Amount", money.Of(p.RefundedMinor, p.Amount.Currency))
	}
	d.Related, d.NoRelated = v.relatedTable(p)
	return d
}

func (v *visit) riskView(p payment.Payment) riskView {
	r := p.Risk
	view := riskView{Verdicts: v.verdictButtons(p, ""), Mark: v.markView(p), Facts: v.riskFacts(p)}
	if r.Review != "" {
		view.Review = v.reviewBadge(r.Review)
	}
	if r.Action == "" {
		view.Note = v.print.T("review.notAssessed")
		return view
	}
	names := v.ruleNames([]payment.Payment{p})
	view.Decision, view.Why = v.decisionBadge(r.Action), v.whyText(r, names)
	if r.Challenge {
		view.Note = v.print.T("review.challenge")
	}
	for _, x := range r.Values {
		view.Values = append(view.Values, fact{x.Name, text(x.Value)})
	}
	if s := scoreText(v.print, r); s != "" {
		view.Score, view.Tone = v.print.T("review.scoreOf", "Score", s), scoreTone(r)
	}
	switch r.Basis {
	case "no_model":
		view.ScoreTip = v.print.T("review.noModel")
	case "no_history":
		view.ScoreTip = v.print.T("review.noHistory")
	}
	for _, reason := range r.Reasons {
		view.Reasons = append(view.Reasons, riskReason{ReasonText(v.print, reason, p.Amount.Currency), shareText(v.print, reason.Share)})
	}
	for _, hit := range r.Shadow {
		view.Shadow = append(view.Shadow, v.print.T("review.shadowHit", "Rule", nameOf(names, hit.Rule), "Version", versionText(hit.Version), "Action", v.decisionBadge(hit.Action).Text))
	}
	return view
}

var decisionWords = map[payment.Action]struct{ key, tone string }{
	payment.Allow:     {"review.decision.allow", "good"},
	payment.Block:     {"review.decision.block", "bad"},
	payment.Hold:      {"review.decision.review", "wait"},
	payment.Challenge: {"review.decision.request3ds", "accent"},
}

func (v *visit) decisionBadge(a payment.Action) badge {
	w, ok := decisionWords[a]
	if !ok {
		return badge{string(a), "quiet"}
	}
	return badge{v.print.T(w.key), w.tone}
}

func (v *visit) riskFacts(p payment.Payment) []fact {
	var out []fact
	add := func(label, value string) {
		if value != "" {
			out = append(out, fact{label, code(value)})
		}
	}
	r := p.Risk
	add(v.print.T("review.fingerprint"), r.Fingerprint)
	add(v.print.T("review.bin"), r.BIN)
	add(v.print.T("review.network"), r.Address)
	add(v.print.T("review.country"), r.Country)
	add(v.print.T("review.model"), r.Model)
	if r.ReviewedBy != "" {
		out = append(out, fact{v.print.T("review.by"), v.whoCell(r.ReviewedBy)}, fact{v.print.T("review.decided"), when(r.ReviewedAt)})
	}
	return out
}

// whoCell is who decided: the reader, or the id of another user or of a key.
func (v *visit) whoCell(id string) templ.Component {
	if id == v.user.ID {
		return text(v.print.T("review.you"))
	}
	return code(id)
}

func (v *visit) markView(p payment.Payment) markView {
	m := markView{Action: v.path("payments", p.ID, "mark"), Attempt: newAttempt(), Label: badge{v.print.T("review.label.none"), "quiet"}}
	add := func(words, label string) {
		m.Buttons = append(m.Buttons, button{Text: words, Name: "label", Value: label, Kind: "small"})
	}
	switch p.Risk.Label {
	case payment.LabelFraud:
		m.Label = badge{v.print.T("review.label.fraud"), "bad"}
	case payment.LabelLegitimate:
		m.Label = badge{v.print.T("review.label.legitimate"), "good"}
	}
	if p.Risk.Label != payment.LabelFraud {
		add(v.print.T("review.markFraud"), payment.LabelFraud)
	}
	if p.Risk.Label != payment.LabelLegitimate {
		add(v.print.T("review.markLegitimate"), payment.LabelLegitimate)
	}
	if p.Risk.Label != "" {
		add(v.print.T("review.unmark"), "")
	}
	return m
}

// relatedTable are payments that share something with this one. When they cannot be
// read the page is shown without them, and says so.
func (v *visit) relatedTable(p payment.Payment) (t table, failed bool) {
	if v.d.Fraud.Analyst == nil {
		return t, false
	}
	ctx, cancel := context.WithTimeout(v.Context(), besideTimeout)
	defer cancel()
	rows, err := v.d.Fraud.Analyst.Related(ctx, v.account.ID, v.mode, p.ID, maxRelated)
	if err != nil {
		if fault.KindOf(err) != fault.KindNotFound { // a payment of a moment ago is not there yet
			v.d.Log.WarnContext(v.Context(), "a payment is shown without its related ones", "payment", p.ID, "error", err)
			return t, true
		}
		return t, false
	}
	t = table{ID: "related", Caption: v.print.T("review.related"), Columns: []column{{Label: v.print.T("payments.amount")}, {Label: v.print.T("payments.status")},
		{Label: v.print.T("review.shares")}, {Label: v.print.T("review.label")}, {Label: v.print.T("payments.date"), Number: true}}}
	for _, r := range rows {
		t.Rows = append(t.Rows, tableRow{ID: "related-" + r.ID, Href: v.path("payments", r.ID), Cells: []templ.Component{sum(r.Amount),
			badgePart(statusBadge(v, r.Status)), text(v.sharedText(p, r)), v.labelCell(r), when(r.CreatedAt)}})
	}
	return t, false
}

func (v *visit) sharedText(p payment.Payment, r history.Row) string {
	var words []string
	for _, s := range history.Shared(p, r) {
		switch s {
		case "card":
			words = append(words, v.print.T("review.shared.card"))
		case "email":
			words = append(words, v.print.T("review.shared.email"))
		case "address":
			words = append(words, v.print.T("review.shared.address"))
		}
	}
	return strings.Join(words, " · ")
}

func (v *visit) labelCell(r history.Row) templ.Component {
	bad, _, known := r.Fraud()
	switch {
	case !known:
		return text("–")
	case bad:
		return badgePart(badge{v.print.T("review.label.fraud"), "bad"})
	}
	return badgePart(badge{v.print.T("review.label.legitimate"), "good"})
}

// deskStep tells what people, rules and payers said of the payment; before is the entry
// before it.
func (v *visit) deskStep(before, e payment.Entry) (words, tone, icon string) {
	switch e.Event {
	case "fraud.flagged":
		if e.Review == payment.ReviewOpen {
			return v.print.T("review.step.held"), "wait", "flag"
		}
		return v.print.T("review.step.flagged"), "bad", "flag"
	case "dispute.created":
		return v.print.T("review.step.disputed"), "bad", "scale"
	case "dispute.updated":
		return v.print.T("review.step.disputeMoved"), "quiet", "scale"
	case "dispute.closed":
		return v.print.T("review.step.disputeClosed"), "quiet", "scale"
	}
	if e.Review != before.Review {
		b := v.reviewBadge(e.Review)
		return b.Text, b.Tone, "flag"
	}
	switch e.Label {
	case payment.LabelFraud:
		return v.print.T("review.step.markedFraud"), "bad", "flag"
	case payment.LabelLegitimate:
		return v.print.T("review.step.markedLegitimate"), "good", "check"
	}
	return v.print.T("review.step.unmarked"), "quiet", "flag"
}
