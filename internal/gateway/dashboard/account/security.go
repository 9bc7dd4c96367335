package account

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/merchant"
)

// securityRoutes returns the page of the user's sign-in and its changes. Each change
// answers with a redirect to the page, except those that show a secret once.
func (d *Pages) securityRoutes() []frame.Route {
	at := func(method, path string, handle func(*Pages, *visit) error) frame.Route {
		return frame.Route{Method: method, Path: frame.SecurityPath + path, Entry: "security", Handle: d.on(handle)}
	}
	return []frame.Route{
		at(http.MethodGet, "", (*Pages).showSecurity),
		at(http.MethodPost, "/confirmation", (*Pages).sendConfirmation),
		at(http.MethodPost, "/password", (*Pages).changePassword),
		at(http.MethodPost, "/codes", (*Pages).beginCodes),
		at(http.MethodPost, "/codes/confirm", (*Pages).confirmCodes),
		at(http.MethodPost, "/codes/recovery", (*Pages).renewRecovery),
		at(http.MethodPost, "/codes/end", (*Pages).endCodes),
		at(http.MethodPost, "/passkeys/new", (*Pages).beginPasskey),
		at(http.MethodPost, "/passkeys", (*Pages).addPasskey),
		at(http.MethodGet, "/passkeys/{id}", (*Pages).showPasskey),
		at(http.MethodPost, "/passkeys/{id}", (*Pages).renamePasskey),
		at(http.MethodPost, "/passkeys/{id}/remove", (*Pages).removePasskey),
		at(http.MethodPost, "/sessions/{id}/end", (*Pages).endSession),
		at(http.MethodPost, "/sessions/end", (*Pages).endSessions),
	}
}

// securityView is the page. Part names the form that Problems belong to.
type securityView struct {
	Base     string
	User     merchant.User
	Policy   merchant.Policy
	Security merchant.Security
	Sessions []merchant.Session
	Current  string // the session that reads this
	Part     string // password, codes, codesOff, recovery, passkey
	Problems parts.Problems
	Name     string // of a passkey, as typed
}

// of returns the problems of a part, if it is the one that was refused.
func (s securityView) of(part string) parts.Problems {
	if part == s.Part {
		return s.Problems
	}
	return nil
}

// to returns an address below the page.
func (s securityView) to(path string) string { return s.Base + frame.SecurityPath + path }

// showSecurity shows how the user signs in, and the user's sessions.
func (d *Pages) showSecurity(v *visit) error {
	return d.securityAgain(v, http.StatusOK, securityView{})
}

// securityAgain renders the page from what is stored now, with the problems of s.
func (d *Pages) securityAgain(v *visit, status int, s securityView) (err error) {
	s.Base, s.User, s.Current = d.Base, v.User, v.Session.ID
	// Read again after each change, so that the page never shows what was.
	if s.Policy, err = d.Merchants.Policy(v.Context()); err != nil {
		return err
	}
	if s.Security, err = d.Merchants.Security(v.Context(), v.User.ID); err != nil {
		return err
	}
	if s.Sessions, err = d.Merchants.Sessions(v.Context(), v.User.ID); err != nil {
		return err
	}
	return v.Render(status, v.Print.T("account.security"), securityPage(s))
}

// The page is shown again with what is wrong in one of its forms. Errors that the reader
// cannot fix are returned.
func (d *Pages) showErrors(v *visit, part string, err error) error {
	p := v.Problems(err)
	if p == nil {
		return err
	}
	for i := range p { // a form's fields have names of their own on a page of several
		if p[i].Field != "" {
			p[i].Field = part + "-" + p[i].Field
		}
	}
	v.RetryAfter(fault.From(err))
	return d.securityAgain(v, frame.StatusOf(fault.KindOf(err)), securityView{Part: part, Problems: p, Name: v.PostForm.Get("name")})
}

// done redirects to the page, which then says what was done.
func (d *Pages) done(v *visit, words string) error {
	return v.Redirect(d.Base+frame.SecurityPath, "good", words)
}

// sendConfirmation mails the link that confirms the user's address again.
func (d *Pages) sendConfirmation(v *visit) error {
	if err := d.Merchants.SendConfirmation(v.Context(), v.User.ID, v.Print.Tag()); err != nil {
		return d.showErrors(v, "confirmation", err)
	}
	return d.done(v, v.Print.T("account.sentAgain"))
}

