package review

import (
	"context"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/payment"
)

// maxRelated bounds the payments that are shown beside one.
const maxRelated = 10

// riskView is what was known of a payment when it was decided, in words.
type riskView struct {
	Decision parts.Badge
	Why      string
	Note     string // where there is no decision, or something beside it
	Review   parts.Badge
	Values   []parts.Fact
	Score    string
	ScoreTip string // why the score is none, or says little
	Tone     string
	Reasons  []riskReason
	Shadow   []string
	Facts    []parts.Fact
	Verdicts []parts.Button
	Mark     markView
}

// riskReason is a reason of a score, with its share of it.
type riskReason struct{ Text, Share string }

// markView is the form of labels. All of its buttons send the same attempt.
type markView struct {
	Label   parts.Badge
	Action  string
	Attempt string
	Buttons []parts.Button
}

// deskView is what people do with a payment besides moving its money.
type deskView struct {
	Risk      riskView
	Disputes  parts.Table
	Refunded  string       // beside disputes: what was given back already
	Record    parts.Button // no Href: there is nothing to dispute
	Related   parts.Table
	NoRelated bool // it could not be read
}

// deskView returns it for a payment.
func (v *visit) deskView(p payment.Payment) deskView {
	d := deskView{Risk: v.riskView(p), Disputes: v.disputesOf(p)}
	if canDispute(p) {
		d.Record = parts.Button{Text: v.Print.T("review.record"), Href: v.Path("payments", p.ID, "disputes"), Icon: "flag"}
	}
	if len(p.Disputes) > 0 && p.RefundedMinor > 0 {
		d.Refunded = v.Print.T("review.disputeRefunded", "Amount", p.Refunded())
	}
	d.Related, d.NoRelated = v.relatedTable(p)
	return d
}

// riskView returns it for a payment. A payment that was not assessed has only its facts and
// what can be done.
func (v *visit) riskView(p payment.Payment) riskView {
	r := p.Risk
	view := riskView{Verdicts: v.verdictButtons(p, ""), Mark: v.markView(p), Facts: v.riskFacts(p)}
	if r.Review != "" {
		view.Review = v.reviewBadge(r.Review)
	}
	if r.Action == "" {
		view.Note = v.Print.T("review.notAssessed")
		return view
	}

	names := v.ruleNames([]payment.Payment{p})
	view.Decision, view.Why = v.decisionBadge(r.Action), v.whyText(r, names)
	if r.Challenge {
		view.Note = v.Print.T("review.challenge")
	}

	for _, x := range r.Values {
		view.Values = append(view.Values, parts.Fact{Label: x.Name, Value: parts.Text(x.Value)})
	}
	if s := scoreText(v.Print, r); s != "" {
		view.Score, view.Tone = v.Print.T("review.scoreOf", "Score", s), scoreTone(r)
	}
	switch r.Basis {
	case "no_model":
		view.ScoreTip = v.Print.T("review.noModel")
	case "no_history":
		view.ScoreTip = v.Print.T("review.noHistory")
	}

	for _, reason := range r.Reasons {
		view.Reasons = append(view.Reasons, riskReason{ReasonText(v.Print, reason, p.Amount.Currency), shareText(v.Print, reason.Share)})
	}
	for _, hit := range r.Shadow {
		view.Shadow = append(
			view.Shadow,
			v.Print.T(
				"review.shadowHit",
				"Rule",
				nameOf(names, hit.Rule),
				"Version",
				versionText(hit.Version),
				"Action",
				v.decisionBadge(hit.Action).Text,
			),
		)
	}
	return view
}

// decisionWords has the words and the tone of each decision.
var decisionWords = map[payment.Action]struct{ key, tone string }{
	payment.Allow:     {"review.decision.allow", "good"},
	payment.Block:     {"review.decision.block", "bad"},
	payment.Hold:      {"review.decision.review", "wait"},
	payment.Challenge: {"review.decision.request3ds", "accent"},
}

// decisionBadge returns a decision; an unknown one is shown by its name.
func (v *visit) decisionBadge(a payment.Action) parts.Badge {
	w, ok := decisionWords[a]
	if !ok {
		return parts.Badge{Text: string(a), Tone: "quiet"}
	}
	return parts.Badge{Text: v.Print.T(w.key), Tone: w.tone}
}

// riskFacts returns the traits by which payments are compared, and who decided.
func (v *visit) riskFacts(p payment.Payment) []parts.Fact {
	var out []parts.Fact
	add := func(label, value string) {
		if value != "" {
			out = append(out, parts.Fact{Label: label, Value: parts.Code(value)})
		}
	}
	r := p.Risk
	add(v.Print.T("review.fingerprint"), r.Fingerprint)
	add(v.Print.T("review.bin"), r.BIN)
	add(v.Print.T("review.network"), r.Address)
	add(v.Print.T("review.country"), r.Country)
	add(v.Print.T("review.model"), r.Model)
	if r.ReviewedBy != "" {
		out = append(
			out,
			parts.Fact{Label: v.Print.T("review.by"), Value: v.whoCell(r.ReviewedBy)},
			parts.Fact{Label: v.Print.T("review.decided"), Value: parts.When(r.ReviewedAt)},
		)
	}
	return out
}

