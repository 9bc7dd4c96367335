package sqlstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// TestCacheForgetsWhenTheCallerGaveUp reads a link between the moment when the caller of a change
// gives up and the commit. The row that this read caches must not outlive the commit.
func TestCacheForgetsWhenTheCallerGaveUp(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		l := storetest.NewLink(id.New(id.Account), 1)
		if err := s.CreateLink(t.Context(), l, nil, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := s.ExpireLinks(ctx, l.ExpiresAt, 1, func(k link.Link) (stream.Event, error) {
				cancel()
				<-gone
				return happened(k.Account, k.ID), nil
			})
			ended <- err
		}()
		if err := await.Receive(t, ended); !errors.Is(err, context.Canceled) {
			t.Fatalf("a caller that gave up got %v", err)
		}
		if got, err := s.GetLink(t.Context(), l.Account, l.ID); err != nil || !got.ExpiredAt.IsZero() {
			t.Fatalf("the expiry is stored too early: %s, %v", got.ExpiredAt, err)
		}
		close(gone)
		await.Until(t, "the link is read as expired", func() bool {
			got, err := s.GetLink(t.Context(), l.Account, l.ID)
			return err == nil && !got.ExpiredAt.IsZero()
		})
	})
}
