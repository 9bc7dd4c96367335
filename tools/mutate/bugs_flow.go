package main

// carriers are bugs in the coordinator.
var carriers = []mutation{
	{"M12", "a notice for an earlier try is taken for the current one", "internal/coordinator/coordinator.go",
		`	if n.Reference != p.IssuerKey() {
`,
		`	if n.Reference = p.IssuerKey(); false {
`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestF18"}},
	{"M36", "one call's 'not sent' is believed after others worked on the payment", "internal/coordinator/coordinator.go",
		`	case a.Outcome == issuer.NotSent:
		a.Outcome = issuer.Ambiguous
`,
		``,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestF25"}},
	{"M37", "a read of a stuck payment always asks the issuer", "internal/coordinator/sweep.go",
		`if !p.Stuck(now) || (since >= 0 && since < repairEvery) {`,
		`if !p.Stuck(now) || (since >= 0 && since < 0) {`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestRepairPauses"}},
	{"M16", "a commit whose answer was lost is not sent again", "internal/coordinator/coordinator.go",
		`	for i := range maxResends {
		err = c.cfg`,
		`	for i := range maxResends {
		if i > 0 {
			return err
		}
		err = c.cfg`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestLostCommits"}},
	{"M17", "the issuer is called before the attempt is committed", "internal/coordinator/coordinator.go",
		`	p, change, err := c.begin(ctx, s, fresh, risk)
	if err != nil {`,
		`	connector.Authorize(ctx, issuer.Authorization{Reference: fresh.ID + "-1", Amount: fresh.Amount, Card: s.Card})
	p, change, err := c.begin(ctx, s, fresh, risk)
	if err != nil {`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestF1_", "./internal/coordinator -skip PostgreSQL -run TestF13|TestEveryCard"}},
	{"C01", "a payment of an older revision is carried on", "internal/coordinator/coordinator.go",
		`if p, err = c.cfg.Payments.GetPayment(ctx, p.Account, p.ID); err != nil {`,
		`if _, err = c.cfg.Payments.GetPayment(ctx, p.Account, p.ID); err != nil {`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestF20|TestF18"}},
	{"C02", "an approval of what was given up is believed unasked", "internal/coordinator/coordinator.go",
		`	case a.Outcome == issuer.Approved && abandoned(p.Status) && ok:
		return c.lookup(ctx, k, p.IssuerKey())
`,
		`	case ok && k == nil:
		return c.lookup(ctx, k, p.IssuerKey())
`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestF6|TestF9"}},
	{"C03", "an earlier try that cannot be reversed is forgotten", "internal/coordinator/coordinator.go",
		`	if a.Outcome != issuer.Reversed {
		return fmt.Errorf("the earlier`,
		`	if false {
		return fmt.Errorf("the earlier`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestF18"}},
	{"C04", "a notice that meets a new try is not reversed", "internal/coordinator/coordinator.go",
		`	if n.Reference != done.IssuerKey() { //`,
		`	if false { //`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestF18"}},
	{"C05", "the retry pause does not hear its context", "internal/coordinator/coordinator.go",
		`		case <-ctx.Done():
			return err
		}
	}
	return err`,
		`		case <-context.Background().Done():
			return err
		}
	}
	return err`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestResend"}},
	{"C06", "what the issuer has never seen is not reversed", "internal/coordinator/sweep.go",
		`if answer.Outcome == issuer.NotFound || unanswered {`,
		`if unanswered {`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestF2_|TestF7|TestEveryCard"}},
	{"C07", "an unanswered challenge is never given up", "internal/coordinator/sweep.go",
		`if answer.Outcome == issuer.NotFound || unanswered {`,
		`if answer.Outcome == issuer.NotFound || (unanswered && false) {`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestChallenge|TestEveryCard"}},
	{"C08", "a capture that the issuer has not seen is not made again", "internal/coordinator/sweep.go",
		`	if answer.Outcome == issuer.NotFound {
		answer = c.capture(ctx, k, p)
	}
`,
		``,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestLostAnswers"}},
	{"C09", "an unsent inquiry ends a capture", "internal/coordinator/sweep.go",
		`		answer.Outcome = issuer.Ambiguous // this call was not sent, but an earlier one may have been
`,
		``,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestUnsent"}},
	{"C10", "the sweep captures for another mode's key", "internal/coordinator/operations.go",
		`	if p.Mode != mode {
		return p, nil, fault`,
		`	if false {
		return p, nil, fault`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestCaptureVoidRefund", "./internal/gateway/api"}},
	{"C11", "the same refund key makes two refunds", "internal/coordinator/operations.go",
		`		refundID = id.Derive(id.Refund, p.ID, t.Key)`,
		`		refundID = id.New(id.Refund)`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestOneRefundPerKey"}},
	{"C16", "a refund is sent by a call that did not start it", "internal/coordinator/operations.go",
		`if !ok || !r.Asking() || !started {`,
		`if !ok || !r.Asking() || (!started && !ok) {`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestF25"}},
	{"C12", "the issuer is asked to capture what is held", "internal/coordinator/coordinator.go",
		`p.Capture == link.CaptureAutomatic && p.Risk.Action != payment.Hold`,
		`p.Capture == link.CaptureAutomatic`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestHeldThenReviewed"}},
	{"C13", "an attempt that nobody assessed in time always passes", "internal/coordinator/assess.go",
		`if c.policies.failsClosed(a.Account) {`,
		`if false {`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestPolicy"}},
	{"C14", "a card's bucket depends on its account", "internal/coordinator/assess.go",
		`Fingerprint: s.Card.Fingerprint(),`,
		`Fingerprint: s.Card.Fingerprint() + p.Account,`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestFingerprint"}},
	{"C15", "an issuer lives by the test clock", "internal/coordinator/review.go",
		`in.Dispute.EvidenceDueAt = p.At(d.EvidenceDueAt) // an issuer lives in real time`,
		`in.Dispute.EvidenceDueAt = d.EvidenceDueAt`,
		[]string{"./internal/coordinator -skip PostgreSQL -run TestEvidenceIsDue"}},
}
