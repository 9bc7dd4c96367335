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
	"github.com/paylink/paylink/internal/stream"
)

const linkColumns = "id, uses, reserved, last_payment, canceled_at, expired_at, paid_at, doc, doc_sum"

func scanLink(row rowScanner) (link.Link, error) {
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
	if err := decode("link", id, doc, sum, &l); err != nil {
		return link.Link{}, err
	}
	l.Uses, l.Reserved, l.LastPayment = uses, reserved, last
	l.CanceledAt, l.ExpiredAt, l.PaidAt = fromMicros(canceled), fromMicros(expired), fromMicros(paid)
	return l, nil
}

// CreateLink implements link.Store.
func (s *Store) CreateLink(ctx context.Context, l link.Link, events []stream.Event, r *idempotency.Record) error {
	doc, sum, err := encode(l)
	if err != nil {
		return err
	}
	rows, err := encodeEvents(events)
	if err != nil {
		return err
	}
	err = s.write(ctx, []string{l.Account}, func(t *tx) error {
		n, err := t.exec(`INSERT INTO links (id, account, mode, realm, reference, max_uses, expires_at, doc, doc_sum)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
			l.ID, l.Account, l.Mode, l.Realm, l.Reference, l.MaxUses, micros(l.ExpiresAt), doc, sum)
		if err != nil || n == 0 {
			return err // 0: this very link is in the store already
		}
		if err := appendEvents(t, rows); err != nil {
			return err
		}
		if err := putRecord(t, r); err != nil {
			return err
		}
		s.links.put(l.ID, l) // it is about to be opened and paid
		return nil
	})
	if err != nil {
		s.links.forget(l.ID)
	}
	return err
}

// GetLink implements link.Store.
func (s *Store) GetLink(ctx context.Context, account, id string) (link.Link, error) {
	l, err := s.links.get(id, func() (link.Link, error) {
		return scanLink(s.queryRow(ctx, "SELECT "+linkColumns+" FROM links WHERE id = $1 AND account = $2", id, account))
	})
	if err == nil && l.Account != account {
		return link.Link{}, fault.NotFound("payment link")
	}
	l.Ahead = s.Ahead(l.Account, l.Mode)
	return l, err
}

// Conditions of the derived statuses; link.Link.Status is the truth they mirror.
var linkStatus = map[string]string{
	link.Paid:     "(max_uses > 0 AND uses >= max_uses)",
	link.Canceled: "canceled_at > 0 AND NOT (max_uses > 0 AND uses >= max_uses)",
	link.Paying:   "canceled_at = 0 AND max_uses > 0 AND uses < max_uses AND uses + reserved >= max_uses",
	link.ExpiredS: "canceled_at = 0 AND (max_uses = 0 OR uses + reserved < max_uses) AND expires_at <= ?",
	link.Open:     "canceled_at = 0 AND (max_uses = 0 OR uses + reserved < max_uses) AND expires_at > ?",
}

// ListLinks implements link.Store.
func (s *Store) ListLinks(ctx context.Context, f link.Filter) ([]link.Link, error) {
	var w where
	w.add("account = ?", f.Account)
	w.add("mode = ?", f.Mode)
	w.addIf(f.Realm != "", "realm = ?", f.Realm)
	w.addIf(f.Reference != "", "reference = ?", f.Reference)
	w.addIf(f.Before != "", "id < ?", f.Before)
	switch f.Status {
	case "":
	case link.ExpiredS, link.Open:
		w.add(linkStatus[f.Status], micros(f.Now))
	default:
		w.add(linkStatus[f.Status])
	}
	rows, err := s.query(ctx, s.read, "SELECT "+linkColumns+" FROM links"+w.sql()+" ORDER BY id DESC LIMIT "+strconv.Itoa(f.Limit), w.args...)
	if err != nil {
		return nil, err
	}
	list, err := scanLinks(rows)
	for i, l := range list {
		list[i].Ahead = s.Ahead(l.Account, l.Mode)
	}
	return list, err
}

func scanLinks(rows *rows) ([]link.Link, error) {
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

// CancelLink implements link.Store.
func (s *Store) CancelLink(ctx context.Context, account, id string, at time.Time, e stream.Event, r *idempotency.Record) error {
	events, err := encodeEvents([]stream.Event{e})
	if err != nil {
		return err
	}
	defer s.links.forget(id)
	return s.write(ctx, []string{account}, func(t *tx) error {
		n, err := t.exec(`UPDATE links SET canceled_at = $1, open = 0 WHERE id = $2 AND account = $3 AND canceled_at = 0
			AND (max_uses = 0 OR uses + reserved < max_uses) AND expires_at > $1 AND expired_at = 0`, micros(at), id, account)
		if err != nil {
			return err
		}
		if n == 0 {
			l, err := scanLink(t.row("SELECT "+linkColumns+" FROM links WHERE id = $1 AND account = $2", id, account))
			if err != nil {
				return err
			}
			if err := l.Unpayable(at); err != nil || l.ExpiredAt.IsZero() {
				return err
			}
			return l.Unpayable(l.ExpiredAt) // the clock was set back after the expiry was told
		}
		if err := appendEvents(t, events); err != nil {
			return err
		}
		return putRecord(t, r)
	})
}

// ExpireLinks implements link.Store.
func (s *Store) ExpireLinks(ctx context.Context, now time.Time, limit int, event func(link.Link) (stream.Event, error)) (int, error) {
	ended, aside, err := s.endedLinks(ctx, now, limit)
	if err != nil || len(ended) == 0 {
		return aside, errors.Join(err, link.SetAside(aside))
	}
	accounts := make([]string, len(ended))
	for i, l := range ended {
		accounts[i] = l.Account
		defer s.links.forget(l.ID)
	}
	err = s.write(ctx, accounts, func(t *tx) error {
		for _, l := range ended {
			n, err := t.exec("UPDATE links SET open = 0, expired_at = $1 WHERE id = $2 AND open = 1", micros(l.At(now)), l.ID)
			if err != nil {
				return err
			}
			if n == 0 {
				continue // paid or canceled meanwhile
			}
			e, err := event(l)
			if err != nil {
				return err
			}
			rows, err := encodeEvents([]stream.Event{e})
			if err != nil {
				return err
			}
			if err := appendEvents(t, rows); err != nil {
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

// endedLinks are open links whose time is over, by their accounts' clocks: each account's
// oldest before any account's second. Those that cannot be read are set aside, and only
// counted.
func (s *Store) endedLinks(ctx context.Context, now time.Time, limit int) (ended []link.Link, aside int, err error) {
	rows, err := s.dueRows(ctx, linkQueue, now, limit)
	if err != nil {
		return nil, 0, err
	}
	old, err := s.readDue(ctx, "SELECT id, account, mode, account, again_at, misses FROM links WHERE open = 2 AND again_at <= $1 ORDER BY again_at LIMIT "+
		strconv.Itoa(linksAgain), micros(now))
	if err != nil || len(rows)+len(old) == 0 {
		return nil, 0, err
	}
	var broken, sound []dueRow
	for _, r := range append(rows, old...) {
		l, err := scanLink(s.queryRow(ctx, "SELECT "+linkColumns+" FROM links WHERE id = $1", r.id))
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
	return ended, len(broken), s.write(ctx, nil, func(t *tx) error {
		for _, r := range broken {
			if _, err := t.exec("UPDATE links SET open = 2, misses = misses + 1, again_at = $1 WHERE id = $2 AND open IN (1, 2)",
				micros(now.Add(link.Backoff(r.misses))), r.id); err != nil {
				return err
			}
		}
		for _, r := range sound { // somebody put it right
			if _, err := t.exec("UPDATE links SET open = 1, misses = 0 WHERE id = $1 AND open = 2", r.id); err != nil {
				return err
			}
		}
		return nil
	})
}

// linksAgain bounds how many links that were set aside are looked at again in one step.
const linksAgain = 20
