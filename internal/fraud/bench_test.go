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
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/stream"
)

// BenchmarkAssessAtRate assesses 1,500 attempts a second on the embedded store, while
// their events are committed, followed by the path, and written to the analytics
// store. It tells the slowest of a hundred.
func BenchmarkAssessAtRate(b *testing.B) {
	const rate, seconds, step = 1500, 5, 10 * time.Millisecond
	store, analytics := embedded(b)
	w := fraud.NewLocal(fraud.LocalConfig{Feed: store, History: analytics, Behind: analytics.Lag, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
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
					events = append(events, p.tell(b, "payment.created", "created", p.at), p.tell(b, "payment.processing", "processing", p.at), p.tell(b, "payment.succeeded", "succeeded", p.at))
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
					Amount: money.Of(1250, "EUR"), Fingerprint: fmt.Sprint("card", rand.IntN(20000)), BIN: "424242", //nolint:gosec // load
					Email: fmt.Sprint(rand.IntN(20000), "@example.com"), Address: fmt.Sprint(rand.IntN(5000))}} //nolint:gosec // load
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
