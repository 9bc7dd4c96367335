package fraud_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/fraud/shield"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// BenchmarkAssessAtRate assesses 1,500 attempts a second on the embedded store, while their
// events are committed, followed by the path, and written to the analytics store. It reports the
// slowest of a hundred.
func BenchmarkAssessAtRate(b *testing.B) {
	const rate, seconds, step = 1500, 5, 10 * time.Millisecond
	store, analytics := embedded(b)
	config := fraud.LocalConfig{Feed: store, History: analytics, Behind: analytics.Lag, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	judges(b, store, &config)
	w := fraud.NewLocal(config)
	background(b, analytics.Run)
	background(b, w.Run)
	account := id.New(id.Account)
	for b.Loop() {
		var mu sync.Mutex
		var took []time.Duration
		told := make(chan []*paid, rate)
		var running sync.WaitGroup
		running.Go(func() {
			for all := range told {
				var events []stream.Event
				for _, p := range all {
					events = append(
						events,
						p.event(b, "payment.created", "created", p.at),
						p.event(b, "payment.processing", "processing", p.at),
						p.event(b, "payment.succeeded", "succeeded", p.at),
					)
				}
				feed(b, store, events...)
			}
		})
		tick := time.NewTicker(step)
		for range int(seconds * time.Second / step) {
			<-tick.C
			var all []*paid
			var together sync.WaitGroup
			for range int(rate * step / time.Second) {
				p := &paid{at: time.Now(), Attempt: fraud.Attempt{Payment: id.New(id.Payment), Account: account, Mode: "test", Link: id.New(id.Link),
					Amount: money.Of(1250, "EUR"), Fingerprint: fmt.Sprint("card", rand.IntN(20000)), BIN: "424242",
					Email: fmt.Sprint(rand.IntN(20000), "@example.com"), Address: fmt.Sprint(rand.IntN(5000))}}
				all = append(all, p)
				together.Go(func() {
					start := time.Now()
					if _, err := w.Assess(b.Context(), p.Attempt); err != nil {
						b.Error(err)
					}
					mu.Lock()
					took = append(took, time.Since(start))
					mu.Unlock()
				})
			}
			together.Wait()
			told <- all
		}
		tick.Stop()
		close(told)
		running.Wait()
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		b.ReportMetric(float64(len(took))/seconds, "attempts/s")
	}
}

// judges gives a Local the default rules and a model of the usual size, so that the benchmark
// measures everything that an attempt passes through.
func judges(b *testing.B, store *sqlstore.Store, c *fraud.LocalConfig) {
	b.Helper()
	rules := fraud.NewRulesets(store, time.Now, c.Log)
	if err := rules.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	c.Decide = func(a *fraud.Attempt, v *score.Vector, s *score.Assessment) (payment.Risk, bool) {
		set := rules.Ruleset(a.Account, a.Mode)
		return set.Decide(a, v, s), set.Policy().FailOpen
	}
	random := rand.New(rand.NewPCG(1, 1))
	var s score.Set
	for n := range 4000 {
		var v score.Vector
		for i := range v {
			v[i] = random.Float32() * 100
		}
		s.Rows, s.Fraud, s.Meta = append(s.Rows, v), append(s.Fraud, n%10 == 0), append(s.Meta, score.Attempt{})
	}
	model, err := score.Fit(s, score.Range{}, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	c.Models = always{model}
	c.Shield = shield.New(shield.Config{Policy: shield.Default()})
}

// always is a source with one model.
type always struct{ *score.Model }

func (a always) Running() *score.Model { return a.Model }
func (a always) Shadow() *score.Model  { return nil }
