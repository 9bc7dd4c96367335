package sqlstore_test

import (
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// TestHeldLinkBesideTheVersionBefore checks that a use released by a process of the previous
// version does not lose the link's expiry.
func TestHeldLinkBesideTheVersionBefore(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		l := storetest.NewLink(id.New(id.Account), 1)
		if err := s.CreateLink(t.Context(), l, nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.CommitPayment(t.Context(), storetest.Begin(t, l, "attempt-000000000001")); err != nil {
			t.Fatal(err)
		}
		told := 0
		sweep := func(now time.Time) {
			_, err := s.ExpireLinks(t.Context(), now, 100, func(k link.Link) (stream.Event, error) {
				told++
				return stream.Event{
					ID:        id.New(id.Event),
					Type:      link.EventExpired,
					Account:   k.Account,
					Mode:      k.Mode,
					Object:    k.ID,
					ObjectSeq: 2,
					CreatedAt: now,
					Data:      []byte("{}"),
				}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		sweep(l.ExpiresAt)
		if err := s.ReleaseAsBefore(t.Context(), l.ID, l.Account); err != nil {
			t.Fatal(err)
		}
		sweep(l.ExpiresAt.Add(time.Second))
		if told != 0 {
			t.Fatalf("reported %d times within a second", told)
		}
		sweep(l.ExpiresAt.Add(time.Minute))
		sweep(l.ExpiresAt.Add(2 * time.Minute))
		if told != 1 {
			t.Errorf("reported %d times", told)
		}
	})
}
