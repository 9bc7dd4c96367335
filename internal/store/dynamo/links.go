package dynamo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/stream"
)

var (
	_ link.Store    = (*Store)(nil)
	_ link.Spreader = (*Store)(nil)
)

// errAgain means that the basis of a commit has changed: build the commit again. It never leaves
// the package alone; see errBusyLink.
var errAgain = errors.New("the item has changed meanwhile")

// errBusyLink is the fault after maxRebuilds attempts: nothing was done.
var errBusyLink = fault.Unavailable("store_busy", retryAfter, errAgain, "Too many concurrent changes to this link; retry.")

// ifNew is the condition that no item has the key.
const ifNew = "attribute_not_exists(pk)"

// CreateLink implements link.Store. Link, events and record are one write, or one transaction. A
// link whose id exists stays unchanged, because this is a repetition of the same call. If another
// request recorded the key first, the error is idempotency.ErrRaced.
func (s *Store) CreateLink(ctx context.Context, l link.Link, events []stream.Event, r *idempotency.Record) error {
	row, err := encodeLink(l, events)
	if err != nil {
		return err
	}

	writes := []write{{put: row, condition: ifNew}}
	if r != nil {
		writes = append(writes, putRecord(*r))
	}

	return s.commit(ctx, token(l.ID, writes), writes, func(place int, _ item, again bool) error {
		if place == 0 {
			return nil // this same link is already stored
		}
		if again { // our earlier try may have written the record, with the link
			if there, err := s.getItem(ctx, linkKey(l.Account, l.ID), true); err != nil || there != nil {
				return err
			}
		}
		return idempotency.ErrRaced
	})
}

// GetLink implements link.Store. It reads the link consistently, and its payment too if only that
// one shows whether the link was paid.
func (s *Store) GetLink(ctx context.Context, account, linkID string) (link.Link, error) {
	o, err := s.readLink(ctx, account, linkID)
	if err != nil {
		return link.Link{}, err
	}
	l, err := s.view(ctx, o.Link)
	l.Ahead = s.Ahead(l.Account, l.Mode)
	return l, err
}

// readLink returns the link according to its own item, or fault.NotFound.
func (s *Store) readLink(ctx context.Context, account, linkID string) (offer, error) {
	found, err := s.getItem(ctx, linkKey(account, linkID), true)
	if err != nil {
		return offer{}, err
	}
	if found == nil {
		return offer{}, fault.NotFound("payment link")
	}
	return decodeLink(found)
}

// asksPayment reports whether the link's payment must be read too: the only use of a single-use
// link is completed in the payment's item alone.
func asksPayment(l link.Link) bool {
	return l.MaxUses == 1 && l.Uses == 0 && l.Reserved == 1 && l.LastPayment != ""
}

// view returns the link in its present state, including what its payment's item shows. Nothing
// changes such a link once the payment has used it: the reservation stays, so it can be neither
// reserved nor canceled. The sweep later writes the state into the link's own item.
func (s *Store) view(ctx context.Context, l link.Link) (link.Link, error) {
	if !asksPayment(l) {
		return l, nil
	}
	found, err := s.getItem(ctx, paymentKey(l.Account, l.ID, l.LastPayment), true)
	if err != nil {
		return link.Link{}, err
	}
	return used(l, found), nil
}

// used returns the link as its payment's item shows it. paid is nil if there is no such item.
func used(l link.Link, paid item) link.Link {
	if at := number(paid, attrUsedAt); at != 0 {
		l.Uses, l.Reserved, l.PaidAt = 1, 0, fromMicros(at)
	}
	return l
}

// views is view for many links, with one batch of reads. It changes the list in place.
func (s *Store) views(ctx context.Context, links []link.Link) ([]link.Link, error) {
	var keys []key
	for _, l := range links {
		if asksPayment(l) {
			keys = append(keys, paymentKey(l.Account, l.ID, l.LastPayment))
		}
	}

	found, err := s.getItems(ctx, keys)
	if err != nil {
		return nil, err
	}
	payments := map[string]item{}
	for _, i := range found {
		payments[strings.TrimPrefix(text(i, attrSort), paymentPrefix)] = i
	}

	for i, l := range links {
		if asksPayment(l) {
			links[i] = used(l, payments[l.LastPayment])
		}
	}

	return links, nil
}

