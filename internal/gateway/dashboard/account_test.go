package dashboard_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/merchant"
)

const security = "/dashboard/account/security"

func hidden(t *testing.T, p page, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(p.body)
	if m == nil {
		t.Fatalf("no %s in %s (%d): %s", name, p.path, p.status, p.body)
	}
	return html.UnescapeString(m[1])
}

// codeAt is what an authenticator shows some steps from now. The present one is still
// good, and the next one already, if a step of time ends on the way.
func codeAt(t *testing.T, secret string, steps int) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrol turns codes on as the merchant, and gives secret and recovery codes.
func (w *world) enrol() (secret string, recovery []string) {
	w.t.Helper()
	p := w.post(security+"/codes", url.Values{"password": {password}})
	p.has(w.t, `class="qrcode"`, "<path d=\"M4 4h7")
	secret = hidden(w.t, p, "secret")
	wrong := w.post(security+"/codes/confirm", url.Values{"code": {"000000"}, "secret": {secret}, "offer": {hidden(w.t, p, "offer")}})
	wrong.has(w.t, secret, "The code is wrong, or was used already.")
	done := w.post(security+"/codes/confirm", url.Values{"code": {codeAt(w.t, secret, 0)}, "secret": {secret}})
	for _, m := range regexp.MustCompile(`<code><bdi>([0-9a-z-]+)</bdi></code>`).FindAllStringSubmatch(done.body, -1) {
		recovery = append(recovery, m[1])
	}
	if len(recovery) != 10 {
		w.t.Fatalf("%d recovery codes: %s", len(recovery), done.body)
	}
	return secret, recovery
}

func TestSignUpAndInAndOut(t *testing.T) {
	w := newWorld(t)
	c := w.stranger()
	w.do(c, http.MethodGet, "/dashboard/sign-in", nil).has(t, `href="/dashboard/sign-up"`)
	p := w.do(c, http.MethodPost, "/dashboard/sign-up", url.Values{"username": {"maria"}, "email": {"x"}, "password": {"short"}})
	if p.status != http.StatusUnprocessableEntity {
		t.Errorf("answered %d", p.status)
	}
	p.has(t, "Write a bare address, such as name@example.com.", `value="x"`)
	p.lacks(t, `value="short"`)
	p = w.do(c, http.MethodPost, "/dashboard/sign-up", url.Values{"username": {"maria"}, "email": {"new@example.com"}, "password": {password}})
	p.has(t, "The username or the address is taken.")
	p = w.do(c, http.MethodPost, "/dashboard/sign-up", url.Values{"username": {"bob"}, "email": {"bob@example.com"}, "password": {password}})
	if p.status != http.StatusOK || !strings.HasPrefix(p.path, "/dashboard/test/") {
		t.Fatalf("signed up, and shown %s (%d)", p.path, p.status)
	}
	p.has(t, "Your account is ready.", "<bdi>bob</bdi>")
}

func TestSignUpByInvitationAndClosed(t *testing.T) {
	for mode, words := range map[string]string{merchant.Closed: "Nobody can sign up here", merchant.ByInvitation: "An invitation is needed"} {
		w := newWorldWith(t, func(c *merchant.Config) { c.SignUp = mode })
		c := w.stranger()
		w.do(c, http.MethodGet, "/dashboard/sign-in", nil).lacks(t, "sign-up")
		for _, p := range []page{w.do(c, http.MethodGet, "/dashboard/sign-up", nil),
			w.do(c, http.MethodPost, "/dashboard/sign-up", url.Values{"username": {"bob"}, "email": {"bob@example.com"}, "password": {password}})} {
			if p.status != http.StatusForbidden {
				t.Errorf("%s: answered %d", mode, p.status)
			}
			p.has(t, words)
			p.lacks(t, "<input")
		}
		w.do(c, http.MethodGet, "/dashboard/sign-up?invitation=nonsense", nil).lacks(t, "<input")
	}
}

