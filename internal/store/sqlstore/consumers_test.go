package sqlstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// killHolders ends the sessions that hold a consumer's claim, and counts them.
const killHolders = `SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
	AND classid = 1886126082 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

// Two processes follow as one consumer, and one works. Its session dies in the middle of a batch,
// and the other takes over with the same batch. The first then can no longer move the checkpoint,
// and stops.
func TestPostgres_ConsumerTakesOver(t *testing.T) {
	url := pgtest.Database(t)
	first, second := open(t, url), open(t, url)
	account := id.New(id.Account)
	e := happened(account, "link_1")
	if err := first.AppendEvents(t.Context(), []string{account}, []stream.Event{e}, nil); err != nil {
		t.Fatal(err)
	}
	reached, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	go func() {
		ended <- first.Consume(t.Context(), "test", func(context.Context, []stream.Event) error {
			close(reached)
			<-release
			return nil
		})
	}()
	await.Receive(t, reached)
	taken, stop := make(chan stream.Event, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		stop <- second.Consume(ctx, "test", func(_ context.Context, events []stream.Event) error {
			taken <- events[0]
			cancel()
			return nil
		})
	}()
	await.Until(t, "the second has asked for the claim", func() bool {
		var asked int
		row(
			t,
			url,
			"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' AND query LIKE 'SELECT pg_try_advisory_lock%'",
			&asked,
		)
		return asked == 1
	})
	if len(taken) > 0 {
		t.Fatal("two processes work for one consumer")
	}
	var killed int
	row(t, url, killHolders, &killed)
	if got := await.Receive(t, taken); killed != 1 || got.ID != e.ID {
		t.Fatalf("killed %d, taken over with %s", killed, got.ID)
	}
	if err := await.Receive(t, stop); err != nil { // the checkpoint is saved
		t.Fatal(err)
	}
	free()
	if err := await.Receive(t, ended); err == nil {
		t.Fatal("a consumer that was replaced moved the checkpoint")
	}
}

// A checkpoint moves only from the position that its consumer read.
func TestCheckpointMovesFromWhereItWas(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		for _, c := range []struct {
			from, to int64
			moves    bool
		}{{0, 5, true}, {0, 9, false}, {0, 5, false}, {5, 9, true}, {5, 12, false}} {
			if err := s.MoveCheckpoint(t.Context(), "test", c.from, c.to); (err == nil) != c.moves {
				t.Errorf("from %d to %d: %v", c.from, c.to, err)
			}
		}
	})
}

// Two processes run the balances while payments are made, and the session of the working one is
// killed repeatedly. Every transfer counts exactly once.
func TestPostgres_BalancesCountOnce(t *testing.T) {
	const payments, kills = 60, 4
	url := pgtest.Database(t)
	stores := []*sqlstore.Store{open(t, url), open(t, url)}
	account := id.New(id.Account)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, s := range stores {
		running.Go(func() {
			for ctx.Err() == nil { // as the app does
				if err := s.RunBalances(ctx); err != nil && fault.KindOf(err) != fault.KindUnavailable && ctx.Err() == nil {
					t.Logf("it starts again: %v", err)
				}
			}
		})
	}
	killed := 0
	for i := range payments {
		s := stores[i%2]
		l := storetest.NewLink(account, 1)
		begin := storetest.Begin(t, l, "attempt-000000000001")
		answer := storetest.Answered(t, begin.Payment, issuer.Approved)
		err := errors.Join(s.CreateLink(t.Context(), l, nil, nil), s.CommitPayment(t.Context(), begin), s.CommitPayment(t.Context(), answer))
		if err != nil {
			t.Fatal(err)
		}
		if i%(payments/kills) == payments/kills/2 {
			await.Until(t, "somebody keeps the balances", func() bool {
				var n int
				row(t, url, killHolders, &n)
				killed += n
				return n > 0
			})
		}
		if b, err := s.Balances(t.Context(), account, link.Test); err != nil || b["EUR"].Available.Minor != int64(1250*(i+1)) {
			t.Fatalf("after %d payments: %v %v", i+1, b, err)
		}
	}
	await.Until(t, "the projection has caught up", func() bool {
		n, err := stores[0].Lag(t.Context(), "balances")
		return err == nil && n == 0
	})
	cancel()
	running.Wait()
	snapshot, err := sqlstore.OpenSnapshot(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = snapshot.Close() }()
	sums, _, err := snapshot.ProjectedBalances(t.Context())
	want := ledger.Balance{Available: money.Of(1250*payments, "EUR"), Pending: money.Of(0, "EUR")}
	if got := sums[sqlstore.Owner{Account: account, Mode: link.Test, Currency: "EUR"}]; err != nil || got != want {
		t.Fatalf("projected %v, want %v; %v", got, want, err)
	}
	t.Logf("%d payments, %d sessions killed: %s projected", payments, killed, want.Available)
}

// A commit of one process reaches a consumer in another process without a wake-up.
func TestPostgres_ConsumerSeesOthersCommits(t *testing.T) {
	url := pgtest.Database(t)
	writes, follows := open(t, url), open(t, url)
	account := id.New(id.Account)
	got := make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- follows.Consume(ctx, "test", func(_ context.Context, events []stream.Event) error {
			for _, e := range events {
				got <- e.ID
			}
			return nil
		})
	}()
	for range 3 {
		e := happened(account, "link_1")
		if err := writes.AppendEvents(t.Context(), []string{account}, []stream.Event{e}, nil); err != nil {
			t.Fatal(err)
		}
		if id := await.Receive(t, got); id != e.ID {
			t.Fatal(id)
		}
	}
	cancel()
	if err := await.Receive(t, ended); err != nil {
		t.Fatal(err)
	}
}
