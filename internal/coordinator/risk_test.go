package coordinator_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

const disputedCard = "4000000000006181"

// looks is a fraud service whose verdict the test sets.
type looks struct {
	fraud.Assessor
	mu     sync.Mutex
	say    func(context.Context, fraud.Attempt) (fraud.Verdict, error)
	budget time.Duration // set before the coordinator is made
	seen   []fraud.Attempt
}

func (l *looks) Assess(ctx context.Context, a fraud.Attempt) (fraud.Verdict, error) {
	l.mu.Lock()
	say := l.say
	l.seen = append(l.seen, a)
	l.mu.Unlock()
	if say == nil {
		return fraud.Verdict{FailOpen: true}, nil
	}
	return say(ctx, a)
}

func (l *looks) attempts() []fraud.Attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.seen)
}

func (l *looks) will(r payment.Risk) {
	l.answers(func(context.Context, fraud.Attempt) (fraud.Verdict, error) {
		return fraud.Verdict{Risk: r, FailOpen: true}, nil
	})
}

func (l *looks) answers(say func(context.Context, fraud.Attempt) (fraud.Verdict, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.say = say
}

// patient returns a world whose fraud service has all the time that a busy machine needs.
func patient(t *testing.T, e engine) *world {
	w := newWorld(t, e)
	w.fraud.budget = time.Minute
	w.restart()
	return w
}

var (
	holding = payment.Risk{Action: payment.Hold, Why: "rule", Rule: "frl_hold", Version: 2,
		Values: []payment.RiskValue{{Name: "country", Value: "NZ"}}}
	blocking = payment.Risk{Action: payment.Block, Why: "shield"}
)

// The types of the account's events, oldest first.
func (w *world) told() string {
	w.t.Helper()
	var types []string
	for _, e := range must(w.store.Events(w.t.Context(), w.account, link.Test, 0, 1000))(w.t) {
		types = append(types, e.Type)
	}
	return strings.Join(types, " ")
}

// TestBlockedNeverLeaves: no call, no lease, no use of the link, and nothing due.
func TestBlockedNeverLeaves(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		w := patient(t, e)
		l := w.link()
		w.fraud.will(blocking)
		s := w.submitting(l, attempt(1), good)
		s.Client, s.Country, s.PayerEmail = netip.MustParseAddr("::ffff:203.0.113.7"), "NZ", "ada@example.com"
		p := must(w.c.Submit(t.Context(), s))(t)
		if p.Status != payment.Declined || p.DeclineCode != payment.CodeBlocked || p.Try != 0 || p.UseReserved || !p.DueAt().IsZero() ||
			p.Work.Owner != "" {
			t.Fatalf("blocked: %+v", p)
		}
		if r := p.Risk; r.Action != payment.Block || r.Why != "shield" || r.Address != "203.0.113.0/24" || r.Country != "NZ" ||
			r.BIN != "424242" || !issuer.IsFingerprint(r.Fingerprint) {
			t.Errorf("it says %+v", r)
		}
		if w.linkStatus(l) != link.Open || w.wire.count("authorize") != 0 {
			t.Errorf("the link is %s, %d calls left", w.linkStatus(l), w.wire.count("authorize"))
		}
		if told := w.told(); told != "link.created payment.created payment.declined fraud.flagged" {
			t.Errorf("told %s", told)
		}
		// The same attempt is the same payment, whatever the verdict would be now.
		w.fraud.will(payment.Risk{Action: payment.Allow})
		again := must(w.c.Submit(t.Context(), w.submitting(l, attempt(1), good)))(t)
		if again.ID != p.ID || again.Status != payment.Declined || w.wire.count("authorize") != 0 {
			t.Errorf("again: %+v", again)
		}
		paid := must(w.c.Submit(t.Context(), w.submitting(l, attempt(2), good)))(t)
		if paid.Status != payment.Succeeded || paid.Risk.Fingerprint != p.Risk.Fingerprint {
			t.Errorf("the payer's next attempt: %+v", paid)
		}
		looked := len(w.fraud.attempts())
		if w.submit(l, good).ID != p.ID {
			t.Error("not the first payment")
		}
		must(w.c.Submit(t.Context(), w.submitting(l, attempt(2), good)))(t)
		if n := len(w.fraud.attempts()); n != looked {
			t.Errorf("repetitions on a paid link were looked at %d times", n-looked)
		}
		w.check()
	})
}