func TestInvitationIsHandedOn(t *testing.T) {
	w := newWorld(t)
	w.get("/dashboard/account/invitations").has(t, "<bdi>maria</bdi>", "You get a link to pass on.")
	w.post("/dashboard/account/invitations", url.Values{"email": {"maria@example.com"}}).has(t, "Somebody with this address has signed up already.")
	p := w.post("/dashboard/account/invitations", url.Values{"email": {"bob@example.com"}})
	m := regexp.MustCompile(`value="` + w.server.URL + `(/dashboard/sign-up\?invitation=[\w-]+)"`).FindStringSubmatch(p.body)
	if m == nil {
		t.Fatal(p.body)
	}
	c := w.stranger()
	p = w.do(c, http.MethodGet, m[1], nil)
	p.has(t, "You are joining maria", `value="bob@example.com"`, "readonly")
	w.get("/dashboard/account/invitations").has(t, "Open invitations", "<bdi>bob@example.com</bdi>")
	p = w.do(c, http.MethodPost, "/dashboard/sign-up", url.Values{"username": {"bob"}, "email": {"bob@example.com"}, "password": {password}, "invitation": {hidden(t, p, "invitation")}})
	p.has(t, "<bdi>maria</bdi>", "<bdi>bob</bdi>") // the account, and who is in it
	w.get("/dashboard/account/invitations").lacks(t, "Open invitations")
	w.do(c, http.MethodPost, "/dashboard/sign-out", url.Values{})
	p = w.do(w.stranger(), http.MethodGet, m[1], nil)
	p.has(t, "This link works no longer")

	w.post("/dashboard/account/invitations", url.Values{"email": {"c@example.com"}})
	p = w.get("/dashboard/account/invitations")
	at := regexp.MustCompile(`action="(/dashboard/account/invitations/inv_\w+/withdraw)"`).FindStringSubmatch(p.body)
	if at == nil {
		t.Fatal(p.body)
	}
	w.post(at[1], url.Values{}).has(t, "The invitation is withdrawn.")
	if p := w.post(at[1], url.Values{}); p.status != http.StatusNotFound {
		t.Errorf("withdrawn twice: %d", p.status)
	}
}

func TestCodesInTwoSteps(t *testing.T) {
	w := newWorld(t)
	secret, recovery := w.enrol()
	w.get(security).has(t, "10 recovery codes are left.", "Turn off codes")
	c := w.stranger()
	first := url.Values{"login": {username}, "password": {password}, "next": {"/dashboard/account/security"}}
	p := w.do(c, http.MethodPost, "/dashboard/sign-in", first)
	p.has(t, "Enter your code", `autocomplete="one-time-code"`)
	p.lacks(t, password)
	proof, next := hidden(t, p, "proof"), hidden(t, p, "next")
	p = w.do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"proof": {proof}, "next": {next}, "code": {"123456"}})
	p.has(t, "The code is wrong, or was used already.")
	if p.status != http.StatusUnauthorized || hidden(t, p, "proof") != proof {
		t.Errorf("answered %d", p.status)
	}
	p = w.do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"proof": {proof}, "next": {next}, "code": {codeAt(t, secret, 1)}})
	if p.path != security {
		t.Errorf("signed in, and shown %s: %s", p.path, p.body)
	}
	c = w.stranger()
	p = w.do(c, http.MethodPost, "/dashboard/sign-in", first)
	p = w.do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"proof": {hidden(t, p, "proof")}, "next": {next}, "code": {recovery[0]}})
	p.has(t, "9 recovery codes are left.")
	p = w.do(w.stranger(), http.MethodPost, "/dashboard/sign-in", url.Values{"proof": {"nonsense"}, "code": {"123456"}})
	p.has(t, "The sign-in took too long.", `id="password"`)

	w.post(security+"/codes/end", url.Values{"password": {"wrong password"}}).has(t, "The password is wrong.")
	w.post(security+"/codes/recovery", url.Values{"password": {password}}).has(t, "Your recovery codes")
	w.post(security+"/codes/end", url.Values{"password": {password}}).has(t, "Codes are off.")
	p = w.do(w.stranger(), http.MethodPost, "/dashboard/sign-in", first)
	if p.path != security {
		t.Errorf("without codes, and shown %s", p.path)
	}
}

func TestTooManyWrongPasswords(t *testing.T) {
	w := newWorld(t)
	c := w.stranger()
	for range 5 {
		w.do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {username}, "password": {"wrong password"}})
	}
	p := w.do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {username}, "password": {"wrong password"}})
	if p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") == "" {
		t.Errorf("answered %d, %v", p.status, p.header)
	}
	p.has(t, "Too many wrong attempts.")
}

