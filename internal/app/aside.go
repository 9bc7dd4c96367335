package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/paylink/paylink/internal/store/sqlstore"
)

// maxAsides limits how many passed-over events are listed.
const maxAsides = 1000

// asideLister is the part of the store of links and payments that sets them aside.
type asideLister interface {
	EachAside(ctx context.Context, visit func(id, account string, misses int64, next time.Time) error) error
	RetryAside(ctx context.Context, now time.Time) (int64, error)
}

// Aside lists what was set aside because it could not be processed. With retry, payments and links
// are due again at once. With forget, events that were passed over are no longer listed. At most
// maxAsides events are listed, and all are forgotten. Servers may run beside it.
func Aside(ctx context.Context, cfg Config, retry, forget bool, out io.Writer) (err error) {
	url, err := cfg.storeURL()
	if err != nil {
		return err
	}
	store, err := sqlstore.Open(ctx, url)
	if err != nil {
		return fmt.Errorf("open %s: %w", cfg.storeName(), err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	// Payments and links are set aside where they are stored, events always in SQL.
	var objects asideLister = store
	if cfg.PaymentsStore != "" {
		table, err := cfg.openTable(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = table.Close() }()
		objects = table
	}

	// The list, before anything is changed.
	n := 0
	err = objects.EachAside(ctx, func(id, account string, misses int64, next time.Time) error {
		n++
		_, err := fmt.Fprintf(out, "%s of %s: failed %d times, next try at %s\n", id, account, misses, next.Format(time.RFC3339))
		return err
	})
	if err != nil {
		return err
	}

	// Then the events, which are not tried again.
	events, err := store.Asides(ctx, maxAsides)
	if err != nil {
		return err
	}
	for _, a := range events {
		n++
		if _, err := fmt.Fprintf(out, "%s of %s: skipped by %s at %s: %s\n", a.Item, a.Account, a.Consumer, a.At.Format(time.RFC3339),
			a.Reason); err != nil {
			return err
		}
	}
	if _, err = fmt.Fprintf(out, "%d set aside\n", n); err != nil {
		return err
	}

	// Only the list is cleared; no event is processed again.
	if forget {
		forgotten, err := store.ForgetAside(ctx)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%d events are no longer listed\n", forgotten); err != nil {
			return err
		}
	}
	if !retry {
		return nil
	}

	// A running sweep takes them within a second or so.
	again, err := objects.RetryAside(ctx, time.Now())
	if err == nil {
		_, err = fmt.Fprintf(out, "%d payments and links will be retried now\n", again)
	}
	return err
}

// asides lists, beside what is broken, what was set aside because of it, as invariant I21.
func (a *audit) asides(ctx context.Context, s *sqlstore.Store, from walker) error {
	if lister, ok := from.(asideLister); ok {
		if err := lister.EachAside(ctx, func(id, account string, misses int64, _ time.Time) error {
			a.say("I21 %s of %s is set aside: it failed %d times", id, account, misses)
			return nil
		}); err != nil {
			return err
		}
	}

	events, err := s.Asides(ctx, maxAsides)
	for _, e := range events {
		a.say("I21 %s of %s was skipped by %s: %s", e.Item, e.Account, e.Consumer, e.Reason)
	}

	return err
}
