package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
)

var _ payment.Store = (*Store)(nil)

// paymentColumns are the columns that scanPayment reads, in its order.
const paymentColumns = "id, revision, doc, doc_sum"

// scanPayment reads one row of paymentColumns. It returns sql.ErrNoRows unchanged, and a fault of
// code payment_damaged for a document that fails its checksum.
func scanPayment(row sqldb.Scanner) (payment.Payment, error) {
	var (
		p             payment.Payment
		id, doc       string
		revision, sum int64
	)
	if err := row.Scan(&id, &revision, &doc, &sum); err != nil {
		return p, err
	}
	if err := sqldb.Decode("payment", id, doc, sum, &p); err != nil {
		return payment.Payment{}, err
	}

	payment.Coarsen(&p)
	p.Revision = revision
	return p, nil
}

// GetPayment implements payment.Store. A payment of another account is fault.NotFound.
func (s *Store) GetPayment(ctx context.Context, account, id string) (payment.Payment, error) {
	p, err := scanPayment(s.db.Lookup(ctx, "SELECT "+paymentColumns+" FROM payments WHERE id = $1 AND account = $2", id, account))
	p.Ahead = s.Ahead(p.Account, p.Mode)
	if errors.Is(err, sql.ErrNoRows) {
		return p, fault.NotFound("payment")
	}
	return p, err
}

// FindPayment implements payment.Store. It searches all accounts, so its result must not reach a
// caller that has not proved the account.
func (s *Store) FindPayment(ctx context.Context, id string) (payment.Payment, error) {
	p, err := scanPayment(s.db.Lookup(ctx, "SELECT "+paymentColumns+" FROM payments WHERE id = $1", id))
	p.Ahead = s.Ahead(p.Account, p.Mode)
	if errors.Is(err, sql.ErrNoRows) {
		return p, fault.NotFound("payment")
	}
	return p, err
}

