package sqlstore

import (
	"context"
	"database/sql"
	"strings"

	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/spelling"
)

// spellingMigration is the number of the migration to which respell belongs.
const spellingMigration = 24

// respell gives existing logins and refusals the canonical spelling by which they are looked up
// from now on. The stored spelling stays beside it. If two users' addresses have the same key,
// the older user gets it; the younger continues to sign in by the exact stored address or by
// username.
func respell(ctx context.Context, tx *sql.Tx) error {
	users, err := pairs(ctx, tx, "SELECT email, id FROM users ORDER BY created_at, id")
	if err != nil {
		return err
	}
	for _, u := range users {
		if key := merchant.LoginKey(u[0]); key != u[0] {
			if _, err := tx.ExecContext(ctx, "INSERT INTO logins (login, user_id) VALUES ($1, $2) ON CONFLICT (login) DO NOTHING", key,
				u[1]); err != nil {
				return err
			}
		}
	}

	refusals, err := pairs(ctx, tx, "SELECT address, account FROM mail_refusals ORDER BY account, address")
	if err != nil {
		return err
	}
	for _, r := range refusals {
		if key := spelling.EmailKey(r[0]); key != "" && key != r[0] {
			if _, err := tx.ExecContext(ctx, `INSERT INTO mail_refusals (account, address, created_at) SELECT account, CAST($1 AS TEXT), created_at FROM mail_refusals
				WHERE account = $2 AND address = $3 ON CONFLICT (account, address) DO NOTHING`, key, r[1], r[0]); err != nil {
				return err
			}
		}
	}

	mails, err := pairs(ctx, tx, "SELECT DISTINCT reader, reader FROM mails WHERE reader <> ''")
	if err != nil {
		return err
	}
	for _, m := range mails {
		if key := spelling.EmailKey(m[0]); key != "" && key != m[0] {
			if _, err := tx.ExecContext(ctx, "UPDATE mails SET reader = $1 WHERE reader = $2", key, m[0]); err != nil {
				return err
			}
		}
	}

	return nil
}

// pairs returns the rows of a query whose address is not plain lower-case ASCII. The spelling of
// all others stays the same.
func pairs(ctx context.Context, tx *sql.Tx, query string) (list [][2]string, err error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var p [2]string
		if err := rows.Scan(&p[0], &p[1]); err != nil {
			return nil, err
		}
		if strings.Trim(p[0], "abcdefghijklmnopqrstuvwxyz0123456789.@_+-") != "" {
			list = append(list, p)
		}
	}

	return list, rows.Err()
}
