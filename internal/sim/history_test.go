package sim_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
)

var historiesFlag = flag.Int("sim.histories", 12, "histories of each kind on SQLite; the other engines make fewer")

const (
	checkTimeout = time.Minute // of one history
	authorized   = 500         // minor units of each payment
)

// history records the requests of concurrent clients. Its times are ticks of one counter: if a
// request was answered before another began, its answer has the smaller tick.
type history struct {
	tick atomic.Int64
	mu   sync.Mutex
	ops  []porcupine.Operation
}

// do makes a request in a goroutine of its own, which a crash may end, and records it.
func (h *history) do(client int, c call, request func() outcome) {
	alone(func() {
		begin, out := h.tick.Add(1), outcome{kind: unknown}
		defer func() {
			end := h.tick.Add(1)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: c, Call: begin, Output: out, Return: end})
		}()
		out = request()
	})
}

// rest ends the time in which the work of unknown outcomes may have been done.
func (h *history) rest() {
	now := h.tick.Add(1)
	for i, op := range h.ops {
		if op.Output.(outcome).kind == unknown {
			h.ops[i].Return = now
		}
	}
}

// check compares the history with a model.
func (h *history) check(m porcupine.Model) porcupine.CheckResult {
	for i, op := range h.ops {
		out := op.Output.(outcome)
		out.contended = slices.ContainsFunc(h.ops, func(other porcupine.Operation) bool {
			return other.Call != op.Call && other.Call < op.Return && op.Call < other.Return && mayHold(other)
		})
		h.ops[i].Output = out
	}
	return porcupine.CheckOperationsTimeout(m, h.ops, checkTimeout)
}

// mayHold reports whether a request may have held money or a use while it was under way.
func mayHold(op porcupine.Operation) bool {
	return !op.Input.(call).reads() && op.Output.(outcome).kind != refused
}

