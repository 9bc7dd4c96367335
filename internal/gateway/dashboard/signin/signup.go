package signin

import (
	"net/http"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/merchant"
)

// signUpRoutes returns sign-up, and the targets of links in emails. Such a link is opened by
// a GET, which changes nothing: programs that scan emails follow links, and would use the
// token up.
func (d *Pages) signUpRoutes() []frame.Route {
	return []frame.Route{
		frame.Open(http.MethodGet, "/dashboard/sign-up", d.on((*Pages).showSignUp)),
		frame.Open(http.MethodPost, "/dashboard/sign-up", d.on((*Pages).signUp)),
		frame.Open(http.MethodGet, "/dashboard/forgotten", d.on((*Pages).showForgotten)),
		frame.Open(http.MethodPost, "/dashboard/forgotten", d.on((*Pages).forgotten)),
		frame.Open(http.MethodGet, "/dashboard/reset", d.on((*Pages).showReset)),
		frame.Open(http.MethodPost, "/dashboard/reset", d.on((*Pages).reset)),
		frame.Open(http.MethodGet, "/dashboard/confirm", d.on((*Pages).showConfirm)),
		frame.Open(http.MethodPost, "/dashboard/confirm", d.on((*Pages).confirm)),
	}
}

// signUpForm is what was typed, except the password.
type signUpForm struct {
	Base            string
	Username, Email string
	Token           string // of the invitation; "" is none
	Invitation      merchant.Invitation
	Problems        parts.Problems
}

// showSignUp shows the form. A reader who is signed in is redirected.
func (d *Pages) showSignUp(v *visit) error {
	if v.Token != "" {
		return v.Redirect(d.Base+"/dashboard", "", "")
	}
	return d.signUpAgain(v, http.StatusOK, signUpForm{Token: v.URL.Query().Get("invitation")})
}

// signUpAgain renders the form, or says why nobody can sign up, or not with this link. The
// invited address wins over a typed one.
func (d *Pages) signUpAgain(v *visit, status int, f signUpForm) error {
	policy, err := d.Merchants.Policy(v.Context())
	if err != nil {
		return err
	}

	f.Base = d.Base
	note := func(headline, lead string) error {
		return v.Render(
			http.StatusForbidden,
			headline,
			notePage(headline, lead, parts.Button{Text: v.Print.T("account.toSignIn"), Href: d.Base + "/dashboard/sign-in"}),
		)
	}
	switch {
	case policy.SignUp == merchant.Closed:
		return note(v.Print.T("account.closed"), v.Print.T("account.closedLead"))
	case f.Token == "" && policy.SignUp == merchant.ByInvitation:
		return note(v.Print.T("account.byInvitation"), v.Print.T("account.byInvitationLead"))
	case f.Token != "":
		if f.Invitation, err = d.Merchants.Invitation(v.Context(), f.Token); fault.Code(err) == "token_invalid" {
			return note(v.Print.T("account.linkEnded"), v.Explain("token_invalid", ""))
		}
		if err != nil {
			return err
		}
		f.Email = f.Invitation.Email
	}

	return v.Render(status, v.Print.T("account.signUp"), signUpPage(f))
}

// signUp makes the user and signs in. After a crash between the two, the user exists and
// signs in by hand.
func (d *Pages) signUp(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}

	f := signUpForm{Username: form.Get("username"), Email: form.Get("email"), Token: form.Get("invitation")}
	up, err := d.Merchants.SignUp(v.Context(), merchant.SignUpRequest{Username: f.Username, Email: f.Email, Password: form.Get("password"),
		Invitation: f.Token, Lang: v.Print.Tag(), Address: v.client().Address}, nil)
	if err != nil {
		refused := fault.From(err)
		if f.Problems = v.Problems(err); f.Problems == nil && refused.Kind != fault.KindForbidden {
			return err
		}
		return d.signUpAgain(v, frame.StatusOf(refused.Kind), f)
	}

	in, err := d.Merchants.SignIn(
		v.Context(),
		merchant.SignInRequest{Login: up.User.Username, Password: form.Get("password"), Client: v.client()},
		nil,
	)
	if err != nil {
		return err
	}

	d.keepSession(v, in)
	v.Session = in.Session // the message is for the reader of the next page
	return v.Redirect(d.Base+"/dashboard", "good", v.Print.T("account.welcome"))
}

// showForgotten shows the form for a new password.
func (d *Pages) showForgotten(v *visit) error {
	return v.Render(http.StatusOK, v.Print.T("account.forgottenTitle"), forgottenPage(d.Base, "", nil))
}

// forgotten requests a link to set a new password. The response is the same for every
// address.
func (d *Pages) forgotten(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	if err := d.Merchants.RequestReset(v.Context(), form.Get("email"), v.Print.Tag()); err != nil {
		p := v.Problems(err)
		if p == nil {
			return err
		}
		return v.Render(frame.StatusOf(fault.KindOf(err)), v.Print.T("account.forgottenTitle"), forgottenPage(d.Base, form.Get("email"), p))
	}
	return v.Render(http.StatusOK, v.Print.T("account.linkSent"), notePage(v.Print.T("account.linkSent"),
		v.Print.T("account.linkSentLead", "Minutes", v.Print.Number(int64(merchant.ResetLife/time.Minute))),
		parts.Button{Text: v.Print.T("account.toSignIn"), Href: d.Base + "/dashboard/sign-in"}))
}

// showReset shows the form of a link to set a new password. It does not check the token.
func (d *Pages) showReset(v *visit) error {
	return v.Render(http.StatusOK, v.Print.T("account.resetTitle"), resetPage(d.Base, v.URL.Query().Get("token"), nil))
}

// reset sets the password, which ends all sessions of the user.
func (d *Pages) reset(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	if err := d.Merchants.Reset(v.Context(), form.Get("token"), form.Get("newPassword"), v.Print.Tag()); err != nil {
		p := v.Problems(err)
		if p == nil {
			return err
		}
		return v.Render(frame.StatusOf(fault.KindOf(err)), v.Print.T("account.resetTitle"), resetPage(d.Base, form.Get("token"), p))
	}
	http.SetCookie(v.Writer, d.Cookie(d.SessionCookie(), "", 0)) // it has ended
	v.Session = merchant.Session{}
	return v.Redirect(d.Base+"/dashboard/sign-in", "good", v.Print.T("account.passwordSet"))
}

// showConfirm shows the button of a link to confirm an address. It does not check the
// token.
func (d *Pages) showConfirm(v *visit) error {
	return v.Render(http.StatusOK, v.Print.T("account.confirmTitle"), confirmAddressPage(d.Base, v.URL.Query().Get("token"), nil))
}

// confirm confirms the address.
func (d *Pages) confirm(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}

	err = d.Merchants.Confirm(v.Context(), form.Get("token"))
	// If the reader's address is confirmed, the link was already used here or in another
	// window, which is success.
	if err != nil && (v.Token == "" || v.User.ConfirmedAt.IsZero()) {
		p := v.Problems(err)
		if p == nil {
			return err
		}
		return v.Render(frame.StatusOf(fault.KindOf(err)), v.Print.T("account.confirmTitle"), confirmAddressPage(d.Base, form.Get("token"), p))
	}

	return v.Redirect(d.Base+"/dashboard", "good", v.Print.T("account.confirmed"))
}
