package links_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/link"
)

// goodLink is the form of a link of 49 EUR, as a reader fills it in.
func goodLink() url.Values {
	return url.Values{
		"kind":        {"fixed"},
		"amount":      {"49"},
		"currency":    {"EUR"},
		"description": {"A chair"},
		"reference":   {"INV-7"},
		"uses":        {"once"},
		"life":        {"86400"},
		"capture":     {"automatic"},
		"latePolicy":  {"accept"},
		"metadata":    {"order = 12\r\n\r\nshop=north"},
	}
}

func theLinks(w *desktest.World) []link.Link {
	w.T.Helper()
	all, err := w.Links.List(w.T.Context(), link.Filter{Account: w.Account, Mode: link.Test, Limit: 100})
	if err != nil {
		w.T.Fatal(err)
	}
	return all
}

func TestCreateALink(t *testing.T) {
	w := desktest.New(t)
	form := goodLink()
	form.Set("attempt", w.Attempt(w.Get("/dashboard/test/links/new")))
	made := w.Post("/dashboard/test/links", form)
	all := theLinks(w)
	if len(all) != 1 {
		t.Fatalf("%d links: %d %s", len(all), made.Status, made.Body)
	}
	l := all[0]
	if l.Amount.Minor != 4900 || l.Description != "A chair" || l.Reference != "INV-7" || l.MaxUses != 1 || l.Metadata["order"] != "12" ||
		l.Metadata["shop"] != "north" ||
		l.ExpiresAt.Sub(l.CreatedAt) > 24*time.Hour+time.Second {
		t.Errorf("%+v", l)
	}
	made.Has(t, "The link is ready.", w.Server.URL+"/l/"+l.Token, "A chair", `src="/dashboard/test/links/`+l.ID+`/qr.svg"`)
	again := w.Post("/dashboard/test/links", form) // sent twice
	if again.Path != "/dashboard/test/links/"+l.ID || len(theLinks(w)) != 1 {
		t.Errorf("the form sent twice leads to %s, and there are %d links", again.Path, len(theLinks(w)))
	}
	w.Get("/dashboard/test/links").Has(t, "A chair", "€49.00", "Open", "0 / 1")
	w.Get("/dashboard/test/links?reference=INV-7&status=open").Has(t, "A chair")
	w.Get("/dashboard/test/links?status=paid").Has(t, "No link matches")
	if found := w.Get("/dashboard/test/links?reference=" + l.ID); found.Path != "/dashboard/test/links/"+l.ID {
		t.Errorf("an id leads to %s", found.Path)
	}
	rows, err := csv.NewReader(strings.NewReader(w.Get("/dashboard/test/links.csv").Body)).ReadAll()
	if err != nil || len(rows) != 2 || !slices.Contains(rows[1], "49.00") {
		t.Errorf("%v %v", err, rows)
	}
}

func TestALinkThatIsNotRight(t *testing.T) {
	w := desktest.New(t)
	for field, wrong := range map[string][2]string{"amount": {"amount", ""}, "amount ": {"amount", "12.345"}, "maxUses": {"maxUses", "0"},
		"redirectUrl": {"redirectUrl", "ftp://x"},
		"currency":    {"currency", "XXX"}, "life": {"life", "99999999"}, "metadata": {"metadata", "no equals sign"}} {
		form := goodLink()
		form.Set("attempt", w.Attempt(w.Get("/dashboard/test/links/new")))
		form.Set(wrong[0], wrong[1])
		if field == "maxUses" {
			form.Set("uses", "several")
		}
		p := w.Post("/dashboard/test/links", form)
		if p.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s %q is answered %d", wrong[0], wrong[1], p.Status)
		}
		p.Has(t, `href="#`+wrong[0]+`"`, `id="`+wrong[0]+`-error"`, "A chair")
	}
	form := goodLink()
	form.Set("kind", "chosen")
	form.Set("attempt", w.Attempt(w.Get("/dashboard/test/links/new")))
	w.Post("/dashboard/test/links", form).Has(t, `href="#maxAmount"`)
	w.Post("/dashboard/test/links", goodLink()).Has(t, "did not arrive as it should") // without an attempt
	if n := len(theLinks(w)); n != 0 {
		t.Errorf("%d links were made all the same", n)
	}
}

func TestPreviewOfALink(t *testing.T) {
	w := desktest.New(t)
	form := goodLink()
	part := w.Post("/dashboard/test/links/preview", form, "HX-Request", "true")
	part.Has(t, "Pay maria", "€49.00", "A chair", "INV-7")
	part.Lacks(t, "<html")
	form.Set("show", "1") // without a script: the page again, with the preview
	p := w.Post("/dashboard/test/links", form)
	p.Has(t, "€49.00", `value="INV-7"`)
	form.Set("kind", "chosen")
	form.Set("minAmount", "5")
	form.Set("maxAmount", "500")
	w.Post("/dashboard/test/links/preview", form, "HX-Request", "true").Has(t, "You choose", "Between €5.00 and €500.00")
	if n := len(theLinks(w)); n != 0 {
		t.Errorf("a preview made %d links", n)
	}
}

