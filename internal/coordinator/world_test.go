package coordinator_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
)

// The test cards of the simulator.
const (
	good         = "4242424242424242"
	challenged   = "4000000000003220"
	lostAnswer   = "4000000000006108"
	neverArrives = "4000000000006116"
	lateCard     = "4000000000006124"
	twiceCard    = "4000000000006132"
	otherAmount  = "4000000000006140"
	downCard     = "4000000000006157"
)

var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// wire sits between the coordinator and the issuer. A hook sees each call and decides whether
// it goes on, and what the answer is.
type wire struct {
	issuer.Connector
	mu    sync.Mutex
	hook  func(call, reference string, send func() issuer.Answer) issuer.Answer
	calls []string // those that reached the issuer
}

func (w *wire) do(call, reference string, send func() issuer.Answer) issuer.Answer {
	w.mu.Lock()
	hook := w.hook
	w.mu.Unlock()
	sent := func() issuer.Answer {
		w.mu.Lock()
		w.calls = append(w.calls, call+" "+reference)
		w.mu.Unlock()
		return send()
	}
	if hook == nil {
		return sent()
	}
	return hook(call, reference, sent)
}

func (w *wire) set(hook func(call, reference string, send func() issuer.Answer) issuer.Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hook = hook
}

func (w *wire) count(call string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.calls {
		if strings.HasPrefix(c, call+" ") {
			n++
		}
	}
	return n
}

func (w *wire) Authorize(ctx context.Context, a issuer.Authorization) issuer.Answer {
	return w.do("authorize", a.Reference, func() issuer.Answer { return w.Connector.Authorize(ctx, a) })
}

func (w *wire) Capture(ctx context.Context, o issuer.Operation) issuer.Answer {
	return w.do("capture", o.ID, func() issuer.Answer { return w.Connector.Capture(ctx, o) })
}

func (w *wire) Refund(ctx context.Context, o issuer.Operation) issuer.Answer {
	return w.do("refund", o.ID, func() issuer.Answer { return w.Connector.Refund(ctx, o) })
}

func (w *wire) Reverse(ctx context.Context, o issuer.Operation) issuer.Answer {
	return w.do("reverse", o.ID, func() issuer.Answer { return w.Connector.Reverse(ctx, o) })
}

func (w *wire) Lookup(ctx context.Context, reference string) issuer.Answer {
	return w.do("lookup", reference, func() issuer.Answer { return w.Connector.Lookup(ctx, reference) })
}

func (w *wire) OnNotice(handle func(context.Context, issuer.Notice) error) {
	w.Connector.(issuer.Notifier).OnNotice(handle)
}

// world is a store, an issuer and a coordinator between them, under one clock.
type world struct {
	t       *testing.T
	url     string
	clock   *storetest.Clock
	store   *sqlstore.Store
	others  []*sqlstore.Store // of the processes that came after it
	faulty  *storetest.Faulty
	sim     *simulator.Simulator
	wire    *wire
	links   *link.Local
	c       *coordinator.Local
	account string
	logs    strings.Builder // what an operator would read
	fraud   *looks
	ring    *keyring.Ring
}

// engine returns the URL of an empty store.
type engine func(t testing.TB) string

func sqlite(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "paylink.db") }

// onEach runs the test on each engine.
func onEach(t *testing.T, test func(*testing.T, engine)) {
	t.Helper()
	for name, e := range map[string]engine{
		"SQLite":     sqlite,
		"PostgreSQL": func(t testing.TB) string { return pgtest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) { test(t, e) })
	}
}

func newWorld(t *testing.T, e engine) *world {
	t.Helper()
	w := &world{t: t, url: e(t), clock: storetest.NewClock(epoch), account: id.New(id.Account), fraud: &looks{},
		ring: keyring.NewMemory(epoch)}
	if _, _, err := sqlstore.Migrate(t.Context(), w.url); err != nil {
		t.Fatal(err)
	}
	w.store = w.openStore()
	var err error
	w.sim, err = simulator.New(simulator.Config{BookPath: filepath.Join(t.TempDir(), "book"), Now: w.clock.Now,
		Downtime: 3 * time.Hour, DisputeAfter: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.sim.Close(); err != nil {
			t.Error(err)
		}
	})
	w.faulty = &storetest.Faulty{Store: w.store, Fail: func(int) storetest.Fault { return storetest.FailNot }}
	w.wire = &wire{Connector: w.sim}
	w.links = link.NewLocal(link.LocalConfig{Ring: w.ring, Store: w.store, PublicURL: "https://pay.example", Now: w.clock.Now})
	w.c = w.restart()
	return w
}

