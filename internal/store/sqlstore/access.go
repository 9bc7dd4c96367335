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
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/store/sqldb"
)

var _ merchant.AccessStore = (*Store)(nil)

// Apply implements merchant.AccessStore. All parts of the change are one commit, with the emails
// and the idempotency record. The parts are written in a fixed order, so that two commits lock each
// other's rows in one order too. A refusal (merchant.ErrToken, ErrTaken, ErrChanged) comes before
// any write that others might wait for. After an error of kind Unavailable the outcome is unknown.
func (s *Store) Apply(ctx context.Context, c merchant.Change) error {
	return s.write(ctx, nil, func(t *sqldb.Tx) error {
		for _, part := range []func(*sqldb.Tx, merchant.Change) error{spendToken, makeUser, putGuard, changeUser, changeTokens, changeSessions} {
			if err := part(t, c); err != nil {
				return err
			}
		}

		if c.Confirmed != "" {
			account, err := confirm(t, c)
			if err != nil {
				return err
			}
			s.accounts.forgetAfter(t, account)
		}

		if err := putMails(t, c.Mails); err != nil {
			return err
		}

		return putRecord(t, c.Record)
	})
}

// spendToken uses up the token of the change. It returns merchant.ErrToken if the token is missing,
// used or expired. The condition is part of the write, so of two concurrent requests with one token
// only one succeeds. A challenge is not stored before it is spent: its first insert spends it, and
// the second finds the hash taken.
func spendToken(t *sqldb.Tx, c merchant.Change) error {
	if c.Spend == nil {
		return nil
	}

	var n int64
	var err error
	if c.Spend.Kind == merchant.KindChallenge {
		n, err = putToken(t, *c.Spend)
	} else {
		n, err = t.Exec("UPDATE tokens SET used_at = $1 WHERE hash = $2 AND kind = $3 AND used_at = 0 AND expires_at > $1",
			sqldb.Micros(c.At), base64.StdEncoding.EncodeToString(c.Spend.Hash), c.Spend.Kind)
	}

	if err == nil && n == 0 {
		err = merchant.ErrToken
	}
	return err
}

// makeUser inserts the user with its logins, and the account. A username or address that another
// user has, in any spelling, is merchant.ErrTaken. The table of logins is the only place where they
// are unique.
func makeUser(t *sqldb.Tx, c merchant.Change) error {
	if u := c.User; u != nil {
		for _, login := range []string{u.Username, merchant.LoginKey(u.Email)} {
			n, err := t.Exec("INSERT INTO logins (login, user_id) VALUES ($1, $2) ON CONFLICT (login) DO NOTHING", login, u.ID)
			if err != nil {
				return err
			}
			if n == 0 {
				return merchant.ErrTaken
			}
		}

		if err := putUser(t, *u, ""); err != nil {
			return err
		}
	}

	if c.Account != nil {
		return putAccount(t, *c.Account, "")
	}
	return nil
}

// putAccount inserts an account. onConflict is the SQL clause for an id that exists; without one, a
// second insert is an error.
func putAccount(t *sqldb.Tx, a merchant.Account, onConflict string) error {
	methods, err := json.Marshal(a.Methods)
	if err != nil {
		return err
	}

	_, err = t.Exec(
		"INSERT INTO accounts (id, name, methods, revision, created_at, confirmed_at, time_zone) VALUES ($1, $2, $3, $4, $5, $6, $7)"+onConflict,
		a.ID,
		a.Name,
		string(methods),
		a.Revision,
		sqldb.Micros(a.CreatedAt),
		sqldb.Micros(a.ConfirmedAt),
		a.TimeZone,
	)
	return err
}

// putGuard writes the sign-in settings of a user if nobody changed them since they were read, and
// returns merchant.ErrChanged otherwise. Revision 0 means that the user had none.
func putGuard(t *sqldb.Tx, c merchant.Change) error {
	if c.Guard == nil {
		return nil
	}
	doc, sum, err := sqldb.Encode(c.Guard)
	if err != nil {
		return err
	}

	var n int64
	if c.Guard.Revision == 0 {
		n, err = t.Exec(
			"INSERT INTO guards (user_id, doc, doc_sum, revision) VALUES ($1, $2, $3, 1) ON CONFLICT (user_id) DO NOTHING",
			c.Guard.User,
			doc,
			sum,
		)
	} else {
		n, err = t.Exec("UPDATE guards SET doc = $1, doc_sum = $2, revision = revision + 1 WHERE user_id = $3 AND revision = $4",
			doc, sum, c.Guard.User, c.Guard.Revision)
	}

	if err == nil && n == 0 {
		err = merchant.ErrChanged
	}
	return err
}

