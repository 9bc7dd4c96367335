package sqlstore

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// NeededKeys returns the keys under which data in this store may be sealed. A store from before they
// were recorded names none.
func (s *Store) NeededKeys(ctx context.Context) (keys []keyring.Name, err error) {
	rows, err := s.db.Query(ctx, "SELECT id, purpose FROM needed_keys ORDER BY since, id")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var k keyring.Name
		if err := rows.Scan(&k.ID, &k.Purpose); err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, rows.Err()
}

// NeedKeys records keys that will seal data in this store. One that is recorded already stays.
func (s *Store) NeedKeys(ctx context.Context, keys []keyring.Name, now time.Time) error {
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		for _, k := range keys {
			if _, err := t.Exec("INSERT INTO needed_keys (id, purpose, since) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
				k.ID, string(k.Purpose), sqldb.Micros(now)); err != nil {
				return err
			}
		}
		return nil
	})
}
