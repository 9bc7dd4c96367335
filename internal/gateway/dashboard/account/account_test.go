package account_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/merchant"
)

const security = "/dashboard/account/security"

func hidden(t *testing.T, p desktest.Page, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(p.Body)
	if m == nil {
		t.Fatalf("no %s in %s (%d): %s", name, p.Path, p.Status, p.Body)
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
func enrol(w *desktest.World) (secret string, recovery []string) {
	w.T.Helper()
	p := w.Post(security+"/codes", url.Values{"password": {desktest.Password}})
	p.Has(w.T, `class="qrcode"`, "<path d=\"M4 4h7")
	secret = hidden(w.T, p, "secret")
	wrong := w.Post(security+"/codes/confirm", url.Values{"code": {"000000"}, "secret": {secret}, "offer": {hidden(w.T, p, "offer")}})
	wrong.Has(w.T, secret, "The code is wrong, or was used already.")
	done := w.Post(security+"/codes/confirm", url.Values{"code": {codeAt(w.T, secret, 0)}, "secret": {secret}})
	for _, m := range regexp.MustCompile(`<code><bdi>([0-9a-z-]+)</bdi></code>`).FindAllStringSubmatch(done.Body, -1) {
		recovery = append(recovery, m[1])
	}
	if len(recovery) != 10 {
		w.T.Fatalf("%d recovery codes: %s", len(recovery), done.Body)
	}
	return secret, recovery
}

func TestSignUpAndInAndOut(t *testing.T) {
	w := desktest.New(t)
	c := w.Stranger()
	w.Do(c, http.MethodGet, "/dashboard/sign-in", nil).Has(t, `href="/dashboard/sign-up"`)
	p := w.Do(c, http.MethodPost, "/dashboard/sign-up", url.Values{"username": {"maria"}, "email": {"x"}, "password": {"short"}})
	if p.Status != http.StatusUnprocessableEntity {
		t.Errorf("answered %d", p.Status)
	}
	p.Has(t, "Write a bare address, such as name@example.com.", `value="x"`)
	p.Lacks(t, `value="short"`)
	p = w.Do(
		c,
		http.MethodPost,
		"/dashboard/sign-up",
		url.Values{"username": {"maria"}, "email": {"new@example.com"}, "password": {desktest.Password}},
	)
	p.Has(t, "The username or the address is taken.")
	p = w.Do(
		c,
		http.MethodPost,
		"/dashboard/sign-up",
		url.Values{"username": {"bob"}, "email": {"bob@example.com"}, "password": {desktest.Password}},
	)
	if p.Status != http.StatusOK || !strings.HasPrefix(p.Path, "/dashboard/test/") {
		t.Fatalf("signed up, and shown %s (%d)", p.Path, p.Status)
	}
	p.Has(t, "Your account is ready.", "<bdi>bob</bdi>")
}

func TestSignUpByInvitationAndClosed(t *testing.T) {
	for mode, words := range map[string]string{merchant.Closed: "Nobody can sign up here", merchant.ByInvitation: "An invitation is needed"} {
		w := desktest.NewWith(t, func(c *merchant.Config) { c.SignUp = mode })
		c := w.Stranger()
		w.Do(c, http.MethodGet, "/dashboard/sign-in", nil).Lacks(t, "sign-up")
		for _, p := range []desktest.Page{w.Do(c, http.MethodGet, "/dashboard/sign-up", nil),
			w.Do(c, http.MethodPost, "/dashboard/sign-up", url.Values{"username": {"bob"}, "email": {"bob@example.com"},
				"password": {desktest.Password}})} {
			if p.Status != http.StatusForbidden {
				t.Errorf("%s: answered %d", mode, p.Status)
			}
			p.Has(t, words)
			p.Lacks(t, "<input")
		}
		w.Do(c, http.MethodGet, "/dashboard/sign-up?invitation=nonsense", nil).Lacks(t, "<input")
	}
}

func TestInvitationIsHandedOn(t *testing.T) {
	w := desktest.New(t)
	w.Get("/dashboard/account/invitations").Has(t, "<bdi>maria</bdi>", "You get a link to pass on.")
	w.Post(
		"/dashboard/account/invitations",
		url.Values{"email": {"maria@example.com"}},
	).Has(
		t,
		"Somebody with this address has signed up already.",
	)
	p := w.Post("/dashboard/account/invitations", url.Values{"email": {"bob@example.com"}})
	m := regexp.MustCompile(`value="` + w.Server.URL + `(/dashboard/sign-up\?invitation=[\w-]+)"`).FindStringSubmatch(p.Body)
	if m == nil {
		t.Fatal(p.Body)
	}
	c := w.Stranger()
	p = w.Do(c, http.MethodGet, m[1], nil)
	p.Has(t, "You are joining maria", `value="bob@example.com"`, "readonly")
	w.Get("/dashboard/account/invitations").Has(t, "Open invitations", "<bdi>bob@example.com</bdi>")
	p = w.Do(
		c,
		http.MethodPost,
		"/dashboard/sign-up",
		url.Values{
			"username":   {"bob"},
			"email":      {"bob@example.com"},
			"password":   {desktest.Password},
			"invitation": {hidden(t, p, "invitation")},
		},
	)
	p.Has(t, "<bdi>maria</bdi>", "<bdi>bob</bdi>") // the account, and who is in it
	w.Get("/dashboard/account/invitations").Lacks(t, "Open invitations")
	w.Do(c, http.MethodPost, "/dashboard/sign-out", url.Values{})
	p = w.Do(w.Stranger(), http.MethodGet, m[1], nil)
	p.Has(t, "This link works no longer")

	w.Post("/dashboard/account/invitations", url.Values{"email": {"c@example.com"}})
	p = w.Get("/dashboard/account/invitations")
	at := regexp.MustCompile(`action="(/dashboard/account/invitations/inv_\w+/withdraw)"`).FindStringSubmatch(p.Body)
	if at == nil {
		t.Fatal(p.Body)
	}
	w.Post(at[1], url.Values{}).Has(t, "The invitation is withdrawn.")
	if p := w.Post(at[1], url.Values{}); p.Status != http.StatusNotFound {
		t.Errorf("withdrawn twice: %d", p.Status)
	}
}

func TestCodesInTwoSteps(t *testing.T) {
	w := desktest.New(t)
	secret, recovery := enrol(w)
	w.Get(security).Has(t, "10 recovery codes are left.", "Turn off codes")
	c := w.Stranger()
	first := url.Values{"login": {desktest.Username}, "password": {desktest.Password}, "next": {"/dashboard/account/security"}}
	p := w.Do(c, http.MethodPost, "/dashboard/sign-in", first)
	p.Has(t, "Enter your code", `autocomplete="one-time-code"`)
	p.Lacks(t, desktest.Password)
	proof, next := hidden(t, p, "proof"), hidden(t, p, "next")
	p = w.Do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"proof": {proof}, "next": {next}, "code": {"123456"}})
	p.Has(t, "The code is wrong, or was used already.")
	if p.Status != http.StatusUnauthorized || hidden(t, p, "proof") != proof {
		t.Errorf("answered %d", p.Status)
	}
	p = w.Do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"proof": {proof}, "next": {next}, "code": {codeAt(t, secret, 1)}})
	if p.Path != security {
		t.Errorf("signed in, and shown %s: %s", p.Path, p.Body)
	}
	c = w.Stranger()
	p = w.Do(c, http.MethodPost, "/dashboard/sign-in", first)
	p = w.Do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"proof": {hidden(t, p, "proof")}, "next": {next}, "code": {recovery[0]}})
	p.Has(t, "9 recovery codes are left.")
	p = w.Do(w.Stranger(), http.MethodPost, "/dashboard/sign-in", url.Values{"proof": {"nonsense"}, "code": {"123456"}})
	p.Has(t, "The sign-in took too long.", `id="password"`)

	w.Post(security+"/codes/end", url.Values{"password": {"wrong password"}}).Has(t, "The password is wrong.")
	w.Post(security+"/codes/recovery", url.Values{"password": {desktest.Password}}).Has(t, "Your recovery codes")
	w.Post(security+"/codes/end", url.Values{"password": {desktest.Password}}).Has(t, "Codes are off.")
	p = w.Do(w.Stranger(), http.MethodPost, "/dashboard/sign-in", first)
	if p.Path != security {
		t.Errorf("without codes, and shown %s", p.Path)
	}
}

