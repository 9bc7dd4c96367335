package dynamo_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// mortal is a feed in front of which the relay dies, before a batch is stored or right after it.
type mortal struct {
	*sqlstore.Store
	n atomic.Int64
}

var errKilled = errors.New("killed")

func (m *mortal) AppendBatch(ctx context.Context, source string, b stream.Batch) error {
	n := m.n.Add(1)
	if n%3 == 1 {
		return errKilled
	}
	if err := m.Store.AppendBatch(ctx, source, b); err != nil {
		return err
	}
	if n%3 == 2 {
		return errKilled
	}
	return nil
}

// traffic makes links and payments of every outcome, and returns the expected balances of the
// accounts.
func traffic(t *testing.T, w *world, links int) (available int64) {
	t.Helper()
	var sum atomic.Int64
	var wg sync.WaitGroup
	for i := range links {
		l := w.link(func(r *link.CreateRequest) {
			if i%4 == 0 {
				n := int64(3)
				r.MaxUses = &n
			}
		})
		wg.Go(func() {
			if i%5 == 4 {
				if _, err := w.links.Cancel(t.Context(), l.Account, l.Mode, l.ID, nil); err != nil {
					t.Error(err)
				}
				return
			}
			for n := range max(1, int(l.MaxUses)) {
				card := goodCard
				if i%5 == 3 {
					card = declinedCard
				}
				p, err := w.c.Submit(t.Context(), w.submission(l, i*10+n, card))
				if err != nil {
					t.Error(err)
					return
				}
				sum.Add(p.CapturedMinor)
			}
		})
	}
	wg.Wait()
	return sum.Load()
}

// checkFeed compares the feed with the table: every event once, gap-free, each object's in order,
// and the money right.
func checkFeed(t *testing.T, s *dynamo.Store, feed *sqlstore.Store, account string, available int64) {
	t.Helper()
	if err := (dynamotest.Distributed{Store: s, Feed: feed}).CatchUp(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	all, err := dynamotest.AllEvents(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]stream.Event{}
	for _, e := range all {
		if e.Account == account {
			want[e.ID] = e
		}
	}
	last := map[string]int64{}
	n := 0
	for after := int64(0); ; {
		page, err := feed.Events(t.Context(), account, link.Test, after, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			n++
			after = e.Seq
			is, known := want[e.ID]
			if e.Seq != int64(n) || !known || string(is.Data) != string(e.Data) || is.Type != e.Type || is.ObjectSeq != e.ObjectSeq {
				t.Fatalf("event %d is %s %s with seq %d, known %v", n, e.Type, e.ID, e.Seq, known)
			}
			if e.ObjectSeq <= last[e.Object] {
				t.Fatalf("%s: number %d comes after %d", e.Object, e.ObjectSeq, last[e.Object])
			}
			last[e.Object] = e.ObjectSeq
		}
	}
	if n != len(want) {
		t.Fatalf("the feed has %d events, the table %d", n, len(want))
	}
	b, err := feed.Balances(t.Context(), account, link.Test)
	if err != nil || b["EUR"].Available.Minor != available {
		t.Fatalf("balance %v, want %d, %v", b["EUR"].Available, available, err)
	}
}

// TestRelay checks that events in DynamoDB arrive in the feed once and in order, although the
// relay is killed around two batches of three.
func TestRelay(t *testing.T) {
	s, feed := open(t), dynamotest.OpenFeed(t)
	w := newWorld(t, dynamotest.Distributed{Store: s, Feed: feed})
	m := &mortal{Store: feed}
	dynamotest.Start(t, func(ctx context.Context) error {
		for ctx.Err() == nil {
			if err := stream.Relay(ctx, "dynamo", s, m); err != nil && !errors.Is(err, errKilled) {
				return err
			}
		}
		return nil
	})
	dynamotest.Start(t, feed.RunBalances)
	available := traffic(t, w, 20)
	checkFeed(t, s, feed, w.account, available)
	available += traffic(t, w, 20)
	checkFeed(t, s, feed, w.account, available)
	t.Logf("%d batches, two of three ended in a kill", m.n.Load())
}

// TestRelayStoppedBeforeItBegan checks that a relay that is stopped during its start ends without
// an error.
func TestRelayStoppedBeforeItBegan(t *testing.T) {
	s, feed := open(t), dynamotest.OpenFeed(t)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- stream.Relay(ctx, "dynamo", s, feed) }()
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
}

