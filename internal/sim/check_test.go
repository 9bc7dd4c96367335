package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// settled lists the statuses in which nothing is in progress.
var settled = []payment.Status{payment.Created, payment.Succeeded, payment.PartiallyRefunded, payment.Refunded, payment.Declined,
	payment.Canceled, payment.Late, payment.Review}

func (s *sim) list(account string) []payment.Payment {
	list, err := s.store.ListPayments(context.Background(), payment.Filter{Account: account, Mode: link.Test, Limit: 1_000_000})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// check checks every invariant of everything that the run stored.
func (s *sim) check() {
	book := s.issuersBook()
	links := map[string][]link.Link{}
	for _, l := range s.all {
		links[l.Account] = append(links[l.Account], l)
	}
	for _, account := range s.accounts {
		list, events := s.list(account), s.events(account)
		s.checkPayments(account, list, events)
		s.checkLinks(links[account], list, events)
		s.compareBooks(list, book)
	}
	for _, first := range s.records {
		s.checks["first answers"]++
		if r, err := s.store.GetIdempotency(s.t.Context(), first.Scope, first.Key); err != nil || !reflect.DeepEqual(*r, first) {
			s.violations++
			s.t.Errorf("I14 the first answer to %s has changed: %v", first.Key, err)
		}
	}
}

// checkPayments checks an account's payments, with their events and balances.
func (s *sim) checkPayments(account string, list []payment.Payment, events map[string][]stream.Event) {
	sheet := ledger.NewSheet()
	s.checks["payments"] += len(list)
	for _, p := range list {
		s.checks["log entries"] += len(p.Log)
		s.checks["events"] += len(events[p.ID])
		for _, broken := range p.Verify() {
			s.broken(p, "%s", broken)
		}
		if !slices.Contains(settled, p.Status) || !p.DueAt().IsZero() {
			s.broken(p, "I11 %s is %s, due at %s", p.ID, p.Status, clock(p.DueAt()))
		}
		if p.Status == payment.Review && p.ReviewReason == "" {
			s.broken(p, "I9 %s is in review for no reason", p.ID)
		}
		for _, e := range p.Log {
			s.checks["transfers"] += len(e.Transfers)
			for _, t := range e.Transfers {
				if err := sheet.Apply(account, t); err != nil {
					s.broken(p, "I1/I5 %v", err)
				}
				if t.Currency != p.Amount.Currency {
					s.broken(p, "I13 %s moved %s", p.ID, t.Currency)
				}
			}
		}
		s.checkEvents(p, events[p.ID])
	}
	balances, err := s.store.Balances(context.Background(), account, link.Test)
	if err != nil {
		s.t.Fatal(err)
	}
	for currency, want := range sheet.Funds {
		s.checks["balances"]++
		if balances[currency] != *want {
			s.violations++
			s.t.Errorf("I1 the balance of %s is %v, the sum of its transfers %v", currency, balances[currency], *want)
		}
		if want.Available.Minor < 0 || want.Pending.Minor < 0 {
			s.violations++
			s.t.Errorf("I4 %s: %v", currency, *want)
		}
	}
}

// checkEvents checks that each log entry that callers see has exactly one event.
func (s *sim) checkEvents(p payment.Payment, events []stream.Event) {
	for _, e := range p.Log {
		if e.Event == "" {
			continue
		}
		if len(events) == 0 || events[0].ObjectSeq != e.Seq || events[0].Type != e.Event || len(events[0].Transfers) != len(e.Transfers) {
			s.broken(p, "I12 %s: entry %d (%s) has no event", p.ID, e.Seq, e.Event)
			return
		}
		events = events[1:]
	}
	if len(events) != 0 {
		s.broken(p, "I12 %s: %d events too many, the first is %s, entry %d", p.ID, len(events), events[0].Type, events[0].ObjectSeq)
	}
}

// Events by object; their places have no gap.
func (s *sim) events(account string) map[string][]stream.Event {
	events := map[string][]stream.Event{}
	seq := int64(0)
	for {
		page, err := s.store.Events(context.Background(), account, link.Test, seq, 500)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(page) == 0 {
			return events
		}
		for _, e := range page {
			if seq++; e.Seq != seq {
				s.t.Fatalf("I12 event %d stands at place %d", seq, e.Seq)
			}
			events[e.Object] = append(events[e.Object], e)
		}
	}
}

// checkLinkEvents checks that an event of a link has the status that its type names, that an
// expiry is reported once, and that a link is paid after it only by a late success.
func (s *sim) checkLinkEvents(l link.Link, events []stream.Event, payments []payment.Payment) {
	late := slices.ContainsFunc(payments, func(p payment.Payment) bool {
		return slices.ContainsFunc(p.Log, func(e payment.Entry) bool { return e.To == payment.Late })
	})
	status := map[string]string{link.EventCreated: link.Open, link.EventPaid: link.Paid, link.EventExpired: link.Expired,
		link.EventCanceled: link.Canceled}
	expired := 0
	for _, e := range events {
		var o struct{ Status string }
		if err := json.Unmarshal(e.Data, &o); err != nil || o.Status != status[e.Type] {
			s.brokenLink(payments, "I12 %s of %s carries %s, %v", e.Type, l.ID, e.Data, err)
		}
		switch {
		case e.Type == link.EventExpired:
			expired++
		case e.Type == link.EventPaid && expired > 0 && !late:
			s.brokenLink(payments, "I12 %s was reported as expired, and then paid by a payment that was under way", l.ID)
		}
	}
	if (expired == 1) == l.ExpiredAt.IsZero() || expired > 1 {
		s.brokenLink(payments, "I12 %s expired at %s, and that is reported %d times", l.ID, clock(l.ExpiredAt), expired)
	}
}

// checkLinks compares the uses of an account's links with the payments that took one (I6).
func (s *sim) checkLinks(links []link.Link, list []payment.Payment, events map[string][]stream.Event) {
	byLink := map[string][]payment.Payment{}
	for _, p := range list {
		byLink[p.Link] = append(byLink[p.Link], p)
	}
	s.checks["links"] += len(links)
	for _, old := range links {
		l, err := s.store.GetLink(context.Background(), old.Account, old.ID)
		if err != nil {
			s.t.Fatal(err)
		}
		s.checks["events"] += len(events[l.ID])
		s.checkLinkEvents(l, events[l.ID], byLink[l.ID])
		var uses, reserved, kept int64
		for _, p := range byLink[l.ID] {
			if p.UseReserved {
				reserved++
			}
			approvals := int64(0)
			for _, e := range p.Log {
				if (e.To == payment.Authorized || e.To == payment.Succeeded || e.To == payment.Late) && e.From != payment.Late &&
					e.From != payment.Capturing && e.From != payment.Voiding && e.From != e.To {
					approvals++
				}
			}
			uses += min(approvals, 1)
			if p.CapturedMinor > p.RefundedMinor && p.Refundable().Minor > 0 {
				kept++
			}
		}
		if l.Reserved != reserved {
			s.brokenLink(byLink[l.ID], "I6 link %s has %d uses reserved, its payments %d", l.ID, l.Reserved, reserved)
		}
		// A success that found no use left was reversed and took none.
		if l.Uses > uses || (l.MaxUses > 0 && (l.Uses > l.MaxUses || kept > l.MaxUses)) || (l.MaxUses == 0 && l.Uses != uses) {
			s.brokenLink(byLink[l.ID], "I6 link %s of %d uses: %d completed, %d approved, %d kept", l.ID, l.MaxUses, l.Uses, uses, kept)
		}
	}
}

// brokenLink reports a broken invariant of a link, with the stories of its payments.
func (s *sim) brokenLink(payments []payment.Payment, format string, args ...any) {
	s.t.Helper()
	s.violations++
	text := fmt.Sprintf(format, args...)
	for _, p := range payments {
		text += s.story(p)
	}
	s.t.Errorf("%s", text)
}

type theirs struct {
	approved, captured, reversed int64
	refunds                      map[string]int64
}

// issuersBook returns the sums of the issuer's book by reference.
func (s *sim) issuersBook() map[string]*theirs {
	entries := s.issuer.Book()
	book := make(map[string]*theirs, len(entries)/2)
	s.checks["lines of the issuer's book"] += len(entries)
	for _, e := range entries {
		b := book[e.Reference]
		if b == nil {
			b = &theirs{refunds: map[string]int64{}}
			book[e.Reference] = b
		}
		switch {
		case e.Kind == simulator.KindAuthorize && e.Outcome == issuer.Approved:
			b.approved += e.Minor
			if e.Captured {
				b.captured += e.Minor
			}
		case e.Kind == simulator.KindCapture && e.Outcome == issuer.Approved:
			b.captured += e.Minor
		case e.Kind == simulator.KindRefund && e.Outcome == issuer.Approved:
			b.refunds[e.ID] += e.Minor
		case e.Kind == simulator.KindReverse && e.Outcome == issuer.Reversed:
			b.reversed += e.Minor
		}
	}
	return book
}

// compareBooks compares payments with the issuer's book.
func (s *sim) compareBooks(list []payment.Payment, book map[string]*theirs) {
	for _, p := range list {
		if p.Status == payment.Review {
			continue // a person reviews it, because the books differ
		}
		for try := 1; try <= p.Try; try++ {
			s.checks["authorizations in both books"]++
			b := book[fmt.Sprintf("%s-%d", p.ID, try)]
			if b == nil {
				b = &theirs{}
			}
			ours := theirs{refunds: map[string]int64{}}
			if try == p.Try && p.Status != payment.Canceled {
				ours.approved, ours.captured = p.AuthorizedMinor, p.CapturedMinor
			} else if b.reversed == b.approved || b.approved == 0 {
				ours.approved, ours.reversed = b.approved, b.reversed // either way, nothing is left
			}
			for _, r := range p.Refunds {
				if r.Status == payment.RefundSucceeded && try == p.Try {
					ours.refunds[r.ID] = r.Minor
				}
			}
			if ours.approved != b.approved || ours.captured != b.captured || ours.reversed != b.reversed || !maps.Equal(ours.refunds, b.refunds) {
				s.broken(p, "the books differ at try %d of %s (%s): ours %v, theirs %v", try, p.ID, p.Status, ours, *b)
			}
		}
	}
}