// changeUser sets the password and deletes recorded guesses. With PasswordWas set, a user who has
// another hash by now keeps it, without an error: this is how a hash is upgraded at sign-in.
// Without it, an unknown user is fault.NotFound.
func changeUser(t *sqldb.Tx, c merchant.Change) error {
	if c.PasswordUser != "" {
		n, err := t.Exec(
			"UPDATE users SET password_hash = $1 WHERE id = $2 AND ($3 = '' OR password_hash = $3)",
			c.Password,
			c.PasswordUser,
			c.PasswordWas,
		)
		if err != nil {
			return err
		}
		if n == 0 && c.PasswordWas == "" {
			return fault.NotFound("user")
		}
	}

	for _, key := range c.Forget {
		if _, err := t.Exec("DELETE FROM guesses WHERE who = $1", key); err != nil {
			return err
		}
	}
	return nil
}

// changeTokens voids the user's unused tokens of one kind, then inserts the new ones. The order
// matters: a new token of that kind must survive.
func changeTokens(t *sqldb.Tx, c merchant.Change) error {
	if c.Void != "" {
		if _, err := t.Exec("UPDATE tokens SET used_at = $1 WHERE user_id = $2 AND kind = $3 AND used_at = 0", sqldb.Micros(c.At), c.VoidUser,
			c.Void); err != nil {
			return err
		}
	}

	for _, k := range c.Tokens {
		if _, err := putToken(t, k); err != nil {
			return err
		}
	}

	return nil
}

// changeSessions revokes the user's active sessions except Keep, then starts the new one.
func changeSessions(t *sqldb.Tx, c merchant.Change) error {
	if c.Revoke != "" {
		if _, err := t.Exec("UPDATE sessions SET revoked_at = $1 WHERE user_id = $2 AND id <> $3 AND revoked_at = 0", sqldb.Micros(c.At),
			c.Revoke, c.Keep); err != nil {
			return err
		}
	}

	if c.Session != nil {
		return putSession(t, *c.Session, "")
	}
	return nil
}

// confirm marks the user as confirmed, and the user's account if nobody had confirmed it before. It
// returns that account, or "" if the user has another address by now; then nothing changes. A
// repetition keeps the first time.
func confirm(t *sqldb.Tx, c merchant.Change) (account string, err error) {
	err = t.Row("SELECT account FROM users WHERE id = $1 AND email = $2", c.Confirmed, c.ConfirmedEmail).Scan(&account)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}

	if err == nil {
		_, err = t.Exec("UPDATE users SET confirmed_at = $1 WHERE id = $2 AND confirmed_at = 0", sqldb.Micros(c.At), c.Confirmed)
	}
	if err == nil {
		_, err = t.Exec("UPDATE accounts SET confirmed_at = $1 WHERE id = $2 AND confirmed_at = 0", sqldb.Micros(c.At), account)
	}

	return account, err
}

// GuardOf implements merchant.AccessStore. A user without sign-in settings has the zero Guard,
// whose revision 0 lets the first write insert it.
func (s *Store) GuardOf(ctx context.Context, user string) (merchant.Guard, error) {
	g, err := scanGuard(s.db.Lookup(ctx, "SELECT "+guardColumns+" FROM guards WHERE user_id = $1", user))
	if errors.Is(err, sql.ErrNoRows) {
		return merchant.Guard{User: user}, nil
	}
	return g, err
}

// Guards implements merchant.AccessStore.
func (s *Store) Guards(ctx context.Context, after string, limit int) ([]merchant.Guard, error) {
	return list(ctx, s, scanGuard, "SELECT "+guardColumns+" FROM guards WHERE user_id > $1 ORDER BY user_id LIMIT $2", after, limit)
}

