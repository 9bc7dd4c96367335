// Package issuertest is the suite that every connector to an issuer passes; a connector is done
// when it is green. It is for tests only.
//
// It checks what paylink's safety rests on: one effect per reference and per operation id,
// however often and however concurrently a call is repeated; a reversal that holds even if it
// overtakes the original; and inquiries that agree with the calls' answers.
package issuertest

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
)

// Cards are the test issuer's cards by what they make it do, and its controls. The suite
// skips the parts for which something is missing here.
type Cards struct {
	Approve  issuer.Card            // required
	Declined map[string]issuer.Card // by the decline code that must come back
	Lost     issuer.Card            // approved, and the answer lost (F4)
	Unsent   issuer.Card            // never reaches the issuer, and no answer comes (F3)
	Twice    issuer.Card            // answered, and sent as a notice too (F5); needs an issuer.Notifier
	Action   issuer.Card            // asks for a challenge
	// Decide passes or fails the challenge at the URL, as the payer would.
	Decide func(t *testing.T, actionURL string, pass bool)
	// Crash returns a new connector to the same issuer, as after kill -9.
	Crash func(t *testing.T) issuer.Connector

	Currency money.Currency // of the amounts; EUR when empty
}

// minor is the amount of every authorization in the suite.
const minor = 12_50

// deadline bounds a call. It is generous, because nothing here waits for it.
const deadline = 30 * time.Second

// bench is a connector under test.
type bench struct {
	issuer.Connector
	cards Cards
}

// Run runs the suite. open returns a fresh connector for each part of it.
func Run(t *testing.T, open func(t *testing.T) (issuer.Connector, Cards)) {
	t.Helper()
	start := func(t *testing.T) bench {
		t.Helper()
		c, cards := open(t)
		if cards.Currency == "" {
			cards.Currency = "EUR"
		}
		return bench{c, cards}
	}

	// Each part has a connector and an issuer of its own.
	parts := []struct {
		name string
		run  func(*testing.T, bench)
	}{
		{"capabilities", capabilities},
		{"approve", approve},
		{"approve and capture in one step", oneStep},
		{"decline codes are mapped", declines},
		{"an unsupported currency is refused", unsupported},
		{"a call whose time is over is not sent", canceled},
		{"I2 captured at most once and at most what was authorised", captures},
		{"partial capture", partialCapture},
		{"void", voids},
		{"I3 refunded at most what was captured", refunds},
		{"F20 racing refunds stay under the cap", racingRefunds},
		{"F20 void races capture", voidRacesCapture},
		{"F4 the answer is lost", lostAnswer},
		{"F3 the request is lost", lostRequest},
		{"F5 the issuer answers twice", answersTwice},
		{"F7 reversal overtakes the original", overtaken},
		{"F13 many authorise the same reference", sameReference},
		{"F14 a repeated call repeats its answer", repeats},
		{"an inquiry for what was never seen", neverSeen},
		{"challenge", challenge},
		{"I10 what was answered is there after a crash", crash},
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) { part.run(t, start(t)) })
	}
}

// amount returns an amount in the currency of the suite.
func (b bench) amount(n int64) money.Amount { return money.Of(n, b.cards.Currency) }

// An authorization of minor with a new reference.
func (b bench) authorisation(card issuer.Card, capture bool) issuer.Authorization {
	return issuer.Authorization{Reference: id.New(id.Payment) + "-1", Amount: b.amount(minor), Card: card, Capture: capture,
		Statement: "PAYLINK TEST", ReturnURL: "https://shop.example/back", ExpiresAt: time.Now().Add(time.Hour)}
}

// operation returns an operation with a new id.
func operation(reference string, amount money.Amount) issuer.Operation {
	return issuer.Operation{ID: id.New(id.Refund), Authorization: reference, Amount: amount}
}

// within returns a context for one call. It ends with the test.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// want fails the test unless the answer has the outcome.
func want(t *testing.T, what string, got issuer.Answer, outcome issuer.Outcome) issuer.Answer {
	t.Helper()
	if got.Outcome != outcome {
		t.Fatalf("%s: %v (%s %s), want %v", what, got.Outcome, got.Code, got.Message, outcome)
	}
	// Only the code is compared and translated by callers.
	if outcome == issuer.Declined && got.Code == "" {
		t.Fatalf("%s: declined without a code", what)
	}
	return got
}

