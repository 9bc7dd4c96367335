package api

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/payment"
)

// The calls for suspicious payments: the review queue, verdicts, labels and disputes.
// The lists come from the analytics store, which is behind by its consumer's lag. Each
// payment in them is read again from the payment store.

// How many related payments one call shows: at most, and if the caller does not say.
const (
	maxRelated   = 50
	firstRelated = 10
)

// deskRoutes returns the calls of this file. They use the scopes of payments, because they
// show and change payments.
func deskRoutes() []Route {
	read, write := "payments:read", "payments:write"
	const at = "/api/payments/{id}"
	return []Route{
		{
			Method: "GET",
			Path:   "/api/reviews",
			Auth:   authBoth,
			Scope:  read,
			Query:  with(pageQuery, "state", "from", "to"),
			handle: (*API).listReviews,
		},
		{
			Method: "POST",
			Path:   at + "/review",
			Auth:   authBoth,
			Scope:  write,
			body:   bodyRequired,
			in:     reviewBody{},
			ids:    one(id.Payment),
			handle: (*API).review,
			shape:  shapePayment,
		},
		{
			Method: "POST",
			Path:   at + "/mark",
			Auth:   authBoth,
			Scope:  write,
			body:   bodyRequired,
			in:     markBody{},
			ids:    one(id.Payment),
			handle: (*API).mark,
			shape:  shapePayment,
		},
		{
			Method: "GET",
			Path:   at + "/related",
			Auth:   authBoth,
			Scope:  read,
			Query:  []string{"limit"},
			ids:    one(id.Payment),
			handle: (*API).related,
		},
		{
			Method: "GET",
			Path:   "/api/disputes",
			Auth:   authBoth,
			Scope:  read,
			Query:  with(pageQuery, "state", "from", "to"),
			handle: (*API).listDisputes,
		},
		{
			Method: "POST",
			Path:   at + "/disputes",
			Auth:   authBoth,
			Scope:  write,
			body:   bodyRequired,
			in:     openDisputeBody{},
			ids:    one(id.Payment),
			handle: (*API).openDispute,
			shape:  shapeDispute,
		},
		{Method: "POST", Path: at + "/disputes/{dispute}", Auth: authBoth, Scope: write, body: bodyRequired, in: moveDisputeBody{},
			ids: map[string]string{"id": id.Payment, "dispute": id.Dispute}, handle: (*API).moveDispute, shape: shapeDispute},
	}
}

// errNoAnalyst is the fault of a process that runs without the analytics store.
var errNoAnalyst = fault.Unavailable("fraud_unavailable", time.Minute, nil, "The fraud service is temporarily unavailable; retry.")

// rows reads a page from the analytics store with the filters of both lists: limit, cursor,
// from and to. It returns the cursor and the limit of the request too, for a list that must
// stop within a row. It fails with fraud_unavailable if this process has no analytics
// store.
func (a *API) rows(q *request, f history.Query) (history.Page, deskCursor, int, error) {
	var none history.Page
	if a.Fraud.Analyst == nil {
		return none, deskCursor{}, 0, errNoAnalyst
	}

	f.Account, f.Mode = q.caller.account, q.caller.mode
	limit, err := q.query.limit()
	if err != nil {
		return none, deskCursor{}, 0, err
	}

	after, err := q.query.desk()
	if err != nil {
		return none, after, 0, err
	}

	within, err := a.within(q)
	if err != nil {
		return none, after, 0, err
	}

	f.From, f.To = within.From, within.To
	f.Before, f.Limit = after.Before, limit

	page, err := a.Fraud.Analyst.Rows(q.Context(), f)
	return page, after, limit, err
}

// fresh returns the current state of a row's payment. The row may be seconds old.
func (a *API) fresh(q *request, id string) (payment.Payment, error) {
	return a.Payments.GetPayment(q.Context(), q.caller.account, id)
}

// reviewStates are the values of the filter by state in the list of reviews.
var reviewStates = []string{
	payment.ReviewOpen,
	history.Closed,
	payment.ReviewApproved,
	payment.ReviewDeclined,
	payment.ReviewRefunded,
	payment.ReviewLapsed,
}

// inState reports whether a review has one of the requested states.
func inState(review, state string) bool {
	if state == history.Closed {
		return review != "" && review != payment.ReviewOpen
	}
	return review == state
}

