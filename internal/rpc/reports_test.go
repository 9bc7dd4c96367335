package rpc_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
)

func TestReportsService(t *testing.T) { both(t, reportsSuite) }

func reportsSuite(t *testing.T, b serviceSet) {
	ctx := t.Context()
	account := b.account(t).Account
	for range 3 {
		l, err := b.links.Create(ctx, linkRequest(account))
		good(t, err)
		_, err = b.transactions.Submit(
			ctx,
			payment.Submit{Link: l, Attempt: "attempt-0000000001", Card: card(t, "4242424242424242"), PayerName: "Ada", Amount: l.Amount},
		)
		good(t, err)
	}
	l, err := b.links.Create(ctx, linkRequest(account))
	good(t, err)
	good(t, b.reports.Seen(ctx, []report.Sighting{{Account: account.ID, Mode: link.Test, Link: l.ID, Step: report.Opened}}))
	b.world.reported(t)
	q := report.Query{Account: account.ID, Mode: link.Test, Text: "ada", Limit: 2}
	page, err := b.reports.Search(ctx, q)
	good(t, err)
	if len(page.Payments) != 2 || page.Next == "" || page.Payments[0].PayerName != "Ada" || page.Payments[0].CreatedAt.IsZero() {
		t.Errorf("first page %+v", page)
	}
	q.Before = page.Next
	if page, err = b.reports.Search(ctx, q); err != nil || len(page.Payments) != 1 || page.Next != "" {
		t.Errorf("second page %+v, %v", page, err)
	}
	q.Before = "not a place"
	_, err = b.reports.Search(ctx, q)
	is(t, err, fault.KindInvalid, "cursor_invalid", "cursor")
	p := report.Period{
		Account: account.ID,
		Mode:    link.Test,
		From:    time.Now().Add(-24 * time.Hour),
		To:      time.Now().Add(time.Hour),
		Zone:    "Europe/Berlin",
	}
	o, err := b.reports.Overview(ctx, p)
	good(t, err)
	want, err := b.world.reports.Overview(ctx, p)
	good(t, err)
	if len(o.Parts) != 1 || !reflect.DeepEqual(o.Parts[0].Total, want.Parts[0].Total) || len(o.Parts[0].Series) != len(want.Parts[0].Series) ||
		o.Parts[0].Total.Links != [5]int64{4, 4, 3, 3, 3} {
		t.Errorf("overview %+v\nwant %+v", o, want)
	}
	p.Zone = "Mars/Olympus"
	_, err = b.reports.Overview(ctx, p)
	is(t, err, fault.KindInvalid, "time_zone_unknown", "zone")
	is(t, b.reports.Seen(ctx, make([]report.Sighting, report.MaxSightings+1)), fault.KindInvalid, "value_invalid", "sightings")
}

// reported brings the projection to the end of the feed.
func (w *world) reported(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.reports.Run(ctx) }()
	tick, limit := time.NewTicker(10*time.Millisecond), time.After(3*time.Minute)
	defer tick.Stop()
	for {
		if n, err := w.reports.Lag(ctx); err == nil && n == 0 {
			break
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("the reports do not catch up")
		}
	}
	cancel()
	good(t, <-ended)
}