func TestTooManyWrongPasswords(t *testing.T) {
	w := desktest.New(t)
	c := w.Stranger()
	for range 5 {
		w.Do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {desktest.Username}, "password": {"wrong password"}})
	}
	p := w.Do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {desktest.Username}, "password": {"wrong password"}})
	if p.Status != http.StatusTooManyRequests || p.Header.Get("Retry-After") == "" {
		t.Errorf("answered %d, %v", p.Status, p.Header)
	}
	p.Has(t, "Too many wrong attempts.")
}

func TestPasswordChangeAndSessions(t *testing.T) {
	w := desktest.New(t)
	other, third := w.Stranger(), w.Stranger()
	for _, c := range []*http.Client{other, third} {
		w.Do(
			c,
			http.MethodPost,
			"/dashboard/sign-in",
			url.Values{"login": {desktest.Username}, "password": {desktest.Password}},
			"User-Agent",
			"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		)
	}
	p := w.Get(security)
	p.Has(t, "this device", "Firefox · Linux", "127.0.0.0/24", "Sign out all other devices")
	ends := regexp.MustCompile(`action="(/dashboard/account/security/sessions/ses_\w+/end)"`).FindAllStringSubmatch(p.Body, -1)
	if len(ends) != 2 {
		t.Fatalf("%d sessions can be ended: %s", len(ends), p.Body)
	}
	w.Post(ends[0][1], url.Values{}).Has(t, "The device is signed out.")
	if p := w.Do(third, http.MethodGet, security, nil); !strings.HasPrefix(p.Path, "/dashboard/sign-in") {
		t.Errorf("ended, and shown %s", p.Path)
	}
	p = w.Post(security+"/password", url.Values{"password": {"wrong password"}, "newPassword": {"another good password"}})
	p.Has(t, "The password is wrong.", `href="#password-password"`, `id="password-password-error"`)
	p = w.Post(security+"/password", url.Values{"password": {desktest.Password}, "newPassword": {"short"}})
	p.Has(t, "The password needs at least 12 characters.", `id="password-newPassword-error"`)
	p.Lacks(t, `value="short"`)
	w.Post(
		security+"/password",
		url.Values{"password": {desktest.Password}, "newPassword": {"another good password"}},
	).Has(
		t,
		"The password is changed",
	)
	if p := w.Do(other, http.MethodGet, security, nil); !strings.HasPrefix(p.Path, "/dashboard/sign-in") {
		t.Errorf("a session of before is shown %s", p.Path)
	}
	w.Do(other, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {desktest.Username}, "password": {"another good password"}})
	w.Post(security+"/sessions/end", url.Values{}).Has(t, "All other devices are signed out.")
	if p := w.Do(other, http.MethodGet, security, nil); !strings.HasPrefix(p.Path, "/dashboard/sign-in") {
		t.Errorf("ended, and shown %s", p.Path)
	}
}

