//go:build unix

package projection_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// BenchmarkReports measures how much of a processor the projection needs for a payment with the
// five events of a paid link, to read them and to write the rows. At 1,500 payments a second, 100
// µs are 15 % of one core.
func BenchmarkReports(b *testing.B) {
	const payments, together = 5000, 200
	s := open(b, engines["SQLite"](b))
	account := id.New(id.Account)
	var batch []stream.Event
	var events int64
	for n := range payments {
		l, at := id.New(id.Link), storetest.Epoch.Add(time.Duration(n)*time.Millisecond)
		batch = append(append(batch, created(account, l, at)), lifeOf(b, account, l, at, n%10 == 0)...)
		if n%together == together-1 {
			sqltest.Append(b, s, batch...)
			events += int64(len(batch))
			batch = batch[:0]
		}
	}
	for b.Loop() {
		r := openReports(b, s, filepath.Join(b.TempDir(), "reports.db"))
		before := used(b)
		stop := running(b, r)
		await.Until(b, "the reports have caught up", func() bool {
			at, err := r.Checkpoint(b.Context())
			return err == nil && at == events // positions rise by one, from 1 on
		})
		b.ReportMetric(float64((used(b)-before).Microseconds())/payments, "cpu-µs/payment")
		stop()
	}
}

// used returns the processor time that this process has used.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
