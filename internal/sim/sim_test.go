package sim_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
)

var (
	seedFlag = flag.Uint64("sim.seed", 0, "seed of the simulation; 0 takes one from the time")
	opsFlag  = flag.Int("sim.ops", 2000, "operations of the simulation")
)

var cards = [...]string{"4242424242424242", "5555555555554444", "4000000000000002", "4000000000009995", "4000000000003220", "4000000000006108",
	"4000000000006116", "4000000000006124", "4000000000006132", "4000000000006140", "4000000000006157", "4000000000006181", "4242424242424242"}

var currencies = [...]money.Currency{"EUR", "JPY", "KWD"}

const accounts = 4

func TestMain(m *testing.M) { os.Exit(dynamotest.Main(m)) }

var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// dice are shared by the goroutines of one operation.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (d *dice) n(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

// percent returns true with that probability.
func (d *dice) percent(p int) bool { return d.n(100) < p }

type sim struct {
	t      *testing.T
	dice   *dice
	store  storetest.Store
	faulty *storetest.Faulty
	issuer *simulator.Simulator
	book   string // the issuer's
	links  *link.Local
	c      *coordinator.Local

	clock *storetest.Clock

	mu      sync.Mutex
	quiet   bool // no more faults
	all     []link.Link
	made    []payment.Payment
	records []idempotency.Record // first answers as they were found; they never change (I14)
}

func (s *sim) calm() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quiet
}

// The connector loses requests and answers, and dies with its caller.

type wire struct {
	*simulator.Simulator
	s *sim
}

func (w wire) do(send func() issuer.Answer) issuer.Answer {
	if w.s.calm() {
		return send()
	}
	switch w.s.dice.n(40) {
	case 0:
		return issuer.Answer{Outcome: issuer.NotSent}
	case 1:
		return issuer.Answer{Outcome: issuer.Ambiguous}
	case 2, 3:
		send()
		return issuer.Answer{Outcome: issuer.Ambiguous}
	case 4:
		runtime.Goexit()
	case 5:
		send()
		runtime.Goexit()
	}
	return send()
}

func (w wire) Authorize(ctx context.Context, a issuer.Authorization) issuer.Answer {
	return w.do(func() issuer.Answer { return w.Simulator.Authorize(ctx, a) })
}

func (w wire) Capture(ctx context.Context, o issuer.Operation) issuer.Answer {
	return w.do(func() issuer.Answer { return w.Simulator.Capture(ctx, o) })
}

func (w wire) Refund(ctx context.Context, o issuer.Operation) issuer.Answer {
	return w.do(func() issuer.Answer { return w.Simulator.Refund(ctx, o) })
}

func (w wire) Reverse(ctx context.Context, o issuer.Operation) issuer.Answer {
	return w.do(func() issuer.Answer { return w.Simulator.Reverse(ctx, o) })
}

func (w wire) Lookup(ctx context.Context, reference string) issuer.Answer {
	if !w.s.calm() && w.s.dice.percent(5) {
		return issuer.Answer{Outcome: []issuer.Outcome{issuer.NotSent, issuer.Ambiguous, issuer.Pending}[w.s.dice.n(3)]}
	}
	return w.Simulator.Lookup(ctx, reference)
}

// OnNotice drops some notices and delivers some twice.
func (w wire) OnNotice(handle func(context.Context, issuer.Notice) error) {
	w.Simulator.OnNotice(func(ctx context.Context, n issuer.Notice) error {
		if !w.s.calm() && w.s.dice.percent(20) {
			return nil
		}
		if w.s.dice.percent(20) {
			_ = handle(ctx, n)
		}
		return handle(ctx, n)
	})
}

