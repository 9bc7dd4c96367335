package app

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os/user"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

const (
	activityPoll = time.Second
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
		lines, printed, last := json.NewEncoder(out), map[string]time.Time{}, since
		from := since
		for {
			err := store.EachActivity(ctx, from, func(e activity.Event) error {
				if _, again := printed[e.ID]; again {
					return nil
				}
				printed[e.ID] = e.At
				if e.At.After(last) {
					last = e.At
				}
				return lines.Encode(e)
			})
			if ctx.Err() != nil || err != nil || !follow {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			if overlap := last.Add(-activityOverlap); overlap.After(from) {
				from = overlap
			}
			for id, at := range printed {
				if at.Before(from) {
					delete(printed, id)
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(activityPoll):
			}
		}
	})
}
