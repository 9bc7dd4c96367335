package dynamo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/payment"
)

// CommitPayment implements payment.Store. The payment, with its log and all its events, is one item
// under one condition. If a use of the link is reserved, released or taken again, the link is the
// second item of a transaction, then come the idempotency record and who did it, if any. The only use of a
// single-use link is completed in the payment alone; see view. If the link changed since it was
// read, the change is built again, at most maxRebuilds times; then the error is store_busy.
func (s *Store) CommitPayment(ctx context.Context, c payment.Change) error {
	for range maxRebuilds {
		if err := s.commitOnce(ctx, c); !errors.Is(err, errAgain) {
			return err
		}
	}
	return errBusyLink
}

// commitOnce builds the writes of a change from what is stored now and commits them. errAgain means
// that the link changed in the meantime. If the outcome of a try is unknown, the next one finds
// this same change by its id in the payment's log.
func (s *Store) commitOnce(ctx context.Context, c payment.Change) error {
	p := c.Payment
	had, done, err := s.before(ctx, c)
	if err != nil || done {
		return err
	}
	use, full, err := s.useLink(ctx, c)
	if err != nil {
		return err
	}

	// The event that the link is paid is part of the payment's item, so no second item has to
	// change for it.
	events := c.Events
	if full {
		events = slices.Concat(events, c.WhenLinkPaid)
		if use == nil {
			had.usedAt = micros(c.At)
		}
	}

	row, now, err := encodePayment(p, had, events)
	if err != nil {
		return err
	}
	// The condition on the revision makes this the only change that follows the one that the caller
	// saw.
	put := write{put: row, condition: ifNew}
	if c.Expected != 0 {
		put.condition, put.values = "r = :r", values{":r": num(c.Expected)}
	}

	writes := []write{put}
	if use != nil {
		writes = append(writes, *use)
	}
	if c.Record != nil {
		writes = append(writes, putRecord(*c.Record))
	}
	did, err := putActivity(ctx)
	if err != nil {
		return err
	}
	writes = append(writes, did...)

	err = s.commit(ctx, token(c.ID, writes), writes, func(place int, found item, again bool) error {
		switch {
		case place == 0:
			// The payment's own condition failed: its log shows whether this same change is stored.
			return changed(found, c.ID)
		case again: // the condition may have failed because of our earlier try
			if is, err := s.getItem(ctx, paymentKey(p.Account, p.Link, p.ID), true); err != nil {
				return err
			} else if is != nil && changed(is, c.ID) == nil {
				return nil
			}
		}
		if use != nil && place == 1 {
			return s.refusedUse(ctx, c, found)
		}
		return idempotency.ErrRaced
	})

	if err == nil {
		s.recent.keep(p, now)
	}
	return err
}

// changed returns nil if the change is part of the payment that a failed condition found, and
// payment.ErrConflict otherwise.
func changed(found item, change string) error {
	if found == nil {
		return payment.ErrConflict
	}
	is, err := decodePayment(found)
	if err != nil {
		return err
	}
	if is.HasChange(change) {
		return nil
	}
	return payment.ErrConflict
}

// before returns the present contents of the item beside its document, or reports that it already
// contains this change. It returns payment.ErrConflict if the payment is at another revision than
// the change expects. The process that committed the previous revision usually commits this one
// too, and has it cached.
func (s *Store) before(ctx context.Context, c payment.Change) (had beside, done bool, err error) {
	if c.Expected == 0 {
		return beside{}, false, nil
	}
	if had, ok := s.recent.get(c.Payment.ID, c.Expected); ok {
		return had, false, nil
	}

	found, err := s.getItem(ctx, paymentKey(c.Payment.Account, c.Payment.Link, c.Payment.ID), true)
	if err != nil {
		return beside{}, false, err
	}
	if found == nil {
		return beside{}, false, payment.ErrConflict
	}
	is, err := decodePayment(found)
	switch {
	case err != nil:
		return beside{}, false, err
	case is.HasChange(c.ID):
		return beside{}, true, nil
	case is.Revision != c.Expected:
		return beside{}, false, payment.ErrConflict
	}

	return is.beside, false, nil
}

