package dashboard

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/spelling"
)

// visit is one request of a reader, signed in unless the route is open.
type visit struct {
	*http.Request

	w       http.ResponseWriter
	d       *Dashboard
	user    merchant.User
	account merchant.Account
	session merchant.Session
	token   string // the session's; "" when nobody is signed in
	mode    string // of the path; in rooms of the whole account the one looked at last
	inMode  bool   // the path has a mode
	room    string
	print   *i18n.Printer
	frames  bool            // the page shows a frame of our own origin (a preview)
	open    bool            // the route needs no session
	taken   map[string]bool // names of the query that the page understands
}

// Names of cookies. The session's begins with __Host- where we are reached by
// https: no subdomain can set it then. Below a path of a host that other programs share
// it begins with __Secure- instead: __Host- demands Path=/, which would hand the session
// to all of them.
const (
	sessionCookie = "paylink"
	flashCookie   = "paylink-flash"
	modeCookie    = "paylink-mode"
	langCookie    = "paylink-lang"
)

const csp = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func (d *Dashboard) sessionCookie() string {
	switch {
	case d.secure && d.base == "":
		return "__Host-" + sessionCookie
	case d.secure:
		return "__Secure-" + sessionCookie
	}
	return sessionCookie
}

// cookie makes a cookie that no script reads. It is Secure wherever we are reached
// by https; a plain http address is for a machine of one's own.
func (d *Dashboard) cookie(name, value string, life time.Duration) *http.Cookie {
	//nolint:gosec // G124: Secure wherever there is https to be reached by
	c := &http.Cookie{Name: name, Value: value, Path: d.base + "/", HttpOnly: true, Secure: d.secure, SameSite: http.SameSiteLaxMode, MaxAge: int(life / time.Second)}
	if life <= 0 {
		c.MaxAge = -1
	}
	return c
}

// serve runs one route: language, session, the guard against posts from elsewhere,
// the handler, and the page of an error.
func (d *Dashboard) serve(rt route, mode string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{w: w, d: d, room: rt.room, mode: mode, inMode: mode != "", open: rt.open, taken: map[string]bool{"lang": true}}
		v.print = d.language(w, r)
		v.Request = r.WithContext(i18n.With(r.Context(), v.print))
		v.headers()
		if err := d.cross.Check(r); err != nil {
			v.fail(fault.New(fault.KindForbidden, "cross_site_post", "This form was sent from another site. Open the dashboard and send it there."))
			return
		}
		v.lastMode()
		err := v.signedIn()
		switch {
		case rt.open && !failed(err), err == nil:
		case errors.Is(err, merchant.ErrSession):
			v.askToSignIn()
			return
		default:
			v.fail(err)
			return
		}
		if r.Method == http.MethodPost {
			ctx, cancel := context.WithTimeout(v.Context(), changeTimeout)
			defer cancel()
			v.Request = v.WithContext(ctx)
		}
		if err := rt.handle(d, v); err != nil {
			v.fail(err)
		}
	})
}

// failed tells a failure from nobody being signed in.
func failed(err error) bool { return err != nil && !errors.Is(err, merchant.ErrSession) }

// language is the reader's: chosen by ?lang= and kept, or the browser's.
func (d *Dashboard) language(w http.ResponseWriter, r *http.Request) *i18n.Printer {
	override := r.URL.Query().Get("lang")
	if override != "" {
		p := i18n.Match(override, r.Header.Get("Accept-Language"))
		http.SetCookie(w, d.cookie(langCookie, p.Tag(), 365*24*time.Hour))
		return p
	}
	if c, err := r.Cookie(langCookie); err == nil {
		override = c.Value
	}
	return i18n.Match(override, r.Header.Get("Accept-Language"))
}

func (v *visit) headers() {
	h := v.w.Header()
	h.Set("Content-Security-Policy", csp)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Add("Vary", "Cookie, Accept-Language, HX-Request")
}

