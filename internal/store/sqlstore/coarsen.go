package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/progress"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// The checkpoints of Coarsen: how far it has come, and whether it was ever at the end.
const (
	coarsened     = "fingerprints"
	coarsenedOnce = "fingerprints: done"
)

// coarsenEvents is how many events one commit of Coarsen reads.
const coarsenEvents = 500

// Coarse is what Coarsen rewrote. Unknown is the number of list entries for a card that no payment
// shows: they match nothing, and stay.
type Coarse struct{ Events, Payments, Entries, Unknown int64 }

// WasCoarsened reports whether MarkCoarsened was ever called.
func (s *Store) WasCoarsened(ctx context.Context) (bool, error) {
	at, err := s.Checkpoint(ctx, coarsenedOnce)
	return at > 0, err
}

// MarkCoarsened records that Coarsen, and that of the table of payments, were at their end.
func (s *Store) MarkCoarsened(ctx context.Context) error {
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		_, err := t.Exec("INSERT INTO checkpoints (consumer, position) VALUES ($1, 1) ON CONFLICT (consumer) DO NOTHING", coarsenedOnce)
		return err
	})
}

// Coarsen replaces the fingerprints of cards that an earlier version stored in events, in the
// payments that they report, in list entries of their accounts and, on PostgreSQL, in the analytics
// store. It continues where the last call stopped, up to the end of the feed: each batch of events
// is one commit with the checkpoint, so it can be interrupted, and run beside servers. What servers
// of the earlier version write behind it is read as coarse, and rewritten by the next call.
func (s *Store) Coarsen(ctx context.Context, to progress.To) (done Coarse, err error) {
	total, err := s.Lag(ctx, coarsened)
	if err != nil {
		return done, err
	}
	meter := to.Start("make the fingerprints of cards coarse", "events", total)
	defer meter.End()

	for {
		n, err := s.coarsenBatch(ctx, &done)
		if errors.Is(err, feed.ErrMoved) { // another process does the same
			continue
		}
		if err != nil {
			return done, err
		}
		if n == 0 {
			break
		}
		meter.Add(int64(n))
	}

	if s.db.Shared() {
		if err := s.db.Write(ctx, nil, func(t *sqldb.Tx) error { _, err := t.Exec(coarsenAnalytics); return err }); err != nil {
			return done, err
		}
	}
	return done, s.db.QueryRow(ctx, "SELECT COUNT(*) FROM fraud_list_entries WHERE kind = 'card' AND LENGTH(value) = 32").Scan(&done.Unknown)
}

// coarsenAnalytics rewrites the rows of the analytics store. SQLite keeps that in a file of its own,
// with a migration that does the same.
const coarsenAnalytics = `UPDATE analytics_payments SET fingerprint = 'card_' || bin || '_' || card_last4,
	risk = REPLACE(risk, '"' || fingerprint || '"', '"card_' || bin || '_' || card_last4 || '"') WHERE LENGTH(fingerprint) = 32`

// oldCard is a card of an account as an earlier version named it, and its coarse fingerprint.
type oldCard struct{ account, mode, payment, old, now string }

// coarsenBatch rewrites the next events, what they concern, and the checkpoint. It returns the
// number of events that it read: 0 at the end of the feed.
func (s *Store) coarsenBatch(ctx context.Context, done *Coarse) (int, error) {
	from, err := s.Checkpoint(ctx, coarsened)
	if err != nil {
		return 0, err
	}
	events, err := s.Stored(ctx, from, coarsenEvents)
	if err != nil || len(events) == 0 {
		return 0, err
	}

	var cards []oldCard
	var accounts []string
	changed := map[int64]string{}
	for _, e := range events {
		data, old, now := payment.CoarsenEvent([]byte(e.Data))
		if old == "" {
			continue
		}
		changed[e.Position] = string(data)
		cards = append(cards, oldCard{e.Account, e.Mode, e.Object, old, now})
		accounts = append(accounts, e.Account)
	}
	slices.SortFunc(cards, func(a, b oldCard) int { return strings.Compare(a.payment, b.payment) })
	cards = slices.Compact(cards)
	slices.Sort(accounts)

	var batch Coarse
	err = s.db.Write(ctx, slices.Compact(accounts), func(t *sqldb.Tx) error {
		batch = Coarse{Events: int64(len(changed))}
		for position, data := range changed {
			if _, err := t.Exec("UPDATE events SET data = $1 WHERE position = $2", data, position); err != nil {
				return err
			}
		}
		for _, c := range cards {
			if err := coarsenPayment(t, c, &batch); err != nil {
				return err
			}
			if err := coarsenEntry(t, c, &batch); err != nil {
				return err
			}
		}
		return feed.SaveCheckpoint(t, coarsened, from, events[len(events)-1].Position)
	})
	if err == nil {
		done.Events, done.Payments, done.Entries = done.Events+batch.Events, done.Payments+batch.Payments, done.Entries+batch.Entries
	}
	return len(events), err
}

// coarsenPayment rewrites a payment's document. Its revision stays: a change that is on its way
// replaces the document, and was made from the coarse one. A damaged document stays as it is. The
// payment of an installation with a table is not here.
func coarsenPayment(t *sqldb.Tx, c oldCard, done *Coarse) error {
	var id, doc string
	var revision, sum int64
	err := t.Row("SELECT "+paymentColumns+" FROM payments WHERE id = $1", c.payment).Scan(&id, &revision, &doc, &sum)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !strings.Contains(doc, `"`+c.old+`"`) {
		return nil
	}
	if err != nil {
		return err
	}
	var p payment.Payment
	if sqldb.Decode("payment", id, doc, sum, &p) != nil {
		return nil
	}
	payment.Coarsen(&p)
	if doc, sum, err = sqldb.Encode(p); err != nil {
		return err
	}
	n, err := t.Exec("UPDATE payments SET doc = $1, doc_sum = $2 WHERE id = $3 AND revision = $4", doc, sum, id, revision)
	done.Payments += n
	return err
}

// coarsenEntry rewrites the account's list entry of a card. If another entry has the coarse
// fingerprint already, this one stays, and matches nothing.
func coarsenEntry(t *sqldb.Tx, c oldCard, done *Coarse) error {
	const find = "SELECT id, doc, doc_sum FROM fraud_list_entries WHERE account = $1 AND mode = $2 AND kind = 'card' AND value = $3"
	var id, doc string
	var sum int64
	err := t.Row(find, c.account, c.mode, c.now).Scan(&id, &doc, &sum)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	err = t.Row(find, c.account, c.mode, c.old).Scan(&id, &doc, &sum)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var e rulebook.Entry
	if sqldb.Decode("list_entry", id, doc, sum, &e) != nil {
		return nil
	}
	e.Value = c.now
	if doc, sum, err = sqldb.Encode(e); err != nil {
		return err
	}
	n, err := t.Exec("UPDATE fraud_list_entries SET value = $1, doc = $2, doc_sum = $3 WHERE id = $4", e.Value, doc, sum, id)
	if err != nil {
		return err
	}
	done.Entries += n
	return touchBook(t, c.account, c.mode)
}
