package dynamo

import (
	"context"
	"time"

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

// ForgetRest lets an account's buckets grow again at once.
func (s *Store) ForgetRest(account string) {
	s.heat.mu.Lock()
	defer s.heat.mu.Unlock()
	s.heat.account(account).grownAt = time.Time{}
}

// Heat counts units of the account's first partition, all in one second.
func (s *Store) Heat(account string, units float64) {
	s.heat.addAt(partition(account, 0), units, time.Unix(1, 0))
}