func TestPasswordChangeAndSessions(t *testing.T) {
	w := newWorld(t)
	other, third := w.stranger(), w.stranger()
	for _, c := range []*http.Client{other, third} {
		w.do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {username}, "password": {password}}, "User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	}
	p := w.get(security)
	p.has(t, "this device", "Firefox · Linux", "127.0.0.0/24", "Sign out all other devices")
	ends := regexp.MustCompile(`action="(/dashboard/account/security/sessions/ses_\w+/end)"`).FindAllStringSubmatch(p.body, -1)
	if len(ends) != 2 {
		t.Fatalf("%d sessions can be ended: %s", len(ends), p.body)
	}
	w.post(ends[0][1], url.Values{}).has(t, "The device is signed out.")
	if p := w.do(third, http.MethodGet, security, nil); !strings.HasPrefix(p.path, "/dashboard/sign-in") {
		t.Errorf("ended, and shown %s", p.path)
	}
	p = w.post(security+"/password", url.Values{"password": {"wrong password"}, "newPassword": {"another good password"}})
	p.has(t, "The password is wrong.", `href="#password-password"`, `id="password-password-error"`)
	p = w.post(security+"/password", url.Values{"password": {password}, "newPassword": {"short"}})
	p.has(t, "The password needs at least 12 characters.", `id="password-newPassword-error"`)
	p.lacks(t, `value="short"`)
	w.post(security+"/password", url.Values{"password": {password}, "newPassword": {"another good password"}}).has(t, "The password is changed")
	if p := w.do(other, http.MethodGet, security, nil); !strings.HasPrefix(p.path, "/dashboard/sign-in") {
		t.Errorf("a session of before is shown %s", p.path)
	}
	w.do(other, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {username}, "password": {"another good password"}})
	w.post(security+"/sessions/end", url.Values{}).has(t, "All other devices are signed out.")
	if p := w.do(other, http.MethodGet, security, nil); !strings.HasPrefix(p.path, "/dashboard/sign-in") {
		t.Errorf("ended, and shown %s", p.path)
	}
}

// mailed waits for the newest mail of a kind to an address, and gives the path of its link.
func (w *world) mailed(to, kind string) (path string) {
	w.t.Helper()
	w.until("a mail, "+kind+", to "+to, func() bool {
		due, err := w.store.DueMails(w.t.Context(), time.Now().Add(time.Minute), 100)
		if err != nil {
			w.t.Fatal(err)
		}
		at := slices.IndexFunc(due, func(m mail.Message) bool { return m.To == to && m.Kind == kind })
		if at < 0 {
			return false
		}
		m, err := due[at].Open(w.ring)
		if err != nil {
			w.t.Fatal(err)
		}
		path = strings.TrimPrefix(m.Data["url"], w.server.URL)
		return true
	})
	return path
}

func TestMailedLinks(t *testing.T) {
	w := newWorldWith(t, func(c *merchant.Config) { c.Mails = true })
	go func() { _ = w.merchants.RunResets(t.Context()) }()
	w.get(security).has(t, "not confirmed", "Confirm your email address to use live mode.")
	w.post(security+"/confirmation", url.Values{}).has(t, "A mail was sent a moment ago.")
	if p := w.post("/dashboard/live/links", url.Values{"attempt": {"attempt-of-sixteen"}, "amount": {"5"}, "currency": {"EUR"}}); p.status != http.StatusForbidden {
		t.Errorf("a live link before the address is confirmed: %d", p.status)
	} else {
		p.has(t, "Live mode needs a confirmed email address.")
	}
	link := w.mailed("maria@example.com", mail.Confirm)
	c := w.stranger() // the mail may be read in another browser
	for range 2 {     // a program that looks through mails follows the link, and uses nothing up
		w.do(c, http.MethodGet, link, nil).has(t, "Confirm the address")
	}
	token := url.Values{"token": {hidden(t, w.do(c, http.MethodGet, link, nil), "token")}}
	p := w.do(c, http.MethodPost, "/dashboard/confirm", token)
	p.has(t, "Your address is confirmed.")
	w.do(c, http.MethodPost, "/dashboard/confirm", token).has(t, "This link was used already")
	w.get(security).has(t, ">confirmed<")
	w.get(security).lacks(t, "Confirm your email address to use live mode.")

	var answers []string
	for _, email := range []string{"maria@example.com", "nobody@example.com"} {
		p := w.do(c, http.MethodPost, "/dashboard/forgotten", url.Values{"email": {email}})
		answers = append(answers, p.body)
	}
	if answers[0] != answers[1] {
		t.Error("the answer tells whether somebody has the address")
	}
	link = w.mailed("maria@example.com", mail.Reset)
	token = url.Values{"token": {hidden(t, w.do(c, http.MethodGet, link, nil), "token")}, "newPassword": {"short"}}
	w.do(c, http.MethodPost, "/dashboard/reset", token).has(t, "The password needs at least 12 characters.")
	token.Set("newPassword", "another good password")
	w.do(c, http.MethodPost, "/dashboard/reset", token).has(t, "The new password is set.")
	w.do(c, http.MethodPost, "/dashboard/reset", token).has(t, "This link was used already")
	p = w.do(w.client, http.MethodGet, security, nil)
	if !strings.HasPrefix(p.path, "/dashboard/sign-in") {
		t.Errorf("signed out everywhere, and shown %s", p.path)
	}
	p = w.do(w.client, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {username}, "password": {"another good password"}})
	if p.status != http.StatusOK || strings.HasPrefix(p.path, "/dashboard/sign-in") {
		t.Errorf("with the new password %d, %s", p.status, p.path)
	}
	w.post("/dashboard/account/invitations", url.Values{"email": {"bob@example.com"}}).has(t, "The invitation to bob@example.com is on its way.")
}

