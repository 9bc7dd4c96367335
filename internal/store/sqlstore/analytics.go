package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/stream"
)

// Bounds of the analytics store.
const (
	analyticsLook    = 250 * time.Millisecond // between two looks at the feed
	analyticsPause   = time.Second            // between two commits: what changes often is written once
	analyticsEvents  = 1000                   // in a look
	analyticsObjects = 2000                   // payments and links in a commit
	analyticsRest    = 3                      // times as long as it worked it leaves the processor to payments
	analyticsMaxRest = 2 * time.Second
	analyticsLock    = "analytics" // orders all that write to it, in whatever process
)

// Analytics is the store that fraud is looked for in: rows and sums that follow the
// feed of a store. Like Reports it lies in a file of its own on SQLite, with a writer
// of its own and no fsync for each commit, and in tables of its own on PostgreSQL.
//
// Rows, sums and the checkpoint are one commit, so what comes twice counts once. What
// the feed does not have any more is read from the payments themselves: a store that
// was never filled, or whose place in the feed is gone, is made anew from them.
type Analytics struct {
	feed     *Store
	own      *Store
	payments Payments
	log      *slog.Logger
	builder  string   // this process's name while it makes the store anew
	owners   sync.Map // ownerKey to its number
	names    sync.Map // and back
}

var (
	_ history.Analyst  = (*Analytics)(nil)
	_ history.Replayer = (*Analytics)(nil)
)

// place is a position in the feed, and the event that stands there.
type place struct {
	position int64
	event    string
}

// analyticsDialect is where the rows are.
func analyticsDialect(d dialect, path string) dialect {
	if p, ok := d.(postgres); ok {
		return reportsPostgres{p}
	}
	return sqliteFile{path: path, projection: "analytics"}
}

// OpenAnalytics opens the analytics store that follows the feed. The path is that of
// the file beside a store in SQLite; one that is damaged is made anew, but for what
// the shield counted. Its payments are those of the feed's store, unless Walk says
// otherwise.
func OpenAnalytics(ctx context.Context, feed *Store, path string, log *slog.Logger) (*Analytics, error) {
	d := analyticsDialect(feed.dialect, path)
	own, err := openReports(ctx, d)
	if isDamage(err) {
		log.ErrorContext(ctx, "the file of the analytics store is damaged; it is made anew", "path", path, "error", err)
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if gone := os.Remove(path + suffix); gone != nil && !errors.Is(gone, os.ErrNotExist) {
				return nil, errors.Join(err, gone)
			}
		}
		own, err = openReports(ctx, d)
	}
	if err != nil {
		return nil, fmt.Errorf("open the analytics store: %w", err)
	}
	return &Analytics{feed: feed, own: own, payments: pages{feed}, log: log, builder: id.New(id.Event)}, nil
}

// Walk names the store of links and payments, where that is not the feed's.
func (a *Analytics) Walk(p Payments) { a.payments = p }

// Close ends it.
func (a *Analytics) Close() error { return a.own.Close() }

// Run follows the feed until ctx ends (nil). Of several processes one works.
func (a *Analytics) Run(ctx context.Context) error {
	feed, release, err := a.feed.dialect.claim(ctx, a.feed.feed, history.Consumer)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return a.feed.dialect.explain(err)
	}
	defer release()
	for ctx.Err() == nil {
		at, err := a.start(ctx, feed)
		if err == nil {
			err = a.follow(ctx, feed, at)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, errMoved) {
			return err
		} // otherwise somebody began to make it anew: that one is waited for
	}
	return nil
}

// follow carries the feed into the rows, from a place on.
func (a *Analytics) follow(ctx context.Context, feed reader, saved place) error {
	read, savedAt, g := saved, time.Now(), newGatheredFraud()
	for {
		began := time.Now()
		events, to, err := a.tail(ctx, feed, read)
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		for _, e := range events {
			g.add(e)
		}
		read = to
		if ended := ctx.Err() != nil; ended || time.Since(savedAt) >= analyticsPause || g.objects() >= analyticsObjects {
			done := context.WithoutCancel(ctx)
			if read != saved {
				err = a.commit(done, feed, g, saved, read)
			} else {
				err = a.still(done, saved)
			}
			if err != nil || ended {
				return err
			}
			saved, savedAt, g = read, time.Now(), newGatheredFraud()
		}
		rest := analyticsRest * time.Since(began)
		if len(events) < analyticsEvents {
			rest = max(rest, analyticsLook)
		}
		pause(ctx, min(rest, analyticsMaxRest))
	}
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// quiet are the types of events that a payment's row does not wait for: another one
// follows within the lease. They are most of the feed, and are not read.
const quiet = "'" + quietCreated + "', '" + quietProcessing + "'"

const quietCreated, quietProcessing = "payment.created", "payment.processing"

// end is the last place of the feed before which nothing can appear any more; from
// itself when there is nothing new.
func (a *Analytics) end(ctx context.Context, feed reader, from place) (place, error) {
	to := from
	err := feed.QueryRowContext(ctx, "SELECT position, id FROM events WHERE position > $1"+a.feed.dialect.settled()+" ORDER BY position DESC LIMIT 1", from.position).
		Scan(&to.position, &to.event)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return from, a.feed.dialect.explain(err)
	}
	return to, nil
}

