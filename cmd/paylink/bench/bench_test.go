//go:build linux

package bench

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// The parameters of a run; BENCH_SECONDS changes how long each level is measured.
const (
	levelSeconds  = 8
	warmUp        = 2 * time.Second
	limitClients  = 64 // the level for which the ratios are printed
	targetRate    = 1500
	targetLatency = 100 * time.Millisecond
)

var levels = []int{1, 16, 64, 256}

func times(b *testing.B) (warm, level, raw time.Duration) {
	b.Helper()
	seconds := float64(levelSeconds)
	if s := os.Getenv("BENCH_SECONDS"); s != "" {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || n <= 0 || n > 600 {
			b.Fatalf("BENCH_SECONDS %q: want seconds, up to 600", s)
		}
		seconds = n
	}
	level = time.Duration(seconds * float64(time.Second))
	return min(warmUp, level/4), level, level / 4
}

// limits are the machine's limits, measured in the same run.
type limits struct {
	syncs, sign, verify float64
	nothing             measured
	writers             []int
	commits             []float64
}

// BenchmarkPaylink drives the whole binary over loopback and prints one table.
func BenchmarkPaylink(b *testing.B) {
	for range b.N {
		warm, level, raw := times(b)
		before := load()
		s := start(b)
		var rows []measured
		for _, phase := range []struct {
			name string
			do   work
		}{{"link", s.links}, {"payment", s.payments}} {
			for _, clients := range levels {
				m, err := s.measure(phase.name, clients, warm, level, phase.do)
				if err != nil {
					b.Fatalf("%s at %d clients: %v", phase.name, clients, err)
				}
				rows = append(rows, m)
			}
		}
		_, peak, err := s.memory()
		if err != nil {
			b.Fatal(err)
		}
		l := s.limits(b, raw)
		report(before, rows, peak, l)
		for _, m := range rows {
			if m.name == "payment" && m.clients == limitClients {
				b.ReportMetric(m.rate(), "payments/s")
				b.ReportMetric(float64(percentile(m.whole, 0.99).Milliseconds()), "p99-ms")
			}
		}
	}
}

func (s *server) limits(b *testing.B, took time.Duration) (l limits) {
	b.Helper()
	var err error
	if l.nothing, err = s.measure("healthz", limitClients, took/4, took, nothing); err != nil {
		b.Fatal(err)
	}
	if l.syncs, err = syncs(b.TempDir(), took); err != nil {
		b.Fatal(err)
	}
	if l.sign, l.verify, err = signatures(took / 2); err != nil {
		b.Fatal(err)
	}
	for _, writers := range []int{1, 16, 64} {
		l.writers = append(l.writers, writers)
		l.commits = append(l.commits, commits(b, writers, took))
	}
	return l
}

func report(before string, rows []measured, peak float64, l limits) {
	out := &strings.Builder{}
	_, _ = fmt.Fprintf(
		out,
		"\n%d processors, load average %s before and %s after; clients and server share the machine\n\n",
		runtime.NumCPU(),
		before,
		load(),
	)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\t\n", args...) }
	line("what\tclients\tper second\tp50\tp99\trequest p50\trequest p99\tserver CPU each\tclient CPU each\tserver MiB")
	show := func(m measured) {
		line(
			"%s\t%d\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t%.0f",
			m.name,
			m.clients,
			m.rate(),
			ms(percentile(m.whole, 0.5)),
			ms(percentile(m.whole, 0.99)),
			ms(percentile(m.requests, 0.5)),
			ms(percentile(m.requests, 0.99)),
			ms(m.each(m.serverCPU)),
			ms(m.each(m.clientCPU)),
			m.rss,
		)
	}
	for _, m := range rows {
		show(m)
	}
	show(l.nothing)
	_ = t.Flush()
	_, _ = fmt.Fprintf(out, "\nmost server memory: %.0f MiB\n\nlimits of the machine, in this run, per second\n", peak)
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line("fdatasync of 4 KiB, one writer\t%.0f", l.syncs)
	for i, writers := range l.writers {
		line("link commits in the store, %d writers\t%.0f", writers, l.commits[i])
	}
	line("Ed25519 sign, one core\t%.0f", l.sign)
	line("Ed25519 verify, one core\t%.0f", l.verify)
	line("HTTP requests that do nothing, %d clients\t%.0f", limitClients, l.nothing.rate())
	_ = t.Flush()
	ratios(out, rows, l)
	_, _ = fmt.Fprintln(os.Stdout, out.String())
}

// ratios returns how near the product comes to those limits at one level.
func ratios(out *strings.Builder, rows []measured, l limits) {
	_, _ = fmt.Fprintf(out, "\nratios at %d clients\n", limitClients)
	for _, m := range rows {
		if m.clients != limitClients {
			continue
		}
		requests := float64(len(m.requests)) / m.took.Seconds()
		_, _ = fmt.Fprintf(out, "  %ss per fdatasync of one writer  %.2f\n", m.name, m.rate()/l.syncs)
		_, _ = fmt.Fprintf(
			out,
			"  %ss per link commit of the store at %d writers  %.2f\n",
			m.name,
			l.writers[len(l.writers)-1],
			m.rate()/l.commits[len(l.commits)-1],
		)
		_, _ = fmt.Fprintf(out, "  requests of %ss per request that does nothing  %.2f\n", m.name, requests/l.nothing.rate())
		if m.name == "payment" {
			_, _ = fmt.Fprintf(
				out,
				"  target %d payments/s with p99 of %s at most: %.0f/s, p99 %s\n",
				targetRate,
				targetLatency,
				m.rate(),
				ms(percentile(m.whole, 0.99)),
			)
		}
	}
}

func ms(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 2, 64) + " ms"
}
