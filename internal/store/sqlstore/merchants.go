package sqlstore

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/store/sqldb"
)

var (
	_ merchant.UserStore    = (*Store)(nil)
	_ merchant.KeyStore     = (*Store)(nil)
	_ merchant.SessionStore = (*Store)(nil)
)

// missing turns "no row" into the fault for a missing object.
func missing(err error, object string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.NotFound(object)
	}
	return err
}

// putUser inserts a user. onConflict is the SQL clause for an id that exists; without one, a second
// insert is an error. The logins are separate rows.
func putUser(t *sqldb.Tx, u merchant.User, onConflict string) error {
	_, err := t.Exec("INSERT INTO users ("+userColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"+onConflict,
		u.ID, u.Account, u.Username, u.Email, sqldb.Micros(u.Date), u.PasswordHash, sqldb.Micros(u.CreatedAt), sqldb.Micros(u.ConfirmedAt))
	return err
}

// userColumns are the columns that scanUser reads, in its order.
const userColumns = "id, account, username, email, date, password_hash, created_at, confirmed_at"

// scanUser reads one row of userColumns. No row is fault.NotFound.
func scanUser(row sqldb.Scanner) (merchant.User, error) {
	var u merchant.User
	var date, created, confirmed int64
	err := row.Scan(&u.ID, &u.Account, &u.Username, &u.Email, &date, &u.PasswordHash, &created, &confirmed)
	u.Date, u.CreatedAt, u.ConfirmedAt = sqldb.FromMicros(date), sqldb.FromMicros(created), sqldb.FromMicros(confirmed)
	return u, missing(err, "user")
}

// UserByLogin implements merchant.UserStore. The text as typed, in lower case, comes before its
// canonical spelling, because a login that is older than that spelling keeps its own row.
func (s *Store) UserByLogin(ctx context.Context, login string) (merchant.User, error) {
	return scanUser(s.db.Lookup(ctx, "SELECT "+userColumns+` FROM users WHERE id =
		(SELECT user_id FROM logins WHERE login IN ($1, $2) ORDER BY CASE WHEN login = $1 THEN 0 ELSE 1 END LIMIT 1)`, strings.ToLower(login), merchant.LoginKey(login)))
}

// UserByID implements merchant.UserStore.
func (s *Store) UserByID(ctx context.Context, id string) (merchant.User, error) {
	return scanUser(s.db.Lookup(ctx, "SELECT "+userColumns+" FROM users WHERE id = $1", id))
}

// GetAccount implements merchant.UserStore. It answers from the cache if no other process can
// change the row.
func (s *Store) GetAccount(ctx context.Context, id string) (merchant.Account, error) {
	return s.accounts.get(id, func() (merchant.Account, error) { return s.readAccount(ctx, id) })
}

// readAccount reads the account from the database. No row is fault.NotFound.
func (s *Store) readAccount(ctx context.Context, id string) (merchant.Account, error) {
	a := merchant.Account{ID: id}
	var methods string
	var created, confirmed int64
	err := s.db.Lookup(ctx, "SELECT name, methods, revision, created_at, confirmed_at, time_zone FROM accounts WHERE id = $1", id).
		Scan(&a.Name, &methods, &a.Revision, &created, &confirmed, &a.TimeZone)
	if err != nil {
		return a, missing(err, "account")
	}

	a.CreatedAt, a.ConfirmedAt = sqldb.FromMicros(created), sqldb.FromMicros(confirmed)
	if err := json.Unmarshal([]byte(methods), &a.Methods); err != nil {
		return a, sqldb.Damaged("account", id, err)
	}
	return a, nil
}

// PutMethods implements merchant.UserStore. It returns merchant.ErrChanged if the account has
// another revision by now. A repeated call fails the same way; the record, not the revision,
// recognizes a repetition.
func (s *Store) PutMethods(ctx context.Context, account string, revision int64, m []merchant.Method, r *idempotency.Record) error {
	methods, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.write(ctx, nil, func(t *sqldb.Tx) error {
		s.accounts.forgetAfter(t, account)
		n, err := t.Exec(
			"UPDATE accounts SET methods = $1, revision = revision + 1 WHERE id = $2 AND revision = $3",
			string(methods),
			account,
			revision,
		)
		if err != nil {
			return err
		}
		if n == 0 {
			return merchant.ErrChanged
		}
		return putRecord(t, r)
	})
}

