package app

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"os/user"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

const (
	activityPoll = time.Second
	activityPage = 1000 // entries read at once
	// activityOverlap is how much of the past is read again: an entry may be committed later than
	// one that was made after it.
	activityOverlap = time.Minute
)

// byCommand returns ctx with a command on this machine, and who runs it, as the actor.
func byCommand(ctx context.Context, command string) context.Context {
	a := activity.Actor{Kind: activity.CLI, ID: command}
	if u, err := user.Current(); err == nil {
		a.Agent = u.Username
	}
	return activity.With(ctx, a)
}

// PrintActivity prints who did what in all accounts, as JSON lines, oldest first: from a time on, and
// with follow, what comes until ctx ends. Each entry is printed once by one run; a later run that
// begins a minute before the last entry of this one misses nothing. A server may run beside it.
func PrintActivity(ctx context.Context, cfg Config, since time.Time, follow bool, out io.Writer) error {
	return withStore(ctx, cfg, io.Discard, func(store *sqlstore.Store, _ *slog.Logger) error {
		p := activityPrinter{store: store, lines: json.NewEncoder(out), printed: map[string]time.Time{}, from: since}
		for {
			if err := p.round(ctx); err != nil || !follow {
				return quietly(ctx, err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(activityPoll):
			}
		}
	})
}

// quietly returns nil if ctx has ended, because the error only says so then.
func quietly(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// activityPrinter prints each entry once.
type activityPrinter struct {
	store   *sqlstore.Store
	lines   *json.Encoder
	printed map[string]time.Time // entries since from
	from    time.Time
}

// round prints what was not printed yet. No read is open while it prints: the reader of the lines may be
// slow.
func (p *activityPrinter) round(ctx context.Context) error {
	at, id := p.from, ""
	for {
		page, err := p.store.ActivityAfter(ctx, at, id, activityPage)
		if err != nil {
			return err
		}
		for _, e := range page {
			at, id = e.At, e.ID
			if _, again := p.printed[e.ID]; again {
				continue
			}
			if err := p.lines.Encode(e); err != nil {
				return err
			}
			p.printed[e.ID] = e.At
		}
		if len(page) < activityPage {
			break
		}
	}
	if overlap := at.Add(-activityOverlap); overlap.After(p.from) {
		p.from = overlap
	}
	maps.DeleteFunc(p.printed, func(_ string, at time.Time) bool { return at.Before(p.from) })
	return nil
}
