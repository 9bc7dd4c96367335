package dashboard_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/link"
)

// goodLink is the form of a link of 49 EUR, as a reader fills it in.
func goodLink() url.Values {
	return url.Values{"kind": {"fixed"}, "amount": {"49"}, "currency": {"EUR"}, "description": {"A chair"}, "reference": {"INV-7"}, "uses": {"once"}, "life": {"86400"},
		"capture": {"automatic"}, "latePolicy": {"accept"}, "metadata": {"order = 12\r\n\r\nshop=north"}}
}

func (w *world) theLinks() []link.Link {
	w.t.Helper()
	all, err := w.links.List(w.t.Context(), link.Filter{Account: w.account, Mode: link.Test, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestCreateALink(t *testing.T) {
	w := newWorld(t)
	form := goodLink()
	form.Set("attempt", w.attempt(w.get("/dashboard/test/links/new")))
	made := w.post("/dashboard/test/links", form)
	all := w.theLinks()
	if len(all) != 1 {
		t.Fatalf("%d links: %d %s", len(all), made.status, made.body)
	}
	l := all[0]
	if l.Amount.Minor != 4900 || l.Description != "A chair" || l.Reference != "INV-7" || l.MaxUses != 1 || l.Metadata["order"] != "12" || l.Metadata["shop"] != "north" ||
		l.ExpiresAt.Sub(l.CreatedAt) > 24*time.Hour+time.Second {
		t.Errorf("%+v", l)
	}
	made.has(t, "The link is ready.", w.server.URL+"/l/"+l.Token, "A chair", `src="/dashboard/test/links/`+l.ID+`/qr.svg"`)
	again := w.post("/dashboard/test/links", form) // sent twice
	if again.path != "/dashboard/test/links/"+l.ID || len(w.theLinks()) != 1 {
		t.Errorf("the form sent twice leads to %s, and there are %d links", again.path, len(w.theLinks()))
	}
	w.get("/dashboard/test/links").has(t, "A chair", "€49.00", "Open", "0 / 1")
	w.get("/dashboard/test/links?reference=INV-7&status=open").has(t, "A chair")
	w.get("/dashboard/test/links?status=paid").has(t, "No link matches")
	if found := w.get("/dashboard/test/links?reference=" + l.ID); found.path != "/dashboard/test/links/"+l.ID {
		t.Errorf("an id leads to %s", found.path)
	}
	rows, err := csv.NewReader(strings.NewReader(w.get("/dashboard/test/links.csv").body)).ReadAll()
	if err != nil || len(rows) != 2 || !slices.Contains(rows[1], "49.00") {
		t.Errorf("%v %v", err, rows)
	}
}

func TestALinkThatIsNotRight(t *testing.T) {
	w := newWorld(t)
	for field, wrong := range map[string][2]string{"amount": {"amount", ""}, "amount ": {"amount", "12.345"}, "maxUses": {"maxUses", "0"}, "redirectUrl": {"redirectUrl", "ftp://x"},
		"currency": {"currency", "XXX"}, "life": {"life", "99999999"}, "metadata": {"metadata", "no equals sign"}} {
		form := goodLink()
		form.Set("attempt", w.attempt(w.get("/dashboard/test/links/new")))
		form.Set(wrong[0], wrong[1])
		if field == "maxUses" {
			form.Set("uses", "several")
		}
		p := w.post("/dashboard/test/links", form)
		if p.status != http.StatusUnprocessableEntity {
			t.Errorf("%s %q is answered %d", wrong[0], wrong[1], p.status)
		}
		p.has(t, `href="#`+wrong[0]+`"`, `id="`+wrong[0]+`-error"`, "A chair")
	}
	form := goodLink()
	form.Set("kind", "chosen")
	form.Set("attempt", w.attempt(w.get("/dashboard/test/links/new")))
	w.post("/dashboard/test/links", form).has(t, `href="#maxAmount"`)
	w.post("/dashboard/test/links", goodLink()).has(t, "did not arrive as it should") // without an attempt
	if n := len(w.theLinks()); n != 0 {
		t.Errorf("%d links were made all the same", n)
	}
}

func TestPreviewOfALink(t *testing.T) {
	w := newWorld(t)
	form := goodLink()
	part := w.post("/dashboard/test/links/preview", form, "HX-Request", "true")
	part.has(t, "Pay maria", "€49.00", "A chair", "INV-7")
	part.lacks(t, "<html")
	form.Set("show", "1") // without a script: the page again, with the preview
	p := w.post("/dashboard/test/links", form)
	p.has(t, "€49.00", `value="INV-7"`)
	form.Set("kind", "chosen")
	form.Set("minAmount", "5")
	form.Set("maxAmount", "500")
	w.post("/dashboard/test/links/preview", form, "HX-Request", "true").has(t, "You choose", "Between €5.00 and €500.00")
	if n := len(w.theLinks()); n != 0 {
		t.Errorf("a preview made %d links", n)
	}
}

func TestDuplicateALink(t *testing.T) {
	w := newWorld(t)
	uses := int64(7)
	l := w.link(func(r *link.CreateRequest) {
		r.Amount, r.MinAmount, r.MaxAmount, r.MaxUses, r.Reference = "", "5", "80", &uses, "R-1"
		r.Metadata, r.Capture = map[string]string{"a": "b"}, link.CaptureManual
	})
	w.get("/dashboard/test/links/new?from="+l.ID).has(t, `value="5.00"`, `value="80.00"`, `value="7"`, `value="R-1"`, "a=b", `<option value="manual" selected`)
	if p := w.do(w.client, http.MethodGet, "/dashboard/live/links/new?from="+l.ID, nil); p.status != http.StatusNotFound {
		t.Errorf("a link of the other mode is duplicated: %d", p.status)
	}
}

func TestCancelALink(t *testing.T) {
	w := newWorld(t)
	l := w.link(nil)
	at := "/dashboard/test/links/" + l.ID
	form := url.Values{"attempt": {w.attempt(w.get(at + "/cancel"))}}
	w.post(at+"/cancel", form).has(t, "The link is canceled.", "Canceled")
	w.post(at+"/cancel", form).has(t, "The link is canceled.") // sent twice
	w.get(at+"/cancel").has(t, "The link was canceled.")
	w.get(at).lacks(t, at+"/cancel")
	paid := w.link(nil)
	w.pay(paid, good, nil)
	at = "/dashboard/test/links/" + paid.ID
	w.post(at+"/cancel", url.Values{"attempt": {"attempt-0123456789"}}).has(t, "The link has been paid.")
}

func TestQRCodes(t *testing.T) {
	w := newWorld(t)
	l := w.link(nil)
	at := "/dashboard/test/links/" + l.ID
	svg := w.get(at + "/qr.svg")
	if svg.header.Get("Content-Type") != "image/svg+xml" || svg.header.Get("Content-Disposition") != "" {
		t.Errorf("%v", svg.header)
	}
	png := w.get(at + "/qr.png?download")
	if !strings.HasPrefix(png.body, "\x89PNG") || !strings.HasPrefix(png.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%v %.20q", png.header, png.body)
	}
}

func TestLiveModeAsksForAMethod(t *testing.T) {
	w := newWorld(t)
	w.get("/dashboard/live/links/new").has(t, "Nothing can be paid in this mode yet", `href="/dashboard/account/methods"`)
}

func TestPaymentMethods(t *testing.T) {
	w := newWorld(t)
	w.get("/dashboard/account/methods").has(t, "Simulator", "Test mode", `name="currencies.simulator.card" value="EUR"`)
	p := w.post("/dashboard/account/methods", url.Values{"enabled.simulator.card": {"on"}, "currencies.simulator.card": {"EUR", "JPY"}})
	p.has(t, "The payment methods are saved.")
	a, err := w.merchants.GetAccount(t.Context(), w.account)
	if err != nil || len(a.Methods) != 1 || !a.Methods[0].Enabled || len(a.Methods[0].Currencies) != 2 {
		t.Errorf("%+v %v", a.Methods, err)
	}
	w.get("/dashboard/test/links/new").has(t, `<option value="JPY"`)
	w.get("/dashboard/test/links/new").lacks(t, `<option value="USD"`)
	p = w.post("/dashboard/account/methods", url.Values{"enabled.simulator.card": {"on"}})
	if p.status != http.StatusUnprocessableEntity {
		t.Errorf("no currency is answered %d", p.status)
	}
	p.has(t, "Choose at least one currency")
}

func TestSendALink(t *testing.T) {
	w := newWorld(t)
	w.confirm()
	at := "/dashboard/test/links/" + w.link(nil).ID
	w.get(at).has(t, `href="`+at+`/send"`)
	w.get(at+"/send").has(t, `value="maria@example.com"`)
	for to, words := range map[string]string{"nobody": "Write a bare address, such as name@example.com.", "stranger@example.com": "In test mode, links are mailed only to confirmed addresses of your account’s users."} {
		p := w.post(at+"/send", url.Values{"to": {to}, "lang": {"de"}})
		if p.status != http.StatusUnprocessableEntity {
			t.Errorf("%s is answered %d", to, p.status)
		}
		p.has(t, words, `value="`+to+`"`, `id="to-error"`)
	}
	form := url.Values{"to": {"maria@example.com"}, "lang": {"de"}}
	w.post(at+"/send", form).has(t, "The link is on its way to maria@example.com.")
	w.post(at+"/send", form)
	sent, err := w.mails.Mails(t.Context(), w.account, "", 10)
	if err != nil || len(sent) != 1 || sent[0].To != "maria@example.com" || sent[0].Lang != "de" {
		t.Errorf("%+v %v", sent, err)
	}
}
