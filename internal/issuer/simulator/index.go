package simulator

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
)

// key identifies a reference or an operation id: 128 bits of SHA-256, so that the size of the
// index does not depend on their length.
type key [16]byte

// keyOf returns the key of a reference or an id.
func keyOf(name string) key {
	sum := sha256.Sum256([]byte(name))
	return key(sum[:16])
}

// authorization is what the index keeps of a reference. It holds no pointer and no text: a
// reference costs about a hundred bytes with its share of the map, and the garbage collector
// has nothing to scan in it.
type authorisation struct {
	minor    int64 // held by the issuer
	captured int64
	refunded int64
	at       int64 // microseconds: when the issuer decided; of a pending one, when it will
	currency [3]byte
	last4    [4]byte
	status   issuer.Outcome // Approved, Declined, ActionRequired, Reversed or Pending
	why      reason
	does     behaviour
	oneStep  bool // capture was requested with the authorization
	unseen   bool // reversed before it was seen: a tombstone
}

// operation is what the index keeps of a capture, refund or reversal.
type operation struct {
	authorisation key
	minor         int64 // as asked
	at            int64 // microseconds
	currency      [3]byte
	kind          byte // first letter of the kind; a tombstone is a reversal
	outcome       issuer.Outcome
	why           reason
}

// index is the fold of the journal. Live calls and replay share apply, so a restart finds what
// was answered before.
type index struct {
	authorisations map[key]authorisation
	operations     map[key]operation
	challenges     map[key]place // by reference: the line with the challenge's texts
}

// newIndex returns an empty index.
func newIndex() *index {
	return &index{authorisations: map[key]authorisation{}, operations: map[key]operation{}, challenges: map[key]place{}}
}

// kindByte returns the letter of a kind, which no other kind has.
func kindByte(k Kind) byte {
	if k == KindTombstone {
		k = KindReverse
	}
	if k == KindRefund {
		return 'f' // reverse has the r
	}
	return k[0]
}

// currencyOf returns the currency of its bytes, or "" if there is none.
func currencyOf(b [3]byte) money.Currency {
	if b[0] == 0 {
		return ""
	}
	return money.Currency(b[:])
}

// currencyBytes is the inverse of currencyOf.
func currencyBytes(c money.Currency) (b [3]byte) {
	copy(b[:], c)
	return b
}

// apply adds one record. An error means that no correct journal contains it: an unknown
// name, an operation on nothing, or one that moves more than there is. The index is
// unchanged then.
func (x *index) apply(r record, p place) error {
	outcome, ok := outcomeOf(r.Outcome)
	if !ok {
		return fmt.Errorf("unknown outcome %q", r.Outcome)
	}

	why, ok := reasonOf(r.Reason)
	if !ok {
		return fmt.Errorf("unknown reason %q", r.Reason)
	}

	does, ok := behaviourOf(r.Behaviour)
	if !ok {
		return fmt.Errorf("unknown behaviour %q", r.Behaviour)
	}

	k := keyOf(r.Reference)
	a, seen := x.authorisations[k]
	switch r.Kind {
	case KindAuthorize:
		return x.applyAuthorise(k, a, seen, r, p, outcome, why, does)
	case KindCapture:
		if outcome == issuer.Approved {
			a.captured = r.Minor
		}
	case KindRefund:
		if outcome == issuer.Approved {
			a.refunded += r.Minor
		}
	case KindReverse:
		if outcome == issuer.Reversed && a.status != issuer.Declined {
			a.status = issuer.Reversed
			a.at = r.At.UnixMicro()
			// What was held is free now; a declined authorization stays declined.
			a.does = plain // the card's behavior applies to its authorization only
		}
	case KindTombstone:
		if seen {
			return fmt.Errorf("a tombstone for %q, which was seen", r.Reference)
		}
		a, seen = authorisation{status: issuer.Reversed, at: r.At.UnixMicro(), unseen: true}, true
	default:
		return fmt.Errorf("unknown kind %q", r.Kind)
	}

	if !seen && outcome != issuer.Declined {
		return fmt.Errorf("%s of %q, which was never authorised", r.Kind, r.Reference)
	}
	if a.captured > a.minor || a.refunded > a.captured || a.captured < 0 || a.refunded < 0 {
		return fmt.Errorf("%s of %q moves more than is there", r.Kind, r.Reference)
	}
	if seen {
		x.authorisations[k] = a
	}
	if r.ID != "" {
		x.operations[keyOf(r.ID)] = operation{authorisation: k, minor: r.Asked, currency: currencyBytes(r.AskedCurrency),
			at: r.At.UnixMicro(), kind: kindByte(r.Kind), outcome: outcome, why: why}
	}
	return nil
}

// applyAuthorise adds an authorization, or the decision of one that was pending or
// challenged. The refused original of a tombstone changes nothing but that it was seen.
func (x *index) applyAuthorise(k key, a authorisation, seen bool, r record, p place, outcome issuer.Outcome, why reason,
	does behaviour) error {
	switch {
	case seen && a.status == issuer.Reversed && a.unseen && outcome == issuer.Declined:
		a.unseen = false // the refused original is in the book now; the reversal stands
		x.authorisations[k] = a
		return nil
	case seen && a.status != issuer.Pending && a.status != issuer.ActionRequired:
		return fmt.Errorf("%q is authorised twice", r.Reference)
	// What an approved entry needs to be compared and shown.
	case len(r.Currency) != 3 && outcome == issuer.Approved, len(r.Last4) > 4:
		return fmt.Errorf("%q has no currency or a long card number", r.Reference)
	}

	a = authorisation{minor: r.Minor, at: r.At.UnixMicro(), currency: currencyBytes(r.Currency), status: outcome, why: why, does: does,
		oneStep: r.Captured}
	copy(a.last4[:], r.Last4)
	switch outcome {
	case issuer.Approved:
		if r.Captured {
			a.captured = r.Minor
		}
	case issuer.Pending:
		a.at = r.DueAt.UnixMicro()
	case issuer.ActionRequired:
		x.challenges[k] = p
	default: // declined, or reversed
	}
	x.authorisations[k] = a
	return nil
}

// fromMicro returns the time of microseconds since 1970.
func fromMicro(us int64) time.Time { return time.UnixMicro(us).UTC() }
