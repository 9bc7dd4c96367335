package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/progress"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// overdueAfter is how long a payment may be past its due time before it counts as forgotten
// (I11). A sweep runs every second.
const overdueAfter = 10 * time.Minute

// ErrBroken is returned by Verify if it found a problem.
var ErrBroken = errors.New("the store breaks an invariant")

// relayDelay is how long an event may take from the table to the feed before a running deployment
// counts it as lost.
const relayDelay = 2 * time.Minute

// Verify reads everything as it is at this moment, also while a server runs, and reports every
// invariant that does not hold. A table has no single moment: what looks wrong there is read again
// by itself before it is reported. It returns ErrBroken if it found a problem, and another error if
// it could not check. Each line begins with the invariant's number; docs/operate/verify.md lists
// them.
func Verify(ctx context.Context, cfg Config, out io.Writer) error {
	url, err := cfg.storeURL()
	if err != nil {
		return err
	}

	reports, err := openReportsSnapshot(ctx, cfg, url) // before the store, which then knows at least as much
	if err != nil {
		return fmt.Errorf("open the reports: %w", err)
	}
	analytics, err := openAnalyticsSnapshot(ctx, cfg, url) // as above
	if err != nil {
		return errors.Join(fmt.Errorf("open the analytics store: %w", err), reports.close())
	}
	projections := func() error { return errors.Join(reports.close(), analytics.close()) }
	store, err := sqlstore.OpenSnapshot(ctx, url)
	if err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", cfg.storeName(), err), projections())
	}
	// One moment for all checks that depend on time.
	a := &audit{
		now:       time.Now(),
		emitted:   map[string]uint64{},
		logged:    map[string]uint64{},
		due:       map[string]uint64{},
		taken:     map[string]*uses{},
		seqs:      map[string]int64{},
		sums:      map[sqlstore.Owner]ledger.Balance{},
		payments:  map[string]settled{},
		made:      map[string]string{},
		reports:   reports,
		analytics: analytics,
	}

	// Links and payments come from the table, if there is one; everything else is in the snapshot.
	var from walker = store
	if cfg.PaymentsStore != "" {
		if a.table, err = cfg.openTable(ctx); err != nil {
			return errors.Join(err, store.Close(), projections())
		}
		from = a.table
	}

	// Counting a table would read all of it, so its progress has no total.
	opened, sizes := "", map[string]int64{}
	if a.table == nil {
		sizes, err = store.Sizes(ctx)
	}
	if err == nil {
		a.meter = cfg.Progress.Start("check the database", "pages", 0)
		err = a.read(ctx, store, from, sizes["events"]+sizes["payments"]+sizes["links"])
		if err == nil {
			opened, err = a.openSealed(ctx, cfg, store)
		}
		a.meter.End()
	}

	// The snapshots are closed before the table is read again: an old snapshot holds back the
	// store's log, and lookAgain may take long.
	err = errors.Join(err, store.Close(), projections())
	if err == nil {
		err = a.lookAgain(ctx)
	}
	if err != nil {
		return err
	}
	if err := a.compareBook(cfg.bookPath()); err != nil {
		return err
	}

	// Sorted, so that two runs can be compared.
	slices.Sort(a.broken)
	for _, line := range a.broken {
		if _, err := fmt.Fprintln(out, "BROKEN "+line); err != nil {
			return err
		}
	}

	if _, err := fmt.Fprintln(out, opened); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "checked %d payments, %d links, %d forms, %d events, %d entries of the simulator's book: %d broken\n",
		len(a.payments), a.links, a.forms, a.events, a.entries, len(a.broken))
	if err == nil && len(a.broken) > 0 {
		err = ErrBroken
	}
	return err
}

// uses holds the uses of a link according to its payments: successful ones, and those that a
// payment in progress reserves.
type uses struct{ successful, reserved int64 }

// usesOf returns the uses of a link, which count changes.
func (a *audit) usesOf(linkID string) *uses {
	u := a.taken[linkID]
	if u == nil {
		u = &uses{}
		a.taken[linkID] = u
	}
	return u
}

