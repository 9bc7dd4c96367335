package projection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// life returns the events of an assessed payment that is then reviewed, disputed, or neither.
func life(t testing.TB, account, linkID string, at time.Time, n int) []stream.Event {
	t.Helper()
	events := append([]stream.Event{created(account, linkID, at)}, lifeOf(t, account, linkID, at, n%3 == 0)...)
	action := []payment.Action{payment.Allow, payment.Allow, payment.Hold, payment.Block}[n%4]
	risk := assessed(n, action)
	if action == payment.Hold {
		risk.Review = payment.ReviewOpen
	}
	var last map[string]any
	for i, e := range events {
		if strings.HasPrefix(e.Type, "payment.") {
			events[i].Data, last = with(t, e.Data, map[string]any{"risk": risk})
		}
	}
	emit := func(kind string, change map[string]any) {
		e := events[len(events)-1]
		e.ID, e.Type, e.ObjectSeq, e.CreatedAt = id.New(id.Event), kind, e.ObjectSeq+1, at.Add(time.Hour)
		raw, err := json.Marshal(last)
		if err != nil {
			t.Fatal(err)
		}
		e.Data, last = with(t, raw, change)
		events = append(events, e)
	}
	if n%3 != 0 {
		last["status"], last["refundedAmount"] = "partially_refunded", "2.50"
	}
	switch n % 5 {
	case 1:
		risk.Label, risk.LabelledAt, risk.LabelledBy = payment.LabelLegitimate, at.Add(time.Hour), "usr_1"
		if risk.Review != "" {
			risk.Review, risk.ReviewedAt, risk.ReviewedBy = payment.ReviewApproved, at.Add(time.Hour), "usr_1"
		}
		emit("fraud.reviewed", map[string]any{"risk": risk})
	case 2:
		d := payment.Dispute{
			ID:            id.New(id.Event),
			Minor:         1250,
			Reason:        "fraudulent",
			State:         payment.DisputeNeedsResponse,
			Reference:     "case-1",
			CreatedAt:     at.Add(time.Hour),
			EvidenceDueAt: at.Add(48 * time.Hour),
		}
		emit("dispute.created", map[string]any{"disputes": []payment.Dispute{d}})
		d.State, d.ClosedAt = payment.DisputeLost, at.Add(50*time.Hour)
		emit("dispute.closed", map[string]any{"disputes": []payment.Dispute{d}})
	}
	return events
}

// with changes members of a JSON object.
func with(t testing.TB, data []byte, change map[string]any) (json.RawMessage, map[string]any) {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for k, v := range change {
		m[k] = v
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw, m
}

// lives returns the events of many payments of an account.
func lives(t testing.TB, account string, n int) []stream.Event {
	t.Helper()
	var events []stream.Event
	for i := range n {
		events = append(events, life(t, account, id.New(id.Link), storetest.Epoch.Add(time.Duration(i)*17*time.Minute), i)...)
	}
	return events
}

// fed returns a valid analytics store, and a feed that contains the events.
func fed(t *testing.T, url string, events []stream.Event) (*projection.Analytics, []stream.Event) {
	t.Helper()
	s := open(t, url)
	a := openAnalytics(t, s, filepath.Join(t.TempDir(), "analytics.db"))
	if err := a.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	sqltest.Append(t, s, events...)
	placed, err := s.FeedAfter(t.Context(), 0)
	if err != nil || len(placed) != len(events) {
		t.Fatalf("%d of %d events, %v", len(placed), len(events), err)
	}
	return a, placed
}

// TestAnalyticsTwice checks that the same payments give the same rows and sums in one batch, a
// few events at a time, with repeated events, and with batches whose answer a process has lost:
// exactly once in effect.
func TestAnalyticsTwice(t *testing.T) {
	for name, empty := range engines {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(3, 4))
			account := id.New(id.Account)
			events := lives(t, account, 40)
			once, placed := fed(t, empty(t), events)
			if err := once.Project(t.Context(), placed); err != nil {
				t.Fatal(err)
			}
			want, err := once.Dump(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			again, placed := fed(t, empty(t), events)
			for at := 0; at < len(placed); {
				n := min(1+random.IntN(7), len(placed)-at)
				batch := slices.Clone(placed[at : at+n])
				for range random.IntN(4) { // from before the checkpoint, in any order
					if at > 0 {
						batch = slices.Insert(batch, random.IntN(len(batch)), placed[random.IntN(at)])
					}
				}
				batch = append(batch, placed[at+n-1]) // the last one again
				position, event, err := again.At(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := again.ProjectFrom(t.Context(), position, event, batch); err != nil {
					t.Fatal(err)
				}
				if err := again.ProjectFrom(t.Context(), position, event, batch); err == nil {
					t.Fatal("a batch was written from where the checkpoint had been")
				}
				at += n
			}
			got, err := again.Dump(t.Context())
			if err != nil || got != want {
				t.Fatalf("%v\n--- once\n%s\n--- again and again\n%s", err, want, got)
			}
			for _, part := range []string{"refunds: ", "disputes: ", "rules: ", "scores: ", "labels: "} {
				if !strings.Contains(want, part) {
					t.Errorf("nothing of %s", part)
				}
			}
		})
	}
}

