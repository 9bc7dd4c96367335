package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// Limits of a rebuild.
const (
	buildObjects = 500              // payments or links in a commit
	builderGone  = 20 * time.Second // a builder not seen for this long is considered dead
	builderLook  = time.Second
	buildMaxRest = 2 * time.Second // after a commit
)

// Payments walks the store of links and payments. A damaged object is passed as its error. The walk
// need not be a snapshot.
type Payments interface {
	EachLink(context.Context, func(link.Link, error) error) error
	EachPayment(context.Context, func(payment.Payment, error) error) error
}

// Build is the progress of a rebuild. Whole is set in its last report.
type Build struct {
	Walked int64 // links and payments
	Whole  bool
}

// analyticsState is the single row of state: the place in the feed, and who rebuilds the store.
// generation rises with each rebuild, so a build that was superseded recognizes it. beat is the
// builder's last sign of life.
type analyticsState struct {
	feed.Place
	generation, walked int64
	whole              bool
	builder            string
	beat               time.Time
}

// state reads the row of state.
func (a *Analytics) state(ctx context.Context) (s analyticsState, err error) {
	var beat int64
	err = a.own.QueryRow(ctx, "SELECT generation, whole, position, event, builder, beat, walked FROM analytics_state WHERE one = 1").
		Scan(&s.generation, &s.whole, &s.Position, &s.Event, &s.builder, &beat, &s.walked)
	s.beat = fromMillis(beat)
	return s, err
}

// still returns feed.ErrMoved if another process has changed the state since its follower read it,
// such as by a rebuild. The follower checks it in pauses without events, when no commit would
// notice.
func (a *Analytics) still(ctx context.Context, at feed.Place) error {
	s, err := a.state(ctx)
	if err == nil && (!s.whole || s.Place != at) {
		err = fmt.Errorf("the checkpoint of %s: %w", history.Consumer, feed.ErrMoved)
	}
	return err
}

// void marks the store as incomplete, so that it is rebuilt, and returns feed.ErrMoved so that the
// follower starts again.
func (a *Analytics) void(ctx context.Context) error {
	a.log.WarnContext(ctx, "the feed no longer has the analytics store's position; the store is rebuilt from the payments")
	err := a.write(ctx, func(t *sqldb.Tx) error {
		_, err := t.Exec("UPDATE analytics_state SET whole = 0, generation = generation + 1, builder = '', beat = 0 WHERE one = 1")
		return err
	})
	if err == nil {
		err = feed.ErrMoved
	}
	return err
}

// start returns the place from which to follow the feed. A store that is incomplete, or whose place
// the feed no longer contains, is rebuilt first, by the process that is already rebuilding it if
// there is one. A builder whose last sign of life is older than builderGone has crashed, and this
// process takes over.
func (a *Analytics) start(ctx context.Context, in sqldb.Reader) (feed.Place, error) {
	for {
		s, err := a.state(ctx)
		if err != nil {
			return feed.Place{}, err
		}

		if s.whole && s.Position > 0 {
			here, err := a.feed.Has(ctx, in, s.Place)
			if err != nil || here {
				return s.Place, err
			}
			a.log.WarnContext(
				ctx,
				"the feed no longer has the analytics store's position; the store is rebuilt from the payments",
				"position",
				s.Position,
			)
		}

		if !s.whole && s.builder != "" && s.builder != a.builder && time.Since(s.beat) < builderGone {
			if pause(ctx, builderLook); ctx.Err() != nil {
				return feed.Place{}, ctx.Err()
			}
			continue
		}

		return a.build(ctx, in, func(Build) {})
	}
}

// Rebuild rebuilds the store from the links and payments, also while servers run. The process that
// follows the feed waits, and continues from where the feed was when the rebuild began. The
// shield's counts stay. It returns feed.ErrMoved if another rebuild began meanwhile.
func (a *Analytics) Rebuild(ctx context.Context, progress func(Build)) error {
	_, err := a.build(ctx, a.feed.Reader(), progress)
	return err
}

// build empties the store, fills it with every link and payment in their present state, and sets
// the checkpoint to where the feed ended before. Events from the meantime come again and are
// older than the rows. A crash leaves an incomplete store, which the next process rebuilds; a
// build that another process begins later ends this one.
func (a *Analytics) build(ctx context.Context, in sqldb.Reader, progress func(Build)) (feed.Place, error) {
	// The place comes first: whatever changes later is in the feed after it.
	at, err := a.feed.Last(ctx, in, feed.Place{})
	if err != nil {
		return at, err
	}

	done := context.WithoutCancel(ctx) // a commit that was sent is waited for, so that its outcome is known
	generation, err := a.empty(done)
	if err != nil {
		return at, err
	}

	b := &building{a: a, generation: generation, progress: progress, facts: map[string]fact{}, owner: map[string]ownerKey{}, began: time.Now()}
	err = a.payments.EachLink(ctx, func(l link.Link, damage error) error {
		if damage != nil {
			a.log.ErrorContext(ctx, "a link was left out of the analytics store", "error", damage)
			return nil
		}
		return b.link(ctx, history.LinkOf(l))
	})
	if err == nil {
		err = a.payments.EachPayment(ctx, func(p payment.Payment, damage error) error {
			if damage != nil {
				a.log.ErrorContext(ctx, "a payment was left out of the analytics store", "error", damage)
				return nil
			}
			return b.payment(ctx, p)
		})
	}

	if err == nil {
		err = b.flush(ctx)
	}
	if err == nil {
		err = a.finish(done, generation, at)
	}
	// Leave the store to the next process at once, without waiting until this one seems dead.
	if err != nil {
		return at, errors.Join(err, a.giveUp(done, generation))
	}
	progress(Build{Walked: b.walked, Whole: true})
	return at, nil
}

