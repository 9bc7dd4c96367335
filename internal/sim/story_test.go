package sim_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
)

// Limits of the stories: the newest steps are kept.
const (
	maxSteps   = 64  // of a payment
	maxEvents  = 256 // that concern every payment
	maxStories = 3   // printed for one run
)

// journal keeps what a run did to each payment, to print the story of those that break an
// invariant.
type journal struct {
	now func() time.Time

	mu       sync.Mutex
	last     int // number of the last step or operation
	payments map[string]*steps
	world    steps             // what concerns every payment
	refunds  map[string]string // refund to payment
	printed  map[string]bool   // payments whose story was printed
}

// step is one line of a story.
type step struct {
	n    int
	at   time.Time
	text string
}

// steps holds the newest steps.
type steps struct {
	list    []step
	dropped int
}

func (s *steps) add(one step, most int) {
	if len(s.list) == most {
		copy(s.list, s.list[1:])
		s.list = s.list[:most-1]
		s.dropped++
	}
	s.list = append(s.list, one)
}

func newJournal(now func() time.Time) *journal {
	return &journal{now: now, payments: map[string]*steps{}, refunds: map[string]string{}, printed: map[string]bool{}}
}

type operationKey struct{}

// operation returns a context that marks the steps of one request or sweep as belonging
// together.
func (j *journal) operation(ctx context.Context, who string) context.Context {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	return context.WithValue(ctx, operationKey{}, fmt.Sprintf("%s #%d", who, j.last))
}