// count adds a payment's part. Refunded payments have used the link too, but their use may have
// been given back.
func (u *uses) count(p payment.Payment) {
	if p.UseReserved {
		u.reserved++
	}
	switch p.Status {
	case payment.Authorized, payment.Capturing, payment.Succeeded, payment.PartiallyRefunded:
		u.successful++
	default: // not successful, or a late success, which may end without a use of the link
	}
}

// against returns where the link's own counts contradict them, one line for each contradiction.
func (u *uses) against(l link.Link) (wrong []string) {
	if l.MaxUses > 0 && u.successful > l.MaxUses {
		wrong = append(wrong, fmt.Sprintf("I6 %s: %d successful payments, %d allowed", l.ID, u.successful, l.MaxUses))
	}
	if l.Reserved != u.reserved {
		wrong = append(wrong, fmt.Sprintf("I6 %s: %d uses reserved, %d payments in progress", l.ID, l.Reserved, u.reserved))
	}
	if l.Uses < u.successful || (l.MaxUses > 0 && l.Uses+l.Reserved > l.MaxUses) {
		wrong = append(wrong, fmt.Sprintf("I6 %s: uses %d, reserved %d, successful %d of %d", l.ID, l.Uses, l.Reserved, u.successful, l.MaxUses))
	}
	return wrong
}

// lookAgainTries is how often a link whose counts do not match is read.
const lookAgainTries = 3

// settled is what the issuer's book is compared with, for one payment. final means that nothing
// changes by itself any more. Amounts are in minor units.
type settled struct {
	final              bool
	captured, refunded int64
	status             payment.Status
}

// audit collects what Verify has read, and the problems that it has found.
type audit struct {
	now       time.Time
	broken    []string
	emitted   map[string]uint64 // object to the set of its event numbers
	logged    map[string]uint64 // payment to the set of its log entries with an event
	due       map[string]uint64 // those whose events must be in the feed by now
	table     *dynamo.Store     // of links and payments; nil if they are in the snapshot too
	unsure    []link.Link       // read from the table with counts that do not match
	taken     map[string]*uses  // by link
	seqs      map[string]int64  // last event seq by account and mode
	sums      map[sqlstore.Owner]ledger.Balance
	payments  map[string]settled // by reference at the issuer
	links     int
	forms     int
	made      map[string]string // form to one of the links created from it
	events    int
	entries   int
	sealed    int // values that were to be opened
	meter     *progress.Meter
	reports   *reportAudit
	analytics *analyticsAudit
}

// say records a problem.
func (a *audit) say(format string, args ...any) {
	a.broken = append(a.broken, fmt.Sprintf(format, args...))
}

// read visits the events first, so that what the payments of a table report is never newer in the
// feed than in their own logs. An error means that the check could not be finished.
func (a *audit) read(ctx context.Context, s *sqlstore.Store, from walker, total int64) error {
	found, err := s.Intact(ctx)
	if err != nil {
		return err
	}
	for _, f := range found {
		a.say("F21 database: %s", f)
	}

	a.meter.Stage("verify", "objects", total)
	// The sums are compared at the position that the projection has reached, not at the end of the
	// feed.
	projected, position, err := s.ProjectedBalances(ctx)
	if err != nil {
		return err
	}

	if err := s.EachEvent(ctx, counted(a.meter, func(e stream.Event) error { return a.event(e, position) })); err != nil {
		return err
	}

	// The projections before the payments: a row is compared when its payment comes.
	if err := errors.Join(a.reports.rows(ctx, a.say), a.analytics.rows(ctx, a.say)); err != nil {
		return err
	}

	if err := from.EachPayment(ctx, counted2(a.meter, a.payment)); err != nil {
		return err
	}
	if err := from.EachLink(ctx, counted2(a.meter, a.link)); err != nil {
		return err
	}
	if err := from.EachForm(ctx, a.form); err != nil {
		return err
	}
	// What is left over: forms that are missing, rows without an object.
	for form, made := range a.made {
		a.say("%s: its form %s does not exist", made, form)
	}
	a.reports.rest(a.say)
	a.analytics.rest(a.say)

	if err := a.asides(ctx, s, from); err != nil {
		return err
	}
	// Events against log entries, as sets of bits: none that the log does not have, and all that
	// must have arrived.
	for id, want := range a.logged {
		if emitted := a.emitted[id]; emitted&^want != 0 || a.due[id]&^emitted != 0 {
			a.say("I12 %s: log entries %b, events %b", id, want, emitted)
		}
	}

	for o, sum := range a.sums {
		if sum != projected[o] {
			a.say("I1 balance of %s %s %s: the projection has %s/%s, the transfers give %s/%s", o.Account, o.Mode, o.Currency,
				projected[o].Available, projected[o].Pending, sum.Available, sum.Pending)
		}
		if sum.Available.Minor < 0 || sum.Pending.Minor < 0 {
			a.say("I4 balance of %s %s %s is below zero: %s available, %s pending", o.Account, o.Mode, o.Currency, sum.Available, sum.Pending)
		}
	}

	return nil
}