// sums adds up the account's rows.
func sums(t testing.TB, a *projection.Analytics, account string) (rows int, available int64) {
	t.Helper()
	err := a.Replay(t.Context(), account, link.Test, time.Time{}, time.Time{}, func(r history.Row) error {
		rows, available = rows+1, available+r.Captured-r.Refunded
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows, available
}

// equal compares the sums of the rows with the ledger's.
func equal(t testing.TB, s *sqlstore.Store, a *projection.Analytics, account string, payments int) {
	t.Helper()
	balances, err := s.Balances(t.Context(), account, link.Test)
	if err != nil {
		t.Fatal(err)
	}
	rows, available := sums(t, a, account)
	if rows != payments || available != balances["EUR"].Available.Minor || available == 0 {
		t.Fatalf("%d rows with %d, want %d with the ledger's %d", rows, available, payments, balances["EUR"].Available.Minor)
	}
	figures, err := a.Figures(t.Context(), account, link.Test, storetest.Epoch.Add(-24*time.Hour), storetest.Epoch.Add(24*time.Hour))
	if err != nil || len(figures.Days) != 1 || figures.Days[0].Attempts != int64(payments) {
		t.Fatalf("figures %+v, %v", figures, err)
	}
}

// TestF23_AnalyticsAfterATrimmedFeed stops the consumer, and the feed moves on and is trimmed
// beyond its checkpoint. The consumer rebuilds the store from the payments, its sums equal the
// ledger's, and it follows again.
func TestF23_AnalyticsAfterATrimmedFeed(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s, account := open(t, url), id.New(id.Account)
		path := filepath.Join(t.TempDir(), "analytics.db")
		a := openAnalytics(t, s, path)
		stop := running(t, a)
		n := 0
		pay := func(times int) {
			for range times {
				paid(t, s, account, n, []issuer.Outcome{issuer.Approved, issuer.Declined, issuer.Approved}[n%3])
				n++
			}
		}
		pay(4)
		followed(t, a)
		equal(t, s, a, account, n)
		stop()
		pay(5)
		balanced(t, s)
		sqltest.Exec(t, url, "DELETE FROM events WHERE position NOT IN (SELECT position FROM events ORDER BY position DESC LIMIT 2)")
		if rows, _ := sums(t, a, account); rows != 4 {
			t.Fatalf("%d rows before it runs again", rows)
		}
		running(t, a)
		followed(t, a)
		equal(t, s, a, account, n)
		pay(3)
		followed(t, a)
		equal(t, s, a, account, n)
	})
}

// balanced brings the balances to the end of the feed, so that it may be trimmed.
func balanced(t testing.TB, s *sqlstore.Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.RunBalances(ctx) }()
	await.Until(t, "the balances have caught up", func() bool {
		lag, err := s.Lag(t.Context(), "balances")
		return err == nil && lag == 0
	})
	cancel()
	if err := await.Receive(t, ended); err != nil {
		t.Fatal(err)
	}
}

// TestAnalyticsKilled stops the process repeatedly, while it follows and while it rebuilds the
// store: the next one arrives at the same sums. Then the file is damaged, and rebuilt.
func TestAnalyticsKilled(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s, account, path := open(t, url), id.New(id.Account), filepath.Join(t.TempDir(), "analytics.db")
		made := 0
		round := func() {
			t.Helper()
			a := openAnalytics(t, s, path)
			stop := running(t, a)
			for range 3 {
				paid(t, s, account, made, issuer.Approved)
				made++
			}
			if made%2 == 0 {
				followed(t, a)
				equal(t, s, a, account, made)
			}
			stop()
			if made%4 == 0 {
				ctx, kill := context.WithCancel(t.Context())
				if err := a.Rebuild(ctx, func(projection.Build) { kill() }); !errors.Is(err, context.Canceled) {
					t.Fatalf("a rebuild that was killed: %v", err)
				}
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			round()
		}
		if strings.HasPrefix(url, "sqlite:") {
			if err := os.WriteFile(path, []byte("this is no database, and it is long enough to be looked at as one: the header says so, or does not"), 0o600); err != nil {
				t.Fatal(err)
			}
			_ = os.Remove(path + "-wal")
		}
		for range 2 {
			round()
		}
		a := openAnalytics(t, s, path)
		running(t, a)
		followed(t, a)
		await.Until(t, "the sums are the ledger's", func() bool { rows, _ := sums(t, a, account); return rows == made })
		equal(t, s, a, account, made)
	})
}

