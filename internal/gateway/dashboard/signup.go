package dashboard

import (
	"net/http"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/merchant"
)

// The pages for whoever is not signed in: sign-up, and what the links in mails open.
// Such a link is opened by a GET, which changes nothing: programs that look through
// mails follow links, and would use the token up.
func doorRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/sign-up", open: true, handle: (*Dashboard).showSignUp},
		{method: http.MethodPost, path: "/dashboard/sign-up", open: true, handle: (*Dashboard).signUp},
		{method: http.MethodGet, path: "/dashboard/forgotten", open: true, handle: (*Dashboard).showForgotten},
		{method: http.MethodPost, path: "/dashboard/forgotten", open: true, handle: (*Dashboard).forgotten},
		{method: http.MethodGet, path: "/dashboard/reset", open: true, handle: (*Dashboard).showReset},
		{method: http.MethodPost, path: "/dashboard/reset", open: true, handle: (*Dashboard).reset},
		{method: http.MethodGet, path: "/dashboard/confirm", open: true, handle: (*Dashboard).showConfirm},
		{method: http.MethodPost, path: "/dashboard/confirm", open: true, handle: (*Dashboard).confirm},
	}
}

// signUpForm is what was typed, but for the password.
type signUpForm struct {
	Base            string
	Username, Email string
	Token           string // of the invitation; "" is none
	Invitation      merchant.Invitation
	Problems        problems
}

func (d *Dashboard) showSignUp(v *visit) error {
	if v.token != "" {
		return v.redirect(d.base+"/dashboard", "", "")
	}
	return d.signUpAgain(v, http.StatusOK, signUpForm{Token: v.URL.Query().Get("invitation")})
}

// signUpAgain shows the form, or why there is none.
func (d *Dashboard) signUpAgain(v *visit, status int, f signUpForm) error {
	policy, err := d.Merchants.Policy(v.Context())
	if err != nil {
		return err
	}
	f.Base = d.base
	note := func(headline, lead string) error {
		return v.render(http.StatusForbidden, headline, doorNote(headline, lead, button{Text: v.print.T("account.toSignIn"), Href: d.base + "/dashboard/sign-in"}))
	}
	switch {
	case policy.SignUp == merchant.Closed:
		return note(v.print.T("account.closed"), v.print.T("account.closedLead"))
	case f.Token == "" && policy.SignUp == merchant.ByInvitation:
		return note(v.print.T("account.byInvitation"), v.print.T("account.byInvitationLead"))
	case f.Token != "":
		if f.Invitation, err = d.Merchants.Invitation(v.Context(), f.Token); fault.Code(err) == "token_invalid" {
			return note(v.print.T("account.linkEnded"), v.explain("token_invalid", ""))
		}
		if err != nil {
			return err
		}
		f.Email = f.Invitation.Email
	}
	return v.render(status, v.print.T("account.signUp"), signUpPage(f))
}

// signUp makes the user and signs in. A crash between the two leaves a user who
// signs in by hand.
func (d *Dashboard) signUp(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	f := signUpForm{Username: form.Get("username"), Email: form.Get("email"), Token: form.Get("invitation")}
	up, err := d.Merchants.SignUp(v.Context(), merchant.SignUpRequest{Username: f.Username, Email: f.Email, Password: form.Get("password"),
		Invitation: f.Token, Lang: v.print.Tag()}, nil)
	if err != nil {
		refused := fault.From(err)
		if f.Problems = v.problems(err); f.Problems == nil && refused.Kind != fault.KindForbidden {
			return err
		}
		return d.signUpAgain(v, statusOf(refused.Kind), f)
	}
	in, err := d.Merchants.SignIn(v.Context(), merchant.SignInRequest{Login: up.User.Username, Password: form.Get("password"), Client: v.client()}, nil)
	if err != nil {
		return err
	}
	d.keepSession(v, in.Token, in.Session)
	v.session = in.Session // the words are for whoever reads the next page
	return v.redirect(d.base+"/dashboard", "good", v.print.T("account.welcome"))
}

func (d *Dashboard) showForgotten(v *visit) error {
	return v.render(http.StatusOK, v.print.T("account.forgottenTitle"), forgottenPage(d.base, "", nil))
}

// forgotten has one answer for every address.
func (d *Dashboard) forgotten(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	if err := d.Merchants.RequestReset(v.Context(), form.Get("email"), v.print.Tag()); err != nil {
		p := v.problems(err)
		if p == nil {
			return err
		}
		return v.render(statusOf(fault.KindOf(err)), v.print.T("account.forgottenTitle"), forgottenPage(d.base, form.Get("email"), p))
	}
	return v.render(http.StatusOK, v.print.T("account.linkSent"), doorNote(v.print.T("account.linkSent"),
		v.print.T("account.linkSentLead", "Minutes", v.print.Number(int64(merchant.ResetLife/time.Minute))),
		button{Text: v.print.T("account.toSignIn"), Href: d.base + "/dashboard/sign-in"}))
}

func (d *Dashboard) showReset(v *visit) error {
	return v.render(http.StatusOK, v.print.T("account.resetTitle"), resetPage(d.base, v.URL.Query().Get("token"), nil))
}

func (d *Dashboard) reset(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	if err := d.Merchants.Reset(v.Context(), form.Get("token"), form.Get("newPassword"), v.print.Tag()); err != nil {
		p := v.problems(err)
		if p == nil {
			return err
		}
		return v.render(statusOf(fault.KindOf(err)), v.print.T("account.resetTitle"), resetPage(d.base, form.Get("token"), p))
	}
	http.SetCookie(v.w, d.cookie(d.sessionCookie(), "", 0)) // it has ended
	v.session = merchant.Session{}
	return v.redirect(d.base+"/dashboard/sign-in", "good", v.print.T("account.passwordSet"))
}

func (d *Dashboard) showConfirm(v *visit) error {
	return v.render(http.StatusOK, v.print.T("account.confirmTitle"), confirmAddressPage(d.base, v.URL.Query().Get("token"), nil))
}

func (d *Dashboard) confirm(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	err = d.Merchants.Confirm(v.Context(), form.Get("token"))
	// The link was used by whoever is here, in this or another window.
	if err != nil && (v.token == "" || v.user.ConfirmedAt.IsZero()) {
		p := v.problems(err)
		if p == nil {
			return err
		}
		return v.render(statusOf(fault.KindOf(err)), v.print.T("account.confirmTitle"), confirmAddressPage(d.base, form.Get("token"), p))
	}
	return v.redirect(d.base+"/dashboard", "good", v.print.T("account.confirmed"))
}
