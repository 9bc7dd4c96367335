package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/merchant"
)

func securityRoutes() []route {
	at := func(method, path string, handle func(*Dashboard, *visit) error) route {
		return route{method: method, path: securityPath + path, room: "security", handle: handle}
	}
	return []route{
		at(http.MethodGet, "", (*Dashboard).showSecurity),
		at(http.MethodPost, "/confirmation", (*Dashboard).sendConfirmation),
		at(http.MethodPost, "/password", (*Dashboard).changePassword),
		at(http.MethodPost, "/codes", (*Dashboard).beginCodes),
		at(http.MethodPost, "/codes/confirm", (*Dashboard).confirmCodes),
		at(http.MethodPost, "/codes/recovery", (*Dashboard).renewRecovery),
		at(http.MethodPost, "/codes/end", (*Dashboard).endCodes),
		at(http.MethodPost, "/passkeys/new", (*Dashboard).beginPasskey),
		at(http.MethodPost, "/passkeys", (*Dashboard).addPasskey),
		at(http.MethodGet, "/passkeys/{id}", (*Dashboard).showPasskey),
		at(http.MethodPost, "/passkeys/{id}", (*Dashboard).renamePasskey),
		at(http.MethodPost, "/passkeys/{id}/remove", (*Dashboard).removePasskey),
		at(http.MethodPost, "/sessions/{id}/end", (*Dashboard).endSession),
		at(http.MethodPost, "/sessions/end", (*Dashboard).endSessions),
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
	Problems problems
	Name     string // of a passkey, as typed
}

// of are the problems of a part.
func (s securityView) of(part string) problems {
	if part == s.Part {
		return s.Problems
	}
	return nil
}

func (s securityView) to(path string) string { return s.Base + securityPath + path }

func (d *Dashboard) showSecurity(v *visit) error {
	return d.securityAgain(v, http.StatusOK, securityView{})
}

func (d *Dashboard) securityAgain(v *visit, status int, s securityView) (err error) {
	s.Base, s.User, s.Current = d.base, v.user, v.session.ID
	if s.Policy, err = d.Merchants.Policy(v.Context()); err != nil {
		return err
	}
	if s.Security, err = d.Merchants.Security(v.Context(), v.user.ID); err != nil {
		return err
	}
	if s.Sessions, err = d.Merchants.Sessions(v.Context(), v.user.ID); err != nil {
		return err
	}
	return v.render(status, v.print.T("account.security"), securityPage(s))
}

// mend shows the page again with what is wrong with one of its forms; errors that
// the reader cannot mend are passed on.
func (d *Dashboard) mend(v *visit, part string, err error) error {
	p := v.problems(err)
	if p == nil {
		return err
	}
	for i := range p { // a form's fields have names of their own on a page of several
		if p[i].Field != "" {
			p[i].Field = part + "-" + p[i].Field
		}
	}
	v.retryAfter(fault.From(err))
	return d.securityAgain(v, statusOf(fault.KindOf(err)), securityView{Part: part, Problems: p, Name: v.PostForm.Get("name")})
}

// done goes back to the page and says what was done.
func (d *Dashboard) done(v *visit, words string) error {
	return v.redirect(d.base+securityPath, "good", words)
}

func (d *Dashboard) sendConfirmation(v *visit) error {
	if err := d.Merchants.SendConfirmation(v.Context(), v.user.ID, v.print.Tag()); err != nil {
		return d.mend(v, "confirmation", err)
	}
	return d.done(v, v.print.T("account.sentAgain"))
}

func (d *Dashboard) changePassword(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	if err := d.Merchants.ChangePassword(v.Context(), v.user.ID, v.session.ID, form.Get("password"), form.Get("newPassword"), v.print.Tag()); err != nil {
		return d.mend(v, "password", err)
	}
	return d.done(v, v.print.T("account.passwordChanged"))
}

// codesOffer is a secret that waits for its first code. The page of the offer carries
// it, so that a wrong code shows the same again.
type codesOffer struct {
	Base     string
	Offer    merchant.TOTPOffer
	Problems problems
}

func (d *Dashboard) beginCodes(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	offer, err := d.Merchants.BeginTOTP(v.Context(), v.user.ID, form.Get("password"))
	if err != nil {
		return d.mend(v, "codes", err)
	}
	return v.render(http.StatusOK, v.print.T("account.codesTitle"), codesOfferPage(codesOffer{Base: d.base, Offer: offer}))
}

func (d *Dashboard) confirmCodes(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	recovery, err := d.Merchants.ConfirmTOTP(v.Context(), v.user.ID, form.Get("code"))
	if err == nil {
		return v.render(http.StatusOK, v.print.T("account.recoveryTitle"), recoveryPage(d.base, recovery))
	}
	p := v.problems(err)
	if p == nil || fault.Code(err) == "totp_off" {
		return d.mend(v, "codes", err)
	}
	o := codesOffer{Base: d.base, Problems: p, Offer: merchant.TOTPOffer{Secret: form.Get("secret"), URL: form.Get("offer")}}
	v.retryAfter(fault.From(err))
	return v.render(statusOf(fault.KindOf(err)), v.print.T("account.codesTitle"), codesOfferPage(o))
}

func (d *Dashboard) renewRecovery(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	recovery, err := d.Merchants.RenewRecovery(v.Context(), v.user.ID, form.Get("password"))
	if err != nil {
		return d.mend(v, "recovery", err)
	}
	return v.render(http.StatusOK, v.print.T("account.recoveryTitle"), recoveryPage(d.base, recovery))
}

func (d *Dashboard) endCodes(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	if err := d.Merchants.EndTOTP(v.Context(), v.user.ID, form.Get("password")); err != nil {
		return d.mend(v, "codesOff", err)
	}
	return d.done(v, v.print.T("account.codesEnded"))
}

// passkeyOffer is the page on which the browser makes a passkey.
type passkeyOffer struct {
	Base, Name string
	Ceremony   merchant.Ceremony
}

func (d *Dashboard) beginPasskey(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	name := strings.TrimSpace(form.Get("name"))
	if name == "" {
		return d.mend(v, "passkey", fault.Invalid("name", "name_missing", "A passkey has a name."))
	}
	c, err := d.Merchants.BeginPasskey(v.Context(), v.user.ID, form.Get("password"))
	if err != nil {
		return d.mend(v, "passkey", err)
	}
	return v.render(http.StatusOK, v.print.T("account.passkeyCreate"), passkeyOfferPage(passkeyOffer{Base: d.base, Name: name, Ceremony: c}))
}

func (d *Dashboard) addPasskey(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	if _, err := d.Merchants.AddPasskey(v.Context(), v.user.ID, form.Get("name"), form.Get("state"), []byte(form.Get("answer"))); err != nil {
		return d.mend(v, "passkey", err)
	}
	return d.done(v, v.print.T("account.passkeyAdded"))
}

// passkey is the user's own that the path names.
func (d *Dashboard) passkey(v *visit) (merchant.Passkey, error) {
	s, err := d.Merchants.Security(v.Context(), v.user.ID)
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

func (d *Dashboard) showPasskey(v *visit) error {
	p, err := d.passkey(v)
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, p.Name, passkeyPage(d.base, p, p.Name, nil))
}

func (d *Dashboard) renamePasskey(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	p, err := d.passkey(v)
	if err != nil {
		return err
	}
	if err := d.Merchants.RenamePasskey(v.Context(), v.user.ID, p.ID, form.Get("name")); err != nil {
		wrong := v.problems(err)
		if wrong == nil {
			return err
		}
		return v.render(statusOf(fault.KindOf(err)), p.Name, passkeyPage(d.base, p, form.Get("name"), wrong))
	}
	return d.done(v, v.print.T("account.passkeyRenamed"))
}

func (d *Dashboard) removePasskey(v *visit) error {
	p, err := d.passkey(v)
	if err != nil {
		return err
	}
	if err := d.Merchants.RemovePasskey(v.Context(), v.user.ID, p.ID); err != nil {
		return err
	}
	return d.done(v, v.print.T("account.passkeyRemoved"))
}

func (d *Dashboard) endSession(v *visit) error {
	if err := d.Merchants.EndSession(v.Context(), v.user.ID, v.PathValue("id")); err != nil {
		return err
	}
	return d.done(v, v.print.T("account.sessionEnded"))
}

func (d *Dashboard) endSessions(v *visit) error {
	if err := d.Merchants.EndSessions(v.Context(), v.user.ID, v.session.ID); err != nil {
		return err
	}
	return d.done(v, v.print.T("account.othersEnded"))
}

func passkeyPath(base, id string) string {
	return base + securityPath + "/passkeys/" + url.PathEscape(id)
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
		name = say(ctx, "account.unknownDevice")
	}
	return name
}
