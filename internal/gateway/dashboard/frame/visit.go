package frame

import (
	"bytes"
	"context"
	"crypto/sha256"
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

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/spelling"
)

// Visit is one request of a reader, signed in unless the route is open.
type Visit struct {
	*http.Request

	Writer  http.ResponseWriter
	Print   *i18n.Printer // of the reader's language
	User    merchant.User
	Account merchant.Account
	Session merchant.Session
	Token   string // of the session; "" if nobody is signed in
	Mode    string // of the path; on pages of the whole account, the mode of the page before
	Frames  bool   // the page shows a frame of our own origin (a preview)

	d      *Frame
	inMode bool            // the path has a mode
	entry  string          // the key of the menu's entry that is marked
	open   bool            // the route needs no session
	taken  map[string]bool // query parameters that the page knows
	hidden []string        // query parameters that were left out because they contain a card number
}

// Names of cookies. If the public URL is https, those of the session and the known device begin
// with __Host-, so no subdomain can set them. Below a path of a shared host it begins with __Secure-
// instead: __Host- requires Path=/, which would send the session to all other programs
// on the host.
const (
	sessionCookie = "paylink"
	deviceCookie  = "paylink-device"
	flashCookie   = "paylink-flash"
	modeCookie    = "paylink-mode"
	langCookie    = "paylink-lang"
)

// csp allows a page to load our own files and to post to us, and nothing else. No other
// site may frame a page.
const csp = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// SessionCookie returns the name of the session's cookie.
func (d *Frame) SessionCookie() string { return d.prefixed(sessionCookie) }

// DeviceCookie returns the name of the cookie by which a browser is known after a sign-in.
func (d *Frame) DeviceCookie() string { return d.prefixed(deviceCookie) }

// prefixed returns the name of a cookie that no other host and no other path may set.
func (d *Frame) prefixed(name string) string {
	switch {
	case d.secure && d.Base == "":
		return "__Host-" + name
	case d.secure:
		return "__Secure-" + name
	}
	return name
}

// Cookie returns a cookie that scripts cannot read. It is Secure if the public URL is
// https; plain http is for local use. A life of 0 removes the cookie.
func (d *Frame) Cookie(name, value string, life time.Duration) *http.Cookie {
	//nolint:gosec // G124: Secure wherever there is https to be reached by
	c := &http.Cookie{
		Name:     name,
		Value:    value,
		Path:     d.Base + "/",
		HttpOnly: true,
		Secure:   d.secure,
		SameSite: http.SameSiteLaxMode,
		MaxAge:   int(life / time.Second),
	}
	if life <= 0 {
		c.MaxAge = -1
	}
	return c
}

// serve runs one route: language, session, the check against cross-site posts, the
// handler, and the error page.
func (d *Frame) serve(rt Route, mode string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &Visit{Writer: w, d: d, entry: rt.Entry, Mode: mode, inMode: mode != "", open: rt.Open, taken: map[string]bool{"lang": true}}
		r, v.hidden = answer.WithoutNumbers(r)
		v.Print = d.language(w, r)
		v.Request = answer.By(r.WithContext(i18n.With(r.Context(), v.Print)), activity.Actor{})
		v.headers()
		if err := d.cross.Check(r); err != nil {
			v.fail(
				fault.New(fault.KindForbidden, "cross_site_post", "This form was submitted from another site. Open the dashboard and submit it there."),
			)
			return
		}

		v.lastMode()
		err := v.signedIn()
		switch {
		case rt.Open && !failed(err), err == nil:
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
		if err := rt.Handle(v); err != nil {
			v.fail(err)
		}
	})
}

// failed distinguishes a failure from a reader who is not signed in.
func failed(err error) bool { return err != nil && !errors.Is(err, merchant.ErrSession) }

// language returns the reader's language: chosen with ?lang= and kept, or the browser's.
func (d *Frame) language(w http.ResponseWriter, r *http.Request) *i18n.Printer {
	override := r.URL.Query().Get("lang")
	if override != "" {
		p := i18n.Match(override, r.Header.Get("Accept-Language"))
		http.SetCookie(w, d.Cookie(langCookie, p.Tag(), 365*24*time.Hour))
		return p
	}
	if c, err := r.Cookie(langCookie); err == nil {
		override = c.Value
	}
	return i18n.Match(override, r.Header.Get("Accept-Language"))
}

