package fraud

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
)

// Limits of the shield's refusals on their way to the analytics store.
const (
	refusalsEvery = 2 * time.Second
	maxRefusals   = 10_000 // links and hours; further refusals are not counted
	refusalsTime  = 5 * time.Second
)

// refusals collects the shield's refusals in memory. A crash loses the last seconds: the counts
// may be too low, never too high.
type refusals struct {
	mu  sync.Mutex
	all map[history.Refusal]int64 // keyed without the count
}

// add counts one refused attempt.
func (r *refusals) add(a *Attempt, at time.Time) {
	key := history.Refusal{Account: a.Account, Mode: a.Mode, Link: a.Link, Hour: at.UTC().Truncate(time.Hour)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[history.Refusal]int64{}
	}
	if _, known := r.all[key]; known || len(r.all) < maxRefusals {
		r.all[key]++
	}
}

// take returns what was counted, and begins again at zero.
func (r *refusals) take() (out []history.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, n := range r.all {
		key.Count = n
		out = append(out, key)
	}
	r.all = nil
	return out
}

// run hands the counts to count every two seconds until ctx ends, and then a last time. Counts that
// could not be stored are lost: sending them again might count them twice.
func (r *refusals) run(ctx context.Context, count func(context.Context, []history.Refusal) error, log *slog.Logger) {
	flush := func() {
		all := r.take()
		if len(all) == 0 {
			return
		}
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), refusalsTime)
		defer cancel()
		if err := count(bounded, all); err != nil {
			log.ErrorContext(ctx, "refused attempts could not be counted", "error", err)
		}
	}

	tick := time.NewTicker(refusalsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			flush()
			return
		case <-tick.C:
			flush()
		}
	}
}