// mailed waits for the newest mail of a kind to an address, and gives the path of its link.
func mailed(w *desktest.World, to, kind string) (path string) {
	w.T.Helper()
	w.Until("a mail, "+kind+", to "+to, func() bool {
		due, err := w.Store.DueMails(w.T.Context(), time.Now().Add(time.Minute), 100)
		if err != nil {
			w.T.Fatal(err)
		}
		at := slices.IndexFunc(due, func(m mail.Message) bool { return m.To == to && m.Kind == kind })
		if at < 0 {
			return false
		}
		m, err := due[at].Open(w.Ring)
		if err != nil {
			w.T.Fatal(err)
		}
		path = strings.TrimPrefix(m.Data["url"], w.Server.URL)
		return true
	})
	return path
}

func TestMailedLinks(t *testing.T) {
	w := desktest.NewWith(t, func(c *merchant.Config) { c.Mails = true })
	go func() { _ = w.Merchants.RunResets(t.Context()) }()
	w.Get(security).Has(t, "not confirmed", "Confirm your email address to use live mode.")
	w.Post(security+"/confirmation", url.Values{}).Has(t, "A mail was sent a moment ago.")
	if p := w.Post("/dashboard/live/links", url.Values{"attempt": {"attempt-of-sixteen"}, "amount": {"5"},
		"currency": {"EUR"}}); p.Status != http.StatusForbidden {
		t.Errorf("a live link before the address is confirmed: %d", p.Status)
	} else {
		p.Has(t, "Live mode needs a confirmed email address.")
	}
	link := mailed(w, "maria@example.com", mail.Confirm)
	c := w.Stranger() // the mail may be read in another browser
	for range 2 {     // a program that looks through mails follows the link, and uses nothing up
		w.Do(c, http.MethodGet, link, nil).Has(t, "Confirm the address")
	}
	token := url.Values{"token": {hidden(t, w.Do(c, http.MethodGet, link, nil), "token")}}
	p := w.Do(c, http.MethodPost, "/dashboard/confirm", token)
	p.Has(t, "Your address is confirmed.")
	w.Do(c, http.MethodPost, "/dashboard/confirm", token).Has(t, "This link was used already")
	w.Get(security).Has(t, ">confirmed<")
	w.Get(security).Lacks(t, "Confirm your email address to use live mode.")

	var answers []string
	for _, email := range []string{"maria@example.com", "nobody@example.com"} {
		p := w.Do(c, http.MethodPost, "/dashboard/forgotten", url.Values{"email": {email}})
		answers = append(answers, p.Body)
	}
	if answers[0] != answers[1] {
		t.Error("the answer tells whether somebody has the address")
	}
	link = mailed(w, "maria@example.com", mail.Reset)
	token = url.Values{"token": {hidden(t, w.Do(c, http.MethodGet, link, nil), "token")}, "newPassword": {"short"}}
	w.Do(c, http.MethodPost, "/dashboard/reset", token).Has(t, "The password needs at least 12 characters.")
	token.Set("newPassword", "passwordpassword")
	w.Do(c, http.MethodPost, "/dashboard/reset", token).Has(t, "This password is easy to guess", `id="newPassword-error"`)
	token.Set("newPassword", "another good password")
	w.Do(c, http.MethodPost, "/dashboard/reset", token).Has(t, "The new password is set.")
	w.Do(c, http.MethodPost, "/dashboard/reset", token).Has(t, "This link was used already")
	p = w.Do(w.Client, http.MethodGet, security, nil)
	if !strings.HasPrefix(p.Path, "/dashboard/sign-in") {
		t.Errorf("signed out everywhere, and shown %s", p.Path)
	}
	p = w.Do(w.Client, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {desktest.Username}, "password": {"another good password"}})
	if p.Status != http.StatusOK || strings.HasPrefix(p.Path, "/dashboard/sign-in") {
		t.Errorf("with the new password %d, %s", p.Status, p.Path)
	}
	w.Post(
		"/dashboard/account/invitations",
		url.Values{"email": {"bob@example.com"}},
	).Has(
		t,
		"The invitation to bob@example.com is on its way.",
	)
}

