package feed

import (
	"context"

	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// FromMemory returns what consumers read of the feed without the database.
func (f *Feed) FromMemory(position int64) []stream.Event {
	return f.recent.after(position, batchEvents)
}

// FromFile returns what consumers read of the feed from the database.
func (f *Feed) FromFile(ctx context.Context, position int64) ([]stream.Event, error) {
	return sound(f.load(ctx, f.db.Reader, eventColumns, position, batchEvents))
}

// AppendEvents writes events, each to its account, in one transaction declared for the accounts.
func (f *Feed) AppendEvents(ctx context.Context, accounts []string, events []stream.Event) error {
	return f.db.Write(ctx, accounts, func(t *sqldb.Tx) error {
		for _, e := range events {
			rows, err := Encode([]stream.Event{e})
			if err != nil {
				return err
			}
			if err := f.Append(t, rows); err != nil {
				return err
			}
		}
		return nil
	})
}
