package client

import (
	"context"
	"iter"
	"net/url"
	"time"
)

// Review of suspicious payments: the queue of held payments, verdicts, labels, and disputes.

// ReviewState is the state of a held payment's review.
type ReviewState string

// The states of a review; ReviewClosed selects all but open ones.
const (
	ReviewOpen     ReviewState = "open"
	ReviewClosed   ReviewState = "closed"
	ReviewApproved ReviewState = "approved"
	ReviewDeclined ReviewState = "declined"
	ReviewRefunded ReviewState = "refunded"
	ReviewLapsed   ReviewState = "lapsed"
)

// ReviewFilter filters the queue; the zero value selects what waits for a verdict.
type ReviewFilter struct {
	State    ReviewState
	From, To time.Time // of the payment's creation
	Limit    int
	Cursor   string
}

func (f ReviewFilter) query() url.Values {
	q := period(f.From, f.To, f.Limit, f.Cursor)
	set(q, "state", string(f.State))
	return q
}

// Reviews iterates over the queue, newest first.
func (a *PaymentsAPI) Reviews(ctx context.Context, f ReviewFilter, options ...CallOption) iter.Seq2[Payment, error] {
	return all[Payment](ctx, a.c, "/api/reviews", f.query(), options)
}

// Verdict is the decision on a held payment.
type Verdict string

// The verdicts. VerdictRefund refunds the money and labels the payment as fraud.
const (
	VerdictApprove Verdict = "approve"
	VerdictDecline Verdict = "decline"
	VerdictRefund  Verdict = "refund"
)

// ReviewBody is the request body of a verdict.
type ReviewBody struct {
	Verdict Verdict `json:"verdict"`
}

// Review decides on a held payment.
func (a *PaymentsAPI) Review(ctx context.Context, id string, v Verdict, options ...CallOption) (Payment, error) {
	return post[Payment](ctx, a.c, paymentPath(id)+"/review", ReviewBody{v}, options)
}

// The labels of a payment.
const (
	LabelFraud      = "fraud"
	LabelLegitimate = "legitimate"
)

// MarkBody is the request body of a label; nil removes the label.
type MarkBody struct {
	Label *string `json:"label"`
}

// Mark labels a payment; "" removes the label.
func (a *PaymentsAPI) Mark(ctx context.Context, id, label string, options ...CallOption) (Payment, error) {
	var body MarkBody
	if label != "" {
		body.Label = &label
	}
	return post[Payment](ctx, a.c, paymentPath(id)+"/mark", body, options)
}

// RelatedPayment shares the card, the email or the address prefix with another payment.
type RelatedPayment struct {
	Object  string   `json:"object"`
	Shared  []string `json:"shared"`
	Payment Payment  `json:"payment"`
}

// Related returns payments that share something with a payment, newest first, at most limit (0
// means 10).
func (a *PaymentsAPI) Related(ctx context.Context, id string, limit int, options ...CallOption) ([]RelatedPayment, error) {
	q := url.Values{}
	setInt(q, "limit", int64(limit))
	page, err := get[Page[RelatedPayment]](ctx, a.c, paymentPath(id)+"/related", q, options)
	return page.Data, err
}

// DisputesAPI records disputes and updates them.
type DisputesAPI struct{ c *Client }

// OpenDispute records a dispute that the issuer reported to you outside of paylink. Without an
// Amount it covers everything that was captured.
type OpenDispute struct {
	Amount        string    `json:"amount,omitempty"`
	Reason        string    `json:"reason"`
	Reference     string    `json:"reference,omitempty"`
	State         string    `json:"state,omitempty"`
	EvidenceDueAt time.Time `json:"evidenceDueAt,omitzero"`
}

// MoveDispute sets the state of a dispute.
type MoveDispute struct {
	State         string    `json:"state,omitempty"`
	EvidenceDueAt time.Time `json:"evidenceDueAt,omitzero"`
}

// DisputeFilter filters a list; empty fields do not filter.
type DisputeFilter struct {
	State    string
	From, To time.Time // of the payment's creation
	Limit    int
	Cursor   string
}

func (f DisputeFilter) query() url.Values {
	q := period(f.From, f.To, f.Limit, f.Cursor)
	set(q, "state", f.State)
	return q
}

// All iterates over the disputes, those of the newest payment first.
func (a *DisputesAPI) All(ctx context.Context, f DisputeFilter, options ...CallOption) iter.Seq2[Dispute, error] {
	return all[Dispute](ctx, a.c, "/api/disputes", f.query(), options)
}

// Open records a dispute of a payment. The same Reference is the same dispute.
func (a *DisputesAPI) Open(ctx context.Context, payment string, d OpenDispute, options ...CallOption) (Dispute, error) {
	return post[Dispute](ctx, a.c, paymentPath(payment)+"/disputes", d, options)
}

// Move sets the state of a dispute.
func (a *DisputesAPI) Move(ctx context.Context, payment, dispute string, d MoveDispute, options ...CallOption) (Dispute, error) {
	return post[Dispute](ctx, a.c, paymentPath(payment)+"/disputes/"+url.PathEscape(dispute), d, options)
}
