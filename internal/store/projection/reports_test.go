package projection_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// lifeOf returns the events of a payment's life: declined, or captured and partly refunded.
func lifeOf(t testing.TB, account, linkID string, at time.Time, declined bool) []stream.Event {
	t.Helper()
	p := payment.Payment{
		ID:         payment.IDFor(linkID, "attempt"),
		Account:    account,
		Mode:       link.Test,
		Link:       linkID,
		Issuer:     "simulator",
		Amount:     money.Of(1250, "EUR"),
		CardBrand:  "visa",
		CardLast4:  "4242",
		PayerName:  "Ada Lovelace",
		PayerEmail: "Ada@Example.org",
		Reference:  "INV-2026/0042",
		CreatedAt:  at,
		UpdatedAt:  at,
	}
	var events []stream.Event
	emit := func(kind string, object any) {
		data, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		events = append(
			events,
			stream.Event{ID: id.New(id.Event), Type: kind, Account: account, Mode: link.Test, Object: p.ID, ObjectSeq: int64(len(events) + 1),
				CreatedAt: at, Data: data},
		)
	}
	status := func(s payment.Status) {
		p.Status = s
		emit("payment."+string(s), payment.Object(p))
	}
	status(payment.Created)
	status(payment.Processing)
	if declined {
		p.DeclineCode = "insufficient_funds"
		status(payment.Declined)
		return events
	}
	p.CapturedMinor = p.Amount.Minor
	status(payment.Succeeded)
	refund := payment.Refund{ID: id.New(id.Refund), Minor: 250, Status: payment.RefundPending, CreatedAt: at}
	emit("refund.created", payment.RefundObject(p, refund))
	refund.Status = payment.RefundSucceeded
	emit("refund.succeeded", payment.RefundObject(p, refund))
	return events
}

func created(account, linkID string, at time.Time) stream.Event {
	return stream.Event{
		ID:        id.New(id.Event),
		Type:      link.EventCreated,
		Account:   account,
		Mode:      link.Test,
		Object:    linkID,
		ObjectSeq: 1,
		CreatedAt: at,
		Data:      []byte(`{"currency":"EUR","createdAt":"` + link.FormatTime(at) + `"}`),
	}
}

// TestReports checks that the payments of the store are in rows and sums, and are found by what a
// person remembers, in their own account and mode only.
func TestReports(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		r := openReports(t, s, filepath.Join(t.TempDir(), "reports.db"))
		running(t, r)
		account := id.New(id.Account)
		var made []payment.Payment
		for i, o := range []issuer.Outcome{issuer.Approved, issuer.Declined, issuer.Approved, issuer.Ambiguous} {
			l := storetest.NewLink(account, 1)
			begin := storetest.Begin(t, l, fmt.Sprintf("attempt-%012d", i))
			answer := storetest.Answered(t, begin.Payment, o)
			if err := errors.Join(s.CreateLink(t.Context(), l, []stream.Event{created(account, l.ID, storetest.Epoch)}, nil),
				s.CommitPayment(t.Context(), begin), s.CommitPayment(t.Context(), answer)); err != nil {
				t.Fatal(err)
			}
			made = append(made, answer.Payment)
		}
		unopened := storetest.NewLink(account, 1)
		if err := s.CreateLink(t.Context(), unopened, []stream.Event{created(account, unopened.ID, storetest.Epoch)}, nil); err != nil {
			t.Fatal(err)
		}
		// Browsers cannot report paid.
		seen := []report.Sighting{{Account: account, Mode: link.Test, Link: unopened.ID, Step: report.Started | report.Paid}}
		if err := errors.Join(r.Seen(t.Context(), seen), r.Seen(t.Context(), seen)); err != nil {
			t.Fatal(err)
		}
		followed(t, r)
		page, err := r.Search(t.Context(), report.Query{Account: account, Mode: link.Test})
		if err != nil || len(page.Payments) != len(made) || page.Next != "" {
			t.Fatalf("%d rows, next %q, %v", len(page.Payments), page.Next, err)
		}
		for _, p := range made {
			at := slices.IndexFunc(page.Payments, func(row report.Payment) bool { return row.ID == p.ID })
			if at < 0 || page.Payments[at] != report.Expected(p) {
				t.Errorf("row of %s:\n%+v\nwant\n%+v", p.ID, page.Payments[max(at, 0)], report.Expected(p))
			}
		}
		period := report.Period{Account: account, Mode: link.Test, From: storetest.Epoch.Add(-time.Hour), To: storetest.Epoch.Add(time.Hour)}
		o, err := r.Overview(t.Context(), period)
		if err != nil || len(o.Parts) != 1 {
			t.Fatalf("%+v %v", o, err)
		}
		total := o.Parts[0].Total
		if total.Payments() != 4 || total.Approved() != 2 || total.Declined() != 1 || total.Volume != 2500 ||
			total.Links != [5]int64{5, 5, 5, 4, 2} {
			t.Errorf("figures %+v", total)
		}
		if d := o.Parts[0].Declines; len(d) != 1 || d[0].Count != 1 {
			t.Errorf("declines %+v", d)
		}
		for name, q := range map[string]report.Query{"another account": {Account: id.New(id.Account), Mode: link.Test},
			"the other mode":        {Account: account, Mode: link.Live},
			"another account by id": {Account: id.New(id.Account), Mode: link.Test, Text: made[0].ID}} {
			if page, err := r.Search(t.Context(), q); err != nil || len(page.Payments) > 0 {
				t.Errorf("%s sees %d, %v", name, len(page.Payments), err)
			}
		}
	})
}

