package sqlstore

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/store/sqldb"
)

var (
	_ mail.Outbox  = (*Store)(nil)
	_ mail.Readers = (*Store)(nil)
)

// MailConsumer is the consumer of the feed that writes emails.
const MailConsumer = "mails"

// mailColumns are the columns that scanMail reads, in its order. data is the sealed content; it is
// empty once the email has ended.
const mailColumns = "id, account, mode, recipient, kind, lang, data, withdraw, due_at, claimed, ends_at, status, attempt, error, created_at, ended_at, reader, network"

// scanMail reads one row of mailColumns. No row is fault.NotFound. The content stays sealed.
func scanMail(row sqldb.Scanner) (mail.Message, error) {
	var (
		m                                  mail.Message
		data                               string
		due, claimed, ends, created, ended int64
	)
	err := row.Scan(
		&m.ID,
		&m.Account,
		&m.Mode,
		&m.To,
		&m.Kind,
		&m.Lang,
		&data,
		&m.Withdraw,
		&due,
		&claimed,
		&ends,
		&m.Status,
		&m.Attempt,
		&m.Error,
		&created,
		&ended,
		&m.Reader,
		&m.Network,
	)
	if err != nil {
		return m, missing(err, "mail")
	}

	m.DueAt, m.EndsAt, m.CreatedAt, m.EndedAt = sqldb.FromMicros(
		due,
	), sqldb.FromMicros(
		ends,
	), sqldb.FromMicros(
		created,
	), sqldb.FromMicros(
		ended,
	)
	if m.Sealed, err = fromBase64(data); err != nil {
		return mail.Message{}, sqldb.Damaged("mail", m.ID, err)
	}
	return m, nil
}

