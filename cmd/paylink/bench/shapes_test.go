//go:build linux

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
)

// commitsEach is the number of durable commits of a complete payment: the link, the payment
// begun, the payment settled.
const commitsEach = 3

var shapeLevels = []int{16, 64}

// shape is one way to run the product, with its engine's limit.
type shape struct {
	name   string
	server *server
	limit  func(took time.Duration) float64 // commits per second; the server has ended
}

type shapeRow struct {
	measured
	limit float64
}

func (r shapeRow) share() float64 { return commitsEach * r.rate() / r.limit }

func TestMain(m *testing.M) { os.Exit(dynamotest.Main(m)) }

// BenchmarkShapes makes complete payments on the three deployments, each beside the throughput of
// the plain driver on the same engine, and prints one table.
func BenchmarkShapes(b *testing.B) {
	for range b.N {
		warm, level, raw := times(b)
		before := load()
		var all []shapeRow
		for _, open := range []func(*testing.B) shape{embedded, onPostgres, onBoth} {
			all = append(all, open(b).rows(b, warm, level, raw)...)
		}
		reportShapes(before, all)
	}
}

func (s shape) rows(b *testing.B, warm, level, raw time.Duration) (all []shapeRow) {
	b.Helper()
	for _, clients := range shapeLevels {
		m, err := s.server.measure(s.name, clients, warm, level, s.server.payments)
		if err != nil {
			b.Fatalf("%s at %d clients: %v", s.name, clients, err)
		}
		all = append(all, shapeRow{measured: m})
	}
	s.server.stop(b)
	limit := s.limit(raw)
	for i := range all {
		all[i].limit = limit
	}
	return all
}

func embedded(b *testing.B) shape {
	s := start(b)
	return shape{name: "embedded, SQLite", server: s, limit: func(took time.Duration) float64 {
		return rawSQLite(b, sampled(b, "sqlite", "file:"+filepath.Join(s.data, "paylink.db")), took)
	}}
}

func onPostgres(b *testing.B) shape {
	cluster := pgtest.NewOnDisk(b)
	database := cluster.Database(b)
	s, root := start(b, "--store", database), postmaster(b, database)
	s.engine = func() time.Duration { return timeOf(family(b, root)) }
	return shape{name: "one process, PostgreSQL", server: s,
		limit: func(took time.Duration) float64 {
			return rawPostgres(b, cluster.Database(b), sampled(b, "pgx", database), took)
		}}
}

func onBoth(b *testing.B) shape {
	cluster := pgtest.NewOnDisk(b)
	database, table := cluster.Database(b), dynamotest.URL(b)
	b.Setenv("PAYLINK_STORE", database)
	b.Setenv("PAYLINK_PAYMENTS_STORE", table)
	s, root := distributed(b), postmaster(b, database)
	s.engine = func() time.Duration { return timeOf(append(family(b, root), childrenNamed(b, os.Getpid(), "java")...)) }
	return shape{name: "distributed, DynamoDB Local", server: s,
		limit: func(took time.Duration) float64 { return rawDynamo(b, table, dynamotest.URL(b), took) }}
}

// postmaster returns the parent of the process that answers a connection.
func postmaster(b *testing.B, database string) int {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), database)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(b.Context()) }()
	var pid int
	if err := conn.QueryRow(b.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		b.Fatal(err)
	}
	_, parent, err := nameAndParent(pid)
	if err != nil {
		b.Fatal(err)
	}
	return parent
}

// family returns a process and its children.
func family(b *testing.B, pid int) []int { return append(childrenNamed(b, pid, ""), pid) }

// childrenNamed returns the children of a process with a name, or all if it is empty.
func childrenNamed(b *testing.B, parent int, want string) (pids []int) {
	b.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		name, above, err := nameAndParent(pid)
		if err == nil && above == parent && (want == "" || name == want) { // an error: it has ended in the meantime
			pids = append(pids, pid)
		}
	}
	return pids
}

func nameAndParent(pid int) (name string, parent int, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0, err
	}
	before, after, _ := strings.Cut(string(raw), ") ")
	_, name, _ = strings.Cut(before, "(")
	fields := strings.Fields(after)
	parent, err = strconv.Atoi(fields[1])
	return name, parent, err
}

// timeOf returns the time of processes; one that has ended counts zero.
func timeOf(pids []int) (used time.Duration) {
	for _, pid := range pids {
		if one, err := processorTime(pid); err == nil {
			used += one
		}
	}
	return used
}

func reportShapes(before string, all []shapeRow) {
	out := &strings.Builder{}
	_, _ = fmt.Fprintf(
		out,
		"\ncomplete payments in the three shapes; load average %s before and %s after; clients, servers and engines share the machine\n\n",
		before,
		load(),
	)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "shape\tclients\tper second\tp50\tp99\tserver CPU each\tengine CPU each\tprocesses MiB\traw commits\tshare\t")
	for _, r := range all {
		_, _ = fmt.Fprintf(
			t,
			"%s\t%d\t%.0f\t%s\t%s\t%s\t%s\t%.0f\t%.0f\t%.0f %%\t\n",
			r.name,
			r.clients,
			r.rate(),
			ms(percentile(r.whole, 0.5)),
			ms(percentile(r.whole, 0.99)),
			ms(r.each(r.serverCPU)),
			ms(r.each(r.engineCPU)),
			r.rss,
			r.limit,
			100*r.share(),
		)
	}
	_ = t.Flush()
	_, _ = fmt.Fprintf(
		out,
		"\nraw commits: what the engine's plain driver commits a second with the same rows at %d writers, server stopped; share: %d commits a payment x payments, of that\n",
		rawWriters,
		commitsEach,
	)
	_, _ = fmt.Fprintln(os.Stdout, out.String())
}
