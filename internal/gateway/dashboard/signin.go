package dashboard

import (
	"errors"
	"net/http"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/merchant"
)

func signInRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/sign-in", open: true, handle: (*Dashboard).showSignIn},
		{method: http.MethodPost, path: "/dashboard/sign-in", open: true, handle: (*Dashboard).signIn},
		{method: http.MethodPost, path: "/dashboard/sign-out", open: true, handle: (*Dashboard).signOut},
	}
}

// signInForm is what was typed, but for the password.
type signInForm struct {
	Action, Login, Next string
	Problems            problems
}

func (d *Dashboard) showSignIn(v *visit) error {
	next := v.URL.Query().Get("next")
	if v.token != "" {
		return v.redirect(d.after(next), "", "")
	}
	return v.render(http.StatusOK, v.print.T("common.signIn"), signInPage(signInForm{Action: d.base + "/dashboard/sign-in", Next: next}))
}

// after is where a reader goes who has signed in: back to the page of ours that
// they asked for.
func (d *Dashboard) after(next string) string {
	if next != "" && d.own(next) {
		return next
	}
	return d.base + "/dashboard"
}

func (d *Dashboard) signIn(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	f := signInForm{Action: d.base + "/dashboard/sign-in", Login: form.Get("login"), Next: form.Get("next")}
	in, err := d.Merchants.SignIn(v.Context(), merchant.SignInRequest{Login: f.Login, Password: form.Get("password"), Client: merchant.Client{Browser: true}}, nil)
	if errors.Is(err, merchant.ErrCredentials) {
		f.Problems = problems{{Field: "login", Text: v.print.T("common.credentials")}}
		return v.render(http.StatusUnauthorized, v.print.T("common.signIn"), signInPage(f))
	}
	if err != nil {
		return err
	}
	d.keepSession(v, in.Token, in.Session)
	return v.redirect(d.after(f.Next), "", "")
}

// keepSession hands the browser its session, for as long as the session lives.
func (d *Dashboard) keepSession(v *visit, token string, s merchant.Session) {
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
