package sqlstore

import (
	"context"
	"fmt"
)

// LimitPages keeps the file from growing beyond so many pages (or beyond what it
// has), as a full disk does.
func (s *Store) LimitPages(ctx context.Context, pages int) error {
	return s.write(ctx, nil, func(t *tx) error {
		var now int
		return t.row(fmt.Sprintf("PRAGMA max_page_count(%d)", pages)).Scan(&now)
	})
}
