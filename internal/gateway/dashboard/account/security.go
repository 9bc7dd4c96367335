package account

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/merchant"
)

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

// of are the problems of a part.
func (s securityView) of(part string) parts.Problems {
	if part == s.Part {
		return s.Problems
	}
	return nil
}

func (s securityView) to(path string) string { return s.Base + frame.SecurityPath + path }

func (d *Pages) showSecurity(v *visit) error {
	return d.securityAgain(v, http.StatusOK, securityView{})
}

func (d *Pages) securityAgain(v *visit, status int, s securityView) (err error) {
	s.Base, s.User, s.Current = d.Base, v.User, v.Session.ID
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

// done goes back to the page and says what was done.
func (d *Pages) done(v *visit, words string) error {
	return v.Redirect(d.Base+frame.SecurityPath, "good", words)
}

func (d *Pages) sendConfirmation(v *visit) error {
	if err := d.Merchants.SendConfirmation(v.Context(), v.User.ID, v.Print.Tag()); err != nil {
		return d.showErrors(v, "confirmation", err)
	}
	return d.done(v, v.Print.T("account.sentAgain"))
}

func (d *Pages) changePassword(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	if err := d.Merchants.ChangePassword(v.Context(), v.User.ID, v.Session.ID, form.Get("password"), form.Get("newPassword"), v.Print.Tag()); err != nil {
		return d.showErrors(v, "password", err)
	}
	return d.done(v, v.Print.T("account.passwordChanged"))
}

// codesOffer is a secret that waits for its first code. The page of the offer carries
// it, so that a wrong code shows the same again.
type codesOffer struct {
	Base     string
	Offer    merchant.TOTPOffer
	Problems parts.Problems
}

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
	if p == nil || fault.Code(err) == "totp_off" {
		return d.showErrors(v, "codes", err)
	}
	o := codesOffer{Base: d.Base, Problems: p, Offer: merchant.TOTPOffer{Secret: form.Get("secret"), URL: form.Get("offer")}}
	v.RetryAfter(fault.From(err))
	return v.Render(frame.StatusOf(fault.KindOf(err)), v.Print.T("account.codesTitle"), codesOfferPage(o))
}

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

func (d *Pages) beginPasskey(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	name := strings.TrimSpace(form.Get("name"))
	if name == "" {
		return d.showErrors(v, "passkey", fault.Invalid("name", "name_missing", "name is required."))
	}
	c, err := d.Merchants.BeginPasskey(v.Context(), v.User.ID, form.Get("password"))
	if err != nil {
		return d.showErrors(v, "passkey", err)
	}
	return v.Render(http.StatusOK, v.Print.T("account.passkeyCreate"), passkeyOfferPage(passkeyOffer{Base: d.Base, Name: name, Ceremony: c}))
}

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

// passkey is the user's own that the path names.
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

func (d *Pages) showPasskey(v *visit) error {
	p, err := d.passkey(v)
	if err != nil {
		return err
	}
	return v.Render(http.StatusOK, p.Name, passkeyPage(d.Base, p, p.Name, nil))
}

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
		wrong := v.Problems(err)
		if wrong == nil {
			return err
		}
		return v.Render(frame.StatusOf(fault.KindOf(err)), p.Name, passkeyPage(d.Base, p, form.Get("name"), wrong))
	}
	return d.done(v, v.Print.T("account.passkeyRenamed"))
}

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

func (d *Pages) endSession(v *visit) error {
	if err := d.Merchants.EndSession(v.Context(), v.User.ID, v.PathValue("id")); err != nil {
		return err
	}
	return d.done(v, v.Print.T("account.sessionEnded"))
}

func (d *Pages) endSessions(v *visit) error {
	if err := d.Merchants.EndSessions(v.Context(), v.User.ID, v.Session.ID); err != nil {
		return err
	}
	return d.done(v, v.Print.T("account.othersEnded"))
}

func passkeyPath(base, id string) string {
	return base + frame.SecurityPath + "/passkeys/" + url.PathEscape(id)
}

// agentName is what people call a browser and its system; "" for a program that
// says neither.
func agentName(agent string) string {
	first := func(list [][2]string) string {
		for _, e := range list {
			if strings.Contains(agent, e[0]) {
				return e[1]
			}
		}
		return ""
	}
	browser := first([][2]string{{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}})
	system := first([][2]string{{"Windows", "Windows"}, {"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}})
	switch {
	case browser == "":
		name, _, _ := strings.Cut(agent, " ")
		return name
	case system == "":
		return browser
	}
	return browser + " · " + system
}

func deviceName(ctx context.Context, s merchant.Session) string {
	name := agentName(s.Agent)
	if name == "" {
		name = parts.Say(ctx, "account.unknownDevice")
	}
	return name
}