// TestFingerprintIsOfTheNumberAlone: if it differed by account or key, several records of one card
// would narrow its number.
func TestFingerprintIsOfTheNumberAlone(t *testing.T) {
	w := patient(t, sqlite)
	w.submit(w.link(), good)
	w.submit(w.linkOf(id.New(id.Account)), good)
	w.submit(w.link(), "5555555555554444")
	a := w.fraud.attempts()
	if len(a) != 3 || a[0].Fingerprint != a[1].Fingerprint || a[0].Fingerprint == a[2].Fingerprint || a[0].Card != a[0].Fingerprint {
		t.Fatalf("%+v", a)
	}
	for _, one := range a {
		if strings.Contains(one.Fingerprint, "4242424242424242") || one.BIN == "" || one.Payment == "" || one.At.IsZero() {
			t.Errorf("%+v", one)
		}
	}
}

// TestHeldThenReviewed: authorized and not captured until a person approves it.
func TestHeldThenReviewed(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		w := patient(t, e)
		w.fraud.will(holding)
		review := func(p payment.Payment, verdict string) payment.Payment {
			t.Helper()
			return must(w.c.Review(t.Context(), w.account, link.Test, p.ID, verdict, "usr_1", nil))(t)
		}
		l := w.link()
		p := w.submit(l, good)
		if p.Status != payment.Authorized || p.Risk.Review != payment.ReviewOpen || w.linkStatus(l) != link.Paid {
			t.Fatalf("held: %+v, the link is %s", p, w.linkStatus(l))
		}
		if told := w.told(); told != "link.created payment.created payment.processing payment.authorized link.paid fraud.flagged" &&
			!strings.HasSuffix(told, "payment.authorized fraud.flagged link.paid") {
			t.Errorf("told %s", told)
		}
		_, err := w.c.Capture(t.Context(), w.account, link.Test, p.ID, "", nil)
		w.code(err, "payment_held")
		w.check()
		p = review(p, payment.ReviewApproved)
		if p = w.want(p, payment.Succeeded); p.CapturedMinor != 1250 || p.Risk.ReviewedBy != "usr_1" || p.Risk.ReviewedAt.IsZero() ||
			p.Risk.Label != "" {
			t.Errorf("approved: %+v", p.Risk)
		}
		if again := review(p, payment.ReviewApproved); again.Revision != p.Revision {
			t.Error("said twice, it changed something")
		}
		p = review(p, payment.ReviewRefunded)
		if p = w.want(p, payment.Refunded); p.Risk.Label != payment.LabelFraud || p.Risk.LabelledBy != "usr_1" ||
			p.Risk.Review != payment.ReviewRefunded {
			t.Errorf("refunded: %+v", p.Risk)
		}
		declined := review(w.submit(w.link(), good), payment.ReviewDeclined)
		w.want(declined, payment.Canceled)
		fraudulent := w.want(review(w.submit(w.link(), good), payment.ReviewRefunded), payment.Canceled)
		if fraudulent.Risk.Label != payment.LabelFraud {
			t.Errorf("given back as fraud: %+v", fraudulent.Risk)
		}
		manualHeld := review(w.submit(w.link(manual), good), payment.ReviewApproved)
		w.want(manualHeld, payment.Authorized)
		must(w.c.Capture(t.Context(), w.account, link.Test, manualHeld.ID, "", nil))(t)
		w.want(manualHeld, payment.Succeeded)
	})
}

// TestHeldLapses: nobody decides, and the hold at the issuer ends.
func TestHeldLapses(t *testing.T) {
	w := patient(t, sqlite)
	w.fraud.will(holding)
	p := w.submit(w.link(), good)
	w.later(payment.HoldLife - time.Minute)
	w.want(p, payment.Authorized)
	w.later(time.Minute)
	p = w.want(p, payment.Canceled)
	if p.Risk.Review != payment.ReviewLapsed || p.Risk.ReviewedBy != "" {
		t.Errorf("%+v", p.Risk)
	}
	_, err := w.c.Review(t.Context(), w.account, link.Test, p.ID, payment.ReviewApproved, "usr_1", nil)
	w.code(err, "payment_not_in_review")
}

// TestReviewTime: the account's policy may end a review before the authorization ends. What was
// approved in time, and is captured by hand, waits like any other.
func TestReviewTime(t *testing.T) {
	w := patient(t, sqlite)
	day := holding
	day.ReviewSeconds = 24 * 60 * 60
	w.fraud.will(day)
	p, approved := w.submit(w.link(), good), w.submit(w.link(manual), good)
	w.later(23 * time.Hour)
	w.want(p, payment.Authorized)
	must(w.c.Review(t.Context(), w.account, link.Test, approved.ID, payment.ReviewApproved, "usr_1", nil))(t)
	w.later(time.Hour + time.Minute)
	if p = w.want(p, payment.Canceled); p.Risk.Review != payment.ReviewLapsed {
		t.Errorf("%+v", p.Risk)
	}
	w.later(6*24*time.Hour - 2*time.Minute)
	w.want(approved, payment.Authorized)
	w.later(2 * time.Minute)
	w.want(approved, payment.Canceled)
}

