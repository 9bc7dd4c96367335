package sim_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
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

var cards = [...]string{"4242424242424242", "5555555555554444", "4000000000000002", "4000000000009995", "4000000000003220",
	"4000000000006108", "4000000000006116", "4000000000006124", "4000000000006132", "4000000000006140", "4000000000006157", "4000000000006181",
	"4242424242424242"}

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
	t       testing.TB
	seed    uint64
	repeat  string // the command that repeats the run
	dice    *dice
	store   storetest.Store
	issuer  *simulator.Simulator
	book    string // the issuer's
	links   *link.Local
	c       *coordinator.Local
	fraud   fraud.Assessor
	clock   *storetest.Clock
	journal *journal

	accounts []string
	all      []link.Link

	mu      sync.Mutex
	quiet   bool // no more faults
	made    []payment.Payment
	begun   map[string]bool      // payments whose first commit was made
	records []idempotency.Record // first answers as they were found; they never change (I14)
	faults  map[string]int       // by kind

	checks     map[string]int // what was checked, by kind
	violations int
}

func (s *sim) calm() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quiet
}

// count counts a fault.
func (s *sim) count(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[kind]++
}

// committed counts a payment at its first commit.
func (s *sim) committed(c payment.Change) {
	if c.Expected > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun[c.Payment.ID] = true
}

func (s *sim) payments() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.begun)
}

// restart makes a new coordinator, as after a crash of the process.
func (s *sim) restart() {
	s.journal.happened(restarted)
	s.c = coordinator.New(coordinator.Config{Payments: commits{s.store, s}, Links: s.store, Connectors: []issuer.Connector{wire{s.issuer, s}},
		Fraud: s.fraud, FraudBudget: time.Minute, LinkURL: s.links.URL, Now: s.clock.Now, Log: slog.New(slog.DiscardHandler)})
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
	seed := firstSeed()
	s := start(t, seed, store)
	s.repeat = fmt.Sprintf("make sim SEED=%d OPS=%d", seed, *opsFlag)
	t.Log("run it again:", s.repeat)
	s.run(ops)
	if err := settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.check()
	t.Logf("%d payments, faults %v, checked %v", s.payments(), s.faults, s.checks)
}

// firstSeed returns the seed of the flag, or one from the time.
func firstSeed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return uint64(time.Now().UnixNano())
}

// run makes that many operations and brings everything to rest.
func (s *sim) run(ops int) {
	for range ops {
		s.step(s.accounts[s.dice.n(accounts)])
	}
	s.quiesce()
}