// same fails the test unless a repeated answer equals the first one in everything but the
// message.
func same(t *testing.T, what string, got, first issuer.Answer) {
	t.Helper()
	if got.Outcome != first.Outcome || got.Amount != first.Amount || got.Captured != first.Captured || got.Code != first.Code ||
		got.IssuerReference != first.IssuerReference || got.ActionURL != first.ActionURL || !got.At.Equal(first.At) {
		t.Fatalf("%s: %+v, first it was %+v", what, got, first)
	}
}

// approved returns an authorization that was approved.
func (b bench) approved(t *testing.T, capture bool) issuer.Authorization {
	t.Helper()
	a := b.authorisation(b.cards.Approve, capture)
	want(t, "authorise", b.Authorize(within(t), a), issuer.Approved)
	return a
}

// capabilities checks that what the connector says of itself is complete, and cannot be
// changed by a caller.
func capabilities(t *testing.T, b bench) {
	c := b.Capabilities()
	if b.Name() == "" || len(c.Types) == 0 || len(c.Currencies) == 0 || c.MinMinor < 1 || c.MaxMinor < c.MinMinor {
		t.Fatalf("%q has %+v", b.Name(), c)
	}
	seen := map[money.Currency]bool{}
	for _, code := range c.Currencies {
		if _, err := money.ParseCurrency(string(code)); err != nil || seen[code] {
			t.Errorf("currency %q: %v, twice: %v", code, err, seen[code])
		}
		seen[code] = true
	}

	// The caller owns what it gets.
	c.Currencies[0] = "XXX"
	if b.Capabilities().Currencies[0] == "XXX" {
		t.Error("a caller can change the connector's currencies")
	}
}

// approve checks that an approval is for the amount that was asked for, not captured, and
// found by an inquiry.
func approve(t *testing.T, b bench) {
	a := b.authorisation(b.cards.Approve, false)
	got := want(t, "authorise", b.Authorize(within(t), a), issuer.Approved)
	if got.Amount != a.Amount || got.Captured || got.IssuerReference == "" {
		t.Fatalf("approved as %+v", got)
	}
	same(t, "lookup", b.Lookup(within(t), a.Reference), got)
}

// oneStep checks that an authorization with capture is captured, and can then be neither
// captured nor reversed.
func oneStep(t *testing.T, b bench) {
	a := b.authorisation(b.cards.Approve, true)
	got := want(t, "authorise", b.Authorize(within(t), a), issuer.Approved)
	if got.Amount != a.Amount || !got.Captured {
		t.Fatalf("approved as %+v", got)
	}
	same(t, "lookup", b.Lookup(within(t), a.Reference), got)
	want(t, "capture again", b.Capture(within(t), operation(a.Reference, a.Amount)), issuer.Declined)
	want(t, "reverse", b.Reverse(within(t), operation(a.Reference, a.Amount)), issuer.Declined)
	want(t, "refund", b.Refund(within(t), operation(a.Reference, a.Amount)), issuer.Approved)
}

// declines checks that each refusal comes back with its code, and that a declined
// authorization can be reversed.
func declines(t *testing.T, b bench) {
	for code, card := range b.cards.Declined {
		a := b.authorisation(card, true)
		got := want(t, code, b.Authorize(within(t), a), issuer.Declined)
		if got.Code != code || got.Message == "" {
			t.Errorf("%s came back as %q %q", code, got.Code, got.Message)
		}
		same(t, code+" lookup", b.Lookup(within(t), a.Reference), got)
		want(t, code+" capture", b.Capture(within(t), operation(a.Reference, a.Amount)), issuer.Declined)
		want(t, code+" reverse", b.Reverse(within(t), operation(a.Reference, a.Amount)), issuer.Reversed)
	}
}