// TestLinkPaidCarriesItsURL checks that the token that a payment's item borrows from the link is
// restored in the event.
func TestLinkPaidCarriesItsURL(t *testing.T) {
	s := open(t)
	w := newWorld(t, dynamotest.Distributed{Store: s, Feed: dynamotest.OpenFeed(t)})
	l := w.link()
	w.pay(l, 1)
	events, err := dynamotest.AllEvents(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		var data struct{ URL, Status string }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatalf("%s: %v", e.Type, err)
		}
		if e.Type == link.EventPaid && data.URL == w.links.URL(l) && data.Status == link.Paid {
			return
		}
	}
	t.Fatal("link.paid was not told as it is")
}

// TestF23RebuiltFromTheTable checks that a relay that returns after the stream has dropped unread
// records notices, and reads the table instead.
func TestF23RebuiltFromTheTable(t *testing.T) {
	trimmed := `{"__type":"com.amazonaws.dynamodb.v20120810#TrimmedDataAccessException","message":"too old"}`
	expired := `{"__type":"com.amazonaws.dynamodb.v20120810#ExpiredIteratorException","message":"too old"}`
	for name, c := range map[string]struct {
		operation, answer string
		forge             func(map[string]string) // the checkpoints, as they would be then
		rebuilt           bool
	}{
		"the records after the checkpoint are trimmed": {"GetShardIterator", trimmed, nil, true},
		"they are trimmed while it reads":              {"GetRecords", trimmed, nil, true},
		"the shard is gone": {"", "", func(at map[string]string) {
			for shard := range at {
				delete(at, shard)
			}
			at["shardId-00000000000000000000-gone"] = "after 000000000000000000001"
		}, true},
		"an iterator has expired": {"GetRecords", expired, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			wire := &stuck{}
			scans := &atomic.Int64{}
			s := open(t, func(o *dynamo.Options) {
				o.HTTP = wire
				o.Observe = func(c dynamo.Call) {
					if c.Operation == "Scan" {
						scans.Add(1)
					}
				}
			})
			feed := dynamotest.OpenFeed(t)
			w := newWorld(t, dynamotest.Distributed{Store: s, Feed: feed})
			relay := func(ctx context.Context) error { return stream.Relay(ctx, "dynamo", s, feed) }
			stop := dynamotest.Start(t, relay)
			dynamotest.Start(t, feed.RunBalances)
			available := traffic(t, w, 6)
			checkFeed(t, s, feed, w.account, available)
			stop()
			available += traffic(t, w, 6)
			at, err := feed.Checkpoints(t.Context(), "dynamo")
			if err != nil || len(at) == 0 {
				t.Fatal(at, err)
			}
			if c.forge != nil {
				c.forge(at)
				if err := feed.AppendBatch(t.Context(), "dynamo", stream.Batch{Fresh: true, Checkpoints: at}); err != nil {
					t.Fatal(err)
				}
			}
			wire.once(c.operation, c.answer)
			before := scans.Load()
			dynamotest.Start(t, relay)
			within(
				t,
				3*time.Minute,
				"the relay comes upon what is wrong",
				func() bool { return wire.told() && (!c.rebuilt || scans.Load() > before) },
			)
			checkFeed(t, s, feed, w.account, available)
			now, err := feed.Checkpoints(t.Context(), "dynamo")
			if err != nil || now["shardId-00000000000000000000-gone"] != "" {
				t.Errorf("the checkpoints are %v, %v", now, err)
			}
		})
	}
}

// stuck answers one request to the stream in place of DynamoDB.
type stuck struct {
	mu                sync.Mutex
	operation, answer string
}

func (w *stuck) once(operation, answer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.operation, w.answer = operation, answer
}

