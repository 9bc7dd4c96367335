// Package storetest is the conformance suite of every store of links and payments. An engine's
// whole test is a constructor and one call.
//
// Faulty wraps a store and fails before a commit, or after it: the lost answer of a durable
// commit.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
	"github.com/paylink/paylink/internal/testclock"
)

// Store is what an engine must implement for links and payments.
type Store interface {
	link.Store
	payment.Store
	stream.Source
	idempotency.Store
	testclock.Mover
}

// Epoch is the suite's present time. A store must not read a clock of its own.
var Epoch = time.Date(2030, 5, 6, 7, 8, 9, 123_000_000, time.UTC)

// NewLink returns a link of the account that expires after an hour.
func NewLink(account string, maxUses int64) link.Link {
	return link.Link{ID: id.New(id.Link), Account: account, Mode: link.Test, Payee: "Ada's shop", Amount: money.Of(1250, "EUR"), Date: Epoch,
		PaymentMethod: "pm_1", Issuer: "simulator", Realm: "shop", Reference: "order-1", Metadata: map[string]string{"k": "v"},
		MaxUses: maxUses, ExpiresAt: Epoch.Add(time.Hour), Capture: link.CaptureAutomatic, LatePolicy: link.LateAccept, Token: "t",
		CreatedAt: Epoch}
}

// Begin returns the first change of a payment of the link.
func Begin(t testing.TB, l link.Link, attempt string) payment.Change {
	t.Helper()
	return BeginWith(t, l, attempt, payment.Risk{})
}

// BeginWith is Begin for an attempt with an assessment.
func BeginWith(t testing.TB, l link.Link, attempt string, r payment.Risk) payment.Change {
	t.Helper()
	p := payment.Payment{ID: payment.IDFor(l.ID, attempt), Account: l.Account, Mode: l.Mode, Link: l.ID, Attempt: attempt, Issuer: l.Issuer,
		Amount: l.Amount, Capture: l.Capture, LatePolicy: l.LatePolicy, LinkEndsAt: l.ExpiresAt, Realm: l.Realm, CreatedAt: Epoch,
		UpdatedAt: Epoch}
	return next(t, p, payment.Input{Kind: payment.Begin, Actor: "payer", Owner: "w", Link: l, Risk: r})
}

func next(t testing.TB, p payment.Payment, in payment.Input) payment.Change {
	t.Helper()
	in.Change = id.New(id.Change)
	if in.At.IsZero() {
		in.At = Epoch
	}
	c, err := payment.Next(p, in)
	if err != nil || c.Nothing {
		t.Fatalf("%s: nothing %v, err %v", in.Kind, c.Nothing, err)
	}
	return c
}

// Answered returns the change by which the issuer's answer settles p.
func Answered(t testing.TB, p payment.Payment, o issuer.Outcome) payment.Change {
	t.Helper()
	a := issuer.Answer{Outcome: o, IssuerReference: "iss", Captured: true, At: Epoch}
	if o == issuer.Approved {
		a.Amount = p.Amount
	}
	c := next(t, p, payment.Input{Kind: payment.Sync, Actor: "issuer", Answer: a})
	if c.Use == payment.UseComplete {
		c.WhenLinkPaid = []stream.Event{event(p.Account, p.Link, "link.paid", 3)}
	}
	return c
}

func event(account, object, kind string, seq int64) stream.Event {
	return stream.Event{
		ID:        id.New(id.Event),
		Type:      kind,
		Account:   account,
		Mode:      link.Test,
		Object:    object,
		ObjectSeq: seq,
		CreatedAt: Epoch,
		Data:      []byte(`{"a":1}`),
	}
}

type suite struct {
	Store
	ctx     context.Context
	account string
	catchUp func(ctx context.Context, account string) error
}

// Options of a run.
type Options struct {
	// CatchUp is for an engine whose feed lags behind its commits. It returns when all of the
	// account's events, and the balances derived from them, are there.
	CatchUp func(ctx context.Context, account string) error
	// Storm means that requests fail on purpose. The largest objects, which take an engine a
	// second each, are tested only without a storm.
	Storm bool
}

// Events waits for a feed that lags.
func (s suite) Events(ctx context.Context, account, mode string, afterSeq int64, limit int) ([]stream.Event, error) {
	if err := s.catchUp(ctx, account); err != nil {
		return nil, err
	}
	return s.Store.Events(ctx, account, mode, afterSeq, limit)
}

