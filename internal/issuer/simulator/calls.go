package simulator

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
)

// notSent returns the answer of a call that reached no issuer.
func notSent(why string) issuer.Answer {
	return issuer.Answer{Outcome: issuer.NotSent, Message: why}
}

// The answers that depend on nothing. noAnswer is ambiguous: the issuer may have acted.
var (
	tooLate  = notSent("The deadline had passed before anything was sent.")
	isClosed = notSent("The simulator is closed.")
	badNames = notSent("A reference and an operation's id have 1 to 200 bytes.")
	noCard   = notSent("There is no card to authorise.")
	noBook   = notSent("The issuer's book cannot be written.")
	noAnswer = issuer.Answer{Outcome: issuer.Ambiguous, Message: "The issuer did not answer."}
)

// nameOK reports whether a reference or an id has a length that fits the book.
func nameOK(s string) bool { return s != "" && len(s) <= maxNameBytes }

// Authorize decides by the card's number. The entry is in the book before the answer is
// given. A known reference gets its first answer again, whatever the rest of the request
// says.
func (s *Simulator) Authorize(ctx context.Context, a issuer.Authorization) issuer.Answer {
	// The number decides what happens, and is not kept.
	var r rule
	noNumber := a.Card.Reveal(func(c issuer.Secret) error { r = ruleOf(c.Number); return nil })
	switch {
	case ctx.Err() != nil:
		return tooLate
	case !nameOK(a.Reference):
		return badNames
	case noNumber != nil:
		return noCard
	}

	answer, manner := s.authorise(ctx, a, r)
	switch manner {
	case twice:
		s.notify(issuer.Notice{Reference: a.Reference, Answer: answer}, 0)
	case disputed:
		if answer.Captured {
			s.dispute(a.Reference, answer.Amount)
		}
	case slow:
		timer := time.NewTimer(s.config.Slowness)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return noAnswer
		case <-s.notices.ctx.Done():
			return noAnswer
		}
	default: // the answer is all
	}

	return answer
}

// authorize decides under the lock, and returns how to answer a new approval: twice, slowly
// or plainly. The waiting of a slow answer must not hold the lock.
func (s *Simulator) authorise(ctx context.Context, a issuer.Authorization, r rule) (_ issuer.Answer, manner behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return isClosed, plain
	}
	if ctx.Err() != nil {
		return tooLate, plain // it waited for the lock too long; nothing is recorded
	}

	now := s.now()
	// A repetition is recognized before the card's rule applies again.
	if known, ok := s.index.authorisations[keyOf(a.Reference)]; ok {
		return s.repeat(a, known, now), plain
	}
	// Nothing is recorded: the issuer never saw the request.
	if r.does == neverArrives {
		return noAnswer, plain
	}

	rec := s.decide(a, r, now)
	if s.write(rec) != nil {
		return noBook, plain
	}

	known := s.index.authorisations[keyOf(a.Reference)]
	// Recorded and approved, but the caller does not learn it from this call.
	switch known.does {
	case lostAnswer, late, down:
		return noAnswer, plain
	default: // the issuer answers
	}

	if known.status != issuer.Approved {
		return s.current(a.Reference, known), plain
	}

	return s.current(a.Reference, known), known.does
}

