package pages

import (
	"context"
	_ "embed" // the script below
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/gateway/asset"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// challengeTimeout bounds the call to the fraud service. If it fails, the page submits
// without a proof.
const challengeTimeout = 2 * time.Second

//go:embed assets/solve.js
var solveBytes []byte

// solveAsset is the script that solves puzzles in a web worker. The page loads it only
// if there is a puzzle.
var solveAsset = asset.New("/assets/paylink.js", solveBytes)

// Challenge returns the puzzle that a payer of the link at this address must solve
// before the attempt is submitted. The zero Puzzle asks for no work.
type Challenge func(ctx context.Context, l link.Link, attempt, address string) (fraud.Puzzle, error)

// challenge answers with the puzzle of an attempt: 0 bits on a quiet link. It changes
// nothing, and reads a store only to open the link. The puzzle is signed, so nothing is
// stored until it comes back as a proof.
func (p *Pages) challenge(w http.ResponseWriter, r *http.Request) {
	attempt := r.URL.Query().Get("attempt")
	if err := checkAttempt(attempt); err != nil {
		p.fail(w, r, err)
		return
	}

	l, ok := p.open(w, r, false)
	if !ok {
		return
	}
	if p.asks == nil || l.Status(p.now()) != link.Open {
		p.jsonKept(w, r, fraud.Puzzle{}, puzzleCache)
		return
	}

	ctx, cancel := context.WithTimeout(r.Context(), challengeTimeout)
	defer cancel()
	puzzle, err := p.asks(ctx, l, attempt, spelling.Network(addressOf(r)))
	if err != nil {
		// If the service cannot be reached, the payer can still pay.
		p.record(r, fault.Unavailable("payment_busy", time.Second, err, "The puzzle could not be created; retry."))
		puzzle = fraud.Puzzle{}
	}

	p.jsonKept(w, r, puzzle, puzzleCache)
}

// puzzleCache: a puzzle is valid only for its attempt and is requested each time. It is
// not no-store, because Chromium then drops the page from its back-forward cache.
const puzzleCache = "private, max-age=0, must-revalidate"

// attemptsExceeded is the code of attempts that the shield refuses.
const attemptsExceeded = "attempts_exceeded"

// exceeded answers an attempt that the shield refused. It says nothing about the card
// and links back to the page, which asks for a proof before the next attempt.
func (p *Pages) exceeded(w http.ResponseWriter, r *http.Request, l link.Link, err error) {
	pr := problem.From(err, problem.RequestID(r.Context()))
	if s := pr.RetryAfterSeconds(); s != "" {
		w.Header().Set("Retry-After", s)
	}
	say := printer(r)
	p.html(
		w,
		r,
		pr.Status,
		messagePage(messageView{page: p.page(say.T("pay.attempts"), l), Headline: say.T("pay.attempts"), Lead: say.T("pay.attempts.lead"),
			Primary: button{say.T("pay.failed.again"), p.payPath(l.Token)}}),
	)
}

// publicDeclineCode returns the decline code that a payer sees. During card testing all declines
// look the same, because "insufficient funds" would show a tester that a card is good. A
// blocked attempt always looks like a declined card.
func publicDeclineCode(pay payment.Payment) string {
	if pay.DeclineCode == payment.CodeBlocked || (pay.DeclineCode != "" && pay.Risk.Why == whyShield) {
		return issuer.CodeDeclined
	}
	return pay.DeclineCode
}

// whyShield is the payment.Risk.Why of an attempt that the shield challenged.
const whyShield = "shield"

// addressOf returns the client address as the gateway's limits found it, or zero.
func addressOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr()
}

// countryOf returns the country of the client address as our proxy reports it; the
// gateway removes the header from all other requests. It returns "" for codes that are
// not a country, such as Cloudflare's T1.
func (p *Pages) countryOf(r *http.Request) string {
	if p.countryHeader == "" {
		return ""
	}
	c := strings.ToUpper(r.Header.Get(p.countryHeader))
	if len(c) != 2 || c == "XX" || strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return ""
	}
	return c
}
