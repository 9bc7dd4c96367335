package payment

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/stream"
)

// transferID returns the id of the transfer in the next log entry. It ends with the transfer's place
// in the entry, which is 0.
func (s *step) transferID() string {
	return s.p.ID + "." + strconv.Itoa(len(s.p.Log)+1) + ".0"
}

// to enters the status and appends the entry, with the issuer's reference of the answer.
func (s *step) to(status Status, e Entry) {
	e.To, e.IssuerReference = status, s.in.Answer.IssuerReference
	s.entry(e)
}

// stay appends an entry that leaves the status as it is.
func (s *step) stay(e Entry) {
	e.To = s.p.Status
	s.entry(e)
}

// entry fills in the facts after the step, chains the entry to the log, and adds its event.
func (s *step) entry(e Entry) {
	p := &s.p
	e.Seq, e.At, e.From, e.Actor, e.Change = int64(len(p.Log))+1, s.in.At, p.Status, s.in.Actor, s.in.Change
	p.Status = e.To
	if e.By == "" && s.in.Actor == "merchant" {
		e.By = s.in.By
	}
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

// chain returns the hash of the next entry: SHA-256 over the hash before it (for the first, the
// payment's id) and the entry's JSON without its hash.
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
