package dynamo

import (
	"context"

	"github.com/paylink/paylink/internal/stream"
)

// AllEvents gives every event that the table holds.
func (s *Store) AllEvents(ctx context.Context) (all []stream.Event, err error) {
	err = s.scan(ctx, func(rows []item) error {
		for _, row := range rows {
			events, err := changes(row, nil)
			if err != nil {
				return err
			}
			all = append(all, events...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.complete(ctx, all)
}
