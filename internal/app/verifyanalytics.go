package app

import (
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"io/fs"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// analyticsAudit holds the analytics store to the payments: as far as it has followed
// the feed no payment is missing, each row is what its payment's log says, and the
// sums are those of the rows. That it is behind, or ahead of its place in the feed
// after it was made anew, is no error.
type analyticsAudit struct {
	store    *sqlstore.Analytics // nil: there is none, or it is being made anew
	position int64
	told     map[string]int64 // payment to its last event as far as that
	seed     maphash.Seed
	kept     map[string]mark
}

func openAnalyticsSnapshot(ctx context.Context, cfg Config, url string) (*analyticsAudit, error) {
	a := &analyticsAudit{told: map[string]int64{}, kept: map[string]mark{}, seed: maphash.MakeSeed()}
	store, err := sqlstore.OpenAnalyticsSnapshot(ctx, url, cfg.analyticsPath())
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

func (a *analyticsAudit) close() error {
	if a.store == nil {
		return nil
	}
	return a.store.Close()
}

// event notes what the rows must have: the first two of a payment are not waited for.
func (a *analyticsAudit) event(e stream.Event) {
	if a.store != nil && e.Position <= a.position && fraud.OfPayment(e) && !fraud.Quiet(e.Type) {
		a.told[e.Object] = max(a.told[e.Object], e.ObjectSeq)
	}
}

// mark of a row, which has lists in it.
func (a *analyticsAudit) mark(row fraud.Row) mark {
	raw, err := json.Marshal(row)
	if err != nil {
		return mark{} // fits nothing
	}
	return mark{row.Seq, maphash.Bytes(a.seed, raw)}
}

// rows reads them, after the events and before the payments.
func (a *analyticsAudit) rows(ctx context.Context, say func(string, ...any)) error {
	if a.store == nil {
		return nil
	}
	wrong, err := a.store.Audit(ctx, func(row fraud.Row) error {
		a.kept[row.ID] = a.mark(row)
		return nil
	})
	for _, w := range wrong {
		say("%s", w)
	}
	return err
}

func (a *analyticsAudit) payment(p payment.Payment, say func(string, ...any)) {
	if a.store == nil {
		return
	}
	is, want := a.kept[p.ID], fraud.RowOf(p)
	delete(a.kept, p.ID)
	switch {
	case is.seq < a.told[p.ID]:
		say("I8 analytics: the row of %s is at event %d, the feed told %d", p.ID, is.seq, a.told[p.ID])
	case is.seq > want.Seq:
		say("I8 analytics: the row of %s is at event %d, its log has %d", p.ID, is.seq, want.Seq)
	case is.seq == want.Seq && want.Seq > 0 && is != a.mark(want):
		say("I8 analytics: the row of %s is not what its log says", p.ID)
	}
}

// rest are rows of payments that are not there.
func (a *analyticsAudit) rest(say func(string, ...any)) {
	for id := range a.kept {
		say("I8 analytics: there is a row of %s, and no such payment", id)
	}
}