// headers sets the headers of every response, before anything can fail.
func (v *Visit) headers() {
	h := v.Writer.Header()
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

// lastMode takes the mode of a page that has none from the reader's last page that had one,
// and remembers the mode of this one.
func (v *Visit) lastMode() {
	c, err := v.Cookie(modeCookie)
	last := merchant.Test
	if err == nil && c.Value == merchant.Live {
		last = merchant.Live
	}
	if !v.inMode {
		v.Mode = last
	} else if err != nil || c.Value != v.Mode {
		http.SetCookie(v.Writer, v.d.Cookie(modeCookie, v.Mode, 365*24*time.Hour))
	}
}

// signedIn reads the session of the request. It fails with ErrSession if there is none or
// it has ended, and with the store's error otherwise.
func (v *Visit) signedIn() error {
	c, err := v.Cookie(v.d.SessionCookie())
	if err != nil || c.Value == "" {
		return merchant.ErrSession
	}

	s, _, err := v.d.config.Merchants.Authenticate(v.Context(), c.Value)
	if err != nil {
		return err
	}

	user, account, err := v.d.config.Merchants.Me(v.Context(), s.User)
	if err != nil {
		return err
	}

	v.Token, v.Session, v.User, v.Account = c.Value, s, user, account
	v.Request = answer.By(v.WithContext(parts.InZone(v.Context(), account.Zone())),
		activity.Actor{Kind: activity.User, ID: user.ID, Session: s.ID})
	return nil
}

// askToSignIn redirects a reader to the sign-in page, and back here afterwards. For a
// script that refreshes a list, it redirects the whole page.
func (v *Visit) askToSignIn() {
	to := v.d.Base + "/dashboard/sign-in"
	if v.Method == http.MethodGet && !v.Partial() {
		to += "?next=" + url.QueryEscape(v.d.Base+v.URL.RequestURI())
	}
	if v.Partial() {
		v.Writer.Header().Set("HX-Redirect", to)
		v.Writer.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.Redirect(v.Writer, v.Request, to, http.StatusSeeOther)
}

// Partial reports whether a script asks for the part of the page alone.
func (v *Visit) Partial() bool { return v.Header.Get("HX-Request") == "true" }

// Path returns an address within the dashboard, with the mode's prefix: v.Path("payments").
// Each part is escaped.
func (v *Visit) Path(parts ...string) string {
	p := v.d.Base + "/dashboard/" + v.Mode
	for _, s := range parts {
		p += "/" + url.PathEscape(s)
	}
	return p
}

// AccountPath returns an address of a page of the whole account.
func (v *Visit) AccountPath(parts ...string) string {
	p := v.d.Base + "/dashboard/account"
	for _, s := range parts {
		p += "/" + url.PathEscape(s)
	}
	return p
}

// Posted reads a posted form, up to maxBodyBytes. It fails with body_too_large or
// form_invalid.
func (v *Visit) Posted() (url.Values, error) {
	v.Body = http.MaxBytesReader(v.Writer, v.Body, maxBodyBytes)
	if err := v.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, fault.New(fault.KindTooLarge, "body_too_large", "The body must be at most %d bytes.", maxBodyBytes)
		}
		return nil, fault.New(fault.KindInvalid, "form_invalid", "The form data is incomplete or malformed. Reload the page and try again.")
	}
	return v.PostForm, nil
}

