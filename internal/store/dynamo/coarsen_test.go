package dynamo_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/progress"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// TestCoarsen checks that payments of the version before, with short and with long metadata (which
// is cut out of events), are read as coarse, and that Coarsen makes them so: no reader of the stream
// sees a change, every event is as before but for the fingerprint, and payments go on.
func TestCoarsen(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	account := id.New(id.Account)
	var begun []payment.Change
	want := map[string]string{} // the data of each event afterwards
	for _, long := range []bool{false, true} {
		l := storetest.NewLink(account, 0)
		if long {
			l.Metadata = map[string]string{"note": strings.Repeat("long ", 100)}
		}
		if err := s.CreateLink(ctx, l, nil, nil); err != nil {
			t.Fatal(err)
		}
		c := storetest.BeginBefore(t, l, "attempt-000000000001")
		if err := s.CommitPayment(ctx, c); err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Events {
			coarse, old, _ := payment.CoarsenEvent(e.Data)
			if old == "" {
				t.Fatalf("an event without a card: %s", e.Data)
			}
			want[e.ID] = string(coarse)
		}
		begun = append(begun, c)
	}
	old := func() (n int) {
		t.Helper()
		texts, err := s.Texts(ctx)
		if err != nil || len(texts) != 2 {
			t.Fatal(len(texts), err)
		}
		for _, text := range texts {
			n += strings.Count(text, storetest.OldFingerprint)
		}
		return n
	}
	if old() < 6 {
		t.Fatal("nothing is of the version before")
	}
	for _, c := range begun {
		if p, err := s.GetPayment(ctx, account, c.Payment.ID); err != nil || p.Risk.Fingerprint != storetest.CoarseFingerprint {
			t.Errorf("%+v, %v", p.Risk, err)
		}
	}

	if n, err := s.Coarsen(ctx, progress.To{}); err != nil || n != 2 || old() != 0 {
		t.Fatalf("%d payments, %v, %d left", n, err, old())
	}
	if n, err := s.Coarsen(ctx, progress.To{}); err != nil || n != 0 {
		t.Errorf("again: %d payments, %v", n, err)
	}

	// The payments go on from a change that was made before, and the relay carries every event.
	for _, c := range begun {
		if err := s.CommitPayment(ctx, storetest.Answered(t, c.Payment, issuer.Approved)); err != nil {
			t.Fatal(err)
		}
		p, err := s.GetPayment(ctx, account, c.Payment.ID)
		if err != nil || p.Risk.Fingerprint != storetest.CoarseFingerprint || len(p.Verify()) > 0 {
			t.Errorf("%+v, %v, %v", p.Risk, err, p.Verify())
		}
	}
	relayed(t, s, account, want)
}

// relayed checks that a relay carries the events into the feed with this data, by their ids.
func relayed(t *testing.T, s *dynamo.Store, account string, want map[string]string) {
	t.Helper()
	feed, ctx := dynamotest.OpenFeed(t), t.Context()
	relaying, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- stream.Relay(relaying, "dynamodb", s, feed) }()
	within(t, time.Minute, "the events are in the feed", func() bool {
		events, err := feed.Events(ctx, account, link.Test, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, e := range events {
			if strings.Contains(string(e.Data), storetest.OldFingerprint) {
				t.Fatalf("the feed has %s", e.Data)
			}
			if data, ok := want[e.ID]; ok {
				found++
				if string(e.Data) != data {
					t.Fatalf("event %s is\n%s\nwant\n%s", e.ID, e.Data, data)
				}
			}
		}
		return found == len(want)
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
