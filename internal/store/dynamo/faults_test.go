package dynamo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// injury is what the wire does to one request.
type injury uint8

const (
	none     injury = iota
	throttle        // refused: the partition is at its limit
	conflict        // refused: another transaction uses the item
	drop            // carried out, but the answer is lost
	lose            // not even sent
	hang            // sent, and never answered
	broken          // carried out, but answered 500
)

// wire is a proxy in front of DynamoDB Local, which itself never fails in these ways.
type wire struct {
	mu   sync.Mutex
	hurt func(operation string) injury
}

func (w *wire) set(hurt func(operation string) injury) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hurt = hurt
}

// writes injures the next n writes.
func (w *wire) writes(what injury, n int) {
	w.set(func(operation string) injury {
		if n == 0 ||
			!(strings.HasPrefix(operation, "Put") || strings.HasPrefix(operation, "Update") || strings.HasPrefix(operation, "Transact")) {
			return none
		}
		n--
		return what
	})
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.mu.Lock()
	what := none
	if w.hurt != nil {
		what = w.hurt(operation)
	}
	w.mu.Unlock()
	switch what {
	case throttle:
		return answer(r, 400, `{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"too much"}`), nil
	case conflict:
		if operation != "TransactWriteItems" {
			return answer(r, 400, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException","message":"busy"}`), nil
		}
		return answer(r, 400, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"busy",`+
			`"CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict"}]}`), nil
	case lose:
		return nil, errors.New("injected: the connection was refused")
	case hang:
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	out, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || (what != drop && what != broken) {
		return out, err
	}
	_, _ = io.Copy(io.Discard, out.Body)
	_ = out.Body.Close()
	if what == broken {
		return answer(r, 500, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"oh"}`), nil
	}
	return nil, errors.New("injected: the connection was lost")
}

func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{
			"Content-Type": {"application/x-amz-json-1.0"},
		}, Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body))}
}

func openHurt(t *testing.T) (*dynamo.Store, *wire) {
	t.Helper()
	w := &wire{}
	return open(t, func(o *dynamo.Options) { o.HTTP = w }), w
}

func newLink(t *testing.T, s *dynamo.Store, maxUses int64) link.Link {
	t.Helper()
	l := storetest.NewLink(id.New(id.Account), maxUses)
	if err := s.CreateLink(t.Context(), l, []stream.Event{linkEvent(l, link.EventCreated, 1)}, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

func linkEvent(l link.Link, kind string, seq int64) stream.Event {
	return stream.Event{
		ID:        id.New(id.Event),
		Type:      kind,
		Account:   l.Account,
		Mode:      l.Mode,
		Object:    l.ID,
		ObjectSeq: seq,
		CreatedAt: storetest.Epoch,
		Data:      []byte(`{"a":1}`),
	}
}

func record(l link.Link, n string) *idempotency.Record {
	return &idempotency.Record{
		Scope:       l.Account,
		Key:         n,
		Fingerprint: []byte{1},
		Status:      200,
		Answer:      []byte("sealed " + l.ID),
		CreatedAt:   storetest.Epoch,
	}
}

const attempt1, attempt2 = "attempt-000000000001", "attempt-000000000002"

// TestF26EveryWriteSurvives checks that each kind of write is done once and reported as done,
// whatever the wire does to a few tries.
func TestF26EveryWriteSurvives(t *testing.T) {
	s, w := openHurt(t)
	for name, what := range map[string]injury{"throttled": throttle, "in conflict": conflict, "answer lost": drop, "not sent": lose,
		"answered 500": broken} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			do := func(step string, f func() error) {
				t.Helper()
				w.writes(what, 2)
				defer w.set(nil)
				if err := f(); err != nil {
					t.Fatalf("%s: %v", step, err)
				}
			}
			l := storetest.NewLink(id.New(id.Account), 2)
			do("create", func() error {
				return s.CreateLink(ctx, l, []stream.Event{linkEvent(l, link.EventCreated, 1)}, record(l, "create"))
			})
			begin := storetest.Begin(t, l, attempt1)
			do("begin", func() error { return s.CommitPayment(ctx, begin) })
			settle := storetest.Answered(t, begin.Payment, issuer.Approved)
			settle.Record = record(l, "settle")
			do("settle", func() error { return s.CommitPayment(ctx, settle) })
			second := storetest.Begin(t, l, attempt2)
			do("begin the last use", func() error { return s.CommitPayment(ctx, second) })
			do("settle the last use", func() error {
				return s.CommitPayment(ctx, storetest.Answered(t, second.Payment, issuer.Approved))
			})
			other := newLink(t, s, 1)
			do("cancel", func() error {
				return s.CancelLink(ctx, other.Account, other.ID, storetest.Epoch, linkEvent(other, link.EventCanceled, 2), record(other, "cancel"))
			})
			late := newLink(t, s, 1)
			do("expire", func() error {
				_, err := s.ExpireLinks(
					ctx,
					late.ExpiresAt,
					1000,
					func(k link.Link) (stream.Event, error) { return linkEvent(k, link.EventExpired, 2), nil },
				)
				return err
			})
			do("record", func() error { return s.PutIdempotency(ctx, *record(other, "put")) })
			got, err := s.GetLink(ctx, l.Account, l.ID)
			if err != nil || got.Uses != 2 || got.Reserved != 0 || got.PaidAt.IsZero() {
				t.Fatalf("uses %d, reserved %d, %v", got.Uses, got.Reserved, err)
			}
			p, err := s.GetPayment(ctx, l.Account, begin.Payment.ID)
			if err != nil || p.Status != payment.Succeeded || len(p.Verify()) > 0 {
				t.Fatal(p.Status, p.Verify(), err)
			}
			events, err := dynamotest.AllEvents(ctx, s)
			if err != nil {
				t.Fatal(err)
			}
			told := map[string]int{}
			for _, e := range events {
				if e.Account == l.Account || e.Account == other.Account || e.Account == late.Account {
					told[e.Type]++
				}
			}
			if told[link.EventCreated] != 3 || told[link.EventPaid] != 1 || told[link.EventCanceled] != 1 || told[link.EventExpired] != 1 ||
				told["payment.succeeded"] != 2 {
				t.Errorf("told %v", told)
			}
		})
	}
}

