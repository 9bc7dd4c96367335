package projection

import (
	"context"
	"errors"
	"log/slog"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// Limits of the analytics store.
const (
	analyticsEvents  = 1000 // events in one read of the feed
	analyticsObjects = 2000 // payments and links in a commit
)

// analytics names the tables of the analytics store.
var analytics = kind{title: "analytics store", folder: "analytics", owners: "analytics_owners", first: "analytics_state"}

// Analytics is the store for fraud analysis. What the feed no longer contains is read from the
// payments themselves: a store that was never filled, or whose place in the feed is gone, is
// rebuilt from them. Only the shield's counts cannot be rebuilt. It may be read while it is filled
// or rebuilt, and is incomplete then.
type Analytics struct {
	*follower
	payments Payments
	builder  string // this process's name while it rebuilds the store
}

var (
	_ history.Analyst  = (*Analytics)(nil)
	_ history.Replayer = (*Analytics)(nil)
)

// OpenAnalytics opens the analytics store that follows the feed of the payments' events. The path
// is that of the file beside a SQLite store; a damaged file is recreated empty and then rebuilt.
// Nothing is filled until Run or Rebuild.
func OpenAnalytics(ctx context.Context, f *feed.Feed, payments Payments, path string, log *slog.Logger) (*Analytics, error) {
	own, err := open(ctx, analytics, f, path, log)
	if err != nil {
		return nil, err
	}
	return &Analytics{follower: own, payments: payments, builder: id.New(id.Event)}, nil
}

// Run follows the feed until ctx ends (nil). One of several processes works. If another one begins
// to rebuild the store, Run waits for it, then follows from the new place.
func (a *Analytics) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := follow(ctx, a.follower, feed.Follower{Consumer: history.Consumer, Part: feed.NoMoney, Skip: quiet, Limit: analyticsEvents,
			Start: a.start, Check: a.still, Gentle: true}, newGatheredFraud, analyticsObjects, a.commit)
		if err != nil && ctx.Err() == nil && !errors.Is(err, feed.ErrMoved) {
			return err
		}
	}
	return nil
}

// quiet lists the event types that a payment's row does not need, because another event follows
// within the lease. They are most of the feed, and are not read.
var quiet = []string{"payment.created", "payment.processing"}

// gatheredFraud is what was read of the feed since the last commit: for each payment what its
// events report, and for each link its last event.
type gatheredFraud struct {
	payments map[string]*history.Accumulator
	owner    map[string]ownerKey // of every object
	order    []string            // payments in order of arrival
	links    map[string]stream.Event
}

// newGatheredFraud returns an empty batch.
func newGatheredFraud() *gatheredFraud {
	return &gatheredFraud{payments: map[string]*history.Accumulator{}, owner: map[string]ownerKey{}, links: map[string]stream.Event{}}
}

// objects implements batch.
func (g *gatheredFraud) objects() int { return len(g.order) + len(g.links) }

// add implements batch. Events of other objects are ignored.
func (g *gatheredFraud) add(e stream.Event) {
	switch {
	case e.OfPayment():
		t := g.payments[e.Object]
		if t == nil {
			t = &history.Accumulator{}
			g.payments[e.Object], g.owner[e.Object] = t, ownerKey{e.Account, e.Mode}
			g.order = append(g.order, e.Object)
		}
		t.Add(e)
	case e.OfLink():
		if e.ObjectSeq > g.links[e.Object].ObjectSeq {
			g.links[e.Object], g.owner[e.Object] = e, ownerKey{e.Account, e.Mode}
		}
	}
}

// Lag returns how many events are not in the rows yet, up to a million. During a rebuild it counts
// from the start of the feed.
func (a *Analytics) Lag(ctx context.Context) (int64, error) {
	s, err := a.state(ctx)
	if err != nil {
		return 0, err
	}
	return a.feed.Since(ctx, s.Position)
}

// CountShield adds attempts that the shield refused. The same counts added twice count twice, so a
// caller whose answer was lost must not send them again. All counts are one commit.
func (a *Analytics) CountShield(ctx context.Context, all []history.Refusal) error {
	if len(all) == 0 {
		return nil
	}

	// Owners are created in commits of their own, before the counts.
	owners := make([]int64, len(all))
	for i, r := range all {
		n, err := a.ensureOwner(ctx, ownerKey{r.Account, r.Mode})
		if err != nil {
			return err
		}
		owners[i] = n
	}

	return a.write(ctx, func(t *sqldb.Tx) error {
		for i, r := range all {
			if _, err := t.Exec(`INSERT INTO analytics_shield (owner, hour, link, refused) VALUES ($1, $2, $3, $4)
				ON CONFLICT (owner, hour, link) DO UPDATE SET refused = analytics_shield.refused + excluded.refused`,
				owners[i], hourOf(r.Hour), r.Link, r.Count); err != nil {
				return err
			}
		}
		return nil
	})
}
