package sqlstore_test

import (
	"context"
	"errors"
	neturl "net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// A hundred workers of two processes pay links of one hot account, some of them the same link: no
// update is lost, no link is oversold, and no worker waits forever.
func TestF22_OneHotAccountOfTwoProcesses(t *testing.T) {
	const workers, each = 100, 4
	url := pgtest.Database(t)
	stores := []*sqlstore.Store{open(t, url), open(t, url)}
	account := id.New(id.Account)
	capped := storetest.NewLink(account, workers/2)
	if err := stores[0].CreateLink(t.Context(), capped, nil, nil); err != nil {
		t.Fatal(err)
	}
	var paid, refused atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	commit := func(s *sqlstore.Store, c payment.Change) error {
		start := time.Now()
		err := s.CommitPayment(t.Context(), c)
		mu.Lock()
		defer mu.Unlock()
		took = append(took, time.Since(start))
		return err
	}
	var work sync.WaitGroup
	for w := range workers {
		s, other := stores[w%2], stores[1-w%2]
		work.Go(func() {
			for i := range each {
				l := capped
				if i > 0 {
					l = storetest.NewLink(account, 1)
					if err := s.CreateLink(t.Context(), l, nil, nil); err != nil {
						t.Error(err)
					}
				}
				begin := storetest.Begin(t, l, id.New(id.Change))
				err := commit(s, begin)
				if fault.KindOf(err) == fault.KindConflict && l.ID == capped.ID {
					refused.Add(1)
					continue
				}
				if err == nil {
					err = commit(other, storetest.Answered(t, begin.Payment, issuer.Approved))
				}
				if err != nil {
					t.Error(err)
				}
				paid.Add(1)
			}
		})
	}
	work.Wait()
	l, err := stores[0].GetLink(t.Context(), account, capped.ID)
	if err != nil || l.Uses != workers/2 || l.Reserved != 0 || refused.Load() != workers/2 {
		t.Fatalf("uses %d, reserved %d, refused %d, %v", l.Uses, l.Reserved, refused.Load(), err)
	}
	b, err := stores[1].Balances(t.Context(), account, link.Test)
	if err != nil || b["EUR"].Available.Minor != 1250*paid.Load() {
		t.Fatalf("%d paid, balance %v, %v", paid.Load(), b, err)
	}
	var deadlocks int
	row(t, url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", &deadlocks)
	slices.Sort(took)
	t.Logf(
		"%d commits on one account: median %v, p99 %v, longest %v; %d deadlocks",
		len(took),
		took[len(took)/2],
		took[len(took)*99/100],
		took[len(took)-1],
		deadlocks,
	)
}

// Two recovery workers of two processes take the same payment from the same state: one effect.
// F25: a later write from the old state is refused.
func TestF24_F25_TwoProcessesOnePayment(t *testing.T) {
	url := pgtest.Database(t)
	a, b := open(t, url), open(t, url)
	account := id.New(id.Account)
	for range 20 {
		p := begun(t, a, account)
		changes := []payment.Change{storetest.Answered(t, p, issuer.Approved), storetest.Answered(t, p, issuer.Declined)}
		results := make([]error, 2)
		var both sync.WaitGroup
		for i, s := range []*sqlstore.Store{a, b} {
			both.Go(func() { results[i] = s.CommitPayment(t.Context(), changes[i]) })
		}
		both.Wait()
		won := slices.Index(results, nil)
		if won < 0 || !errors.Is(results[1-won], payment.ErrConflict) {
			t.Fatalf("results %v", results)
		}
		if err := b.CommitPayment(t.Context(), changes[1-won]); !errors.Is(err, payment.ErrConflict) {
			t.Fatalf("a late write: %v", err)
		}
		got, err := b.GetPayment(t.Context(), account, p.ID)
		if err != nil || got.Status != changes[won].Payment.Status || got.Revision != changes[won].Payment.Revision {
			t.Fatalf("%s %v", got.Status, err)
		}
	}
}

// Another session holds the link and then wants the payment, while a commit holds the payment and
// wants the link. PostgreSQL ends the commit's transaction, and the caller does not notice.
func TestPostgres_DeadlockIsTriedAgain(t *testing.T) {
	url := pgtest.Database(t)
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	// A session checks for a deadlock once, this long after it began to wait: time for the rival
	// to come.
	pgtest.Exec(t, url, "ALTER DATABASE "+u.Path[1:]+" SET deadlock_timeout = '3s'")
	s := open(t, url)
	account := id.New(id.Account)
	p := begun(t, s, account)
	rival := connect(t, url)
	tx, err := rival.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The rival waits longer, so the commit is the one that finds the deadlock.
	if _, err := tx.Exec(t.Context(), "SET LOCAL deadlock_timeout = '1min'; UPDATE links SET reference = reference WHERE id = '"+p.Link+"'"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.CommitPayment(t.Context(), storetest.Answered(t, p, issuer.Approved)) }()
	await.Until(t, "the commit waits for the link", func() bool {
		var n int
		row(t, url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'", &n)
		return n == 1
	})
	if _, err := tx.Exec(t.Context(), "UPDATE payments SET link = link WHERE id = '"+p.ID+"'"); err != nil {
		t.Fatalf("the rival was the victim: %v", err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := await.Receive(t, done); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the server counted a deadlock", func() bool {
		var n int
		row(t, url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()", &n)
		return n > 0
	})
	paidOnce(t, s, p)
}

// paidOnce checks that the payment was approved exactly once.
func paidOnce(t testing.TB, s *sqlstore.Store, p payment.Payment) {
	t.Helper()
	got, err := s.GetPayment(t.Context(), p.Account, p.ID)
	if err != nil || got.Revision != p.Revision+1 || got.CapturedMinor != p.Amount.Minor || len(got.Verify()) > 0 {
		t.Fatalf("revision %d, captured %d, broken %v, %v", got.Revision, got.CapturedMinor, got.Verify(), err)
	}
	l, err := s.GetLink(t.Context(), p.Account, p.Link)
	if err != nil || l.Uses != 1 || l.Reserved != 0 {
		t.Fatalf("uses %d, reserved %d, %v", l.Uses, l.Reserved, err)
	}
	events, err := s.Events(t.Context(), p.Account, link.Test, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	for _, e := range events {
		told[e.Type+" "+e.Object]++
	}
	for what, n := range told {
		if n != 1 {
			t.Fatalf("%s was told %d times", what, n)
		}
	}
}

// The server refuses to serialize twice, and the store tries again. It keeps refusing: the caller
// gets store_unavailable, and nothing was kept.
func TestPostgres_SerialisationIsTriedAgain(t *testing.T) {
	url := pgtest.Database(t)
	s := open(t, url)
	account := id.New(id.Account)
	p := begun(t, s, account)
	pgtest.Exec(t, url, `CREATE SEQUENCE tries; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('tries') <= 2 THEN RAISE EXCEPTION 'not serialisable' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER refuse BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION refuse()`)
	if err := s.CommitPayment(t.Context(), storetest.Answered(t, p, issuer.Approved)); err != nil {
		t.Fatal(err)
	}
	paidOnce(t, s, p)
	pgtest.Exec(t, url, "ALTER SEQUENCE tries MINVALUE -1000 RESTART WITH -1000")
	q := begun(t, s, account)
	err := s.CommitPayment(t.Context(), storetest.Answered(t, q, issuer.Approved))
	wantCode(t, err, "store_unavailable")
	if got, err := s.GetPayment(t.Context(), account, q.ID); err != nil || got.Revision != q.Revision {
		t.Fatalf("revision %d, %v", got.Revision, err)
	}
}

// group makes the account's writer take twenty attempts at one link together, and counts their
// outcomes.
func group(t *testing.T, s *sqlstore.Store, account string, attempts []payment.Change) map[string]int {
	t.Helper()
	held, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	go func() {
		done <- s.AppendEvents(t.Context(), []string{account}, []stream.Event{happened(account, "link_1")}, func(int) {
			close(held)
			<-release
		})
	}()
	await.Receive(t, held) // the account's writer is busy, so the next commits form a group
	var mu sync.Mutex
	heard := map[string]int{}
	var work sync.WaitGroup
	for _, c := range attempts {
		work.Go(func() {
			err := s.CommitPayment(t.Context(), c)
			mu.Lock()
			defer mu.Unlock()
			heard[fault.Code(err)]++
		})
	}
	await.Until(t, "the group waits", func() bool { return s.Waiting(account) == len(attempts) })
	free()
	work.Wait()
	if err := await.Receive(t, done); err != nil {
		t.Fatal(err)
	}
	return heard
}

func attempts(t *testing.T, l link.Link) (list []payment.Change) {
	t.Helper()
	for range 20 {
		list = append(list, storetest.Begin(t, l, id.New(id.Change)))
	}
	return list
}

// All but one commit of a group break a rule: only they are refused.
func TestPostgres_GroupWithRefusals(t *testing.T) {
	s := open(t, pgtest.Database(t))
	l := storetest.NewLink(id.New(id.Account), 1)
	if err := s.CreateLink(t.Context(), l, nil, nil); err != nil {
		t.Fatal(err)
	}
	if heard := group(t, s, l.Account, attempts(t, l)); heard[""] != 1 || heard["link_paying"] != 19 {
		t.Fatalf("heard %v", heard)
	}
}

// The group's commit is lost. The refusals depended on a commit that may not be kept, so those
// callers get the unknown outcome too instead of a refusal.
func TestPostgres_RefusalsOfALostGroup(t *testing.T) {
	url := pgtest.Database(t)
	s := open(t, url)
	l := storetest.NewLink(id.New(id.Account), 1)
	if err := s.CreateLink(t.Context(), l, nil, nil); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(
		t,
		url,
		suicide+"CREATE CONSTRAINT TRIGGER die AFTER INSERT ON payments DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()",
	)
	list := attempts(t, l)
	if heard := group(t, s, l.Account, list); heard["store_unavailable"] != 20 {
		t.Fatalf("heard %v", heard)
	}
	if heard := group(t, s, l.Account, list); heard[""] != 1 || heard["link_paying"] != 19 {
		t.Fatalf("heard %v", heard)
	}
}

// Replicas that start at the same time migrate once.
func TestPostgres_ReplicasMigrateAtOnce(t *testing.T) {
	url := pgtest.Database(t)
	var work sync.WaitGroup
	var migrated atomic.Int32
	for range 6 {
		work.Go(func() {
			from, to, err := sqlstore.Migrate(t.Context(), url)
			if err != nil || to < 3 {
				t.Errorf("%d to %d: %v", from, to, err)
			}
			s, err := sqlstore.Open(t.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(s.Ping(context.Background()), s.Close()); err != nil {
				t.Error(err)
			}
			migrated.Add(1)
		})
	}
	work.Wait()
	if from, to, err := sqlstore.Migrate(t.Context(), url); err != nil || from != to || migrated.Load() != 6 {
		t.Fatal(from, to, err)
	}
}