// guardColumns are the columns that scanGuard reads, in its order.
const guardColumns = "user_id, doc, doc_sum, revision"

// scanGuard reads one row of guardColumns. Settings that fail their checksum are a fault, so that a
// damaged second factor is never taken for none.
func scanGuard(row sqldb.Scanner) (merchant.Guard, error) {
	var g merchant.Guard
	var user, doc string
	var sum, revision int64
	if err := row.Scan(&user, &doc, &sum, &revision); err != nil {
		return g, err
	}

	err := sqldb.Decode("sign-in", user, doc, sum, &g)
	g.User, g.Revision = user, revision
	return g, err
}

// tokenColumns are the columns that scanToken reads, in its order. Only the hash of a token is
// stored.
const tokenColumns = "id, hash, kind, user_id, account, email, mailed, created_at, expires_at, used_at"

// putToken inserts a token and returns 1, or 0 if its hash is already stored.
func putToken(t *sqldb.Tx, k merchant.Token) (int64, error) {
	return t.Exec(
		"INSERT INTO tokens ("+tokenColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (hash) DO NOTHING",
		k.ID,
		base64.StdEncoding.EncodeToString(k.Hash),
		k.Kind,
		k.User,
		k.Account,
		k.Email,
		sqldb.Bit(k.Mailed),
		sqldb.Micros(k.CreatedAt),
		sqldb.Micros(k.ExpiresAt),
		sqldb.Micros(k.UsedAt),
	)
}

// scanToken reads one row of tokenColumns. No row is fault.NotFound.
func scanToken(row sqldb.Scanner) (merchant.Token, error) {
	var k merchant.Token
	var hash string
	var mailed, created, expires, used int64
	err := row.Scan(&k.ID, &hash, &k.Kind, &k.User, &k.Account, &k.Email, &mailed, &created, &expires, &used)
	if err != nil {
		return k, missing(err, "token")
	}

	k.Mailed, k.CreatedAt, k.ExpiresAt, k.UsedAt = mailed != 0, sqldb.FromMicros(created), sqldb.FromMicros(expires), sqldb.FromMicros(used)
	if k.Hash, err = unbase64(hash); err != nil {
		return k, sqldb.Damaged("token", k.ID, err)
	}
	return k, nil
}