// note adds a step to a payment's story.
func (j *journal) note(ctx context.Context, paymentID, text string) {
	if by, ok := ctx.Value(operationKey{}).(string); ok {
		text = by + ": " + text
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	s := j.payments[paymentID]
	if s == nil {
		s = &steps{}
		j.payments[paymentID] = s
	}
	s.add(step{j.last, j.now(), text}, maxSteps)
}

// happened adds a step to the stories of all payments.
func (j *journal) happened(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	j.world.add(step{j.last, j.now(), text}, maxEvents)
}

// knows remembers which payment a change's refunds belong to.
func (j *journal) knows(c payment.Change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range c.Entries {
		if e.Refund != "" {
			j.refunds[e.Refund] = c.Payment.ID
		}
	}
}

// paymentOf returns the payment that a reference or operation at the issuer belongs to.
func (j *journal) paymentOf(reference string) string {
	id, _, _ := strings.Cut(reference, "-")
	j.mu.Lock()
	defer j.mu.Unlock()
	if p, ok := j.refunds[id]; ok {
		return p
	}
	return id
}

// story returns the steps of a payment in order, with what concerned every payment meanwhile.
// It returns false if the story was printed before, or if enough were printed.
func (j *journal) story(paymentID string) (all []step, dropped int, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.printed[paymentID] || len(j.printed) == maxStories {
		return nil, 0, false
	}
	j.printed[paymentID] = true
	own := j.payments[paymentID]
	if own == nil {
		return nil, 0, true
	}
	all = slices.Clone(own.list)
	for _, s := range j.world.list {
		if s.n > all[0].n && s.n < own.list[len(own.list)-1].n {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b step) int { return a.n - b.n })
	return all, own.dropped, true
}

func (s *sim) note(ctx context.Context, paymentID, format string, args ...any) {
	s.journal.note(ctx, paymentID, fmt.Sprintf(format, args...))
}

// fault counts a fault and adds it to the payment's story.
func (s *sim) fault(ctx context.Context, paymentID, kind, what string) {
	s.count(kind)
	s.note(ctx, paymentID, "%s; %s", what, strings.ToUpper(kind))
}

// broken reports a broken invariant of a payment, with the payment's story.
func (s *sim) broken(p payment.Payment, format string, args ...any) {
	s.t.Helper()
	s.violations++
	s.t.Errorf("%s%s", fmt.Sprintf(format, args...), s.story(p))
}

// story returns what the run did to the payment, its log, its lines in the issuer's book, and
// how to repeat the run.
func (s *sim) story(p payment.Payment) string {
	all, dropped, ok := s.journal.story(p.ID)
	if !ok {
		return "" // printed before, or one too many
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe story of payment %s under seed %d: %s, now %s.\n", p.ID, s.seed, p.Amount, p.Status)
	if dropped > 0 {
		fmt.Fprintf(&b, "  (%d earlier steps were not kept)\n", dropped)
	}
	for _, one := range all {
		fmt.Fprintf(&b, "  %s  %s\n", clock(one.at), one.text)
	}
	writeLog(&b, p)
	b.WriteString(" The issuer's book:\n")
	for _, e := range s.issuer.Book() {
		if id, _, _ := strings.Cut(e.Reference, "-"); id == p.ID {
			fmt.Fprintf(&b, "  %s  %s %s %s: %s, %d %s\n", clock(e.At), e.Kind, e.Reference, e.ID, e.Outcome, e.Minor, e.Currency)
		}
	}
	fmt.Fprintf(&b, " Run it again: %s", s.repeat)
	return b.String()
}

func writeLog(w io.Writer, p payment.Payment) {
	_, _ = fmt.Fprintln(w, " Its log:")
	for _, e := range p.Log {
		_, _ = fmt.Fprintf(w, "  %s  %d %s by %s: %s; authorized %d, captured %d, refunded %d\n", clock(e.At), e.Seq, e.To, e.Actor, e.Reason,
			e.Authorized, e.Captured, e.Refunded)
	}
}

// clock formats a simulated time.
func clock(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format("2006-01-02 15:04:05.000")
}

// recorder is a test that keeps failures instead of failing.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// lying claims of every payment in a list that more was captured than was authorized.
type lying struct{ storetest.Store }

func (l lying) ListPayments(ctx context.Context, f payment.Filter) ([]payment.Payment, error) {
	list, err := l.Store.ListPayments(ctx, f)
	for i := range list {
		list[i].CapturedMinor = list[i].AuthorizedMinor + 1
	}
	return list, err
}

// TestStory checks that a run over a store that lies fails, and prints what happened to at
// most three payments, with the seed and the command that repeats it.
func TestStory(t *testing.T) {
	r := &recorder{TB: t}
	s := start(r, 7, lying{sqltest.Open(t, sqltest.File(t))})
	s.repeat = "make sim SEED=7 OPS=150"
	s.run(150)
	s.check()
	all := strings.Join(r.failures, "\n")
	if n := strings.Count(all, "The story of payment"); n == 0 || n > maxStories {
		t.Fatalf("%d stories in %d failures", n, len(r.failures))
	}
	for _, want := range []string{"I2 pay_", "under seed 7", " submits attempt-0000", "committed: nothing to created (submitted)",
		"Its log:\n", " by payer: submitted", "The issuer's book:\n", "Run it again: make sim SEED=7 OPS=150"} {
		if !strings.Contains(all, want) {
			t.Errorf("no story says %q", want)
		}
	}
	if s.violations != len(r.failures) {
		t.Errorf("%d violations counted, %d reported", s.violations, len(r.failures))
	}
}

// TestStoryOfOnePayment checks each kind of step of one payment: its request, the fault, a
// restart, the sweep that resolves it, and a refund.
func TestStoryOfOnePayment(t *testing.T) {
	s := start(t, 7, sqltest.Open(t, sqltest.File(t)))
	s.quiet = true
	s.fraud = nil
	s.restart()
	l := s.link(s.accounts[0], 1, false)
	in := s.submission(l, 1, "4000000000006108") // the issuer approves, and its answer is lost
	s.submit(in)
	s.clock.Add(time.Minute)
	s.restart()
	s.sweep()
	p := s.made[0]
	_, err := s.request(p.ID, "merchant", "refunds 1", func(ctx context.Context) (payment.Payment, error) {
		p, _, err := s.c.Refund(ctx, p.Account, p.Mode, p.ID, payment.RefundInput{Amount: "1"}, nil)
		return p, err
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err = s.store.GetPayment(t.Context(), p.Account, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	story := s.story(p)
	at := 0
	for _, want := range []string{"submits attempt-000000000001 with card 4000000000006108",
		"committed: nothing to created (submitted)", "the issuer answers ambiguous", "committed: processing to unknown", "answered: unknown",
		"2030-01-02 03:05:05.000  process restarted",
		"sweep #", "lookup " + p.IssuerKey() + ": the issuer answers approved", "unknown to succeeded", "refunds 1",
		"the issuer answers approved", "answered: partially_refunded", "Its log:", "succeeded by sweep", "The issuer's book:",
		"authorise " + p.IssuerKey(), "refund " + p.IssuerKey()} {
		i := strings.Index(story[at:], want)
		if i < 0 {
			t.Fatalf("after %d bytes the story does not say %q:\n%s", at, want, story)
		}
		at += i
	}
	if again := s.story(p); again != "" {
		t.Errorf("printed twice: %s", again)
	}
}

// TestStoryIsBounded checks that the newest steps are kept, and that the story says how many are
// missing.
func TestStoryIsBounded(t *testing.T) {
	j := newJournal(func() time.Time { return epoch })
	for i := range maxSteps + 5 {
		j.note(t.Context(), "pay_1", fmt.Sprint("step ", i))
	}
	all, dropped, ok := j.story("pay_1")
	if !ok || dropped != 5 || len(all) != maxSteps || all[0].text != "step 5" {
		t.Errorf("%v, %d dropped, %d kept from %q on", ok, dropped, len(all), all[0].text)
	}
}