// payment checks one payment by itself, and records what its link, its events and the issuer's book
// must agree with.
func (a *audit) payment(p payment.Payment, damage error) error {
	if damage != nil {
		a.say("F21 %v", damage)
		return nil
	}
	a.broken = append(a.broken, p.Verify()...)

	// An event of a table reaches the feed a little later, so a young log entry is not yet due
	// there.
	for _, e := range p.Log {
		if e.Event != "" && e.Seq < 64 {
			a.logged[p.ID] |= 1 << e.Seq
			if a.table == nil || a.now.Sub(e.At) > relayDelay {
				a.due[p.ID] |= 1 << e.Seq
			}
		}
	}

	a.reports.payment(p, a.say)
	a.analytics.payment(p, a.say)
	a.usesOf(p.Link).count(p)

	if due := p.DueAt(); !due.IsZero() && a.now.Sub(due) > overdueAfter {
		a.say("I11 %s: %s, and due since %s", p.ID, p.Status, due.Format(time.RFC3339))
	}
	// A payment under review waits for a person, so its amounts may still change.
	final := p.DueAt().IsZero() && p.Status != payment.Review
	a.payments[p.IssuerKey()] = settled{final: final, captured: p.CapturedMinor, refunded: p.RefundedMinor, status: p.Status}
	return nil
}

// link checks a link against the uses that its payments have taken. A table changes while it is
// read, so a mismatch there is only noted for lookAgain.
func (a *audit) link(l link.Link, damage error) error {
	a.links++
	if damage != nil {
		a.say("F21 %v", damage)
		return nil
	}
	if l.Form != "" {
		a.made[l.Form] = l.ID
	}

	a.analytics.link(l, a.say)
	wrong := a.usesOf(l.ID).against(l)
	if len(wrong) > 0 && a.table != nil {
		a.unsure = append(a.unsure, l)
		return nil
	}
	a.broken = append(a.broken, wrong...)
	return nil
}

// form comes after the links: the form of any link exists by then.
func (a *audit) form(f link.Form, damage error) error {
	a.forms++
	if damage != nil {
		a.say("F21 %v", damage)
		return nil
	}
	delete(a.made, f.ID)
	return nil
}

// lookAgain reads again, by themselves, the links and payments whose counts did not match: a
// payment that changed during the walk is not a problem.
func (a *audit) lookAgain(ctx context.Context) error {
	for _, l := range a.unsure {
		var wrong []string
		for range lookAgainTries {
			now, err := a.table.GetLink(ctx, l.Account, l.ID)
			if err != nil {
				return err
			}
			all, err := a.table.ListPayments(ctx, payment.Filter{Account: l.Account, Mode: l.Mode, Link: l.ID, Limit: math.MaxInt32})
			if err != nil {
				return err
			}
			// Count again from the payments of this link alone, which are read after the link.
			var u uses
			for _, p := range all {
				u.count(p)
			}
			if wrong = u.against(now); len(wrong) == 0 {
				break
			}
		}
		a.broken = append(a.broken, wrong...)
	}

	return nil
}