// TestReviewSurvivesALostAnswer: the verdict and its intent are one commit, so the sweep
// carries out the verdict, once.
func TestReviewSurvivesALostAnswer(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		for verdict, want := range map[string]payment.Status{payment.ReviewApproved: payment.Succeeded,
			payment.ReviewDeclined: payment.Canceled} {
			w := patient(t, e)
			w.fraud.will(holding)
			p := w.submit(w.link(), good)
			w.wire.set(func(call, _ string, send func() issuer.Answer) issuer.Answer {
				send()
				return issuer.Answer{Outcome: issuer.Ambiguous}
			})
			if q := must(w.c.Review(t.Context(), w.account, link.Test, p.ID, verdict, "usr_1",
				nil))(t); q.Status.Public() != payment.Authorized || q.Risk.Review != verdict {
				t.Fatalf("%s: %+v", verdict, q)
			}
			w.wire.set(nil)
			w.restart()
			w.later(time.Minute)
			w.want(p, want)
		}
	})
}

// TestReviewRaces: of two people who decide differently, one wins.
func TestReviewRaces(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		w := patient(t, e)
		w.fraud.will(holding)
		p := w.submit(w.link(), good)
		var done sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 6 {
			done.Go(func() {
				verdict := []string{payment.ReviewApproved, payment.ReviewDeclined}[i%2]
				q, err := w.c.Review(t.Context(), w.account, link.Test, p.ID, verdict, "usr_1", nil)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && q.Risk.Review == verdict:
					won |= 1 << (i % 2)
				case fault.KindOf(err) != fault.KindConflict:
					t.Errorf("%s: %+v %v", verdict, q.Risk, err)
				}
			})
		}
		done.Wait()
		if won != 1 && won != 2 {
			t.Errorf("heard %b", won)
		}
		if q := w.get(p); q.Status != map[int]payment.Status{1: payment.Succeeded, 2: payment.Canceled}[won] {
			t.Errorf("%d: %s", won, story(q))
		}
		w.check()
	})
}

// TestChallengeIsAskedFor: the issuer challenges a card that it would have approved.
func TestChallengeIsAskedFor(t *testing.T) {
	w := patient(t, sqlite)
	for _, r := range []payment.Risk{{Action: payment.Allow, Challenge: true}, {Action: payment.Hold, Challenge: true}} {
		w.fraud.will(r)
		p := w.submit(w.link(), good)
		if p.Status != payment.RequiresAction || p.ActionURL == "" {
			t.Fatalf("%+v", p)
		}
		w.answer(p, "approve")
		if r.Action == payment.Allow {
			w.want(p, payment.Succeeded)
			continue
		}
		if p = w.want(p, payment.Authorized); p.Risk.Review != payment.ReviewOpen {
			t.Errorf("%+v", p.Risk)
		}
	}
}

// TestPolicyWhenNobodyAnswers: the last verdict carries the account's policy for attempts that
// are not assessed in time.
func TestPolicyWhenNobodyAnswers(t *testing.T) {
	w := newWorld(t, sqlite)
	w.fraud.budget = 20 * time.Millisecond
	w.restart()
	slow := func(ctx context.Context, _ fraud.Attempt) (fraud.Verdict, error) {
		<-ctx.Done()
		return fraud.Verdict{}, ctx.Err()
	}
	w.fraud.answers(slow)
	p := w.submit(w.link(), good)
	if p.Status != payment.Succeeded || p.Risk.Action != payment.Allow || p.Risk.Why != "policy" {
		t.Fatalf("nobody has said anything yet: %+v", p.Risk)
	}
	w.fraud.budget = time.Minute
	w.restart()
	w.fraud.answers(func(_ context.Context, a fraud.Attempt) (fraud.Verdict, error) {
		switch a.Amount.Minor { // the first carries the policy, the others nothing
		case 1250:
			return fraud.Verdict{Risk: payment.Risk{Action: payment.Allow}}, nil
		}
		return fraud.Verdict{}, fault.Unavailable("fraud_unreachable", time.Second, nil, "Nobody is there.")
	})
	w.want(w.submit(w.link(), good), payment.Succeeded)
	p = w.submit(w.link(func(r *link.CreateRequest) { r.Amount = "13" }), good)
	if p.DeclineCode != payment.CodeBlocked || p.Risk.Why != "policy" || !strings.Contains(w.logs.String(), "the account's policy decides") {
		t.Errorf("fails closed: %+v", p.Risk)
	}
	other := w.submit(w.linkOf(id.New(id.Account), func(r *link.CreateRequest) { r.Amount = "13" }), good)
	if other.Status != payment.Succeeded {
		t.Errorf("another account: %+v", other.Risk)
	}
}