func TestPasskeyPagesWithoutABrowser(t *testing.T) {
	w := desktest.New(t)
	w.Get(security).Has(t, "Passkeys need an address with a host name.") // this one is a number
	p := w.Post(security+"/passkeys/new", url.Values{"name": {"laptop"}, "password": {desktest.Password}})
	p.Has(t, "Passkeys need an address with a host name.")
	p = w.Do(w.Stranger(), http.MethodPost, "/dashboard/sign-in/passkey", url.Values{"state": {"x"}, "answer": {"{}"}})
	p.Has(t, "This passkey is not known here")
	if p := w.Do(w.Client, http.MethodGet, security+"/passkeys/nonsense", nil); p.Status != http.StatusNotFound {
		t.Errorf("answered %d", p.Status)
	}
	if p := w.Do(w.Client, http.MethodPost, security+"/passkeys/nonsense/remove", url.Values{}); p.Status != http.StatusNotFound {
		t.Errorf("answered %d", p.Status)
	}
}

// Script in every field is shown as the words that it is.
func TestHostileInputInAccounts(t *testing.T) {
	w := desktest.New(t)
	const evil = `"><script>alert(1)</script>`
	c := w.Stranger()
	pages := []desktest.Page{
		w.Do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {evil}, "password": {evil}, "next": {evil}}),
		w.Do(c, http.MethodPost, "/dashboard/sign-up", url.Values{"username": {evil}, "email": {evil}, "password": {evil}}),
		w.Do(c, http.MethodGet, "/dashboard/sign-up?invitation="+url.QueryEscape(evil), nil),
		w.Do(c, http.MethodPost, "/dashboard/forgotten", url.Values{"email": {evil}}),
		w.Do(c, http.MethodGet, "/dashboard/reset?token="+url.QueryEscape(evil), nil),
		w.Do(c, http.MethodPost, "/dashboard/reset", url.Values{"token": {evil}, "newPassword": {evil}}),
		w.Do(c, http.MethodGet, "/dashboard/confirm?token="+url.QueryEscape(evil), nil),
		w.Do(c, http.MethodPost, "/dashboard/confirm", url.Values{"token": {evil}}),
		w.Post("/dashboard/account/invitations", url.Values{"email": {evil}}),
		w.Post(security+"/codes/confirm", url.Values{"code": {evil}, "secret": {evil}, "offer": {evil}}),
		w.Post(security+"/passkeys", url.Values{"name": {evil}, "state": {evil}, "answer": {evil}}),
		w.Post(security+"/passkeys/new", url.Values{"name": {evil}, "password": {evil}}),
		w.Post(security+"/password", url.Values{"password": {evil}, "newPassword": {evil}}),
		w.Do(
			w.Stranger(),
			http.MethodPost,
			"/dashboard/sign-in",
			url.Values{"login": {desktest.Username}, "password": {desktest.Password}, "next": {security}},
			"User-Agent",
			evil,
		),
	}
	pages = append(pages, w.Get(security), w.Get("/dashboard/account/invitations"))
	for _, p := range pages {
		p.Lacks(t, "<script>alert")
		if p.Status >= http.StatusInternalServerError {
			t.Errorf("%s answered %d", p.Path, p.Status)
		}
	}
}

