package app

import (
	"context"
	"errors"
	"hash/maphash"
	"io/fs"

	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// reportAudit compares the reports projection with the payments. As far as it has followed the
// feed, each row matches its payment's log, and the sums match the rows. Being behind is not a
// problem.
type reportAudit struct {
	store     *projection.Reports // nil if there is no projection
	position  int64               // how far it has followed the feed
	lastEvent map[string]int64    // payment to its last event up to that position
	seed      maphash.Seed
	kept      map[string]mark
}

// mark is enough of a row to recognize whether it is the expected one: the number of its last
// event, and a hash of its content under a seed of this run.
type mark struct {
	seq  int64
	hash uint64
}

// openReportsSnapshot opens the reports projection as it is now. If there is none, the audit checks
// nothing.
func openReportsSnapshot(ctx context.Context, cfg Config, url string) (*reportAudit, error) {
	a := &reportAudit{lastEvent: map[string]int64{}, kept: map[string]mark{}, seed: maphash.MakeSeed()}
	src, err := sqlstore.Source(url)
	if err != nil {
		return nil, err
	}
	store, err := projection.OpenReportsSnapshot(ctx, src, cfg.reportsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}

	a.store = store
	if a.position, err = store.Position(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return a, nil
}

// close closes the snapshot, if there is one.
func (a *reportAudit) close() error {
	if a.store == nil {
		return nil
	}
	return a.store.Close()
}

// event records what the rows must contain, as far as the projection has followed the feed.
func (a *reportAudit) event(e stream.Event) {
	if a.store != nil && e.Position <= a.position && e.OfPayment() {
		a.lastEvent[e.Object] = max(a.lastEvent[e.Object], e.ObjectSeq)
	}
}

// rows reads the rows, after the events and before the payments, and reports sums that do not match
// them.
func (a *reportAudit) rows(ctx context.Context, say func(string, ...any)) error {
	if a.store == nil {
		return nil
	}
	wrong, err := a.store.Audit(ctx, func(row report.Payment) error {
		a.kept[row.ID] = mark{row.Seq, maphash.Comparable(a.seed, row)}
		return nil
	})

	for _, w := range wrong {
		say("%s", w)
	}

	return err
}

// payment compares the row of a payment with the payment's log. The row must be at the last event
// that the feed reported; if the log is not further, its content must match too.
func (a *reportAudit) payment(p payment.Payment, say func(string, ...any)) {
	if a.store == nil {
		return
	}

	row, lastEvent := a.kept[p.ID], a.lastEvent[p.ID]
	delete(a.kept, p.ID)
	want := report.Expected(p)

	switch {
	case row.seq != lastEvent:
		say("I8 reports: the row of %s is at event %d, the feed has %d", p.ID, row.seq, lastEvent)
	case lastEvent != 0 && lastEvent == want.Seq && row.hash != maphash.Comparable(a.seed, want):
		say("I8 reports: the row of %s differs from its log", p.ID)
	}
}

// rest reports rows without a payment, once all payments were compared.
func (a *reportAudit) rest(say func(string, ...any)) {
	for id := range a.kept {
		say("I8 reports: row of %s without such a payment", id)
	}
}