// listReviews answers with the review queue. It omits payments that were decided after
// the analytics store read them, so a page may be shorter than its limit.
func (a *API) listReviews(q *request) (any, error) {
	state, err := q.query.oneOf("state", reviewStates...)
	if err != nil {
		return nil, err
	}
	if state == "" {
		state = payment.ReviewOpen
	}
	page, _, _, err := a.rows(q, history.Query{Review: state})
	if err != nil {
		return nil, err
	}

	out := list[payment.PaymentObject]{Object: "list", Data: []payment.PaymentObject{}}
	// The state that the row had may be outdated, so the current one decides.
	for _, r := range page.Rows {
		p, err := a.fresh(q, r.ID)
		if err != nil {
			return nil, err
		}
		if inState(p.Risk.Review, state) {
			out.Data = append(out.Data, payment.Object(p))
		}
	}

	if page.Next != "" {
		next := deskCursor{Before: page.Next}.String()
		out.HasMore, out.NextCursor = true, &next
	}
	return out, nil
}

// reviewBody is the body of a verdict.
type reviewBody struct {
	Verdict field[string] `json:"verdict"`
}

// verdicts maps the verdict in a request to the resulting state of the review.
var verdicts = map[string]string{"approve": payment.ReviewApproved, "decline": payment.ReviewDeclined, "refund": payment.ReviewRefunded}

// review commits a person's verdict on a held payment and answers with the payment. The
// coordinator then captures, voids or refunds; the response may show that as still under
// way.
func (a *API) review(q *request) (any, error) {
	var in reviewBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := required(in.Verdict.Set, "verdict"); err != nil {
		return nil, err
	}
	verdict, known := verdicts[in.Verdict.Value]
	if !known {
		return nil, fault.Invalid("verdict", "parameter_invalid", "verdict must be one of approve, decline, refund.")
	}

	p, err := a.Transactions.Review(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), verdict, q.caller.by(), q.ticket)
	if err != nil {
		return nil, err
	}
	return payment.Object(p), nil
}

// markBody is the body of a label. Null removes the label; an absent member is an error.
type markBody struct {
	Label nullable[string] `json:"label"`
}

// mark stores a person's label of a payment; null removes it.
func (a *API) mark(q *request) (any, error) {
	var in markBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := required(in.Label.Set, "label"); err != nil {
		return nil, err
	}
	if !in.Label.Null && in.Label.Value != payment.LabelFraud && in.Label.Value != payment.LabelLegitimate {
		return nil, fault.Invalid("label", "parameter_invalid", "label must be fraud, legitimate or null.")
	}

	p, err := a.Transactions.Mark(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), in.Label.Value, q.caller.by(), q.ticket)
	if err != nil {
		return nil, err
	}
	return payment.Object(p), nil
}

// relatedObject is a payment that is related to another, and what they share.
type relatedObject struct {
	Object  string                `json:"object"`
	Shared  []string              `json:"shared"`
	Payment payment.PaymentObject `json:"payment"`
}

// related answers with payments that share a card, an address or another trait with this
// one. Until the analytics store has read the payment, the list is empty. A limit above
// maxRelated is lowered to it.
func (a *API) related(q *request) (any, error) {
	limit := firstRelated
	if _, given := q.query["limit"]; given {
		n, err := q.query.limit()
		if err != nil {
			return nil, err
		}
		limit = min(n, maxRelated)
	}

	p, err := a.findPayment(q.Context(), q)
	if err != nil {
		return nil, err
	}
	if a.Fraud.Analyst == nil {
		return nil, errNoAnalyst
	}

	out := list[relatedObject]{Object: "list", Data: []relatedObject{}}
	rows, err := a.Fraud.Analyst.Related(q.Context(), p.Account, p.Mode, p.ID, limit)
	if err != nil {
		if fault.KindOf(err) == fault.KindNotFound {
			return out, nil // too new: the analytics store has not read it yet
		}
		return nil, err
	}

	for _, r := range rows {
		other, err := a.fresh(q, r.ID)
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, relatedObject{Object: "related_payment", Shared: history.Shared(p, r), Payment: payment.Object(other)})
	}

	return out, nil
}

// disputeStates are the states that a dispute may have, in their usual order.
var disputeStates = []string{payment.DisputeNeedsResponse, payment.DisputeUnderReview, payment.DisputeWon, payment.DisputeLost}

// listDisputes answers with disputes by payment, newest first, and within a payment in
// the order in which they came. The cursor of a page that ends within a payment names
// the last dispute.
func (a *API) listDisputes(q *request) (any, error) {
	state, err := q.query.oneOf("state", disputeStates...)
	if err != nil {
		return nil, err
	}

	page, after, limit, err := a.rows(q, history.Query{Disputed: true})
	if err != nil {
		return nil, err
	}

	out := list[payment.DisputeObject]{Object: "list", Data: []payment.DisputeObject{}}
	skip := after.After
	for _, r := range page.Rows {
		p, err := a.fresh(q, r.ID)
		if err != nil {
			return nil, err
		}
		for _, d := range p.Disputes {
			if skip != "" { // shown before, up to and including this one
				if d.ID == skip {
					skip = ""
				}
				continue
			}
			if state != "" && d.State != state {
				continue
			}
			if len(out.Data) == limit {
				next := deskCursor{Before: after.Before, After: out.Data[limit-1].ID}.String()
				out.HasMore, out.NextCursor = true, &next
				return out, nil
			}
			out.Data = append(out.Data, payment.NewDisputeObject(p, d))
		}
	}

	if page.Next != "" {
		// New disputes in the meantime may have moved the payment at which to continue.
		next := deskCursor{Before: page.Next, After: skip}.String()
		out.HasMore, out.NextCursor = true, &next
	}

	return out, nil
}

