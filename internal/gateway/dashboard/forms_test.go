package dashboard_test

import (
	"context"
	"html"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/gateway/dashboard"
	"github.com/paylink/paylink/internal/gateway/pages"
	"github.com/paylink/paylink/internal/link"
)

// formPages are the real pages of payers, as far as forms are previewed on them.
func formPages(t *testing.T, links *link.Local, public string) dashboard.FormPages {
	t.Helper()
	p, err := pages.New(pages.Config{Links: links, Forms: noLinks{links}, Now: time.Now, Log: slog.New(slog.DiscardHandler), PublicURL: public})
	if err != nil {
		t.Fatal(err)
	}
	src, integrity := pages.Embed(public)
	return dashboard.FormPages{Script: src, Integrity: integrity, Preview: p.PreviewForm}
}

// noLinks are forms that nobody fills in here.
type noLinks struct{ link.PublicForms }

func (noLinks) Fill(context.Context, link.Form, link.FormLinkRequest) (link.Link, error) {
	panic("a form of the dashboard's tests was filled in")
}

func tickets() url.Values {
	return url.Values{"name": {"Tickets"}, "kind": {"list"}, "amounts": {"5\n12,50"}, "currency": {"EUR"}, "ask-email": {"required"}, "own-0": {"T-shirt size"},
		"own-ask-0": {"optional"}, "accent": {"#0b6e4f"}, "corners": {"soft"}, "origins": {"https://shop.example\nhttp://localhost:4000"}, "life": {"3600"}, "capture": {"automatic"}}
}

// formMade fills in the page of a new form, and gives the id of what came of it.
func (w *world) formMade(values url.Values) string {
	w.t.Helper()
	values.Set("attempt", w.attempt(w.get("/dashboard/test/forms/new")))
	p := w.post("/dashboard/test/forms", values)
	id := strings.TrimPrefix(p.path, "/dashboard/test/forms/")
	if p.status != http.StatusOK || !strings.HasPrefix(id, "frm_") {
		w.t.Fatalf("%s (%d): %s", p.path, p.status, p.body)
	}
	return id
}

func TestFormIsMadeOnceAndShown(t *testing.T) {
	w := newWorld(t)
	w.get("/dashboard/test/forms").has(t, "No forms yet", "/dashboard/test/forms/new")
	values := tickets()
	id := w.formMade(values)
	for range 2 { // sent again
		if p := w.post("/dashboard/test/forms", values); p.path != "/dashboard/test/forms/"+id {
			t.Errorf("sent again it leads to %s", p.path)
		}
	}
	f, err := w.links.GetForm(t.Context(), w.account, link.Test, id)
	if err != nil || f.Amounts[1] != 1250 || len(f.Fields) != 2 || f.Fields[1] != (link.Field{Name: "tshirt_size", Label: "T-shirt size"}) && f.Fields[1].Name != "t_shirt_size" ||
		f.Look.Accent != "#0b6e4f" || f.Look.Corners != "soft" || len(f.Origins) != 2 {
		t.Errorf("made %+v, %v", f, err)
	}
	shown := w.get("/dashboard/test/forms/" + id)
	snippet := html.UnescapeString(regexp.MustCompile(`(?s)<textarea id="snippet".*?>(.*?)</textarea>`).FindStringSubmatch(shown.body)[1])
	src, integrity := pages.Embed(w.server.URL)
	for _, want := range []string{src, integrity, `crossorigin="anonymous"`, `<paylink-form form="` + id + `">`, w.server.URL + "/f/" + id} {
		if !strings.Contains(snippet, want) {
			t.Errorf("the line lacks %s: %s", want, snippet)
		}
	}
	shown.has(t, "https://shop.example", "/dashboard/test/forms/"+id+"/preview")
	if csp := shown.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("the page's policy is %s", csp)
	}
	list := w.get("/dashboard/test/forms")
	list.has(t, "Tickets", "€5.00 · €12.50", "Active")
	w.get("/dashboard/live/forms").lacks(t, "Tickets")
	w.get("/dashboard/test/forms.csv").has(t, id+",", "5.00 12.50")
}

