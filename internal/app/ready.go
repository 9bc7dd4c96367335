package app

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/paylink/paylink/internal/gateway"
	"github.com/paylink/paylink/internal/obs"
)

// check is one thing that a process needs to do its work.
type check struct {
	name, reason string // what failed, in words without secrets
	try          func(context.Context) error
}

// reads returns the checks for answering other services: the store answers, and so does an
// instance of each service that this process calls. Three things are left out. A missing issuer
// or assessor is not a reason, because payments and policies handle it. An issuer does not depend
// on transactions, because the two would wait for each other. A store that refuses writes does
// not stop reads, and the write itself is refused with its reason.
func (s *services) reads(ctx context.Context) error { return s.try(ctx, s.readChecks()) }

// ready reports whether this process can do all of its work: it can read, and the stores that it
// writes to accept writes. The error names what failed.
func (s *services) ready(ctx context.Context) error {
	return s.try(ctx, append(s.readChecks(), s.writeChecks()...))
}

// readChecks returns the checks of reads.
func (s *services) readChecks() (all []check) {
	const away = "it does not respond"
	if s.stores.sql != nil {
		all = append(all, check{"store", away, s.stores.sql.Ping})
	}
	if s.stores.table != nil {
		all = append(all, check{"payments_store", away, s.stores.table.Ping})
	}
	for name, pool := range s.pools {
		if name != "simulator" && name != "fraud" && !slices.Equal(s.cfg.Targets, []string{"simulator"}) {
			all = append(all, check{name, away, pool.Answers})
		}
	}

	return all
}

// refusesChanges is the reason of a failed write check.
const refusesChanges = "it refuses writes"

// writeChecks returns the checks of the stores that this process writes to.
func (s *services) writeChecks() (all []check) {
	if s.stores.sql != nil && s.cfg.writesSQL() {
		all = append(all, check{"store_writes", refusesChanges, s.stores.sql.Writable})
	}
	if s.stores.table != nil && s.cfg.any(func(b targetSpec) bool { return b.writes }) {
		all = append(all, check{"payments_store_writes", refusesChanges, s.stores.table.Writable})
	}
	return all
}

// writesSQL reports whether a service of this process writes to --store. The verifier, and a
// service whose links and payments are elsewhere, does not.
func (c Config) writesSQL() bool {
	return c.any(func(b targetSpec) bool { return b.sql || (b.writes && c.PaymentsStore == "") })
}

// try runs the checks concurrently, logs why one failed, and returns a gateway.NotReady for each. A
// process that is stopping is never ready, so that a load balancer takes it out before its
// listeners close.
func (s *services) try(ctx context.Context, checks []check) error {
	if s.draining.Load() {
		return gateway.NotReady{Check: "process", Reason: "it was asked to stop"}
	}

	// Each check has its own place, so the goroutines share nothing.
	failed := make([]error, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() {
			if err := c.try(ctx); err != nil {
				failed[i] = gateway.NotReady{Check: c.name, Reason: c.reason, Err: err}
			}
		})
	}

	all.Wait()
	err := errors.Join(failed...)
	if err != nil {
		s.log.WarnContext(ctx, "not ready", "error", err)
	}
	return err
}

// writeGauges exports the outcome of writes, for each store that this process writes to.
func (s *services) writeGauges() {
	show := func(store string, w *obs.Writes) {
		labels := map[string]string{"store": store}
		s.metrics.Counter(
			"paylink_store_writes_refused_total",
			"Changes that the store could not make durable.",
			labels,
			func() float64 { return float64(w.Refusals()) },
		)
		s.metrics.Gauge("paylink_store_writable", "1 while the store accepts writes, 0 while it refuses them.", labels, func() float64 {
			if w.Failing() != nil {
				return 0
			}
			return 1
		})
	}

	if s.stores.sql != nil && s.cfg.writesSQL() {
		show("store", s.stores.sql.Writes())
	}
	if s.stores.table != nil && s.cfg.any(func(b targetSpec) bool { return b.writes }) {
		show("payments_store", s.stores.table.Writes())
	}
}
