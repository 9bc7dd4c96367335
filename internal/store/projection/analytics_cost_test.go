//go:build unix

package projection_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// BenchmarkAnalytics measures how much of a processor the analytics store needs for an assessed
// payment, with the events of a paid link. At 1,500 payments a second, 60 µs are 9 % of one core.
func BenchmarkAnalytics(b *testing.B) {
	const payments, together = 3000, 200
	s := open(b, engines["SQLite"](b))
	begun := openAnalytics(b, s, filepath.Join(b.TempDir(), "analytics.db"))
	account := id.New(id.Account)
	sqltest.Append(b, s, happened(account, "link_1")) // an empty feed has no place to continue from
	told := int64(1)
	for range b.N {
		if err := begun.Begin(b.Context()); err != nil {
			b.Fatal(err)
		}
		var batch []stream.Event
		for n := range payments {
			l, at := id.New(id.Link), storetest.Epoch.Add(time.Duration(n)*time.Millisecond)
			events := life(b, account, l, at, 10) // neither blocked nor reviewed
			for _, e := range events {
				if e.Type != "refund.created" && e.Type != "refund.succeeded" {
					batch = append(batch, e)
				}
			}
			if n%together == together-1 {
				sqltest.Append(b, s, batch...)
				told += int64(len(batch))
				batch = batch[:0]
			}
		}
		placed, err := s.FeedAfter(b.Context(), told-1)
		if err != nil || len(placed) != 1 { // positions rise by one, from 1 on
			b.Fatal(len(placed), err)
		}
		last := placed[0].Position
		before := used(b)
		stop := running(b, begun)
		await.Until(b, "the analytics store has caught up", func() bool {
			at, _, err := begun.At(b.Context())
			return err == nil && at == last
		})
		b.ReportMetric(float64((used(b)-before).Microseconds())/payments, "cpu-µs/payment")
		stop()
	}
}