func start(t testing.TB, seed uint64, store storetest.Store) *sim {
	t.Helper()
	s := &sim{t: t, seed: seed, clock: storetest.NewClock(epoch), store: store, dice: &dice{r: rand.New(rand.NewPCG(seed, 1))},
		begun: map[string]bool{}, faults: map[string]int{}, checks: map[string]int{}}
	s.journal = newJournal(s.clock.Now)
	s.fraud = guess{s: s}
	for range accounts {
		s.accounts = append(s.accounts, id.New(id.Account))
	}
	s.book = filepath.Join(t.TempDir(), "book")
	s.openIssuer()
	s.links = link.NewLocal(link.LocalConfig{Ring: keyring.NewMemory(epoch), Store: s.store, PublicURL: "https://pay.example",
		Now: s.clock.Now})
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

// window is the number of the newest links and payments that most operations choose from: older
// links have expired, and little happens to older payments.
const window = 50

// mostlyNew returns an index below n, mostly one of the last.
func (s *sim) mostlyNew(n int) int {
	if n > window && s.dice.percent(80) {
		return n - 1 - s.dice.n(window)
	}
	return s.dice.n(n)
}

func (s *sim) step(account string) {
	switch n := s.dice.n(100); {
	case n < 15 || len(s.all) == 0:
		s.create(account)
	case n < 55:
		l := s.all[s.mostlyNew(len(s.all))]
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
		p := s.made[s.mostlyNew(len(s.made))]
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
		jump := time.Duration(s.dice.n(7201)-3600) * time.Second
		s.clock.Add(jump)
		s.count(clockJumped)
		s.journal.happened(clockJumped + " by " + jump.String())
	case n < 94:
		s.count(restarted)
		s.restart()
	case n < 97:
		l := s.all[s.mostlyNew(len(s.all))]
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
		Amount: strconv.Itoa(1 + s.dice.n(500)), MaxUses: &uses, Methods: methods,
		Capture:    []string{link.CaptureAutomatic, link.CaptureManual}[s.dice.n(2)],
		LatePolicy: []string{link.LateAccept, link.LateHold, link.LateRefund}[s.dice.n(3)]}
	switch s.dice.n(4) {
	case 0:
		r.MaxUses, r.MaxUsesNull = nil, true
	case 1:
		r.Amount, r.MinAmount, r.MaxAmount = "", "1", "500"
	}
	s.open(r)
}

var methods = []link.Method{{ID: "pm_1", Type: "card", Issuer: simulator.Name, Currencies: currencies[:], Enabled: true, MinMinor: 1,
	MaxMinor: simulator.MaxMinor, Test: true}}

func (s *sim) open(r link.CreateRequest) link.Link {
	s.t.Helper()
	l, err := s.links.Create(s.t.Context(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.all = append(s.all, l)
	return l
}

// payer returns what a payer submits: one of few attempts, so that some repeat.
func (s *sim) payer(l link.Link) submission {
	l, err := s.store.GetLink(s.t.Context(), l.Account, l.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.submission(l, s.dice.n(5), cards[s.dice.n(len(cards))])
}

// submission is a submit and the number of its card.
type submission struct {
	payment.Submit
	number string
}

func (s *sim) submission(l link.Link, attempt int, number string) submission {
	s.t.Helper()
	card, err := issuer.NewCard(number, 12, 2040, "123", "Ada", epoch)
	if err != nil {
		s.t.Fatal(err)
	}
	in := payment.Submit{Link: l, Attempt: fmt.Sprintf("attempt-%012d", attempt), Card: card}
	if l.PayerChooses() {
		in.Amount = money.Of(l.MinMinor+int64(s.dice.n(int(l.MaxMinor-l.MinMinor))), l.Amount.Currency)
	}
	return submission{in, number}
}

func (s *sim) submit(in submission) {
	p, err := s.request(payment.IDFor(in.Link.ID, in.Attempt), "payer", "submits "+in.Attempt+" with card "+in.number,
		func(ctx context.Context) (payment.Payment, error) { return s.c.Submit(ctx, in.Submit) })
	if s.known(err) {
		p.Log = nil // the store has it; a million of them are large
		s.mu.Lock()
		s.made = append(s.made, p)
		s.mu.Unlock()
	}
}

// request runs a request about a payment and adds it and its answer to the payment's story, also
// if the process dies on the way.
func (s *sim) request(paymentID, who, what string, do func(context.Context) (payment.Payment, error)) (payment.Payment, error) {
	ctx := s.journal.operation(context.Background(), who)
	s.note(ctx, paymentID, "%s", what)
	answer := "nobody, because the process died"
	defer func() { s.note(ctx, paymentID, "answered: %s", answer) }()
	p, err := do(ctx)
	answer = string(p.Status)
	if err != nil {
		answer = "refused, " + err.Error()
	}
	return p, err
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
	amount := ""
	if s.dice.percent(60) {
		amount = strconv.Itoa(1 + s.dice.n(200))
	}
	if s.dice.percent(30) {
		return s.word(p)
	}
	action, t := []string{"approve", "fail"}[s.dice.n(2)], s.ticket(p)
	who, what := "merchant", "reads the payment"
	do := func(ctx context.Context) (payment.Payment, error) {
		p, err := s.store.GetPayment(ctx, p.Account, p.ID)
		if err == nil {
			p = s.c.Repair(ctx, p)
		}
		return p, err
	}
	switch s.dice.n(6) {
	case 0:
		what = "captures " + amount
		do = func(ctx context.Context) (payment.Payment, error) {
			return s.c.Capture(ctx, p.Account, p.Mode, p.ID, amount, t)
		}
	case 1:
		what = "voids"
		do = func(ctx context.Context) (payment.Payment, error) { return s.c.Void(ctx, p.Account, p.Mode, p.ID, t) }
	case 2, 3:
		what = "refunds " + amount
		do = func(ctx context.Context) (payment.Payment, error) {
			p, _, err := s.c.Refund(ctx, p.Account, p.Mode, p.ID, payment.RefundInput{Amount: amount}, t)
			return p, err
		}
	case 4:
		if p.ActionURL == "" {
			return func() {}
		}
		who, what = "payer", "answers the challenge with "+action
		do = func(ctx context.Context) (payment.Payment, error) {
			r := httptest.NewRequestWithContext(ctx, "POST", p.ActionURL, strings.NewReader("action="+action))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			s.issuer.Handler().ServeHTTP(w, r)
			if w.Code >= 500 {
				return p, fmt.Errorf("the issuer's challenge answers %d", w.Code)
			}
			return p, nil
		}
	}
	return func() { s.expect(s.request(p.ID, who, what, do)) }
}

// expect fails the test on unexpected errors; another request may have taken the key.
func (s *sim) expect(_ payment.Payment, err error) {
	if err != nil && !strings.Contains(err.Error(), idempotency.ErrRaced.Error()) {
		s.known(err)
	}
}

// word picks a verdict, label or dispute of a payment.
func (s *sim) word(p payment.Payment) func() {
	what, t := s.dice.n(5), s.ticket(p)
	verdict := []string{payment.ReviewApproved, payment.ReviewApproved, payment.ReviewDeclined, payment.ReviewRefunded}[s.dice.n(4)]
	label := []string{payment.LabelFraud, payment.LabelLegitimate, ""}[s.dice.n(3)]
	d := payment.DisputeInput{Reference: "case " + strconv.Itoa(s.dice.n(3)),
		State: []string{"", payment.DisputeUnderReview, payment.DisputeWon, payment.DisputeLost}[s.dice.n(4)]}
	text := "decides the review: " + verdict
	do := func(ctx context.Context) (payment.Payment, error) {
		return s.c.Review(ctx, p.Account, p.Mode, p.ID, verdict, "usr_1", t)
	}
	switch what {
	case 3:
		text = "labels it as " + label
		do = func(ctx context.Context) (payment.Payment, error) {
			return s.c.Mark(ctx, p.Account, p.Mode, p.ID, label, "usr_1", t)
		}
	case 4:
		text = "records dispute " + d.Reference + " as " + d.State
		do = func(ctx context.Context) (payment.Payment, error) {
			p, _, err := s.c.Dispute(ctx, p.Account, p.Mode, p.ID, d, t)
			return p, err
		}
	}
	return func() { s.expect(s.request(p.ID, "merchant", text, do)) }
}

func (s *sim) sweep() {
	_, err := s.c.Sweep(s.journal.operation(context.Background(), "sweep"))
	if err != nil && !strings.Contains(err.Error(), "injected") && fault.KindOf(err) != fault.KindUnavailable {
		s.t.Error(err)
	}
}

// sweepAll sweeps until nothing is due, and reports whether anything was.
func (s *sim) sweepAll() (moved bool) {
	for {
		n, err := s.c.Sweep(s.journal.operation(context.Background(), "sweep"))
		switch {
		case fault.KindOf(err) == fault.KindUnavailable: // a slow machine: the sweep runs again
		case err != nil:
			s.t.Fatal(err)
		case n == 0:
			return moved
		}
		moved = true
	}
}

// setQuiet stops the faults, or lets them happen again.
func (s *sim) setQuiet(quiet bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = quiet
	s.journal.happened(map[bool]string{true: "no more faults from here on", false: "faults from here on"}[quiet])
}

// quiesce brings everything to rest: no more faults, and time goes on. The issuer restarts until
// it has nothing left to do, so that whatever it was about to report has been reported or is
// lost, and nothing changes during the checks.
func (s *sim) quiesce() {
	s.setQuiet(true)
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
		moved = s.sweepAll() || moved
	}
	return moved
}
