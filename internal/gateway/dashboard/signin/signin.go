package signin

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/merchant"
)

// signInRoutes returns the pages of signing in and out. They need no session.
func (d *Pages) signInRoutes() []frame.Route {
	return []frame.Route{
		frame.Open(http.MethodGet, "/dashboard/sign-in", d.on((*Pages).showSignIn)),
		frame.Open(http.MethodPost, "/dashboard/sign-in", d.on((*Pages).signIn)),
		frame.Open(http.MethodGet, "/dashboard/sign-in/passkey", d.on((*Pages).passkeyOptions)),
		frame.Open(http.MethodPost, "/dashboard/sign-in/passkey", d.on((*Pages).signInPasskey)),
		frame.Open(http.MethodPost, "/dashboard/sign-out", d.on((*Pages).signOut)),
	}
}

// signInForm is what was typed, except the password and the code.
type signInForm struct {
	Base, Login, Next string
	Proof             string // of the password: the second step asks for a code
	Policy            merchant.Policy
	Problems          parts.Problems
}

// showSignIn shows the first step. A reader who is signed in is redirected.
func (d *Pages) showSignIn(v *visit) error {
	next := v.URL.Query().Get("next")
	if v.Token != "" {
		return v.Redirect(d.after(next), "", "")
	}
	return d.signInAgain(v, http.StatusOK, signInForm{Next: next})
}

// signInAgain renders the first step, with the ways of signing in that are possible.
func (d *Pages) signInAgain(v *visit, status int, f signInForm) error {
	policy, err := d.Merchants.Policy(v.Context())
	if err != nil {
		return err
	}
	f.Base, f.Policy = d.Base, policy
	return v.Render(status, v.Print.T("common.signIn"), signInPage(f))
}

// after returns where a reader goes after signing in: to the page of ours that they wanted,
// or to the first page. An address of another site is ignored.
func (d *Pages) after(next string) string {
	if next != "" && d.Own(next) {
		return next
	}
	return d.Base + "/dashboard"
}

// client describes where a session is used. Behind a proxy that is not trusted the address
// is the proxy's.
func (v *visit) client() merchant.Client {
	host, _, err := net.SplitHostPort(v.RemoteAddr)
	if err != nil {
		host = ""
	}
	c := merchant.Client{Browser: true, Agent: v.UserAgent(), Address: host, Lang: v.Print.Tag()}
	if known, err := v.Cookie(v.d.DeviceCookie()); err == nil {
		c.Device = known.Value
	}
	return c
}

// signIn serves both steps: the password, and the code if the user has turned codes on. The
// second step carries a proof of the first, so no page contains a password.
func (d *Pages) signIn(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}

	f := signInForm{Base: d.Base, Login: strings.TrimSpace(form.Get("login")), Next: form.Get("next"), Proof: form.Get("proof")}
	// The service knows by the proof which of the two steps this is.
	in, err := d.Merchants.SignIn(
		v.Context(),
		merchant.SignInRequest{Login: f.Login, Password: form.Get("password"), Proof: f.Proof, OTP: form.Get("code"),
			TwoSteps: true, Client: v.client()},
		nil,
	)
	switch {
	case errors.Is(err, merchant.ErrCredentials):
		f.Problems = parts.Problems{{Field: "login", Text: v.Print.T("common.credentials")}}
		return d.signInAgain(v, http.StatusUnauthorized, f)
	case errors.Is(err, merchant.ErrOTP):
		f.Problems = parts.Problems{{Field: "code", Text: v.Explain("otp_invalid", "")}}
		return v.Render(http.StatusUnauthorized, v.Print.T("account.codeTitle"), codePage(f))
	case err != nil:
		return d.signInRefused(v, f, err)
	case in.Proof != "":
		f.Proof = in.Proof
		return v.Render(http.StatusOK, v.Print.T("account.codeTitle"), codePage(f))
	}

	d.keepSession(v, in)
	return v.Redirect(d.after(f.Next), "", "")
}

// signInRefused shows the first step again with what is wrong. Errors that the reader
// cannot fix are returned.
func (d *Pages) signInRefused(v *visit, f signInForm, err error) error {
	refused := fault.From(err)
	switch refused.Kind {
	case fault.KindUnauthenticated, fault.KindRateLimited:
	default:
		return err
	}
	f.Proof, f.Problems = "", v.Problems(err)
	v.RetryAfter(refused)
	return d.signInAgain(v, frame.StatusOf(refused.Kind), f)
}

// passkeyOptions answers with the options by which the browser asks the user for a passkey,
// and the state that it must return.
func (d *Pages) passkeyOptions(v *visit) error {
	c, err := d.Merchants.BeginPasskeySignIn(v.Context())
	if err != nil {
		return err
	}
	raw, err := json.Marshal(map[string]any{"options": c.Options, "state": c.State})
	if err != nil {
		return err
	}
	v.Writer.Header().Set("Content-Type", "application/json")
	_, _ = v.Writer.Write(raw) // a failed write means that the browser is gone
	return nil
}

// signInPasskey signs in by the browser's answer.
func (d *Pages) signInPasskey(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	in, err := d.Merchants.SignInPasskey(v.Context(), form.Get("state"), []byte(form.Get("answer")), v.client())
	if err != nil {
		return d.signInRefused(v, signInForm{Next: form.Get("next")}, err)
	}
	d.keepSession(v, in)
	return v.Redirect(d.after(form.Get("next")), "", "")
}

// keepSession sets the session's cookie, for as long as the session lives, and the cookie by which
// the browser is known to the user's next sign-in. It outlives the session. The browser's
// zone becomes the account's if none was chosen; if that fails, the sign-in still succeeds.
func (d *Pages) keepSession(v *visit, in merchant.SignedIn) {
	s := in.Session
	if err := d.Merchants.GuessTimeZone(v.Context(), s.Account, v.PostForm.Get("timeZone")); err != nil {
		d.Log.WarnContext(v.Context(), "the browser's time zone could not be saved", "error", err.Error())
	}
	http.SetCookie(v.Writer, d.Cookie(d.SessionCookie(), in.Token, max(s.ExpiresAt.Sub(d.Now()), time.Second)))
	http.SetCookie(v.Writer, d.Cookie(d.DeviceCookie(), in.Device, merchant.DeviceLife))
}

// signOut ends the session on every instance, and removes the cookie. Signing out again
// succeeds.
func (d *Pages) signOut(v *visit) error {
	if v.Token != "" {
		if err := d.Merchants.SignOut(v.Context(), v.Session.ID); err != nil && fault.KindOf(err) != fault.KindNotFound {
			return err
		}
	}
	http.SetCookie(v.Writer, d.Cookie(d.SessionCookie(), "", 0))
	v.Session = merchant.Session{} // the message is for the reader of the sign-in page
	return v.Redirect(d.Base+"/dashboard/sign-in", "good", v.Print.T("common.signedOut"))
}