// lastMode keeps the mode that is looked at for the rooms that have none.
func (v *visit) lastMode() {
	c, err := v.Cookie(modeCookie)
	last := merchant.Test
	if err == nil && c.Value == merchant.Live {
		last = merchant.Live
	}
	if !v.inMode {
		v.mode = last
	} else if err != nil || c.Value != v.mode {
		http.SetCookie(v.w, v.d.cookie(modeCookie, v.mode, 365*24*time.Hour))
	}
}

// signedIn reads who visits. ErrSession: nobody whom we know.
func (v *visit) signedIn() error {
	c, err := v.Cookie(v.d.sessionCookie())
	if err != nil || c.Value == "" {
		return merchant.ErrSession
	}
	s, _, err := v.d.Merchants.Authenticate(v.Context(), c.Value)
	if err != nil {
		return err
	}
	user, account, err := v.d.Merchants.Me(v.Context(), s.User)
	if err != nil {
		return err
	}
	v.token, v.session, v.user, v.account = c.Value, s, user, account
	v.Request = v.WithContext(inZone(v.Context(), account.Zone()))
	return nil
}

// askToSignIn sends a reader to the door, and back here afterwards. A script that
// follows a list is told to take the whole page there.
func (v *visit) askToSignIn() {
	to := v.d.base + "/dashboard/sign-in"
	if v.Method == http.MethodGet && !v.partial() {
		to += "?next=" + url.QueryEscape(v.d.base+v.URL.RequestURI())
	}
	if v.partial() {
		v.w.Header().Set("HX-Redirect", to)
		v.w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.Redirect(v.w, v.Request, to, http.StatusSeeOther)
}

// partial reports whether a script asks for the part of the page alone.
func (v *visit) partial() bool { return v.Header.Get("HX-Request") == "true" }

// path is an address within the dashboard, with the mode's prefix: v.path("payments").
func (v *visit) path(parts ...string) string {
	p := v.d.base + "/dashboard/" + v.mode
	for _, s := range parts {
		p += "/" + url.PathEscape(s)
	}
	return p
}

// accountPath is an address in the rooms of the whole account.
func (v *visit) accountPath(parts ...string) string {
	p := v.d.base + "/dashboard/account"
	for _, s := range parts {
		p += "/" + url.PathEscape(s)
	}
	return p
}

// form reads a posted form up to its bound.
func (v *visit) form() (url.Values, error) {
	v.Body = http.MaxBytesReader(v.w, v.Body, maxBodyBytes)
	if err := v.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, fault.New(fault.KindTooLarge, "body_too_large", "A body has at most %d bytes.", maxBodyBytes)
		}
		return nil, fault.New(fault.KindInvalid, "form_invalid", "The form did not arrive as your browser should send it. Open the page again.")
	}
	return v.PostForm, nil
}