// unsupported checks that a currency that no issuer supports is refused, and nothing is
// approved.
func unsupported(t *testing.T, b bench) {
	a := b.authorisation(b.cards.Approve, true)
	// No issuer may approve it, but it may answer in two ways.
	a.Amount = money.Of(minor, "XTS") // ISO 4217 keeps it for tests
	if got := b.Authorize(within(t), a); got.Outcome != issuer.Declined && got.Outcome != issuer.NotSent {
		t.Fatalf("XTS: %+v", got)
	}
	if got := b.Lookup(within(t), a.Reference); got.Outcome != issuer.Declined && got.Outcome != issuer.NotFound {
		t.Fatalf("lookup: %+v", got)
	}
}

// canceled checks that a call whose context is over does nothing and says so.
func canceled(t *testing.T, b bench) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	a := b.authorisation(b.cards.Approve, true)
	want(t, "authorise", b.Authorize(over, a), issuer.NotSent)
	want(t, "lookup", b.Lookup(within(t), a.Reference), issuer.NotFound)
	want(t, "lookup", b.Lookup(over, a.Reference), issuer.NotSent)

	held := b.approved(t, false)
	for name, call := range map[string]func(context.Context, issuer.Operation) issuer.Answer{
		"capture": b.Capture, "refund": b.Refund, "reverse": b.Reverse,
	} {
		op := operation(held.Reference, held.Amount)
		want(t, name, call(over, op), issuer.NotSent)
		want(t, name+" lookup", b.Lookup(within(t), op.ID), issuer.NotFound)
	}

	want(t, "it is still held", b.Capture(within(t), operation(held.Reference, held.Amount)), issuer.Approved)
}

// captures checks that an authorization is captured once, at most in full, and that a
// repetition gets the first answer (I2).
func captures(t *testing.T, b bench) {
	a := b.approved(t, false)
	want(t, "over", b.Capture(within(t), operation(a.Reference, b.amount(minor+1))), issuer.Declined)
	want(t, "nothing", b.Capture(within(t), operation(a.Reference, b.amount(0))), issuer.Declined)
	want(t, "unknown", b.Capture(within(t), operation(id.New(id.Payment), a.Amount)), issuer.Declined)
	op := operation(a.Reference, a.Amount)
	first := want(t, "capture", b.Capture(within(t), op), issuer.Approved)
	if first.Amount != a.Amount {
		t.Fatalf("captured %v", first.Amount)
	}
	same(t, "the same again", b.Capture(within(t), op), first)
	same(t, "lookup", b.Lookup(within(t), op.ID), first)
	want(t, "another", b.Capture(within(t), operation(a.Reference, b.amount(1))), issuer.Declined)
	want(t, "the authorisation", b.Lookup(within(t), a.Reference), issuer.Approved)
}

// partialCapture checks that what was not captured is released, and that only what was
// captured can be refunded.
func partialCapture(t *testing.T, b bench) {
	a := b.approved(t, false)
	want(t, "part", b.Capture(within(t), operation(a.Reference, b.amount(minor-250))), issuer.Approved)
	want(t, "the rest is released", b.Capture(within(t), operation(a.Reference, b.amount(250))), issuer.Declined)
	want(t, "refund of more than the part", b.Refund(within(t), operation(a.Reference, a.Amount)), issuer.Declined)
	want(t, "refund of the part", b.Refund(within(t), operation(a.Reference, b.amount(minor-250))), issuer.Approved)
}

// voids checks that a reversal holds, may be repeated, and is impossible after a capture.
func voids(t *testing.T, b bench) {
	a := b.approved(t, false)
	op := operation(a.Reference, a.Amount)
	first := want(t, "void", b.Reverse(within(t), op), issuer.Reversed)
	same(t, "the same again", b.Reverse(within(t), op), first)
	want(t, "with another id", b.Reverse(within(t), operation(a.Reference, a.Amount)), issuer.Reversed)
	want(t, "lookup of the operation", b.Lookup(within(t), op.ID), issuer.Reversed)
	want(t, "lookup of the authorisation", b.Lookup(within(t), a.Reference), issuer.Reversed)
	want(t, "capture", b.Capture(within(t), operation(a.Reference, a.Amount)), issuer.Declined)
	want(t, "authorise again", b.Authorize(within(t), a), issuer.Declined)

	taken := b.approved(t, false)
	want(t, "capture", b.Capture(within(t), operation(taken.Reference, taken.Amount)), issuer.Approved)
	want(t, "void of what is captured", b.Reverse(within(t), operation(taken.Reference, taken.Amount)), issuer.Declined)
	want(t, "it stays captured", b.Refund(within(t), operation(taken.Reference, taken.Amount)), issuer.Approved)
}