// TestRefusedAttemptMakesNoPayment: what the shield refuses leaves nothing behind.
func TestRefusedAttemptMakesNoPayment(t *testing.T) {
	w := patient(t, sqlite)
	l := w.link()
	w.fraud.answers(func(context.Context, fraud.Attempt) (fraud.Verdict, error) {
		return fraud.Verdict{}, fault.New(fault.KindRateLimited, "attempts_exceeded", "Too many attempts.")
	})
	_, err := w.c.Submit(t.Context(), w.submitting(l, attempt(1), good))
	w.code(err, "attempts_exceeded")
	if _, found, err := w.c.ByAttempt(t.Context(), l, attempt(1)); found || err != nil || w.wire.count("authorize") != 0 {
		t.Errorf("found %v %v", found, err)
	}
	w.fraud.will(blocking)
	p := w.submit(l, good)
	w.fraud.answers(func(context.Context, fraud.Attempt) (fraud.Verdict, error) {
		return fraud.Verdict{}, fault.New(fault.KindRateLimited, "attempts_exceeded", "Too many attempts.")
	})
	if again := w.submit(l, good); again.ID != p.ID {
		t.Errorf("a repetition heard something else: %+v", again)
	}
}

// TestDisputes: by the issuer's notice, twice and out of order, and by the merchant.
func TestDisputes(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		w := patient(t, e)
		p := w.submit(w.link(), good)
		due := epoch.Add(time.Hour)
		say := func(state string) error {
			return w.c.Notice(t.Context(), issuer.Notice{Reference: p.IssuerKey(),
				Dispute: &issuer.Dispute{Reference: "case 1", Amount: p.Amount, Reason: "fraudulent", State: state, EvidenceDueAt: due}})
		}
		for _, state := range []string{payment.DisputeNeedsResponse, payment.DisputeNeedsResponse, payment.DisputeUnderReview,
			payment.DisputeNeedsResponse, payment.DisputeLost, payment.DisputeUnderReview, payment.DisputeLost} {
			if err := say(state); err != nil {
				t.Fatal(err)
			}
		}
		p = w.want(p, payment.Succeeded)
		if len(p.Disputes) != 1 || p.Disputes[0].State != payment.DisputeLost || !p.Disputes[0].EvidenceDueAt.Equal(due) ||
			p.Disputes[0].Minor != 1250 || p.Refundable().Minor != 1250 {
			t.Errorf("%+v", p.Disputes)
		}
		if told := w.told(); !strings.HasSuffix(told, "dispute.created dispute.updated dispute.closed") {
			t.Errorf("told %s", told)
		}
		_, d, err := w.c.Dispute(t.Context(), w.account, link.Test, p.ID, payment.DisputeInput{Amount: "1", Reason: "duplicate"}, nil)
		if err != nil || d.Minor != 100 || d.State != payment.DisputeNeedsResponse {
			t.Errorf("%+v %v", d, err)
		}
		_, _, err = w.c.Dispute(t.Context(), w.account, link.Test, p.ID, payment.DisputeInput{ID: "dsp_00000000000000000000000000"}, nil)
		w.code(err, "not_found")
		_, _, err = w.c.Dispute(t.Context(), w.account, link.Test, p.ID, payment.DisputeInput{Amount: "13"}, nil)
		w.code(err, "amount_too_large")
		w.check()
	})
}

// TestSimulatorDisputes: the test card whose payer disputes the payment, by every way to its
// capture.
func TestSimulatorDisputes(t *testing.T) {
	w := patient(t, sqlite)
	at := w.submit(w.link(), disputedCard)
	later := w.submit(w.link(manual), disputedCard)
	must(w.c.Capture(t.Context(), w.account, link.Test, later.ID, "", nil))(t)
	w.fraud.will(payment.Risk{Action: payment.Allow, Challenge: true})
	asked := w.submit(w.link(), disputedCard)
	w.answer(asked, "approve")
	for _, p := range []payment.Payment{at, later, asked} {
		await.Until(t, "the dispute is stored", func() bool { return len(w.get(p).Disputes) == 1 })
		if d := w.get(p).Disputes[0]; d.Reason != "fraudulent" || d.State != payment.DisputeNeedsResponse ||
			d.EvidenceDueAt.Before(epoch.Add(24*time.Hour)) {
			t.Errorf("%+v", d)
		}
	}
	w.check()
}
