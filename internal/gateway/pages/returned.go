package pages

import (
	"net/http"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
)

// returned answers a POST to an address where a payer comes back from elsewhere. A
// bank's server sends the payer's browser back by a form of its own (EMV 3-D Secure),
// so the browser posts, from another site and without cookies. It is sent on to the
// same address by GET, which tells how the payment stands; nothing else happens. The
// body is not read: what the issuer has to say, it says to us and not through a browser.
func (p *Pages) returned(w http.ResponseWriter, r *http.Request) {
	to := p.payPath(r.PathValue("token"))
	if strings.HasSuffix(r.URL.Path, "/status") {
		to = p.statusPath(r.PathValue("token"), r.URL.Query().Get("attempt"))
	}
	p.goTo(w, r, to)
}

// goTo redirects to an address of our own by GET, and keeps the language that the
// address picked, for browsers that keep no cookies.
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

// meant finds the genuine token that an address with something around it means, as one
// has that was copied with the end of its sentence. What is not ours is not found, and
// is answered as it is without this.
func (p *Pages) meant(r *http.Request, typed string) (token string, ok bool) {
	bare := link.BareToken(typed)
	if bare == typed || bare == "" || strings.ContainsRune(typed, 0) {
		return "", false
	}
	v, err := p.links.Verify(r.Context(), bare)
	return bare, err == nil && v.Ours
}

// besideLinks is for addresses that begin as a link does, and go on: the token's own
// page, if something was copied with it.
func (p *Pages) besideLinks(w http.ResponseWriter, r *http.Request) {
	rest, _ := strings.CutPrefix(r.URL.Path, p.base+"/l/")
	if rest == r.URL.Path {
		rest, _ = strings.CutPrefix(r.URL.Path, "/l/") // a proxy takes the base path away
	}
	token, tail, _ := strings.Cut(rest, "/")
	if link.BareToken(tail) == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		if bare, ok := p.meant(r, token+"/"); ok {
			p.goTo(w, r, p.payPath(bare))
			return
		}
	}
	p.failPage(w, r, fault.NotFound("page"))
}