func (w *world) openStore() *sqlstore.Store {
	w.t.Helper()
	s, err := sqlstore.Open(w.t.Context(), w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return s
}

// restart makes a new coordinator on the same store, as after a restart of the process. On
// PostgreSQL it is another process, with connections of its own, and the old one may go on.
func (w *world) restart() *coordinator.Local {
	if w.c != nil && strings.HasPrefix(w.url, "postgres:") {
		if n := len(w.others); n > 1 { // the last but one is gone for good
			if err := w.others[n-2].Close(); err != nil {
				w.t.Error(err)
			}
		}
		next := w.openStore()
		w.others = append(w.others, next)
		w.faulty = &storetest.Faulty{Store: next, Fail: w.faulty.Fail}
	}
	w.c = coordinator.New(coordinator.Config{Payments: w.faulty, Links: w.store, Connectors: []issuer.Connector{w.wire},
		Fraud: w.fraud, FraudBudget: w.fraud.budget, Ring: w.ring, LinkURL: w.links.URL, Now: w.clock.Now,
		Log: slog.New(slog.NewTextHandler(&w.logs, nil))})
	return w.c
}

// without is restart with no issuer configured.
func (w *world) without() {
	w.c = coordinator.New(coordinator.Config{Payments: w.faulty, Links: w.store, Fraud: w.fraud, FraudBudget: w.fraud.budget, Ring: w.ring,
		LinkURL: w.links.URL, Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(&w.logs, nil))})
}

type linkOption func(*link.CreateRequest)

func manual(r *link.CreateRequest)    { r.Capture = link.CaptureManual }
func unlimited(r *link.CreateRequest) { r.MaxUsesNull = true }
func policy(p string) linkOption      { return func(r *link.CreateRequest) { r.LatePolicy = p } }
func lives(seconds int64) linkOption {
	return func(r *link.CreateRequest) { r.ExpiresInSeconds = &seconds }
}
func (w *world) link(o ...linkOption) link.Link { w.t.Helper(); return w.linkOf(w.account, o...) }
func (w *world) reload(l link.Link) link.Link {
	w.t.Helper()
	return must(w.store.GetLink(w.t.Context(), l.Account, l.ID))(w.t)
}
func (w *world) linkStatus(l link.Link) string {
	w.t.Helper()
	return w.reload(l).Status(w.clock.Now())
}
func (w *world) get(p payment.Payment) payment.Payment {
	w.t.Helper()
	return must(w.store.GetPayment(w.t.Context(), p.Account, p.ID))(w.t)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) linkOf(account string, options ...linkOption) link.Link {
	w.t.Helper()
	day := int64(24 * 3600)
	r := link.CreateRequest{Account: account, Mode: link.Test, Payee: "Ada's shop", Amount: "12.50", Currency: "EUR", ExpiresInSeconds: &day,
		Methods: []link.Method{{ID: "pm_1", Type: "card", Issuer: simulator.Name, Currencies: w.sim.Capabilities().Currencies,
			Enabled: true, MinMinor: 1, MaxMinor: 99_999_999, Test: true}}}
	for _, o := range options {
		o(&r)
	}
	return must(w.links.Create(w.t.Context(), r))(w.t)
}

func card(t *testing.T, number string) issuer.Card {
	t.Helper()
	return must(issuer.NewCard(number, 12, 2040, "123", "Ada", epoch))(t)
}

func (w *world) submitting(l link.Link, attempt, number string) payment.Submit {
	return payment.Submit{Link: w.reload(l), Attempt: attempt, Card: card(w.t, number), ReturnURL: "https://pay.example/s"}
}

func (w *world) submit(l link.Link, number string) payment.Payment {
	w.t.Helper()
	return must(w.c.Submit(w.t.Context(), w.submitting(l, attempt(1), number)))(w.t)
}

func attempt(n int) string { return fmt.Sprintf("attempt-%012d", n) }

