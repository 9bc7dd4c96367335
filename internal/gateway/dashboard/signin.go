package dashboard

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/merchant"
)

func signInRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/sign-in", open: true, handle: (*Dashboard).showSignIn},
		{method: http.MethodPost, path: "/dashboard/sign-in", open: true, handle: (*Dashboard).signIn},
		{method: http.MethodGet, path: "/dashboard/sign-in/passkey", open: true, handle: (*Dashboard).passkeyOptions},
		{method: http.MethodPost, path: "/dashboard/sign-in/passkey", open: true, handle: (*Dashboard).signInPasskey},
		{method: http.MethodPost, path: "/dashboard/sign-out", open: true, handle: (*Dashboard).signOut},
	}
}

// signInForm is what was typed, but for the password and the code.
type signInForm struct {
	Base, Login, Next string
	Proof             string // of the password: the second step asks for a code
	Policy            merchant.Policy
	Problems          problems
}

func (d *Dashboard) showSignIn(v *visit) error {
	next := v.URL.Query().Get("next")
	if v.token != "" {
		return v.redirect(d.after(next), "", "")
	}
	return d.signInAgain(v, http.StatusOK, signInForm{Next: next})
}

// signInAgain shows the first step.
func (d *Dashboard) signInAgain(v *visit, status int, f signInForm) error {
	policy, err := d.Merchants.Policy(v.Context())
	if err != nil {
		return err
	}
	f.Base, f.Policy = d.base, policy
	return v.render(status, v.print.T("common.signIn"), signInPage(f))
}

// after is where a reader goes who has signed in: back to the page of ours that
// they asked for.
func (d *Dashboard) after(next string) string {
	if next != "" && d.own(next) {
		return next
	}
	return d.base + "/dashboard"
}

// client is where a session is used. Behind a proxy the address is the proxy's.
func (v *visit) client() merchant.Client {
	host, _, err := net.SplitHostPort(v.RemoteAddr)
	if err != nil {
		host = ""
	}
	return merchant.Client{Browser: true, Agent: v.UserAgent(), Address: host, Lang: v.print.Tag()}
}

// signIn is both steps: the password, and the code where the user has turned codes
// on. The second carries a proof of the first, so that no page holds a password.
func (d *Dashboard) signIn(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	f := signInForm{Base: d.base, Login: strings.TrimSpace(form.Get("login")), Next: form.Get("next"), Proof: form.Get("proof")}
	in, err := d.Merchants.SignIn(v.Context(), merchant.SignInRequest{Login: f.Login, Password: form.Get("password"), Proof: f.Proof, OTP: form.Get("code"),
		TwoSteps: true, Client: v.client()}, nil)
	switch {
	case errors.Is(err, merchant.ErrCredentials):
		f.Problems = problems{{Field: "login", Text: v.print.T("common.credentials")}}
		return d.signInAgain(v, http.StatusUnauthorized, f)
	case errors.Is(err, merchant.ErrOTP):
		f.Problems = problems{{Field: "code", Text: v.explain("otp_invalid", "")}}
		return v.render(http.StatusUnauthorized, v.print.T("account.codeTitle"), codePage(f))
	case err != nil:
		return d.signInRefused(v, f, err)
	case in.Proof != "":
		f.Proof = in.Proof
		return v.render(http.StatusOK, v.print.T("account.codeTitle"), codePage(f))
	}
	d.keepSession(v, in.Token, in.Session)
	return v.redirect(d.after(f.Next), "", "")
}

// signInRefused starts again with what is wrong.
func (d *Dashboard) signInRefused(v *visit, f signInForm, err error) error {
	refused := fault.From(err)
	switch refused.Kind {
	case fault.KindUnauthenticated, fault.KindRateLimited:
	default:
		return err
	}
	f.Proof, f.Problems = "", v.problems(err)
	v.retryAfter(refused)
	return d.signInAgain(v, statusOf(refused.Kind), f)
}

// passkeyOptions are what the browser needs to ask the user for a passkey.
func (d *Dashboard) passkeyOptions(v *visit) error {
	c, err := d.Merchants.BeginPasskeySignIn(v.Context())
	if err != nil {
		return err
	}
	raw, err := json.Marshal(map[string]any{"options": c.Options, "state": c.State})
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/json")
	_, _ = v.w.Write(raw) // a failed write means that the browser is gone
	return nil
}

func (d *Dashboard) signInPasskey(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	in, err := d.Merchants.SignInPasskey(v.Context(), form.Get("state"), []byte(form.Get("answer")), v.client())
	if err != nil {
		return d.signInRefused(v, signInForm{Next: form.Get("next")}, err)
	}
	d.keepSession(v, in.Token, in.Session)
	return v.redirect(d.after(form.Get("next")), "", "")
}

// keepSession hands the browser its session, for as long as the session lives. The
// browser's zone becomes the account's where none was chosen; a failure of that is no
// reason to keep somebody out.
func (d *Dashboard) keepSession(v *visit, token string, s merchant.Session) {
	if err := d.Merchants.GuessTimeZone(v.Context(), s.Account, v.PostForm.Get("timeZone")); err != nil {
		d.Log.WarnContext(v.Context(), "the browser's time zone is not kept", "error", err.Error())
	}
	http.SetCookie(v.w, d.cookie(d.sessionCookie(), token, max(s.ExpiresAt.Sub(d.Now()), time.Second)))
}

// signOut ends the session on every instance, and takes the cookie back. Who is
// signed out already is so still.
func (d *Dashboard) signOut(v *visit) error {
	if v.token != "" {
		if err := d.Merchants.SignOut(v.Context(), v.session.ID); err != nil && fault.KindOf(err) != fault.KindNotFound {
			return err
		}
	}
	http.SetCookie(v.w, d.cookie(d.sessionCookie(), "", 0))
	v.session = merchant.Session{} // the words are for whoever reads the door
	return v.redirect(d.base+"/dashboard/sign-in", "good", v.print.T("common.signedOut"))
}
