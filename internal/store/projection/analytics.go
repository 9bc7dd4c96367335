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

// Bounds of the analytics store.
const (
	analyticsEvents  = 1000 // in one read of the feed
	analyticsObjects = 2000 // payments and links in a commit
)

var analytics = kind{title: "analytics store", folder: "analytics", owners: "analytics_owners", first: "analytics_state"}

// Analytics is the store that fraud is looked for in. What the feed does not have any more
// is read from the payments themselves: a store that was never filled, or whose place in
// the feed is gone, is made again from them, but for what the shield counted.
type Analytics struct {
	*follower
	payments Payments
	builder  string // this process's name while it makes the store again
}

var (
	_ history.Analyst  = (*Analytics)(nil)
	_ history.Replayer = (*Analytics)(nil)
)

// OpenAnalytics opens the analytics store that follows the feed of the events of the
// payments. The path is that of the file beside a store in SQLite.
func OpenAnalytics(ctx context.Context, f *feed.Feed, payments Payments, path string, log *slog.Logger) (*Analytics, error) {
	own, err := open(ctx, analytics, f, path, log)
	if err != nil {
		return nil, err
	}
	return &Analytics{follower: own, payments: payments, builder: id.New(id.Event)}, nil
}

// Run follows the feed until ctx ends (nil). Of several processes one works. If another
// one begins to make the store again, Run waits for it.
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

// quiet are the types of events that a payment's row does not wait for: another one
// follows within the lease. They are most of the feed, and are not read.
var quiet = []string{"payment.created", "payment.processing"}

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
	return a.feed.Since(ctx, s.Position)
}

// CountShield adds attempts that the shield refused. The same counts given twice
// count twice: a caller whose answer was lost leaves them.
func (a *Analytics) CountShield(ctx context.Context, all []history.Refusal) error {
	if len(all) == 0 {
		return nil
	}
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