// Render answers with a page: whole, or only its body if a script asks for it. It is
// rendered in memory first, so a page is sent whole, with its status, or not at all. A page
// whose query has a name that it did not read is refused, except without a session: mail
// programs add names to the addresses of those pages.
func (v *Visit) Render(status int, title string, body templ.Component) error {
	if status == http.StatusOK {
		if wrong := v.Unread(); wrong != nil {
			return v.Refuse(wrong, v.d.Base+v.URL.EscapedPath())
		}
	}

	page := body
	if !v.Partial() {
		page = layout(v.frame(title), body)
	}
	var b bytes.Buffer
	if err := page.Render(v.Context(), &b); err != nil {
		return err
	}

	h := v.Writer.Header()
	if v.Frames {
		h.Set("Content-Security-Policy", csp+"; frame-src 'self'")
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	v.Writer.WriteHeader(status)
	if v.Method != http.MethodHead {
		_, _ = v.Writer.Write(b.Bytes()) // a failed write means that the browser is gone
	}
	return nil
}

// fail answers with an error page, in the frame of the signed-in user.
func (v *Visit) fail(err error) {
	switch fault.KindOf(err) {
	case fault.KindInternal, fault.KindUnavailable:
		if errors.Is(err, merchant.ErrBusy) {
			break // counted and logged by the service
		}
		v.d.Log.ErrorContext(
			v.Context(),
			"page failed",
			"error",
			err,
			"requestId",
			problem.RequestID(v.Context()),
			"method",
			v.Method,
			"route",
			v.Pattern,
		)
	default: // the caller's mistake
	}

	p := problem.From(err, problem.RequestID(v.Context()))
	if s := p.RetryAfterSeconds(); s != "" {
		v.Writer.Header().Set("Retry-After", s)
	}
	o := v.failure(p, fault.KindOf(err))
	if err := v.Render(p.Status, o.Headline, failurePage(o)); err != nil {
		v.d.Log.ErrorContext(v.Context(), "page not rendered", "error", err, "requestId", problem.RequestID(v.Context()))
		http.Error(v.Writer, "Something went wrong on our side.", http.StatusInternalServerError)
	}
}

// Notice is what a page says once, after a change. It travels in a signed cookie.
type Notice struct {
	Tone string `json:"t"` // good, bad or wait
	Text string `json:"x"`
}

// Redirect sends the reader on after a change, with words to say there; "" says nothing.
// The words travel in a cookie of this session, signed, and are shown once. Words that are
// too long for a cookie are dropped.
func (v *Visit) Redirect(path, tone, words string) error {
	if words != "" {
		raw, err := json.Marshal(Notice{tone, words})
		if err != nil {
			return err
		}
		if len(raw) <= maxFlashBytes {
			mac := v.d.config.MAC.Tag(v.flashed(raw))
			http.SetCookie(v.Writer, v.d.Cookie(flashCookie, base64.RawURLEncoding.EncodeToString(append(mac, raw...)), time.Minute))
		}
	}

	if v.Partial() {
		v.Writer.Header().Set("HX-Location", path)
		v.Writer.WriteHeader(http.StatusNoContent)
		return nil
	}

	http.Redirect(v.Writer, v.Request, path, http.StatusSeeOther)
	return nil
}

// Deleted sends the reader on after a deletion that ended with err. If there was nothing to
// delete, it says so: the form was sent twice, or another user was faster.
func (v *Visit) Deleted(path, words string, err error) error {
	switch {
	case fault.KindOf(err) == fault.KindNotFound:
		return v.Redirect(path, "wait", v.Print.T("common.nothingDeleted"))
	case err != nil:
		return err
	}
	return v.Redirect(path, "good", words)
}

// flashed returns what the notice's signature covers, so that it is shown in this session
// only.
func (v *Visit) flashed(raw []byte) []byte {
	return append([]byte("flash\x00"+v.Session.ID+"\x00"), raw...)
}

// takeNotice takes the words of the last change out of the cookie; nil: none, or not ours.
func (v *Visit) takeNotice() *Notice {
	c, err := v.Cookie(flashCookie)
	if err != nil {
		return nil
	}

	http.SetCookie(v.Writer, v.d.Cookie(flashCookie, "", 0))
	raw, err := base64.RawURLEncoding.DecodeString(c.Value)
	const size = sha256.Size
	if err != nil || len(raw) <= size || !v.d.config.MAC.Check(v.flashed(raw[size:]), raw[:size]) {
		return nil
	}

	var n Notice
	if json.Unmarshal(raw[size:], &n) != nil {
		return nil
	}

	return &n
}

// CSV streams a table. Once the first row is sent the status cannot change anymore: an
// error then aborts the connection, so a file that ends normally is complete. An error
// before the first row is returned, for a page.
func (v *Visit) CSV(name string, header []string, rows iter.Seq2[[]string, error]) error {
	next, stop := iter.Pull2(rows)
	defer stop()
	row, err, more := next()
	if err != nil {
		return err // nothing is sent yet: a page can tell
	}

	h := v.Writer.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	if v.Method == http.MethodHead {
		return nil
	}
	if err := v.d.config.Merchants.Exported(v.Context(), v.Account.ID, name); err != nil {
		h.Del("Content-Type")
		h.Del("Content-Disposition")
		return err
	}

	out := csv.NewWriter(v.Writer)
	out.UseCRLF = true                          // RFC 4180
	_, err = io.WriteString(v.Writer, "\ufeff") // a spreadsheet reads the file in another encoding otherwise
	if err == nil {
		err = out.Write(header)
	}
	for ; more && err == nil; row, err, more = next() {
		for i, cell := range row {
			row[i] = spelling.Cell(cell) // payers choose their names
		}
		if err = out.Write(row); err != nil {
			break
		}
	}

	if out.Flush(); err == nil {
		err = out.Error()
	}
	if err != nil {
		v.d.Log.WarnContext(v.Context(), "a table was cut off", "requestId", problem.RequestID(v.Context()), "error", err.Error())
		panic(http.ErrAbortHandler)
	}

	return nil
}

// Own reports whether an address is one of the dashboard's own pages, without a card number in it.
// It is used before a reader is redirected back to where they came from.
func (d *Frame) Own(address string) bool {
	u, err := url.Parse(address)
	return err == nil && !issuer.HasNumber(address) && u.Scheme == "" && u.Host == "" && u.User == nil && !strings.Contains(address, "\\") &&
		(strings.HasPrefix(u.Path, d.Base+"/dashboard/") || u.Path == d.Base+"/dashboard") && !strings.Contains(u.Path, "//") &&
		!strings.Contains(u.Path, "..")
}

// Ask answers with a page that asks before something is done, under a new attempt id.
func (v *Visit) Ask(q parts.Question) error {
	q.Attempt = NewAttempt()
	return v.Render(http.StatusOK, q.Head.Title, parts.QuestionPage(q))
}

// StatusOf returns the status of a response that shows a refused form again.
func StatusOf(k fault.Kind) int {
	switch k {
	case fault.KindUnauthenticated:
		return http.StatusUnauthorized
	case fault.KindRateLimited:
		return http.StatusTooManyRequests
	case fault.KindConflict:
		return http.StatusConflict
	default:
		return http.StatusUnprocessableEntity
	}
}

// RetryAfter sets the header of that name, for scripts. People read it in the text.
func (v *Visit) RetryAfter(f *fault.Error) {
	if f.RetryAfter > 0 {
		v.Writer.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
}