// refunds checks that no more is refunded than was captured, in any number of parts (I3).
func refunds(t *testing.T, b bench) {
	held := b.approved(t, false)
	want(t, "refund of what is not captured", b.Refund(within(t), operation(held.Reference, held.Amount)), issuer.Declined)

	a := b.approved(t, true)
	part := operation(a.Reference, b.amount(500))
	first := want(t, "part", b.Refund(within(t), part), issuer.Approved)
	if first.Amount != part.Amount {
		t.Fatalf("refunded %v", first.Amount)
	}
	same(t, "the same again", b.Refund(within(t), part), first)
	same(t, "lookup", b.Lookup(within(t), part.ID), first)
	over := operation(a.Reference, b.amount(minor-500+1))
	refused := want(t, "over", b.Refund(within(t), over), issuer.Declined)
	want(t, "the rest", b.Refund(within(t), operation(a.Reference, b.amount(minor-500))), issuer.Approved)
	want(t, "more", b.Refund(within(t), operation(a.Reference, b.amount(1))), issuer.Declined)
	same(t, "over again", b.Refund(within(t), over), refused)
}

// together runs f n times at once and returns the answers.
func together(n int, f func(i int) issuer.Answer) []issuer.Answer {
	answers := make([]issuer.Answer, n)
	gate := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-gate
			answers[i] = f(i)
		})
	}

	close(gate)
	all.Wait()
	return answers
}

// count returns how many answers have the outcome.
func count(answers []issuer.Answer, outcome issuer.Outcome) (n int) {
	for _, a := range answers {
		if a.Outcome == outcome {
			n++
		}
	}
	return n
}

// racingRefunds checks the cap of refunds under concurrency (F20).
func racingRefunds(t *testing.T, b bench) {
	a := b.approved(t, true)
	ctx := within(t)
	answers := together(16, func(int) issuer.Answer { return b.Refund(ctx, operation(a.Reference, b.amount(minor/5))) })
	// Each refund has an id of its own, so none is a repetition. Five of them are all that
	// was captured.
	if n := count(answers, issuer.Approved); n != 5 {
		t.Fatalf("%d refunds of a fifth were approved", n)
	}
}

// voidRacesCapture checks that of a concurrent capture and void exactly one succeeds (F20).
func voidRacesCapture(t *testing.T, b bench) {
	for range 20 {
		a := b.approved(t, false)
		ctx := within(t)
		answers := together(2, func(i int) issuer.Answer {
			if i == 0 {
				return b.Capture(ctx, operation(a.Reference, a.Amount))
			}
			return b.Reverse(ctx, operation(a.Reference, a.Amount))
		})

		// Whichever came first wins, and the other is refused.
		captured, reversed := answers[0].Outcome == issuer.Approved, answers[1].Outcome == issuer.Reversed
		if captured == reversed || count(answers, issuer.Declined) != 1 {
			t.Fatalf("capture: %v, void: %v", answers[0].Outcome, answers[1].Outcome)
		}
	}
}

// lostAnswer checks that an approval whose answer was lost is found by an inquiry, or can
// be reversed without one (F4).
func lostAnswer(t *testing.T, b bench) {
	if b.cards.Lost.Empty() {
		return
	}

	a := b.authorisation(b.cards.Lost, false)
	want(t, "authorise", b.Authorize(within(t), a), issuer.Ambiguous)
	found := want(t, "lookup", b.Lookup(within(t), a.Reference), issuer.Approved)
	if found.Amount != a.Amount || found.Captured {
		t.Fatalf("found %+v", found)
	}
	want(t, "capture", b.Capture(within(t), operation(a.Reference, a.Amount)), issuer.Approved)

	// A caller that does not ask but reverses is safe too.
	other := b.authorisation(b.cards.Lost, false)
	want(t, "authorise", b.Authorize(within(t), other), issuer.Ambiguous)
	want(t, "reverse instead of asking", b.Reverse(within(t), operation(other.Reference, other.Amount)), issuer.Reversed)
	want(t, "lookup", b.Lookup(within(t), other.Reference), issuer.Reversed)
}