// TestF26Unavailable checks that a write that keeps failing is returned as unavailable, with the
// time to try again. Nothing remains, or the same change is recognized.
func TestF26Unavailable(t *testing.T) {
	s, w := openHurt(t)
	for name, c := range map[string]struct {
		what injury
		code string
	}{
		"throttled":   {throttle, "store_busy"},
		"in conflict": {conflict, "store_busy"},
		"answer lost": {drop, "store_unavailable"},
		"not sent":    {lose, "store_unavailable"},
		"no answer":   {hang, "store_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLink(t, s, 1)
			begin := storetest.Begin(t, l, attempt1)
			commit := func() (took time.Duration, err error) {
				ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
				defer cancel()
				w.writes(c.what, 1000)
				defer w.set(nil)
				start := time.Now()
				err = s.CommitPayment(ctx, begin)
				return time.Since(start), err
			}
			took, err := commit()
			// If the deadline cuts off a request whose refusal was under way, its outcome is unclear.
			for tries := 1; c.code == "store_busy" && fault.Code(err) == "store_unavailable" && tries < 10; tries++ {
				took, err = commit()
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.KindUnavailable || f.Code != c.code || f.RetryAfter <= 0 {
				t.Fatalf("got %v, want %s", err, c.code)
			}
			if took > 2*time.Second {
				t.Errorf("it took %s, past the caller's deadline", took)
			}
			if c.code == "store_busy" {
				if _, err := s.GetPayment(t.Context(), l.Account, begin.Payment.ID); fault.Code(err) != "not_found" {
					t.Errorf("a refused change left something: %v", err)
				}
			}
			if err := s.CommitPayment(t.Context(), begin); err != nil {
				t.Fatalf("the same change again: %v", err)
			}
			got, err := s.GetLink(t.Context(), l.Account, l.ID)
			if err != nil || got.Reserved != 1 {
				t.Errorf("%d uses are reserved, %v", got.Reserved, err)
			}
		})
	}
}

// TestF26ARefusalStaysARefusal checks that a failed condition is not hidden by earlier failures,
// and that another process's write is not taken for ours.
func TestF26ARefusalStaysARefusal(t *testing.T) {
	s, w := openHurt(t)
	l := newLink(t, s, 1)
	if err := s.CommitPayment(t.Context(), storetest.Begin(t, l, attempt1)); err != nil {
		t.Fatal(err)
	}
	for _, what := range []injury{throttle, drop, lose} {
		w.writes(what, 1)
		if err := s.CommitPayment(t.Context(), storetest.Begin(t, l, attempt2)); fault.Code(err) != "link_paying" {
			t.Errorf("got %v, want link_paying", err)
		}
		w.writes(what, 1)
		if err := s.CommitPayment(t.Context(), storetest.Begin(t, l, attempt1)); !errors.Is(err, payment.ErrConflict) {
			t.Errorf("got %v, want a conflict", err)
		}
		r := record(l, "key")
		if err := s.PutIdempotency(t.Context(), *r); err != nil && !errors.Is(err, idempotency.ErrRaced) {
			t.Fatal(err)
		}
		r.Answer = []byte("another answer")
		w.writes(what, 1)
		if err := s.PutIdempotency(t.Context(), *r); !errors.Is(err, idempotency.ErrRaced) {
			t.Errorf("got %v, want raced", err)
		}
	}
}

// TestF26TheSuiteInAStorm runs the conformance suite while every fifth request to DynamoDB fails
// in some way.
func TestF26TheSuiteInAStorm(t *testing.T) {
	s, w := openHurt(t)
	r := rand.New(rand.NewPCG(1, 2))
	hurt := 0
	w.set(func(string) injury {
		if r.IntN(5) > 0 {
			return none
		}
		hurt++
		return []injury{throttle, conflict, drop, lose, broken}[r.IntN(5)]
	})
	d := dynamotest.Distributed{Store: s, Feed: dynamotest.OpenFeed(t)}
	dynamotest.Start(t, func(ctx context.Context) error { return stream.Relay(ctx, "dynamo", d.Store, d.Feed) })
	storetest.Run(t, func(*testing.T) storetest.Store { return d }, storetest.Options{CatchUp: d.CatchUp, Storm: true})
	w.set(nil)
	t.Logf("%d requests went wrong", hurt)
	if hurt < 100 {
		t.Error("that was no storm")
	}
}
