// Package pages serves what a payer sees: the hosted payment page, its status page, the
// page that says whether a link is ours, and the payer's JSON. It also serves the page
// that explains the type of a problem to developers.
//
// Every page is rendered on the server in the reader's language (spoken) and works
// without JavaScript. The script only groups digits and follows the status. Pages load
// only from our own origin. GET and HEAD change nothing. A card is read from the
// request, passed to Payments.Submit and then dropped: it is never rendered, logged or
// put into an error.
//
// If the process crashes while a payment is submitted, the payer reloads the link or the
// status page. Both show what is stored.
package pages

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/throttled/throttled/v2"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/receipt"
)

// Limits. Times of a stream are those of one connection; a browser then reconnects.
const (
	maxBodyBytes      = 64 << 10
	maxStreams        = 1000
	maxLinkStreams    = 100              // of one link
	maxNetworkStreams = 50               // of one network of clients
	maxPastedLength   = 2048             // of a link
	submitTimeout     = 40 * time.Second // longer than an issuer call (30 s)
	streamLife        = 5 * time.Minute
	streamPoll        = 500 * time.Millisecond
	streamHeartbeat   = 15 * time.Second
	streamWriteLimit  = 10 * time.Second
	relinkEveryPolls  = 10 // the link itself is read again at least this often
)

// Payments submits and finds the payments of an opened link.
type Payments interface {
	// Submit pays. A decline is a payment, not an error. A fault of code
	// link_paying, link_paid, link_expired or link_canceled: the link can't be paid.
	Submit(context.Context, payment.Submit) (payment.Payment, error)
	ByAttempt(ctx context.Context, l link.Link, attempt string) (payment.Payment, bool, error)
	// Latest returns the last payment that reserved a use of the link.
	Latest(ctx context.Context, l link.Link) (payment.Payment, bool, error)
}

// Config has the services and settings of the pages. Every field is required unless its
// comment says otherwise.
type Config struct {
	Links    link.Verifier
	Payments Payments
	Receipts receipt.Keys
	Mails    Mails
	Forms    Forms // nil: no forms
	// Receipt returns the signed statement about a payment of the link, which a form
	// passes to the merchant's page; nil: no statement.
	Receipt   func(ctx context.Context, l link.Link, payment string) (string, error)
	Now       func() time.Time
	Log       *slog.Logger
	PublicURL string          // absolute; where payers reach us
	Drain     <-chan struct{} // closing it ends the live streams; may be nil
	Beacons   Beacons         // nil: not counted
	Challenge Challenge       // nil: no proof of work
	// CountryHeader names the header in which a trusted proxy reports the country of the
	// payer's address, such as Cf-Ipcountry; "": no such header.
	CountryHeader string
}

// Pages has the handlers of the pages. New returns one.
type Pages struct {
	links    link.Verifier
	payments Payments
	receipts receipt.Keys
	mails    Mails
	forms    Forms
	receipt  func(context.Context, link.Link, string) (string, error)
	now      func() time.Time
	log      *slog.Logger
	drain    <-chan struct{}
	beacons  Beacons
	asks     Challenge

	countryHeader string

	public  string // without a trailing slash
	origin  string // scheme://host of public
	base    string // path of public, "" for most
	streams *answer.Streams

	formLimiter *throttled.GCRARateLimiterCtx
}

// New returns the pages. It returns an error if the public URL is not an absolute http
// or https URL.
func New(c Config) (*Pages, error) {
	u, err := url.Parse(c.PublicURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("public URL %q: want http(s)://host with neither query nor fragment", c.PublicURL)
	}
	forms, err := newFormLimiter(c.Now)
	if err != nil {
		return nil, err
	}
	return &Pages{
		links: c.Links, payments: c.Payments, receipts: c.Receipts, mails: c.Mails, forms: c.Forms, receipt: c.Receipt, now: c.Now,
		log: c.Log, drain: c.Drain, beacons: c.Beacons, asks: c.Challenge, countryHeader: c.CountryHeader,
		public:  strings.TrimRight(c.PublicURL, "/"),
		origin:  strings.ToLower(u.Scheme + "://" + u.Host),
		base:    strings.TrimRight(u.EscapedPath(), "/"),
		streams: answer.NewStreams(maxStreams),

		formLimiter: forms,
	}, nil
}

// Register adds the routes to mux, without a catch-all: the gateway mounts NotFound
// where it needs one.
func (p *Pages) Register(mux *http.ServeMux) {
	for path, h := range map[string]http.HandlerFunc{"/l/{token}": p.spoken(p.pay), "/l/{token}/status": p.spoken(p.status)} {
		mux.HandleFunc("GET "+path, h)
		mux.HandleFunc("POST "+path, p.returned)
		mux.HandleFunc(path, refuse("GET, HEAD, POST"))
	}

	for path, h := range map[string]http.HandlerFunc{
		"/verify": p.spoken(p.verify), "/{$}": p.spoken(p.landing), "/problems": english(p.problems), "/problems/{code}": english(p.problem)} {
		mux.HandleFunc("GET "+path, h)
		mux.HandleFunc(path, refuse("GET, HEAD"))
	}

	mux.HandleFunc("POST /l/{token}/payments", p.spoken(p.submit))
	mux.HandleFunc("GET /l/{token}/payments", p.spoken(p.backToPage))
	mux.HandleFunc("/l/{token}/payments", refuse("POST"))
	mux.HandleFunc("GET /mail/{token}", p.spoken(p.unsubscribe))
	mux.HandleFunc("POST /mail/{token}", p.spoken(p.unsubscribe))
	mux.HandleFunc("/mail/{token}", refuse("GET, HEAD, POST"))
	mux.HandleFunc("GET /l/{token}/challenge", p.challenge)
	mux.HandleFunc("/l/{token}/challenge", refuse("GET, HEAD"))
	mux.HandleFunc("POST /l/{token}/seen", p.seen)
	mux.HandleFunc("/l/{token}/seen", refuse("POST"))
	mux.HandleFunc("/l/", p.beside("/l/", p.ourLink))
	mux.HandleFunc("/mail/", p.beside("/mail/", p.ourMail))
	p.registerForms(mux)

	for _, a := range assets {
		mux.Handle("GET "+a.Path, a)
	}
}

