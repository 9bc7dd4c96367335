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

// challengeTimeout is how long the box that knows may take. A page that hears
// nothing submits without a proof.
const challengeTimeout = 2 * time.Second

//go:embed assets/solve.js
var solveBytes []byte

// solveAsset works puzzles out, in a worker. It is fetched only when there is one.
var solveAsset = asset.New("/assets/paylink.js", solveBytes)

// Challenge is what whoever pays the link from the address must work out before
// submitting the attempt; the zero Puzzle is nothing.
type Challenge func(ctx context.Context, l link.Link, attempt, address string) (fraud.Puzzle, error)

// challenge tells what is to be worked out for an attempt: 0 bits on a quiet link. It
// changes nothing and reads no store but to open the link; the answer is signed, so
// nothing is kept until it comes back as a proof.
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
		// Whoever can't be asked is not kept from paying.
		p.record(r, fault.Unavailable("payment_busy", time.Second, err, "The puzzle could not be made."))
		puzzle = fraud.Puzzle{}
	}
	p.jsonKept(w, r, puzzle, puzzleCache)
}

// puzzleCache: a puzzle is good for its attempt alone and asked for anew each time. It
// is not no-store, since Chromium then no longer keeps the page for the back button.
const puzzleCache = "private, max-age=0, must-revalidate"

// attemptsExceeded is the code of what the shield refuses.
const attemptsExceeded = "attempts_exceeded"

// exceeded answers an attempt that the shield refused. It says nothing of the card,
// and shows the way back: the page asks for a proof before the next attempt.
func (p *Pages) exceeded(w http.ResponseWriter, r *http.Request, l link.Link, err error) {
	pr := problem.From(err, problem.RequestID(r.Context()))
	if s := pr.RetryAfterSeconds(); s != "" {
		w.Header().Set("Retry-After", s)
	}
	say := printer(r)
	p.html(w, r, pr.Status, messagePage(messageView{page: p.page(say.T("pay.attempts"), l), Headline: say.T("pay.attempts"), Lead: say.T("pay.attempts.lead"),
		Primary: button{say.T("pay.failed.again"), p.payPath(l.Token)}}))
}

// toldCode is the decline code that a payer hears of. While cards are tested, every
// decline sounds alike: "insufficient funds" would tell a tester that a card is good.
// What was blocked always sounds like a card that was declined.
func toldCode(pay payment.Payment) string {
	if pay.DeclineCode == payment.CodeBlocked || (pay.DeclineCode != "" && pay.Risk.Why == whyShield) {
		return issuer.CodeDeclined
	}
	return pay.DeclineCode
}

// whyShield is the payment.Risk.Why of an attempt that the shield asked for more.
const whyShield = "shield"

// addressOf is who asks, as the gateway's limits found out; zero where it is not known.
func addressOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr()
}

// countryOf is where that address is, as a proxy of ours says: the gateway takes the
// header away from everybody else. Not a country, such as Cloudflare's T1, is nothing.
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