// whoCell returns who decided: the reader, or the name of another user or of a key; its id if the name
// is not known.
func (v *visit) whoCell(id string) templ.Component {
	if id == v.User.ID {
		return parts.Text(v.Print.T("review.you"))
	}
	if people, err := v.People(); err == nil && people[id] != "" {
		return parts.Text(people[id])
	}
	return parts.Code(id)
}

// markView returns the label that the payment has, and buttons for the others.
func (v *visit) markView(p payment.Payment) markView {
	m := markView{
		Action:  v.Path("payments", p.ID, "mark"),
		Attempt: frame.NewAttempt(),
		Label:   parts.Badge{Text: v.Print.T("review.label.none"), Tone: "quiet"},
	}
	add := func(words, label string) {
		m.Buttons = append(m.Buttons, parts.Button{Text: words, Name: "label", Value: label, Kind: "small"})
	}
	switch p.Risk.Label {
	case payment.LabelFraud:
		m.Label = parts.Badge{Text: v.Print.T("review.label.fraud"), Tone: "bad"}
	case payment.LabelLegitimate:
		m.Label = parts.Badge{Text: v.Print.T("review.label.legitimate"), Tone: "good"}
	}

	if p.Risk.Label != payment.LabelFraud {
		add(v.Print.T("review.markFraud"), payment.LabelFraud)
	}
	if p.Risk.Label != payment.LabelLegitimate {
		add(v.Print.T("review.markLegitimate"), payment.LabelLegitimate)
	}
	if p.Risk.Label != "" {
		add(v.Print.T("review.unmark"), "")
	}
	return m
}

// relatedTable returns payments that share something with this one. If they cannot be read
// within besideTimeout, failed is true, and the page says so.
func (v *visit) relatedTable(p payment.Payment) (t parts.Table, failed bool) {
	if v.d.Fraud.Analyst == nil {
		return t, false
	}

	ctx, cancel := context.WithTimeout(v.Context(), besideTimeout)
	defer cancel()
	rows, err := v.d.Fraud.Analyst.Related(ctx, v.Account.ID, v.Mode, p.ID, maxRelated)
	if err != nil {
		if fault.KindOf(err) != fault.KindNotFound { // a payment of a moment ago is not there yet
			v.d.Log.WarnContext(v.Context(), "a payment is shown without its related ones", "payment", p.ID, "error", err)
			return t, true
		}
		return t, false
	}

	t = parts.Table{
		ID:      "related",
		Caption: v.Print.T("review.related"),
		Columns: []parts.Column{{Label: v.Print.T("payments.amount")}, {Label: v.Print.T("payments.status")},
			{Label: v.Print.T("review.shares")}, {Label: v.Print.T("review.label")}, {Label: v.Print.T("payments.date"), Number: true}},
	}
	for _, r := range rows {
		t.Rows = append(t.Rows, parts.Row{ID: "related-" + r.ID, Href: v.Path("payments", r.ID), Cells: []templ.Component{parts.Sum(r.Amount),
			parts.BadgePart(slip.Badge(v.Visit, r.Status)), parts.Text(v.sharedText(p, r)), v.labelCell(r), parts.When(r.CreatedAt)}})
	}

	return t, false
}

// sharedText returns what two payments share.
func (v *visit) sharedText(p payment.Payment, r history.Row) string {
	var words []string
	for _, s := range history.Shared(p, r) {
		switch s {
		case "card":
			words = append(words, v.Print.T("review.shared.card"))
		case "email":
			words = append(words, v.Print.T("review.shared.email"))
		case "address":
			words = append(words, v.Print.T("review.shared.address"))
		}
	}
	return strings.Join(words, " · ")
}

// labelCell returns whether the payment turned out to be fraud.
func (v *visit) labelCell(r history.Row) templ.Component {
	bad, _, known := r.Fraud()
	switch {
	case !known:
		return parts.Text("–")
	case bad:
		return parts.BadgePart(parts.Badge{Text: v.Print.T("review.label.fraud"), Tone: "bad"})
	}
	return parts.BadgePart(parts.Badge{Text: v.Print.T("review.label.legitimate"), Tone: "good"})
}

// deskStep describes an entry of the log: what people, rules or payers did. before is the
// entry before it, by which a change of the review is seen.
func (v *visit) deskStep(before, e payment.Entry) (words, tone, icon string) {
	switch e.Event {
	case "fraud.flagged":
		if e.Review == payment.ReviewOpen {
			return v.Print.T("review.step.held"), "wait", "flag"
		}
		return v.Print.T("review.step.flagged"), "bad", "flag"
	case "dispute.created":
		return v.Print.T("review.step.disputed"), "bad", "scale"
	case "dispute.updated":
		return v.Print.T("review.step.disputeMoved"), "quiet", "scale"
	case "dispute.closed":
		return v.Print.T("review.step.disputeClosed"), "quiet", "scale"
	}

	if e.Review != before.Review {
		b := v.reviewBadge(e.Review)
		return b.Text, b.Tone, "flag"
	}

	switch e.Label {
	case payment.LabelFraud:
		return v.Print.T("review.step.markedFraud"), "bad", "flag"
	case payment.LabelLegitimate:
		return v.Print.T("review.step.markedLegitimate"), "good", "check"
	}

	return v.Print.T("review.step.unmarked"), "quiet", "flag"
}