func (s *sim) restart() {
	s.c = coordinator.New(coordinator.Config{Payments: s.faulty, Links: s.store, Connectors: []issuer.Connector{wire{s.issuer, s}},
		Fraud: guess{s: s}, FraudBudget: time.Minute, LinkURL: s.links.URL, Now: s.clock.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

// guess is a fraud service with random answers.
type guess struct {
	fraud.Assessor
	s *sim
}

func (g guess) Assess(context.Context, fraud.Attempt) (fraud.Verdict, error) {
	v := fraud.Verdict{FailOpen: g.s.dice.percent(50), Risk: payment.Risk{Action: payment.Allow, Challenge: g.s.dice.percent(10)}}
	switch n := g.s.dice.n(100); {
	case n < 8:
		v.Risk.Action, v.Risk.Why = payment.Block, "shield"
	case n < 25:
		v.Risk.Action, v.Risk.Why, v.Risk.Rule = payment.Hold, "rule", "frl_1"
	case n < 28:
		return v, fault.New(fault.KindRateLimited, "attempts_exceeded", "Too many attempts.")
	case n < 31:
		return v, fault.Unavailable("fraud_unreachable", time.Second, nil, "Nobody is there.")
	}
	return v, nil
}

func TestSimulation(t *testing.T) {
	now := func(context.Context) error { return nil }
	t.Run("SQLite", func(t *testing.T) {
		simulate(t, sqltest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "paylink.db")), *opsFlag, now)
	})
	t.Run("PostgreSQL", func(t *testing.T) { simulate(t, sqltest.Open(t, pgtest.Database(t)), *opsFlag/4, now) })
}

// TestSimulationOnDynamoDB is a shorter run, because each operation is several calls over the
// network. A long run takes minutes; scripts/test.sh does that in make race.
func TestSimulationOnDynamoDB(t *testing.T) {
	d, ops := dynamotest.OpenDistributed(t), *opsFlag/16
	if os.Getenv("PAYLINK_TEST_FULL") != "" {
		ops = *opsFlag / 4
	}
	simulate(t, d, ops, func(ctx context.Context) error { return d.CatchUp(ctx, "") })
}

// simulate runs that many operations and checks everything. settled waits for what follows the
// commits.
func simulate(t *testing.T, store storetest.Store, ops int, settled func(context.Context) error) {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d; run it again with -sim.seed=%d", seed, seed)
	s := start(t, seed, store)
	ids := make([]string, accounts)
	for i := range ids {
		ids[i] = id.New(id.Account)
	}
	for range ops {
		s.step(ids[s.dice.n(accounts)])
	}
	s.quiesce()
	if err := settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, account := range ids {
		s.checkAccount(account)
	}
	s.checkLinks()
	for _, first := range s.records {
		if r, err := s.store.GetIdempotency(t.Context(), first.Scope, first.Key); err != nil || !reflect.DeepEqual(*r, first) {
			t.Errorf("I14 the first answer to %s has changed: %v", first.Key, err)
		}
	}
}

func start(t *testing.T, seed uint64, store storetest.Store) *sim {
	t.Helper()
	s := &sim{t: t, clock: storetest.NewClock(epoch), store: store, dice: &dice{r: rand.New(rand.NewPCG(seed, 1))}}
	s.book = filepath.Join(t.TempDir(), "book")
	s.openIssuer()
	s.faulty = &storetest.Faulty{Store: s.store, Fail: func(int) storetest.Fault {
		if s.calm() {
			return storetest.FailNot
		}
		switch n := s.dice.n(200); {
		case n < 2:
			return storetest.FailBefore
		case n < 4:
			return storetest.FailAfter
		case n < 6:
			runtime.Goexit() // the process dies during the commit
		}
		return storetest.FailNot
	}}
	s.links = link.NewLocal(link.LocalConfig{Ring: keyring.NewMemory(epoch), Store: s.store, PublicURL: "https://pay.example", Now: s.clock.Now})
	s.restart()
	return s
}

// openIssuer starts the issuer on its existing book.
func (s *sim) openIssuer() {
	i, err := simulator.New(simulator.Config{BookPath: s.book, Now: s.clock.Now, Seed: 1, Downtime: time.Hour, DisputeAfter: time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := i.Close(); err != nil {
			s.t.Error(err)
		}
	})
	s.issuer = i
}

// alone runs f in a goroutine that a crash may end halfway.
func alone(fs ...func()) {
	var wg sync.WaitGroup
	for _, f := range fs {
		wg.Go(f)
	}
	wg.Wait()
}

func (s *sim) step(account string) {
	switch n := s.dice.n(100); {
	case n < 15 || len(s.all) == 0:
		s.create(account)
	case n < 55:
		l := s.all[s.dice.n(len(s.all))]
		first := s.payer(l)
		if s.dice.percent(25) { // two at once: a double click, or two payers
			second := first
			if s.dice.percent(50) {
				second = s.payer(l)
			}
			alone(func() { s.submit(first) }, func() { s.submit(second) })
			return
		}
		alone(func() { s.submit(first) })
	case n < 75 && len(s.made) > 0:
		p := s.made[s.dice.n(len(s.made))]
		fs := []func(){s.operation(p)}
		if s.dice.percent(30) {
			fs = append(fs, s.operation(p), s.sweep)
		}
		alone(fs...)
	case n < 80:
		alone(s.sweep, s.sweep)
	case n < 90:
		s.clock.Add(time.Duration(s.dice.n(120)) * time.Second)
	case n < 91:
		s.clock.Add(time.Duration(s.dice.n(7201)-3600) * time.Second) // the clock jumps
	case n < 94:
		s.restart()
	case n < 97:
		l := s.all[s.dice.n(len(s.all))]
		_, err := s.links.Cancel(s.t.Context(), l.Account, l.Mode, l.ID, nil)
		s.known(err)
	default:
		_, err := s.links.Sweep(s.t.Context())
		s.known(err)
	}
}

func (s *sim) create(account string) {
	currency := currencies[s.dice.n(len(currencies))]
	life := int64(60 + s.dice.n(7200))
	uses := int64(1 + s.dice.n(3))
	r := link.CreateRequest{Account: account, Mode: link.Test, Payee: "Shop", Currency: string(currency), ExpiresInSeconds: &life,
		Amount: strconv.Itoa(1 + s.dice.n(500)), MaxUses: &uses,
		Capture: []string{link.CaptureAutomatic, link.CaptureManual}[s.dice.n(2)], LatePolicy: []string{link.LateAccept, link.LateHold, link.LateRefund}[s.dice.n(3)],
		Methods: []link.Method{{ID: "pm_1", Type: "card", Issuer: simulator.Name, Currencies: currencies[:], Enabled: true, MinMinor: 1, MaxMinor: simulator.MaxMinor, Test: true}}}
	switch s.dice.n(4) {
	case 0:
		r.MaxUses, r.MaxUsesNull = nil, true
	case 1:
		r.Amount, r.MinAmount, r.MaxAmount = "", "1", "500"
	}
	l, err := s.links.Create(s.t.Context(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.all = append(s.all, l)
}

func (s *sim) payer(l link.Link) payment.Submit {
	l, err := s.store.GetLink(s.t.Context(), l.Account, l.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	card, err := issuer.NewCard(cards[s.dice.n(len(cards))], 12, 2040, "123", "Ada", epoch)
	if err != nil {
		s.t.Fatal(err)
	}
	in := payment.Submit{Link: l, Attempt: fmt.Sprintf("attempt-%012d", s.dice.n(5)), Card: card}
	if l.PayerChooses() {
		in.Amount = money.Of(l.MinMinor+int64(s.dice.n(int(l.MaxMinor-l.MinMinor))), l.Amount.Currency)
	}
	return in
}

func (s *sim) submit(in payment.Submit) {
	p, err := s.c.Submit(context.Background(), in)
	if s.known(err) {
		s.mu.Lock()
		s.made = append(s.made, p)
		s.mu.Unlock()
	}
}

// known fails the test on unexpected errors.
func (s *sim) known(err error) bool {
	if err == nil {
		return true
	}
	switch fault.KindOf(err) {
	case fault.KindInternal:
		if !strings.Contains(err.Error(), "injected") {
			s.t.Errorf("an internal error: %v", err)
		}
	case fault.KindNotFound:
		s.t.Error(err)
	}
	return false
}

// ticket returns an idempotency key that sometimes repeats.
func (s *sim) ticket(p payment.Payment) *idempotency.Ticket {
	if s.dice.percent(50) {
		return nil
	}
	key := fmt.Sprintf("key-%s-%d", p.ID, s.dice.n(3))
	r, err := s.store.GetIdempotency(s.t.Context(), p.Account, key)
	if err != nil {
		s.t.Fatal(err)
	}
	if r != nil { // the gateway replays it
		s.records = append(s.records, *r)
		return nil
	}
	return &idempotency.Ticket{Record: idempotency.Record{Scope: p.Account, Key: key, Fingerprint: []byte{1}, Status: 200},
		Render: func(object any) ([]byte, error) { return fmt.Appendf(nil, "%T %d", object, s.dice.n(1_000_000)), nil }}
}

// operation picks what the merchant or the payer does with a payment.
func (s *sim) operation(p payment.Payment) func() {
	ctx := context.Background()
	amount := ""
	if s.dice.percent(60) {
		amount = strconv.Itoa(1 + s.dice.n(200))
	}
	if s.dice.percent(30) {
		return s.word(p)
	}
	what, action, t := s.dice.n(6), []string{"approve", "fail"}[s.dice.n(2)], s.ticket(p)
	return func() {
		var err error
		switch what {
		case 0:
			_, err = s.c.Capture(ctx, p.Account, p.Mode, p.ID, amount, t)
		case 1:
			_, err = s.c.Void(ctx, p.Account, p.Mode, p.ID, t)
		case 2, 3:
			_, _, err = s.c.Refund(ctx, p.Account, p.Mode, p.ID, payment.RefundInput{Amount: amount}, t)
		case 4:
			if p, err = s.store.GetPayment(ctx, p.Account, p.ID); err == nil {
				s.c.Repair(ctx, p)
			}
		default:
			if p.ActionURL != "" {
				r := httptest.NewRequestWithContext(ctx, "POST", p.ActionURL, strings.NewReader("action="+action))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				s.issuer.Handler().ServeHTTP(httptest.NewRecorder(), r)
			}
		}
		if err != nil && !strings.Contains(err.Error(), idempotency.ErrRaced.Error()) {
			s.known(err)
		}
	}
}

// word picks a verdict, label or dispute of a payment.
func (s *sim) word(p payment.Payment) func() {
	ctx := context.Background()
	what, t := s.dice.n(5), s.ticket(p)
	verdict := []string{payment.ReviewApproved, payment.ReviewApproved, payment.ReviewDeclined, payment.ReviewRefunded}[s.dice.n(4)]
	label := []string{payment.LabelFraud, payment.LabelLegitimate, ""}[s.dice.n(3)]
	d := payment.DisputeInput{Reference: "case " + strconv.Itoa(s.dice.n(3)),
		State: []string{"", payment.DisputeUnderReview, payment.DisputeWon, payment.DisputeLost}[s.dice.n(4)]}
	return func() {
		var err error
		switch what {
		case 0, 1, 2:
			_, err = s.c.Review(ctx, p.Account, p.Mode, p.ID, verdict, "usr_1", t)
		case 3:
			_, err = s.c.Mark(ctx, p.Account, p.Mode, p.ID, label, "usr_1", t)
		default:
			_, _, err = s.c.Dispute(ctx, p.Account, p.Mode, p.ID, d, t)
		}
		if err != nil && !strings.Contains(err.Error(), idempotency.ErrRaced.Error()) {
			s.known(err)
		}
	}
}

func (s *sim) sweep() {
	_, err := s.c.Sweep(context.Background())
	if err != nil && !strings.Contains(err.Error(), "injected") {
		s.t.Error(err)
	}
}

// quiesce brings everything to rest: no more faults, and time goes on. The issuer restarts until
// it has nothing left to do, so that whatever it was about to report has been reported or is
// lost, and nothing changes during the checks.
func (s *sim) quiesce() {
	s.mu.Lock()
	s.quiet = true
	s.mu.Unlock()
	for moved := true; moved; {
		if err := s.issuer.Close(); err != nil {
			s.t.Fatal(err)
		}
		s.openIssuer()
		s.restart()
		moved = s.tenDays()
	}
	if _, err := s.links.Sweep(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

// tenDays lets ten days pass, and reports whether a payment changed in them.
func (s *sim) tenDays() (moved bool) {
	for range 40 {
		s.clock.Add(6 * time.Hour)
		for {
			n, err := s.c.Sweep(context.Background())
			if err != nil {
				s.t.Fatal(err)
			}
			if n == 0 {
				break
			}
			moved = true
		}
	}
	return moved
}