func TestPasskeyPagesWithoutABrowser(t *testing.T) {
	w := newWorld(t)
	w.get(security).has(t, "Passkeys need an address with a host name.") // this one is a number
	p := w.post(security+"/passkeys/new", url.Values{"name": {"laptop"}, "password": {password}})
	p.has(t, "Passkeys need an address with a host name.")
	p = w.do(w.stranger(), http.MethodPost, "/dashboard/sign-in/passkey", url.Values{"state": {"x"}, "answer": {"{}"}})
	p.has(t, "This passkey is not known here")
	if p := w.do(w.client, http.MethodGet, security+"/passkeys/nonsense", nil); p.status != http.StatusNotFound {
		t.Errorf("answered %d", p.status)
	}
	if p := w.do(w.client, http.MethodPost, security+"/passkeys/nonsense/remove", url.Values{}); p.status != http.StatusNotFound {
		t.Errorf("answered %d", p.status)
	}
}

// Script in every field is shown as the words that it is.
func TestHostileInputInAccounts(t *testing.T) {
	w := newWorld(t)
	const evil = `"><script>alert(1)</script>`
	c := w.stranger()
	pages := []page{
		w.do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {evil}, "password": {evil}, "next": {evil}}),
		w.do(c, http.MethodPost, "/dashboard/sign-up", url.Values{"username": {evil}, "email": {evil}, "password": {evil}}),
		w.do(c, http.MethodGet, "/dashboard/sign-up?invitation="+url.QueryEscape(evil), nil),
		w.do(c, http.MethodPost, "/dashboard/forgotten", url.Values{"email": {evil}}),
		w.do(c, http.MethodGet, "/dashboard/reset?token="+url.QueryEscape(evil), nil),
		w.do(c, http.MethodPost, "/dashboard/reset", url.Values{"token": {evil}, "newPassword": {evil}}),
		w.do(c, http.MethodGet, "/dashboard/confirm?token="+url.QueryEscape(evil), nil),
		w.do(c, http.MethodPost, "/dashboard/confirm", url.Values{"token": {evil}}),
		w.post("/dashboard/account/invitations", url.Values{"email": {evil}}),
		w.post(security+"/codes/confirm", url.Values{"code": {evil}, "secret": {evil}, "offer": {evil}}),
		w.post(security+"/passkeys", url.Values{"name": {evil}, "state": {evil}, "answer": {evil}}),
		w.post(security+"/passkeys/new", url.Values{"name": {evil}, "password": {evil}}),
		w.post(security+"/password", url.Values{"password": {evil}, "newPassword": {evil}}),
		w.do(w.stranger(), http.MethodPost, "/dashboard/sign-in", url.Values{"login": {username}, "password": {password}, "next": {security}}, "User-Agent", evil),
	}
	pages = append(pages, w.get(security), w.get("/dashboard/account/invitations"))
	for _, p := range pages {
		p.lacks(t, "<script>alert")
		if p.status >= http.StatusInternalServerError {
			t.Errorf("%s answered %d", p.path, p.status)
		}
	}
}

// Every page in every language: nothing is left in English, or without its words.
func TestAccountPagesInEveryLanguage(t *testing.T) {
	w := newWorld(t)
	for _, l := range i18n.Languages() {
		print := i18n.For(l.Tag)
		w.get(security+"?lang="+l.Tag).has(t, html.EscapeString(print.T("account.codesTitle")), `dir="`+l.Dir+`"`, html.EscapeString(print.T("account.passkeysTitle")))
		w.get("/dashboard/account/invitations?lang="+l.Tag).has(t, html.EscapeString(print.T("account.inviteShown")))
		c := w.stranger()
		for path, key := range map[string]string{"sign-in": "common.signIn", "sign-up": "account.signUpLead", "forgotten": "account.forgottenLead", "reset": "account.resetLead", "confirm": "account.confirmLead"} {
			w.do(c, http.MethodGet, "/dashboard/"+path+"?lang="+l.Tag, nil).has(t, html.EscapeString(print.T(key)))
		}
	}
}