func (w *world) sweep() {
	w.t.Helper()
	if _, err := w.c.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// later moves the clock and sweeps.
func (w *world) later(d time.Duration) { w.t.Helper(); w.clock.Add(d); w.sweep() }

func (w *world) want(p payment.Payment, s payment.Status) payment.Payment {
	w.t.Helper()
	q := w.becomes(p, s)
	w.check()
	return q
}

// becomes is want for a test whose wire lies, so that the two books differ.
func (w *world) becomes(p payment.Payment, s payment.Status) payment.Payment {
	w.t.Helper()
	q := w.get(p)
	if q.Status != s {
		w.t.Fatalf("payment is %s (%s), want %s; %s", q.Status, q.ReviewReason, s, story(q))
	}
	return q
}

func (w *world) code(err error, code string) {
	w.t.Helper()
	if fault.Code(err) != code {
		w.t.Fatalf("got %v, want %s", err, code)
	}
}

func story(p payment.Payment) string {
	var s []string
	for _, e := range p.Log {
		s = append(s, fmt.Sprintf("%s:%s", e.To, e.Reason))
	}
	return strings.Join(s, " / ")
}

// entered counts how often the log enters a status from another one.
func entered(p payment.Payment, to payment.Status) int {
	n := 0
	for _, e := range p.Log {
		if e.To == to && e.From != to {
			n++
		}
	}
	return n
}

// check verifies every payment against its log, and both books against each other.
func (w *world) check() {
	w.t.Helper()
	list := must(w.store.ListPayments(w.t.Context(), payment.Filter{Account: w.account, Mode: link.Test, Limit: 1000}))(w.t)
	for _, p := range list {
		for _, broken := range p.Verify() {
			w.t.Error(broken)
		}
	}
	for _, d := range compareBooks(list, w.sim.Book()) {
		w.t.Error(d)
	}
}

// held is the account of one reference in the issuer's book.
type held struct {
	approved, captured, reversed int64
	refunds                      map[string]int64
}

// compareBooks names every difference between our settled payments and the issuer's book. It
// leaves out payments whose outcome is still open or that wait in review.
func compareBooks(list []payment.Payment, book []simulator.BookEntry) []string {
	var diffs []string
	say := func(p payment.Payment, format string, args ...any) {
		diffs = append(diffs, p.ID+" "+string(p.Status)+": "+fmt.Sprintf(format, args...)+"; "+story(p))
	}
	refs := map[string]*held{}
	for _, e := range book {
		h := refs[e.Reference]
		if h == nil {
			h = &held{refunds: map[string]int64{}}
			refs[e.Reference] = h
		}
		switch {
		case e.Kind == simulator.KindAuthorize && e.Outcome == issuer.Approved:
			h.approved += e.Minor
			if e.Captured {
				h.captured += e.Minor
			}
		case e.Kind == simulator.KindCapture && e.Outcome == issuer.Approved:
			h.captured += e.Minor
		case e.Kind == simulator.KindRefund && e.Outcome == issuer.Approved:
			h.refunds[e.ID] += e.Minor
		case e.Kind == simulator.KindReverse && e.Outcome == issuer.Reversed:
			h.reversed += e.Minor
		}
	}
	for _, p := range list {
		for try := 1; try <= p.Try; try++ {
			h := refs[fmt.Sprintf("%s-%d", p.ID, try)]
			if h == nil {
				h = &held{}
			}
			if try < p.Try {
				if h.approved != h.reversed {
					say(p, "try %d is live at the issuer", try)
				}
				continue
			}
			compareOne(p, *h, say)
		}
	}
	return diffs
}

func compareOne(p payment.Payment, h held, say func(payment.Payment, string, ...any)) {
	switch p.Status {
	case payment.Review, payment.Processing, payment.Unknown, payment.RequiresAction, payment.Capturing, payment.Voiding:
		return
	case payment.Created, payment.Declined, payment.Canceled:
		if h.captured != 0 || (h.approved != 0 && h.reversed == 0) {
			say(p, "the issuer holds %d, captured %d, reversed %d", h.approved, h.captured, h.reversed)
		}
		return
	}
	if h.approved != p.AuthorizedMinor || h.captured != p.CapturedMinor || h.reversed != 0 {
		say(p, "ours %d captured %d, the issuer's %d captured %d reversed %d", p.AuthorizedMinor, p.CapturedMinor, h.approved,
			h.captured, h.reversed)
	}
	refunds := 0
	for _, r := range p.Refunds {
		at := h.refunds[r.ID]
		switch {
		case r.Status == payment.RefundSucceeded && at != r.Minor, r.Status == payment.RefundFailed && at != 0:
			say(p, "refund %s is %s with %d, the issuer has %d", r.ID, r.Status, r.Minor, at)
		}
		if at != 0 {
			refunds++
		}
	}
	if refunds != len(h.refunds) {
		say(p, "the issuer knows %d refunds, we know %d", len(h.refunds), refunds)
	}
}

// answer posts the payer's choice to the challenge.
func (w *world) answer(p payment.Payment, action string) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), "POST", p.ActionURL, strings.NewReader(url.Values{"action": {action}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	w.sim.Handler().ServeHTTP(rec, r)
	if !slices.Contains([]int{200, 303}, rec.Code) {
		w.t.Fatalf("the challenge answered %d", rec.Code)
	}
}
