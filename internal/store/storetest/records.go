package storetest

import (
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/stream"
)

func records(t *testing.T, s suite) {
	r := &idempotency.Record{Scope: s.account, Key: "k", Fingerprint: []byte{1, 2}, Status: 200, Answer: []byte("sealed"), CreatedAt: Epoch}
	if err := s.CreateLink(s.ctx, NewLink(s.account, 1), nil, r); err != nil {
		t.Fatal(err)
	}
	got, err := s.GetIdempotency(s.ctx, s.account, "k")
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Fatalf("%+v %v", got, err)
	}
	second := NewLink(s.account, 1)
	if err := s.CreateLink(s.ctx, second, nil, r); !errors.Is(err, idempotency.ErrRaced) {
		t.Fatalf("the second effect: %v", err)
	}
	_, err = s.GetLink(s.ctx, s.account, second.ID)
	wantCode(t, err, "not_found")
	c := Begin(t, s.link(t, 1), attempt(1))
	c.Record = r
	if err := s.CommitPayment(s.ctx, c); !errors.Is(err, idempotency.ErrRaced) {
		t.Fatalf("the second effect: %v", err)
	}
	_, err = s.GetPayment(s.ctx, s.account, c.Payment.ID)
	wantCode(t, err, "not_found")
	if none, err := s.GetIdempotency(s.ctx, s.account, "other"); none != nil || err != nil {
		t.Fatal(none, err)
	}
	// Answers are sealed with a nonce, so no two calls have the same. The bytes of the first
	// would mean a repetition of it.
	other := *r
	other.Answer = []byte("sealed otherwise")
	if err := s.PutIdempotency(s.ctx, other); !errors.Is(err, idempotency.ErrRaced) {
		t.Fatal(err)
	}
}

func eventSeq(t *testing.T, s suite) {
	l := s.link(t, 0)
	var wg sync.WaitGroup
	for i := range 20 {
		begin := Begin(t, l, attempt(i))
		done := Answered(t, begin.Payment, issuer.Approved)
		wg.Go(func() {
			if err := errors.Join(s.CommitPayment(s.ctx, begin), s.CommitPayment(s.ctx, done)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var all []stream.Event
	for after := int64(0); ; {
		page, err := s.Events(s.ctx, s.account, link.Test, after, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
		after = page[len(page)-1].Seq
	}
	if len(all) != 1+20*3 {
		t.Fatalf("%d events", len(all))
	}
	objects := map[string]int64{}
	for i, e := range all {
		if e.Seq != int64(i)+1 {
			t.Fatalf("event %d has seq %d", i+1, e.Seq)
		}
		if e.ObjectSeq <= objects[e.Object] {
			t.Fatalf("events of %s are out of order", e.Object)
		}
		objects[e.Object] = e.ObjectSeq
	}
}