// putMails writes emails in the commit of what they report. An email whose id exists stays
// unchanged, so a repeated commit sends nothing twice. It refuses an email that is not sealed,
// because the store must never contain the content in clear text. Without DueAt an email is due at
// once.
func putMails(t *sqldb.Tx, list []mail.Message) error {
	for _, m := range list {
		if len(m.Sealed) == 0 || m.Data != nil || m.CreatedAt.IsZero() {
			return fmt.Errorf("mail %s is not sealed or has no time", m.ID)
		}

		due := m.DueAt
		if due.IsZero() {
			due = m.CreatedAt
		}
		if _, err := t.Exec("INSERT INTO mails ("+mailColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 'waiting', 0, '', $11, 0, $12, $13)
			ON CONFLICT (id) DO NOTHING`, m.ID, m.Account, m.Mode, m.To, m.Kind, m.Lang, base64.StdEncoding.EncodeToString(m.Sealed), m.Withdraw,
			sqldb.Micros(due), sqldb.Micros(m.EndsAt), sqldb.Micros(m.CreatedAt), m.Reader, m.Network); err != nil {
			return err
		}
	}

	return nil
}

// PutMails implements mail.Outbox. It is for emails that report nothing else that is stored.
func (s *Store) PutMails(ctx context.Context, list []mail.Message) error {
	if len(list) == 0 {
		return nil
	}
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error { return putMails(t, list) })
}

// PutMailWithin implements mail.Outbox. The commit holds the locks of all that the limits bound, so
// they are exact, however many processes write at the same moment.
func (s *Store) PutMailWithin(ctx context.Context, m mail.Message, limits []mail.Limit) error {
	return s.db.Write(ctx, limitLocks(m, limits), func(t *sqldb.Tx) error {
		if err := withinLimits(t, m, limits); err != nil {
			return err
		}
		return putMails(t, []mail.Message{m})
	})
}

// limitLocks returns the names that a commit within limits locks: the account's first, because it
// chooses the writer.
func limitLocks(m mail.Message, limits []mail.Limit) []string {
	locks := []string{m.Account}
	for _, l := range limits {
		if l.Reader != "" {
			locks = append(locks, "mails to "+l.Reader)
		}
		if l.Network != "" {
			locks = append(locks, "mails caused from "+l.Network)
		}
	}
	return locks
}

// AdmitMail implements mail.Outbox, under the same locks as PutMailWithin. It records the reader
// and the network of an email that is already in the outbox, if the limits allow it, and returns
// the fault of mail.TooMany otherwise.
func (s *Store) AdmitMail(ctx context.Context, m mail.Message, reader string, limits []mail.Limit) error {
	return s.db.Write(ctx, limitLocks(m, limits), func(t *sqldb.Tx) error {
		if err := withinLimits(t, m, limits); err != nil {
			return err
		}
		_, err := t.Exec("UPDATE mails SET reader = $1, network = $2 WHERE id = $3", reader, m.Network, m.ID)
		return err
	})
}

// withinLimits returns the fault of mail.TooMany if one of the limits is reached. The email itself
// does not count, so a repetition passes. Each count stops at its limit. The locks of limitLocks are
// held.
func withinLimits(t *sqldb.Tx, m mail.Message, limits []mail.Limit) error {
	for _, l := range limits {
		var w sqldb.Where
		w.AddIf(l.Kind != "", "kind = ?", l.Kind)
		w.Add("created_at >= ?", sqldb.Micros(l.Since))
		w.AddIf(l.Account != "", "account = ?", l.Account)
		w.AddIf(l.Mode != "", "mode = ?", l.Mode)
		w.AddIf(l.To != "", "recipient = ?", l.To)
		w.AddIf(l.Reader != "", "reader = ?", l.Reader)
		w.AddIf(l.Network != "", "network = ?", l.Network)
		w.Add("id <> ?", m.ID)

		condition := w.SQL()
		if l.Kind == "" || l.Reader != "" {
			condition += " AND reader <> ''" // matches the indexes
		}
		if l.Network != "" {
			condition += " AND network <> ''"
		}
		var n int64
		if err := t.Row("SELECT COUNT(*) FROM (SELECT 1 FROM mails"+condition+" LIMIT "+strconv.Itoa(l.Most)+") AS counted",
			w.Args...).Scan(&n); err != nil {
			return err
		}
		if n >= int64(l.Most) {
			return mail.TooMany(l, m.CreatedAt.Sub(l.Since))
		}
	}

	return nil
}

// WithdrawMails implements mail.Outbox. An email that a process has claimed may still be sent.
func (s *Store) WithdrawMails(ctx context.Context, account string, keys []string, at time.Time) error {
	if len(keys) == 0 {
		return nil
	}
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error { return withdrawMails(t, account, keys, at) })
}

// withdrawMails drops the account's waiting emails under the keys, and their content. The empty key
// matches none.
func withdrawMails(t *sqldb.Tx, account string, keys []string, at time.Time) error {
	for _, k := range keys {
		if _, err := t.Exec(`UPDATE mails SET status = 'dropped', data = '', ended_at = $1
			WHERE account = $2 AND withdraw = $3 AND status = 'waiting' AND withdraw <> ''`, sqldb.Micros(at), account, k); err != nil {
			return err
		}
	}
	return nil
}

// DueMails implements mail.Outbox. It claims nothing: ClaimMails does. An email that cannot be
// decoded is parked, so that it does not come back in every search.
func (s *Store) DueMails(ctx context.Context, now time.Time, limit int) ([]mail.Message, error) {
	rows, err := s.dueRows(ctx, mailQueue, now, limit)
	if err != nil {
		return nil, err
	}

	var list []mail.Message
	var broken []mail.Outcome
	for _, r := range rows {
		m, err := scanMail(
			s.db.Lookup(ctx, "SELECT "+mailColumns+" FROM mails WHERE id = $1 AND status = 'waiting' AND claimed <= $2", r.id, sqldb.Micros(now)),
		)
		switch {
		case fault.Code(err) == "mail_damaged":
			broken = append(
				broken,
				mail.Outcome{ID: r.id, Status: mail.DeadLetterStatus, Error: "mail_damaged: its content cannot be read", At: now},
			)
		case fault.Code(err) == "not_found": // sent or withdrawn in the meantime
		case err != nil:
			return nil, err
		default:
			list = append(list, m)
		}
	}

	return list, s.SettleMails(ctx, broken)
}

// mails returns the emails of a query for mailColumns. The first damaged one is the error.
func (s *Store) mails(ctx context.Context, query string, args ...any) ([]mail.Message, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []mail.Message
	for rows.Next() {
		m, err := scanMail(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}

	return list, rows.Err()
}

// ClaimMails implements mail.Outbox. The attempt's number is the condition of the write: of two
// processes that read the same email, only one finds the number that it read. If the process
// crashes, the claim ends at until and the email is due again.
func (s *Store) ClaimMails(ctx context.Context, due []mail.Message, until time.Time) ([]mail.Message, error) {
	if len(due) == 0 {
		return nil, nil
	}

	due = slices.Clone(due)
	slices.SortFunc(due, func(a, b mail.Message) int { return strings.Compare(a.ID, b.ID) }) // a fixed order in every process
	var claimed []mail.Message
	err := s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		claimed = claimed[:0]
		for _, m := range due {
			n, err := t.Exec(
				"UPDATE mails SET claimed = $1, due_at = $1, attempt = attempt + 1 WHERE id = $2 AND status = 'waiting' AND attempt = $3",
				sqldb.Micros(until),
				m.ID,
				m.Attempt,
			)
			if err != nil {
				return err
			}
			if n == 1 {
				m.Attempt++
				claimed = append(claimed, m)
			}
		}
		return nil
	})

	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// ReleaseMails releases the claims of a process that died, when the next one starts. Where
// several processes share the store, claims expire by themselves.
func (s *Store) ReleaseMails(ctx context.Context) error {
	if s.db.Shared() {
		return nil
	}
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		_, err := t.Exec("UPDATE mails SET claimed = 0, due_at = created_at WHERE status = 'waiting' AND claimed > 0")
		return err
	})
}

// SettleMails implements mail.Outbox. All outcomes are one commit, in the order of ids. A waiting
// outcome makes the email due again at NextAt; any other one ends it and removes its content.
func (s *Store) SettleMails(ctx context.Context, outcomes []mail.Outcome) error {
	if len(outcomes) == 0 {
		return nil
	}

	outcomes = slices.Clone(outcomes)
	slices.SortFunc(outcomes, func(a, b mail.Outcome) int { return strings.Compare(a.ID, b.ID) })
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		for _, o := range outcomes {
			var err error
			if o.Status == mail.Waiting {
				_, err = t.Exec("UPDATE mails SET due_at = $1, claimed = 0, error = $2, attempt = attempt - $3 WHERE id = $4 AND status = 'waiting'",
					sqldb.Micros(o.NextAt), o.Error, back(o.Unsent), o.ID)
			} else {
				_, err = t.Exec("UPDATE mails SET status = $1, data = '', error = $2, ended_at = $3 WHERE id = $4 AND status = 'waiting'",
					string(o.Status), o.Error, sqldb.Micros(o.At), o.ID)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// back returns how many attempts an outcome gives back: one if nothing was sent, so that a server
// that is away does not use up the tries.
func back(unsent bool) int64 {
	if unsent {
		return 1
	}
	return 0
}

// EachMail visits every email, with its sealed content.
func (s *Store) EachMail(ctx context.Context, visit func(mail.Message) error) error {
	return eachRow(ctx, s, "SELECT "+mailColumns+" FROM mails ORDER BY id", scanMail, visit)
}

// Mails implements mail.Outbox. The content is left out, even sealed.
func (s *Store) Mails(ctx context.Context, account, before string, limit int) ([]mail.Message, error) {
	var w sqldb.Where
	w.Add("account = ?", account)
	w.AddIf(before != "", "id < ?", before)
	list, err := s.mails(ctx, "SELECT "+mailColumns+" FROM mails"+w.SQL()+" ORDER BY id DESC LIMIT "+strconv.Itoa(limit), w.Args...)
	for i := range list {
		list[i].Sealed = nil
	}
	return list, err
}

// pruneMails deletes the oldest ended emails, a bounded number of them, by the index on ended_at.
const pruneMails = "DELETE FROM mails WHERE id IN (SELECT id FROM mails WHERE ended_at > 0 AND ended_at < $1 ORDER BY ended_at LIMIT $2)"

// PruneMails implements mail.Outbox.
func (s *Store) PruneMails(ctx context.Context, before time.Time, limit int) (removed int, err error) {
	return s.prune(ctx, pruneMails, before, limit)
}

// The counts for metrics. countDueMails stops at a million.
const (
	countDeadMails = "SELECT COUNT(*) FROM mails WHERE status = 'parked'"
	countDueMails  = "SELECT COUNT(*) FROM (SELECT 1 FROM mails WHERE status = 'waiting' AND due_at <= $1 LIMIT 1000000) AS due"
)

// CountDeadMails returns the number of emails of the last mail.Life that were given up, for
// metrics.
func (s *Store) CountDeadMails(ctx context.Context) (n int64, err error) {
	err = s.db.Lookup(ctx, countDeadMails).Scan(&n)
	return n, err
}

// CountDueMails returns the number of due emails, for metrics.
func (s *Store) CountDueMails(ctx context.Context, now time.Time) (n int64, err error) {
	err = s.db.Lookup(ctx, countDueMails, sqldb.Micros(now)).Scan(&n)
	return n, err
}

// readerColumns are the columns that scanReader reads, and the tables that they come from.
const readerColumns = "u.id, u.account, u.email, u.confirmed_at, COALESCE(p.lang, ''), COALESCE(p.off, '[]') FROM users u LEFT JOIN mail_preferences p ON p.user_id = u.id"

// scanReader reads one row of readerColumns. A user without preferences gets every email, in the
// default language. No row is fault.NotFound.
func scanReader(row sqldb.Scanner) (mail.Reader, error) {
	var r mail.Reader
	var off string
	var confirmed int64
	if err := row.Scan(&r.User, &r.Account, &r.Address, &confirmed, &r.Lang, &off); err != nil {
		return r, missing(err, "user")
	}

	r.Confirmed = confirmed > 0
	if err := json.Unmarshal([]byte(off), &r.Off); err != nil {
		return mail.Reader{}, sqldb.Damaged("preferences", r.User, err)
	}
	return r, nil
}

// Readers implements mail.Readers, in the order of the users' ids.
func (s *Store) Readers(ctx context.Context, account string) ([]mail.Reader, error) {
	rows, err := s.db.Query(ctx, "SELECT "+readerColumns+" WHERE u.account = $1 ORDER BY u.id", account)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []mail.Reader
	for rows.Next() {
		r, err := scanReader(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}

	return list, rows.Err()
}

// Reader implements mail.Readers.
func (s *Store) Reader(ctx context.Context, user string) (mail.Reader, error) {
	return scanReader(s.db.Lookup(ctx, "SELECT "+readerColumns+" WHERE u.id = $1", user))
}

// TimeZone implements mail.Readers. "" is UTC; it is also the result for an unknown account.
func (s *Store) TimeZone(ctx context.Context, account string) (string, error) {
	if account == "" {
		return "", nil
	}
	a, err := s.GetAccount(ctx, account)
	if fault.KindOf(err) == fault.KindNotFound {
		return "", nil
	}
	return a.TimeZone, err
}

// PutPreferences implements mail.Readers. It replaces all of the user's preferences.
func (s *Store) PutPreferences(ctx context.Context, p mail.Preferences) error {
	off, err := json.Marshal(p.Off)
	if err != nil {
		return err
	}
	if len(p.Off) == 0 {
		off = []byte("[]")
	}

	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		_, err := t.Exec(`INSERT INTO mail_preferences (user_id, lang, off) VALUES ($1, $2, $3)
			ON CONFLICT (user_id) DO UPDATE SET lang = excluded.lang, off = excluded.off`, p.User, p.Lang, string(off))
		return err
	})
}

// TurnOff implements mail.Readers in one statement, which a concurrent one of the same user waits
// for. The list is JSON as PutPreferences writes it.
func (s *Store) TurnOff(ctx context.Context, user, kind string) error {
	word, err := json.Marshal(kind)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		_, err := t.Exec(`INSERT INTO mail_preferences (user_id, lang, off) VALUES ($1, '', $2)
			ON CONFLICT (user_id) DO UPDATE SET off = CASE
				WHEN mail_preferences.off = '[]' THEN excluded.off
				WHEN mail_preferences.off LIKE $3 THEN mail_preferences.off
				ELSE substr(mail_preferences.off, 1, length(mail_preferences.off) - 1) || CAST($4 AS TEXT) END`,
			user, "["+string(word)+"]", "%"+string(word)+"%", ","+string(word)+"]")
		return err
	})
}

// Refuse implements mail.Readers. A repetition keeps the first time. The caller passes the address
// in its canonical spelling.
func (s *Store) Refuse(ctx context.Context, account, address, kind string, at time.Time) error {
	links, receipts := refused(kind)
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		_, err := t.Exec(`INSERT INTO mail_refusals (account, address, created_at, links, receipts) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (account, address) DO UPDATE SET
				links = CASE WHEN excluded.links = 1 THEN 1 ELSE mail_refusals.links END,
				receipts = CASE WHEN excluded.receipts = 1 THEN 1 ELSE mail_refusals.receipts END`,
			account, address, sqldb.Micros(at), links, receipts)
		return err
	})
}

// refused returns the columns of a refusal of a kind: receipts stand for refunds too, and every
// other kind is links.
func refused(kind string) (links, receipts int64) {
	if kind == mail.Receipt {
		return 0, 1
	}
	return 1, 0
}

// Refuses implements mail.Readers. It reports whether the address refuses emails of the kind from
// the account.
func (s *Store) Refuses(ctx context.Context, account, address, kind string) (bool, error) {
	var links, receipts int64
	err := s.db.Lookup(ctx, "SELECT links, receipts FROM mail_refusals WHERE account = $1 AND address = $2", account, address).
		Scan(&links, &receipts)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	l, r := refused(kind)
	return err == nil && links*l+receipts*r > 0, err
}

// parkedEndpoints counts unresolved deliveries by endpoint. Deliveries of a deleted endpoint drop
// out by the join.
const deadLetterEndpoints = `SELECT e.account, e.mode, e.id, e.url, COUNT(*) FROM webhook_deliveries d
	JOIN webhook_endpoints e ON e.id = d.endpoint WHERE d.unresolved = 1 AND d.at >= $1 GROUP BY e.account, e.mode, e.id, e.url ORDER BY e.id`

// DeadLetterEndpoints returns the endpoints with webhooks given up since a moment that nobody has
// dealt with. It reads only their index.
func (s *Store) DeadLetterEndpoints(ctx context.Context, since time.Time) ([]mail.DeadLetterEndpoint, error) {
	rows, err := s.db.Query(ctx, deadLetterEndpoints, sqldb.Micros(since))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []mail.DeadLetterEndpoint
	for rows.Next() {
		var p mail.DeadLetterEndpoint
		if err := rows.Scan(&p.Account, &p.Mode, &p.Endpoint, &p.URL, &p.Count); err != nil {
			return nil, err
		}
		list = append(list, p)
	}

	return list, rows.Err()
}