// TestAnalyticsRebuildBesideAConsumer rebuilds the store while another process follows the feed
// and payments are made. Nothing is lost and nothing counts twice, the shield's counts stay, and
// the consumer continues.
func TestAnalyticsRebuildBesideAConsumer(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s, account, path := open(t, url), id.New(id.Account), filepath.Join(t.TempDir(), "analytics.db")
		a := openAnalytics(t, s, path)
		running(t, a)
		refused := history.Refusal{Account: account, Mode: link.Test, Link: "link_1", Hour: storetest.Epoch, Count: 3}
		if err := errors.Join(a.CountShield(t.Context(), []history.Refusal{refused}),
			a.CountShield(t.Context(), []history.Refusal{refused})); err != nil {
			t.Fatal(err)
		}
		made := 0
		for range 6 {
			paid(t, s, account, made, issuer.Approved)
			made++
		}
		followed(t, a)
		other := openAnalytics(t, s, path)
		var walked int64
		whole := false
		if err := other.Rebuild(t.Context(), func(b projection.Build) {
			if walked, whole = b.Walked, b.Whole; made < 9 {
				paid(t, s, account, made, issuer.Approved) // behind the walk
				made++
			}
		}); err != nil {
			t.Fatal(err)
		}
		if walked < 12 || !whole {
			t.Errorf("walked %d, whole %v", walked, whole)
		}
		paid(t, s, account, made, issuer.Approved)
		made++
		followed(t, a)
		await.Until(t, "the consumer goes on", func() bool { rows, _ := sums(t, a, account); return rows == made })
		equal(t, s, a, account, made)
		figures, err := a.Figures(t.Context(), account, link.Test, storetest.Epoch, storetest.Epoch.Add(time.Hour))
		if err != nil || figures.Days[0].Shield != 6 {
			t.Errorf("the shield refused %+v, %v", figures.Days, err)
		}
	})
}

// TestAnalyticsRelated checks the payments of the account that share card, email or address.
func TestAnalyticsRelated(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		a := openAnalytics(t, open(t, url), filepath.Join(t.TempDir(), "analytics.db"))
		account, stranger := id.New(id.Account), id.New(id.Account)
		row := func(account string, n int, card, email, address string) history.Row {
			return history.Row{
				ID:      payment.IDFor(fmt.Sprint("link", n), account),
				Account: account,
				Mode:    link.Test,
				Amount:  storetest.NewLink(account, 1).Amount,
				Status:  payment.Succeeded,
				CreatedAt: storetest.Epoch.Add(
					time.Duration(n) * time.Minute,
				),
				PayerEmail: email,
				Risk:       payment.Risk{Fingerprint: card, Address: address},
				Seq:        3,
			}
		}
		mine := []history.Row{
			row(account, 0, "a", "Ada@example.org", "203.0.113.0/24"),
			row(account, 1, "a", "", ""),
			row(account, 2, "b", "ada@Example.org", ""),
			row(
				account,
				3,
				"c",
				"",
				"203.0.113.0/24",
			),
			row(account, 4, "a", "ada@example.org", "203.0.113.0/24"),
			row(account, 5, "d", "bob@example.org", "198.51.100.0/24"),
			row(account, 6, "", "", ""),
		}
		if err := errors.Join(a.Load(t.Context(), mine), a.Load(t.Context(),
			[]history.Row{row(stranger, 0, "a", "ada@example.org", "203.0.113.0/24")})); err != nil {
			t.Fatal(err)
		}
		for n, want := range map[int][]int{0: {4, 3, 2, 1}, 1: {4, 0}, 5: nil, 6: nil} {
			all, err := a.Related(t.Context(), account, link.Test, mine[n].ID, 10)
			var got []int
			for _, r := range all {
				got = append(got, slices.IndexFunc(mine, func(m history.Row) bool { return m.ID == r.ID }))
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("related to %d: %v, want %v; %v", n, got, want, err)
			}
		}
		if all, err := a.Related(t.Context(), account, link.Test, mine[0].ID, 2); err != nil || len(all) != 2 || all[0].ID != mine[4].ID {
			t.Errorf("two of them: %v, %v", all, err)
		}
	})
}

