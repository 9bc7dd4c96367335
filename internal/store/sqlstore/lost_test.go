package sqlstore_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// line is a TCP proxy to the server that cuts a connection at its COMMIT: before the server
// receives it, or after the server has answered and before the client receives the answer.
type line struct {
	to   string
	cut  atomic.Int32 // what to do with the next COMMIT
	cuts atomic.Int32 // cuts made
}

const (
	cutNot int32 = iota
	cutBefore
	cutAfter
)

// commitMessage is a COMMIT as the client sends it: a simple query.
var commitMessage = append([]byte{'Q', 0, 0, 0, 11}, "COMMIT\x00"...)

// newLine returns the database's URL through a line.
func newLine(t *testing.T, database string) (*line, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{to: u.Host}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { l.carry(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		open.Wait()
	})
	u.Host = listener.Addr().String()
	return l, u.String()
}

func (l *line) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", l.to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var swallow atomic.Bool // the server's next answer
	answered := make(chan struct{})
	go func() { // answers
		defer func() { _ = client.Close() }()
		defer close(answered)
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || swallow.Load() {
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			_ = server.Close()
			<-answered
			return
		}
		if bytes.Contains(buffer[:n], commitMessage) {
			switch l.cut.Swap(cutNot) {
			case cutBefore:
				l.cuts.Add(1)
				_ = server.Close()
				<-answered
				return
			case cutAfter:
				l.cuts.Add(1)
				swallow.Store(true)
			}
		}
		if _, err := io.Copy(server, bytes.NewReader(buffer[:n])); err != nil {
			return
		}
	}
}

// The connection is lost during the COMMIT. The caller gets store_unavailable, which leaves the
// outcome open, and sends the same change again. It succeeds exactly once, whether the first one
// was durable or not.
func TestPostgres_ConnectionLostInCommit(t *testing.T) {
	for name, c := range map[string]struct {
		cut     int32
		durable bool
	}{"before the server hears it": {cutBefore, false}, "after the server is done": {cutAfter, true}} {
		t.Run(name, func(t *testing.T) {
			direct := pgtest.Database(t)
			l, through := newLine(t, direct)
			s, beside := open(t, through), open(t, direct)
			account := id.New(id.Account)
			p := begun(t, s, account)
			change := storetest.Answered(t, p, issuer.Approved)
			l.cut.Store(c.cut)
			err := s.CommitPayment(t.Context(), change)
			if fault.KindOf(err) != fault.KindUnavailable || l.cuts.Load() != 1 {
				t.Fatalf("%v after %d cuts", err, l.cuts.Load())
			}
			got, err := beside.GetPayment(t.Context(), account, p.ID)
			if durable := err == nil && got.Revision == change.Payment.Revision; durable != c.durable {
				t.Fatalf("durable: %v, want %v; %v", durable, c.durable, err)
			}
			if err := s.CommitPayment(t.Context(), change); err != nil { // what the coordinator does
				t.Fatal(err)
			}
			paidOnce(t, beside, p)
		})
	}
}

// suicide is a trigger function that ends its own session, the first time.
const suicide = `CREATE SEQUENCE tries; CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF nextval('tries') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL; END $$; `

// The session ends in the middle of the statements: it is known that nothing was kept, so the
// store tries again by itself. It ends during the COMMIT: nothing was kept either, but that is
// not known, so the caller sends the change again. Either way the change happens once.
func TestPostgres_SessionEnded(t *testing.T) {
	for name, c := range map[string]struct {
		trigger string
		unknown bool
	}{
		"in the statements": {"CREATE TRIGGER die AFTER UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION die()", false},
		"in the commit":     {"CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON payments DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()", true},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.Database(t)
			s := open(t, url)
			account := id.New(id.Account)
			p := begun(t, s, account)
			pgtest.Exec(t, url, suicide+c.trigger)
			change := storetest.Answered(t, p, issuer.Approved)
			err := s.CommitPayment(t.Context(), change)
			if c.unknown {
				if fault.KindOf(err) != fault.KindUnavailable {
					t.Fatal(err)
				}
				if got, err := s.GetPayment(t.Context(), account, p.ID); err != nil || got.Revision != p.Revision {
					t.Fatalf("revision %d, %v", got.Revision, err)
				}
				err = s.CommitPayment(t.Context(), change)
			}
			if err != nil {
				t.Fatal(err)
			}
			paidOnce(t, s, p)
			var tries int
			row(t, url, "SELECT last_value FROM tries", &tries)
			if tries != 2 {
				t.Fatalf("%d tries", tries)
			}
		})
	}
}

