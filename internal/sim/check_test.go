package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
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

func (s *sim) payments(account string) []payment.Payment {
	list, err := s.store.ListPayments(context.Background(), payment.Filter{Account: account, Mode: link.Test, Limit: 1_000_000})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// checkAccount checks every invariant of an account's payments, events and balances.
func (s *sim) checkAccount(account string) {
	list := s.payments(account)
	told := s.events(account)
	sheet := ledger.NewSheet()
	statuses := map[payment.Status]int{}
	for _, p := range list {
		statuses[p.Status]++
		for _, broken := range p.Verify() {
			s.t.Errorf("%s; %s", broken, story(p))
		}
		if !slices.Contains(settled, p.Status) || !p.DueAt().IsZero() {
			s.t.Errorf("I11 %s is %s, due at %s: %s", p.ID, p.Status, p.DueAt(), story(p))
		}
		if p.Status == payment.Review && p.ReviewReason == "" {
			s.t.Errorf("I9 %s is in review for no reason", p.ID)
		}
		events := told[p.ID]
		for _, e := range p.Log {
			for _, t := range e.Transfers {
				if err := sheet.Apply(account, t); err != nil {
					s.t.Errorf("I1/I5 %v", err)
				}
				if t.Currency != p.Amount.Currency {
					s.t.Errorf("I13 %s moved %s", p.ID, t.Currency)
				}
			}
			if e.Event == "" {
				continue
			}
			if len(events) == 0 || events[0].ObjectSeq != e.Seq || events[0].Type != e.Event || len(events[0].Transfers) != len(e.Transfers) {
				s.t.Fatalf("I12 %s: entry %d (%s) has no event of its own", p.ID, e.Seq, e.Event)
			}
			events = events[1:]
		}
		if len(events) != 0 {
			s.t.Errorf("I12 %s: %d events too many, the first is %s, entry %d; %s", p.ID, len(events), events[0].Type, events[0].ObjectSeq, story(p))
		}
	}
	s.t.Logf("%s: %d payments %v", account, len(list), statuses)
	balances, err := s.store.Balances(context.Background(), account, link.Test)
	if err != nil {
		s.t.Fatal(err)
	}
	for currency, want := range sheet.Funds {
		if balances[currency] != *want {
			s.t.Errorf("the balance of %s is %v, the fold %v", currency, balances[currency], *want)
		}
		if want.Available.Minor < 0 || want.Pending.Minor < 0 {
			s.t.Errorf("I4 %s: %v", currency, *want)
		}
	}
	s.compareBooks(list)
}

// Events by object; their places have no gap.
func (s *sim) events(account string) map[string][]stream.Event {
	told := map[string][]stream.Event{}
	seq := int64(0)
	for {
		page, err := s.store.Events(context.Background(), account, link.Test, seq, 500)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(page) == 0 {
			return told
		}
		for _, e := range page {
			if seq++; e.Seq != seq {
				s.t.Fatalf("I12 event %d stands at place %d", seq, e.Seq)
			}
			told[e.Object] = append(told[e.Object], e)
		}
	}
}

// checkLinkEvents checks that an event of a link has the status that its type names, that an
// expiry is reported once, and that a link is paid after it only by a late success.
func (s *sim) checkLinkEvents(l link.Link, events []stream.Event, payments []payment.Payment) {
	late := slices.ContainsFunc(payments, func(p payment.Payment) bool {
		return slices.ContainsFunc(p.Log, func(e payment.Entry) bool { return e.To == payment.Late })
	})
	status := map[string]string{link.EventCreated: link.Open, link.EventPaid: link.Paid, link.EventExpired: link.Expired, link.EventCanceled: link.Canceled}
	expired := 0
	for _, e := range events {
		var o struct{ Status string }
		if err := json.Unmarshal(e.Data, &o); err != nil || o.Status != status[e.Type] {
			s.t.Errorf("%s of %s carries %s, %v", e.Type, l.ID, e.Data, err)
		}
		switch {
		case e.Type == link.EventExpired:
			expired++
		case e.Type == link.EventPaid && expired > 0 && !late:
			s.t.Errorf("%s was reported as expired, and then paid by a payment that was under way", l.ID)
		}
	}
	if (expired == 1) == l.ExpiredAt.IsZero() || expired > 1 {
		s.t.Errorf("%s expired at %s, and that is reported %d times", l.ID, l.ExpiredAt, expired)
	}
}

// checkLinks compares each link's uses with the payments that took one, and with the
// authorizations at the issuer (I6).
func (s *sim) checkLinks() {
	byLink := map[string][]payment.Payment{}
	seen := map[string]bool{}
	for _, l := range s.all {
		if seen[l.Account] {
			continue
		}
		seen[l.Account] = true
		for _, p := range s.payments(l.Account) {
			byLink[p.Link] = append(byLink[p.Link], p)
		}
	}
	told := map[string]map[string][]stream.Event{}
	for account := range seen {
		told[account] = s.events(account)
	}
	for _, old := range s.all {
		l, err := s.store.GetLink(context.Background(), old.Account, old.ID)
		if err != nil {
			s.t.Fatal(err)
		}
		s.checkLinkEvents(l, told[l.Account][l.ID], byLink[l.ID])
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
			s.t.Errorf("link %s has %d uses reserved, its payments %d", l.ID, l.Reserved, reserved)
		}
		// A success that found no use left was reversed and took none.
		if l.Uses > uses || (l.MaxUses > 0 && (l.Uses > l.MaxUses || kept > l.MaxUses)) || (l.MaxUses == 0 && l.Uses != uses) {
			s.t.Errorf("I6 link %s of %d uses: %d completed, %d approved, %d kept", l.ID, l.MaxUses, l.Uses, uses, kept)
		}
	}
}

type theirs struct {
	approved, captured, reversed int64
	refunds                      map[string]int64
}

// compareBooks compares the account's payments with the issuer's book.
func (s *sim) compareBooks(list []payment.Payment) {
	book := map[string]*theirs{}
	for _, e := range s.issuer.Book() {
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
	for _, p := range list {
		for try := 1; try <= p.Try; try++ {
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
			if p.Status == payment.Review {
				continue // a person reviews it, because the books differ
			}
			for _, r := range p.Refunds {
				if r.Status == payment.RefundSucceeded && try == p.Try {
					ours.refunds[r.ID] = r.Minor
				}
			}
			if fmt.Sprint(ours) != fmt.Sprint(*b) && !(len(ours.refunds) == 0 && len(b.refunds) == 0 &&
				ours.approved == b.approved && ours.captured == b.captured && ours.reversed == b.reversed) {
				s.t.Errorf("the books differ at try %d of %s (%s): ours %v, theirs %v; %s", try, p.ID, p.Status, ours, *b, story(p))
			}
		}
	}
}

func story(p payment.Payment) (s string) {
	for _, e := range p.Log {
		s += fmt.Sprintf("%s (%s, %s) / ", e.To, e.Actor, e.Reason)
	}
	return s
}
