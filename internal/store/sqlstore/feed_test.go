package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

func ids(events []stream.Event) (list []string) {
	for _, e := range events {
		list = append(list, e.ID)
	}
	return list
}

// A slow transaction holds an earlier position while a later one is committed. A reader that
// moved on to the later one would never see the earlier.
func TestPostgres_LateCommitIsNotSkipped(t *testing.T) {
	url := pgtest.Database(t)
	slow, fast := open(t, url), open(t, url)
	a, b := id.New(id.Account), id.New(id.Account)
	early, late := happened(a, "link_1"), happened(b, "link_2")
	written, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	go func() {
		done <- slow.AppendEvents(t.Context(), []string{a}, []stream.Event{early}, func(int) {
			close(written)
			<-release
		})
	}()
	await.Receive(t, written)
	if err := fast.AppendEvents(t.Context(), []string{b}, []stream.Event{late}, nil); err != nil {
		t.Fatal(err)
	}
	if seen, err := fast.Events(t.Context(), b, link.Test, 0, 10); err != nil || len(seen) != 1 {
		t.Fatal("the later event is not committed", err)
	}
	if feed, err := fast.FeedAfter(t.Context(), 0); err != nil || len(feed) != 0 {
		t.Fatalf("a reader went past a transaction that runs: %v %v", ids(feed), err)
	}
	free()
	if err := await.Receive(t, done); err != nil {
		t.Fatal(err)
	}
	feed, err := fast.FeedAfter(t.Context(), 0)
	if err != nil || !slices.Equal(ids(feed), []string{early.ID, late.ID}) {
		t.Fatalf("got %v %v, want %s and %s", ids(feed), err, early.ID, late.ID)
	}
}

// A transaction that began first, and so has the lower id, reaches an account only after another
// one waits for it. The account's events keep their order in the feed, because the first locked
// all its accounts before it had an id.
func TestPostgres_AnAccountKeepsItsOrder(t *testing.T) {
	url := pgtest.Database(t)
	first, second := open(t, url), open(t, url)
	a, b := id.New(id.Account), id.New(id.Account)
	reached, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 2)
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	go func() {
		done <- first.AppendEvents(t.Context(), []string{a, b}, []stream.Event{happened(a, "link_1"), happened(b, "link_2")}, func(i int) {
			if i == 0 {
				close(reached)
				<-release
			}
		})
	}()
	await.Receive(t, reached)
	go func() {
		done <- second.AppendEvents(t.Context(), []string{b}, []stream.Event{happened(b, "link_2")}, nil)
	}()
	await.Until(t, "the second waits for the account", func() bool { return waiting(t, url) == 1 })
	free()
	if err := errors.Join(await.Receive(t, done), await.Receive(t, done)); err != nil {
		t.Fatal(err)
	}
	feed, err := first.FeedAfter(t.Context(), 0)
	if err != nil || len(feed) != 3 || feed[1].Seq != 1 || feed[2].Seq != 2 {
		t.Fatalf("%+v %v", feed, err)
	}
	undeclared := first.AppendEvents(t.Context(), []string{a}, []stream.Event{happened(b, "link_2")}, nil)
	if undeclared == nil {
		t.Fatal("events of an account whose lock was not taken were written")
	}
}

// waiting returns the number of sessions that wait for an account's lock.
func waiting(t testing.TB, url string) (n int) {
	t.Helper()
	row(
		t,
		url,
		"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
		&n,
	)
	return n
}

// Several processes write to several accounts at once while a consumer follows: it sees every
// event once, and each account's events in order without a gap.
func TestPostgres_FeedUnderLoad(t *testing.T) {
	const writers, commits, accounts = 8, 40, 5
	url := pgtest.Database(t)
	stores := []*sqlstore.Store{open(t, url), open(t, url)}
	var owners []string
	for range accounts {
		owners = append(owners, id.New(id.Account))
	}
	total := 0
	var work sync.WaitGroup
	for w := range writers {
		r := rand.New(rand.NewPCG(uint64(w), 7))
		for range commits {
			var events []stream.Event
			for range 1 + r.IntN(3) {
				events = append(events, happened(owners[r.IntN(accounts)], "link_1"))
			}
			total += len(events)
			store := stores[w%2]
			work.Go(func() {
				var touched []string
				for _, e := range events {
					touched = append(touched, e.Account)
				}
				if err := store.AppendEvents(t.Context(), touched, events, nil); err != nil {
					t.Error(err)
				}
			})
		}
	}
	seen, last := map[string]bool{}, map[string]int64{}
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	err := stores[0].Consume(ctx, "test", func(_ context.Context, events []stream.Event) error {
		for _, e := range events {
			if seen[e.ID] || e.Seq != last[e.Account]+1 {
				return fmt.Errorf("event %s of %s: seq %d follows %d, seen before: %v", e.ID, e.Account, e.Seq, last[e.Account], seen[e.ID])
			}
			seen[e.ID], last[e.Account] = true, e.Seq
		}
		if len(seen) == total {
			cancel()
		}
		return nil
	})
	work.Wait()
	if err != nil || len(seen) != total {
		t.Fatalf("saw %d of %d events: %v", len(seen), total, err)
	}
}

// A dump is restored into a cluster whose transaction ids are far lower than those in the feed.
// New events still come after the old ones.
func TestPostgres_FeedGoesOnAfterARestore(t *testing.T) {
	old, fresh := pgtest.New(t), pgtest.New(t)
	from, to := old.Database(t), fresh.Database(t)
	pgtest.Exec(t, from, "DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
	s := open(t, from)
	account := id.New(id.Account)
	before, after := happened(account, "link_1"), happened(account, "link_1")
	if err := s.AppendEvents(t.Context(), []string{account}, []stream.Event{before}, nil); err != nil {
		t.Fatal(err)
	}
	consumeUntil(t, s, before.ID)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	old.Copy(t, from, to)
	restored, again := open(t, to), open(t, to)
	if err := restored.AppendEvents(t.Context(), []string{account}, []stream.Event{after}, nil); err != nil {
		t.Fatal(err)
	}
	if seen := consumeUntil(t, again, after.ID); !slices.Equal(seen, []string{after.ID}) {
		t.Fatalf("after the restore: %v", seen)
	}
	all, err := restored.FeedAfter(t.Context(), 0)
	if err != nil || !slices.Equal(ids(all), []string{before.ID, after.ID}) {
		t.Fatalf("%v %v", ids(all), err)
	}
}

// consumeUntil consumes until the event arrives, and saves the checkpoint.
func consumeUntil(t testing.TB, s *sqlstore.Store, last string) (seen []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	err := s.Consume(ctx, "test", func(_ context.Context, events []stream.Event) error {
		seen = append(seen, ids(events)...)
		if slices.Contains(seen, last) {
			cancel()
		}
		return nil
	})
	if err != nil || !slices.Contains(seen, last) {
		t.Fatalf("%v %v", seen, err)
	}
	return seen
}
