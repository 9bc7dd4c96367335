package payment

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/stream"
)

func (s *step) transferID(n int) string {
	return s.p.ID + "." + strconv.Itoa(len(s.p.Log)+1) + "." + strconv.Itoa(n)
}

// to appends a transition and enters the status.
func (s *step) to(status Status, reason, event string, moves ...ledger.Transfer) {
	s.entry(Entry{To: status, Reason: reason, Event: event, IssuerReference: s.in.Answer.IssuerReference, Transfers: moves})
}

// entry completes the entry with the facts after it, chains it to the log, and
// makes its event.
func (s *step) entry(e Entry) {
	p := &s.p
	e.Seq, e.At, e.From, e.Actor, e.Change = int64(len(p.Log))+1, s.in.At, p.Status, s.in.Actor, s.in.Change
	p.Status = e.To
	e.Authorized, e.Captured, e.Refunded = p.AuthorizedMinor, p.CapturedMinor, p.RefundedMinor
	e.Review, e.Label = p.Risk.Review, p.Risk.Label
	for _, t := range e.Transfers {
		if err := t.Check(); err != nil {
			s.err = err
		}
	}
	e.Hash = chain(p.ID, p.Log, e)
	p.Log = append(p.Log, e)
	p.UpdatedAt = s.in.At
	s.change.Entries = append(s.change.Entries, e)
	if e.Event == "" {
		return
	}
	var object any = Object(*p)
	if e.Refund != "" {
		r, _ := p.RefundByID(e.Refund)
		object = RefundObject(*p, r)
	}
	data, err := json.Marshal(object)
	if err != nil {
		s.err = err
	}
	s.change.Events = append(s.change.Events, stream.Event{
		ID: id.Derive(id.Event, p.ID, strconv.FormatInt(e.Seq, 10)), Type: e.Event, Account: p.Account, Mode: p.Mode,
		Object: p.ID, ObjectSeq: e.Seq, CreatedAt: e.At, Data: data, Transfers: e.Transfers})
}

// chain gives the hash of the next entry: SHA-256 over the hash before it (for
// the first, the payment's id) and the entry's JSON without its hash.
func chain(paymentID string, log []Entry, e Entry) string {
	before := paymentID
	if len(log) > 0 {
		before = log[len(log)-1].Hash
	}
	e.Hash = ""
	raw, err := json.Marshal(e)
	if err != nil {
		return "" // never verifies
	}
	sum := sha256.Sum256(append([]byte(before+"\n"), raw...))
	return hex.EncodeToString(sum[:])
}

// Verify checks a payment against its own log: gap-free, chained (I7), its facts
// the fold of the log (I8), its sums within bounds (I2, I3), its transfers
// balanced and each resolved at most once (I1, I5). It names what is broken.
func (p Payment) Verify() []string {
	var broken []string
	say := func(invariant, format string, args ...any) {
		broken = append(broken, invariant+" "+p.ID+": "+fmt.Sprintf(format, args...))
	}
	sheet := ledger.NewSheet()
	status := None
	var last Entry
	for i, e := range p.Log {
		if e.Seq != int64(i)+1 {
			say("I7", "entry %d has seq %d", i+1, e.Seq)
		}
		if e.Hash == "" || e.Hash != chain(p.ID, p.Log[:i], e) {
			say("I7", "the hash of entry %d does not fit", e.Seq)
		}
		if e.From != status {
			say("I8", "entry %d leaves %q, but the payment was %q", e.Seq, e.From, status)
		}
		if e.Event == "" && e.From.Public() != e.To.Public() && e.To != Voiding && e.To != Capturing && e.From != Voiding && e.From != Capturing {
			say("I12", "entry %d tells nobody", e.Seq)
		}
		for _, t := range e.Transfers {
			if err := sheet.Apply(p.Account, t); err != nil {
				say("I1/I5", "%v", err)
			}
		}
		status, last = e.To, e
	}
	if status != p.Status {
		say("I8", "the log ends in %q, the payment says %q", status, p.Status)
	}
	if last.Authorized != p.AuthorizedMinor || last.Captured != p.CapturedMinor || last.Refunded != p.RefundedMinor {
		say("I8", "the sums of the log differ from the payment's")
	}
	if p.CapturedMinor > p.AuthorizedMinor {
		say("I2", "captured %d of %d", p.CapturedMinor, p.AuthorizedMinor)
	}
	if p.RefundedMinor > p.CapturedMinor || p.Refundable() < 0 {
		say("I3", "refunded %d (with holds %d) of %d", p.RefundedMinor, p.CapturedMinor-p.Refundable(), p.CapturedMinor)
	}
	if b := sheet.Funds[p.Amount.Currency]; b != nil {
		if b.Available.Minor != p.Refundable() || b.Available.Minor < 0 || b.Pending.Minor < 0 {
			say("I4", "the ledger says %s available", b.Available)
		}
	} else if p.CapturedMinor != 0 {
		say("I8", "captured without a transfer")
	}
	p.verifyRisk(say)
	return broken
}