// ListLinks implements link.Store, newest first. It merges the account's buckets and filters what
// it reads, so a rare status or reference may read many links before the page is full.
func (s *Store) ListLinks(ctx context.Context, f link.Filter) ([]link.Link, error) {
	n, err := s.buckets(ctx, f.Account)
	if err != nil {
		return nil, err
	}

	last := linkPrefix + "~" // after every id
	if f.Before != "" {
		last = linkPrefix + f.Before
	}

	var pages []*pages
	for b := range n {
		pages = append(
			pages,
			s.newPages(dynamodb.QueryInput{ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(batchItems),
				KeyConditionExpression:    aws.String("pk = :p AND sk BETWEEN :a AND :z"),
				ExpressionAttributeValues: values{":p": str(partition(f.Account, b)), ":a": str(linkPrefix), ":z": str(last)}}),
		)
	}

	newest := func(a, b item) int { return strings.Compare(text(b, attrSort), text(a, attrSort)) }
	var list []link.Link
	for len(list) < f.Limit {
		rows, err := merge(ctx, pages, newest, min(batchItems, max(f.Limit-len(list), 10)))
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			break
		}
		kept, err := s.filterLinks(ctx, f, rows)
		if err != nil {
			return nil, err
		}
		list = append(list, kept...)
	}

	list = list[:min(len(list), f.Limit)]
	for i, l := range list {
		list[i].Ahead = s.Ahead(l.Account, l.Mode)
	}

	return list, nil
}

// filterLinks returns the links of rows that the filter allows, in order. The first damaged one is
// the error.
func (s *Store) filterLinks(ctx context.Context, f link.Filter, rows []item) ([]link.Link, error) {
	var links []link.Link
	for _, row := range rows {
		o, err := decodeLink(row)
		if err != nil {
			return nil, err
		}
		if o.Mode == f.Mode && o.ID != f.Before && (f.Realm == "" || o.Realm == f.Realm) && (f.Reference == "" || o.Reference == f.Reference) {
			links = append(links, o.Link)
		}
	}

	links, err := s.views(ctx, links)
	if err != nil || f.Status == "" {
		return links, err
	}
	return slices.DeleteFunc(links, func(l link.Link) bool { return l.Status(f.Now) != f.Status }), nil
}

// CancelLink implements link.Store. If the link changes between the read and the write, both are
// done again, at most maxRebuilds times; then the error is store_busy.
func (s *Store) CancelLink(ctx context.Context, account, linkID string, at time.Time, e stream.Event, r *idempotency.Record) error {
	for range maxRebuilds {
		o, err := s.readLink(ctx, account, linkID)
		if err != nil {
			return err
		}
		if err := s.cancel(ctx, o, at, e, r); !errors.Is(err, errAgain) {
			return err
		}
	}
	return errBusyLink
}

// cancel cancels the link as it was read, with its event, in one write. It returns errAgain if the
// link changed in the meantime, the fault that names its status if it cannot be canceled any more,
// and nil if an earlier try of this call canceled it.
func (s *Store) cancel(ctx context.Context, o offer, at time.Time, e stream.Event, r *idempotency.Record) error {
	if err := s.whyNot(ctx, o.Link, at); err != nil {
		return err
	}

	blob, _, err := seal(o.owner(), o.Link, o.Metadata, o.events, []stream.Event{e})
	if err != nil {
		return err
	}
	// The number of events in the condition protects the blob, which contains them: no other change
	// to the link may be lost.
	writes := []write{{key: linkKey(o.Account, o.ID), update: "SET b = :b, n = :m, c = :at REMOVE d, e",
		condition: "n = :n AND attribute_not_exists(c) AND attribute_not_exists(g) AND l > :none AND x > :at",
		values:    values{":b": bin(blob), ":m": num(o.count() + 1), ":n": num(o.count()), ":at": num(micros(at)), ":none": num(0)}}}

	// An imported link has no events, and the attribute is absent then.
	if o.count() == 0 {
		writes[0].condition = strings.Replace(writes[0].condition, "n = :n", "attribute_not_exists(n)", 1)
		delete(writes[0].values, ":n")
	}

	if r != nil {
		writes = append(writes, putRecord(*r))
	}

	return s.commit(ctx, token(e.ID, writes), writes, func(place int, found item, again bool) error {
		// Read the link as it is now, and look for our event in it: then the cancel has succeeded.
		if found == nil && place == 0 {
			return fault.NotFound("payment link")
		}
		now := o
		var err error
		if place == 0 {
			now, err = decodeLink(found)
		} else if again {
			now, err = s.readLink(ctx, o.Account, o.ID)
		}
		if err != nil {
			return err
		}
		if ours, err := now.has(now.owner(), e.ID); err != nil || ours {
			return err // an earlier try of this same call
		}
		if place == 1 {
			return idempotency.ErrRaced
		}
		if err := s.whyNot(ctx, now.Link, at); err != nil {
			return err
		}
		return errAgain
	})
}

// whyNot returns the fault that names the status of a link that cannot be paid or canceled, or nil
// if it can.
func (s *Store) whyNot(ctx context.Context, l link.Link, at time.Time) error {
	l, err := s.view(ctx, l)
	if err != nil {
		return err
	}
	return l.Unpayable(at)
}

// heldAgain is when the sweep returns to an ended link whose uses payments still hold. The commit
// that releases a use makes the link due at once. The return is for a process of the previous
// version, which does not do so, and for a single-use link that its payment used up.
const heldAgain = time.Hour