// PutTimeZone implements merchant.UserStore. With first, a zone that was chosen stays.
func (s *Store) PutTimeZone(ctx context.Context, account, zone string, first bool) error {
	update := "UPDATE accounts SET time_zone = $1 WHERE id = $2"
	if first {
		update += " AND time_zone = ''"
	}

	return s.write(ctx, nil, func(t *sqldb.Tx) error {
		s.accounts.forgetAfter(t, account)
		_, err := t.Exec(update, zone, account)
		return err
	})
}

// keyColumns are the columns that scanKey reads, in its order. Only hashes of the secrets are
// stored.
const keyColumns = "id, account, name, mode, scopes, hash, previous_hash, previous_until, expires_at, last_used_at, revoked_at, created_at, revision"

// scanKey reads one row of keyColumns. No row is fault.NotFound.
func scanKey(row sqldb.Scanner) (merchant.Key, error) {
	var (
		k                                   merchant.Key
		scopes, hash, previous              string
		until, expires, used, revoked, made int64
	)
	err := row.Scan(&k.ID, &k.Account, &k.Name, &k.Mode, &scopes, &hash, &previous, &until, &expires, &used, &revoked, &made, &k.Revision)
	if err != nil {
		return k, missing(err, "API key")
	}

	k.PreviousUntil, k.ExpiresAt, k.LastUsedAt = sqldb.FromMicros(until), sqldb.FromMicros(expires), sqldb.FromMicros(used)
	k.RevokedAt, k.CreatedAt = sqldb.FromMicros(revoked), sqldb.FromMicros(made)
	if err := json.Unmarshal([]byte(scopes), &k.Scopes); err != nil {
		return k, sqldb.Damaged("API key", k.ID, err)
	}
	if k.Hash, err = unbase64(hash); err == nil {
		k.PreviousHash, err = unbase64(previous)
	}
	if err != nil {
		return k, sqldb.Damaged("API key", k.ID, err)
	}
	return k, nil
}

// unbase64 decodes s; the empty text gives nil.
func unbase64(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	return base64.StdEncoding.DecodeString(s)
}

// CreateKey implements merchant.KeyStore. An id that exists is an error of the engine: ids are
// random, so a caller never repeats one.
func (s *Store) CreateKey(ctx context.Context, k merchant.Key, r *idempotency.Record) error {
	return s.write(ctx, nil, func(t *sqldb.Tx) error {
		if err := putKey(t, k, ""); err != nil {
			return err
		}
		return putRecord(t, r)
	})
}

// putKey inserts an API key. onConflict is the SQL clause for an id that exists.
func putKey(t *sqldb.Tx, k merchant.Key, onConflict string) error {
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return err
	}
	_, err = t.Exec(
		"INSERT INTO api_keys ("+keyColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"+onConflict,
		k.ID,
		k.Account,
		k.Name,
		k.Mode,
		string(scopes),
		base64.StdEncoding.EncodeToString(k.Hash),
		base64.StdEncoding.EncodeToString(k.PreviousHash),
		sqldb.Micros(
			k.PreviousUntil,
		),
		sqldb.Micros(k.ExpiresAt),
		sqldb.Micros(k.LastUsedAt),
		sqldb.Micros(k.RevokedAt),
		sqldb.Micros(k.CreatedAt),
		k.Revision,
	)
	return err
}

// KeyByID implements merchant.KeyStore. It answers from the cache, as GetAccount does.
func (s *Store) KeyByID(ctx context.Context, id string) (merchant.Key, error) {
	return s.keys.get(id, func() (merchant.Key, error) {
		return scanKey(s.db.Lookup(ctx, "SELECT "+keyColumns+" FROM api_keys WHERE id = $1", id))
	})
}

// KeyByHash implements merchant.KeyStore. The current secret comes first; only if no key has it are
// the secrets searched that a rotation has replaced. The caller checks whether the replaced one is
// still accepted.
func (s *Store) KeyByHash(ctx context.Context, hash []byte) (merchant.Key, error) {
	h := base64.StdEncoding.EncodeToString(hash)
	k, err := scanKey(s.db.Lookup(ctx, "SELECT "+keyColumns+" FROM api_keys WHERE hash = $1", h))
	if fault.KindOf(err) == fault.KindNotFound {
		return scanKey(s.db.Lookup(ctx, "SELECT "+keyColumns+" FROM api_keys WHERE previous_hash = $1 AND previous_hash <> ''", h))
	}
	return k, err
}