// changePassword sets a new password and ends the user's other sessions.
func (d *Pages) changePassword(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	if err := d.Merchants.ChangePassword(v.Context(), v.User.ID, v.Session.ID, form.Get("password"), form.Get("newPassword"),
		v.Print.Tag()); err != nil {
		return d.showErrors(v, "password", err)
	}
	return d.done(v, v.Print.T("account.passwordChanged"))
}

// codesOffer is a secret that waits for its first code. The page of the offer carries it,
// so that a wrong code shows the same secret again.
type codesOffer struct {
	Base     string
	Offer    merchant.TOTPOffer
	Problems parts.Problems
}

// beginCodes shows a secret for an authenticator. Codes are not on yet.
func (d *Pages) beginCodes(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	offer, err := d.Merchants.BeginTOTP(v.Context(), v.User.ID, form.Get("password"))
	if err != nil {
		return d.showErrors(v, "codes", err)
	}
	return v.Render(http.StatusOK, v.Print.T("account.codesTitle"), codesOfferPage(codesOffer{Base: d.Base, Offer: offer}))
}

// confirmCodes turns codes on and shows the recovery codes, once. After a wrong code it
// shows the same secret again, which comes from the form: the store has it only sealed.
func (d *Pages) confirmCodes(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}

	recovery, err := d.Merchants.ConfirmTOTP(v.Context(), v.User.ID, form.Get("code"))
	if err == nil {
		return v.Render(http.StatusOK, v.Print.T("account.recoveryTitle"), recoveryPage(d.Base, recovery))
	}

	p := v.Problems(err)
	// The offer was replaced or used up in another window. Its secret is worth nothing, so
	// it is not shown again.
	if p == nil || fault.Code(err) == "totp_off" || fault.Code(err) == "totp_on" {
		return d.showErrors(v, "codes", err)
	}

	// The reader scanned this secret already and need not do so again.
	o := codesOffer{Base: d.Base, Problems: p, Offer: merchant.TOTPOffer{Secret: form.Get("secret"), URL: form.Get("offer")}}
	v.RetryAfter(fault.From(err))
	return v.Render(frame.StatusOf(fault.KindOf(err)), v.Print.T("account.codesTitle"), codesOfferPage(o))
}

// renewRecovery shows new recovery codes, once. The old ones are void.
func (d *Pages) renewRecovery(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	recovery, err := d.Merchants.RenewRecovery(v.Context(), v.User.ID, form.Get("password"))
	if err != nil {
		return d.showErrors(v, "recovery", err)
	}
	return v.Render(http.StatusOK, v.Print.T("account.recoveryTitle"), recoveryPage(d.Base, recovery))
}

// endCodes turns codes off.
func (d *Pages) endCodes(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	if err := d.Merchants.EndTOTP(v.Context(), v.User.ID, form.Get("password")); err != nil {
		return d.showErrors(v, "codesOff", err)
	}
	return d.done(v, v.Print.T("account.codesEnded"))
}

// passkeyOffer is the page on which the browser makes a passkey.
type passkeyOffer struct {
	Base, Name string
	Ceremony   merchant.Ceremony
}

// beginPasskey checks the password and shows the page on which the browser makes a passkey.
func (d *Pages) beginPasskey(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	// Checked before the password: the name is needed only when the passkey is stored,
	// which is too late to ask.
	name := strings.TrimSpace(form.Get("name"))
	if name == "" {
		return d.showErrors(v, "passkey", fault.Invalid("name", "name_missing", "name is required."))
	}
	if err := issuer.NoNumber("name", name); err != nil {
		return d.showErrors(v, "passkey", err)
	}
	c, err := d.Merchants.BeginPasskey(v.Context(), v.User.ID, form.Get("password"))
	if err != nil {
		return d.showErrors(v, "passkey", err)
	}
	return v.Render(http.StatusOK, v.Print.T("account.passkeyCreate"), passkeyOfferPage(passkeyOffer{Base: d.Base, Name: name, Ceremony: c}))
}

