package sim_test

import (
	"math/bits"

	"github.com/anishathalye/porcupine"
)

// The sequential models that histories are compared with. They know nothing of leases, holds,
// inquiries or the state machine: only what a payer and a merchant may rely on.

// call is a recorded request.
type call struct {
	what    string // pay, uses; capture, void, refund, read
	attempt int    // of pay
	minor   int64  // of capture and refund
}

func (c call) reads() bool { return c.what == "uses" || c.what == "read" }

// outcome is what the caller of a request learned.
type outcome struct {
	kind string // done, declined, refused, unknown
	code string // of a refusal
	// contended says that another request was under way, or unresolved, at some time during a
	// refused one: it may have held the money or the use.
	contended bool
	uses      int64   // of uses
	paid      account // of read
}

// The kinds of outcomes. The work of an unknown one may have been done at any time until the
// history came to rest.
const (
	done     = "done"
	declined = "declined"
	refused  = "refused"
	unknown  = "unknown"
)

// account is what a merchant sees of a payment.
type account struct {
	phase              string // authorized, captured, voided
	captured, refunded int64
}

// linkModel is a link that at most so many different attempts can pay. Its state is the set of
// attempts that have paid.
func linkModel(most int) porcupine.Model {
	step := func(state, in, out any) []any {
		paid, c, o := state.(uint64), in.(call), out.(outcome)
		used, mine := bits.OnesCount64(paid), uint64(1)<<c.attempt
		after := paid | mine
		possible := bits.OnesCount64(after) <= most
		switch {
		case c.reads():
			return only(o.kind == unknown || int64(used) == o.uses, paid)
		case o.kind == done:
			return only(possible, after)
		case o.kind == declined:
			return only(paid&mine == 0, paid)
		case o.kind == refused && o.code == "link_paid":
			return only(used == most, paid)
		case o.kind == refused: // the last uses are reserved, and not completed
			return only(used < most && o.contended, paid)
		}
		return append(only(possible, after), paid)
	}
	return model(uint64(0), step)
}

// paymentModel is an authorized payment, which is captured or voided once, and whose refunds
// never exceed what was captured.
func paymentModel(authorized int64) porcupine.Model {
	step := func(state, in, out any) []any {
		a, c, o := state.(account), in.(call), out.(outcome)
		after, possible := a.apply(c, authorized)
		switch {
		case c.reads():
			return only(o.kind == unknown || a == o.paid, a)
		case o.kind == done:
			return only(possible, after)
		case o.kind == refused:
			return only(o.contended || !possible, a)
		}
		return append(only(possible, after), a)
	}
	return model(account{phase: "authorized"}, step)
}

// apply returns the account after the request, and whether it is possible.
func (a account) apply(c call, authorized int64) (account, bool) {
	switch {
	case c.what == "capture" && a.phase == "authorized" && c.minor <= authorized:
		return account{"captured", c.minor, 0}, true
	case c.what == "void" && a.phase == "authorized":
		return account{phase: "voided"}, true
	case c.what == "refund" && a.phase == "captured" && a.refunded+c.minor <= a.captured:
		a.refunded += c.minor
		return a, true
	}
	return a, false
}

// only returns the state if it is possible, and otherwise none.
func only(possible bool, state any) []any {
	if possible {
		return []any{state}
	}
	return nil
}

func model(initial any, step func(state, in, out any) []any) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init:  func() []any { return []any{initial} },
		Step:  step,
		Equal: func(a, b any) bool { return a == b },
	}
	return m.ToModel()
}