// tail reads what is new in the feed, but for the quiet events, and how far that is.
func (a *Analytics) tail(ctx context.Context, feed reader, from place) ([]stream.Event, place, error) {
	if list := a.feed.recent.after(from.position, recentEvents); len(list) > 0 {
		last := list[len(list)-1]
		loud := slices.DeleteFunc(slices.Clone(list), func(e stream.Event) bool { return e.Type == quietCreated || e.Type == quietProcessing })
		return loud, place{last.Position, last.ID}, nil
	}
	to, err := a.end(ctx, feed, from)
	if err != nil || to == from {
		return nil, from, err
	}
	rows, err := a.feed.query(ctx, feed, "SELECT position, id, type, account, mode, object, object_seq, created_at, data FROM events WHERE position > $1 AND position <= $2 AND type NOT IN ("+
		quiet+") ORDER BY position LIMIT "+strconv.Itoa(analyticsEvents), from.position, to.position)
	if err != nil {
		return nil, from, err
	}
	defer func() { _ = rows.Close() }()
	var events []stream.Event
	for rows.Next() {
		var e stream.Event
		var at int64
		if err := rows.Scan(&e.Position, &e.ID, &e.Type, &e.Account, &e.Mode, &e.Object, &e.ObjectSeq, &at, (*[]byte)(&e.Data)); err != nil {
			return nil, from, err
		}
		e.CreatedAt = fromMicros(at)
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return nil, from, err
	}
	if len(events) == analyticsEvents {
		last := events[len(events)-1]
		to = place{last.Position, last.ID}
	}
	return events, to, nil
}

// gatheredFraud is what was read of the feed since the last commit.
type gatheredFraud struct {
	payments map[string]*history.Told
	owner    map[string]ownerKey // of every object
	order    []string            // payments as they came
	links    map[string]stream.Event
}

func newGatheredFraud() *gatheredFraud {
	return &gatheredFraud{payments: map[string]*history.Told{}, owner: map[string]ownerKey{}, links: map[string]stream.Event{}}
}

func (g *gatheredFraud) objects() int { return len(g.order) + len(g.links) }

func (g *gatheredFraud) add(e stream.Event) {
	switch {
	case history.OfPayment(e):
		t := g.payments[e.Object]
		if t == nil {
			t = &history.Told{}
			g.payments[e.Object], g.owner[e.Object] = t, ownerKey{e.Account, e.Mode}
			g.order = append(g.order, e.Object)
		}
		t.Add(e)
	case history.OfLink(e):
		if e.ObjectSeq > g.links[e.Object].ObjectSeq {
			g.links[e.Object], g.owner[e.Object] = e, ownerKey{e.Account, e.Mode}
		}
	}
}

// Lag is how many events are not in the rows yet, up to a million.
func (a *Analytics) Lag(ctx context.Context) (int64, error) {
	s, err := a.state(ctx)
	if err != nil {
		return 0, err
	}
	return a.feed.behind(ctx, s.position)
}

// CountShield adds attempts that the shield refused. The same counts given twice
// count twice: a caller whose answer was lost leaves them.
func (a *Analytics) CountShield(ctx context.Context, all []history.Refusal) error {
	if len(all) == 0 {
		return nil
	}
	owners := make([]int64, len(all))
	for i, r := range all {
		n, err := a.need(ctx, ownerKey{r.Account, r.Mode})
		if err != nil {
			return err
		}
		owners[i] = n
	}
	return a.own.write(ctx, []string{analyticsLock}, func(t *tx) error {
		for i, r := range all {
			if _, err := t.exec(`INSERT INTO analytics_shield (owner, hour, link, refused) VALUES ($1, $2, $3, $4)
				ON CONFLICT (owner, hour, link) DO UPDATE SET refused = analytics_shield.refused + excluded.refused`,
				owners[i], hourOf(r.Hour), r.Link, r.Count); err != nil {
				return err
			}
		}
		return nil
	})
}

// owner gives the number of an account's mode; 0: nothing is known of it.
func (a *Analytics) owner(ctx context.Context, key ownerKey) (int64, error) {
	if n, ok := a.owners.Load(key); ok {
		return n.(int64), nil
	}
	var n int64
	err := a.own.read.QueryRowContext(ctx, "SELECT id FROM analytics_owners WHERE account = $1 AND mode = $2", key.account, key.mode).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		a.owners.Store(key, n)
	}
	return n, a.own.dialect.explain(err)
}

// need is owner, that gives a number to who has none: in a commit of its own,
// because a number that is remembered must be kept.
func (a *Analytics) need(ctx context.Context, key ownerKey) (int64, error) {
	n, err := a.owner(ctx, key)
	if err != nil || n != 0 {
		return n, err
	}
	n, err = writeFor(ctx, a.own, []string{analyticsLock}, func(t *tx) (n int64, err error) {
		err = t.row(`INSERT INTO analytics_owners (account, mode) VALUES ($1, $2)
			ON CONFLICT (account, mode) DO UPDATE SET mode = excluded.mode RETURNING id`, key.account, key.mode).Scan(&n)
		return n, err
	})
	if err == nil && n == 0 {
		err = fault.Unavailable("store_unavailable", time.Second, nil, "The analytics store cannot be written now. Try again.")
	}
	if err == nil {
		a.owners.Store(key, n)
	}
	return n, err
}

// name is whose number that is.
func (a *Analytics) name(ctx context.Context, owner int64) (key ownerKey, err error) {
	if k, ok := a.names.Load(owner); ok {
		return k.(ownerKey), nil
	}
	err = a.own.read.QueryRowContext(ctx, "SELECT account, mode FROM analytics_owners WHERE id = $1", owner).Scan(&key.account, &key.mode)
	if err == nil {
		a.names.Store(owner, key)
	}
	return key, a.own.dialect.explain(err)
}
