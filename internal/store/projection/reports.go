package projection

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// reportObjects is the number of payments and links in a commit.
const reportObjects = 4000

// reports names the tables of the reports.
var reports = kind{title: "reports", folder: "reports", owners: "report_owners", first: "checkpoints"}

// Reports is the projection for people and implements report.Service. It can be rebuilt from the
// feed, except for the steps that browsers reported.
type Reports struct{ *follower }

var _ report.Service = (*Reports)(nil)

// OpenReports opens the projection of the feed. The path is that of the file beside a SQLite store,
// which is created if it is missing, and recreated empty if it is damaged. Nothing is filled until
// Run or Rebuild.
func OpenReports(ctx context.Context, f *feed.Feed, path string, log *slog.Logger) (*Reports, error) {
	own, err := open(ctx, reports, f, path, log)
	if err != nil {
		return nil, err
	}
	return &Reports{own}, nil
}

// Run follows the feed until ctx ends (nil). One of several processes works. It returns
// feed.ErrMoved if another process has moved the checkpoint, such as by a Reset; the caller runs it
// again.
func (r *Reports) Run(ctx context.Context) error {
	return follow(ctx, r.follower, feed.Follower{Consumer: report.Consumer, Start: r.start}, newGathered, reportObjects, r.commit)
}

// gathered is what was read of the feed since the last commit: for each object, the events that
// its row still needs.
type gathered struct {
	payments, links map[string][]stream.Event
	steps           map[string]report.Step // by payment
	order           []string               // payments in order of arrival
	linkOrder       []string
	owner           map[string]ownerKey // of every object
}

// newGathered returns an empty batch.
func newGathered() *gathered {
	return &gathered{
		payments: map[string][]stream.Event{},
		links:    map[string][]stream.Event{},
		steps:    map[string]report.Step{},
		owner:    map[string]ownerKey{},
	}
}

// objects implements batch.
func (g *gathered) objects() int { return len(g.order) + len(g.linkOrder) }

// add implements batch. An event that shows a payment completely replaces the earlier ones, so a
// payment that changes often costs one event. Events of other objects are ignored.
func (g *gathered) add(e stream.Event) {
	switch {
	case e.OfPayment():
		g.owner[e.Object] = ownerKey{e.Account, e.Mode}
		before, known := g.payments[e.Object]
		if !known {
			g.order = append(g.order, e.Object)
		}
		if report.Replaces(e) {
			g.steps[e.Object] |= report.StepsOf(e)
			if known && before[len(before)-1].ObjectSeq < e.ObjectSeq {
				before = before[:0]
			}
		}
		g.payments[e.Object] = append(before, e)
	case e.OfLink():
		g.owner[e.Object] = ownerKey{e.Account, e.Mode}
		if _, known := g.links[e.Object]; !known {
			g.linkOrder = append(g.linkOrder, e.Object)
		}
		g.links[e.Object] = append(g.links[e.Object], e)
	}
}

// start returns the checkpoint. If the feed is not the one in which it was saved (a store was
// restored or replaced), everything is rebuilt from its beginning.
func (r *Reports) start(ctx context.Context, in sqldb.Reader) (at feed.Place, err error) {
	if at.Position, err = r.Position(ctx); err != nil || at.Position == 0 {
		return at, err
	}

	err = r.own.QueryRow(ctx, "SELECT event FROM report_anchor WHERE position = $1", at.Position).Scan(&at.Event)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return at, err
	}

	here, err := r.feed.Has(ctx, in, at)
	if err != nil || here {
		return at, err
	}
	r.log.WarnContext(ctx, "the reports follow another feed; they are rebuilt")
	return feed.Place{}, r.Reset(ctx)
}

// Reset deletes everything except what browsers reported, in one commit, so that the follower
// begins at the start of the feed. It may run beside a working process, which notices at its next
// commit.
func (r *Reports) Reset(ctx context.Context) error {
	const empty = "DELETE FROM " // TRUNCATE needs the owner, and the server need not be that
	return r.write(ctx, func(t *sqldb.Tx) error {
		for _, statement := range []string{empty + "report_payments", empty + "report_terms", empty + "report_sums", empty + "report_declines",
			empty + "report_anchor", "DELETE FROM report_links WHERE seen = 0", "UPDATE report_links SET created_at = 0, steps = 0, currency = ''",
			"UPDATE checkpoints SET position = 0 WHERE consumer = '" + report.Consumer + "'"} {
			if _, err := t.Exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// Rebuild rebuilds everything and returns at the end of the feed. If another process follows the
// feed, Rebuild waits while that process does the work. progress gets the number of events that are
// left, about once a second. If it is interrupted, the follower continues from what was committed.
func (r *Reports) Rebuild(ctx context.Context, progress func(left int64)) error {
	if err := r.Reset(ctx); err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	worked := make(chan error, 1)
	go func() { worked <- r.Run(ctx) }()

	look := time.NewTicker(commitPause)
	defer look.Stop()
	for {
		left, err := r.Lag(ctx)
		if err != nil {
			return err
		}
		progress(left)
		if left == 0 {
			cancel()
			if worked == nil {
				return nil
			}
			return <-worked
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-worked:
			if err != nil && !errors.Is(err, feed.ErrMoved) {
				return err
			}
			worked = nil // another process is working
		case <-look.C:
		}
	}
}

// Lag returns how many events are not in the rows yet, up to a million.
func (r *Reports) Lag(ctx context.Context) (n int64, err error) {
	position, err := r.Position(ctx)
	if err != nil {
		return 0, err
	}
	return r.feed.Since(ctx, position)
}