// addPasskey stores the passkey that the browser made.
func (d *Pages) addPasskey(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	if _, err := d.Merchants.AddPasskey(v.Context(), v.User.ID, form.Get("name"), form.Get("state"), []byte(form.Get("answer"))); err != nil {
		return d.showErrors(v, "passkey", err)
	}
	return d.done(v, v.Print.T("account.passkeyAdded"))
}

// passkey returns the user's passkey that the path names, or not found.
func (d *Pages) passkey(v *visit) (merchant.Passkey, error) {
	s, err := d.Merchants.Security(v.Context(), v.User.ID)
	if err != nil {
		return merchant.Passkey{}, err
	}
	for _, p := range s.Passkeys {
		if p.ID == v.PathValue("id") {
			return p, nil
		}
	}
	return merchant.Passkey{}, fault.NotFound("passkey")
}

// showPasskey shows one passkey, to rename or remove it.
func (d *Pages) showPasskey(v *visit) error {
	p, err := d.passkey(v)
	if err != nil {
		return err
	}
	return v.Render(http.StatusOK, p.Name, passkeyPage(d.Base, p, p.Name, nil))
}

// renamePasskey changes the name of a passkey.
func (d *Pages) renamePasskey(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}

	p, err := d.passkey(v)
	if err != nil {
		return err
	}
	if err := d.Merchants.RenamePasskey(v.Context(), v.User.ID, p.ID, form.Get("name")); err != nil {
		// The title keeps the stored name, and the field what was typed.
		wrong := v.Problems(err)
		if wrong == nil {
			return err
		}
		return v.Render(frame.StatusOf(fault.KindOf(err)), p.Name, passkeyPage(d.Base, p, form.Get("name"), wrong))
	}

	return d.done(v, v.Print.T("account.passkeyRenamed"))
}

// removePasskey ends a passkey. Sessions that it opened stay.
func (d *Pages) removePasskey(v *visit) error {
	p, err := d.passkey(v)
	if err != nil {
		return err
	}
	if err := d.Merchants.RemovePasskey(v.Context(), v.User.ID, p.ID); err != nil {
		return err
	}
	return d.done(v, v.Print.T("account.passkeyRemoved"))
}

// endSession ends one of the user's sessions, perhaps this one.
func (d *Pages) endSession(v *visit) error {
	if err := d.Merchants.EndSession(v.Context(), v.User.ID, v.PathValue("id")); err != nil {
		return err
	}
	return d.done(v, v.Print.T("account.sessionEnded"))
}

// endSessions ends the user's sessions except this one.
func (d *Pages) endSessions(v *visit) error {
	if err := d.Merchants.EndSessions(v.Context(), v.User.ID, v.Session.ID); err != nil {
		return err
	}
	return d.done(v, v.Print.T("account.othersEnded"))
}

// passkeyPath returns the address of a passkey, whose id may have any character.
func passkeyPath(base, id string) string {
	return base + frame.SecurityPath + "/passkeys/" + url.PathEscape(id)
}

// agentName returns what people call a browser and its system, or the first word of a
// program that is neither. It is a hint and proves nothing. The order matters: most
// browsers also name those that they imitate.
func agentName(agent string) string {
	// The first entry whose mark is in the text wins.
	first := func(list [][2]string) string {
		for _, e := range list {
			if strings.Contains(agent, e[0]) {
				return e[1]
			}
		}
		return ""
	}
	browser := first(
		[][2]string{
			{"Edg/", "Edge"},
			{"OPR/", "Opera"},
			{"Firefox/", "Firefox"},
			{"FxiOS/", "Firefox"},
			{"CriOS/", "Chrome"},
			{"Chrome/", "Chrome"},
			{"Safari/", "Safari"},
		},
	)
	system := first(
		[][2]string{
			{"Windows", "Windows"},
			{"Android", "Android"},
			{"iPhone", "iPhone"},
			{"iPad", "iPad"},
			{"Mac OS X", "macOS"},
			{"CrOS", "ChromeOS"},
			{"Linux", "Linux"},
		},
	)
	switch {
	case browser == "":
		name, _, _ := strings.Cut(agent, " ")
		return name
	case system == "":
		return browser
	}

	return browser + " · " + system
}

// deviceName returns the name of a session's device.
func deviceName(ctx context.Context, s merchant.Session) string {
	name := agentName(s.Agent)
	if name == "" {
		name = parts.Say(ctx, "account.unknownDevice")
	}
	return name
}