func TestFormIsChangedAndArchived(t *testing.T) {
	w := newWorld(t)
	id := w.formMade(tickets())
	edit := w.get("/dashboard/test/forms/" + id + "/edit")
	edit.has(t, `value="Tickets"`, "12.50", "https://shop.example", `value="#0b6e4f"`, `name="revision" value="1"`, `value="T-shirt size"`)
	values := tickets()
	values.Set("name", "Donations")
	values.Set("kind", "chosen")
	values.Set("minAmount", "5")
	values.Set("maxAmount", "500")
	values.Set("revision", "1")
	if p := w.post("/dashboard/test/forms/"+id+"/edit", values); p.path != "/dashboard/test/forms/"+id || !strings.Contains(p.body, "The form is saved") {
		t.Errorf("saved: %s (%d)", p.path, p.status)
	}
	stale := w.post("/dashboard/test/forms/"+id+"/edit", values)
	if stale.status != http.StatusUnprocessableEntity {
		t.Errorf("a stale page is answered %d", stale.status)
	}
	stale.has(t, "Somebody else changed this meanwhile")
	ask := w.get("/dashboard/test/forms/" + id + "/archive")
	p := w.post("/dashboard/test/forms/"+id+"/archive", url.Values{"attempt": {w.attempt(ask)}})
	p.has(t, "The form is archived.", "Archived")
	p.lacks(t, "<textarea")
	w.get("/dashboard/test/forms").lacks(t, "Donations")
	w.get("/dashboard/test/forms?archived=true").has(t, "Donations")
	other := w.do(w.client, http.MethodGet, "/dashboard/live/forms/"+id, nil)
	if other.status != http.StatusNotFound {
		t.Errorf("in the other mode it is %d", other.status)
	}
}

func TestFormPageTellsWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		change func(url.Values)
		field  string
		words  string
	}{
		{func(v url.Values) { v.Set("name", "") }, "name", "Give it a name."},
		{func(v url.Values) { v.Set("accent", "#ffff00") }, "accent", "too light"},
		{func(v url.Values) { v.Set("origins", "https://*.example") }, "origins", "without a path"},
		{func(v url.Values) { v.Set("amounts", "5") }, "amounts", ""},
		{func(v url.Values) { v.Set("kind", "fixed") }, "amount", ""},
		{func(v url.Values) { v.Set("kind", "chosen"); v.Set("maxAmount", "x") }, "maxAmount", "digits"},
		{func(v url.Values) { v.Set("redirectUrl", "javascript:alert(1)") }, "redirectUrl", "https://"},
	} {
		values := tickets()
		values.Set("attempt", w.attempt(w.get("/dashboard/test/forms/new")))
		c.change(values)
		p := w.post("/dashboard/test/forms", values)
		if p.status != http.StatusUnprocessableEntity {
			t.Errorf("%s is answered %d", c.field, p.status)
		}
		p.has(t, `href="#`+c.field+`"`, `id="`+c.field+`"`, c.words)
	}
}

// Nothing that a merchant types becomes markup, in the room, in the preview, or in the
// line for the website.
func TestFormsAgainstHostileInput(t *testing.T) {
	w := newWorld(t)
	const bad = `"><script>alert(1)</script>`
	values := tickets()
	for _, name := range []string{"name", "description", "own-0", "button"} {
		values.Set(name, bad)
	}
	id := w.formMade(values)
	for _, path := range []string{"", "/" + id, "/" + id + "/edit", "/" + id + "/preview", "/" + id + "/archive", "/preview?" + values.Encode()} {
		p := w.get("/dashboard/test/forms" + path)
		p.lacks(t, "<script>alert")
	}
	shown := w.get("/dashboard/test/forms/" + id)
	snippet := html.UnescapeString(regexp.MustCompile(`(?s)<textarea id="snippet".*?>(.*?)</textarea>`).FindStringSubmatch(shown.body)[1])
	if strings.Contains(snippet, "<script>alert") {
		t.Errorf("the line for a website is %s", snippet)
	}
}

// The preview is the payer's own page, for our own frame alone, and for whoever is
// signed in alone; nothing on it can be sent.
func TestFormPreview(t *testing.T) {
	w := newWorld(t)
	p := w.get("/dashboard/test/forms/preview?" + tickets().Encode())
	p.has(t, "€12.50", "T-shirt size", "/assets/look/0b6e4f-", "inert")
	if csp := p.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'self'") {
		t.Errorf("the preview's policy is %s", csp)
	}
	p = w.get("/dashboard/test/forms/preview?kind=chosen&accent=nonsense&corners=x&maxAmount=1e9&currency=XXX")
	p.has(t, link.DefaultAccent[1:])
	stranger := w.do(w.stranger(), http.MethodGet, "/dashboard/test/forms/preview?name=x", nil)
	if !strings.HasPrefix(stranger.path, "/dashboard/sign-in") {
		t.Errorf("a stranger is shown %s", stranger.path)
	}
}
