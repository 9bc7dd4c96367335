package app

import (
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"io/fs"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// analyticsAudit compares the analytics store with the payments and links. As far as it has
// followed the feed, none is missing, each row matches the payment's log, its refunds or the
// link, and disputes and sums match the rows. Being behind, or ahead of its position in the feed
// after a rebuild, is not a problem.
type analyticsAudit struct {
	store     *projection.Analytics // nil if there is none or it is being rebuilt
	position  int64
	lastEvent map[string]int64 // payment or link to its last event up to that position
	seed      maphash.Seed
	kept      map[string]mark // of payments
	refunds   map[string]mark
	links     map[string]mark
}

// openAnalyticsSnapshot opens the analytics store as it is now. If there is none, or it is being
// rebuilt, the audit checks nothing.
func openAnalyticsSnapshot(ctx context.Context, cfg Config, url string) (*analyticsAudit, error) {
	a := &analyticsAudit{
		lastEvent: map[string]int64{},
		kept:      map[string]mark{},
		refunds:   map[string]mark{},
		links:     map[string]mark{},
		seed:      maphash.MakeSeed(),
	}
	src, err := sqlstore.Source(url)
	if err != nil {
		return nil, err
	}
	store, err := projection.OpenAnalyticsSnapshot(ctx, src, cfg.analyticsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}

	position, whole, err := store.Position(ctx)
	if err != nil || !whole {
		return a, errors.Join(err, store.Close())
	}
	a.store, a.position = store, position
	return a, nil
}

// close closes the snapshot, if there is one.
func (a *analyticsAudit) close() error {
	if a.store == nil {
		return nil
	}
	return a.store.Close()
}

// event records what the rows must contain. The first two events of a payment are not waited for,
// because another one follows within the lease (history.Quiet).
func (a *analyticsAudit) event(e stream.Event) {
	if a.store != nil && e.Position <= a.position && (e.OfPayment() && !history.Quiet(e.Type) || e.OfLink()) {
		a.lastEvent[e.Object] = max(a.lastEvent[e.Object], e.ObjectSeq)
	}
}

// mark returns the mark of a row, which may contain lists and is therefore hashed as JSON.
func (a *analyticsAudit) mark(seq int64, row any) mark {
	raw, err := json.Marshal(row)
	if err != nil {
		return mark{} // matches nothing
	}
	return mark{seq, maphash.Bytes(a.seed, raw)}
}

// rows reads the rows, after the events and before the payments. It keeps only their marks, so
// memory grows with their number and not with their size.
func (a *analyticsAudit) rows(ctx context.Context, say func(string, ...any)) error {
	if a.store == nil {
		return nil
	}
	wrong, err := a.store.Audit(ctx, func(row history.Row) error {
		a.kept[row.ID] = a.mark(row.Seq, row)
		return nil
	})
	if err == nil {
		err = a.store.EachRefund(ctx, func(r history.Refund) error {
			a.refunds[r.ID] = a.mark(r.Seq, r)
			return nil
		})
	}
	if err == nil {
		err = a.store.EachLink(ctx, func(l history.Link) error {
			a.links[l.ID] = a.mark(l.Seq, l)
			return nil
		})
	}

	for _, w := range wrong {
		say("%s", w)
	}

	return err
}

// payment compares the rows of a payment and of its refunds with the payment's log, and takes them
// from the ones that are left. A row that is behind the payment is no problem, unless the store has
// passed the event that it lacks.
func (a *analyticsAudit) payment(p payment.Payment, say func(string, ...any)) {
	if a.store == nil {
		return
	}
	is, want := a.kept[p.ID], history.RowOf(p)
	delete(a.kept, p.ID)
	switch {
	case is.seq < a.lastEvent[p.ID]:
		say("I8 analytics: the row of %s is at event %d, the feed has %d", p.ID, is.seq, a.lastEvent[p.ID])
	case is.seq > want.Seq:
		say("I8 analytics: the row of %s is at event %d, its log has %d", p.ID, is.seq, want.Seq)
	case is.seq == want.Seq && want.Seq > 0 && is != a.mark(want.Seq, want):
		say("I8 analytics: the row of %s differs from its log", p.ID)
	}

	// Refunds have rows of their own, and sequence numbers among the payment's events.
	for _, r := range history.RefundsOf(p) {
		row := a.refunds[r.ID]
		delete(a.refunds, r.ID)
		// A row that has caught up with its payment must match it.
		if r.Seq > 0 && row != a.mark(r.Seq, r) && (is.seq >= r.Seq || row.seq >= r.Seq) {
			say("I8 analytics: the row of the refund %s of %s differs from the payment's log", r.ID, p.ID)
		}
	}
}

// link compares the row of a link with the link.
func (a *analyticsAudit) link(l link.Link, say func(string, ...any)) {
	if a.store == nil {
		return
	}
	is, want := a.links[l.ID], history.LinkOf(l)
	delete(a.links, l.ID)
	switch {
	case is.seq < a.lastEvent[l.ID]:
		say("I8 analytics: the row of %s is at event %d, the feed has %d", l.ID, is.seq, a.lastEvent[l.ID])
	case is.seq > want.Seq, is.seq == want.Seq && is != a.mark(want.Seq, want):
		say("I8 analytics: the row of %s differs from the link", l.ID)
	}
}

// rest reports rows without an object, once all objects were compared.
func (a *analyticsAudit) rest(say func(string, ...any)) {
	for kind, left := range map[string]map[string]mark{"payment": a.kept, "refund": a.refunds, "link": a.links} {
		for id := range left {
			say("I8 analytics: row of %s without such a %s", id, kind)
		}
	}
}
