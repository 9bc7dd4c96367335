package pages_test

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/gateway/pages"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/receipt"
	"github.com/paylink/paylink/internal/store/sqltest"
)

const site = "https://pay.example.com"

// shop is the real services behind the pages, with one merchant.
type shop struct {
	*link.Local
	t       *testing.T
	account string
	methods []link.Method
	ring    *keyring.Ring
	mux     *http.ServeMux
	now     time.Time
}

func openShop(t *testing.T) *shop {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "paylink.db")
	store := sqltest.Open(t, "sqlite:"+path)
	s := &shop{t: t, account: id.New(id.Account), now: time.Now(), mux: http.NewServeMux()}
	now := func() time.Time { return s.now }
	sim, err := simulator.New(simulator.Config{BookPath: filepath.Join(dir, "book"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	s.ring = keyring.NewMemory(s.now)
	s.Local = link.NewLocal(link.LocalConfig{Ring: s.ring, Store: store, PublicURL: site, Now: now})
	can := sim.Capabilities()
	s.methods = []link.Method{
		{
			ID:         "pm_1",
			Type:       "card",
			Issuer:     sim.Name(),
			Currencies: can.Currencies,
			Enabled:    true,
			MinMinor:   can.MinMinor,
			MaxMinor:   can.MaxMinor,
			Test:       true,
		},
	}
	c := coordinator.New(coordinator.Config{Payments: store, Links: store, Connectors: []issuer.Connector{sim}, LinkURL: s.URL, Now: now,
		Log: slog.New(slog.DiscardHandler), Ring: s.ring, PublicURL: site})
	p, err := pages.New(
		pages.Config{
			Links:     s.Local,
			Payments:  c,
			Forms:     s,
			Receipt:   c.Receipt,
			Receipts:  s.ring,
			Now:       now,
			Log:       slog.New(slog.DiscardHandler),
			PublicURL: site,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	p.Register(s.mux)
	s.mux.Handle("/", p.NotFound())
	return s
}

func (s *shop) Fill(ctx context.Context, _ link.Form, r link.FormLinkRequest) (link.Link, error) {
	r.Payee, r.Methods = "Ada's shop", s.methods
	return s.FormLink(ctx, r)
}

func (s *shop) make(change func(*link.FormRequest)) link.Form {
	s.t.Helper()
	r := link.FormRequest{
		Account:     s.account,
		Mode:        link.Test,
		Payee:       "Ada's shop",
		Methods:     s.methods,
		Name:        "Tickets",
		Amounts:     []string{"5", "12.50"},
		Currency:    "EUR",
		Fields:      []link.Field{{Name: "email", Required: true}, {Name: "size", Label: "Size"}},
		Origins:     []string{"https://shop.example", "https://www.shop.example"},
		RedirectURL: "https://shop.example/thanks?x=1",
	}
	if change != nil {
		change(&r)
	}
	f, err := s.CreateForm(s.t.Context(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (s *shop) do(method, target string, form url.Values, header ...string) reply {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, target, strings.NewReader(form.Encode()))
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	s.mux.ServeHTTP(rec, r)
	b, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{rec.Code, rec.Header(), string(b)}
}

var attemptPattern = regexp.MustCompile(`name="attempt" value="([^"]+)"`)

func (s *shop) attempt(f link.Form) string {
	s.t.Helper()
	page := s.do("GET", "/f/"+f.ID, nil)
	found := attemptPattern.FindStringSubmatch(page.body)
	if page.status != 200 || found == nil {
		s.t.Fatalf("the form's page is %d: %s", page.status, page.body)
	}
	return found[1]
}

// TestFormAddressesWithThingsAroundThem: a form is found by its address with the end of
// a sentence; what is not ours is not found.
func TestFormAddressesWithThingsAroundThem(t *testing.T) {
	s := openShop(t)
	f := s.make(nil)
	for _, around := range []string{".", ")", "/", "%20", ").", "%E2%80%8B", ",?x=1", "%0A", "_"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if got := s.do(method, "/f/"+f.ID+around, nil); got.status != http.StatusSeeOther || got.header.Get("Location") != "/f/"+f.ID {
				t.Errorf("%s /f/ID%s: %d %q", method, around, got.status, got.header.Get("Location"))
			}
		}
	}
	for _, target := range []string{"/f/frm_1.", "/f/frm_1/", "/f/", "/f/" + f.ID + "/x", "/f/" + f.ID + "x"} {
		if got := s.do("GET", target, nil); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", target, got.status)
		}
	}
	if got := s.do("POST", "/f/"+f.ID+".", filled(s.attempt(f))); got.status != http.StatusNotFound {
		t.Errorf("a form sent to an id with a full stop: %d", got.status)
	}
}

func filled(attempt string) url.Values {
	return url.Values{"attempt": {attempt}, "amount": {"12.50"}, "email": {"grace@example.com"}, "size": {"M"}}
}

func ancestors(r reply) string {
	_, after, _ := strings.Cut(r.header.Get("Content-Security-Policy"), "frame-ancestors ")
	list, _, _ := strings.Cut(after, ";")
	return list
}

// TestFormGoesOnToThePayment: a form, its link and the payment's page are framed by
// the form's origins and nobody else; the card's page knows what was typed; what
// comes back is signed.
func TestFormGoesOnToThePayment(t *testing.T) {
	s := openShop(t)
	f := s.make(nil)
	const origins = "https://shop.example https://www.shop.example"
	page := s.do("GET", "/f/"+f.ID, nil)
	if ancestors(page) != origins || page.header.Get("X-Frame-Options") != "" ||
		strings.Contains(page.header.Get("Content-Security-Policy"), "unsafe") {
		t.Errorf("the form's page: %v", page.header)
	}
	values := filled(s.attempt(f))
	sent := s.do("POST", "/f/"+f.ID, values)
	to := sent.header.Get("Location")
	if sent.status != 303 || !strings.HasPrefix(to, "/l/") {
		t.Fatalf("filled in: %d to %q: %s", sent.status, to, sent.body)
	}
	for range 3 { // a double click, a reload
		if again := s.do("POST", "/f/"+f.ID, values).header.Get("Location"); again != to {
			t.Errorf("sent again it leads to %q", again)
		}
	}
	pay := s.do("GET", to, nil)
	if pay.status != 200 || ancestors(pay) != origins || !strings.Contains(pay.body, `value="grace@example.com"`) ||
		!strings.Contains(pay.body, "/assets/look/1f4fd1-8fb0ff-round.css") {
		t.Errorf("the card's page %d %s: %s", pay.status, ancestors(pay), pay.body)
	}
	card := url.Values{
		"attempt": attemptPattern.FindStringSubmatch(pay.body)[1:2],
		"number":  {"4242424242424242"},
		"exp":     {"12/40"},
		"cvc":     {"123"},
		"email":   {"grace@example.com"},
	}
	done := s.do("POST", to+"/payments", card)
	status := s.do("GET", done.header.Get("Location"), nil)
	if done.status != 303 || ancestors(status) != origins || !strings.Contains(status.body, `target="_top"`) {
		t.Fatalf("paid: %d, then %d %s: %s", done.status, status.status, ancestors(status), status.body)
	}
	s.holdResult(f, status.body)
	if again := s.do("POST", "/f/"+f.ID, values).header.Get("Location"); again != to {
		t.Errorf("sent again after the payment it leads to %q", again)
	}
	if after := s.do("GET", to, nil); strings.Contains(after.body, `name="number"`) || !strings.Contains(after.body, "Payment received") {
		t.Errorf("a link that was paid asks again: %s", after.body)
	}
}

func (s *shop) holdResult(f link.Form, body string) {
	s.t.Helper()
	found := regexp.MustCompile(`data-redirect="([^"]+)"`).FindStringSubmatch(body)
	if found == nil {
		s.t.Fatalf("no way back: %s", body)
	}
	back, err := url.Parse(html.UnescapeString(found[1]))
	if err != nil {
		s.t.Fatal(err)
	}
	keys, err := keyring.ParseJWKS(s.ring.JWKS())
	if err != nil {
		s.t.Fatal(err)
	}
	said, err := receipt.Verify(keys, back.Query().Get("paylink_result"))
	if err != nil || said.Form != f.ID || said.Audience != "https://shop.example" || said.Status != "succeeded" || said.Amount.Minor != 1250 ||
		!id.Valid(id.Payment, said.Payment) {
		s.t.Errorf("the result says %+v, %v", said, err)
	}
	if back.Host != "shop.example" || back.Query().Get("x") != "1" {
		s.t.Errorf("the way back is %s", back)
	}
}

// A site that is not an origin of the form cannot frame it, and nothing in the request
// changes that.
func TestFormIsFramedByItsOriginsAlone(t *testing.T) {
	s := openShop(t)
	alone := s.make(func(r *link.FormRequest) { r.Origins = nil })
	evil := []string{"Origin", "https://evil.example", "Referer", "https://evil.example/", "Sec-Fetch-Dest", "iframe"}
	for _, path := range []string{"/f/" + alone.ID, "/f/" + id.New(id.Form), "/f/x", "/verify", "/", "/l/abc"} {
		page := s.do("GET", path+"?origin=https://evil.example", nil, evil...)
		if ancestors(page) != "'none'" || page.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s may be framed by %q, %q", path, ancestors(page), page.header.Get("X-Frame-Options"))
		}
	}
	f := s.make(nil)
	if page := s.do("GET", "/f/"+f.ID, nil, evil...); strings.Contains(ancestors(page), "evil") {
		t.Errorf("framed by %q", ancestors(page))
	}
	sent := s.do("POST", "/f/"+f.ID, filled(s.attempt(f)), "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	if sent.status != 403 {
		t.Errorf("a form that another site sends: %d", sent.status)
	}
}

func TestFormCorrections(t *testing.T) {
	s := openShop(t)
	f := s.make(nil)
	for _, c := range []struct {
		change func(url.Values)
		wants  []string
	}{
		{func(v url.Values) { v.Del("email"); v.Del("amount") }, []string{"Choose the amount", "Email is required", `href="#f-email"`, `aria-invalid="true"`}},
		{func(v url.Values) { v.Set("email", "nobody") }, []string{"name@example.com", `value="nobody"`}},
		{func(v url.Values) { v.Set("amount", "1.00") }, []string{"Choose the amount"}},
		{func(v url.Values) { v.Set("attempt", "attempt-0123456789") }, []string{"open for a long time"}},
		{func(v url.Values) { v.Set("size", `"><script>alert(1)</script>`+strings.Repeat("x", 200)) }, []string{"too long", "&lt;script&gt;"}},
	} {
		values := filled(s.attempt(f))
		c.change(values)
		page := s.do("POST", "/f/"+f.ID, values)
		if page.status != 400 || !strings.HasPrefix(ancestors(page), "https://shop.example") {
			t.Errorf("%v answered %d", values, page.status)
		}
		for _, want := range c.wants {
			if !strings.Contains(page.body, want) {
				t.Errorf("%v lacks %q", values, want)
			}
		}
		if strings.Contains(page.body, "<script>alert") {
			t.Error("what was typed is not escaped")
		}
	}
	german := s.do("POST", "/f/"+f.ID+"?lang=de", url.Values{"attempt": {link.NewAttempt()}})
	if !strings.Contains(german.body, "Wählen Sie den Betrag.") || !strings.Contains(german.body, "/f/"+f.ID+"?lang=de") {
		t.Errorf("in German: %s", german.body)
	}
}

// TestI15NoCardInAFormsField: a card number in a field of a merchant's form is refused and not shown
// again, in every field; the other fields stay.
func TestI15NoCardInAFormsField(t *testing.T) {
	s := openShop(t)
	f := s.make(nil)
	for _, c := range []struct{ field, typed, kept string }{
		{"size", "M 4111 1111 1111 1111", `value="ada@example.com"`}, {"size", "٤١١١-١١١١-١١١١-١١١١", `value="ada@example.com"`},
		{"email", "4111111111111111@example.com", `value="M"`}, {"amount", "4111111111111111", `value="M"`},
	} {
		values := filled(s.attempt(f))
		values.Set("email", "ada@example.com")
		values.Set("size", "M")
		values.Set(c.field, c.typed)
		page := s.do("POST", "/f/"+f.ID, values)
		if page.status != 400 || issuer.HasNumber(page.body) || !strings.Contains(page.body, c.kept) {
			t.Errorf("%s %q answered %d: %s", c.field, c.typed, page.status, page.body)
		}
		if c.field != "amount" && !strings.Contains(page.body, "Leave out the card number here.") {
			t.Errorf("%s %q is not explained: %s", c.field, c.typed, page.body)
		}
	}
}

func TestFormThatIsNotActive(t *testing.T) {
	s := openShop(t)
	f := s.make(func(r *link.FormRequest) { r.Disabled = true })
	for _, page := range []reply{s.do("GET", "/f/"+f.ID, nil), s.do("POST", "/f/"+f.ID, filled(link.NewAttempt()))} {
		if page.status != 410 || !strings.Contains(page.body, "This form is not active") {
			t.Errorf("%d: %s", page.status, page.body)
		}
	}
	f = s.make(nil)
	attempt := s.attempt(f)
	s.methods[0].Enabled = false
	if page := s.do("POST", "/f/"+f.ID, filled(attempt)); page.status != 410 {
		t.Errorf("without a payment method: %d", page.status)
	}
}

// A form is filled in so often and no more; others are not held up by it.
func TestFormRateIsBounded(t *testing.T) {
	s := openShop(t)
	f, other := s.make(nil), s.make(nil)
	refused := 0
	for range 120 {
		if s.do("POST", "/f/"+f.ID, url.Values{"attempt": {"x"}}).status == 429 {
			refused++
		}
	}
	if refused != 20 {
		t.Errorf("%d of 120 were refused", refused)
	}
	last := s.do("POST", "/f/"+f.ID, filled(link.NewAttempt()))
	if last.status != 429 || last.header.Get("Retry-After") != "1" {
		t.Errorf("%d, Retry-After %q", last.status, last.header.Get("Retry-After"))
	}
	if s.do("POST", "/f/"+other.ID, filled(s.attempt(other))).status != 303 {
		t.Error("another form is held up")
	}
	s.now = s.now.Add(time.Second)
	if s.do("POST", "/f/"+f.ID, filled(s.attempt(f))).status != 303 {
		t.Error("a second later it is still refused")
	}
}

func TestLookIsServedAsItKeepsContrast(t *testing.T) {
	s := openShop(t)
	good := s.do("GET", "/assets/look/0b6e4f-6fd8a0-soft.css", nil)
	if good.status != 200 || !strings.Contains(good.body, "--accent:#0b6e4f") ||
		!strings.Contains(good.header.Get("Cache-Control"), "immutable") {
		t.Errorf("%d %s", good.status, good.body)
	}
	for _, bad := range []string{"ffff00-6fd8a0-soft.css", "0b6e4f-6fd8a0-wavy.css", "0b6e4f-6fd8a0-soft", "x", "0b6e4f-111111-soft.css",
		"red}-6fd8a0-soft.css"} {
		if got := s.do("GET", "/assets/look/"+url.PathEscape(bad), nil); got.status != 404 {
			t.Errorf("%s: %d", bad, got.status)
		}
	}
}

// The versions of the script are what was given out, byte for byte: a merchant's
// page names the hash. After a release, a change is a new file and a new line.
func TestEmbedVersionsNeverChange(t *testing.T) {
	s := openShop(t)
	raw, err := os.ReadFile("assets/embed/versions.txt")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("assets/embed/*.js")
	if err != nil {
		t.Fatal(err)
	}
	given := strings.Fields(string(raw))
	if len(given) != 2*len(files) {
		t.Fatalf("%d versions are listed, %d are there", len(given)/2, len(files))
	}
	for i := 0; i < len(given); i += 2 {
		body, err := os.ReadFile(filepath.Join("assets/embed", given[i]))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha512.Sum384(body)
		if got := "sha384-" + base64.StdEncoding.EncodeToString(sum[:]); got != given[i+1] {
			t.Errorf("%s is %s, and was given out as %s", given[i], got, given[i+1])
		}
	}
	src, integrity := pages.Embed(site)
	if integrity != given[len(given)-1] {
		t.Errorf("the snippet names %s", integrity)
	}
	for path, cache := range map[string]string{strings.TrimPrefix(src, site): "immutable", "/embed.js": "max-age=300"} {
		got := s.do("GET", path, nil)
		sum := sha512.Sum384([]byte(got.body))
		if "sha384-"+base64.StdEncoding.EncodeToString(sum[:]) != integrity || got.header.Get("Access-Control-Allow-Origin") != "*" ||
			!strings.Contains(got.header.Get("Cache-Control"), cache) || got.header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
			t.Errorf("%s: %v", path, got.header)
		}
	}
	if got := s.do("GET", "/embed.js?v=000000000000", nil); got.status != 404 {
		t.Errorf("an unknown version: %d", got.status)
	}
}
