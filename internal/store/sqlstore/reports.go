package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/stream"
)

// Bounds of the projection for people.
const (
	reportPause   = time.Second // between two commits: what changes often is written once
	reportObjects = 4000        // payments and links in a commit
	reportReaders = 4
	reportGroup   = 64
	reportLock    = "reports" // orders all that write to it, in whatever process
)

// Reports is the projection for people, report.Service: rows and sums that follow
// the feed of a store. In SQLite they lie in a file of their own, with writers of
// its own, without an fsync for each commit: no payment waits for them, and a file
// that is lost or damaged is made anew from the feed. In PostgreSQL they lie in the
// same database, and are written through a connection of their own.
//
// Rows, sums and the checkpoint are one commit: after a crash the last batch comes
// again from where the checkpoint is, and counts once.
type Reports struct {
	feed   *Store
	own    *Store
	log    *slog.Logger
	owners sync.Map // ownerKey to its number
}

var _ report.Service = (*Reports)(nil)

type ownerKey struct{ account, mode string }

// reportsPostgres is the database with a few connections of our own.
type reportsPostgres struct{ postgres }

func (p reportsPostgres) pools() pools {
	return pools{read: reportReaders, feed: 1, writers: 1, group: 1}
}

// reportsDialect is where the rows of a store's projection are.
func (s *Store) reportsDialect(path string) dialect {
	if p, ok := s.dialect.(postgres); ok {
		return reportsPostgres{p}
	}
	return sqliteFile{path: path, projection: "reports"}
}

// OpenReports opens the projection of the store's feed. The path is that of the
// file beside a store in SQLite, which is created if need be, and anew when it is
// damaged: it holds nothing that is not in the feed, but for what browsers told.
func OpenReports(ctx context.Context, feed *Store, path string, log *slog.Logger) (*Reports, error) {
	d := feed.reportsDialect(path)
	own, err := openReports(ctx, d)
	if isDamage(err) {
		log.ErrorContext(ctx, "the file of reports is damaged; it is made anew", "path", path, "error", err)
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if gone := os.Remove(path + suffix); gone != nil && !errors.Is(gone, os.ErrNotExist) {
				return nil, errors.Join(err, gone)
			}
		}
		own, err = openReports(ctx, d)
	}
	if err != nil {
		return nil, fmt.Errorf("open the reports: %w", err)
	}
	return &Reports{feed: feed, own: own, log: log}, nil
}

func openReports(ctx context.Context, d dialect) (*Store, error) {
	if f, ok := d.(sqliteFile); ok { // PostgreSQL's tables came with the store's own
		if _, _, err := migrate(ctx, f); err != nil {
			return nil, err
		}
	}
	return openStore(ctx, d)
}

// isDamage reports whether a file is not the database that it should be.
func isDamage(err error) bool {
	var engine *sqlite.Error
	if !errors.As(err, &engine) {
		return false
	}
	code := engine.Code() & 0xff
	return code == sqlite3.SQLITE_NOTADB || code == sqlite3.SQLITE_CORRUPT
}

// Close ends it.
func (r *Reports) Close() error { return r.own.Close() }

// Run follows the feed until ctx ends (nil). Of several processes one works.
func (r *Reports) Run(ctx context.Context) error {
	g := newGathered()
	return r.feed.follow(ctx, follower{consumer: report.Consumer, read: r.feed.eventsAfter, from: r.start, pause: reportPause,
		handle: func(_ context.Context, events []stream.Event) error {
			for _, e := range events {
				g.add(e)
			}
			return nil
		},
		full: func() bool { return g.objects() >= reportObjects },
		save: func(from, to int64) error {
			done := g
			g = newGathered()
			return r.commit(context.WithoutCancel(ctx), done, from, to)
		}})
}

// gathered is what was read of the feed since the last commit: of each object the
// events that its row still needs.
type gathered struct {
	payments, links map[string][]stream.Event
	steps           map[string]report.Step // by payment
	order           []string               // payments as they came
	linkOrder       []string
	last            stream.Event
}

func newGathered() *gathered {
	return &gathered{payments: map[string][]stream.Event{}, links: map[string][]stream.Event{}, steps: map[string]report.Step{}}
}

func (g *gathered) objects() int { return len(g.order) + len(g.linkOrder) }

