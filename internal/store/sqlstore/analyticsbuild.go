package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// Bounds of making the store anew.
const (
	buildObjects = 500              // payments or links in a commit
	buildPage    = 500              // read at once of a store in SQL
	builderGone  = 20 * time.Second // a builder that was not seen for so long is given up
	builderLook  = time.Second
)

// Payments is the store of links and payments, walked through. An object that is
// damaged is given by its error.
type Payments interface {
	EachLink(context.Context, func(link.Link, error) error) error
	EachPayment(context.Context, func(payment.Payment, error) error) error
}

// Build is how far the making anew is.
type Build struct {
	Walked int64 // links and payments
	Whole  bool
}

// analyticsState is the one row.
type analyticsState struct {
	place
	generation, walked int64
	whole              bool
	builder            string
	beat               time.Time
}

func (a *Analytics) state(ctx context.Context) (s analyticsState, err error) {
	var beat int64
	err = a.own.read.QueryRowContext(ctx, "SELECT generation, whole, position, event, builder, beat, walked FROM analytics_state WHERE one = 1").
		Scan(&s.generation, &s.whole, &s.position, &s.event, &s.builder, &beat, &s.walked)
	s.beat = fromMillis(beat)
	return s, a.own.dialect.explain(err)
}

// still reports, by errMoved, that the store is not as its follower left it.
func (a *Analytics) still(ctx context.Context, at place) error {
	s, err := a.state(ctx)
	if err == nil && (!s.whole || s.place != at) {
		err = fmt.Errorf("the checkpoint of %s: %w", history.Consumer, errMoved)
	}
	return err
}

// stands reports whether the feed still has the event at a place: then it has all that
// came after it. A feed that never had an event stands at nought.
func (a *Analytics) stands(ctx context.Context, feed reader, at place) (bool, error) {
	if at.position == 0 {
		return true, nil
	}
	var event string
	err := feed.QueryRowContext(ctx, "SELECT id FROM events WHERE position = $1", at.position).Scan(&event)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return event == at.event, a.feed.dialect.explain(err)
}

// void says that the store is not whole, so that it is made anew.
func (a *Analytics) void(ctx context.Context) error {
	a.log.WarnContext(ctx, "the feed does not have the analytics store's place any more; the store is made anew from the payments")
	err := a.own.write(ctx, []string{analyticsLock}, func(t *tx) error {
		_, err := t.exec("UPDATE analytics_state SET whole = 0, generation = generation + 1, builder = '', beat = 0 WHERE one = 1")
		return err
	})
	if err == nil {
		err = errMoved
	}
	return err
}

// start is where the feed is followed from. A store that is not whole, or whose place
// the feed does not have any more, is made anew before, by whoever is at it already.
func (a *Analytics) start(ctx context.Context, feed reader) (place, error) {
	for {
		s, err := a.state(ctx)
		if err != nil {
			return place{}, err
		}
		if s.whole && s.position > 0 {
			here, err := a.stands(ctx, feed, s.place)
			if err != nil || here {
				return s.place, err
			}
			a.log.WarnContext(ctx, "the feed does not have the analytics store's place any more; the store is made anew from the payments", "position", s.position)
		}
		if !s.whole && s.builder != "" && s.builder != a.builder && time.Since(s.beat) < builderGone {
			if pause(ctx, builderLook); ctx.Err() != nil {
				return place{}, ctx.Err()
			}
			continue
		}
		return a.build(ctx, feed, func(Build) {})
	}
}

// Rebuild makes the store anew from the links and payments, also while servers run:
// whoever follows the feed waits, and goes on from where the feed was when it began.
// What the shield counted stays.
func (a *Analytics) Rebuild(ctx context.Context, progress func(Build)) error {
	_, err := a.build(ctx, a.feed.read, progress)
	return err
}