// KeysByAccount implements merchant.KeyStore. It includes revoked and expired keys.
func (s *Store) KeysByAccount(ctx context.Context, account, before string, limit int) ([]merchant.Key, error) {
	var w sqldb.Where
	w.Add("account = ?", account)
	w.AddIf(before != "", "id < ?", before)
	rows, err := s.db.Query(ctx, "SELECT "+keyColumns+" FROM api_keys"+w.SQL()+" ORDER BY id DESC LIMIT "+strconv.Itoa(limit), w.Args...)
	if err != nil {
		return nil, err
	}

	defer func() { _ = rows.Close() }()
	var list []merchant.Key
	for rows.Next() {
		k, err := scanKey(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}

	return list, rows.Err()
}

// UpdateKey implements merchant.KeyStore. It returns merchant.ErrChanged if the stored revision
// differs or the account has no such key. LastUsedAt is left out, because TouchKeys moves it
// without a new revision.
func (s *Store) UpdateKey(ctx context.Context, k merchant.Key, r *idempotency.Record) error {
	scopes, err := json.Marshal(k.Scopes)
	if err != nil {
		return err
	}

	return s.write(ctx, nil, func(t *sqldb.Tx) error {
		s.keys.forgetAfter(t, k.ID)
		n, err := t.Exec(`UPDATE api_keys SET name = $1, scopes = $2, hash = $3, previous_hash = $4, previous_until = $5, expires_at = $6,
			revoked_at = $7, revision = revision + 1 WHERE id = $8 AND account = $9 AND revision = $10`,
			k.Name, string(scopes), base64.StdEncoding.EncodeToString(k.Hash), base64.StdEncoding.EncodeToString(k.PreviousHash),
			sqldb.Micros(k.PreviousUntil), sqldb.Micros(k.ExpiresAt), sqldb.Micros(k.RevokedAt), k.ID, k.Account, k.Revision)
		if err != nil {
			return err
		}
		if n == 0 {
			return merchant.ErrChanged
		}
		return putRecord(t, r)
	})
}

// TouchKeys implements merchant.KeyStore. The ids are sorted, so that two processes do not
// deadlock.
func (s *Store) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	return s.write(ctx, nil, func(t *sqldb.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(used)) { // a fixed order in every process
			at := used[id]
			s.keys.forgetAfter(t, id)
			if _, err := t.Exec("UPDATE api_keys SET last_used_at = $1 WHERE id = $2 AND last_used_at < $1", sqldb.Micros(at), id); err != nil {
				return err
			}
		}
		return nil
	})
}

// putSession inserts a session. onConflict is the SQL clause for an id that exists.
func putSession(t *sqldb.Tx, ses merchant.Session, onConflict string) error {
	_, err := t.Exec("INSERT INTO sessions ("+sessionColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"+onConflict,
		ses.ID, ses.User, ses.Account, sqldb.Micros(ses.CreatedAt), sqldb.Micros(ses.ExpiresAt), sqldb.Micros(ses.RevokedAt),
		sqldb.Bit(ses.Browser), ses.Agent, ses.Network, sqldb.Micros(ses.LastSeenAt))
	return err
}

// SessionByID implements merchant.SessionStore. It returns revoked and expired sessions too.
func (s *Store) SessionByID(ctx context.Context, id string) (merchant.Session, error) {
	return scanSession(s.db.Lookup(ctx, "SELECT "+sessionColumns+" FROM sessions WHERE id = $1", id))
}

// sessionColumns are the columns that scanSession reads, in its order.
const sessionColumns = "id, user_id, account, created_at, expires_at, revoked_at, browser, agent, network, last_seen_at"

// scanSession reads one row of sessionColumns. No row is fault.NotFound.
func scanSession(row sqldb.Scanner) (merchant.Session, error) {
	var ses merchant.Session
	var created, expires, revoked, browser, seen int64
	err := row.Scan(&ses.ID, &ses.User, &ses.Account, &created, &expires, &revoked, &browser, &ses.Agent, &ses.Network, &seen)
	ses.CreatedAt, ses.ExpiresAt, ses.RevokedAt = sqldb.FromMicros(created), sqldb.FromMicros(expires), sqldb.FromMicros(revoked)
	ses.Browser, ses.LastSeenAt = browser != 0, sqldb.FromMicros(seen)
	return ses, missing(err, "session")
}

// pruneSessions deletes the sessions that expired first, a bounded number of them.
const pruneSessions = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)"

// PruneSessions implements merchant.SessionStore.
func (s *Store) PruneSessions(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.prune(ctx, pruneSessions, before, limit)
}

// RevokeSession implements merchant.SessionStore. An unknown id is not an error.
func (s *Store) RevokeSession(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, nil, func(t *sqldb.Tx) error {
		_, err := t.Exec("UPDATE sessions SET revoked_at = $1 WHERE id = $2 AND revoked_at = 0", sqldb.Micros(at), id)
		return err
	})
}
