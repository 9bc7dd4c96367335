package payment

import (
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
)

// disputeReasons are the reasons of a dispute. Most networks' reasons map to them.
var disputeReasons = []string{"fraudulent", "product_not_received", "duplicate", "unrecognized", "other"}

// MaxDisputeReferenceBytes bounds the issuer's reference of a dispute.
const MaxDisputeReferenceBytes = 100

// DisputeInput opens a dispute or changes its state. It names a dispute by ID or by the
// issuer's Reference, which is unique within the payment. A reference that the payment does not
// have opens a new dispute. Empty fields stay as they are.
type DisputeInput struct {
	ID            string
	Reference     string
	Reason        string // fraudulent, product_not_received, duplicate, unrecognized, other
	Amount        string // decimal; "" is all that was captured
	State         string // "" opens one that needs a response
	EvidenceDueAt time.Time
}

// Claims reports whether the issuer returns the disputed money to the payer, or may do so:
// every dispute claims money but one that the merchant won.
func (d Dispute) Claims() bool { return d.State != DisputeWon }

// Disputed returns the sum of the disputes that claim money.
func (p Payment) Disputed() money.Amount {
	minor := int64(0)
	for _, d := range p.Disputes {
		if d.Claims() {
			minor += d.Minor
		}
	}
	return p.sum(minor)
}

// Undisputed returns what can be refunded without paying twice: the refundable money that no
// dispute claims.
func (p Payment) Undisputed() money.Amount {
	return p.sum(max(0, p.Refundable().Minor-p.Disputed().Minor))
}

// claimed returns the fault for a refund of money that disputes claim.
func (s *step) claimed(free int64, out string) error {
	var names []string
	for _, d := range s.p.Disputes {
		switch {
		case !d.Claims():
		case d.State == DisputeLost:
			names = append(names, d.ID+", lost")
		case d.EvidenceDueAt.IsZero():
			names = append(names, d.ID+", open")
		default:
			names = append(names, d.ID+", open until "+d.EvidenceDueAt.Format(time.DateOnly))
		}
	}
	most := "Nothing else can be refunded"
	if free > 0 {
		most = "Refund at most " + s.amount(free).String()
	}
	return conflict(
		"payment_disputed",
		"%s of this payment is disputed (%s): the issuer may give it back to the payer, and refunding it too would pay twice. %s; or %s.",
		s.p.Disputed(),
		strings.Join(names, "; "),
		most,
		out,
	)
}

// Closed reports whether the dispute has ended.
func (d Dispute) Closed() bool { return d.State == DisputeWon || d.State == DisputeLost }

// DisputeByID returns the dispute with that id, and whether the payment has it.
func (p Payment) DisputeByID(id string) (Dispute, bool) {
	return p.dispute(func(d Dispute) bool { return d.ID == id })
}

// DisputeByReference returns the dispute with the issuer's reference, and whether the payment
// has it.
func (p Payment) DisputeByReference(reference string) (Dispute, bool) {
	return p.dispute(func(d Dispute) bool { return reference != "" && d.Reference == reference })
}

func (p Payment) dispute(want func(Dispute) bool) (Dispute, bool) {
	if i := slices.IndexFunc(p.Disputes, want); i >= 0 {
		return p.Disputes[i], true
	}
	return Dispute{}, false
}

// disputed opens a dispute or changes its state. No money moves: what the acquirer takes back
// is settled with the acquirer. Until a dispute is won, its amount can't be refunded too. A
// refund that was requested before goes on, because its money may have left already.
func (s *step) disputed() error {
	in := s.in.Dispute
	if err := in.check(); err != nil {
		return err
	}
	at := slices.IndexFunc(s.p.Disputes, func(d Dispute) bool {
		return (in.ID != "" && d.ID == in.ID) || (in.ID == "" && in.Reference != "" && d.Reference == in.Reference) ||
			(in.ID == "" && d.ID == s.in.DisputeID)
	})
	switch {
	case at >= 0:
		return s.disputeMoves(at)
	case in.ID != "":
		return fault.NotFound("dispute")
	}
	return s.disputeOpens()
}

