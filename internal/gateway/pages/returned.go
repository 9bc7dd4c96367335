package pages

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
)

// returned answers a POST to an address where a payer comes back from elsewhere. A bank's
// server sends the payer's browser back by a form of its own (EMV 3-D Secure), so the
// browser posts, from another site and without cookies. It is redirected to the same
// address by GET, which shows the payment; nothing else happens. The body is not read: the
// issuer reports the outcome to us directly and not through a browser.
func (p *Pages) returned(w http.ResponseWriter, r *http.Request) {
	to := p.payPath(r.PathValue("token"))
	if strings.HasSuffix(r.URL.Path, "/status") {
		to = p.statusPath(r.PathValue("token"), r.URL.Query().Get("attempt"))
	}
	p.goTo(w, r, to)
}

// goTo redirects to an address of our own by GET. It keeps the language that the address
// picked, for browsers that keep no cookies.
func (p *Pages) goTo(w http.ResponseWriter, r *http.Request, to string) {
	if picked := pickedLanguage(r); picked != "" {
		sep := "?"
		if strings.Contains(to, "?") {
			sep = "&"
		}
		to += sep + "lang=" + picked
	}
	secure(w.Header())
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // G710: a path of our own, with token and attempt escaped in it
}

// meant returns the genuine token, or id, inside an address that has something around it,
// such as the end of the sentence with which it was copied. ok is false if nothing is
// around it, or if what is inside is not ours: then the request is answered as it is.
func meant(typed string, ours func(token string) bool) (token string, ok bool) {
	if strings.ContainsRune(typed, 0) {
		return "", false
	}
	for _, bare := range link.BareTokens(typed) {
		if bare != typed && ours(bare) {
			return bare, true
		}
	}
	return "", false
}

// ourLink returns a function that reports whether we signed a token. It reads no store.
func (p *Pages) ourLink(r *http.Request) func(string) bool {
	return func(token string) bool {
		v, err := p.links.Verify(r.Context(), token)
		return err == nil && v.Ours
	}
}

// ourForm returns a function that reports whether a form has the id.
func (p *Pages) ourForm(r *http.Request) func(string) bool {
	return func(id string) bool {
		_, err := p.forms.Form(r.Context(), id)
		return err == nil
	}
}

// ourMail returns a function that reports whether a token is of a one-click link of ours.
func (p *Pages) ourMail(r *http.Request) func(string) bool {
	return func(token string) bool {
		_, err := p.mails.Subscription(r.Context(), token)
		return err == nil
	}
}

// beside answers addresses below folder that no route matches. If one begins with a token
// or id of ours and ends with something that was copied with it, the browser is redirected
// to the token's own page. Everything else is not found.
func (p *Pages) beside(folder string, ours func(*http.Request) func(string) bool) http.HandlerFunc {
	return p.spoken(func(w http.ResponseWriter, r *http.Request) {
		rest, found := strings.CutPrefix(r.URL.Path, p.base+folder)
		if !found {
			rest, _ = strings.CutPrefix(r.URL.Path, folder) // a proxy takes the base path away
		}

		token, tail, _ := strings.Cut(rest, "/")
		if link.BareToken(tail) == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			if bare, ok := meant(token+"/", ours(r)); ok {
				p.goTo(w, r, p.base+folder+url.PathEscape(bare))
				return
			}
		}
		p.failPage(w, r, fault.NotFound("page"))
	})
}