// TestAnalyticsFigures checks the figures by day, with the rules' hits, the scores, and the
// estimate of how many blocked payments were honest, from the outcomes of those with the same
// score.
func TestAnalyticsFigures(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		a := openAnalytics(t, open(t, url), filepath.Join(t.TempDir(), "analytics.db"))
		account, n := id.New(id.Account), 0
		start := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -100) // old enough that no complaint means honest
		var all []history.Row
		add := func(times, day int, change func(*history.Row)) {
			for range times {
				at := start.AddDate(0, 0, day).Add(time.Duration(n) * time.Second)
				r := history.Row{
					ID:         payment.IDFor(fmt.Sprint("link", n), "a"),
					Account:    account,
					Mode:       link.Test,
					Amount:     storetest.NewLink(account, 1).Amount,
					Status:     payment.Succeeded,
					CreatedAt:  at,
					AnsweredAt: at,
					Authorised: true,
					Risk:       payment.Risk{Action: payment.Allow, Why: "default", Score: 85, Basis: "known"},
					Seq:        3,
				}
				change(&r)
				all, n = append(all, r), n+1
			}
		}
		block := func(r *history.Row) {
			r.Status, r.Decline, r.AnsweredAt, r.Authorised = payment.Declined, "payment_blocked", time.Time{}, false
			r.Risk.Action, r.Risk.Why, r.Risk.Rule, r.Risk.Version = payment.Block, "rule", "frl_1", 4
		}
		add(70, 0, func(*history.Row) {})
		add(30, 0, func(r *history.Row) {
			r.Disputes = []payment.Dispute{
				{ID: id.New(id.Event), Minor: 1250, Reason: "fraudulent", State: payment.DisputeLost, CreatedAt: r.CreatedAt.AddDate(0, 0, 9)},
			}
		})
		add(40, 1, block)
		add(2, 1, func(r *history.Row) {
			r.Risk = payment.Risk{
				Action: payment.Hold,
				Review: payment.ReviewOpen,
				Basis:  "no_model",
				Shadow: []payment.ShadowHit{{Rule: "frl_2", Version: 1, Action: payment.Block}},
			}
		})
		add(1, 1, func(r *history.Row) {
			r.Risk = payment.Risk{
				Action:     payment.Allow,
				Challenge:  true,
				Why:        "rule",
				Rule:       "frl_3",
				Version:    1,
				Score:      100,
				Basis:      "no_history",
				Label:      payment.LabelLegitimate,
				LabelledAt: r.CreatedAt,
			}
		})
		if err := a.Load(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		f, err := a.Figures(t.Context(), account, link.Test, start, start.AddDate(0, 0, 2))
		if err != nil || len(f.Days) != 2 {
			t.Fatalf("%+v, %v", f, err)
		}
		one, two := f.Days[0], f.Days[1]
		if one.Attempts != 100 || one.Allowed != 100 || one.Authorised != 100 || one.Fraud != 30 || one.FraudMinor["EUR"] != 30*1250 ||
			!one.Day.Equal(start) {
			t.Errorf("first day %+v", one)
		}
		if two.Attempts != 43 || two.Blocked != 40 || two.Held != 2 || two.Challenged != 1 || two.Declined != 0 || two.ReviewOpened != 2 ||
			two.ReviewClosed != 0 ||
			two.Legitimate != 1 ||
			two.BlockedMinor["EUR"] != 40*1250 {
			t.Errorf("second day %+v", two)
		}
		if f.Scores != [10]int64{8: 140, 9: 1} || f.Unrated != 2 {
			t.Errorf("scores %v, unrated %d", f.Scores, f.Unrated)
		}
		if len(f.Rules) != 3 || f.Rules[0].Hits != 40 || f.Rules[0].Version != 4 || f.Rules[0].Minor["EUR"] != 40*1250 || !f.Rules[1].Shadow ||
			f.Rules[1].Hits != 2 ||
			f.Rules[2].Action != payment.Challenge ||
			f.Rules[2].Legitimate != 1 {
			t.Errorf("rules %+v", f.Rules)
		}
		// 70 of 100 that passed with this score were honest: 70.5 of 101, so 28 of the 40.
		e := f.Estimate
		if e.Blocked != 40 || e.Comparable != 100 || !e.Explainable || e.Honest < 27.5 || e.Honest > 28.5 || e.Low < 19 || e.Low > 25 ||
			e.High < 31 ||
			e.High > 36 {
			t.Errorf("estimate %+v", e)
		}
		later, err := a.Figures(t.Context(), account, link.Test, start.AddDate(0, 0, 5), start.AddDate(0, 0, 9))
		if err != nil || len(later.Days) != 0 || later.Estimate.Blocked != 0 || later.Estimate.Explainable {
			t.Errorf("an empty period: %+v, %v", later, err)
		}
	})
}
