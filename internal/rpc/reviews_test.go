package rpc_test

import (
	"context"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/payment"
)

// byName decides by the local part of the payer's email address.
type byName struct{ fraud.Assessor }

func (byName) Assess(_ context.Context, a fraud.Attempt) (fraud.Verdict, error) {
	name, _, _ := strings.Cut(a.Email, "@")
	v := fraud.Verdict{FailOpen: true, Risk: payment.Risk{Action: payment.Allow, Why: "default"}}
	switch action := payment.Action(name); action {
	case payment.Block, payment.Hold:
		v.Risk = payment.Risk{
			Action:  action,
			Why:     "rule",
			Rule:    "frl_1",
			Version: 2,
			Values:  []payment.RiskValue{{Name: "country", Value: a.Country}, {Name: "proof", Value: a.Proof}},
		}
	case "refused":
		return v, fault.New(fault.KindRateLimited, "attempts_exceeded", "Too many attempts.")
	}
	return v, nil
}

// TestReviewsService checks verdicts and labels on payments, and the assessment of an attempt.
func TestReviewsService(t *testing.T) {
	both(t, func(t *testing.T, b serviceSet) { reviewSuite(t, b, b.account(t).Account) })
}

func reviewSuite(t *testing.T, b serviceSet, account merchant.Account) {
	ctx := t.Context()
	pay := func(attempt, email string) (payment.Payment, error) {
		t.Helper()
		l, err := b.links.Create(ctx, linkRequest(account))
		good(t, err)
		return b.transactions.Submit(ctx, payment.Submit{Link: l, Attempt: attempt, Card: card(t, "4242424242424242"), PayerEmail: email,
			Client: netip.MustParseAddr("2001:db8:1:2::3"), Country: "NZ", Proof: "work"})
	}
	_, err := pay("attempt-0000000010", "refused@example.com")
	is(t, err, fault.KindRateLimited, "attempts_exceeded", "")
	blocked, err := pay("attempt-0000000011", "block@example.com")
	good(t, err)
	want := []payment.RiskValue{{Name: "country", Value: "NZ"}, {Name: "proof", Value: "work"}}
	if r := blocked.Risk; blocked.DeclineCode != payment.CodeBlocked || r.Address != "2001:db8:1::/48" || r.BIN != "424242" ||
		r.Fingerprint == "" ||
		!reflect.DeepEqual(r.Values, want) {
		t.Errorf("blocked %+v", blocked)
	}
	held, err := pay("attempt-0000000012", "review@example.com")
	good(t, err)
	ticket := b.world.ticket(account.ID+"/test", "review-1", "payment")
	approved, err := b.transactions.Review(ctx, account.ID, link.Test, held.ID, payment.ReviewApproved, "usr_1", ticket)
	good(t, err)
	b.world.kept(t, b.records.Transactions, ticket)
	if held.Risk.Review != payment.ReviewOpen || approved.Status != payment.Succeeded || approved.Risk.ReviewedBy != "usr_1" {
		t.Errorf("held %+v, approved %+v", held, approved)
	}
	_, err = b.transactions.Review(ctx, account.ID, link.Test, held.ID, payment.ReviewDeclined, "usr_1", nil)
	is(t, err, fault.KindConflict, "payment_not_in_review", "")
	_, err = b.transactions.Review(ctx, account.ID, link.Live, held.ID, payment.ReviewApproved, "usr_1", nil)
	is(t, err, fault.KindNotFound, "not_found", "")
	ticket = b.world.ticket(account.ID+"/test", "mark-1", "payment")
	marked, err := b.transactions.Mark(ctx, account.ID, link.Test, held.ID, payment.LabelFraud, "key_1", ticket)
	good(t, err)
	b.world.kept(t, b.records.Transactions, ticket)
	if marked.Risk.Label != payment.LabelFraud || marked.Risk.LabelledBy != "key_1" {
		t.Errorf("marked %+v", marked.Risk)
	}
	due := time.Now().UTC().Add(time.Hour).Truncate(time.Millisecond)
	ticket = b.world.ticket(account.ID+"/test", "dispute-1", "dispute")
	disputed, d, err := b.transactions.Dispute(
		ctx,
		account.ID,
		link.Test,
		held.ID,
		payment.DisputeInput{Reference: "case 1", Reason: "fraudulent", Amount: "2.50", EvidenceDueAt: due},
		ticket,
	)
	good(t, err)
	b.world.kept(t, b.records.Transactions, ticket)
	if d.Minor != 250 || d.State != payment.DisputeNeedsResponse || !d.EvidenceDueAt.Equal(due) || len(disputed.Disputes) != 1 {
		t.Errorf("disputed %+v", d)
	}
	_, lost, err := b.transactions.Dispute(
		ctx,
		account.ID,
		link.Test,
		held.ID,
		payment.DisputeInput{ID: d.ID, State: payment.DisputeLost},
		nil,
	)
	good(t, err)
	if lost.ID != d.ID || lost.State != payment.DisputeLost || lost.ClosedAt.IsZero() {
		t.Errorf("lost %+v", lost)
	}
	_, _, err = b.transactions.Dispute(ctx, account.ID, link.Test, held.ID, payment.DisputeInput{ID: d.ID, State: payment.DisputeWon}, nil)
	is(t, err, fault.KindConflict, "dispute_closed", "")
	read, err := b.payments.GetPayment(ctx, account.ID, held.ID)
	good(t, err)
	if broken := read.Verify(); len(broken) > 0 || !reflect.DeepEqual(read.Disputes[0], lost) {
		t.Errorf("read %+v: %v", read, broken)
	}
}