// Moves waits for a feed that lags.
func (s suite) Moves(ctx context.Context, account, mode string, beforeSeq int64, limit int) ([]stream.Event, error) {
	if err := s.catchUp(ctx, account); err != nil {
		return nil, err
	}
	return s.Store.Moves(ctx, account, mode, beforeSeq, limit)
}

// Balances waits for a feed that lags.
func (s suite) Balances(ctx context.Context, account, mode string) (map[money.Currency]ledger.Balance, error) {
	if err := s.catchUp(ctx, account); err != nil {
		return nil, err
	}
	return s.Store.Balances(ctx, account, mode)
}

// Run runs the suite. Each subtest uses its own account in one store.
func Run(t *testing.T, open func(t *testing.T) Store, options ...Options) {
	s := open(t)
	catchUp, storm := func(context.Context, string) error { return nil }, false
	for _, o := range options {
		if o.CatchUp != nil {
			catchUp = o.CatchUp
		}
		storm = storm || o.Storm
	}
	cases := map[string]func(*testing.T, suite){
		"link is read back as written":                 linkRoundTrip,
		"another tenant's link is not found":           linkTenant,
		"links page newest first":                      linkPages,
		"link statuses filter as they derive":          linkFilters,
		"cancel wins once":                             linkCancel,
		"F31 a link ends once":                         endsOnce,
		"F13 one use is reserved once":                 reserveOnce,
		"capped link never oversells":                  capped,
		"a decline gives the use back":                 declineGivesBack,
		"a late success retakes a use or is refused":   retake,
		"a use is released or completed once":          uses,
		"payment is read back as written":              paymentRoundTrip,
		"what was thought of a payment rides in it":    riskRoundTrip,
		"F25 a stale revision is refused":              staleRevision,
		"the same change twice succeeds once":          repeated,
		"a refused change leaves nothing":              nothingLeft,
		"payments page in order with every filter":     paymentPages,
		"due payments come oldest first":               due,
		"I14 a record is kept with its effect or not":  records,
		"events are gap-free per account":              eventSeq,
		"balances follow the commits":                  balances,
		"moves of money come newest first":             moves,
		"expired links are told once":                  expire,
		"no expiry while a payment holds the link":     held,
		"sweeps beside payments report an expiry once": heldRace,
		"F19 a consumer resumes at its checkpoint":     consume,
		"F22 many workers on one payment lose nothing": contention,
		"form is read back as written":                 formRoundTrip,
		"a form is changed once per revision":          formUpdates,
		"forms page newest first":                      formPages,
	}
	if !storm {
		cases["what was accepted fits every stage"] = sizes
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			test(t, suite{Store: s, ctx: t.Context(), account: id.New(id.Account), catchUp: catchUp})
		})
	}
}

func (s suite) link(t *testing.T, maxUses int64) link.Link {
	t.Helper()
	l := NewLink(s.account, maxUses)
	if err := s.CreateLink(s.ctx, l, []stream.Event{event(s.account, l.ID, "link.created", 1)}, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// send commits a change as the contract demands of a caller: after an unknown outcome, such as that
// of a database which answers too late on a busy machine, it sends the same change again.
func (s suite) send(c payment.Change) error {
	for {
		err := s.CommitPayment(s.ctx, c)
		if fault.KindOf(err) != fault.KindUnavailable || s.ctx.Err() != nil {
			return err
		}
	}
}

func (s suite) commit(t *testing.T, c payment.Change) payment.Payment {
	t.Helper()
	if err := s.send(c); err != nil {
		t.Fatal(err)
	}
	return c.Payment
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.Code(err) != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// Faulty fails commits of payments, before or after they are carried out.
type Faulty struct {
	Store
	mu sync.Mutex
	// Fail returns the fault of the n-th commit (from 1).
	Fail func(n int) Fault
	n    int
}

// Fault is what happens to one commit.
type Fault uint8

// The faults.
const (
	FailNot Fault = iota
	FailBefore
	FailAfter
)

var errInjected = errors.New("injected: the connection was lost")

// CommitPayment commits the change and fails as configured.
func (f *Faulty) CommitPayment(ctx context.Context, c payment.Change) error {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	what := f.Fail(n) // without the lock: it may end the goroutine, as a crash does
	if what == FailBefore {
		return errInjected
	}
	err := f.Store.CommitPayment(ctx, c)
	if what == FailAfter && err == nil {
		return errInjected
	}
	return err
}

func attempt(n int) string { return fmt.Sprintf("attempt-%012d", n) }