// decide makes the book's entry for a new authorization. A currency or amount that is not
// supported comes before the card's own rule.
func (s *Simulator) decide(a issuer.Authorization, r rule, now time.Time) record {
	rec := record{Kind: KindAuthorize, Reference: a.Reference, Minor: a.Amount.Minor, Currency: a.Amount.Currency,
		Last4: a.Card.Last4(), At: now, Captured: a.Capture, Behaviour: behaviourNames[r.does], Outcome: outcomeNames[issuer.Approved]}
	// The entry keeps what was asked for, but no more of an unknown currency than the book
	// has space for.
	if !s.takes[a.Amount.Currency] || a.Amount.Minor < MinMinor || a.Amount.Minor > MaxMinor {
		r = rule{why: whyUnsupported}
		rec.Currency = money.Currency(shorten(string(a.Amount.Currency), 3))
	}
	if r.why != whyNone {
		rec.Outcome, rec.Reason, rec.Captured, rec.Behaviour = outcomeNames[issuer.Declined], reasons[r.why].name, false, ""
		return rec
	}
	// One minor unit more: small enough to be overlooked by a caller that does not compare.
	if r.does == otherAmount {
		rec.Minor++
	}
	switch {
	case r.does == challenge, a.Challenge && r.does != late: // not decided yet
		rec.Outcome = outcomeNames[issuer.ActionRequired]
		rec.Statement = shorten(a.Statement, maxStatementBytes)
		rec.ReturnURL = returnURL(a.ReturnURL)
	case r.does == late:
		rec.Outcome = outcomeNames[issuer.Pending]
		rec.DueAt = a.ExpiresAt.UTC().Add(clockStep - 1).Truncate(clockStep) // rounded up: never before the end
		if a.ExpiresAt.IsZero() {
			rec.DueAt = now
		}
	}

	return rec
}