// ExpireLinks implements link.Store. Each link is a commit of its own; a crash between two loses
// nothing. It also closes links that a payment used up, so that they leave the due index, and marks
// those that payments hold. A damaged link is set aside and counted. Any other error ends the sweep
// after the writes that are under way.
func (s *Store) ExpireLinks(ctx context.Context, now time.Time, limit int, event func(link.Link) (stream.Event, error)) (int, error) {
	keys, err := s.dueNow(ctx, linkPrefix, now, limit)
	if err != nil || len(keys) == 0 {
		return 0, err
	}

	rows, err := s.getItems(ctx, keys)
	if err != nil {
		return 0, err
	}

	var done, aside atomic.Int64
	var group errgroup.Group
	group.SetLimit(parallelReads)
	for _, row := range rows {
		group.Go(func() error {
			ended, err := s.expire(ctx, row, now, event)
			if fault.Code(err) == "link_damaged" {
				aside.Add(1)
				return s.linkAside(ctx, row, now)
			}
			if ended {
				done.Add(1)
			}
			return err
		})
	}

	if err := group.Wait(); err != nil {
		return 0, err
	}
	return int(done.Load() + aside.Load()), link.SetAside(int(aside.Load()))
}

// linkAside sets a link aside that cannot be read. It is tried again, but with growing pauses. Its
// contents stay unchanged, so an operator can restore it.
func (s *Store) linkAside(ctx context.Context, row item, now time.Time) error {
	w := write{key: keyOf(row), update: "SET e = :later, d = :d ADD f :one", condition: "e = :at",
		values: values{
			":later": num(now.Add(link.Backoff(number(row, attrMisses))).UnixMicro()),
			":d":     str(linkPrefix + setAside),
			":one":   num(1),
			":at":    num(number(row, attrDueAt)),
		}}
	return s.commit(ctx, "", []write{w}, func(int, item, bool) error { return nil })
}

// expire takes the next step for one link that the index reports as due, and reports whether it
// changed it. Which step depends on the item as it was read consistently, because the index may
// lag; the write's condition protects against changes since then.
func (s *Store) expire(ctx context.Context, row item, now time.Time, event func(link.Link) (stream.Event, error)) (bool, error) {
	o, err := decodeLink(row)
	if err != nil || number(row, attrDueAt) == 0 {
		return false, err // no longer in the index: paid or canceled in the meantime
	}

	l, err := s.view(ctx, o.Link)
	if err != nil {
		return false, err
	}

	// The condition: still due, and no event was added since the item was read.
	w := write{key: linkKey(o.Account, o.ID), condition: "attribute_exists(d) AND n = :n", values: values{":n": num(o.count())}}
	if o.count() == 0 {
		w.condition = "attribute_exists(d) AND attribute_not_exists(n)"
		delete(w.values, ":n")
	}

	o.Ahead = s.Ahead(o.Account, o.Mode)
	now = o.At(now)
	switch {
	case number(row, attrDueAt) > micros(now):
		return false, nil // set aside a moment ago, which the index does not show yet
	case o.Ended(): // a payment that released its use made it due again
		w.update = "REMOVE d, e"
	case !l.PaidAt.IsZero(): // used up by its payment: the item now says so itself
		w.update = "SET k = :one, q = :at REMOVE d, e, v"
		w.values[":one"], w.values[":at"] = num(1), num(micros(l.PaidAt))
	case l.Reserved > 0:
		w.update = "SET e = :again"
		w.condition += " AND v = :v"
		w.values[":again"], w.values[":v"] = num(micros(now.Add(heldAgain))), num(o.Reserved)
	default:
		if err := s.recordExpiry(&w, o, now, event); err != nil {
			return false, err
		}
	}

	ended := true
	err = s.commit(ctx, "", []write{w}, func(int, item, bool) error {
		ended = false // paid or canceled in the meantime, or handled by another sweep
		return nil
	})
	return ended && err == nil, err
}

// recordExpiry adds the event and the time of the expiry to the write, on the condition that the
// link's uses are those in the event and that no payment holds one. now is by the account's clock.
func (s *Store) recordExpiry(w *write, o offer, now time.Time, event func(link.Link) (stream.Event, error)) error {
	e, err := event(o.Link)
	if err != nil {
		return err
	}
	// The offset is not part of the stored document.
	o.Ahead = 0
	blob, _, err := seal(o.owner(), o.Link, o.Metadata, o.events, []stream.Event{e})
	if err != nil {
		return err
	}

	// A use that was reserved or completed since the item was read makes the condition fail, and
	// the link stays due.
	w.update = "SET b = :b, n = :m, g = :at REMOVE d, e"
	w.condition += " AND (attribute_not_exists(v) OR v = :none)"
	w.values[":b"], w.values[":m"], w.values[":at"], w.values[":none"] = bin(blob), num(o.count()+1), num(micros(now)), num(0)

	if o.Uses == 0 {
		w.condition += " AND (attribute_not_exists(k) OR k = :none)"
	} else {
		w.condition += " AND k = :k"
		w.values[":k"] = num(o.Uses)
	}
	return nil
}
