package fraud_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// engines of the store.
var engines = map[string]func(testing.TB) string{
	"SQLite": func(t testing.TB) string {
		t.Log("engine: SQLite") // scripts/test.sh counts these
		return "sqlite:" + filepath.Join(t.TempDir(), "paylink.db")
	},
	"PostgreSQL": func(t testing.TB) string { return pgtest.Database(t) },
}

func onEach(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for name, empty := range engines {
		t.Run(name, func(t *testing.T) { test(t, empty(t)) })
	}
}

// embedded returns a store in files, with an analytics store that follows it.
func embedded(t testing.TB) (*sqlstore.Store, *projection.Analytics) {
	t.Helper()
	return opened(t, engines["SQLite"](t))
}

// opened migrates a store and opens it as a process does, with its analytics store.
func opened(t testing.TB, url string) (*sqlstore.Store, *projection.Analytics) {
	t.Helper()
	if _, _, err := sqlstore.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	analytics, err := projection.OpenAnalytics(
		t.Context(),
		store.Feed,
		store.Pages(),
		filepath.Join(t.TempDir(), "analytics.db"),
		slog.New(slog.DiscardHandler),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after everything that uses them has ended
		if err := errors.Join(analytics.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
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

// paid is a payment that emits events.
type paid struct {
	fraud.Attempt
	at       time.Time
	seq      int64
	status   string
	label    string
	labelled time.Time
	disputes []map[string]any
}

// event emits the payment's next event.
func (p *paid) event(t testing.TB, kind, status string, at time.Time) stream.Event {
	t.Helper()
	p.seq++
	p.status = status
	risk := map[string]any{"address": p.Address, "action": "allow", "why": "default"}
	if p.label != "" {
		risk["label"], risk["labelledAt"], risk["labelledBy"] = p.label, link.FormatTime(p.labelled), "usr_1"
	}
	data, err := json.Marshal(
		map[string]any{"id": p.Payment, "object": "payment", "link": p.Link, "amount": p.Amount.Decimal(), "currency": p.Amount.Currency,
			"capturedAmount": "0.00", "refundedAmount": "0.00", "status": p.status, "mode": p.Mode, "issuer": "simulator",
			"card": map[string]any{"brand": "visa", "last4": "4242", "bin": p.BIN, "fingerprint": p.Fingerprint},
			"payer": map[string]any{
				"email": p.Email,
			}, "createdAt": link.FormatTime(p.at), "updatedAt": link.FormatTime(at), "risk": risk, "disputes": p.disputes},
	)
	if err != nil {
		t.Fatal(err)
	}
	return stream.Event{ID: id.Derive(id.Event, p.Payment, fmt.Sprint(p.seq)), Type: kind, Account: p.Account, Mode: p.Mode, Object: p.Payment,
		ObjectSeq: p.seq, CreatedAt: at, Data: data}
}

func feed(t testing.TB, s *sqlstore.Store, events ...stream.Event) {
	t.Helper()
	if err := s.AppendBatch(t.Context(), "test", stream.Batch{Events: events,
		Checkpoints: map[string]string{"shard": events[len(events)-1].ID}}); err != nil {
		t.Fatal(err)
	}
}

// followed waits until the instances have counted the latest events. The store's end was before
// them, and its new end is returned.
func followed(t testing.TB, store *sqlstore.Store, before int64, all ...*watched) (end int64) {
	t.Helper()
	await.Until(t, "the feed has it", func() bool { // on PostgreSQL once no older commit is running
		var err error
		end, err = store.End(t.Context())
		return err == nil && end > before
	})
	for _, w := range all {
		await.Until(t, "the path has counted the feed", func() bool { return w.Position() >= end })
	}
	return end
}

// known is a label or an outcome at a given time.
func (p *paid) known(t testing.TB, n int, label string, at time.Time) stream.Event {
	t.Helper()
	if n%8 == 3 {
		p.label, p.labelled = label, at
		return p.event(t, "fraud.reviewed", p.status, at)
	}
	p.disputes = []map[string]any{{"id": "dp_1", "object": "dispute", "payment": p.Payment, "amount": p.Amount.Decimal(),
		"currency": "EUR", "reason": "fraudulent", "state": "needs_response", "createdAt": link.FormatTime(at)}}
	return p.event(t, "dispute.created", p.status, at)
}

// TestPathSeesWhatTheStoreGives checks that what each attempt knew of the time before it, in
// either of two instances (two processes if the store allows it), equals to the last bit what the
// analytics store returns for it afterwards. An instance that starts then knows the same as those
// that ran all the time.
func TestPathSeesWhatTheStoreGives(t *testing.T) {
	onEach(t, pathSeesWhatTheStoreGives)
}

func pathSeesWhatTheStoreGives(t *testing.T, url string) {
	const attempts, told = 120, 2 * time.Second // from an attempt until all its events are there
	store, analytics := opened(t, url)
	at := time.Now().UTC().Truncate(time.Second).Add(-attempts * 3 * time.Hour)
	far := store
	if !strings.HasPrefix(url, "sqlite:") { // belongs to one process only
		far, _ = opened(t, url)
	}
	w, beside := watch(fraud.LocalConfig{Feed: store}, at), watch(fraud.LocalConfig{Feed: far}, at)
	background(t, analytics.Run)
	for _, each := range []*watched{w, beside} {
		background(t, each.Run)
		await.Until(t, "it follows", each.Warm)
	}
	await.Until(t, "the analytics store follows", func() bool { // its first build walks payments, and these are only events
		_, whole, err := analytics.Position(t.Context())
		return err == nil && whole
	})
	random := rand.New(rand.NewPCG(7, 7))
	account, other := id.New(id.Account), id.New(id.Account)
	var open []*paid
	var end int64
	for n := range attempts {
		at = at.Add(told + time.Duration(random.IntN(20000))*time.Second)
		w.set(at)
		beside.set(at)
		p := &paid{
			at: at,
			Attempt: fraud.Attempt{Payment: id.New(id.Payment), Account: account, Mode: "test", Link: "plink_" + fmt.Sprint(random.IntN(3)),
				Amount: money.Of(int64(100+random.IntN(90000)), "EUR"), Fingerprint: fmt.Sprint("card", random.IntN(9)), BIN: "424242",
				Email: fmt.Sprint("payer", random.IntN(5), "@example.com"), Address: fmt.Sprint("192.0.", random.IntN(4), ".0/24")},
		}
		if n%5 == 0 {
			p.Account = other
		}
		if n%4 > 0 { // the rest was not assessed
			if _, err := []*watched{w, beside}[n%4%2].Assess(t.Context(), p.Attempt); err != nil {
				t.Fatal(err)
			}
		}
		for _, each := range []*watched{w, beside} { // no event comes from the future
			each.set(at.Add(told))
		}
		events := []stream.Event{p.event(t, "payment.created", "created", at), p.event(t, "payment.processing", "processing", at)}
		if random.IntN(4) == 0 {
			events = append(events, p.event(t, "payment.declined", "declined", at.Add(time.Second)))
		} else {
			events = append(events, p.event(t, "payment.succeeded", "succeeded", at.Add(time.Second)))
		}
		if open = append(open, p); n%4 == 3 { // an earlier one is labeled
			early := open[random.IntN(len(open))]
			if early.label == "" && early.disputes == nil {
				events = append(events, early.known(t, n, []string{payment.LabelFraud, payment.LabelLegitimate}[random.IntN(2)], at.Add(told)))
			}
		}
		feed(t, store, events...)
		end = followed(t, store, end, w, beside)
	}
	await.Until(t, "the analytics store has it all", func() bool { n, err := analytics.Lag(t.Context()); return err == nil && n == 0 })
	compared, labels := compare(t, analytics, at, w, beside)
	if compared < attempts/2 || labels < 10 {
		t.Fatalf("%d vectors compared, %d labels", compared, labels)
	}
	late := watch(fraud.LocalConfig{Feed: far, History: analytics, Behind: analytics.Lag}, at.Add(time.Minute))
	background(t, late.Run)
	await.Until(t, "the new instance has counted the month before", late.Warm)
	agree(t, "", open[len(open)-1].Attempt, at.Add(time.Minute), w, beside, late)
}

// compare compares what attempts knew in the path with what the store returns for them.
func compare(t *testing.T, rows history.Replayer, at time.Time, all ...*watched) (compared, labels int) {
	t.Helper()
	past := history.NewPast(time.Now(), history.MaxEntities)
	var v score.Vector
	err := rows.Replay(t.Context(), "", "", at.AddDate(0, -2, 0), at.Add(time.Hour), func(r history.Row) error {
		past.Next(&r, &v)
		if _, _, known := r.Fraud(); known {
			labels++
		}
		for _, w := range all {
			w.mu.Lock()
			saw, ok := w.saw[r.ID]
			w.mu.Unlock()
			if !ok {
				continue
			}
			compared++
			for i := range v {
				if v[i] != saw[i] {
					t.Errorf("payment of %s: %s was %v in the path, and is %v from the store", r.CreatedAt, score.Names[i], saw[i], v[i])
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return compared, labels
}

// agree checks that all instances know the same of an attempt at a given time, as another
// payment: all features, or those whose name contains the word.
func agree(t *testing.T, word string, probe fraud.Attempt, at time.Time, all ...*watched) score.Vector {
	t.Helper()
	probe.Payment = id.New(id.Payment)
	for _, w := range all {
		w.set(at)
		if _, err := w.Assess(t.Context(), probe); err != nil {
			t.Fatal(err)
		}
		is, want := w.saw[probe.Payment], all[0].saw[probe.Payment]
		for i, name := range score.Names {
			if strings.Contains(name, word) && is[i] != want[i] {
				t.Errorf("%s is %v to one instance, %v to another", name, is[i], want[i])
			}
		}
	}
	return all[0].saw[probe.Payment]
}

// TestALaterWordReplaces checks that a new label, a removed label, or a won dispute changes the
// path's counts in every process as if the earlier one had never existed, and that a repeated
// event changes nothing. An instance that starts then knows the same.
func TestALaterWordReplaces(t *testing.T) {
	onEach(t, laterWordReplaces)
}

func laterWordReplaces(t *testing.T, url string) {
	store, analytics := opened(t, url)
	at := time.Now().UTC().Truncate(time.Second).Add(-72 * time.Hour)
	w := watch(fraud.LocalConfig{Feed: store}, at)
	background(t, analytics.Run)
	background(t, w.Run)
	await.Until(t, "it follows", w.Warm)
	await.Until(t, "the analytics store follows", func() bool {
		_, whole, err := analytics.Position(t.Context())
		return err == nil && whole
	})
	p := &paid{at: at, Attempt: try(1, id.New(id.Account))}
	feed(
		t,
		store,
		p.event(t, "payment.created", "created", at),
		p.event(t, "payment.processing", "processing", at),
		p.event(t, "payment.succeeded", "succeeded", at.Add(time.Second)),
	)
	end := followed(t, store, 0, w)
	mark := func(label string) func(time.Time) stream.Event {
		return func(at time.Time) stream.Event {
			p.label, p.labelled = label, at
			return p.event(t, "fraud.reviewed", p.status, at)
		}
	}
	dispute := func(kind, state string) func(time.Time) stream.Event {
		return func(at time.Time) stream.Event {
			if p.disputes == nil {
				p.disputes = []map[string]any{
					{
						"id":        "dp_1",
						"object":    "dispute",
						"payment":   p.Payment,
						"amount":    p.Amount.Decimal(),
						"currency":  "EUR",
						"reason":    "fraudulent",
						"createdAt": link.FormatTime(at),
					},
				}
			}
			p.disputes[0]["state"] = state
			return p.event(t, kind, p.status, at)
		}
	}
	for n, c := range []struct {
		said           string
		event          func(time.Time) stream.Event
		disputed, rate float32
	}{
		{"fraud", mark(payment.LabelFraud), 1, 1},
		{"honest after all", mark(payment.LabelLegitimate), 0, 0},
		{"fraud again", mark(payment.LabelFraud), 1, 1},
		{"nothing", mark(""), 0, -1},
		{"disputed", dispute("dispute.created", payment.DisputeNeedsResponse), 1, 1},
		{"disputed, with evidence", dispute("dispute.updated", payment.DisputeUnderReview), 1, 1},
		{"disputed, and honest by a person's word", mark(payment.LabelLegitimate), 0, 0},
		{"disputed", mark(""), 1, 1},
		{"the dispute is won", dispute("dispute.closed", payment.DisputeWon), 0, -1},
		{"fraud by a person's word", mark(payment.LabelFraud), 1, 1},
	} {
		at = at.Add(time.Duration(1+n%3*60) * time.Minute) // within a bucket, and beyond one
		w.set(at)
		feed(t, store, c.event(at))
		end = followed(t, store, end, w)
		await.Until(t, "the analytics store has it", func() bool { n, err := analytics.Lag(t.Context()); return err == nil && n == 0 })
		late := watch(fraud.LocalConfig{Feed: store, History: analytics, Behind: analytics.Lag}, at)
		background(t, late.Run)
		await.Until(t, "the new instance has counted the month before", late.Warm)
		v := agree(t, "dispute", p.Attempt, at.Add(time.Second), w, late)
		for name, want := range map[string]float32{"card.disputed.30d": c.disputed, "card.dispute_rate.30d": c.rate,
			"email.disputed.1d": c.disputed, "link.disputed.30d": c.disputed} {
			if i := slices.Index(score.Names[:], name); i < 0 || v[i] != want {
				t.Errorf("%s: %s is %v, want %v", c.said, name, v[max(i, 0)], want)
			}
		}
	}
}