// render answers with a page: whole, or its body alone when a script asks for it.
// It is made in memory first: a page is sent whole, with its status, or not at all. A
// page whose query has a name that it did not read is refused, except without a session:
// those are reached by addresses that mail programs add names to.
func (v *visit) render(status int, title string, body templ.Component) error {
	if status == http.StatusOK {
		if wrong := v.unread(); wrong != nil {
			return v.refuse(wrong, v.d.base+v.URL.EscapedPath())
		}
	}
	page := body
	if !v.partial() {
		page = layout(v.frame(title), body)
	}
	var b bytes.Buffer
	if err := page.Render(v.Context(), &b); err != nil {
		return err
	}
	h := v.w.Header()
	if v.frames {
		h.Set("Content-Security-Policy", csp+"; frame-src 'self'")
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	v.w.WriteHeader(status)
	if v.Method != http.MethodHead {
		_, _ = v.w.Write(b.Bytes()) // a failed write means that the browser is gone
	}
	return nil
}

// fail answers with the page of an error, in the frame of whoever is signed in.
func (v *visit) fail(err error) {
	switch fault.KindOf(err) {
	case fault.KindInternal, fault.KindUnavailable:
		v.d.Log.ErrorContext(v.Context(), "page failed", "error", err, "requestId", problem.RequestID(v.Context()), "method", v.Method, "route", v.Pattern)
	}
	p := problem.From(err, problem.RequestID(v.Context()))
	if s := p.RetryAfterSeconds(); s != "" {
		v.w.Header().Set("Retry-After", s)
	}
	o := v.oops(p, fault.KindOf(err))
	if err := v.render(p.Status, o.Headline, oopsPage(o)); err != nil {
		v.d.Log.ErrorContext(v.Context(), "page not rendered", "error", err, "requestId", problem.RequestID(v.Context()))
		http.Error(v.w, "Something went wrong on our side.", http.StatusInternalServerError)
	}
}

// notice is what a page says once, after a change.
type notice struct {
	Tone string `json:"t"` // good, bad or wait
	Text string `json:"x"`
}

// redirect sends the reader on after a change, with words to say there; "" says
// nothing. The words travel in a cookie of this session, signed, and are shown once.
func (v *visit) redirect(path, tone, words string) error {
	if words != "" {
		raw, err := json.Marshal(notice{tone, words})
		if err != nil {
			return err
		}
		if len(raw) <= maxFlashBytes {
			mac := v.d.MAC(v.flashed(raw))
			http.SetCookie(v.w, v.d.cookie(flashCookie, base64.RawURLEncoding.EncodeToString(append(mac, raw...)), time.Minute))
		}
	}
	if v.partial() {
		v.w.Header().Set("HX-Location", path)
		v.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	http.Redirect(v.w, v.Request, path, http.StatusSeeOther)
	return nil
}

func (v *visit) flashed(raw []byte) []byte {
	return append([]byte("flash\x00"+v.session.ID+"\x00"), raw...)
}

// said takes the words of the last change out of the cookie; nil: none, or not ours.
func (v *visit) said() *notice {
	c, err := v.Cookie(flashCookie)
	if err != nil {
		return nil
	}
	http.SetCookie(v.w, v.d.cookie(flashCookie, "", 0))
	raw, err := base64.RawURLEncoding.DecodeString(c.Value)
	size := len(v.d.MAC(nil))
	if err != nil || len(raw) <= size || !hmac.Equal(raw[:size], v.d.MAC(v.flashed(raw[size:]))) {
		return nil
	}
	var n notice
	if json.Unmarshal(raw[size:], &n) != nil {
		return nil
	}
	return &n
}

// csv streams a table. Once the first row is sent there is no status left to
// change: an error then cuts the connection, so that a file that ended well is whole.
func (v *visit) csv(name string, header []string, rows iter.Seq2[[]string, error]) error {
	next, stop := iter.Pull2(rows)
	defer stop()
	row, err, more := next()
	if err != nil {
		return err // nothing is sent yet: a page can tell
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	if v.Method == http.MethodHead {
		return nil
	}
	out := csv.NewWriter(v.w)
	out.UseCRLF = true                     // RFC 4180
	_, err = io.WriteString(v.w, "\ufeff") // a spreadsheet reads the file in another encoding otherwise
	if err == nil {
		err = out.Write(header)
	}
	for ; more && err == nil; row, err, more = next() {
		for i, cell := range row {
			row[i] = inert(cell)
		}
		if err = out.Write(row); err != nil {
			break
		}
	}
	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil {
		v.d.Log.WarnContext(v.Context(), "a table was cut short", "requestId", problem.RequestID(v.Context()), "error", err.Error())
		panic(http.ErrAbortHandler)
	}
	return nil
}

// inert keeps a spreadsheet from running a cell as a formula: payers choose
// their names. A number below nought stays a number.
func inert(cell string) string {
	number, below := strings.CutPrefix(cell, "-")
	if spelling.Formula(cell) && !(below && number != "" && strings.Trim(number, "0123456789.") == "") {
		return "'" + cell
	}
	return cell
}

// own reports whether an address is one of the dashboard's own pages, for
// whoever is sent back to where they came from.
func (d *Dashboard) own(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && !strings.Contains(address, "\\") &&
		(strings.HasPrefix(u.Path, d.base+"/dashboard/") || u.Path == d.base+"/dashboard") && !strings.Contains(u.Path, "//") && !strings.Contains(u.Path, "..")
}