func (in DisputeInput) check() error {
	switch in.State {
	case "", DisputeNeedsResponse, DisputeUnderReview, DisputeWon, DisputeLost:
	default:
		return fault.Invalid("state", "parameter_invalid", "A dispute's state is needs_response, under_review, won or lost.")
	}
	if in.Reason != "" && !slices.Contains(disputeReasons, in.Reason) {
		return fault.Invalid(
			"reason",
			"parameter_invalid",
			"A dispute's reason is fraudulent, product_not_received, duplicate, unrecognized or other.",
		)
	}
	if len(in.Reference) > MaxDisputeReferenceBytes {
		return fault.Invalid("reference", "too_long", "The reference has at most %d bytes.", MaxDisputeReferenceBytes)
	}
	return issuer.NoNumber("reference", in.Reference)
}

func (s *step) disputeOpens() error {
	p, in := &s.p, s.in.Dispute
	minor, err := s.minor(p.CapturedMinor)
	if err != nil {
		return err
	}
	switch {
	case p.CapturedMinor == 0:
		return conflict("payment_not_disputable", "Nothing was captured of a payment that is %s: there is nothing to dispute.", p.Status.Public())
	case minor < 0 || minor > p.CapturedMinor:
		return fault.Invalid("amount", "amount_too_large", "At most the captured %s can be disputed.", s.amount(p.CapturedMinor))
	case len(p.Disputes) >= MaxDisputes:
		return conflict("too_many_disputes", "A payment has at most %d disputes.", MaxDisputes)
	}

	d := Dispute{ID: s.in.DisputeID, Minor: minor, Reason: in.Reason, State: in.State, Reference: in.Reference,
		EvidenceDueAt: in.EvidenceDueAt.UTC().Truncate(time.Microsecond), CreatedAt: s.in.At}
	if d.Reason == "" {
		d.Reason = "other"
	}
	if d.State == "" {
		d.State = DisputeNeedsResponse
	}
	if d.Closed() {
		d.ClosedAt = s.in.At
	}
	p.Disputes = append(p.Disputes, d)
	s.stay(Entry{Reason: ReasonDisputeOpened, Code: d.Reason, Amount: s.amount(minor), Event: "dispute.created"})
	if d.Closed() {
		s.stay(Entry{Reason: stateReasons[d.State], Event: "dispute.closed"})
	}
	return nil
}

// disputeMoves changes a dispute's state: needs_response, then under_review, then won or lost,
// which end it. A step back is refused. Input that changes nothing is no step.
func (s *step) disputeMoves(at int) error {
	d, in := &s.p.Disputes[at], s.in.Dispute
	next := *d
	if in.State != "" {
		next.State = in.State
	}
	if !in.EvidenceDueAt.IsZero() {
		next.EvidenceDueAt = in.EvidenceDueAt.UTC().Truncate(time.Microsecond)
	}
	if in.Reason != "" {
		next.Reason = in.Reason
	}
	if in.Reference != "" && d.Reference == "" {
		if _, taken := s.p.DisputeByReference(in.Reference); !taken {
			next.Reference = in.Reference
		}
	}
	switch {
	case next == *d:
		return nil
	case d.Closed():
		return conflict("dispute_closed", "The dispute was %s; it does not move any more.", d.State)
	case d.State == DisputeUnderReview && next.State == DisputeNeedsResponse:
		return conflict("dispute_state_conflict", "A dispute under review does not need a response again.")
	}

	event := "dispute.updated"
	if next.Closed() {
		next.ClosedAt, event = s.in.At, "dispute.closed"
	}

	*d = next
	s.stay(Entry{Reason: stateReasons[next.State], Event: event})
	return nil
}

func (p Payment) verifyDisputes(say func(invariant, format string, args ...any)) {
	references := map[string]bool{}
	for _, d := range p.Disputes {
		switch {
		case d.Minor <= 0 || d.Minor > p.CapturedMinor:
			say("dispute", "%s is over %d of %d", d.ID, d.Minor, p.CapturedMinor)
		case d.Closed() == d.ClosedAt.IsZero():
			say("dispute", "%s is %s, and does not say when it ended", d.ID, d.State)
		case d.Reference != "" && references[d.Reference]:
			say("dispute", "two disputes are %q at the issuer", d.Reference)
		}
		references[d.Reference] = true
	}
	if len(p.Disputes) > MaxDisputes {
		say("dispute", "%d disputes", len(p.Disputes))
	}
}