// Every page in every language: nothing is left in English, or without its words.
func TestAccountPagesInEveryLanguage(t *testing.T) {
	w := desktest.New(t)
	for _, l := range i18n.Languages() {
		print := i18n.For(l.Tag)
		w.Get(
			security+"?lang="+l.Tag,
		).Has(
			t,
			html.EscapeString(print.T("account.codesTitle")),
			`dir="`+l.Dir+`"`,
			html.EscapeString(print.T("account.passkeysTitle")),
		)
		w.Get("/dashboard/account/invitations?lang="+l.Tag).Has(t, html.EscapeString(print.T("account.inviteShown")))
		c := w.Stranger()
		for path, key := range map[string]string{"sign-in": "common.signIn", "sign-up": "account.signUpLead",
			"forgotten": "account.forgottenLead", "reset": "account.resetLead", "confirm": "account.confirmLead"} {
			w.Do(c, http.MethodGet, "/dashboard/"+path+"?lang="+l.Tag, nil).Has(t, html.EscapeString(print.T(key)))
		}
	}
}

// TestGuessesAtOnceOverHTTP sends 600 wrong codes with one proof, 600 wrong passwords of a sign-in,
// and 600 of a signed-in user, each at once. Five of each are compared.
func TestGuessesAtOnceOverHTTP(t *testing.T) {
	now := time.Now() // stands still, so that no guess waits long enough
	w := desktest.NewWith(t, func(c *merchant.Config) { c.Now = func() time.Time { return now } })
	enrol(w)
	proof := hidden(t, w.Do(w.Stranger(), http.MethodPost, "/dashboard/sign-in",
		url.Values{"login": {desktest.Username}, "password": {desktest.Password}}), "proof")
	bob := w.Stranger()
	w.Do(bob, http.MethodPost, "/dashboard/sign-up",
		url.Values{"username": {"bob"}, "email": {"bob@example.com"}, "password": {desktest.Password}})
	for _, c := range []struct {
		what   string
		client *http.Client
		path   string
		form   url.Values
		wrong  int // the status of a wrong answer
	}{
		{"codes", w.Stranger(), "/dashboard/sign-in", url.Values{"proof": {proof}, "code": {"00000x"}}, http.StatusUnauthorized},
		{"passwords", w.Stranger(), "/dashboard/sign-in", url.Values{"login": {"bob"}, "password": {"wrong password"}}, http.StatusUnauthorized},
		{"passwords again", bob, security + "/password", url.Values{"password": {"wrong password"}, "newPassword": {"another good password"}},
			http.StatusUnprocessableEntity},
	} {
		const guesses = 600
		statuses := make([]int, guesses)
		var wg sync.WaitGroup
		for i := range guesses {
			wg.Go(func() { statuses[i] = w.Do(c.client, http.MethodPost, c.path, c.form).Status })
		}
		wg.Wait()
		count := map[int]int{}
		for _, status := range statuses {
			count[status]++
		}
		if count[c.wrong] != 5 || count[http.StatusTooManyRequests] != guesses-5 {
			t.Errorf("%s: %v", c.what, count)
		}
	}
}