// lostRequest checks that a request that never arrived is found to be unknown, and that its
// reversal holds (F3).
func lostRequest(t *testing.T, b bench) {
	if b.cards.Unsent.Empty() {
		return
	}
	a := b.authorisation(b.cards.Unsent, true)
	want(t, "authorise", b.Authorize(within(t), a), issuer.Ambiguous)
	want(t, "lookup", b.Lookup(within(t), a.Reference), issuer.NotFound)
	want(t, "reverse", b.Reverse(within(t), operation(a.Reference, a.Amount)), issuer.Reversed)
	want(t, "lookup", b.Lookup(within(t), a.Reference), issuer.Reversed)
}

// answersTwice checks that a notice repeats the answer of the call (F5).
func answersTwice(t *testing.T, b bench) {
	n, ok := b.Connector.(issuer.Notifier)
	if !ok || b.cards.Twice.Empty() {
		return
	}

	heard := make(chan issuer.Notice, 4)
	n.OnNotice(func(_ context.Context, n issuer.Notice) error {
		heard <- n
		return nil
	})
	a := b.authorisation(b.cards.Twice, true)
	first := want(t, "authorise", b.Authorize(within(t), a), issuer.Approved)
	select {
	case second := <-heard:
		if second.Reference != a.Reference {
			t.Fatalf("a notice for %s", second.Reference)
		}
		same(t, "notice", second.Answer, first)
	case <-within(t).Done():
		t.Fatal("no notice came")
	}
}

// overtaken checks that a reversal that arrives before the original refuses it for good
// (F7).
func overtaken(t *testing.T, b bench) {
	for _, capture := range []bool{false, true} {
		a := b.authorisation(b.cards.Approve, capture)
		op := operation(a.Reference, a.Amount)
		first := want(t, "reverse", b.Reverse(within(t), op), issuer.Reversed)
		want(t, "the original", b.Authorize(within(t), a), issuer.Declined)
		want(t, "the original once more", b.Authorize(within(t), a), issuer.Declined)
		same(t, "the reversal again", b.Reverse(within(t), op), first)
		want(t, "lookup", b.Lookup(within(t), a.Reference), issuer.Reversed)
		want(t, "capture", b.Capture(within(t), operation(a.Reference, a.Amount)), issuer.Declined)
		want(t, "refund", b.Refund(within(t), operation(a.Reference, a.Amount)), issuer.Declined)
	}
}

// sameReference checks that many concurrent calls with one reference have one effect and
// one answer (F13).
func sameReference(t *testing.T, b bench) {
	a := b.authorisation(b.cards.Approve, false)
	ctx := within(t)
	answers := together(64, func(int) issuer.Answer { return b.Authorize(ctx, a) })
	for i, got := range answers {
		want(t, "authorise "+strconv.Itoa(i), got, issuer.Approved)
		same(t, "authorise "+strconv.Itoa(i), got, answers[0])
	}

	answers = together(64, func(int) issuer.Answer { return b.Capture(ctx, operation(a.Reference, a.Amount)) })
	if n := count(answers, issuer.Approved); n != 1 {
		t.Fatalf("captured %d times", n)
	}
}

// repeats checks that a repeated call gets its first answer, and that an id cannot be used
// for another operation (F14).
func repeats(t *testing.T, b bench) {
	a := b.approved(t, false)
	same(t, "authorise", b.Authorize(within(t), a), b.Authorize(within(t), a))
	op := operation(a.Reference, a.Amount)
	ctx := within(t)
	answers := together(16, func(int) issuer.Answer { return b.Capture(ctx, op) })
	for _, got := range answers {
		want(t, "capture", got, issuer.Approved)
		same(t, "capture", got, answers[0])
	}

	// Concurrent repetitions are one refund.
	refund := operation(a.Reference, a.Amount)
	answers = together(16, func(int) issuer.Answer { return b.Refund(ctx, refund) })
	for _, got := range answers {
		want(t, "refund", got, issuer.Approved)
		same(t, "refund", got, answers[0])
	}

	other := b.approved(t, true)
	reused := issuer.Operation{ID: refund.ID, Authorization: other.Reference, Amount: other.Amount}
	want(t, "an id that another operation has", b.Refund(ctx, reused), issuer.Declined)
	want(t, "what it named is untouched", b.Refund(ctx, operation(other.Reference, other.Amount)), issuer.Approved)
}

