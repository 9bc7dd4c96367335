package dashboard

import (
	"net/http"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// shapeDispute is that of a recorded answer, as gateway/api has it.
const shapeDispute = "dispute"

const maxReference = 100 // characters of an issuer's reference

// disputeMoves are what a person can say of a dispute, by the last part of the path's
// query: the states that each begins in, and the one that it leads to.
var disputeMoves = []struct {
	to, text, title, lead, ok, kind string
}{
	{payment.DisputeUnderReview, "review.dispute.state.underReview", "review.evidenceTitle", "review.evidenceLead", "review.evidenceOK", "primary"},
	{payment.DisputeWon, "review.dispute.state.won", "review.wonTitle", "review.wonLead", "review.wonOK", "primary"},
	{payment.DisputeLost, "review.dispute.state.lost", "review.lostTitle", "review.lostLead", "review.lostOK", "danger"},
}

func disputeOpen(d payment.Dispute) bool {
	return d.State == payment.DisputeNeedsResponse || d.State == payment.DisputeUnderReview
}

// canDispute: there is money that somebody can object to.
func canDispute(p payment.Payment) bool {
	return p.CapturedMinor > 0 && len(p.Disputes) < payment.MaxDisputes
}

var disputeWords = map[string]struct{ key, tone string }{
	payment.DisputeNeedsResponse: {"review.dispute.state.needsResponse", "wait"},
	payment.DisputeUnderReview:   {"review.dispute.state.underReview", "accent"},
	payment.DisputeWon:           {"review.dispute.state.won", "good"},
	payment.DisputeLost:          {"review.dispute.state.lost", "bad"},
}

func (v *visit) disputeBadge(d payment.Dispute) badge {
	w, ok := disputeWords[d.State]
	if !ok {
		return badge{d.State, "quiet"}
	}
	return badge{v.print.T(w.key), w.tone}
}

// disputeReasons in the order of a form's choice.
var disputeReasons = []struct{ reason, key string }{
	{"fraudulent", "review.dispute.reason.fraudulent"},
	{"unrecognized", "review.dispute.reason.unrecognized"},
	{"product_not_received", "review.dispute.reason.notReceived"},
	{"duplicate", "review.dispute.reason.duplicate"},
	{"other", "review.dispute.reason.other"},
}

func (v *visit) disputeReason(reason string) string {
	for _, r := range disputeReasons {
		if r.reason == reason {
			return v.print.T(r.key)
		}
	}
	return reason
}

// overdue: evidence was due and none was sent.
func overdue(d payment.Dispute, now time.Time) bool {
	return d.State == payment.DisputeNeedsResponse && !d.EvidenceDueAt.IsZero() && now.After(d.EvidenceDueAt)
}

// dueCell is when evidence is due; a deadline that has passed says so in words.
func (v *visit) dueCell(p payment.Payment, d payment.Dispute) templ.Component {
	if d.State != payment.DisputeNeedsResponse {
		return when(time.Time{})
	}
	if overdue(d, p.At(v.d.Now())) {
		return overdueCell(d.EvidenceDueAt)
	}
	return when(d.EvidenceDueAt)
}

// disputesTable is every dispute of the payments.
func (v *visit) disputesTable(items []payment.Payment) table {
	t := table{ID: "dispute-table", Caption: v.print.T("review.tab.disputes"), CaptionHidden: true,
		Columns: []column{{Label: v.print.T("review.disputeAmount")}, {Label: v.print.T("payments.status")}, {Label: v.print.T("review.disputeReason")},
			{Label: v.print.T("payments.payer")}, {Label: v.print.T("review.due"), Number: true}, {Label: v.print.T("payments.date"), Number: true}},
		Empty: empty{Icon: "scale", Headline: v.print.T("review.noneDisputes"), Lead: v.print.T("review.noneDisputesLead")}}
	for _, p := range items {
		for _, d := range p.Disputes {
			t.Rows = append(t.Rows, tableRow{ID: d.ID, Href: v.path("payments", p.ID) + "#disputes", Cells: []templ.Component{sum(money.Of(d.Minor, p.Amount.Currency)),
				badgePart(v.disputeBadge(d)), text(v.disputeReason(d.Reason)), payerCell(p), v.dueCell(p, d), when(d.CreatedAt)}})
		}
	}
	return t
}

// disputesOf are the disputes of one payment, with what can be done.
func (v *visit) disputesOf(p payment.Payment) table {
	t := table{ID: "disputes", Caption: v.print.T("review.tab.disputes"),
		Columns: []column{{Label: v.print.T("review.disputeAmount")}, {Label: v.print.T("payments.status")}, {Label: v.print.T("review.disputeReason")},
			{Label: v.print.T("review.disputeReference")}, {Label: v.print.T("review.due"), Number: true}, {Label: v.print.T("review.action")}}}
	for _, d := range p.Disputes {
		t.Rows = append(t.Rows, tableRow{ID: d.ID, Cells: []templ.Component{sum(money.Of(d.Minor, p.Amount.Currency)), badgePart(v.disputeBadge(d)),
			text(v.disputeReason(d.Reason)), text(d.Reference), v.dueCell(p, d), actionsCell(v.disputeButtons(p, d))}})
	}
	return t
}

func (v *visit) disputeButtons(p payment.Payment, d payment.Dispute) []button {
	if !disputeOpen(d) {
		return nil
	}
	var out []button
	for _, m := range disputeMoves {
		if m.to != d.State {
			out = append(out, button{Text: v.sayKey(m.text), Href: v.path("payments", p.ID, "disputes", d.ID) + "?to=" + m.to, Kind: "small"})
		}
	}
	return out
}

// disputeAsking is the page that asks before a dispute moves on.
func disputeAsking(v *visit, p payment.Payment) (asking, bool) {
	a := v.asking(p, "disputes")
	to, id := v.param("to"), v.PathValue("dispute")
	for _, m := range disputeMoves {
		if m.to != to {
			continue
		}
		a.Action = v.path("payments", p.ID, "disputes", id) + "?to=" + to
		a.Head.Title, a.Lead = v.sayKey(m.title), v.sayKey(m.lead)
		a.OK = button{Text: v.sayKey(m.ok), Kind: m.kind}
		for _, d := range p.Disputes {
			if d.ID == id {
				return a, disputeOpen(d) && d.State != to
			}
		}
	}
	return a, false
}

func (d *Dashboard) moveDispute(v *visit) error {
	if _, err := v.form(); err != nil {
		return err
	}
	id := v.PathValue("id")
	in := payment.DisputeInput{ID: v.PathValue("dispute"), State: v.URL.Query().Get("to")}
	// Where it leads to is part of what was sent: one form cannot be sent to two ends.
	v.PostForm.Set("to", in.State)
	_, err := v.once(d.Records.Transactions, shapeDispute, func(t *idempotency.Ticket) error {
		_, _, err := d.Transactions.Dispute(v.Context(), v.account.ID, v.mode, id, in, t)
		return err
	})
	if err != nil {
		return v.askAgain(disputeAsking, err)
	}
	return v.redirect(v.path("payments", id), "good", v.print.T("review.said.moved"))
}

// disputeForm records a dispute that the issuer told of by other ways.
type disputeForm struct {
	Head      head
	Lead      string
	Action    string
	Attempt   string
	Fields    []field
	Problems  problems
	OK, Leave button
}

func (d *Dashboard) askDispute(v *visit) error { return v.disputePage(nil) }

func (v *visit) disputePage(wrong problems) error {
	p, err := v.readPayment()
	if err != nil {
		return err
	}
	at := v.path("payments", p.ID)
	if !canDispute(p) {
		tone, words := "wait", v.print.T("payments.notPossible")
		if len(wrong) > 0 {
			tone, words = "bad", wrong[0].Text
		}
		return v.redirect(at, tone, words)
	}
	f := disputeForm{Action: v.path("payments", p.ID, "disputes"), Attempt: newAttempt(), Problems: wrong, Lead: v.print.T("review.recordLead"),
		Head: head{Title: v.print.T("review.record"), Back: button{Text: v.print.T("payments.one", "Amount", p.Amount), Href: at}},
		OK:   button{Text: v.print.T("review.recordOK"), Kind: "primary"}, Leave: button{Text: v.print.T("payments.back"), Href: at}}
	reasons := field{ID: "reason", Label: v.print.T("review.disputeReason")}
	for _, r := range disputeReasons {
		reasons.Options = append(reasons.Options, option{r.reason, v.sayKey(r.key)})
	}
	amount := v.amountField(v.print.T("review.disputeAmount"), money.Of(p.CapturedMinor, p.Amount.Currency))
	f.Fields = []field{reasons, amount,
		{ID: "reference", Label: v.print.T("review.disputeReference"), Hint: v.print.T("review.referenceHint"), Optional: true, Max: maxReference, Attrs: attr("autocomplete", "off")},
		{ID: "evidenceDueAt", Label: v.print.T("review.due"), Hint: v.print.T("review.dueHint"), Optional: true, Type: "date"}}
	status := http.StatusOK
	if len(wrong) > 0 {
		status = http.StatusUnprocessableEntity
		for i := range f.Fields {
			f.Fields[i].Error = wrong.of(f.Fields[i].ID)
			f.Fields[i].Value = v.PostForm.Get(f.Fields[i].ID)
		}
	}
	return v.render(status, f.Head.Title, disputeFormPage(f))
}

// dueDate is a day of a form, which counts to its end in UTC. A day that is none is
// told as such; "" is no deadline.
func dueDate(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, fault.Invalid("evidenceDueAt", "parameter_invalid", "Must be a date such as 2026-03-01.")
	}
	return day.Add(24*time.Hour - time.Second), nil
}

func (d *Dashboard) recordDispute(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	id := v.PathValue("id")
	if spelling.Typed(form.Get("amount")) == "" { // a dispute keeps its sum from being refunded
		return v.disputePage(problems{{Field: "amount", Text: v.print.T("payments.fault.sum")}})
	}
	due, err := dueDate(form.Get("evidenceDueAt"))
	amount := ""
	if err == nil {
		amount, err = v.amountFor(id, form.Get("amount"))
	}
	if err == nil {
		in := payment.DisputeInput{Reference: form.Get("reference"), Reason: form.Get("reason"), Amount: amount, EvidenceDueAt: due}
		_, err = v.once(d.Records.Transactions, shapeDispute, func(t *idempotency.Ticket) error {
			_, _, err := d.Transactions.Dispute(v.Context(), v.account.ID, v.mode, id, in, t)
			return err
		})
	}
	if err != nil {
		wrong := v.problems(err)
		if wrong == nil {
			return err
		}
		return v.disputePage(wrong)
	}
	return v.redirect(v.path("payments", id), "good", v.print.T("review.said.disputed"))
}
