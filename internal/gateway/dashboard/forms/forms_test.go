package forms_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/gateway/pages"
	"github.com/paylink/paylink/internal/link"
)

func TestFormIsMadeOnceAndShown(t *testing.T) {
	w := desktest.New(t)
	w.Get("/dashboard/test/forms").Has(t, "No forms yet", "/dashboard/test/forms/new")
	values := desktest.Tickets()
	id := w.FormMade(values)
	for range 2 { // sent again
		if p := w.Post("/dashboard/test/forms", values); p.Path != "/dashboard/test/forms/"+id {
			t.Errorf("sent again it leads to %s", p.Path)
		}
	}
	f, err := w.Links.GetForm(t.Context(), w.Account, link.Test, id)
	if err != nil || f.Amounts[1] != 1250 || len(f.Fields) != 2 ||
		f.Fields[1] != (link.Field{Name: "tshirt_size", Label: "T-shirt size"}) && f.Fields[1].Name != "t_shirt_size" ||
		f.Look.Accent != "#0b6e4f" || f.Look.Corners != "soft" ||
		len(f.Origins) != 2 {
		t.Errorf("made %+v, %v", f, err)
	}
	shown := w.Get("/dashboard/test/forms/" + id)
	snippet := html.UnescapeString(regexp.MustCompile(`(?s)<textarea id="snippet".*?>(.*?)</textarea>`).FindStringSubmatch(shown.Body)[1])
	src, integrity := pages.Embed(w.Server.URL)
	for _, want := range []string{src, integrity, `crossorigin="anonymous"`, `<paylink-form form="` + id + `">`, w.Server.URL + "/f/" + id} {
		if !strings.Contains(snippet, want) {
			t.Errorf("the line lacks %s: %s", want, snippet)
		}
	}
	shown.Has(t, "https://shop.example", "/dashboard/test/forms/"+id+"/preview")
	if csp := shown.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("the page's policy is %s", csp)
	}
	list := w.Get("/dashboard/test/forms")
	list.Has(t, "Tickets", "€5.00 · €12.50", "Active")
	w.Get("/dashboard/live/forms").Lacks(t, "Tickets")
	w.Get("/dashboard/test/forms.csv").Has(t, id+",", "5.00 12.50")
}

func TestFormIsChangedAndArchived(t *testing.T) {
	w := desktest.New(t)
	id := w.FormMade(desktest.Tickets())
	edit := w.Get("/dashboard/test/forms/" + id + "/edit")
	edit.Has(t, `value="Tickets"`, "12.50", "https://shop.example", `value="#0b6e4f"`, `name="revision" value="1"`, `value="T-shirt size"`)
	values := desktest.Tickets()
	values.Set("name", "Donations")
	values.Set("kind", "chosen")
	values.Set("minAmount", "5")
	values.Set("maxAmount", "500")
	values.Set("revision", "1")
	if p := w.Post("/dashboard/test/forms/"+id+"/edit", values); p.Path != "/dashboard/test/forms/"+id ||
		!strings.Contains(p.Body, "The form is saved") {
		t.Errorf("saved: %s (%d)", p.Path, p.Status)
	}
	stale := w.Post("/dashboard/test/forms/"+id+"/edit", values)
	if stale.Status != http.StatusUnprocessableEntity {
		t.Errorf("a stale page is answered %d", stale.Status)
	}
	stale.Has(t, "Somebody else changed this meanwhile")
	ask := w.Get("/dashboard/test/forms/" + id + "/archive")
	p := w.Post("/dashboard/test/forms/"+id+"/archive", url.Values{"attempt": {w.Attempt(ask)}})
	p.Has(t, "The form is archived.", "Archived")
	p.Lacks(t, "<textarea")
	w.Get("/dashboard/test/forms").Lacks(t, "Donations")
	w.Get("/dashboard/test/forms?archived=true").Has(t, "Donations")
	other := w.Do(w.Client, http.MethodGet, "/dashboard/live/forms/"+id, nil)
	if other.Status != http.StatusNotFound {
		t.Errorf("in the other mode it is %d", other.Status)
	}
}

func TestFormPageTellsWhatIsWrong(t *testing.T) {
	w := desktest.New(t)
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
		values := desktest.Tickets()
		values.Set("attempt", w.Attempt(w.Get("/dashboard/test/forms/new")))
		c.change(values)
		p := w.Post("/dashboard/test/forms", values)
		if p.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s is answered %d", c.field, p.Status)
		}
		p.Has(t, `href="#`+c.field+`"`, `id="`+c.field+`"`, c.words)
	}
}

// Nothing that a merchant types becomes markup, on the pages, in the preview, or in the
// line for the website.
func TestFormsAgainstHostileInput(t *testing.T) {
	w := desktest.New(t)
	const bad = `"><script>alert(1)</script>`
	values := desktest.Tickets()
	for _, name := range []string{"name", "description", "own-0", "button"} {
		values.Set(name, bad)
	}
	id := w.FormMade(values)
	for _, path := range []string{"", "/" + id, "/" + id + "/edit", "/" + id + "/preview", "/" + id + "/archive",
		"/preview?" + values.Encode()} {
		p := w.Get("/dashboard/test/forms" + path)
		p.Lacks(t, "<script>alert")
	}
	shown := w.Get("/dashboard/test/forms/" + id)
	snippet := html.UnescapeString(regexp.MustCompile(`(?s)<textarea id="snippet".*?>(.*?)</textarea>`).FindStringSubmatch(shown.Body)[1])
	if strings.Contains(snippet, "<script>alert") {
		t.Errorf("the line for a website is %s", snippet)
	}
}

// The preview is the payer's page. It is only for our own frame and for signed-in users,
// and nothing on it can be sent.
func TestFormPreview(t *testing.T) {
	w := desktest.New(t)
	p := w.Get("/dashboard/test/forms/preview?" + desktest.Tickets().Encode())
	p.Has(t, "€12.50", "T-shirt size", "/assets/look/0b6e4f-", "inert")
	if csp := p.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'self'") {
		t.Errorf("the preview's policy is %s", csp)
	}
	p = w.Get("/dashboard/test/forms/preview?kind=chosen&accent=nonsense&corners=x&maxAmount=1e9&currency=XXX")
	p.Has(t, link.DefaultAccent[1:])
	stranger := w.Do(w.Stranger(), http.MethodGet, "/dashboard/test/forms/preview?name=x", nil)
	if !strings.HasPrefix(stranger.Path, "/dashboard/sign-in") {
		t.Errorf("a stranger is shown %s", stranger.Path)
	}
}