// event checks the order of the events of an account and mode, records which log entries they
// report, and adds up the transfers as far as the projection has.
func (a *audit) event(e stream.Event, projectedTo int64) error {
	a.events++
	if e.Damaged != nil {
		a.say("F21 event %s at %d: %v", e.ID, e.Position, e.Damaged)
	}

	// The numbers of an account and mode have no gap and no repetition.
	owner := e.Account + " " + e.Mode
	if e.Seq != a.seqs[owner]+1 {
		a.say("I12 events of %s: seq %d follows %d", owner, e.Seq, a.seqs[owner])
	}
	a.seqs[owner] = e.Seq
	a.reports.event(e)
	a.analytics.event(e)

	// Which entries of the payment's log the feed has reported, as bits.
	if id.Valid(id.Payment, e.Object) && e.ObjectSeq < 64 {
		if a.emitted[e.Object]&(1<<e.ObjectSeq) != 0 {
			a.say("I12 %s: entry %d has two events", e.Object, e.ObjectSeq)
		}
		a.emitted[e.Object] |= 1 << e.ObjectSeq
	}

	// The projection follows the feed. Only the part that it has seen can be compared with it.
	if e.Position > projectedTo {
		return nil
	}
	for _, t := range e.Transfers {
		o := sqlstore.Owner{Account: e.Account, Mode: e.Mode, Currency: t.Currency}
		available, pending := t.Effect(e.Account)
		b := a.sums[o]
		b.Available.Minor += available
		b.Pending.Minor += pending
		b.Available.Currency, b.Pending.Currency = t.Currency, t.Currency
		a.sums[o] = b
	}

	return nil
}

// compareBook compares the payments with the simulator's own book (I6): what is settled here is
// settled there, for the same amounts, and nothing was approved there that is unknown here. Without
// a book there is nothing to compare: the issuer runs elsewhere.
func (a *audit) compareBook(path string) error {
	book, err := simulator.OpenBook(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}

	a.entries = len(book)
	type sums struct {
		approvals          int
		captured, refunded int64
		reversed           bool
		at                 time.Time
	}

	// Add up what the issuer says that it did, by reference.
	theirs := map[string]*sums{}
	for _, e := range book {
		// A refusal changes nothing at the issuer, so only approvals and reversals count.
		if e.Outcome != issuer.Approved && e.Outcome != issuer.Reversed {
			continue
		}
		b := theirs[e.Reference]
		if b == nil {
			b = &sums{at: e.At}
			theirs[e.Reference] = b
		}
		switch e.Kind {
		case simulator.KindAuthorize:
			b.approvals++
			if e.Captured {
				b.captured += e.Minor
			}
		case simulator.KindCapture:
			b.captured += e.Minor
		case simulator.KindRefund:
			b.refunded += e.Minor
		case simulator.KindReverse, simulator.KindTombstone:
			b.reversed = true
		}
	}

	// What the issuer did must be known here, once, and with the same amounts.
	for reference, b := range theirs {
		ours, known := a.payments[reference]
		switch {
		case b.approvals > 1:
			a.say("I6 %s: authorized %d times at the issuer", reference, b.approvals)
		case b.approvals == 1 && !b.reversed && !known && a.now.Sub(b.at) > overdueAfter:
			a.say("I6 %s: approved at the issuer, and not stored", reference)
		case known && ours.final && (ours.captured != b.captured || ours.refunded > b.refunded) && !b.reversed:
			a.say(
				"I6 %s: stored captured %d and refunded %d (%s), at the issuer %d and %d",
				reference,
				ours.captured,
				ours.refunded,
				ours.status,
				b.captured,
				b.refunded,
			)
		}
	}

	// What is captured here must be captured there.
	for reference, ours := range a.payments {
		if b := theirs[reference]; ours.captured > 0 && (b == nil || b.captured < ours.captured) {
			a.say("I6 %s: stored captured %d, and the issuer's book has no such capture", reference, ours.captured)
		}
	}

	return nil
}