// empty deletes everything but the shield's counts, and records which process rebuilds. It returns
// the generation of the new build, which ends every earlier one.
func (a *Analytics) empty(ctx context.Context) (generation int64, err error) {
	return sqldb.WriteFor(ctx, a.own, []string{a.folder}, func(t *sqldb.Tx) (generation int64, err error) {
		for _, table := range []string{"payments", "links", "refunds", "disputes", "days", "scores", "rules"} {
			if _, err := t.Exec("DELETE FROM analytics_" + table); err != nil {
				return 0, err
			}
		}
		err = t.Row(
			"UPDATE analytics_state SET generation = generation + 1, whole = 0, position = 0, event = '', builder = $1, beat = $2, walked = 0 WHERE one = 1 RETURNING generation",
			a.builder,
			millis(time.Now()),
		).Scan(
			&generation,
		)
		return generation, err
	})
}

// finish records that the store is whole and at which place of the feed it continues. It returns
// feed.ErrMoved if another build has begun.
func (a *Analytics) finish(ctx context.Context, generation int64, at feed.Place) error {
	return a.write(ctx, func(t *sqldb.Tx) error {
		n, err := t.Exec(
			"UPDATE analytics_state SET whole = 1, position = $1, event = $2, builder = '' WHERE one = 1 AND whole = 0 AND generation = $3",
			at.Position,
			at.Event,
			generation,
		)
		if err == nil && n == 0 {
			err = feed.ErrMoved
		}
		return err
	})
}

// giveUp records that no process is rebuilding. The store stays incomplete.
func (a *Analytics) giveUp(ctx context.Context, generation int64) error {
	return a.write(ctx, func(t *sqldb.Tx) error {
		_, err := t.Exec("UPDATE analytics_state SET builder = '' WHERE one = 1 AND generation = $1", generation)
		return err
	})
}

// building is a rebuild in progress: what was gathered since the last commit.
type building struct {
	a          *Analytics
	generation int64
	progress   func(Build)
	order      []string
	facts      map[string]fact
	links      []history.Link
	owner      map[string]ownerKey
	walked     int64
	began      time.Time // start of the current commit
}

// link gathers a link.
func (b *building) link(ctx context.Context, l history.Link) error {
	b.links, b.owner[l.ID] = append(b.links, l), ownerKey{l.Account, l.Mode}
	return b.full(ctx)
}

// payment gathers a payment with its refunds. A payment without a row, because its events are not
// followed, is left out.
func (b *building) payment(ctx context.Context, p payment.Payment) error {
	row := history.RowOf(p)
	if row.Seq == 0 {
		return nil
	}
	b.order, b.facts[p.ID], b.owner[p.ID] = append(b.order, p.ID), whole{row, history.RefundsOf(p)}, ownerKey{p.Account, p.Mode}
	return b.full(ctx)
}

// full flushes if a commit's worth was gathered.
func (b *building) full(ctx context.Context) error {
	if len(b.order)+len(b.links) < buildObjects {
		return nil
	}
	return b.flush(ctx)
}

// flush writes what was gathered, and rests for as long as that took (at most buildMaxRest),
// because payments take precedence. Each commit is also a sign of life. It returns feed.ErrMoved if
// another build has begun, and the error of ctx if it has ended.
func (b *building) flush(ctx context.Context) error {
	owners, err := b.a.ensureOwners(ctx, b.owner)
	if err != nil {
		return err
	}

	b.walked += int64(len(b.order) + len(b.links))
	err = b.a.write(context.WithoutCancel(ctx), func(t *sqldb.Tx) error {
		n, err := t.Exec(
			"UPDATE analytics_state SET beat = $1, walked = $2 WHERE one = 1 AND whole = 0 AND generation = $3",
			millis(time.Now()),
			b.walked,
			b.generation,
		)
		if err == nil && n == 0 {
			err = fmt.Errorf("the analytics store: %w", feed.ErrMoved)
		}
		if err != nil {
			return err
		}
		f := &folding{a: b.a, t: t, owners: owners, sums: newDaySums()}
		return f.write(b.order, b.facts, b.links)
	})
	if err != nil {
		return err
	}

	b.order, b.links, b.facts, b.owner = b.order[:0], b.links[:0], map[string]fact{}, map[string]ownerKey{}
	b.progress(Build{Walked: b.walked})
	pause(ctx, min(time.Since(b.began), buildMaxRest))
	b.began = time.Now()
	return ctx.Err()
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
