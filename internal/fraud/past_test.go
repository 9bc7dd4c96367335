package fraud_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// embedded is a store in files, with its analytics store, which follows it.
func embedded(t testing.TB) (*sqlstore.Store, *sqlstore.Analytics) {
	t.Helper()
	dir := t.TempDir()
	path := "sqlite:" + filepath.Join(dir, "paylink.db")
	if _, _, err := sqlstore.Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	analytics, err := sqlstore.OpenAnalytics(t.Context(), store, filepath.Join(dir, "analytics.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after what runs on them has ended
		if err := errors.Join(analytics.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Log("engine: SQLite")
	return store, analytics
}

// background runs something until the test ends.
func background(t testing.TB, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// paid is a payment of which events are told.
type paid struct {
	fraud.Attempt
	at       time.Time
	seq      int64
	status   string
	label    string
	labelled time.Time
	disputes []map[string]any
}

// tell is the payment's next event.
func (p *paid) tell(t testing.TB, kind, status string, at time.Time) stream.Event {
	t.Helper()
	p.seq++
	p.status = status
	risk := map[string]any{"address": p.Address, "action": "allow", "why": "default"}
	if p.label != "" {
		risk["label"], risk["labelledAt"], risk["labelledBy"] = p.label, link.FormatTime(p.labelled), "usr_1"
	}
	data, err := json.Marshal(map[string]any{"id": p.Payment, "object": "payment", "link": p.Link, "amount": p.Amount.Decimal(), "currency": p.Amount.Currency,
		"capturedAmount": "0.00", "refundedAmount": "0.00", "status": p.status, "mode": p.Mode, "issuer": "simulator",
		"card":  map[string]any{"brand": "visa", "last4": "4242", "bin": p.BIN, "fingerprint": p.Fingerprint},
		"payer": map[string]any{"email": p.Email}, "createdAt": link.FormatTime(p.at), "updatedAt": link.FormatTime(at), "risk": risk, "disputes": p.disputes})
	if err != nil {
		t.Fatal(err)
	}
	return stream.Event{ID: id.Derive(id.Event, p.Payment, fmt.Sprint(p.seq)), Type: kind, Account: p.Account, Mode: p.Mode, Object: p.Payment,
		ObjectSeq: p.seq, CreatedAt: at, Data: data}
}

func feed(t testing.TB, s *sqlstore.Store, events ...stream.Event) {
	t.Helper()
	if err := s.AppendBatch(t.Context(), "test", stream.Batch{Events: events, Checkpoints: map[string]string{"shard": events[len(events)-1].ID}}); err != nil {
		t.Fatal(err)
	}
}

// TestPathSeesWhatTheStoreGives: what each attempt was told of the time before it,
// in the path, is what the analytics store gives for it afterwards, to the last bit:
// nothing that came later, and nothing less. And an instance that starts then knows
// what the one that was there all along knows.
func TestPathSeesWhatTheStoreGives(t *testing.T) {
	const attempts = 120
	store, analytics := embedded(t)
	at := time.Now().UTC().Truncate(time.Second).Add(-attempts * 3 * time.Hour)
	w := watch(fraud.LocalConfig{Feed: store}, at)
	background(t, analytics.Run)
	background(t, w.Run)
	eventually(t, "it follows", w.Warm)
	eventually(t, "the analytics store follows", func() bool { // its first build walks payments, and these are events alone
		_, whole, err := analytics.Position(t.Context())
		return err == nil && whole
	})
	random := rand.New(rand.NewPCG(7, 7)) //nolint:gosec // a test's choices
	account, other := id.New(id.Account), id.New(id.Account)
	var open []*paid
	for n := range attempts {
		at = at.Add(time.Duration(1+random.IntN(20000)) * time.Second)
		w.set(at)
		p := &paid{at: at, Attempt: fraud.Attempt{Payment: id.New(id.Payment), Account: account, Mode: "test", Link: "plink_" + fmt.Sprint(random.IntN(3)),
			Amount: money.Of(int64(100+random.IntN(90000)), "EUR"), Fingerprint: fmt.Sprint("card", random.IntN(9)), BIN: "424242",
			Email: fmt.Sprint("payer", random.IntN(5), "@example.com"), Address: fmt.Sprint("192.0.", random.IntN(4), ".0/24")}}
		if n%5 == 0 {
			p.Account = other
		}
		if n%3 > 0 { // the rest was assessed by somebody else, or by nobody
			if _, err := w.Assess(t.Context(), p.Attempt); err != nil {
				t.Fatal(err)
			}
		}
		events := []stream.Event{p.tell(t, "payment.created", "created", at), p.tell(t, "payment.processing", "processing", at)}
		if random.IntN(4) == 0 {
			events = append(events, p.tell(t, "payment.declined", "declined", at.Add(time.Second)))
		} else {
			events = append(events, p.tell(t, "payment.succeeded", "succeeded", at.Add(time.Second)))
		}
		if open = append(open, p); n%4 == 3 { // somebody says what an earlier one was
			early := open[random.IntN(len(open))]
			known := at.Add(2 * time.Second)
			if early.label == "" && early.disputes == nil {
				if n%8 == 3 {
					early.label, early.labelled = []string{payment.LabelFraud, payment.LabelLegitimate}[random.IntN(2)], known
					events = append(events, early.tell(t, "fraud.reviewed", early.status, known))
				} else {
					early.disputes = []map[string]any{{"id": "dp_1", "object": "dispute", "payment": early.Payment, "amount": early.Amount.Decimal(),
						"currency": "EUR", "reason": "fraudulent", "state": "needs_response", "createdAt": link.FormatTime(known)}}
					events = append(events, early.tell(t, "dispute.created", early.status, known))
				}
			}
		}
		feed(t, store, events...)
		end, err := store.End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the path has counted the feed", func() bool { return w.Position() >= end })
	}
	eventually(t, "the analytics store has it all", func() bool { n, err := analytics.Lag(t.Context()); return err == nil && n == 0 })
	past := fraud.NewPast(time.Now(), fraud.MaxEntities)
	compared, labels := 0, 0
	var v score.Vector
	err := analytics.Replay(t.Context(), "", "", at.AddDate(0, -2, 0), at.Add(time.Hour), func(r fraud.Row) error {
		past.Next(&r, &v)
		if _, _, known := r.Fraud(); known {
			labels++
		}
		w.mu.Lock()
		saw, ok := w.saw[r.ID]
		w.mu.Unlock()
		if !ok {
			return nil
		}
		compared++
		for i := range v {
			if v[i] != saw[i] {
				t.Errorf("payment of %s: %s was %v in the path, and is %v from the store", r.CreatedAt, score.Names[i], saw[i], v[i])
			}
		}
		return nil
	})
	if err != nil || compared < attempts/2 || labels < 10 {
		t.Fatalf("%d vectors compared, %d labels, %v", compared, labels, err)
	}
	late := watch(fraud.LocalConfig{Feed: store, History: analytics, Behind: analytics.Lag}, at.Add(time.Minute))
	background(t, late.Run)
	eventually(t, "the new instance has counted the month before", late.Warm)
	w.set(at.Add(time.Minute))
	probe := open[len(open)-1].Attempt
	probe.Payment = id.New(id.Payment)
	for _, each := range []*watched{w, late} {
		if _, err := each.Assess(t.Context(), probe); err != nil {
			t.Fatal(err)
		}
	}
	if w.saw[probe.Payment] != late.saw[probe.Payment] {
		t.Errorf("one that starts knows\n%v\nthe one that was there\n%v", late.saw[probe.Payment], w.saw[probe.Payment])
	}
}