// PostgreSQL is stopped, started, killed and started under load. Meanwhile callers get a clear
// error, nothing that was acknowledged is lost, and everything resumes by itself when the server
// is back.
func TestF26_ServerStopsUnderLoad(t *testing.T) {
	server := pgtest.New(t)
	url := server.Database(t)
	s := open(t, url)
	account := id.New(id.Account)
	var made sync.Map // ids of acknowledged links
	var acknowledged, refused, consumed atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				l := storetest.NewLink(account, 1)
				err := s.CreateLink(t.Context(), l, []stream.Event{happened(account, l.ID)}, nil)
				if err == nil {
					if _, err = s.GetLink(t.Context(), account, l.ID); err == nil {
						made.Store(l.ID, true)
						acknowledged.Add(1)
					}
				}
				if err != nil {
					refused.Add(1)
					if fault.KindOf(err) != fault.KindUnavailable {
						t.Errorf("not a clear error: %v", err)
						return
					}
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	load.Go(func() {
		for ctx.Err() == nil { // as the app does
			err := s.Consume(ctx, "test", func(_ context.Context, events []stream.Event) error {
				consumed.Add(int64(len(events)))
				return nil
			})
			if err != nil && fault.KindOf(err) != fault.KindUnavailable {
				t.Errorf("not a clear error: %v", err)
			}
		}
	})
	progress := func(what string) {
		t.Helper()
		a, c := acknowledged.Load(), consumed.Load()
		await.Until(t, what, func() bool { return acknowledged.Load() > a+20 && consumed.Load() > c })
	}
	progress("it works")
	for name, end := range map[string]func(){"stopped": func() { server.Stop(t) }, "killed": func() { server.Kill(t) }} {
		end()
		r := refused.Load()
		await.Until(t, "callers hear of it", func() bool { return refused.Load() > r+8 })
		if err := s.Ping(t.Context()); fault.KindOf(err) != fault.KindUnavailable {
			t.Errorf("ready while the server is %s: %v", name, err)
		}
		server.Start(t)
		progress("it goes on after the server was " + name)
	}
	close(stop)
	cancel()
	load.Wait()
	again := open(t, url)
	made.Range(func(link, _ any) bool {
		if _, err := again.GetLink(t.Context(), account, link.(string)); err != nil {
			t.Errorf("an acknowledged link is lost: %v", err)
		}
		return true
	})
	checkFeed(t, again, account)
	t.Logf("%d acknowledged and kept, %d refused meanwhile", acknowledged.Load(), refused.Load())
}

// checkFeed reads the whole feed: no event twice, and each account's events in order.
func checkFeed(t testing.TB, s *sqlstore.Store, account string) {
	t.Helper()
	var last, position int64
	for {
		events, err := s.FeedAfter(t.Context(), position)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return
		}
		for _, e := range events {
			if e.Account == account && e.Seq != last+1 {
				t.Fatalf("seq %d follows %d", e.Seq, last)
			}
			last, position = e.Seq, e.Position
		}
	}
}

// A server that could lose what it acknowledged is refused; a session setting with that effect is
// overridden.
func TestPostgres_DurabilityIsChecked(t *testing.T) {
	server := pgtest.New(t)
	url := server.Database(t)
	server.Exec(t, "ALTER SYSTEM SET synchronous_commit = off")
	server.Exec(t, "SELECT pg_reload_conf()")
	await.Until(t, "the setting counts", func() bool {
		var now string
		row(t, url, "SELECT current_setting('synchronous_commit')", &now)
		return now == "off"
	})
	s := open(t, url)
	if now, err := s.WriterSetting(t.Context(), "synchronous_commit"); err != nil || now != "on" {
		t.Fatalf("a writer's commits are acknowledged with synchronous_commit %s, %v", now, err)
	}
	server.Exec(t, "ALTER SYSTEM SET fsync = off")
	server.Exec(t, "SELECT pg_reload_conf()")
	await.Until(t, "the setting counts", func() bool {
		var now string
		row(t, url, "SELECT current_setting('fsync')", &now)
		return now == "off"
	})
	if _, err := sqlstore.Open(t.Context(), url); err == nil || !bytes.Contains([]byte(err.Error()), []byte("fsync=off")) {
		t.Fatalf("a server without fsync: %v", err)
	}
}