// neverSeen checks the inquiry for what the issuer does not know.
func neverSeen(t *testing.T, b bench) {
	want(t, "lookup", b.Lookup(within(t), id.New(id.Payment)), issuer.NotFound)
	want(t, "lookup", b.Lookup(within(t), id.New(id.Refund)), issuer.NotFound)
}

// challenge checks that nothing is approved before a challenge is decided, and that it can
// be given up.
func challenge(t *testing.T, b bench) {
	if b.cards.Action.Empty() || b.cards.Decide == nil {
		return
	}

	// One card asks for a challenge itself, another because the request asks for one.
	for i := range 8 {
		pass, capture, ours := i&1 == 0, i&2 == 0, i&4 == 0
		a := b.authorisation(b.cards.Action, capture)
		if ours {
			a.Card, a.Challenge = b.cards.Approve, true
		}
		challengeOnce(t, b, a, pass)
	}

	a := b.authorisation(b.cards.Action, true)
	want(t, "authorise", b.Authorize(within(t), a), issuer.ActionRequired)
	want(t, "given up", b.Reverse(within(t), operation(a.Reference, a.Amount)), issuer.Reversed)
	want(t, "lookup", b.Lookup(within(t), a.Reference), issuer.Reversed)
}

// challengeOnce decides one challenge and checks the outcome.
func challengeOnce(t *testing.T, b bench, a issuer.Authorization, pass bool) {
	t.Helper()
	asked := want(t, "authorise", b.Authorize(within(t), a), issuer.ActionRequired)
	if asked.ActionURL == "" {
		t.Fatal("no URL to send the payer to")
	}
	same(t, "lookup", b.Lookup(within(t), a.Reference), asked)
	want(t, "capture before the decision", b.Capture(within(t), operation(a.Reference, a.Amount)), issuer.Declined)
	b.cards.Decide(t, asked.ActionURL, pass)
	if !pass {
		if got := want(t, "failed", b.Lookup(within(t), a.Reference), issuer.Declined); got.Code != issuer.CodeAuthentication {
			t.Fatalf("failed with %q", got.Code)
		}
		return
	}

	got := want(t, "passed", b.Lookup(within(t), a.Reference), issuer.Approved)
	if got.Captured != a.Capture || got.Amount != a.Amount {
		t.Fatalf("passed as %+v", got)
	}
	same(t, "authorise again", b.Authorize(within(t), a), got)
}

// crash checks that a connector that opens the same issuer again gives the same answers
// (I10).
func crash(t *testing.T, b bench) {
	if b.cards.Crash == nil {
		return
	}

	a, held := b.approved(t, true), b.approved(t, false)
	refund := operation(a.Reference, b.amount(500))
	want(t, "refund", b.Refund(within(t), refund), issuer.Approved)
	// A tombstone must survive the crash as well.
	ahead := b.authorisation(b.cards.Approve, true)
	want(t, "reverse", b.Reverse(within(t), operation(ahead.Reference, ahead.Amount)), issuer.Reversed)
	names := []string{a.Reference, held.Reference, refund.ID, ahead.Reference}
	var before []issuer.Answer
	for _, name := range names {
		before = append(before, b.Lookup(within(t), name))
	}
	// From here on the calls go to the new connector.
	b.Connector = b.cards.Crash(t)
	for i, name := range names {
		same(t, "lookup after the crash", b.Lookup(within(t), name), before[i])
	}
	want(t, "F7 after the crash", b.Authorize(within(t), ahead), issuer.Declined)
	want(t, "I3 after the crash", b.Refund(within(t), operation(a.Reference, a.Amount)), issuer.Declined)
	same(t, "the same refund", b.Refund(within(t), refund), before[2])
	want(t, "capture", b.Capture(within(t), operation(held.Reference, held.Amount)), issuer.Approved)
}
