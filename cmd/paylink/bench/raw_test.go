//go:build linux

package bench

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

const appendBytes = 4 << 10

// repeat returns how often per second one goroutine completes f.
func repeat(took time.Duration, f func() error) (float64, error) {
	begin, n := time.Now(), 0
	for time.Since(begin) < took {
		if err := f(); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

// syncs returns how many appends of 4 KiB per second one writer makes durable.
func syncs(dir string, took time.Duration) (rate float64, err error) {
	f, err := os.Create(filepath.Join(dir, "appends"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	page := make([]byte, appendBytes)
	return repeat(took, func() error {
		if _, err := f.Write(page); err != nil {
			return err
		}
		return syscall.Fdatasync(int(f.Fd()))
	})
}

// signatures returns how many Ed25519 signatures of a link's size one core makes per second, and
// how many it verifies.
func signatures(took time.Duration) (sign, verify float64, err error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return 0, 0, err
	}
	message := make([]byte, 100)
	signature := ed25519.Sign(private, message)
	if sign, err = repeat(took, func() error { signature = ed25519.Sign(private, message); return nil }); err != nil {
		return 0, 0, err
	}
	verify, err = repeat(took, func() error {
		if !ed25519.Verify(public, message, signature) {
			return errors.New("a signature of our own does not verify")
		}
		return nil
	})
	return sign, verify, err
}

// commits returns how many links per second that many writers make durable through the store
// alone, without HTTP, tokens or keys.
func commits(b *testing.B, writers int, took time.Duration) float64 {
	b.Helper()
	path := filepath.Join(b.TempDir(), "commits.db")
	if _, _, err := sqlstore.Migrate(b.Context(), "sqlite:"+path); err != nil {
		b.Fatal(err)
	}
	store, err := sqlstore.Open(b.Context(), "sqlite:"+path)
	if err != nil {
		b.Fatal(err)
	}
	var done atomic.Int64
	failed := make(chan error, writers)
	begin := time.Now()
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for time.Since(begin) < took {
				if err := commitLink(b.Context(), store); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	running.Wait()
	elapsed := time.Since(begin)
	close(failed)
	for err := range failed {
		b.Error(err)
	}
	if err := store.Close(); err != nil {
		b.Error(err)
	}
	return float64(done.Load()) / elapsed.Seconds()
}

func commitLink(ctx context.Context, store *sqlstore.Store) error {
	now := time.Now()
	l := link.Link{ID: id.New(id.Link), Account: "acct_bench", Mode: link.Test, Payee: "bench", Amount: money.Of(1250, "EUR"), Date: now,
		PaymentMethod: "pm_bench", Issuer: "simulator", Reference: "order-1", Description: "Two tickets", MaxUses: 1,
		ExpiresAt: now.Add(time.Hour),
		Capture:   link.CaptureAutomatic, LatePolicy: link.LateAccept, Token: "token", CreatedAt: now}
	e := stream.Event{
		ID:        id.New(id.Event),
		Type:      link.EventCreated,
		Account:   l.Account,
		Mode:      l.Mode,
		Object:    l.ID,
		ObjectSeq: 1,
		CreatedAt: now,
		Data: []byte(
			`{"id":"` + l.ID + `","object":"link","amount":"12.50","currency":"EUR","description":"Two tickets","reference":"order-1"}`,
		),
	}
	return store.CreateLink(ctx, l, []stream.Event{e}, nil)
}
