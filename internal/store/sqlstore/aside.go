package sqlstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// hand gives events to a consumer. One that cannot be read, or that the consumer can
// never work on, is set aside and passed over: it must not keep the others waiting.
func (s *Store) hand(ctx context.Context, f follower, events []stream.Event) error {
	var aside []stream.Aside
	pass := func(e stream.Event, why error) {
		s.log.ErrorContext(ctx, "an event cannot be read and is passed over", "consumer", f.consumer, "event", e.ID, "position", e.Position, "error", why)
		aside = append(aside, stream.Aside{Consumer: f.consumer, Item: e.ID, Account: e.Account, Position: e.Position, Reason: why.Error(), At: time.Now()})
	}
	sound := slices.DeleteFunc(slices.Clone(events), func(e stream.Event) bool {
		if e.Damaged != nil {
			pass(e, e.Damaged)
		}
		return e.Damaged != nil
	})
	for len(sound) > 0 {
		err := f.handle(ctx, sound)
		if err == nil {
			break
		}
		var bad *stream.Unreadable
		if !errors.As(err, &bad) {
			return err
		}
		at := slices.IndexFunc(sound, func(e stream.Event) bool { return e.ID == bad.Event })
		if at < 0 {
			return err
		}
		pass(sound[at], bad.Cause)
		sound = slices.Delete(sound, at, at+1)
	}
	if len(aside) == 0 {
		return nil
	}
	return s.write(context.WithoutCancel(ctx), nil, func(t *tx) error { return putAside(t, aside) })
}

// putAside notes what was passed over. What is noted already stays.
func putAside(t *tx, list []stream.Aside) error {
	for _, a := range list {
		if _, err := t.exec(`INSERT INTO set_aside (consumer, item, account, position, reason, at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (consumer, item) DO NOTHING`, a.Consumer, a.Item, a.Account, a.Position, a.Reason, micros(a.At)); err != nil {
			return err
		}
	}
	return nil
}

// Asides are what consumers and the relay passed over, oldest first.
func (s *Store) Asides(ctx context.Context, limit int) (list []stream.Aside, err error) {
	rows, err := s.query(ctx, s.read, "SELECT consumer, item, account, position, reason, at FROM set_aside ORDER BY at, consumer, item LIMIT $1", limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var a stream.Aside
		var at int64
		if err := rows.Scan(&a.Consumer, &a.Item, &a.Account, &a.Position, &a.Reason, &at); err != nil {
			return nil, err
		}
		a.At = fromMicros(at)
		list = append(list, a)
	}
	return list, rows.Err()
}

// asides count what waits aside, each by an index of its own.
var asides = map[string]string{
	"payments": "SELECT COUNT(*) FROM payments WHERE misses >= 5",
	"links":    "SELECT COUNT(*) FROM links WHERE open = 3",
	"events":   "SELECT COUNT(*) FROM set_aside",
}

// CountAside counts the payments, links or events that are set aside; for metrics.
func (s *Store) CountAside(ctx context.Context, kind string) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, asides[kind]).Scan(&n)
	return n, s.dialect.explain(err)
}

// RetryAside makes every payment and link that is set aside due at once.
func (s *Store) RetryAside(ctx context.Context, now time.Time) (n int64, err error) {
	err = s.write(ctx, nil, func(t *tx) error {
		n = 0
		for _, query := range []string{
			"UPDATE payments SET misses = 0, due_at = $1 WHERE misses >= 5 AND due_at IS NOT NULL",
			"UPDATE links SET misses = 0, again_at = $1 WHERE open = 3",
		} {
			changed, err := t.exec(query, micros(now))
			if err != nil {
				return err
			}
			n += changed
		}
		return nil
	})
	return n, err
}

// ForgetAside forgets the events that were passed over, once somebody has dealt with them.
func (s *Store) ForgetAside(ctx context.Context) (n int64, err error) {
	err = s.write(ctx, nil, func(t *tx) error {
		n, err = t.exec("DELETE FROM set_aside")
		return err
	})
	return n, err
}

// EachAside names the payments and links that are set aside, and how often each was
// looked at in vain.
func (s *Store) EachAside(ctx context.Context, visit func(id, account string, misses int64, next time.Time) error) error {
	for _, query := range []string{
		"SELECT id, account, mode, account, COALESCE(due_at, 0), misses FROM payments WHERE misses >= 5 ORDER BY id",
		"SELECT id, account, mode, account, again_at, misses FROM links WHERE open = 3 ORDER BY again_at",
	} {
		rows, err := s.readDue(ctx, query)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := visit(r.id, r.account, r.misses, fromMicros(r.at)); err != nil {
				return err
			}
		}
	}
	return nil
}

// OldestDue is the time of the payment that has waited longest for the sweep, by real
// time; zero: none waits. For metrics.
func (s *Store) OldestDue(ctx context.Context) (time.Time, error) {
	var at int64
	err := s.read.QueryRowContext(ctx, "SELECT COALESCE(MIN(due_at), 0) FROM payments WHERE due_at IS NOT NULL").Scan(&at)
	return fromMicros(at), s.dialect.explain(err)
}

// OldestUnhandled is when the oldest event was made that the consumer has not handled;
// zero: it has handled all. For metrics.
func (s *Store) OldestUnhandled(ctx context.Context, consumer string) (time.Time, error) {
	position, err := s.checkpoint(ctx, s.read, consumer)
	if err != nil {
		return time.Time{}, err
	}
	var at int64
	err = s.read.QueryRowContext(ctx, "SELECT COALESCE(MIN(created_at), 0) FROM (SELECT created_at FROM events WHERE position > $1 ORDER BY position LIMIT 1) AS next",
		position).Scan(&at)
	return fromMicros(at), s.dialect.explain(err)
}

// The number in the statements and in the index of migration 22.
var _ = [1]struct{}{}[payment.AsideAfter-5]