func (g *gathered) add(e stream.Event) {
	g.last = e
	switch {
	case report.OfPayment(e):
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
	case report.OfLink(e):
		if _, known := g.links[e.Object]; !known {
			g.linkOrder = append(g.linkOrder, e.Object)
		}
		g.links[e.Object] = append(g.links[e.Object], e)
	}
}

// start is where the checkpoint is. When the feed is not the one that it was moved
// in (a store was restored, or put in another's place), everything begins anew.
func (r *Reports) start(ctx context.Context) (int64, error) {
	position, err := r.own.checkpoint(ctx, r.own.read, report.Consumer)
	if err != nil || position == 0 {
		return position, err
	}
	var here, there string
	err = r.own.read.QueryRowContext(ctx, "SELECT event FROM report_anchor WHERE position = $1", position).Scan(&here)
	if err == nil {
		err = r.feed.read.QueryRowContext(ctx, "SELECT id FROM events WHERE position = $1", position).Scan(&there)
	}
	if err == nil && here == there {
		return position, nil
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, r.own.dialect.explain(err)
	}
	r.log.WarnContext(ctx, "the reports follow another feed than this; they are made anew")
	return 0, r.Reset(ctx)
}

// Reset forgets everything but what browsers told: whoever follows the feed begins
// at its start. It may be done beside a process that works; that one notices at its
// next commit.
func (r *Reports) Reset(ctx context.Context) error {
	const empty = "DELETE FROM " // TRUNCATE is the owner's, and the server need not be that
	return r.own.write(ctx, []string{reportLock}, func(t *tx) error {
		for _, statement := range []string{empty + "report_payments", empty + "report_terms", empty + "report_sums", empty + "report_declines",
			empty + "report_anchor", "DELETE FROM report_links WHERE seen = 0", "UPDATE report_links SET created_at = 0, steps = 0, currency = ''",
			"UPDATE checkpoints SET position = 0 WHERE consumer = '" + report.Consumer + "'"} {
			if _, err := t.exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// Rebuild makes everything anew and returns when it has come to the feed's end. If
// another process follows the feed, that one does the work, and it is waited for.
func (r *Reports) Rebuild(ctx context.Context, progress func(left int64)) error {
	if err := r.Reset(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	worked := make(chan error, 1)
	go func() { worked <- r.Run(ctx) }()
	look := time.NewTicker(reportPause)
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
			if err != nil && !errors.Is(err, errMoved) {
				return err
			}
			worked = nil // another process is at it
		case <-look.C:
		}
	}
}

// Lag is how many events are not in the rows yet, up to a million.
func (r *Reports) Lag(ctx context.Context) (n int64, err error) {
	position, err := r.own.checkpoint(ctx, r.own.read, report.Consumer)
	if err != nil {
		return 0, err
	}
	return r.feed.behind(ctx, position)
}

// owner gives the number of an account's mode; 0: nothing is known of it.
func (r *Reports) owner(ctx context.Context, account, mode string) (int64, error) {
	key := ownerKey{account, mode}
	if n, ok := r.owners.Load(key); ok {
		return n.(int64), nil
	}
	var n int64
	err := r.own.read.QueryRowContext(ctx, "SELECT id FROM report_owners WHERE account = $1 AND mode = $2", account, mode).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		r.owners.Store(key, n)
	}
	return n, r.own.dialect.explain(err)
}

// need is owner, that gives a number to who has none: in a commit of its own,
// because a number that is remembered must be kept.
func (r *Reports) need(ctx context.Context, account, mode string) (int64, error) {
	n, err := r.owner(ctx, account, mode)
	if err != nil || n != 0 {
		return n, err
	}
	n, err = writeFor(ctx, r.own, []string{reportLock}, func(t *tx) (n int64, err error) {
		err = t.row(`INSERT INTO report_owners (account, mode) VALUES ($1, $2)
			ON CONFLICT (account, mode) DO UPDATE SET mode = excluded.mode RETURNING id`, account, mode).Scan(&n)
		return n, err
	})
	if err == nil && n == 0 {
		err = fault.Unavailable("store_unavailable", time.Second, nil, "The reports cannot be written now. Try again.")
	}
	if err == nil {
		r.owners.Store(ownerKey{account, mode}, n)
	}
	return n, err
}