func (w *stuck) told() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.operation == ""
}

func (w *stuck) Do(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.mu.Lock()
	mine := w.operation != "" && operation == w.operation
	body := w.answer
	if mine {
		w.operation = ""
	}
	w.mu.Unlock()
	if mine {
		return answer(r, 400, body), nil
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestF19TheFeedTakesEachEventOnce checks that duplicates and late events of a relay are
// recognized by object and number.
func TestF19TheFeedTakesEachEventOnce(t *testing.T) {
	feed := dynamotest.OpenFeed(t)
	l := storetest.NewLink(id.New(id.Account), 1)
	begin := storetest.Begin(t, l, attempt1)
	done := storetest.Answered(t, begin.Payment, issuer.Approved)
	events := append(append([]stream.Event{linkEvent(l, link.EventCreated, 1)}, begin.Events...), done.Events...)
	for _, batch := range [][]stream.Event{events[:2], events[:3], {events[3]}, {events[1]}, events, {events[3], events[3]}} {
		if err := feed.AppendBatch(t.Context(), "dynamo", stream.Batch{Events: batch,
			Checkpoints: map[string]string{"s": "after 1"}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := feed.Events(t.Context(), l.Account, link.Test, 0, 100)
	if err != nil || len(got) != len(events) {
		t.Fatalf("%d events, want %d, %v", len(got), len(events), err)
	}
	for i, e := range got {
		if e.ID != events[i].ID || e.Seq != int64(i)+1 {
			t.Errorf("event %d is %s with seq %d", i, e.Type, e.Seq)
		}
	}
	bad := events[0]
	for i, seq := range []int64{0, 65} { // numbers that no store assigns: set aside, so that the rest continues
		bad.ID, bad.ObjectSeq = id.New(id.Event), seq
		if err := feed.AppendBatch(t.Context(), "dynamo", stream.Batch{Events: []stream.Event{bad}}); err != nil {
			t.Fatal(err)
		}
		aside, err := feed.CountAside(t.Context(), "events")
		if err != nil || aside != int64(i)+1 {
			t.Errorf("%d events are set aside after the number %d, %v", aside, seq, err)
		}
	}
	if got, err = feed.Events(t.Context(), l.Account, link.Test, 0, 100); err != nil || len(got) != len(events) {
		t.Errorf("%d events in the feed, want %d, %v", len(got), len(events), err)
	}
}

// TestConsume checks that the table's stream is a source by itself, with checkpoints in the
// table: at least once, and each object's events in order.
func TestConsume(t *testing.T) {
	s := open(t)
	seen := map[string]int{}
	last := map[string]int64{}
	read := func(want int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		fresh := 0
		err := s.Consume(ctx, "fraud", func(_ context.Context, events []stream.Event) error {
			for _, e := range events {
				if seen[e.ID]++; seen[e.ID] == 1 {
					fresh++
					if e.ObjectSeq <= last[e.Object] {
						t.Errorf("%s is out of order", e.Type)
					}
					last[e.Object] = e.ObjectSeq
				}
			}
			if fresh >= want {
				cancel()
			}
			return nil
		})
		if err != nil || fresh != want {
			t.Fatalf("%d fresh events, want %d, %v", fresh, want, err)
		}
	}
	l := newLink(t, s, 2)
	read(1)
	begin := storetest.Begin(t, l, attempt1)
	if err := s.CommitPayment(t.Context(), begin); err != nil {
		t.Fatal(err)
	}
	read(2)
	failed := errors.New("handler failed")
	if err := s.CommitPayment(t.Context(), storetest.Answered(t, begin.Payment, issuer.Declined)); err != nil {
		t.Fatal(err)
	}
	if err := s.Consume(t.Context(), "fraud", func(context.Context, []stream.Event) error { return failed }); !errors.Is(err, failed) {
		t.Fatalf("a failing handler: %v", err)
	}
	read(1)
	if p, err := s.GetPayment(t.Context(), l.Account, begin.Payment.ID); err != nil || p.Status != payment.Declined {
		t.Fatal(p.Status, err)
	}
}