func TestDuplicateALink(t *testing.T) {
	w := desktest.New(t)
	uses := int64(7)
	l := w.Link(func(r *link.CreateRequest) {
		r.Amount, r.MinAmount, r.MaxAmount, r.MaxUses, r.Reference = "", "5", "80", &uses, "R-1"
		r.Metadata, r.Capture = map[string]string{"a": "b"}, link.CaptureManual
	})
	w.Get(
		"/dashboard/test/links/new?from="+l.ID,
	).Has(
		t,
		`value="5.00"`,
		`value="80.00"`,
		`value="7"`,
		`value="R-1"`,
		"a=b",
		`<option value="manual" selected`,
	)
	if p := w.Do(w.Client, http.MethodGet, "/dashboard/live/links/new?from="+l.ID, nil); p.Status != http.StatusNotFound {
		t.Errorf("a link of the other mode is duplicated: %d", p.Status)
	}
}

func TestCancelALink(t *testing.T) {
	w := desktest.New(t)
	l := w.Link(nil)
	at := "/dashboard/test/links/" + l.ID
	form := url.Values{"attempt": {w.Attempt(w.Get(at + "/cancel"))}}
	w.Post(at+"/cancel", form).Has(t, "The link is canceled.", "Canceled")
	w.Post(at+"/cancel", form).Has(t, "The link is canceled.") // sent twice
	w.Get(at+"/cancel").Has(t, "The link was canceled.")
	w.Get(at).Lacks(t, at+"/cancel")
	paid := w.Link(nil)
	w.Pay(paid, desktest.Good, nil)
	at = "/dashboard/test/links/" + paid.ID
	w.Post(at+"/cancel", url.Values{"attempt": {"attempt-0123456789"}}).Has(t, "The link has been paid.")
}

func TestQRCodes(t *testing.T) {
	w := desktest.New(t)
	l := w.Link(nil)
	at := "/dashboard/test/links/" + l.ID
	svg := w.Get(at + "/qr.svg")
	if svg.Header.Get("Content-Type") != "image/svg+xml" || svg.Header.Get("Content-Disposition") != "" {
		t.Errorf("%v", svg.Header)
	}
	png := w.Get(at + "/qr.png?download")
	if !strings.HasPrefix(png.Body, "\x89PNG") || !strings.HasPrefix(png.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%v %.20q", png.Header, png.Body)
	}
}

func TestLiveModeAsksForAMethod(t *testing.T) {
	w := desktest.New(t)
	w.Get("/dashboard/live/links/new").Has(t, "Nothing can be paid in this mode yet", `href="/dashboard/account/methods"`)
}

func TestPaymentMethods(t *testing.T) {
	w := desktest.New(t)
	w.Get("/dashboard/account/methods").Has(t, "Simulator", "Test mode", `name="currencies.simulator.card" value="EUR"`)
	p := w.Post("/dashboard/account/methods", url.Values{"enabled.simulator.card": {"on"}, "currencies.simulator.card": {"EUR", "JPY"}})
	p.Has(t, "The payment methods are saved.")
	a, err := w.Merchants.GetAccount(t.Context(), w.Account)
	if err != nil || len(a.Methods) != 1 || !a.Methods[0].Enabled || len(a.Methods[0].Currencies) != 2 {
		t.Errorf("%+v %v", a.Methods, err)
	}
	w.Get("/dashboard/test/links/new").Has(t, `<option value="JPY"`)
	w.Get("/dashboard/test/links/new").Lacks(t, `<option value="USD"`)
	p = w.Post("/dashboard/account/methods", url.Values{"enabled.simulator.card": {"on"}})
	if p.Status != http.StatusUnprocessableEntity {
		t.Errorf("no currency is answered %d", p.Status)
	}
	p.Has(t, "Choose at least one currency")
}

func TestSendALink(t *testing.T) {
	w := desktest.New(t)
	w.Confirm()
	at := "/dashboard/test/links/" + w.Link(nil).ID
	w.Get(at).Has(t, `href="`+at+`/send"`)
	w.Get(at+"/send").Has(t, `value="maria@example.com"`)
	for to, words := range map[string]string{"nobody": "Write a bare address, such as name@example.com.",
		"stranger@example.com": "In test mode, links are mailed only to confirmed addresses of your account’s users."} {
		p := w.Post(at+"/send", url.Values{"to": {to}, "lang": {"de"}})
		if p.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s is answered %d", to, p.Status)
		}
		p.Has(t, words, `value="`+to+`"`, `id="to-error"`)
	}
	form := url.Values{"to": {"maria@example.com"}, "lang": {"de"}}
	w.Post(at+"/send", form).Has(t, "The link is on its way to maria@example.com.")
	w.Post(at+"/send", form)
	sent, err := w.Mails.Mails(t.Context(), w.Account, "", 10)
	if err != nil || len(sent) != 1 || sent[0].To != "maria@example.com" || sent[0].Lang != "de" {
		t.Errorf("%+v %v", sent, err)
	}
}
