package rpc_test

import (
	"context"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/projection"
)

// TestAnalystService runs the suite beside the analytics store and over the wire.
func TestAnalystService(t *testing.T) {
	w := newWorld(t)
	store, err := projection.OpenAnalytics(t.Context(), w.store.Feed, w.store.Pages(), filepath.Join(t.TempDir(), "analytics.db"), w.log)
	good(t, err)
	t.Cleanup(func() { _ = store.Close() })
	account := w.local.account(t).Account
	var made []payment.Payment
	for range 3 {
		l, err := w.local.links.Create(t.Context(), linkRequest(account))
		good(t, err)
		p, err := w.local.transactions.Submit(
			t.Context(),
			payment.Submit{
				Link:       l,
				Attempt:    "attempt-0000000001",
				Card:       card(t, "4242424242424242"),
				PayerEmail: "ada@example.com",
				Amount:     l.Amount,
			},
		)
		good(t, err)
		made = append(made, p)
	}
	good(t, store.Rebuild(t.Context(), func(projection.Build) {}))
	far := w.analyst(t, store)
	for name, a := range map[string]history.Analyst{"local": store, "over the wire": far} {
		t.Run(name, func(t *testing.T) { analystSuite(t, a, account.ID, made) })
	}
}

func analystSuite(t *testing.T, a history.Analyst, account string, made []payment.Payment) {
	ctx := t.Context()
	q := history.Query{Account: account, Mode: link.Test, Limit: 2}
	page, err := a.Rows(ctx, q)
	good(t, err)
	if len(page.Rows) != 2 || page.Next == "" || page.Rows[0].PayerEmail != "ada@example.com" || page.Rows[0].CreatedAt.IsZero() {
		t.Errorf("first page %+v", page)
	}
	q.Before = page.Next
	if page, err = a.Rows(ctx, q); err != nil || len(page.Rows) != 1 || page.Next != "" {
		t.Errorf("second page %+v, %v", page, err)
	}
	q.Before = "not a place"
	_, err = a.Rows(ctx, q)
	is(t, err, fault.KindInvalid, "cursor_invalid", "cursor")
	row, err := a.Row(ctx, account, link.Test, made[0].ID)
	good(t, err)
	if row.ID != made[0].ID || !row.Authorised || row.Captured != made[0].CapturedMinor {
		t.Errorf("row %+v", row)
	}
	_, err = a.Row(ctx, id.New(id.Account), link.Test, made[0].ID)
	is(t, err, fault.KindNotFound, "not_found", "")
	related, err := a.Related(ctx, account, link.Test, made[0].ID, 10)
	if err != nil || len(related) != 2 {
		t.Errorf("%d related, %v", len(related), err)
	}
	f, err := a.Figures(ctx, account, link.Test, time.Now().Add(-24*time.Hour), time.Now().Add(time.Hour))
	if err != nil || len(f.Days) != 1 || f.Days[0].Attempts != 3 || f.Unrated != 3 {
		t.Errorf("figures %+v, %v", f, err)
	}
}

// analyst returns the service over the wire.
func (w *world) analyst(t *testing.T, svc history.Analyst) *rpc.Analyst {
	t.Helper()
	c := credentials(t, keysFile(t), "")
	s := rpc.NewServer(rpc.ServerConfig{Credentials: c, Ready: w.store.Ping, Log: w.log, Tickets: w.tickets()})
	rpc.ServeAnalyst(s, svc)
	url, _ := listen(t, s, nil)
	return rpc.NewAnalyst(rpc.NewPeer(rpc.FraudService, w.pool(rpc.FraudService, c, url), nil))
}

// examiner answers with rows that have no empty field, and records its requests.
type examiner struct {
	query             history.Query
	account, mode, id string
	limit             int
	from, to          time.Time
}

func (r *examiner) Rows(_ context.Context, q history.Query) (history.Page, error) {
	r.query = q
	return filled[history.Page](), nil
}

func (r *examiner) Row(_ context.Context, account, mode, id string) (history.Row, error) {
	r.account, r.mode, r.id = account, mode, id
	return filled[history.Row](), nil
}

func (r *examiner) Related(_ context.Context, account, mode, id string, limit int) ([]history.Row, error) {
	r.account, r.mode, r.id, r.limit = account, mode, id, limit
	return []history.Row{filled[history.Row]()}, nil
}

func (r *examiner) Figures(_ context.Context, account, mode string, from, to time.Time) (history.Figures, error) {
	r.account, r.mode, r.from, r.to = account, mode, from, to
	return filled[history.Figures](), nil
}

// TestEveryFieldOfAnAnalysisCrosses fails if a field of a query or a row is missing on the wire.
func TestEveryFieldOfAnAnalysisCrosses(t *testing.T) {
	w, r, ctx := newWorld(t), &examiner{}, t.Context()
	far := w.analyst(t, r)
	page, err := far.Rows(ctx, filled[history.Query]())
	good(t, err)
	if want := filled[history.Page](); !reflect.DeepEqual(page, want) || !reflect.DeepEqual(r.query, filled[history.Query]()) {
		t.Errorf("page\n%+v\nwant\n%+v", page, want)
	}
	row, err := far.Row(ctx, "a", "b", "c")
	good(t, err)
	if want := filled[history.Row](); !reflect.DeepEqual(row, want) || r.account != "a" || r.mode != "b" || r.id != "c" {
		t.Errorf("row\n%+v\nwant\n%+v", row, want)
	}
	related, err := far.Related(ctx, "d", "e", "f", 7)
	good(t, err)
	if want := []history.Row{filled[history.Row]()}; !reflect.DeepEqual(related, want) || r.account != "d" || r.mode != "e" || r.id != "f" ||
		r.limit != 7 {
		t.Errorf("related\n%+v\nwant\n%+v", related, want)
	}
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f, err := far.Figures(ctx, "g", "h", from, from.AddDate(0, 1, 0))
	good(t, err)
	if want := filled[history.Figures](); !reflect.DeepEqual(f, want) || r.account != "g" || r.mode != "h" || !r.from.Equal(from) ||
		!r.to.Equal(from.AddDate(0, 1, 0)) {
		t.Errorf("figures\n%+v\nwant\n%+v", f, want)
	}
}