// TestKnownDevice checks that strangers' failures do not keep a browser out in which the user has
// signed in, also after signing out.
func TestKnownDevice(t *testing.T) {
	w := desktest.New(t)
	form := func(password string) url.Values {
		return url.Values{"login": {desktest.Username}, "password": {password}}
	}
	w.Post("/dashboard/sign-out", url.Values{})
	for range 5 {
		w.Do(w.Stranger(), http.MethodPost, "/dashboard/sign-in", form("wrong password"))
	}
	if p := w.Do(w.Stranger(), http.MethodPost, "/dashboard/sign-in", form(desktest.Password)); p.Status != http.StatusTooManyRequests {
		t.Errorf("a stranger: %d", p.Status)
	}
	if p := w.Post("/dashboard/sign-in", form(desktest.Password)); !strings.HasPrefix(p.Path, "/dashboard/test") {
		t.Errorf("the known browser is shown %s (%d)", p.Path, p.Status)
	}
}

// TestCommonPasswordIsExplained checks the words about a refused password in each form that has one.
func TestCommonPasswordIsExplained(t *testing.T) {
	w := desktest.New(t)
	const common = "passwordpassword"
	w.Do(w.Stranger(), http.MethodPost, "/dashboard/sign-up",
		url.Values{"username": {"bob"}, "email": {"bob@example.com"}, "password": {common}}).
		Has(t, "This password is easy to guess", `id="password-error"`)
	w.Post(security+"/password", url.Values{"password": {desktest.Password}, "newPassword": {common}}).
		Has(t, "This password is easy to guess", `id="password-newPassword-error"`)
}
