package sim_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/store/sqltest"
)

var (
	paymentsFlag = flag.Int("sim.payments", 200, "payments of TestManyPayments, in all its runs")
	runFlag      = flag.Int("sim.run", 100, "payments of one run of TestManyPayments")
	forFlag      = flag.Duration("sim.for", 0, "TestManyPayments begins no run after this time; 0 is no limit")
)

// stepsPerPayment bounds a run: a payment takes about four steps.
const stepsPerPayment = 50

// totals sums up runs.
type totals struct {
	mu                                sync.Mutex
	runs, payments, steps, violations int
	faults, checks                    map[string]int
}

func (all *totals) add(s *sim, steps int) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.runs++
	all.payments += s.checks["payments"]
	all.steps += steps
	all.violations += s.violations
	for kind, n := range s.faults {
		all.faults[kind] += n
	}
	for kind, n := range s.checks {
		all.checks[kind] += n
	}
}

// TestManyPayments makes runs on SQLite, each with its own seed, store and checks, until it has
// made that many payments. make sim-million makes a million; make test makes a few, so that the
// command keeps working.
func TestManyPayments(t *testing.T) {
	seed, began := firstSeed(), time.Now()
	all := &totals{faults: map[string]int{}, checks: map[string]int{}}
	size := min(*runFlag, *paymentsFlag)
	runs := int64((*paymentsFlag + size - 1) / size)
	var next atomic.Int64
	t.Run("runs", func(t *testing.T) {
		for range min(runs, parallel(t)) {
			// Workers, each with its runs in turn: a parallel test is kept in memory, with all that
			// it refers to, until its siblings have ended.
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for i := next.Add(1) - 1; i < runs && (*forFlag == 0 || time.Since(began) < *forFlag); i = next.Add(1) - 1 {
					run := seed + uint64(i)
					t.Run(fmt.Sprint(run), func(t *testing.T) { oneRun(t, run, size, all) })
				}
			})
		}
	})
	took := time.Since(began)
	t.Logf("total: %d runs, %d payments, %d steps in %s (%.0f payments/s), %d violations\nfaults: %s\nchecked: %s", all.runs, all.payments,
		all.steps, took.Round(time.Second), float64(all.payments)/took.Seconds(), all.violations, sorted(all.faults), sorted(all.checks))
	if *forFlag == 0 && all.payments < *paymentsFlag {
		t.Errorf("%d payments of %d", all.payments, *paymentsFlag)
	}
}

// parallel returns how many tests may run at once.
func parallel(t *testing.T) int64 {
	t.Helper()
	n, err := strconv.ParseInt(flag.Lookup("test.parallel").Value.String(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// oneRun makes a run of that many payments and checks it.
func oneRun(t *testing.T, seed uint64, size int, all *totals) {
	t.Helper()
	began := time.Now()
	s := start(t, seed, sqltest.Open(t, sqltest.File(t)))
	s.repeat = fmt.Sprintf("make sim-million SEED=%d PAYMENTS=%d RUN=%d", seed, size, size)
	steps := 0
	for ; s.payments() < size && steps < size*stepsPerPayment; steps++ {
		s.step(s.accounts[s.dice.n(accounts)])
	}
	s.quiesce()
	s.check()
	took := time.Since(began)
	t.Logf("seed %d: %d payments, %d steps in %s (%.0f payments/s), %d faults, %d objects checked, %d violations", seed,
		s.checks["payments"], steps, took.Round(time.Second), float64(size)/took.Seconds(), sum(s.faults), sum(s.checks), s.violations)
	all.add(s, steps)
}

func sum(counts map[string]int) (n int) {
	for _, one := range counts {
		n += one
	}
	return n
}

func sorted(counts map[string]int) string {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	return strings.Join(list, ", ")
}
