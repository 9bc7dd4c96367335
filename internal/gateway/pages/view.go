package pages

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// stamp is a time for a program and for a person. The script rewrites the text in the
// payer's own time zone.
type stamp struct{ ISO, Text string }

// stampOf returns the stamp of a time in UTC; zero for the zero time.
func stampOf(r *http.Request, t time.Time) stamp {
	if t.IsZero() {
		return stamp{}
	}
	t = t.UTC()
	return stamp{ISO: link.FormatTime(t), Text: printer(r).DateTime(t)}
}

// row is a line of a summary or receipt.
type row struct {
	Label, Text string
	At          stamp // instead of Text
	Code        bool  // an id: set in a fixed width
	Ours        bool  // a phrase of ours, in the page's own direction; other texts have their own
}

// page has what every page needs.
type page struct {
	Title   string
	Base    string // path prefix of our site
	Test    bool   // test mode banner
	Form    bool   // there is a card to type
	Refresh bool   // without a script: load again every 3 seconds

	// Of a form, and of a link that one made.
	FormID  string
	Origins string // that may frame the page, for its script
	Look    string // path of its own stylesheet

	LookIntegrity string
}

// payView is the payment form.
type payView struct {
	page
	Payee, Amount, Description string
	Rows                       []row
	Attempt, Action, Verify    string
	Choose                     bool
	Currency, AmountHint       string
	AmountMode                 string // inputmode: numeric where the currency has no decimals
	Errors                     []fieldError
	Values                     map[string]string // never a number or a security code
}

// The values of maxlength. A browser counts UTF-16 units and silently cuts off what is
// pasted beyond them, so these only keep out absurd lengths: the server counts characters
// and says what is too long.
const (
	longTyped = "100" // a number, a date or an amount, with what people paste around it
	longName  = "400" // up to 200 characters of two units each, such as emoji
)

// fieldError is one line of the error summary; Field "" is about the whole form.
type fieldError struct{ Field, Text string }

// err returns the error of a field, or "".
func (v payView) err(field string) string {
	for _, e := range v.Errors {
		if e.Field == field {
			return e.Text
		}
	}
	return ""
}

// focus reports whether the field is the first with an error. It gets the focus, also
// without a script.
func (v payView) focus(field string) bool {
	for _, e := range v.Errors {
		if e.Field != "" {
			return e.Field == field
		}
	}
	return false
}

// described returns the aria-describedby of a field: its error first, then its hint.
func (v payView) described(field string, hint bool) string {
	var ids []string
	if v.err(field) != "" {
		ids = append(ids, field+"-error")
	}
	if hint {
		ids = append(ids, field+"-hint")
	}
	return strings.Join(ids, " ")
}

// statusView is the page of every state in which there is no form.
type statusView struct {
	page
	Tone           string // good, wait, act, bad, quiet: picks color and icon
	Headline, Lead string
	Next           string // what to do now
	Amount         string
	Rows           []row
	Primary        button
	Secondary      button
	State          string // what the script compares
	Stream         string // where the script listens; "" when final
	Payment        string // its id, for the page around a frame; "" if there is none
	Decline        string // its code
	Result         string // the signed statement for the merchant
	Redirect       string // back to the merchant, with the result
}

// button is a link that looks like a button; without Href there is none.
type button struct{ Text, Href string }

// messageView is the page of a message: an error, or anything else that is only text.
type messageView struct {
	page
	Headline, Lead, RequestID string
	Primary                   button
}

// verifyView is the page with the verdict about a link or receipt. Without Asked it only
// has the field to paste into.
type verifyView struct {
	page
	Link    string
	Asked   bool
	Tone    string
	Verdict string
	Lead    string
	Rows    []row
	Primary button
}

// isLetter reports whether c is an ASCII letter.
func isLetter(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }

// words returns an amount as the request's language writes it.
func words(r *http.Request, a money.Amount) string { return printer(r).Amount(a) }

// page returns what every page of a link has, in the look of its form.
func (p *Pages) page(title string, l link.Link) page {
	v := page{Title: title, Base: p.base, Test: l.Mode == link.Test}
	if l.Shown != nil {
		v = v.dressed(l.Form, l.Shown.Origins, l.Shown.Look)
	}
	return v
}

// usualPageBytes is what a payment page has; a buffer that grows to it costs twice that.
const usualPageBytes = 12 << 10

// html renders the page into memory before it sends anything, so that a page is sent whole,
// with its status, or not at all. Language and cookie vary the response.
func (p *Pages) html(w http.ResponseWriter, r *http.Request, status int, c templ.Component) {
	var b bytes.Buffer
	b.Grow(usualPageBytes)
	if err := c.Render(r.Context(), &b); err != nil {
		p.log.ErrorContext(r.Context(), "page not rendered", "error", err, "requestId", problem.RequestID(r.Context()))
		http.Error(w, "Something went wrong on our side.", http.StatusInternalServerError)
		return
	}

	h := w.Header()
	secure(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Language", printer(r).Tag())
	h.Add("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // a failed write means that the browser has disconnected
	}
}

// failPage answers a person with an error: its status, and words without internal text.
func (p *Pages) failPage(w http.ResponseWriter, r *http.Request, err error) {
	p.record(r, err)
	pr := problem.From(err, problem.RequestID(r.Context()))
	say := printer(r)
	v := messageView{
		page: page{Base: p.base}, RequestID: withRequest(r, err),
		Primary: button{say.T("pay.verify"), p.base + "/verify"},
	}
	v.Title, v.Headline, v.Lead = failWords(say, err)
	if s := pr.RetryAfterSeconds(); s != "" {
		w.Header().Set("Retry-After", s)
	}
	p.html(w, r, pr.Status, messagePage(v))
}

// landing serves the page at the root of the public address.
func (p *Pages) landing(w http.ResponseWriter, r *http.Request) {
	p.html(w, r, http.StatusOK, landingPage(page{Title: "paylink", Base: p.base}))
}