// openDisputeBody is the body that records a new dispute. Without an amount it is about the
// whole payment.
type openDisputeBody struct {
	Amount    field[decimal] `json:"amount"`
	Reason    field[string]  `json:"reason"`
	Reference field[string]  `json:"reference"`
	moveDisputeBody
}

// openDispute records a dispute that the merchant learned of from its bank, and answers
// with it. It moves no money.
func (a *API) openDispute(q *request) (any, error) {
	var in openDisputeBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := required(in.Reason.Set, "reason"); err != nil {
		return nil, err
	}
	if err := checkAmount("amount", in.Amount); err != nil {
		return nil, err
	}
	if in.Reason.Value == "" {
		return nil, fault.Invalid(
			"reason",
			"parameter_invalid",
			"reason must be one of fraudulent, product_not_received, duplicate, unrecognized, other.",
		)
	}

	due, err := in.due()
	if err != nil {
		return nil, err
	}

	return a.dispute(
		q,
		payment.DisputeInput{
			Amount:        string(in.Amount.Value),
			Reason:        in.Reason.Value,
			Reference:     in.Reference.Value,
			State:         in.State.Value,
			EvidenceDueAt: due,
		},
	)
}

// moveDisputeBody changes the state of a dispute or its deadline for evidence.
type moveDisputeBody struct {
	State         field[string] `json:"state"`
	EvidenceDueAt field[stamp]  `json:"evidenceDueAt"`
}

// moveDispute changes a recorded dispute. The body must give at least one member.
func (a *API) moveDispute(q *request) (any, error) {
	var in moveDisputeBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := required(in.State.Set || in.EvidenceDueAt.Set, "state"); err != nil {
		return nil, err
	}

	due, err := in.due()
	if err != nil {
		return nil, err
	}
	return a.dispute(q, payment.DisputeInput{ID: q.PathValue("dispute"), State: in.State.Value, EvidenceDueAt: due})
}

// due returns the deadline for evidence, or zero if none is given. It checks the state as
// well, if one is given. A year outside 1970 to 9999 is refused, because the stores cannot
// hold it.
func (b moveDisputeBody) due() (time.Time, error) {
	if b.State.Set && !slices.Contains(disputeStates, b.State.Value) {
		return time.Time{}, fault.Invalid("state", "parameter_invalid", "state must be one of %s.", strings.Join(disputeStates, ", "))
	}
	if !b.EvidenceDueAt.Set {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, string(b.EvidenceDueAt.Value))
	if t = t.UTC(); err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return t, fault.Invalid("evidenceDueAt", "parameter_invalid", "evidenceDueAt must be an RFC 3339 time such as 2026-03-01T12:00:00Z.")
	}
	return t, nil
}

// dispute commits a new or changed dispute and answers with it.
func (a *API) dispute(q *request, in payment.DisputeInput) (any, error) {
	p, d, err := a.Transactions.Dispute(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), in, q.ticket)
	if err != nil {
		return nil, err
	}
	return payment.NewDisputeObject(p, d), nil
}

// deskCursor names where a page of the analytics store begins, and the last dispute
// that was shown. It can only choose where a page of the caller's own payments
// begins.
type deskCursor struct {
	Before string `json:"b,omitzero"`
	After  string `json:"a,omitzero"`
}

// String returns the cursor in the form that desk accepts.
func (c deskCursor) String() string {
	raw, err := json.Marshal(c)
	if err != nil {
		return "" // two strings always marshal
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// desk returns the request's cursor, or zero if there is none. It accepts only what
// String returns.
func (q query) desk() (deskCursor, error) {
	s, given := q["cursor"]
	if !given {
		return deskCursor{}, nil
	}

	var c deskCursor
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(s) > maxCursorBytes || json.Unmarshal(raw, &c, json.RejectUnknownMembers(true)) != nil || c.String() != s ||
		c == (deskCursor{}) ||
		(c.After != "" && !id.Valid(id.Dispute, c.After)) {
		return deskCursor{}, fault.Invalid("cursor", "cursor_invalid", "Invalid cursor: pass nextCursor from a previous page.")
	}
	return c, nil
}
