package review

import (
	"net/http"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// shapeDispute is the shape of a recorded response, as the API names it.
const shapeDispute = "dispute"

const maxReference = 100 // characters of an issuer's reference

// disputeMoves are the steps of a dispute that a person can record, by the state that each
// leads to, with the texts that ask for it.
var disputeMoves = []struct {
	to, text, title, lead, ok, kind string
}{
	{
		payment.DisputeUnderReview,
		"review.dispute.state.underReview",
		"review.evidenceTitle",
		"review.evidenceLead",
		"review.evidenceOK",
		"primary",
	},
	{payment.DisputeWon, "review.dispute.state.won", "review.wonTitle", "review.wonLead", "review.wonOK", "primary"},
	{payment.DisputeLost, "review.dispute.state.lost", "review.lostTitle", "review.lostLead", "review.lostOK", "danger"},
}

// disputeOpen reports whether the dispute may still change.
func disputeOpen(d payment.Dispute) bool {
	return d.State == payment.DisputeNeedsResponse || d.State == payment.DisputeUnderReview
}

// canDispute reports whether a dispute can be recorded: money was captured, and there are
// not too many disputes.
func canDispute(p payment.Payment) bool {
	return p.CapturedMinor > 0 && len(p.Disputes) < payment.MaxDisputes
}

// disputeWords has the words and the tone of each state.
var disputeWords = map[string]struct{ key, tone string }{
	payment.DisputeNeedsResponse: {"review.dispute.state.needsResponse", "wait"},
	payment.DisputeUnderReview:   {"review.dispute.state.underReview", "accent"},
	payment.DisputeWon:           {"review.dispute.state.won", "good"},
	payment.DisputeLost:          {"review.dispute.state.lost", "bad"},
}

// disputeBadge returns the state of a dispute; an unknown one is shown by its name.
func (v *visit) disputeBadge(d payment.Dispute) parts.Badge {
	w, ok := disputeWords[d.State]
	if !ok {
		return parts.Badge{Text: d.State, Tone: "quiet"}
	}
	return parts.Badge{Text: v.Print.T(w.key), Tone: w.tone}
}

// disputeReasons are the reasons, in the order of the form's choice.
var disputeReasons = []struct{ reason, key string }{
	{"fraudulent", "review.dispute.reason.fraudulent"},
	{"unrecognized", "review.dispute.reason.unrecognized"},
	{"product_not_received", "review.dispute.reason.notReceived"},
	{"duplicate", "review.dispute.reason.duplicate"},
	{"other", "review.dispute.reason.other"},
}

// disputeReason returns a reason in words, or the reason itself if it is unknown.
func (v *visit) disputeReason(reason string) string {
	for _, r := range disputeReasons {
		if r.reason == reason {
			return v.Print.T(r.key)
		}
	}
	return reason
}

// overdue reports whether evidence was due and none was sent.
func overdue(d payment.Dispute, now time.Time) bool {
	return d.State == payment.DisputeNeedsResponse && !d.EvidenceDueAt.IsZero() && now.After(d.EvidenceDueAt)
}

// dueCell returns when evidence is due. A deadline that has passed is also marked in words.
func (v *visit) dueCell(p payment.Payment, d payment.Dispute) templ.Component {
	// No evidence is due any longer. A zero time is shown as a dash.
	if d.State != payment.DisputeNeedsResponse {
		return parts.When(time.Time{})
	}
	if overdue(d, p.At(v.d.Now())) {
		return overdueCell(d.EvidenceDueAt)
	}
	return parts.When(d.EvidenceDueAt)
}

// disputesTable returns every dispute of the payments.
func (v *visit) disputesTable(items []payment.Payment) parts.Table {
	t := parts.Table{ID: "dispute-table", Caption: v.Print.T("review.tab.disputes"), CaptionHidden: true,
		Columns: []parts.Column{
			{Label: v.Print.T("review.disputeAmount")},
			{Label: v.Print.T("payments.status")},
			{Label: v.Print.T("review.disputeReason")},
			{Label: v.Print.T("payments.payer")},
			{Label: v.Print.T("review.due"), Number: true},
			{Label: v.Print.T("payments.date"), Number: true},
		},
		Empty: parts.Empty{Icon: "scale", Headline: v.Print.T("review.noneDisputes"), Lead: v.Print.T("review.noneDisputesLead")}}
	for _, p := range items {
		for _, d := range p.Disputes {
			t.Rows = append(
				t.Rows,
				parts.Row{
					ID:   d.ID,
					Href: v.Path("payments", p.ID) + "#disputes",
					Cells: []templ.Component{parts.Sum(money.Of(d.Minor, p.Amount.Currency)),
						parts.BadgePart(
							v.disputeBadge(d),
						), parts.Text(v.disputeReason(d.Reason)), slip.PayerCell(p), v.dueCell(p, d), parts.When(d.CreatedAt)},
				},
			)
		}
	}
	return t
}

// disputesOf returns the disputes of one payment, with what can be done.
func (v *visit) disputesOf(p payment.Payment) parts.Table {
	t := parts.Table{ID: "disputes", Caption: v.Print.T("review.tab.disputes"),
		Columns: []parts.Column{
			{Label: v.Print.T("review.disputeAmount")},
			{Label: v.Print.T("payments.status")},
			{Label: v.Print.T("review.disputeReason")},
			{Label: v.Print.T("review.disputeReference")},
			{Label: v.Print.T("review.due"), Number: true},
			{Label: v.Print.T("review.action")},
		}}
	for _, d := range p.Disputes {
		t.Rows = append(
			t.Rows,
			parts.Row{ID: d.ID, Cells: []templ.Component{parts.Sum(money.Of(d.Minor, p.Amount.Currency)), parts.BadgePart(v.disputeBadge(d)),
				parts.Text(v.disputeReason(d.Reason)), parts.Text(d.Reference), v.dueCell(p, d), actionsCell(v.disputeButtons(p, d))}},
		)
	}
	return t
}

// disputeButtons returns the steps that the dispute can still take.
func (v *visit) disputeButtons(p payment.Payment, d payment.Dispute) []parts.Button {
	if !disputeOpen(d) {
		return nil
	}
	var out []parts.Button
	for _, m := range disputeMoves {
		// Steps may be skipped: issuers decide some disputes without evidence.
		if m.to != d.State {
			out = append(out, parts.Button{Text: v.Print.T(m.text), Href: v.Path("payments", p.ID, "disputes", d.ID) + "?to=" + m.to, Kind: "small"})
		}
	}
	return out
}

// disputeAsking returns the page that asks before a step of a dispute is recorded. It
// reports false if the dispute is closed, in that state already, or not of this payment.
func disputeAsking(v *frame.Visit, p payment.Payment) (parts.Asking, bool) {
	a := slip.NewAsking(v, p, "disputes")
	to, id := v.Param("to"), v.PathValue("dispute")
	for _, m := range disputeMoves {
		if m.to != to {
			continue
		}
		// The state is in the address of the form, as it was in that of the link.
		a.Action = v.Path("payments", p.ID, "disputes", id) + "?to=" + to
		a.Head.Title, a.Lead = v.Print.T(m.title), v.Print.T(m.lead)
		a.OK = parts.Button{Text: v.Print.T(m.ok), Kind: m.kind}
		for _, d := range p.Disputes {
			if d.ID == id {
				return a, disputeOpen(d) && d.State != to
			}
		}
	}

	return a, false
}

// moveDispute records a step of a dispute, once.
func (d *Pages) moveDispute(v *visit) error {
	if _, err := v.Posted(); err != nil {
		return err
	}

	id := v.PathValue("id")
	in := payment.DisputeInput{ID: v.PathValue("dispute"), State: v.URL.Query().Get("to")}
	// The target state is part of what was sent: one form cannot lead to two states.
	v.PostForm.Set("to", in.State)
	_, err := v.Once(d.Records, shapeDispute, func(t *idempotency.Ticket) error {
		_, _, err := d.Transactions.Dispute(v.Context(), v.Account.ID, v.Mode, id, in, t)
		return err
	})
	if err != nil {
		return v.d.Desk.AskAgain(v.Visit, disputeAsking, err)
	}

	return v.Redirect(v.Path("payments", id), "good", v.Print.T("review.said.moved"))
}

// disputeForm is the form for a dispute that the issuer reported in another way, such as by
// letter.
type disputeForm struct {
	Head      parts.Head
	Lead      string
	Action    string
	Attempt   string
	Fields    []parts.Field
	Problems  parts.Problems
	OK, Leave parts.Button
}

// askDispute shows the form.
func (d *Pages) askDispute(v *visit) error { return v.disputePage(nil) }

// disputePage renders the form, with what is wrong and what was typed. A payment that
// cannot be disputed leads back to its page.
func (v *visit) disputePage(wrong parts.Problems) error {
	p, err := v.d.Desk.Read(v.Visit)
	if err != nil {
		return err
	}

	at := v.Path("payments", p.ID)
	if !canDispute(p) {
		// A form that was refused was sent while a dispute was still possible: its problem
		// is shown there.
		tone, words := "wait", v.Print.T("payments.notPossible")
		if len(wrong) > 0 {
			tone, words = "bad", wrong[0].Text
		}
		return v.Redirect(at, tone, words)
	}

	f := disputeForm{
		Action:   v.Path("payments", p.ID, "disputes"),
		Attempt:  frame.NewAttempt(),
		Problems: wrong,
		Lead:     v.Print.T("review.recordLead"),
		Head: parts.Head{
			Title: v.Print.T("review.record"),
			Back:  parts.Button{Text: v.Print.T("payments.one", "Amount", p.Amount), Href: at},
		},
		OK:    parts.Button{Text: v.Print.T("review.recordOK"), Kind: "primary"},
		Leave: parts.Button{Text: v.Print.T("payments.back"), Href: at},
	}
	reasons := parts.Field{ID: "reason", Label: v.Print.T("review.disputeReason")}
	for _, r := range disputeReasons {
		reasons.Options = append(reasons.Options, parts.Option{Value: r.reason, Text: v.Print.T(r.key)})
	}
	// At most what was captured can be disputed, which is also the suggestion.
	amount := slip.AmountField(v.Visit, v.Print.T("review.disputeAmount"), p.Captured())
	f.Fields = []parts.Field{reasons, amount,
		{
			ID:       "reference",
			Label:    v.Print.T("review.disputeReference"),
			Hint:     v.Print.T("review.referenceHint"),
			Optional: true,
			Max:      maxReference,
			Attrs:    parts.Attr("autocomplete", "off"),
		},
		{ID: "evidenceDueAt", Label: v.Print.T("review.due"), Hint: v.Print.T("review.dueHint"), Optional: true, Type: "date"}}
	status := http.StatusOK
	if len(wrong) > 0 {
		status = http.StatusUnprocessableEntity
		for i := range f.Fields {
			f.Fields[i].Error = wrong.Of(f.Fields[i].ID)
			f.Fields[i].Value = v.PostForm.Get(f.Fields[i].ID)
		}
	}

	return v.Render(status, f.Head.Title, disputeFormPage(f))
}

// dueDate reads a day, which it includes up to its end in UTC. It returns zero for "",
// which means no deadline, and an error for an invalid day.
func dueDate(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, fault.Invalid("evidenceDueAt", "parameter_invalid", "evidenceDueAt must be a date such as 2026-03-01.")
	}
	// Issuers name a day, and evidence is in time on it.
	return day.Add(24*time.Hour - time.Second), nil
}