// useLink returns the write of the change to its link, if any, and whether it completes the last
// use. The write's condition requires that the link still allows it. Reserving and releasing need
// no read of the link; completing one of several uses does, because the last one also sets the time
// at which the link was paid.
func (s *Store) useLink(ctx context.Context, c payment.Change) (use *write, full bool, err error) {
	p := c.Payment
	w := &write{key: linkKey(p.Account, p.Link)}
	one, less := num(1), num(-1)
	switch c.Use {
	case payment.UseNone:
		return nil, false, nil
	case payment.UseReserve:
		w.update, w.condition = "SET p = :p ADD v :one, l :less", "attribute_not_exists(c) AND attribute_not_exists(g) AND l > :none AND x > :at"
		w.values = values{":p": str(p.ID), ":one": one, ":less": less, ":none": num(0), ":at": num(micros(c.At))}
		return w, false, nil
	case payment.UseRelease:
		// It is due at its end again: the sweep set it aside if that has passed (see expire).
		w.update, w.condition = "SET d = :d, e = :e ADD v :less, l :one", "v > :none"
		w.values = values{":one": one, ":less": less, ":none": num(0), ":d": str(dueShard(linkPrefix, p.Link)), ":e": num(micros(p.LinkEndsAt))}
		return w, false, nil
	case payment.UseComplete, payment.UseRetake: // below
	}
	// The payment's item alone shows that the only use is completed.
	if c.Use == payment.UseComplete && p.LinkUses == 1 {
		return nil, true, nil
	}

	// How many uses are left decides whether this is the last one, so the link must be read first.
	o, err := s.readLink(ctx, p.Account, p.Link)
	if err != nil {
		return nil, false, err
	}

	if c.Use == payment.UseComplete && o.MaxUses == 1 {
		return nil, true, nil
	}

	w.update, w.condition = "SET p = :p ADD k :one, v :less", "v > :none"
	if c.Use == payment.UseRetake {
		w.update, w.condition = "SET p = :p ADD k :one, l :less", "l > :none"
	}
	w.values = values{":p": str(p.ID), ":one": one, ":less": less, ":none": num(0)}
	if c.Use == payment.UseComplete && !o.Ended() { // as when a use is released
		w.update = strings.Replace(w.update, "SET p = :p", "SET p = :p, d = :d, e = :e", 1)
		w.values[":d"], w.values[":e"] = str(dueShard(linkPrefix, p.Link)), num(micros(o.ExpiresAt))
	}

	// The condition repeats what was read, so that the last use is recognized as such even if two
	// payments complete at once.
	switch {
	case o.MaxUses == 0:
	case o.Uses+1 < o.MaxUses:
		w.condition += " AND (attribute_not_exists(k) OR k < :last)"
		w.values[":last"] = num(o.MaxUses - 1)
	default:
		full = true
		w.update = "SET p = :p, q = :at ADD k :one, " + map[bool]string{true: "l", false: "v"}[c.Use == payment.UseRetake] + " :less REMOVE d, e"
		w.values[":at"] = num(micros(c.At))
		delete(w.values, ":d")
		delete(w.values, ":e")
		if o.MaxUses == 1 {
			w.condition += " AND attribute_not_exists(k)"
		} else {
			w.condition += " AND k = :last"
			w.values[":last"] = num(o.MaxUses - 1)
		}
	}

	return w, full, nil
}

// refusedUse returns why the link's condition failed: the fault that names its status, or errAgain
// if the link, as found, allows the use.
func (s *Store) refusedUse(ctx context.Context, c payment.Change, found item) error {
	if found == nil {
		return fault.NotFound("payment link")
	}
	o, err := decodeLink(found)
	if err != nil {
		return err
	}

	if (c.Use == payment.UseComplete || c.Use == payment.UseRelease) && o.Reserved > 0 {
		return errAgain // another payment has completed a use since the link was read
	}
	if c.Use == payment.UseRetake && number(found, attrLeft) > 0 {
		return errAgain
	}

	if err := s.whyNot(ctx, o.Link, c.At); err != nil {
		return err
	}
	return errAgain
}

// recent caches what the items of running payments contain beside the document, by payment id, so
// that the commit of an answer need not read what the previous commit wrote. It is exact: the
// contents of a revision never change, and the store enforces the condition on the revision. A
// process that crashes loses nothing.
type recent struct {
	mu   sync.Mutex
	rows map[string]recentRow
}

// recentRow is what one revision of a payment's item contains.
type recentRow struct {
	revision int64
	beside
}

// maxRecent limits the cache; a full one is emptied.
const maxRecent = 4096

// get returns what the payment's item contains at the revision, if it is cached.
func (r *recent) get(id string, revision int64) (beside, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.rows[id]
	return row.beside, ok && row.revision == revision
}

// keep caches a payment that is not settled, and removes one that is.
func (r *recent) keep(p payment.Payment, b beside) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.DueAt().IsZero() {
		delete(r.rows, p.ID)
		return
	}
	if r.rows == nil || len(r.rows) >= maxRecent {
		r.rows = map[string]recentRow{}
	}
	r.rows[p.ID] = recentRow{p.Revision, b}
}
