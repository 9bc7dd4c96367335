//go:build linux

package bench

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// The parameters of the comparison: short turns, so that a neighbor's load affects both sides,
// and the median of many pairs, so that one bad turn has no effect.
const (
	fraudTurns   = 12
	fraudTurn    = 3 * time.Second
	fraudClients = 16
	mostFall     = 0.10
)

// BenchmarkFraud makes complete payments with and without assessment, in turns on two otherwise
// equal servers, and reports the loss in throughput.
func BenchmarkFraud(b *testing.B) {
	for range b.N {
		on, off := start(b), start(b, "--fraud", "off")
		var with, without, falls []float64
		turn := func(s *server, took time.Duration) measured {
			m, err := s.measure("payment", fraudClients, took/6, took, s.payments)
			if err != nil {
				b.Fatal(err)
			}
			return m
		}
		turn(on, fraudTurn)
		turn(off, fraudTurn)
		var cpuOn, cpuOff []time.Duration
		for n := range fraudTurns {
			sides := []*server{on, off}
			if n%2 == 1 { // alternates which server goes second
				slices.Reverse(sides)
			}
			rates := map[*server]float64{}
			for _, s := range sides {
				m := turn(s, fraudTurn)
				rates[s] = m.rate()
				if s == on {
					cpuOn = append(cpuOn, m.each(m.serverCPU))
				} else {
					cpuOff = append(cpuOff, m.each(m.serverCPU))
				}
			}
			with, without = append(with, rates[on]), append(without, rates[off])
			falls = append(falls, 1-rates[on]/rates[off])
		}
		slices.Sort(falls)
		slices.Sort(cpuOn)
		slices.Sort(cpuOff)
		fall := middle(falls)
		_, _ = fmt.Fprintf(
			os.Stdout,
			"\ncomplete payments per second, %d clients, %d turns of %s each in turn\n  looked at  %.0f (CPU %s each)\n  not        %.0f (CPU %s each)\n  the fall in the middle pair  %.1f %% (quarters %.1f to %.1f %%), wanted at most %.0f %%\n",
			fraudClients,
			fraudTurns,
			fraudTurn,
			middle(sorted(with)),
			ms(middle(cpuOn)),
			middle(sorted(without)),
			ms(middle(cpuOff)),
			100*fall,
			100*falls[len(falls)/4],
			100*falls[len(falls)*3/4],
			100*mostFall,
		)
		b.ReportMetric(100*fall, "fall-%")
		b.ReportMetric(middle(sorted(with)), "payments/s")
	}
}

func sorted(v []float64) []float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v
}

// middle returns the median of sorted values.
func middle[T any](v []T) T { return v[len(v)/2] }