// ListPayments implements payment.Store, newest first. One damaged payment fails the whole list.
func (s *Store) ListPayments(ctx context.Context, f payment.Filter) ([]payment.Payment, error) {
	var w sqldb.Where
	w.Add("account = ?", f.Account)
	w.Add("mode = ?", f.Mode)
	w.AddIf(f.Status != "", "status = ?", string(f.Status))
	w.AddIf(f.Currency != "", "currency = ?", string(f.Currency))
	w.AddIf(f.Realm != "", "realm = ?", f.Realm)
	w.AddIf(f.Link != "", "link = ?", f.Link)
	w.AddIf(!f.From.IsZero(), "created_at >= ?", sqldb.Micros(f.From))
	w.AddIf(!f.To.IsZero(), "created_at < ?", sqldb.Micros(f.To))
	// The pair of time and id continues a page exactly, even between payments of the same
	// microsecond.
	if !f.BeforeTime.IsZero() {
		w.Add("(created_at, id) < (?, ?)", sqldb.Micros(f.BeforeTime), f.BeforeID)
	}

	list, err := s.payments(ctx, "SELECT "+paymentColumns+" FROM payments"+w.SQL()+
		" ORDER BY created_at DESC, id DESC LIMIT "+strconv.Itoa(f.Limit), w.Args...)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// TakeDue implements payment.Store. Each row is postponed and counted (misses) before its document
// is decoded, so a payment that cannot be processed waits longer each time and hides no other. The
// due time is the condition of the write: of two processes that found the same payment, one takes
// it. After a crash the payment is due again when the postponement ends.
func (s *Store) TakeDue(ctx context.Context, k payment.Take) ([]payment.Payment, error) {
	rows, err := s.dueRows(ctx, paymentQueue, k.Now, k.Limit, k.Busy...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}

	slices.SortFunc(rows, func(a, b dueRow) int { return strings.Compare(a.id, b.id) }) // a fixed order in every process
	var list []payment.Payment
	var broken error
	err = s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		list, broken = list[:0], nil
		for _, r := range rows {
			now := k.Now.Add(s.Ahead(r.account, r.mode))
			p, err := scanPayment(
				t.Row("UPDATE payments SET due_at = $1, misses = misses + 1 WHERE id = $2 AND due_at = $3 RETURNING "+paymentColumns,
					sqldb.Micros(now.Add(payment.Backoff(r.misses))), r.id, r.at),
			)
			switch {
			case errors.Is(err, sql.ErrNoRows): // another process was faster
			case fault.Code(err) == "payment_damaged":
				broken = errors.Join(broken, err)
			case err != nil:
				return err
			default:
				p.Ahead = s.Ahead(p.Account, p.Mode)
				list = append(list, p)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}

	slices.SortStableFunc(list, func(a, b payment.Payment) int { return a.DueAt().Compare(b.DueAt()) })
	return list, broken
}

// payments returns the readable payments of a query, with an error that names the others.
func (s *Store) payments(ctx context.Context, query string, args ...any) ([]payment.Payment, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []payment.Payment
	var broken error
	for rows.Next() {
		p, err := scanPayment(rows)
		if err != nil {
			broken = errors.Join(broken, err)
			continue
		}
		p.Ahead = s.Ahead(p.Account, p.Mode)
		list = append(list, p)
	}

	return list, errors.Join(broken, rows.Err())
}

// CommitPayment implements payment.Store. The payment, the use of its link, the events and the
// record are one commit, serialized with the account's others. A change that is already stored (by
// its id) succeeds and writes nothing. If this commit completes the link's last use, the events of
// WhenLinkPaid are added.
func (s *Store) CommitPayment(ctx context.Context, c payment.Change) error {
	doc, sum, err := sqldb.Encode(c.Payment)
	if err != nil {
		return err
	}
	events, err := feed.Encode(c.Events)
	if err != nil {
		return err
	}
	paid, err := feed.Encode(c.WhenLinkPaid)
	if err != nil {
		return err
	}

	return s.write(ctx, []string{c.Payment.Account}, func(t *sqldb.Tx) error {
		if c.Use != payment.UseNone {
			s.links.forgetAfter(t, c.Payment.Link)
		}
		stored, err := putPayment(t, c, doc, sum)
		if err != nil || !stored {
			return err
		}
		full, err := useLink(t, c)
		if err != nil {
			return err
		}

		all := events
		if full {
			all = slices.Concat(events, paid)
		}

		if err := s.Append(t, all); err != nil {
			return err
		}
		return putRecord(t, c.Record)
	})
}

// putPayment writes the row if its revision matches. stored is false if this same change is already
// stored. It returns payment.ErrConflict if another change was first, or if the payment to be
// updated does not exist. The write clears misses, because the payment has made progress.
func putPayment(t *sqldb.Tx, c payment.Change, doc string, sum int64) (stored bool, err error) {
	p := c.Payment
	var n int64
	if c.Expected == 0 {
		n, err = insertPayment(t, p, doc, sum)
	} else {
		n, err = t.Exec("UPDATE payments SET status = $1, due_at = $2, revision = $3, doc = $4, doc_sum = $5, lane = $6, misses = 0 WHERE id = $7 AND account = $8 AND revision = $9",
			string(p.Status.Public()), dueMicros(p), p.Revision, doc, sum, laneOf(p.Issuer, p.Account), p.ID, p.Account, c.Expected)
	}
	if err != nil || n == 1 {
		return err == nil, err
	}
	// Nothing was written. Read the row to distinguish a repetition from a conflict.
	now, err := scanPayment(t.Row("SELECT "+paymentColumns+" FROM payments WHERE id = $1", p.ID))
	if errors.Is(err, sql.ErrNoRows) {
		return false, payment.ErrConflict
	}
	if err != nil {
		return false, err
	}
	if now.HasChange(c.ID) {
		return false, nil
	}
	return false, payment.ErrConflict
}

// insertPayment inserts a payment and returns 1, or 0 if its id exists.
func insertPayment(t *sqldb.Tx, p payment.Payment, doc string, sum int64) (int64, error) {
	return t.Exec(
		`INSERT INTO payments (id, account, mode, link, status, currency, realm, created_at, due_at, revision, doc, doc_sum, lane)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (id) DO NOTHING`,
		p.ID,
		p.Account,
		p.Mode,
		p.Link,
		string(p.Status.Public()),
		string(p.Amount.Currency),
		p.Realm,
		sqldb.Micros(p.CreatedAt),
		dueMicros(p),
		p.Revision,
		doc,
		sum,
		laneOf(p.Issuer, p.Account),
	)
}

// dueMicros returns the due time, or nil if the sweep has nothing to do.
func dueMicros(p payment.Payment) any {
	if at := p.DueAt(); !at.IsZero() {
		return sqldb.Micros(at)
	}
	return nil
}

// useLink reserves, completes or releases a use of the link, and reports whether its last use was
// completed. Each is one conditional write, so concurrent payments never use a link more often than
// it allows. If the condition does not hold, the error is the fault that names the link's status.
func useLink(t *sqldb.Tx, c payment.Change) (full bool, err error) {
	p, at := c.Payment, sqldb.Micros(c.At)
	var n int64
	switch c.Use {
	case payment.UseNone:
		return false, nil
	case payment.UseRelease:
		n, err = t.Exec(releaseUse, p.Link, p.Account)
	case payment.UseReserve:
		n, err = t.Exec(`UPDATE links SET reserved = reserved + 1, last_payment = $1 WHERE id = $2 AND account = $3
			AND canceled_at = 0 AND expired_at = 0 AND expires_at > $4 AND (max_uses = 0 OR uses + reserved < max_uses)`, p.ID, p.Link, p.Account, at)
	case payment.UseComplete, payment.UseRetake:
		var uses, limit int64
		query := completeUse
		if c.Use == payment.UseRetake {
			query = retakeUse
		}
		err = t.Row(query, p.ID, p.Link, p.Account, at).Scan(&uses, &limit)
		if err == nil {
			return limit > 0 && uses >= limit, nil
		}
	}

	if err == nil && n == 1 {
		return false, nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	// The condition did not hold: the link says why.
	l, err := scanLink(t.Row("SELECT "+linkColumns+" FROM links WHERE id = $1 AND account = $2", p.Link, p.Account))
	if err != nil {
		return false, err
	}
	if err := l.Unpayable(c.At); err != nil {
		return false, err
	}
	return false, fmt.Errorf("link %s has no reserved use for payment %s", p.Link, p.ID)
}

// The writes of useLink. All of them keep uses + reserved within max_uses; 0 is without a limit.
const (
	markPaid = `last_payment = $1, uses = uses + 1,
		paid_at = CASE WHEN max_uses > 0 AND uses + 1 >= max_uses THEN CAST($4 AS BIGINT) ELSE paid_at END,
		open = CASE WHEN max_uses > 0 AND uses + 1 >= max_uses THEN 0 WHEN open = 2 AND reserved <= 1 THEN 1 ELSE open END`
	// Releasing the last reserved use makes a held link visible to the sweep again (linkHeld).
	releaseUse  = "UPDATE links SET reserved = reserved - 1, open = CASE WHEN open = 2 AND reserved <= 1 THEN 1 ELSE open END WHERE id = $1 AND account = $2 AND reserved > 0"
	completeUse = "UPDATE links SET reserved = reserved - 1, " + markPaid + " WHERE id = $2 AND account = $3 AND reserved > 0 RETURNING uses, max_uses"
	retakeUse   = "UPDATE links SET " + markPaid + " WHERE id = $2 AND account = $3 AND (max_uses = 0 OR uses + reserved < max_uses) RETURNING uses, max_uses"
)

var _ link.Store = (*Store)(nil)