// refuse answers methods that a page does not have, whatever the token.
func refuse(allow string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { problem.MethodNotAllowed(w, r, allow) }
}

// backToPage redirects a payer who opens the address of a refused form to the form. A
// program gets an error that says what the address is for.
func (p *Pages) backToPage(w http.ResponseWriter, r *http.Request) {
	if accepts(r, "application/json", "text/html") != "text/html" {
		problem.MethodNotAllowed(w, r, "POST")
		return
	}
	secure(w.Header())
	to := p.payPath(r.PathValue("token"))
	if picked := pickedLanguage(r); picked != "" {
		to += "?lang=" + picked // for browsers that keep no cookies
	}
	http.Redirect(w, r, to, http.StatusSeeOther) // a path of our own, with the token escaped in it
}

// NotFound answers with the page for an address that does not exist.
func (p *Pages) NotFound() http.Handler {
	return p.spoken(func(w http.ResponseWriter, r *http.Request) {
		p.failPage(w, r, fault.NotFound("page"))
	})
}

// csp allows a page to load our own files and to post to us, and nothing else. After a
// post the browser is redirected to our own status page. That page links to a challenge or
// the merchant's site; form-action does not govern links.
const csp = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// secure sets the headers of every page. It keeps a policy that framable has set.
func secure(h http.Header) {
	if h.Get("Content-Security-Policy") == "" { // not framable
		h.Set("Content-Security-Policy", csp)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
	}
	h.Set("Referrer-Policy", "no-referrer") // the address carries the token
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}

// open opens the request's token. If ok is false, it has already answered: with a page if
// html is true, and with a problem otherwise. For every token that is not ours the response
// is the same page or problem. It lets the origins of the link's form frame the response,
// and sets the form's language.
func (p *Pages) open(w http.ResponseWriter, r *http.Request, html bool) (l link.Link, ok bool) {
	l, err := p.links.Open(r.Context(), r.PathValue("token"))
	if err != nil {
		if html {
			p.failPage(w, r, err)
		} else {
			p.fail(w, r, err)
		}
		return link.Link{}, false
	}

	l.Token = r.PathValue("token")
	if l.Shown != nil {
		framable(w.Header(), l.Shown.Origins)
		if l.Shown.Lang != "" && pickedLanguage(r) == "" { // the form's, as its frame has no cookies
			*r = *r.WithContext(i18n.With(r.Context(), i18n.For(l.Shown.Lang)))
		}
	}

	return l, true
}

// payPath and statusPath return paths within our own site. The token is escaped, because it
// may be anything that a client sent.
func (p *Pages) payPath(token string) string { return p.base + "/l/" + url.PathEscape(token) }

// statusPath returns the path of the status of an attempt, or without one of the link.
func (p *Pages) statusPath(token, attempt string) string {
	s := p.payPath(token) + "/status"
	if attempt != "" {
		s += "?attempt=" + url.QueryEscape(attempt)
	}
	return s
}

// absolute returns the full URL of a path that begins with base.
func (p *Pages) absolute(path string) string { return p.public + strings.TrimPrefix(path, p.base) }

// actionURL returns the address of the payer's challenge: absolute, or a path on our own
// site. It returns "" for anything but http or https.
func (p *Pages) actionURL(pay payment.Payment) string {
	if pay.Status.Public() != payment.RequiresAction || pay.ActionURL == "" {
		return ""
	}
	if strings.HasPrefix(pay.ActionURL, "/") && !strings.HasPrefix(pay.ActionURL, "//") {
		return p.public + pay.ActionURL
	}
	return webURL(pay.ActionURL)
}

// webURL returns s if it is an absolute http or https URL, and "" otherwise.
func webURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return ""
	}
	return u.String()
}

// fail answers a program with a problem, and logs it if the failure is ours.
func (p *Pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	p.record(r, err)
	problem.Write(w, r, err, "")
}

// record logs an internal or unavailable error, whose cause the response does not show. It
// never logs what a payer sent.
func (p *Pages) record(r *http.Request, err error) {
	switch fault.KindOf(err) {
	case fault.KindInternal, fault.KindUnavailable:
		p.log.ErrorContext(
			r.Context(),
			"page failed",
			"error",
			err,
			"requestId",
			problem.RequestID(r.Context()),
			"method",
			r.Method,
			"route",
			r.Pattern,
		)
	default: // the caller's mistake
	}
}
