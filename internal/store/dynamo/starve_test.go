package dynamo_test

import (
	"context"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// TestF53QueuesGoOn checks that items that cannot be processed, or too many items of one account,
// do not hold up those of others.
func TestF53QueuesGoOn(t *testing.T) { starved(t, 110) }

// quick loads in large batches what a test needs many of.
type quick struct{ *dynamo.Store }

func (q quick) LoadPayments(ctx context.Context, list []payment.Payment) error {
	return q.Load(ctx, list, nil)
}
func (q quick) LoadLinks(ctx context.Context, list []link.Link) error { return q.Load(ctx, nil, list) }

func starved(t *testing.T, n int) {
	s := quick{open(t)}
	spoil := func(kind string) func(string) {
		return func(account string) {
			t.Helper()
			if err := s.Spoil(t.Context(), account, kind); err != nil {
				t.Fatal(err)
			}
		}
	}
	storetest.RunStarvedByDamage(t, s, n, 6, spoil("P#"))
	storetest.RunStarvedByAccount(t, s, n, 6)
	storetest.RunStarvedLinks(t, s, n, 6, spoil("L#"))
	storetest.RunStarvedLinks(t, s, n, 6, nil)
}

// TestF53OneInstant checks that a walk through a shard moves past payments of one account that
// are all due at one instant, as they are when they are retried after they were set aside.
func TestF53OneInstant(t *testing.T) {
	s := open(t)
	p := storetest.Begin(t, storetest.NewLink(id.New(id.Account), 1), "attempt-of-many-0001").Payment
	inShard := func(p payment.Payment) payment.Payment {
		for p.ID = id.New(id.Payment); !dynamo.InFirstShard(p.ID); p.ID = id.New(id.Payment) {
		}
		return p
	}
	p.Work.NextAt = storetest.Epoch
	list := make([]payment.Payment, 900)
	for i := range list {
		list[i] = inShard(p)
	}
	other := storetest.Begin(t, storetest.NewLink(id.New(id.Account), 1), "attempt-of-other-001").Payment
	other.Work.NextAt = storetest.Epoch.Add(time.Second)
	other = inShard(other)
	if err := s.Load(t.Context(), append(list, other), nil); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		due, err := s.TakeDue(t.Context(), payment.Take{Now: storetest.Epoch.Add(time.Minute), Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range due {
			if p.ID == other.ID {
				return
			}
		}
	}
	t.Fatal("another account's payment is not taken within 4 sweeps")
}

// TestF53RelayPassesOver checks that an item that cannot be read does not keep other events from
// the feed, and is reported.
func TestF53RelayPassesOver(t *testing.T) {
	s := open(t)
	bad, good := storetest.NewLink(id.New(id.Account), 1), storetest.NewLink(id.New(id.Account), 1)
	for _, l := range []link.Link{bad, good} {
		e := stream.Event{ID: id.New(id.Event), Type: "link.created", Account: l.Account, Mode: l.Mode, Object: l.ID, ObjectSeq: 1,
			CreatedAt: storetest.Epoch, Data: []byte(`{"n":1}`)}
		if err := s.CreateLink(t.Context(), l, []stream.Event{e}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Spoil(t.Context(), bad.Account, "L#"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	told, aside := false, ""
	err := s.Follow(ctx, nil, func(_ context.Context, b stream.Batch) error {
		for _, e := range b.Events {
			told = told || e.Object == good.ID
		}
		for _, a := range b.Aside {
			aside = a.Item
		}
		if told && aside != "" {
			stop()
		}
		return nil
	})
	if err != nil || !told || aside != bad.ID {
		t.Fatalf("told %v, set aside %q, %v", told, aside, err)
	}
}