// returnURL returns the address if a browser may be sent there, or "".
func returnURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxReturnURLBytes || strings.Contains(s, `\`) {
		return ""
	}
	if (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil {
		return u.String()
	}
	if u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/") && !strings.HasPrefix(u.Path, "//") {
		return u.String()
	}
	return ""
}

// repeat answers for a known reference as the issuer would: with the first answer, or with
// none if the card loses answers or the issuer is away.
func (s *Simulator) repeat(a issuer.Authorization, known authorisation, now time.Time) issuer.Answer {
	// While the issuer is away, even known answers are not given.
	if s.away(known, now) {
		return noAnswer
	}
	if known.status == issuer.Reversed {
		if known.unseen { // the original comes after its reversal: it goes into the book as refused, once
			rec := s.decide(a, rule{why: whyReversed}, now)
			if s.write(rec) != nil {
				return noBook
			}
		}
		return s.declined(a.Reference, whyReversed, fromMicro(known.at))
	}
	if known.does == lostAnswer || known.does == late {
		return noAnswer
	}

	return s.current(a.Reference, known)
}

// Capture moves what is held, all or part of it, once.
func (s *Simulator) Capture(ctx context.Context, op issuer.Operation) issuer.Answer {
	return s.operate(ctx, KindCapture, op)
}

// Refund returns what was captured, in one or several parts.
func (s *Simulator) Refund(ctx context.Context, op issuer.Operation) issuer.Answer {
	return s.operate(ctx, KindRefund, op)
}

// Reverse releases what is held, or makes sure that nothing ever will be held.
func (s *Simulator) Reverse(ctx context.Context, op issuer.Operation) issuer.Answer {
	return s.operate(ctx, KindReverse, op)
}

// operate records an operation and answers it. A known id gets its first answer, if the
// operation is the same, and is refused otherwise. The entry is in the book before the
// answer is given.
func (s *Simulator) operate(ctx context.Context, kind Kind, op issuer.Operation) issuer.Answer {
	if ctx.Err() != nil {
		return tooLate
	}
	if !nameOK(op.ID) || !nameOK(op.Authorization) {
		return badNames
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return isClosed
	}
	if ctx.Err() != nil {
		return tooLate
	}

	now := s.now()
	// A pending authorization whose time has come is decided first.
	a, seen, err := s.settled(op.Authorization, now)
	if err != nil {
		return noBook
	}
	if seen && s.away(a, now) {
		return noAnswer
	}

	// The id was used before, perhaps by a call whose answer was lost.
	if first, ok := s.index.operations[keyOf(op.ID)]; ok {
		if !first.same(kind, op) {
			return s.declined(op.ID, whyReusedID, fromMicro(first.at))
		}
		return s.operated(op.ID, first)
	}
	if s.write(s.judge(kind, op, a, seen, now)) != nil {
		return noBook
	}

	answer := s.operated(op.ID, s.index.operations[keyOf(op.ID)])
	// An authorization that captures at once is disputed in Authorize.
	if kind == KindCapture && a.does == disputed && answer.Outcome == issuer.Approved {
		s.dispute(op.Authorization, answer.Amount)
	}
	return answer
}

// dispute sends the notice of a payer who denies the payment, after Config.DisputeAfter.
// The payment is captured here by then, but paylink may not have committed it yet.
func (s *Simulator) dispute(reference string, amount money.Amount) {
	s.notify(issuer.Notice{Reference: reference, Dispute: &issuer.Dispute{Reference: s.issuerReference("dispute", reference), Amount: amount,
		Reason: "fraudulent", State: "needs_response", EvidenceDueAt: s.now().Add(evidenceTime)}}, s.config.DisputeAfter)
}

// same reports whether op is a repetition of the recorded operation. A reversal's amount is
// ignored, because it always reverses all.
func (o operation) same(kind Kind, op issuer.Operation) bool {
	return o.kind == kindByte(kind) && o.authorisation == keyOf(op.Authorization) &&
		(kind == KindReverse || o.minor == op.Amount.Minor && o.currency == currencyBytes(op.Amount.Currency))
}

// judge makes the book's entry for a new operation: what it moves, or why it is refused. A
// reversal of a reference that was never seen is a tombstone.
func (s *Simulator) judge(kind Kind, op issuer.Operation, a authorisation, seen bool, now time.Time) record {
	rec := record{Kind: kind, Reference: op.Authorization, ID: op.ID, Last4: last4Of(a), Currency: currencyOf(a.currency), At: now,
		Outcome: outcomeNames[issuer.Approved], Asked: op.Amount.Minor, AskedCurrency: money.Currency(shorten(string(op.Amount.Currency), 3))}
	why := whyNone
	switch kind {
	case KindCapture:
		why = a.mayCapture(seen, op.Amount)
	case KindRefund:
		why = a.mayRefund(seen, op.Amount)
	default:
		rec.Outcome = outcomeNames[issuer.Reversed]
		if !seen {
			rec.Kind = KindTombstone
			return rec
		}
		// A reversal of what was declined or reversed before moves nothing, and is not
		// refused.
		if a.captured > 0 {
			why = whyCaptured
		} else if a.status == issuer.Approved || a.status == issuer.ActionRequired || a.status == issuer.Pending {
			rec.Minor = a.minor
		}
	}

	if why != whyNone {
		rec.Outcome, rec.Reason = outcomeNames[issuer.Declined], reasons[why].name
		return rec
	}
	if kind != KindReverse {
		rec.Minor = op.Amount.Minor
	}
	return rec
}

// mayCapture returns why an amount cannot be captured, or whyNone. One capture is allowed,
// of all or a part.
func (a authorisation) mayCapture(seen bool, amount money.Amount) reason {
	switch {
	case !seen:
		return whyUnknown
	case a.status == issuer.Reversed:
		return whyReversed
	case a.status != issuer.Approved:
		return whyNotAuthorised
	case a.captured > 0:
		return whyCaptured
	case amount.Minor <= 0 || amount.Currency != currencyOf(a.currency):
		return whyAmount
	case amount.Minor > a.minor:
		return whyOverAuthorised
	}

	return whyNone
}

// mayRefund returns why an amount cannot be refunded, or whyNone. Several refunds are
// allowed, up to what was captured.
func (a authorisation) mayRefund(seen bool, amount money.Amount) reason {
	switch {
	case !seen:
		return whyUnknown
	case a.captured == 0:
		return whyNotCaptured
	case a.does == refundRefused:
		return whyNoRefund
	case amount.Minor <= 0 || amount.Currency != currencyOf(a.currency):
		return whyAmount
	case amount.Minor > a.captured-a.refunded:
		return whyOverCaptured
	}

	return whyNone
}

// Lookup returns the outcome of an authorization's reference or an operation's id, or
// NotFound. It may decide a pending authorization first.
func (s *Simulator) Lookup(ctx context.Context, reference string) issuer.Answer {
	if ctx.Err() != nil {
		return tooLate
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return isClosed
	}

	now := s.now()
	a, seen, err := s.settled(reference, now)
	if err != nil {
		return noAnswer
	}
	if seen {
		if s.away(a, now) {
			return noAnswer
		}
		return s.current(reference, a)
	}
	// References and ids of operations share one space of names, as an inquiry does not say
	// which of the two it means.
	if o, ok := s.index.operations[keyOf(reference)]; ok {
		if s.away(s.index.authorisations[o.authorisation], now) {
			return noAnswer
		}
		return s.operated(reference, o)
	}

	return issuer.Answer{Outcome: issuer.NotFound}
}

// settled returns the authorization as of now. If it is pending and its time has come, it is
// decided, in the book first.
func (s *Simulator) settled(reference string, now time.Time) (authorisation, bool, error) {
	k := keyOf(reference)
	a, seen := s.index.authorisations[k]
	if !seen || a.status != issuer.Pending || now.UnixMicro() < a.at {
		return a, seen, nil
	}
	rec := record{Kind: KindAuthorize, Reference: reference, Minor: a.minor, Currency: currencyOf(a.currency), Last4: last4Of(a),
		At: fromMicro(a.at).Add(clockStep), Captured: a.oneStep, Behaviour: behaviourNames[a.does], Outcome: outcomeNames[issuer.Approved]}
	if err := s.write(rec); err != nil {
		return a, seen, err
	}
	return s.index.authorisations[k], true, nil
}

// away reports whether the issuer can't be reached about this authorization.
func (s *Simulator) away(a authorisation, now time.Time) bool {
	return a.does == down && now.Before(fromMicro(a.at).Add(s.config.Downtime))
}

// current returns the answer that the authorization's state stands for.
func (s *Simulator) current(reference string, a authorisation) issuer.Answer {
	answer := issuer.Answer{Outcome: a.status, IssuerReference: s.issuerReference("authorisation", reference), At: fromMicro(a.at)}
	switch a.status {
	case issuer.Approved:
		answer.Amount, answer.Captured = money.Of(a.minor, currencyOf(a.currency)), a.oneStep
	case issuer.Declined:
		answer.Code, answer.Message = reasons[a.why].code, reasons[a.why].message
	case issuer.ActionRequired:
		answer.ActionURL = s.actionURL(reference)
	case issuer.Pending:
		answer.At = time.Time{} // nothing is decided yet
	default: // the outcome is all
	}
	return answer
}

// operated returns the answer that was given to an operation.
func (s *Simulator) operated(id string, o operation) issuer.Answer {
	answer := issuer.Answer{Outcome: o.outcome, IssuerReference: s.issuerReference("operation", id), At: fromMicro(o.at)}
	switch o.outcome {
	case issuer.Approved:
		answer.Amount = money.Of(o.minor, currencyOf(o.currency))
	case issuer.Declined:
		answer.Code, answer.Message = reasons[o.why].code, reasons[o.why].message
	default: // the outcome is all
	}
	return answer
}

// declined returns a refusal that is in no book, such as that of an id that was used
// before.
func (s *Simulator) declined(name string, why reason, at time.Time) issuer.Answer {
	return issuer.Answer{Outcome: issuer.Declined, IssuerReference: s.issuerReference("refusal", name),
		Code: reasons[why].code, Message: reasons[why].message, At: at}
}

// last4Of returns the last four digits of the card, or "" if the issuer never saw it.
func last4Of(a authorisation) string {
	if a.last4[0] == 0 {
		return ""
	}
	return string(a.last4[:])
}