func (h *history) String() string {
	slices.SortFunc(h.ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	for _, op := range h.ops {
		c, o := op.Input.(call), op.Output.(outcome)
		fmt.Fprintf(&b, "  client %d, %d to %d: %s attempt %d, %d minor units: %s %s", op.ClientId, op.Call, op.Return, c.what, c.attempt,
			c.minor, o.kind, o.code)
		switch {
		case c.reads():
			fmt.Fprintf(&b, "%d uses, %+v", o.uses, o.paid)
		case o.contended:
			b.WriteString(" while others were under way")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// onEach runs a kind of history on each engine, on one store and several times, with seeds that
// follow each other.
func onEach(t *testing.T, one func(*sim) *history) {
	t.Helper()
	for _, engine := range []struct {
		name string
		open func(*testing.T) storetest.Store
		n    int
	}{
		{"SQLite", func(t *testing.T) storetest.Store { return sqltest.Open(t, sqltest.File(t)) }, *historiesFlag},
		{"PostgreSQL", func(t *testing.T) storetest.Store { return sqltest.Open(t, pgtest.Database(t)) }, (*historiesFlag + 1) / 2},
		{"DynamoDB", func(t *testing.T) storetest.Store { // no relay: nobody reads the feed
			s, _ := dynamotest.Open(t)
			return dynamotest.Distributed{Store: s, Feed: dynamotest.OpenFeed(t)}
		}, (*historiesFlag + 5) / 6},
	} {
		t.Run(engine.name, func(t *testing.T) {
			store, seed, outcomes := engine.open(t), firstSeed(), map[string]int{}
			t.Logf("%d histories from seed %d on", engine.n, seed)
			for i := range engine.n {
				s := start(t, seed+uint64(i), store)
				s.repeat = fmt.Sprintf("go test ./internal/sim -run '%s' -sim.seed=%d", t.Name(), s.seed)
				s.fraud = nil
				s.restart()
				for _, op := range one(s).ops {
					outcomes[op.Input.(call).what+" "+op.Output.(outcome).kind]++
				}
			}
			t.Log(sorted(outcomes))
		})
	}
}

// TestI6HistoriesOfALink lets payers pay one link at once, while requests, answers and commits
// are lost and processes die. Each history must be one of a link that is paid no more often than
// it allows.
func TestI6HistoriesOfALink(t *testing.T) {
	onEach(t, func(s *sim) *history {
		h, most := &history{}, 1+s.dice.n(3)
		l := s.link(s.accounts[0], most, false)
		var payers []func()
		for i := range 5 {
			payers = append(payers, func() {
				for range 3 {
					if s.dice.percent(25) {
						s.uses(h, i, l)
					} else {
						s.pay(h, i, l, s.dice.n(10), historyCards[s.dice.n(len(historyCards))])
					}
				}
			})
		}
		alone(append(payers, s.sweeps)...)
		s.settle(h)
		s.uses(h, 0, l)
		for n := range most + 1 { // every use that was not completed can still be had
			s.pay(h, 0, l, 20+n, historyCards[0])
		}
		s.uses(h, 0, l)
		s.judge(h, linkModel(most))
		if now, err := s.store.GetLink(s.t.Context(), l.Account, l.ID); err != nil || now.Uses != int64(most) || now.Reserved != 0 {
			s.t.Errorf("seed %d: %d uses of %d, %d reserved, though enough payers came: %v", s.seed, now.Uses, most, now.Reserved, err)
		}
		return h
	})
}

// historyCards are approved, declined, or approved with a lost answer.
var historyCards = [...]string{"4242424242424242", "5555555555554444", "4000000000000002", "4000000000006108"}

// TestI2I3HistoriesOfAPayment lets merchants capture, void and refund one payment at once under
// the same faults. Each history must be one of a payment that is captured or voided once, and
// refunded no further than it was captured.
func TestI2I3HistoriesOfAPayment(t *testing.T) {
	onEach(t, func(s *sim) *history {
		h := &history{}
		p := s.authorized()
		var merchants []func()
		for i := range 4 {
			merchants = append(merchants, func() {
				for range 4 {
					s.change(h, i, p)
				}
			})
		}
		alone(append(merchants, s.sweeps)...)
		s.settle(h)
		s.read(h, 0, p)
		s.judge(h, paymentModel(authorized))
		return h
	})
}

// link opens a link for histories, which outlives them.
func (s *sim) link(account string, uses int, manual bool) link.Link {
	s.t.Helper()
	life, most, capture := int64(30*24*3600), int64(uses), link.CaptureAutomatic
	if manual {
		capture = link.CaptureManual
	}
	return s.open(link.CreateRequest{Account: account, Mode: link.Test, Payee: "Shop", Currency: "EUR", ExpiresInSeconds: &life,
		Amount: "5", MaxUses: &most, Methods: methods, Capture: capture, LatePolicy: link.LateAccept})
}

// authorized returns an authorized payment, made without faults.
func (s *sim) authorized() payment.Payment {
	s.t.Helper()
	s.setQuiet(true)
	in := s.submission(s.link(s.accounts[0], 1, true), 1, historyCards[0])
	s.submit(in)
	s.setQuiet(false)
	if len(s.made) != 1 || s.made[0].Status != payment.Authorized || s.made[0].AuthorizedMinor != authorized {
		s.t.Fatalf("no authorized payment: %+v", s.made)
	}
	return s.made[0]
}

// pay records a payer's attempt.
func (s *sim) pay(h *history, client int, l link.Link, attempt int, card string) {
	h.do(client, call{what: "pay", attempt: attempt}, func() outcome {
		l, err := s.store.GetLink(context.Background(), l.Account, l.ID)
		if !s.known(err) {
			return outcome{kind: unknown}
		}
		in := s.submission(l, attempt, card)
		p, err := s.request(payment.IDFor(l.ID, in.Attempt), fmt.Sprint("payer ", client), "submits "+in.Attempt+" with card "+card,
			func(ctx context.Context) (payment.Payment, error) { return s.c.Submit(ctx, in.Submit) })
		switch code := fault.Code(err); {
		case code == "link_paid" || code == "link_paying":
			return outcome{kind: refused, code: code}
		case s.known(err) && p.Status == payment.Succeeded:
			return outcome{kind: done}
		case err == nil && p.Status == payment.Declined:
			return outcome{kind: declined}
		}
		return outcome{kind: unknown}
	})
}

// uses records a read of a link.
func (s *sim) uses(h *history, client int, l link.Link) {
	h.do(client, call{what: "uses"}, func() outcome {
		l, err := s.store.GetLink(context.Background(), l.Account, l.ID)
		if !s.known(err) {
			return outcome{kind: unknown}
		}
		return outcome{kind: done, uses: l.Uses}
	})
}

// change records a request of a merchant.
func (s *sim) change(h *history, client int, p payment.Payment) {
	c := call{what: "refund", minor: int64(1 + s.dice.n(authorized/3))}
	n := s.dice.n(16)
	switch {
	case n < 4:
		c = call{what: "capture", minor: int64(authorized - s.dice.n(authorized/2))}
	case n < 5:
		c = call{what: "void"}
	case n < 8:
		s.read(h, client, p)
		return
	}
	amount := fmt.Sprintf("%d.%02d", c.minor/100, c.minor%100)
	do := func(ctx context.Context) (payment.Payment, bool, error) {
		switch c.what {
		case "capture":
			p, err := s.c.Capture(ctx, p.Account, p.Mode, p.ID, amount, nil)
			return p, p.CapturedMinor > 0, err
		case "void":
			p, err := s.c.Void(ctx, p.Account, p.Mode, p.ID, nil)
			return p, p.Status == payment.Canceled, err
		}
		p, r, err := s.c.Refund(ctx, p.Account, p.Mode, p.ID, payment.RefundInput{Amount: amount}, nil)
		return p, r.Status == payment.RefundSucceeded, err
	}
	h.do(client, c, func() outcome {
		succeeded := false
		_, err := s.request(p.ID, fmt.Sprint("merchant ", client), c.what+"s "+amount, func(ctx context.Context) (payment.Payment, error) {
			p, ok, err := do(ctx)
			succeeded = ok
			return p, err
		})
		switch code := fault.Code(err); {
		case slices.Contains([]string{"payment_not_capturable", "payment_not_voidable", "payment_not_refundable", "amount_too_large"}, code):
			return outcome{kind: refused, code: code}
		case s.known(err) && succeeded:
			return outcome{kind: done}
		}
		return outcome{kind: unknown}
	})
}

// read records a read of a payment.
func (s *sim) read(h *history, client int, p payment.Payment) {
	h.do(client, call{what: "read"}, func() outcome {
		p, err := s.store.GetPayment(context.Background(), p.Account, p.ID)
		if !s.known(err) {
			return outcome{kind: unknown}
		}
		a := account{captured: p.CapturedMinor, refunded: p.RefundedMinor}
		switch p.Status.Public() {
		case payment.Authorized:
			a.phase = "authorized"
		case payment.Succeeded, payment.PartiallyRefunded, payment.Refunded:
			a.phase = "captured"
		case payment.Canceled:
			a.phase = "voided"
		default:
			s.broken(p, "a payment is %s", p.Status)
		}
		return outcome{kind: done, paid: a}
	})
}

// sweeps sweeps beside the clients, as time goes on.
func (s *sim) sweeps() {
	for range 4 {
		s.clock.Add(20 * time.Second)
		alone(s.sweep)
	}
}

// settle brings the history to rest: without faults, and within the life of a hold, so that only
// what clients asked for is done.
func (s *sim) settle(h *history) {
	s.setQuiet(true)
	for range 3 {
		s.clock.Add(25 * time.Hour) // more than the longest pause between two inquiries
		s.sweepAll()
	}
	h.rest()
}

// judge compares the history with the model, and the account with the issuer's book.
func (s *sim) judge(h *history, m porcupine.Model) {
	s.t.Helper()
	result := h.check(m)
	list := s.list(s.accounts[0])
	s.compareBooks(list, s.issuersBook())
	if result == porcupine.Ok {
		return
	}
	text := fmt.Sprintf("seed %d: the history is %s:\n%s", s.seed, result, h)
	for _, p := range list {
		text += s.story(p)
	}
	s.t.Error(text)
}

// TestChecker feeds the checker histories that must be refused, and some that must not: a checker
// that accepts everything proves nothing.
func TestChecker(t *testing.T) {
	pay := func(attempt int) call { return call{what: "pay", attempt: attempt} }
	ok, lost := outcome{kind: done}, outcome{kind: unknown}
	no := func(code string) outcome { return outcome{kind: refused, code: code} }
	seen := func(phase string, captured, refunded int64) outcome {
		return outcome{kind: done, paid: account{phase, captured, refunded}}
	}
	capture, void, read := call{what: "capture", minor: 300}, call{what: "void"}, call{what: "read"}
	refund := func(minor int64) call { return call{what: "refund", minor: minor} }
	one, two, paid := linkModel(1), linkModel(2), paymentModel(authorized)
	type ops = []porcupine.Operation
	const legal, illegal = porcupine.Ok, porcupine.Illegal
	for name, c := range map[string]struct {
		model porcupine.Model
		want  porcupine.CheckResult
		ops   ops
	}{
		"one use, one payer":       {one, legal, ops{at(1, 2, pay(1), ok), at(3, 4, pay(2), no("link_paid"))}},
		"one use, two payers":      {one, illegal, ops{at(1, 4, pay(1), ok), at(2, 3, pay(2), ok)}},
		"one use, a double click":  {one, legal, ops{at(1, 4, pay(1), ok), at(2, 3, pay(1), ok)}},
		"two uses, three payers":   {two, illegal, ops{at(1, 6, pay(1), ok), at(2, 5, pay(2), ok), at(3, 4, pay(3), ok)}},
		"two uses, a lost answer":  {two, legal, ops{at(1, 9, pay(1), lost), at(2, 5, pay(2), ok), at(6, 7, pay(3), ok)}},
		"a lost answer that paid":  {one, legal, ops{at(1, 9, pay(1), lost), at(2, 3, pay(2), no("link_paid"))}},
		"paid, and nobody paid":    {one, illegal, ops{at(1, 2, pay(1), no("link_paid"))}},
		"paying, and nobody pays":  {one, illegal, ops{at(1, 2, pay(1), no("link_paying"))}},
		"paying after it was paid": {one, illegal, ops{at(1, 2, pay(1), ok), at(3, 6, pay(2), no("link_paying")), at(4, 5, pay(1), ok)}},
		"a use that is not counted": {two, illegal,
			ops{at(1, 2, pay(1), ok), at(3, 4, call{what: "uses"}, ok)}},
		"a capture":             {paid, legal, ops{at(1, 2, capture, ok), at(3, 4, read, seen("captured", 300, 0))}},
		"a double capture":      {paid, illegal, ops{at(1, 4, capture, ok), at(2, 3, capture, ok)}},
		"a capture and a void":  {paid, illegal, ops{at(1, 4, capture, ok), at(2, 3, void, ok)}},
		"a capture of too much": {paid, illegal, ops{at(1, 2, call{what: "capture", minor: authorized + 1}, ok)}},
		"refunds of all": {paid, legal,
			ops{at(1, 2, capture, ok), at(3, 6, refund(200), ok), at(4, 5, refund(100), ok)}},
		"refunds of too much": {paid, illegal,
			ops{at(1, 2, capture, ok), at(3, 6, refund(200), ok), at(4, 5, refund(101), ok)}},
		"a refund before its capture": {paid, illegal, ops{at(1, 2, refund(1), ok), at(3, 4, capture, ok)}},
		"a lost refund that was made": {paid, legal,
			ops{at(1, 2, capture, ok), at(3, 9, refund(200), lost), at(4, 5, read, seen("captured", 300, 200))}},
		"a lost refund that was not made": {paid, legal,
			ops{at(1, 2, capture, ok), at(3, 9, refund(200), lost), at(4, 5, refund(300), ok)}},
		"a lost refund that was undone": {paid, illegal,
			ops{at(1, 2, capture, ok), at(3, 9, refund(200), lost), at(4, 5, read, seen("captured", 300, 200)),
				at(6, 7, read, seen("captured", 300, 0))}},
		"a read that forgets a capture": {paid, illegal, ops{at(1, 2, capture, ok), at(3, 4, read, seen("authorized", 0, 0))}},
		"a refusal for no reason":       {paid, illegal, ops{at(1, 2, capture, no("payment_not_capturable"))}},
		"a refusal beside a capture": {paid, legal,
			ops{at(1, 4, capture, ok), at(2, 3, void, no("payment_not_voidable")), at(5, 6, read, seen("captured", 300, 0))}},
	} {
		h := &history{ops: c.ops}
		if got := h.check(c.model); got != c.want {
			t.Errorf("%s: %s, want %s\n%s", name, got, c.want, h)
		}
	}
}

func at(begin, end int64, c call, o outcome) porcupine.Operation {
	return porcupine.Operation{Input: c, Call: begin, Output: o, Return: end}
}
