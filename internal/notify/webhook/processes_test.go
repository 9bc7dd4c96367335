package webhook_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/notify/webhook"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// second is another process on the world's store and queue.
func (w *world) second() *world {
	w.t.Helper()
	store, err := sqlstore.Open(w.t.Context(), w.config.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			w.t.Error(err)
		}
	})
	other := &world{t: w.t, config: w.config, store: &recordingStore{store, make(chan notify.Delivery, 1000)}}
	other.config.Store = other.store
	other.run()
	return other
}

func database(t *testing.T) (store, queue string) {
	url := pgtest.Database(t)
	return url, url
}

// TestPostgres_TwoProcessesShareTheQueue: two processes work on one queue, and each job is sent
// once.
func TestPostgres_TwoProcessesShareTheQueue(t *testing.T) {
	const jobs = 60
	w := newWorld(t, database, func(c *webhook.Config) { c.Workers = 4 })
	other := w.second()
	var mu sync.Mutex
	got := map[string]int{}
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got[r.Header.Get("webhook-id")]++
	}))
	w.endpoint(s.URL)
	for i := range jobs {
		e := event(int64(i))
		w.handle(e)
		other.handle(e) // both consumers may handle an event
	}
	for range jobs {
		select {
		case <-w.store.recorded:
		case d := <-other.store.recorded:
			if d.Status != notify.Succeeded {
				t.Errorf("%+v", d)
			}
		case <-time.After(await.Patience):
			t.Fatal("jobs are missing")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) != jobs {
		t.Errorf("%d of %d events arrived", len(got), jobs)
	}
	for id, n := range got {
		if n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
}

// TestPostgres_TriesOfADeadProcess: if a process dies during a try, another one makes it again.
// The long try of a process that is alive is left to it.
func TestPostgres_TriesOfADeadProcess(t *testing.T) {
	w := newWorld(t, database, func(c *webhook.Config) { c.Schedule, c.Timeout = []time.Duration{}, 10*time.Second })
	arrived, release := make(chan string, 10), make(chan struct{})
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- r.Header.Get("webhook-id")
		<-release
	}))
	let := sync.OnceFunc(func() { close(release) })
	t.Cleanup(let)
	e := w.endpoint(s.URL).Endpoint
	w.handle(event(1))
	living := await.Receive(t, arrived)
	// It looks as if it had begun long ago, yet not so long that River takes it for stuck.
	pgtest.Exec(t, w.config.URL, "UPDATE river_job SET attempted_at = now() - interval '20 seconds' WHERE state = 'running'")
	pgtest.Exec(t, w.config.URL, `INSERT INTO river_job (state, attempt, max_attempts, kind, args, attempted_at, attempted_by)
		SELECT 'running', 1, max_attempts, kind, args || '{"event": "evt_dead"}', attempted_at, '{paylink-1}' FROM river_job`)
	other := w.second()
	if again := await.Receive(t, arrived); again != "evt_dead" {
		t.Fatalf("%s was sent again while its process lives", again)
	}
	let()
	seen := map[string]notify.Delivery{}
	for range 2 {
		var d notify.Delivery
		select {
		case d = <-w.store.recorded:
		case d = <-other.store.recorded:
		case <-time.After(await.Patience):
			t.Fatal("a try was not recorded")
		}
		seen[d.Event] = d
	}
	if len(seen) != 2 || seen["evt_dead"].Attempt != 1 || seen[living].Attempt != 1 || len(arrived) > 0 || seen["evt_dead"].Endpoint != e.ID {
		t.Fatalf("%+v", seen)
	}
}

// TestPostgres_LastTryOfAVanishedMachine: a machine vanished in the last try, and the server
// still believes that it is alive. River treats the job as stuck: it is tried once more,
// because it was neither sent nor parked.
func TestPostgres_LastTryOfAVanishedMachine(t *testing.T) {
	w := newWorld(t, database, func(c *webhook.Config) { c.Schedule, c.Timeout = []time.Duration{}, time.Second })
	arrived := make(chan string, 10)
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r.Header.Get("webhook-id") }))
	w.endpoint(s.URL)
	w.handle(event(1))
	await.Receive(t, arrived)
	if d := w.next(); d.Status != notify.Succeeded || d.Attempt != 1 {
		t.Fatalf("%+v", d)
	}
	w.stop()
	pgtest.Exec(t, w.config.URL, `UPDATE river_job SET state = 'running', finalized_at = NULL, args = args || '{"event": "evt_last"}',
		attempted_at = now() - interval '5 minutes', attempted_by = '{paylink-1}'`)
	conn, err := pgx.Connect(t.Context(), w.config.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	const lives = 0x706c_0003
	if _, err := conn.Exec(t.Context(), "SELECT pg_advisory_lock($1, 1)", lives); err != nil {
		t.Fatal(err)
	}
	w.run()
	if again := await.Receive(t, arrived); again != "evt_last" {
		t.Fatalf("%s was sent", again)
	}
	if d := w.next(); d.Status != notify.Succeeded || d.Event != "evt_last" || d.Attempt != 2 {
		t.Fatalf("%+v", d)
	}
}

// TestF26_QueueSurvivesTheServersRestart: PostgreSQL is stopped and started, and the queue goes
// on by itself.
func TestF26_QueueSurvivesTheServersRestart(t *testing.T) {
	server := pgtest.New(t)
	w := newWorld(t, func(t *testing.T) (string, string) {
		url := server.Database(t)
		return url, url
	}, nil)
	s := serve(t, answers())
	w.endpoint(s.URL)
	w.handle(event(1))
	if d := w.next(); d.Status != notify.Succeeded {
		t.Fatalf("%+v", d)
	}
	server.Stop(t)
	second := event(2)
	if err := w.local.Handle(context.Background(), []stream.Event{second}); err == nil {
		t.Fatal("a job was queued while there is no queue")
	}
	server.Start(t)
	// Like the consumer of the feed, this retries until the queue has it. Connections of the
	// old server may still be in the pool.
	limit := time.NewTimer(await.Patience)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for w.local.Handle(context.Background(), []stream.Event{second}) != nil {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatal("the queue does not come back")
		}
	}
	if d := w.next(); d.Status != notify.Succeeded || d.Event != second.ID {
		t.Fatalf("%+v", d)
	}
}

// TestPostgres_SchemaOfItsOwn: store and queue share a schema that the URL names.
func TestPostgres_SchemaOfItsOwn(t *testing.T) {
	w := newWorld(t, func(t *testing.T) (string, string) {
		url := pgtest.Database(t)
		pgtest.Exec(t, url, "CREATE SCHEMA paylink")
		return url + "&search_path=paylink", url + "&search_path=paylink"
	}, nil)
	s := serve(t, answers())
	w.endpoint(s.URL)
	w.handle(event(1))
	if d := w.next(); d.Status != notify.Succeeded {
		t.Fatalf("%+v", d)
	}
	pgtest.Exec(t, w.config.URL, "SET search_path = paylink; SELECT 1 FROM paylink.goose_db_version, paylink.river_job, paylink.events")
}
