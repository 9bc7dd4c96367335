package client

import (
	"context"
	"iter"
	"net/url"
	"time"
)

// What people do with a suspicious payment: the queue of those that are held, the
// verdict, marks, and disputes.

// ReviewState of a payment that was held.
type ReviewState string

// The states of a review; ReviewClosed asks for all but open ones.
const (
	ReviewOpen     ReviewState = "open"
	ReviewClosed   ReviewState = "closed"
	ReviewApproved ReviewState = "approved"
	ReviewDeclined ReviewState = "declined"
	ReviewRefunded ReviewState = "refunded"
	ReviewLapsed   ReviewState = "lapsed"
)

// ReviewFilter of the queue; the zero value asks for what waits for a verdict.
type ReviewFilter struct {
	State    ReviewState
	From, To time.Time // of the payment's making
	Limit    int
	Cursor   string
}

func (f ReviewFilter) query() url.Values {
	q := period(f.From, f.To, f.Limit, f.Cursor)
	set(q, "state", string(f.State))
	return q
}

// Reviews walks the queue, newest first.
func (a *PaymentsAPI) Reviews(ctx context.Context, f ReviewFilter, options ...CallOption) iter.Seq2[Payment, error] {
	return all[Payment](ctx, a.c, "/api/reviews", f.query(), options)
}

// Verdict on a payment that is held.
type Verdict string

// The verdicts. VerdictRefund gives the money back and marks the payment as fraud.
const (
	VerdictApprove Verdict = "approve"
	VerdictDecline Verdict = "decline"
	VerdictRefund  Verdict = "refund"
)

// ReviewBody is the verdict as the call takes it.
type ReviewBody struct {
	Verdict Verdict `json:"verdict"`
}

// Review decides a payment that is held.
func (a *PaymentsAPI) Review(ctx context.Context, id string, v Verdict, options ...CallOption) (Payment, error) {
	return post[Payment](ctx, a.c, paymentPath(id)+"/review", ReviewBody{v}, options)
}

// The labels of a payment.
const (
	LabelFraud      = "fraud"
	LabelLegitimate = "legitimate"
)

// MarkBody is a label as the call takes it; nil takes the mark back.
type MarkBody struct {
	Label *string `json:"label"`
}

// Mark says what a payment turned out to be; "" takes it back.
func (a *PaymentsAPI) Mark(ctx context.Context, id, label string, options ...CallOption) (Payment, error) {
	var body MarkBody
	if label != "" {
		body.Label = &label
	}
	return post[Payment](ctx, a.c, paymentPath(id)+"/mark", body, options)
}

// RelatedPayment shares the card, the email or the address prefix with another.
type RelatedPayment struct {
	Object  string   `json:"object"`
	Shared  []string `json:"shared"`
	Payment Payment  `json:"payment"`
}

// Related are payments that share something with one, newest first, at most limit
// (10 when it is 0).
func (a *PaymentsAPI) Related(ctx context.Context, id string, limit int, options ...CallOption) ([]RelatedPayment, error) {
	q := url.Values{}
	setInt(q, "limit", int64(limit))
	page, err := get[Page[RelatedPayment]](ctx, a.c, paymentPath(id)+"/related", q, options)
	return page.Data, err
}

// DisputesAPI records disputes and moves them on.
type DisputesAPI struct{ c *Client }

// OpenDispute records what an issuer told you by other ways. Without an Amount it is
// about all that was captured.
type OpenDispute struct {
	Amount        string    `json:"amount,omitempty"`
	Reason        string    `json:"reason"`
	Reference     string    `json:"reference,omitempty"`
	State         string    `json:"state,omitempty"`
	EvidenceDueAt time.Time `json:"evidenceDueAt,omitzero"`
}

// MoveDispute says where a dispute is now.
type MoveDispute struct {
	State         string    `json:"state,omitempty"`
	EvidenceDueAt time.Time `json:"evidenceDueAt,omitzero"`
}

// DisputeFilter of a list; what is left out does not filter.
type DisputeFilter struct {
	State    string
	From, To time.Time // of the payment's making
	Limit    int
	Cursor   string
}

func (f DisputeFilter) query() url.Values {
	q := period(f.From, f.To, f.Limit, f.Cursor)
	set(q, "state", f.State)
	return q
}

// All walks the disputes, those of the newest payment first.
func (a *DisputesAPI) All(ctx context.Context, f DisputeFilter, options ...CallOption) iter.Seq2[Dispute, error] {
	return all[Dispute](ctx, a.c, "/api/disputes", f.query(), options)
}

// Open records a dispute of a payment. The same Reference is the same dispute.
func (a *DisputesAPI) Open(ctx context.Context, payment string, d OpenDispute, options ...CallOption) (Dispute, error) {
	return post[Dispute](ctx, a.c, paymentPath(payment)+"/disputes", d, options)
}

// Move says where a dispute is now.
func (a *DisputesAPI) Move(ctx context.Context, payment, dispute string, d MoveDispute, options ...CallOption) (Dispute, error) {
	return post[Dispute](ctx, a.c, paymentPath(payment)+"/disputes/"+url.PathEscape(dispute), d, options)
}