// recordDispute records a dispute, once. The form must name the amount, because a dispute
// blocks refunds of it.
func (d *Pages) recordDispute(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}

	id := v.PathValue("id")
	if spelling.Typed(form.Get("amount")) == "" { // a dispute keeps its sum from being refunded
		return v.disputePage(parts.Problems{{Field: "amount", Text: v.Print.T("payments.fault.sum")}})
	}

	// The first thing that is wrong is shown. Amount reads the payment to know its
	// currency.
	due, err := dueDate(form.Get("evidenceDueAt"))
	amount := ""
	if err == nil {
		amount, err = v.d.Desk.Amount(v.Visit, id, form.Get("amount"))
	}
	if err == nil {
		in := payment.DisputeInput{Reference: form.Get("reference"), Reason: form.Get("reason"), Amount: amount, EvidenceDueAt: due}
		_, err = v.Once(d.Records, shapeDispute, func(t *idempotency.Ticket) error {
			_, _, err := d.Transactions.Dispute(v.Context(), v.Account.ID, v.Mode, id, in, t)
			return err
		})
	}

	if err != nil {
		wrong := v.Problems(err)
		if wrong == nil {
			return err
		}
		return v.disputePage(wrong)
	}

	return v.Redirect(v.Path("payments", id), "good", v.Print.T("review.said.disputed"))
}