// build empties the store, fills it with every link and payment as they are, and puts
// the checkpoint where the feed ended before: what happened meanwhile comes again, and
// is older than the rows. A crash leaves a store that is not whole, which the next
// process makes anew; a build that another one began after it ends this one.
func (a *Analytics) build(ctx context.Context, feed reader, progress func(Build)) (place, error) {
	at, err := a.end(ctx, feed, place{})
	if err != nil {
		return at, err
	}
	done := context.WithoutCancel(ctx) // a commit that is asked for is waited for, so that its end is known
	generation, err := a.empty(done)
	if err != nil {
		return at, err
	}
	b := &building{a: a, generation: generation, progress: progress, facts: map[string]fact{}, owner: map[string]ownerKey{}, began: time.Now()}
	err = a.payments.EachLink(ctx, func(l link.Link, damage error) error {
		if damage != nil {
			a.log.ErrorContext(ctx, "a link is left out of the analytics store", "error", damage)
			return nil
		}
		return b.link(ctx, history.LinkOf(l))
	})
	if err == nil {
		err = a.payments.EachPayment(ctx, func(p payment.Payment, damage error) error {
			if damage != nil {
				a.log.ErrorContext(ctx, "a payment is left out of the analytics store", "error", damage)
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
	if err != nil {
		return at, errors.Join(err, a.giveUp(done, generation))
	}
	progress(Build{Walked: b.walked, Whole: true})
	return at, nil
}

// empty forgets everything but what the shield counted, and says who begins anew.
func (a *Analytics) empty(ctx context.Context) (generation int64, err error) {
	return writeFor(ctx, a.own, []string{analyticsLock}, func(t *tx) (generation int64, err error) {
		for _, table := range []string{"payments", "links", "refunds", "disputes", "days", "scores", "rules"} {
			if _, err := t.exec("DELETE FROM analytics_" + table); err != nil {
				return 0, err
			}
		}
		err = t.row("UPDATE analytics_state SET generation = generation + 1, whole = 0, position = 0, event = '', builder = $1, beat = $2, walked = 0 WHERE one = 1 RETURNING generation",
			a.builder, millis(time.Now())).Scan(&generation)
		return generation, err
	})
}

func (a *Analytics) finish(ctx context.Context, generation int64, at place) error {
	return a.own.write(ctx, []string{analyticsLock}, func(t *tx) error {
		n, err := t.exec("UPDATE analytics_state SET whole = 1, position = $1, event = $2, builder = '' WHERE one = 1 AND whole = 0 AND generation = $3", at.position, at.event, generation)
		if err == nil && n == 0 {
			err = errMoved
		}
		return err
	})
}

// giveUp tells the others that nobody is at it.
func (a *Analytics) giveUp(ctx context.Context, generation int64) error {
	return a.own.write(ctx, []string{analyticsLock}, func(t *tx) error {
		_, err := t.exec("UPDATE analytics_state SET builder = '' WHERE one = 1 AND generation = $1", generation)
		return err
	})
}

// building is a store that is being made anew.
type building struct {
	a          *Analytics
	generation int64
	progress   func(Build)
	order      []string
	facts      map[string]fact
	links      []history.Link
	owner      map[string]ownerKey
	walked     int64
	began      time.Time // of the commit at hand
}

func (b *building) link(ctx context.Context, l history.Link) error {
	b.links, b.owner[l.ID] = append(b.links, l), ownerKey{l.Account, l.Mode}
	return b.full(ctx)
}

func (b *building) payment(ctx context.Context, p payment.Payment) error {
	row := history.RowOf(p)
	if row.Seq == 0 {
		return nil
	}
	b.order, b.facts[p.ID], b.owner[p.ID] = append(b.order, p.ID), whole{row, history.RefundsOf(p)}, ownerKey{p.Account, p.Mode}
	return b.full(ctx)
}

func (b *building) full(ctx context.Context) error {
	if len(b.order)+len(b.links) < buildObjects {
		return nil
	}
	return b.flush(ctx)
}

// flush writes what was gathered, and rests as long as that took: payments go first.
func (b *building) flush(ctx context.Context) error {
	owners, err := b.a.ownersOf(ctx, b.owner)
	if err != nil {
		return err
	}
	b.walked += int64(len(b.order) + len(b.links))
	err = b.a.own.write(context.WithoutCancel(ctx), []string{analyticsLock}, func(t *tx) error {
		n, err := t.exec("UPDATE analytics_state SET beat = $1, walked = $2 WHERE one = 1 AND whole = 0 AND generation = $3", millis(time.Now()), b.walked, b.generation)
		if err == nil && n == 0 {
			err = fmt.Errorf("the analytics store: %w", errMoved)
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
	pause(ctx, min(time.Since(b.began), analyticsMaxRest))
	b.began = time.Now()
	return ctx.Err()
}

// pages walks a store in SQL a page at a time, so that no reader holds back its log.
// What is made behind the walk is told by the feed.
type pages struct{ s *Store }

// EachLink implements Payments.
func (p pages) EachLink(ctx context.Context, visit func(link.Link, error) error) error {
	return eachPage(ctx, p.s, "SELECT id, "+linkColumns+" FROM links", scanLink, visit)
}

// EachPayment implements Payments.
func (p pages) EachPayment(ctx context.Context, visit func(payment.Payment, error) error) error {
	return eachPage(ctx, p.s, "SELECT id, "+paymentColumns+" FROM payments", scanPayment, visit)
}

func eachPage[T any](ctx context.Context, s *Store, query string, scan func(rowScanner) (T, error), visit func(T, error) error) error {
	for last, n := "", buildPage; n == buildPage; {
		type found struct {
			one    T
			damage error
		}
		var page []found
		err := eachReport(ctx, s, query+" WHERE id > $1 ORDER BY id LIMIT "+strconv.Itoa(buildPage), func(rows rowScanner) error {
			one, err := scan(identified{rows, &last})
			var f *fault.Error
			if err != nil && !errors.As(err, &f) {
				return err
			}
			page = append(page, found{one, err})
			return nil
		}, last)
		if err != nil {
			return err
		}
		for _, f := range page { // not while it is read
			if err := visit(f.one, f.damage); err != nil {
				return err
			}
		}
		n = len(page)
	}
	return nil
}

// identified scans a row whose first column is its id.
type identified struct {
	row rowScanner
	id  *string
}

func (i identified) Scan(to ...any) error { return i.row.Scan(append([]any{i.id}, to...)...) }