// TokenByHash implements merchant.AccessStore. It returns used and expired tokens too; only Apply
// decides whether a token can be spent.
func (s *Store) TokenByHash(ctx context.Context, kind string, hash []byte) (merchant.Token, error) {
	return scanToken(
		s.db.Lookup(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE hash = $1 AND kind = $2", base64.StdEncoding.EncodeToString(hash), kind),
	)
}

// LatestToken implements merchant.AccessStore. It limits how often the same email is requested, so
// a used token counts as well.
func (s *Store) LatestToken(ctx context.Context, kind, user string) (merchant.Token, error) {
	return scanToken(
		s.db.Lookup(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE user_id = $1 AND kind = $2 ORDER BY created_at DESC LIMIT 1", user, kind),
	)
}

// Invitations implements merchant.AccessStore. Only invitations have an id; other tokens are found
// by hash alone.
func (s *Store) Invitations(ctx context.Context, account string, now time.Time, limit int) ([]merchant.Token, error) {
	return list(
		ctx,
		s,
		scanToken,
		"SELECT "+tokenColumns+" FROM tokens WHERE account = $1 AND id <> '' AND used_at = 0 AND expires_at > $2 ORDER BY id DESC LIMIT "+strconv.Itoa(
			limit,
		),
		account,
		sqldb.Micros(now),
	)
}

// list returns the rows of a query, each read by scan, or the first error. It holds all of them in
// memory, so the query must have a limit.
func list[T any](ctx context.Context, s *Store, scan func(sqldb.Scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()

	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}

	return out, rows.Err()
}

// WithdrawInvitation implements merchant.AccessStore. The invitation's unsent email is dropped in
// the same commit. An invitation that was used or withdrawn is fault.NotFound.
func (s *Store) WithdrawInvitation(ctx context.Context, account, id string, at time.Time) error {
	return s.write(ctx, nil, func(t *sqldb.Tx) error {
		n, err := t.Exec(
			"UPDATE tokens SET used_at = $1 WHERE account = $2 AND id = $3 AND kind = $4 AND used_at = 0",
			sqldb.Micros(at),
			account,
			id,
			merchant.KindInvite,
		)
		if err == nil && n == 0 {
			err = fault.NotFound("invitation")
		}
		if err != nil {
			return err
		}

		return withdrawMails(t, account, []string{id}, at)
	})
}

// UsersByAccount implements merchant.AccessStore, oldest first.
func (s *Store) UsersByAccount(ctx context.Context, account string, limit int) ([]merchant.User, error) {
	return list(ctx, s, scanUser, "SELECT "+userColumns+" FROM users WHERE account = $1 ORDER BY id LIMIT "+strconv.Itoa(limit), account)
}

// SessionsByUser implements merchant.AccessStore.
func (s *Store) SessionsByUser(ctx context.Context, user string, now time.Time, limit int) ([]merchant.Session, error) {
	return list(
		ctx,
		s,
		scanSession,
		"SELECT "+sessionColumns+" FROM sessions WHERE user_id = $1 AND revoked_at = 0 AND expires_at > $2 ORDER BY id DESC LIMIT "+strconv.Itoa(
			limit,
		),
		user,
		sqldb.Micros(now),
	)
}

// TouchSessions implements merchant.AccessStore. The ids are sorted, so that two processes that
// touch the same sessions lock the rows in the same order and do not deadlock.
func (s *Store) TouchSessions(ctx context.Context, seen map[string]time.Time) error {
	return s.write(ctx, nil, func(t *sqldb.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(seen)) { // a fixed order in every process
			if _, err := t.Exec("UPDATE sessions SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $1", sqldb.Micros(seen[id]),
				id); err != nil {
				return err
			}
		}
		return nil
	})
}

// GuessesOf implements merchant.AccessStore. No row means no failures.
func (s *Store) GuessesOf(ctx context.Context, key string) (merchant.Guesses, error) {
	var g merchant.Guesses
	var at int64
	err := s.db.Lookup(ctx, "SELECT failures, at FROM guesses WHERE who = $1", key).Scan(&g.Failures, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return merchant.Guesses{}, nil
	}

	g.At = sqldb.FromMicros(at)
	return g, err
}

// PutGuesses implements merchant.AccessStore. The condition is part of the write, so of several
// requests that saw the same guesses only one succeeds. The refusal is not an error of the
// transaction, so it does not undo the commits that are grouped with it.
func (s *Store) PutGuesses(ctx context.Context, key string, was, is merchant.Guesses) error {
	n, err := sqldb.WriteFor(ctx, s.db, nil, func(t *sqldb.Tx) (int64, error) {
		switch (merchant.Guesses{}) {
		case was:
			return t.Exec("INSERT INTO guesses (who, failures, at) VALUES ($1, $2, $3) ON CONFLICT (who) DO NOTHING",
				key, is.Failures, sqldb.Micros(is.At))
		case is:
			return t.Exec("DELETE FROM guesses WHERE who = $1 AND failures = $2 AND at = $3", key, was.Failures, sqldb.Micros(was.At))
		}
		return t.Exec("UPDATE guesses SET failures = $1, at = $2 WHERE who = $3 AND failures = $4 AND at = $5",
			is.Failures, sqldb.Micros(is.At), key, was.Failures, sqldb.Micros(was.At))
	})
	if err == nil && n == 0 {
		err = merchant.ErrChanged
	}
	return err
}

// PruneTokens implements merchant.AccessStore.
func (s *Store) PruneTokens(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.prune(
		ctx,
		"DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
		before,
		limit,
	)
}

// PruneGuesses implements merchant.AccessStore.
func (s *Store) PruneGuesses(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.prune(ctx, "DELETE FROM guesses WHERE who IN (SELECT who FROM guesses WHERE at < $1 ORDER BY at LIMIT $2)", before, limit)
}

// prune runs a query that deletes rows older than before, and returns how many.
func (s *Store) prune(ctx context.Context, query string, before time.Time, limit int) (removed int, err error) {
	return sqldb.WriteFor(ctx, s.db, nil, func(t *sqldb.Tx) (int, error) {
		n, err := t.Exec(query, sqldb.Micros(before), limit)
		return int(n), err
	})
}
