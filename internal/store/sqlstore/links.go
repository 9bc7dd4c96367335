package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// linkColumns are the columns that scanLink reads, in its order. What payments change (uses,
// reserved, last_payment) and the three times are columns of their own, because a document could
// not be updated in place.
const linkColumns = "id, uses, reserved, last_payment, canceled_at, expired_at, paid_at, doc, doc_sum"

// scanLink reads one row of linkColumns. No row is fault.NotFound. Columns replace the fields of
// the same name in the document.
func scanLink(row sqldb.Scanner) (link.Link, error) {
	var (
		l                       link.Link
		id, last, doc           string
		canceled, expired, paid int64
		uses, reserved, sum     int64
	)
	if err := row.Scan(&id, &uses, &reserved, &last, &canceled, &expired, &paid, &doc, &sum); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return l, fault.NotFound("payment link")
		}
		return l, err
	}

	if err := sqldb.Decode("link", id, doc, sum, &l); err != nil {
		return link.Link{}, err
	}
	l.Uses, l.Reserved, l.LastPayment = uses, reserved, last
	l.CanceledAt, l.ExpiredAt, l.PaidAt = sqldb.FromMicros(canceled), sqldb.FromMicros(expired), sqldb.FromMicros(paid)
	return l, nil
}

// CreateLink implements link.Store. The link, its events and the record are one commit. A link
// whose id exists stays unchanged and nothing else is written, because this is a repetition of the
// same call.
func (s *Store) CreateLink(ctx context.Context, l link.Link, events []stream.Event, r *idempotency.Record) error {
	doc, sum, err := sqldb.Encode(l)
	if err != nil {
		return err
	}
	rows, err := feed.Encode(events)
	if err != nil {
		return err
	}

	err = s.db.Write(ctx, []string{l.Account}, func(t *sqldb.Tx) error {
		n, err := t.Exec(`INSERT INTO links (id, account, mode, realm, reference, max_uses, expires_at, doc, doc_sum)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
			l.ID, l.Account, l.Mode, l.Realm, l.Reference, l.MaxUses, sqldb.Micros(l.ExpiresAt), doc, sum)
		if err != nil || n == 0 {
			return err // 0: this same link is already stored
		}
		if err := s.Append(t, rows); err != nil {
			return err
		}
		if err := putRecord(t, r); err != nil {
			return err
		}
		t.OnCommit(func() { s.links.put(l.ID, l) }) // it will soon be opened and paid
		return nil
	})
	return err
}

// GetLink implements link.Store. The cache is keyed by id alone, so the account is compared after
// it, too.
func (s *Store) GetLink(ctx context.Context, account, id string) (link.Link, error) {
	l, err := s.links.get(id, func() (link.Link, error) {
		return scanLink(s.db.Lookup(ctx, "SELECT "+linkColumns+" FROM links WHERE id = $1 AND account = $2", id, account))
	})
	if err == nil && l.Account != account {
		return link.Link{}, fault.NotFound("payment link")
	}

	l.Ahead = s.Ahead(l.Account, l.Mode)
	return l, err
}

// linkStatus maps the derived statuses to their conditions. They mirror link.Link.Status, which is
// authoritative.
var linkStatus = map[string]string{
	link.Paid:     "(max_uses > 0 AND uses >= max_uses)",
	link.Canceled: "canceled_at > 0 AND NOT (max_uses > 0 AND uses >= max_uses)",
	link.Paying:   "canceled_at = 0 AND max_uses > 0 AND uses < max_uses AND uses + reserved >= max_uses",
	link.Expired:  "canceled_at = 0 AND (max_uses = 0 OR uses + reserved < max_uses) AND expires_at <= ?",
	link.Open:     "canceled_at = 0 AND (max_uses = 0 OR uses + reserved < max_uses) AND expires_at > ?",
}

// ListLinks implements link.Store, newest first. A status is translated to a condition, because it
// is derived and not stored.
func (s *Store) ListLinks(ctx context.Context, f link.Filter) ([]link.Link, error) {
	var w sqldb.Where
	w.Add("account = ?", f.Account)
	w.Add("mode = ?", f.Mode)
	w.AddIf(f.Realm != "", "realm = ?", f.Realm)
	w.AddIf(f.Reference != "", "reference = ?", f.Reference)
	w.AddIf(f.Before != "", "id < ?", f.Before)

	switch f.Status {
	case "":
	case link.Expired, link.Open:
		w.Add(linkStatus[f.Status], sqldb.Micros(f.Now))
	default:
		w.Add(linkStatus[f.Status])
	}

	rows, err := s.db.Query(ctx, "SELECT "+linkColumns+" FROM links"+w.SQL()+" ORDER BY id DESC LIMIT "+strconv.Itoa(f.Limit), w.Args...)
	if err != nil {
		return nil, err
	}

	list, err := scanLinks(rows)
	for i, l := range list {
		list[i].Ahead = s.Ahead(l.Account, l.Mode)
	}

	return list, err
}

// scanLinks returns the links of the rows and closes them. The first damaged link is the error.
func scanLinks(rows *sqldb.Rows) ([]link.Link, error) {
	defer func() { _ = rows.Close() }()
	var list []link.Link
	for rows.Next() {
		l, err := scanLink(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, rows.Err()
}

// CancelLink implements link.Store. The conditions of the write are those of a link that is open:
// not paid, canceled or expired, and with a use that no payment holds. If they do not hold, the
// link is read in the same transaction, and the fault names its status. The end of the account's
// clock counts, so at must be by that clock.
func (s *Store) CancelLink(ctx context.Context, account, id string, at time.Time, e stream.Event, r *idempotency.Record) error {
	events, err := feed.Encode([]stream.Event{e})
	if err != nil {
		return err
	}
	return s.db.Write(ctx, []string{account}, func(t *sqldb.Tx) error {
		n, err := t.Exec(`UPDATE links SET canceled_at = $1, open = 0 WHERE id = $2 AND account = $3 AND canceled_at = 0
			AND (max_uses = 0 OR uses + reserved < max_uses) AND expires_at > $1 AND expired_at = 0`, sqldb.Micros(at), id, account)
		if err != nil {
			return err
		}

		if n == 0 {
			l, err := scanLink(t.Row("SELECT "+linkColumns+" FROM links WHERE id = $1 AND account = $2", id, account))
			if err != nil {
				return err
			}
			return l.Unpayable(at)
		}

		s.links.forgetAfter(t, id)
		if err := s.Append(t, events); err != nil {
			return err
		}
		return putRecord(t, r)
	})
}

// Values of the column open. The sweep of expired links reads only those with linkOpen. The SQL
// statements write the numbers, and the indexes contain them.
const (
	linkClosed = 0 // paid, canceled, or recorded as expired
	linkOpen   = 1
	linkHeld   = 2 // ended, but payments still hold uses: the commit that releases the last one reopens it
	linkAside  = 3 // ended and unreadable: set aside until again_at
)

// heldEvery is how often the sweep looks for held links whose last use was released by a process
// of the previous version, which does not know about them.
const heldEvery = time.Minute

// ExpireLinks implements link.Store. It marks up to limit links as expired, with their events, in
// one commit, and returns how many links it dealt with, including those that it set aside. Links
// with reserved uses are marked as held instead. The error reports those set aside (link.SetAside),
// even if all others succeeded.
func (s *Store) ExpireLinks(ctx context.Context, now time.Time, limit int, event func(link.Link) (stream.Event, error)) (int, error) {
	if err := s.reopenHeld(ctx, now); err != nil {
		return 0, err
	}

	ended, aside, err := s.endedLinks(ctx, now, limit)
	if err != nil || len(ended) == 0 {
		return aside, errors.Join(err, link.SetAside(aside))
	}

	accounts := make([]string, len(ended))
	for i, l := range ended {
		accounts[i] = l.Account
	}

	err = s.db.Write(ctx, accounts, func(t *sqldb.Tx) error {
		for _, l := range ended {
			s.links.forgetAfter(t, l.ID)
			if err := s.expireLink(t, l, now, event); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(ended) + aside, link.SetAside(aside)
}

// expireLink records the expiry of a link without reserved uses, and marks one with reserved uses
// as held. A link that was paid or canceled since it was read stays unchanged. The event is made
// from the link as this commit leaves it.
func (s *Store) expireLink(t *sqldb.Tx, l link.Link, now time.Time, event func(link.Link) (stream.Event, error)) error {
	n, err := t.Exec(
		"UPDATE links SET open = $1, expired_at = $2 WHERE id = $3 AND open = $4 AND reserved = 0",
		linkClosed,
		sqldb.Micros(l.At(now)),
		l.ID,
		linkOpen,
	)
	if err != nil {
		return err
	}
	if n == 0 { // held, or paid or canceled in the meantime
		_, err := t.Exec("UPDATE links SET open = $1 WHERE id = $2 AND open = $3 AND reserved > 0", linkHeld, l.ID, linkOpen)
		return err
	}

	is, err := scanLink(t.Row("SELECT "+linkColumns+" FROM links WHERE id = $1", l.ID))
	if err != nil {
		return err
	}
	// The event is about the moment before the expiry: event sets the time itself.
	is.Ahead, is.ExpiredAt = l.Ahead, time.Time{}
	e, err := event(is)
	if err != nil {
		return err
	}

	rows, err := feed.Encode([]stream.Event{e})
	if err != nil {
		return err
	}
	return s.Append(t, rows)
}

// reopenHeld reopens held links without reserved uses, at most once in heldEvery. Usually there are
// none, and it only reads.
func (s *Store) reopenHeld(ctx context.Context, now time.Time) error {
	last := s.heldSeen.Load()
	if since := now.UnixMicro() - last; since >= 0 && since < heldEvery.Microseconds() {
		return nil
	}

	var n int64
	err := s.db.Lookup(ctx, "SELECT COUNT(*) FROM links WHERE open = 2 AND reserved = 0").Scan(&n)
	if err == nil && n > 0 {
		err = s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
			_, err := t.Exec("UPDATE links SET open = $1 WHERE open = 2 AND reserved = 0", linkOpen)
			return err
		})
	}

	if err == nil {
		s.heldSeen.Store(now.UnixMicro())
	}
	return err
}

// endedLinks returns open links past their end by their accounts' clocks, each account's oldest
// before any account's second. Unreadable ones are set aside, with a growing delay before the next
// try, and only counted. One that was set aside and is readable again becomes open, and the next
// sweep takes it.
func (s *Store) endedLinks(ctx context.Context, now time.Time, limit int) (ended []link.Link, aside int, err error) {
	rows, err := s.dueRows(ctx, linkQueue, now, limit)
	if err != nil {
		return nil, 0, err
	}

	old, err := s.readDue(
		ctx,
		"SELECT id, account, mode, account, again_at, misses FROM links WHERE open = 3 AND again_at <= $1 ORDER BY again_at LIMIT "+
			strconv.Itoa(linksAgain),
		sqldb.Micros(now),
	)
	if err != nil || len(rows)+len(old) == 0 {
		return nil, 0, err
	}
	// Read each link alone, so that a damaged one cannot hide the others.
	var broken, sound []dueRow
	for _, r := range append(rows, old...) {
		l, err := scanLink(s.db.Lookup(ctx, "SELECT "+linkColumns+" FROM links WHERE id = $1", r.id))
		switch {
		case fault.Code(err) == "link_damaged":
			broken = append(broken, r)
		case err != nil:
			return nil, 0, err
		case slices.Contains(old, r):
			sound = append(sound, r)
		default:
			l.Ahead = s.Ahead(l.Account, l.Mode)
			ended = append(ended, l)
		}
	}

	if len(broken)+len(sound) == 0 {
		return ended, 0, nil
	}
	return ended, len(broken), s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		for _, r := range broken {
			if _, err := t.Exec("UPDATE links SET open = "+strconv.Itoa(linkAside)+", misses = misses + 1, again_at = $1 WHERE id = $2 AND open IN (1, 3)",
				sqldb.Micros(now.Add(link.Backoff(r.misses))), r.id); err != nil {
				return err
			}
		}
		for _, r := range sound { // it was repaired
			if _, err := t.Exec("UPDATE links SET open = 1, misses = 0 WHERE id = $1 AND open = 3", r.id); err != nil {
				return err
			}
		}
		return nil
	})
}

// linksAgain limits how many links that were set aside are tried again in one step.
const linksAgain = 20
