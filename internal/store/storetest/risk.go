package storetest

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

var assessed = payment.Risk{
	Fingerprint: "card_424242_4242_3",
	BIN:         "424242",
	Address:     "203.0.113.0/24",
	Country:     "NZ",
	Why:         "rule",
	Rule:        "frl_1",
	Version:     3,
	Values: []payment.RiskValue{
		{Name: "country", Value: "NZ"},
	},
	Shadow:  []payment.ShadowHit{{Rule: "frl_2", Version: 1, Action: payment.Block}},
	Score:   71,
	Basis:   "known",
	Model:   "m1",
	Reasons: []payment.RiskReason{{Feature: "card.attempted_1h", Value: 3, Share: 0.5}},
}

// riskRoundTrip checks that a payment's assessment is committed with it and is in its events.
func riskRoundTrip(t *testing.T, s suite) {
	l := s.link(t, 1)
	risk := assessed
	risk.Action = payment.Block
	blocked := s.commit(t, BeginWith(t, l, "attempt-000000000001", risk))
	s.same(t, blocked)
	open, err := s.GetLink(s.ctx, s.account, l.ID)
	if err != nil || open.Reserved != 0 || open.Uses != 0 || open.Status(Epoch) != link.Open {
		t.Fatalf("a blocked payment took something of the link: %+v %v", open, err)
	}
	risk.Action = payment.Hold
	p := s.commit(t, BeginWith(t, l, "attempt-000000000002", risk))
	authorise := next(
		t,
		p,
		payment.Input{
			Kind:   payment.Sync,
			Actor:  "issuer",
			Answer: issuer.Answer{Outcome: issuer.Approved, Amount: p.Amount, IssuerReference: "iss", At: Epoch},
		},
	)
	authorise.WhenLinkPaid = []stream.Event{event(p.Account, p.Link, "link.paid", 3)}
	p = s.commit(t, authorise)
	s.same(t, p)
	for _, in := range []payment.Input{
		{Kind: payment.Reviewed, Actor: "merchant", Verdict: payment.ReviewApproved, By: "usr_1", Owner: "w"},
		{Kind: payment.CaptureAnswer, Actor: "issuer", Answer: issuer.Answer{Outcome: issuer.Approved, Amount: p.Amount, At: Epoch}},
		{Kind: payment.Marked, Actor: "merchant", Label: payment.LabelLegitimate, By: "usr_1"},
		{Kind: payment.Disputed, Actor: "issuer", DisputeID: "dsp_1",
			Dispute: payment.DisputeInput{Reference: "case 1", Reason: "fraudulent", EvidenceDueAt: Epoch.Add(time.Hour)}},
		{Kind: payment.Disputed, Actor: "issuer", DisputeID: "dsp_1",
			Dispute: payment.DisputeInput{Reference: "case 1", State: payment.DisputeWon}},
	} {
		if p.Status == payment.Authorized && in.Kind != payment.Reviewed {
			t.Fatal("the approval captured nothing")
		}
		p = s.commit(t, next(t, p, in))
		s.same(t, p)
	}
	events, err := s.Events(s.ctx, s.account, link.Test, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range []payment.Payment{blocked, p} {
		var want, told []string
		for _, e := range made.Log {
			if e.Event != "" {
				want = append(want, e.Event)
			}
		}
		for _, e := range events {
			if e.Object == made.ID {
				told = append(told, e.Type)
			}
		}
		if !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	}
}

// same reads the payment back.
func (s suite) same(t *testing.T, p payment.Payment) {
	t.Helper()
	got, err := s.GetPayment(s.ctx, s.account, p.ID)
	if err != nil || !reflect.DeepEqual(got, p) {
		t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, p)
	}
	if broken := got.Verify(); len(broken) > 0 {
		t.Fatal(broken)
	}
}

// OldFingerprint is a card's fingerprint as the version before made it, a keyed hash, and
// CoarseFingerprint what it becomes.
const (
	OldFingerprint    = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	CoarseFingerprint = "card_424242_4242"
)

// BeginBefore returns the first change of a payment as the version before made it: card and events
// have its fingerprint, and a list entry that saw the card held it.
func BeginBefore(t testing.TB, l link.Link, attempt string) payment.Change {
	t.Helper()
	p := payment.Payment{ID: payment.IDFor(l.ID, attempt), Account: l.Account, Mode: l.Mode, Link: l.ID, Attempt: attempt, Issuer: l.Issuer,
		Amount: l.Amount, Capture: l.Capture, LatePolicy: l.LatePolicy, LinkEndsAt: l.ExpiresAt, Realm: l.Realm, Metadata: l.Metadata,
		CardBrand: "visa", CardLast4: "4242", CreatedAt: Epoch, UpdatedAt: Epoch}
	return next(t, p, payment.Input{Kind: payment.Begin, Actor: "payer", Owner: "w", Link: l, Risk: payment.Risk{
		Fingerprint: OldFingerprint, BIN: "424242", Action: payment.Hold, Why: "list", Rule: "fle_1",
		Values: []payment.RiskValue{{Name: "card", Value: OldFingerprint}}}})
}