// TestReportsSearch searches by each thing that people remember, and by what does not exist.
func TestReportsSearch(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		r := openReports(t, s, filepath.Join(t.TempDir(), "reports.db"))
		account, linkID := id.New(id.Account), id.New(id.Link)
		events := lifeOf(t, account, linkID, storetest.Epoch, false)
		place(events, 1)
		if err := r.Project(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		for text, finds := range map[string]bool{events[0].Object: true, linkID: true, "4242": true, "inv-2026": true, "0042": true,
			"2026": true, "ADA": true,
			"love": true, "lovelace ada": true, "ada@example.org": true, "example.o": true, "": true, "  ada  ": true,
			"velace": false, "4241": false, "ada hopper": false, "%": false, "_da": false, `\`: false, "ada\x00": true, "\xff": true, id.New(id.Payment): false, id.New(id.Link): false} {
			page, err := r.Search(t.Context(), report.Query{Account: account, Mode: link.Test, Text: text})
			if err != nil || (len(page.Payments) == 1) != finds {
				t.Errorf("%q finds %d, %v", text, len(page.Payments), err)
			}
		}
		for _, cursor := range []string{"-1", "0", "zz zz", "ÿ", "00a", "ZZ"} {
			if _, err := r.Search(t.Context(), report.Query{Account: account, Mode: link.Test, Before: cursor}); fault.Code(
				err,
			) != "cursor_invalid" {
				t.Errorf("cursor %q: %v", cursor, err)
			}
		}
	})
}

// TestReportsByDaysOfZones checks that the figures of a day, of a period read by hours and of one
// read by days of UTC match the list of the same days, also where a day has 23 or 25 hours,
// begins beside a full hour, or is the 29th of February.
func TestReportsByDaysOfZones(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		r := openReports(t, s, filepath.Join(t.TempDir(), "reports.db"))
		position := int64(1)
		for _, c := range []struct{ zone, day string }{{"Europe/Berlin", "2027-03-28"}, {"Europe/Berlin", "2027-10-31"},
			{"Asia/Kathmandu", "2028-02-29"},
			{"Asia/Kolkata", "2027-03-28"}, {"Pacific/Auckland", "2027-04-04"}, {"Pacific/Auckland", "2027-09-26"},
			{"Australia/Lord_Howe", "2027-04-04"}} {
			account := id.New(id.Account)
			zone, err := calendar.Zone("zone", c.zone)
			if err != nil {
				t.Fatal(err)
			}
			day, _ := calendar.ParseDay(c.day)
			start, end := day.Start(zone), day.End(zone)
			for n, at := range []time.Time{start.Add(-time.Millisecond), start, start.Add(40 * time.Minute), end.Add(-time.Millisecond), end,
				end.Add(20 * time.Minute)} {
				linkID := id.New(id.Link)
				events := append([]stream.Event{created(account, linkID, at)}, lifeOf(t, account, linkID, at, n == 2)...)
				place(events, position)
				position += int64(len(events))
				if err := r.Project(t.Context(), events); err != nil {
					t.Fatal(err)
				}
			}
			for _, days := range []struct {
				before, after int
				want          int64
			}{{0, 0, 3}, {0, 1, 5}, {1, 0, 4}, {30, 0, 4}, {0, 30, 5}, {100, 0, 4}, {0, 100, 5}, {100, 100, 6}} {
				p := report.Period{
					Account: account,
					Mode:    link.Test,
					From:    day.Add(-days.before).Start(zone),
					To:      day.Add(days.after).End(zone),
					Zone:    c.zone,
				}
				page, err := r.Search(t.Context(), report.Query{Account: account, Mode: link.Test, From: p.From, To: p.To})
				if err != nil || int64(len(page.Payments)) != days.want {
					t.Errorf("%s in %s, %+v: a list of %d, %v", c.day, c.zone, days, len(page.Payments), err)
				}
				o, err := r.Overview(t.Context(), p)
				if err != nil || len(o.Parts) != 1 {
					t.Fatalf("%s in %s, %+v: %+v, %v", c.day, c.zone, days, o, err)
				}
				part := o.Parts[0]
				if part.Total.Payments() != days.want || part.Total.Links[0] != days.want || len(part.Declines) != 1 || part.Declines[0].Count != 1 {
					t.Errorf(
						"%s in %s, %+v: %d payments, %d links, declines %+v",
						c.day,
						c.zone,
						days,
						part.Total.Payments(),
						part.Total.Links[0],
						part.Declines,
					)
				}
				var sum int64
				for i, point := range part.Series {
					sum += point.Payments()
					if o.Unit == report.ByDay && point.From.Equal(start) && point.Payments() != 3 {
						t.Errorf("%s in %s, %+v: point %d has %d", c.day, c.zone, days, i, point.Payments())
					}
				}
				if sum != days.want {
					t.Errorf("%s in %s, %+v: points of %d", c.day, c.zone, days, sum)
				}
			}
			after := report.Period{Account: account, Mode: link.Test, From: end, To: day.Add(1).End(zone), Zone: c.zone}
			if o, err := r.Overview(t.Context(), after); err != nil || o.Parts[0].Before.Payments() != 3 || o.Parts[0].Total.Payments() != 2 {
				t.Errorf("the day before %s in %s: %+v, %v", after.From, c.zone, o.Parts, err)
			}
		}
	})
}

func place(events []stream.Event, from int64) {
	for i := range events {
		events[i].Position = from + int64(i)
	}
}

// TestReportsTwice checks that the same payments give the same rows and sums in one batch, event
// by event, with repeated and late events, and with batches whose answer a process has lost:
// exactly once in effect. A batch from an outdated checkpoint changes nothing.
func TestReportsTwice(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		random := rand.New(rand.NewPCG(3, 4))
		account := id.New(id.Account)
		var events []stream.Event
		for n := range 40 {
			l, at := id.New(id.Link), storetest.Epoch.Add(time.Duration(n)*17*time.Minute)
			events = append(events, created(account, l, at))
			events = append(events, lifeOf(t, account, l, at, n%3 == 0)...)
		}
		place(events, 1)
		reports := func() *projection.Reports {
			base := url
			if url[:6] == "sqlite" {
				base = engines["SQLite"](t)
			}
			return openReports(t, open(t, base), filepath.Join(t.TempDir(), "reports.db"))
		}
		r := reports()
		if err := r.Project(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		want, err := r.Dump(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		again := reports()
		if err := again.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(events); {
			n := min(1+random.IntN(7), len(events)-at)
			batch := slices.Clone(events[at : at+n])
			for range random.IntN(4) { // from before the checkpoint, in any order
				if at > 0 {
					batch = slices.Insert(batch, random.IntN(len(batch)), events[random.IntN(at)])
				}
			}
			batch = append(batch[:len(batch):len(batch)], events[at+n-1]) // the last one again
			if err := again.Project(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			if err := again.ProjectFrom(t.Context(), max(0, events[at].Position-1), batch); err == nil {
				t.Fatal("a batch was written from where the checkpoint had been")
			}
			at += n
		}
		got, err := again.Dump(t.Context())
		if err != nil || got != want {
			t.Fatalf("%v\n--- once\n%s\n--- again and again\n%s", err, want, got)
		}
	})
}

// TestReportsKilled stops the process between batches repeatedly, and the next one continues from
// the file. Then the file is damaged, and then the store is another one: each time everything is
// rebuilt.
func TestReportsKilled(t *testing.T) {
	url, path := engines["SQLite"](t), filepath.Join(t.TempDir(), "reports.db")
	s, account := open(t, url), id.New(id.Account)
	made := 0
	check := func(r *projection.Reports) {
		t.Helper()
		followed(t, r)
		o, err := r.Overview(
			t.Context(),
			report.Period{Account: account, Mode: link.Test, From: storetest.Epoch.Add(-time.Hour), To: storetest.Epoch.Add(time.Hour)},
		)
		if err != nil || o.Parts[0].Total.Payments() != int64(made) || o.Parts[0].Total.Volume != int64(1250*made) {
			t.Fatalf("after %d payments: %+v %v", made, o.Parts, err)
		}
	}
	pay := func() {
		t.Helper()
		l := storetest.NewLink(account, 1)
		begin := storetest.Begin(t, l, "attempt-000000000001")
		if err := errors.Join(s.CreateLink(t.Context(), l, nil, nil), s.CommitPayment(t.Context(), begin),
			s.CommitPayment(t.Context(), storetest.Answered(t, begin.Payment, issuer.Approved))); err != nil {
			t.Fatal(err)
		}
		made++
	}
	round := func() {
		t.Helper()
		r := openReports(t, s, path)
		stop := running(t, r)
		for range 5 {
			pay()
		}
		if made%2 == 0 {
			check(r)
		}
		stop()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		round()
	}
	if err := os.WriteFile(path, []byte("this is no database, and it is long enough to be looked at as one: the header says so, or does not"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(path + "-wal")
	round()
	other := open(t, engines["SQLite"](t))
	r := openReports(t, other, path)
	if at, err := r.Start(t.Context()); err != nil || at != 0 {
		t.Fatalf("with another store it goes on at %d, %v", at, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = openReports(t, s, path)
	left := int64(-1)
	if err := r.Rebuild(t.Context(), func(n int64) { left = n }); err != nil || left != 0 {
		t.Fatalf("rebuilt with %d left, %v", left, err)
	}
	check(r)
}
