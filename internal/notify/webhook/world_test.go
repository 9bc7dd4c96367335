package webhook_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/notify/webhook"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "acct_a"
	mode    = "test"
)

// recordingStore passes each recorded delivery on, once it is durable.
type recordingStore struct {
	*sqlstore.Store
	recorded chan notify.Delivery
}

func (s *recordingStore) RecordDelivery(ctx context.Context, d notify.Delivery, r *idempotency.Record) error {
	err := s.Store.RecordDelivery(ctx, d, r)
	if err == nil {
		s.recorded <- d
	}
	return err
}

// world is a notifier with a real store, queue and sender.
type world struct {
	t      *testing.T
	config webhook.Config
	store  *recordingStore
	queue  *webhook.Queue
	local  *notify.Local
	stop   func()
}

// keeper returns the URLs of an empty store and of an empty queue.
type keeper func(t *testing.T) (store, queue string)

var keepers = map[string]keeper{
	"SQLite": func(t *testing.T) (store, queue string) {
		dir := t.TempDir()
		return "sqlite:" + filepath.Join(dir, "paylink.db"), "sqlite:" + filepath.Join(dir, "queue.db")
	},
	"PostgreSQL": func(t *testing.T) (store, queue string) {
		url := pgtest.Database(t)
		return url, url
	},
}

// onEach runs the test on each engine.
func onEach(t *testing.T, test func(*testing.T, keeper)) {
	t.Helper()
	for name, k := range keepers {
		t.Run(name, func(t *testing.T) { test(t, k) })
	}
}

// newWorld starts one. change may alter the configuration, whose times are short.
func newWorld(t *testing.T, k keeper, change func(*webhook.Config)) *world {
	t.Helper()
	storeURL, queueURL := k(t)
	store := sqltest.Open(t, storeURL)
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: &recordingStore{store, make(chan notify.Delivery, 1000)}}
	w.config = webhook.Config{
		URL: queueURL, Store: w.store, AllowPrivate: true,
		Schedule: []time.Duration{50 * time.Millisecond, 50 * time.Millisecond}, Timeout: 10 * time.Second,
		Keys: notify.Keys{
			Seal: func(b []byte) []byte { return append([]byte("sealed:"), b...) },
			Unseal: func(b []byte) ([]byte, error) {
				plain, ok := bytes.CutPrefix(b, []byte("sealed:"))
				if !ok {
					return nil, errors.New("not sealed")
				}
				return plain, nil
			},
			Sign: func(m []byte) []byte { return ed25519.Sign(private, m) },
		},
	}
	if change != nil {
		change(&w.config)
	}
	w.run()
	return w
}

// run opens the queue and works it until stop, or the test's end.
func (w *world) run() {
	w.t.Helper()
	q, err := webhook.Open(w.t.Context(), w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.queue = q
	w.local = notify.New(notify.Config{Store: w.store, Queue: q, Keys: w.config.Keys, AllowPrivate: true})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
		if err := q.Close(); err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(w.stop)
}

func (w *world) endpoint(url string) notify.Revealed {
	w.t.Helper()
	r, err := w.local.Create(w.t.Context(), notify.Draft{Account: account, Mode: mode, URL: url}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) handle(events ...stream.Event) {
	w.t.Helper()
	if err := w.local.Handle(w.t.Context(), events); err != nil {
		w.t.Fatal(err)
	}
}

// next returns the next delivery that was recorded.
func (w *world) next() notify.Delivery {
	w.t.Helper()
	return await.Receive(w.t, w.store.recorded)
}

func event(seq int64) stream.Event {
	return stream.Event{
		ID: id.New(id.Event), Type: "payment.succeeded", Account: account, Mode: mode, Object: "pay_1",
		Seq: seq, ObjectSeq: seq, CreatedAt: time.Now(), Data: json.RawMessage(`{"id":"pay_1"}`),
	}
}

// answers replies with the statuses in turn, and with 200 when they are used up.
func answers(statuses ...int) http.HandlerFunc {
	var mu sync.Mutex
	return func(rw http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if len(statuses) == 0 {
			return
		}
		rw.WriteHeader(statuses[0])
		statuses = statuses[1:]
	}
}

// rebinding is a resolver whose name server gives a public address to the first
// question and loopback ever after.
func rebinding(t *testing.T) *net.Resolver {
	t.Helper()
	var config net.ListenConfig
	server, err := config.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		asked := 0
		buf := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			if q.Type == dnsmessage.TypeA {
				address := [4]byte{93, 184, 215, 14}
				if asked++; asked > 1 {
					address = [4]byte{127, 0, 0, 1}
				}
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: address},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = server.WriteTo(out, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}
