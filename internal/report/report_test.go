package report_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
)

func TestTerms(t *testing.T) {
	p := report.Payment{PayerName: "  Ada  LOVELACE ", PayerEmail: "Ada@Example.org", Reference: "INV-2026/0042", CardLast4: "4242"}
	want := []string{"4242", "ada@example.org", "example.org", "ada", "lovelace", "inv-2026/0042", "2026/0042", "0042"}
	if got := p.Terms(); !slices.Equal(got, want) {
		t.Errorf("terms %q", got)
	}
	p = report.Payment{PayerName: "\xff名前 名前", Reference: "---"}
	if got := p.Terms(); !slices.Equal(got, []string{"名前", "前", "---"}) {
		t.Errorf("terms %q", got)
	}
}

// TestPeriods checks that points begin where days, weeks and months do in the zone, also where
// the clock changes, and that an invalid period is refused.
func TestPeriods(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		days, points int
		unit         report.Unit
	}{{1, 24, report.ByHour}, {31, 31, report.ByDay}, {90, 14, report.ByWeek}, {365, 12, report.ByMonth}} {
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, berlin)
		p := report.Period{From: from, To: from.AddDate(0, 0, c.days), Zone: "Europe/Berlin"}
		zone, err := p.Check()
		if err != nil {
			t.Fatal(err)
		}
		last := p.To.Add(-time.Hour)
		o := report.Fold(
			p,
			zone,
			[]report.Hour{
				{From: p.From, Currency: "EUR", Figures: report.Figures{Volume: 1}},
				{From: last, Currency: "EUR", Figures: report.Figures{Volume: 2}},
				{From: p.From.Add(-time.Hour), Currency: "EUR", Figures: report.Figures{Volume: 4}},
			},
			nil,
		)
		series := o.Parts[0].Series
		if o.Unit != c.unit || len(series) != c.points || o.Parts[0].Total.Volume != 3 || o.Parts[0].Before.Volume != 4 ||
			series[0].Volume != 1 || series[len(series)-1].Volume != 2 {
			t.Errorf("%d days: %s, %d points, %+v", c.days, o.Unit, len(series), o.Parts[0].Total)
		}
		for _, at := range series {
			if c.unit != report.ByHour && at.From.In(berlin).Hour() != 0 {
				t.Errorf("a point of %s begins at %s", c.unit, at.From)
			}
		}
	}
	now := time.Now()
	for name, p := range map[string]report.Period{"no time at all": {From: now, To: now}, "backwards": {From: now, To: now.AddDate(0, 0, -1)},
		"too long": {From: now, To: now.AddDate(2, 0, 0)}, "no zone": {From: now, To: now.AddDate(0, 0, 1), Zone: "Mars/Olympus"},
		"the machine's": {From: now, To: now.AddDate(0, 0, 1), Zone: "Local"}} {
		if _, err := p.Check(); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStepsAreWhole(t *testing.T) {
	for step, want := range map[report.Step]report.Step{0: 0, report.Opened: report.Opened, report.Started: report.Opened | report.Started,
		report.Paid: report.Opened | report.Started | report.Submitted | report.Paid} {
		if got := step.Whole(); got != want {
			t.Errorf("%b is whole as %b", step, got)
		}
	}
}

func TestFiguresAddUp(t *testing.T) {
	var sum report.Figures
	for _, s := range report.Statuses {
		f, _ := report.FiguresOf(report.Payment{ID: "pay_1", Status: s, Captured: 10, Refunded: 3})
		sum.Add(f)
	}
	if sum.Payments() != int64(len(report.Statuses)) || sum.Approved() != 4 || sum.Declined() != 1 || sum.ByStatus[payment.Review] != 1 {
		t.Errorf("%+v", sum)
	}
	if rest := sum.Minus(sum); !rest.Empty() || rest.Volume != 0 || len(rest.ByStatus) != 0 {
		t.Errorf("left %+v", rest)
	}
}

// book is a service that records its calls.
type book struct {
	report.Service
	mu   sync.Mutex
	seen []report.Sighting
}

func (b *book) Seen(_ context.Context, all []report.Sighting) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, all...)
	return nil
}

// TestBeacons checks that steps of one link are sent together, some time later, the last ones
// when the process ends, and that links beyond the limit are dropped without waiting.
func TestBeacons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &book{}
		b := report.NewBeacons(to, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = b.Run(ctx) }()
		b.Report("acct", "test", "lnk", report.Opened)
		b.Report("acct", "test", "lnk", report.Started)
		<-time.After(3 * time.Second) // of the synctest bubble's clock
		synctest.Wait()
		if len(to.seen) != 1 || to.seen[0].Step != report.Opened|report.Started {
			t.Errorf("told %+v", to.seen)
		}
		for i := range 20_000 {
			b.Report("acct", "test", string(rune('a'+i%26))+time.Duration(i).String(), report.Opened)
		}
		cancel()
		synctest.Wait()
		if len(to.seen) != 10_001 {
			t.Errorf("told of %d links", len(to.seen))
		}
	})
}
