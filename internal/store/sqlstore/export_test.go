package sqlstore

import (
	"context"
	"errors"
	"fmt"
)

// LimitPages keeps the file from growing beyond so many pages (or beyond what it
// has), as a full disk does.
func (s *Store) LimitPages(ctx context.Context, pages int) error {
	return s.write(ctx, func(t *tx) error {
		var now int
		return t.row(fmt.Sprintf("PRAGMA max_page_count(%d)", pages)).Scan(&now)
	})
}

// Plan is how the engine would answer the queries of the metrics and of pruning.
func (s *Store) Plan(ctx context.Context) (string, error) {
	var plan string
	for query, args := range map[string][]any{countParked: nil, pruneDeliveries: {1, 1}, pruneSessions: {1, 1}} {
		rows, err := s.read.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			return "", err
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return "", errors.Join(err, rows.Close())
			}
			plan += detail + "\n"
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return "", err
		}
	}
	return plan, nil
}
