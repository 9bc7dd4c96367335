package link_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/store/sqltest"
)

// desk is a Local on a real store.
type desk struct {
	*link.Local
	account string
	now     time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	path := filepath.Join(t.TempDir(), "paylink.db")
	store := sqltest.Open(t, "sqlite:"+path)
	d := &desk{account: id.New(id.Account), now: time.Now()}
	d.Local = link.NewLocal(link.LocalConfig{Ring: keyring.NewMemory(d.now), Store: store, PublicURL: "https://pay.example",
		Now: func() time.Time { return d.now }})
	return d
}

func methods() []link.Method {
	return []link.Method{{ID: "pm_1", Type: "card", Issuer: "simulator", Currencies: []money.Currency{"EUR", "JPY"}, Enabled: true,
		MinMinor: 50, MaxMinor: 1_000_000, Test: true}}
}

func (d *desk) request() link.FormRequest {
	return link.FormRequest{Account: d.account, Mode: link.Test, Payee: "Ada's shop", Methods: methods(), Name: "Tickets",
		Amounts: []string{"5", "10.50"}, Currency: "EUR",
		Fields:  []link.Field{{Name: "email", Required: true}, {Name: "name"}, {Name: "reference"}, {Name: "size", Label: "Size"}},
		Origins: []string{"https://Shop.Example:443/", "http://localhost:4000"}}
}

func TestFormIsChecked(t *testing.T) {
	d := newDesk(t)
	long := int64(0)
	for _, c := range []struct {
		change      func(*link.FormRequest)
		param, code string
	}{
		{func(r *link.FormRequest) { r.Name = " " }, "name", "name_missing"},
		{func(r *link.FormRequest) { r.Name = strings.Repeat("x", 101) }, "name", "too_long"},
		{func(r *link.FormRequest) { r.Amount = "5" }, "amounts", "conflicting_fields"},
		{func(r *link.FormRequest) { r.Amounts = []string{"5"} }, "amounts", "amount_invalid"},
		{func(r *link.FormRequest) { r.Amounts = []string{"5", "5.00"} }, "amounts[1]", "amount_invalid"},
		{func(r *link.FormRequest) { r.Amounts = []string{"5", "0.10"} }, "amounts[1]", "amount_too_small"},
		{func(r *link.FormRequest) { r.Amounts = nil }, "amount", "amount_invalid"},
		{func(r *link.FormRequest) { r.Amounts, r.MinAmount, r.MaxAmount = nil, "9", "8" }, "minAmount", "amount_invalid"},
		{func(r *link.FormRequest) { r.Currency = "USD" }, "currency", "currency_not_enabled"},
		{func(r *link.FormRequest) { r.LinkLifeSeconds = &long }, "linkLifeSeconds", "expiry_invalid"},
		{func(r *link.FormRequest) { r.RedirectURL = "http://shop.example" }, "redirectUrl", "url_invalid"},
		{func(r *link.FormRequest) { r.Fields = append(r.Fields, link.Field{Name: "email"}) }, "fields[4].name", "field_invalid"},
		{func(r *link.FormRequest) { r.Fields = []link.Field{{Name: "<b>", Label: "x"}} }, "fields[0].name", "field_invalid"},
		{func(r *link.FormRequest) { r.Fields = []link.Field{{Name: "form", Label: "x"}} }, "fields[0].name", "field_invalid"},
		{func(r *link.FormRequest) { r.Fields = []link.Field{{Name: "size"}} }, "fields[0].label", "field_invalid"},
		{func(r *link.FormRequest) { r.Look.Accent = "#8fb0ff" }, "look.accent", "contrast_too_low"},
		{func(r *link.FormRequest) { r.Look.AccentDark = "#1f4fd1" }, "look.accentDark", "contrast_too_low"},
		{func(r *link.FormRequest) { r.Look.Accent = "red;}" }, "look.accent", "colour_invalid"},
		{func(r *link.FormRequest) { r.Look.Corners = "wavy" }, "look.corners", "value_invalid"},
		{func(r *link.FormRequest) { r.Capture = "never" }, "capture", "value_invalid"},
	} {
		r := d.request()
		c.change(&r)
		_, err := d.CreateForm(t.Context(), r)
		if f := fault.From(err); f.Param != c.param || f.Code != c.code {
			t.Errorf("want %s %s, have %v", c.param, c.code, err)
		}
	}
	for i := range 6 {
		r := d.request()
		for n := range i {
			r.Fields = append(r.Fields, link.Field{Name: fmt.Sprintf("own_%d", n), Label: "Own"})
		}
		if _, err := d.CreateForm(t.Context(), r); (err == nil) != (i < 5) { // size is the first
			t.Errorf("%d own fields: %v", i+1, err)
		}
	}
}

// TestFormOriginsAreExact: no origin is accepted that means more than one site in a policy.
func TestFormOriginsAreExact(t *testing.T) {
	d := newDesk(t)
	for _, bad := range []string{"", "*", "https://*", "https://*.example.com", "https://a b", "https://a;script-src *",
		"http://shop.example", "https://u:p@shop.example",
		"https://shop.example/path", "https://shop.example?q", "https://shop.example#f", "javascript://x", "data:text/html,x", "null",
		"https://", "https://a..b",
		"https://shop.example:0", "https://shop.example:65536", "https://shop.example:99999", "https://shop.example:", "https://[::1]",
		"https://1.2.3", "https://shop.example.", "https://a'self'", "//shop.example", "ftp://shop.example", "https://-a.example",
		"https://" + strings.Repeat("a", 300) + ".example"} {
		r := d.request()
		r.Origins = []string{bad}
		if _, err := d.CreateForm(t.Context(), r); fault.Code(err) != "origin_invalid" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	f, err := d.CreateForm(t.Context(), d.request())
	if err != nil || !slices.Equal(f.Origins, []string{"https://shop.example", "http://localhost:4000"}) {
		t.Errorf("%v, %v", f.Origins, err)
	}
	// An internationalized host is written as browsers send it, and duplicates are removed.
	r := d.request()
	r.Origins, r.RedirectURL = []string{"https://Bücher.example", "https://xn--bcher-kva.example:443", "https://例え。jp:8443/"},
		"https://Bücher.example/danke?ü#ende"
	f, err = d.CreateForm(t.Context(), r)
	if err != nil || !slices.Equal(f.Origins, []string{"https://xn--bcher-kva.example", "https://xn--r8jz45g.jp:8443"}) ||
		f.RedirectURL != "https://xn--bcher-kva.example/danke?ü#ende" || f.RedirectOrigin() != "https://xn--bcher-kva.example" {
		t.Errorf("%v, %q, %q, %v", f.Origins, f.RedirectURL, f.RedirectOrigin(), err)
	}
	// No origin is no site, never every site.
	r.Origins = []string{}
	if f, err = d.CreateForm(t.Context(), r); err != nil || len(f.Origins) != 0 {
		t.Errorf("no origins: %v, %v", f.Origins, err)
	}
}

func (d *desk) fill(f link.Form, attempt string) link.FormLinkRequest {
	return link.FormLinkRequest{Form: f.ID, Attempt: attempt, Amount: "10.5", Payee: "Ada's shop", Methods: methods(),
		Values: map[string]string{"email": "grace@example.com", "name": "Grace", "reference": "order-7", "size": "M"}}
}

func TestFormMakesOneLinkPerAttempt(t *testing.T) {
	d := newDesk(t)
	f, err := d.CreateForm(t.Context(), d.request())
	if err != nil {
		t.Fatal(err)
	}
	attempt := link.NewAttempt()
	tokens := make([]string, 8)
	var all sync.WaitGroup
	for i := range tokens {
		all.Go(func() {
			k, err := d.FormLink(t.Context(), d.fill(f, attempt))
			if err != nil {
				t.Error(err)
			}
			tokens[i] = k.ID + " " + k.Token
		})
	}
	all.Wait()
	if len(slices.Compact(tokens)) != 1 {
		t.Errorf("a form sent eight times at once made %v", tokens)
	}
	k, err := d.FormLink(t.Context(), d.fill(f, attempt))
	if err != nil {
		t.Fatal(err)
	}
	if k.MaxUses != 1 || k.Amount != money.Of(1050, "EUR") || k.Reference != "order-7" || k.Metadata["size"] != "M" ||
		k.Metadata["form"] != f.ID || k.Form != f.ID ||
		k.Shown.Email != "grace@example.com" || k.Shown.Name != "Grace" || !slices.Equal(k.Shown.Origins, f.Origins) ||
		k.ExpiresAt.Sub(d.now).Round(time.Minute) != time.Hour {
		t.Errorf("made %+v with %+v", k, k.Shown)
	}
	other := d.fill(f, attempt)
	other.Amount = "5"
	if o, err := d.FormLink(t.Context(), other); err != nil || o.ID == k.ID || o.Amount.Minor != 500 {
		t.Errorf("other content under the same attempt: %+v, %v", o, err)
	}
	if opened, err := d.Open(t.Context(), k.Token); err != nil || opened.ID != k.ID {
		t.Errorf("the token opens %+v, %v", opened, err)
	}
	list, err := d.List(t.Context(), link.Filter{Account: d.account, Mode: link.Test})
	if err != nil || len(list) != 2 {
		t.Errorf("%d links, %v", len(list), err)
	}
}

func TestFormRefusesWhatItDoesNotOffer(t *testing.T) {
	d := newDesk(t)
	f, err := d.CreateForm(t.Context(), d.request())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change      func(*link.FormLinkRequest)
		param, code string
	}{
		{func(r *link.FormLinkRequest) { r.Amount = "" }, "amount", "parameter_missing"},
		{func(r *link.FormLinkRequest) { r.Amount = "0.01" }, "amount", "amount_mismatch"},
		{func(r *link.FormLinkRequest) { r.Amount = "1e3" }, "amount", "amount_invalid"},
		{func(r *link.FormLinkRequest) { r.Values["email"] = " " }, "email", "parameter_missing"},
		{func(r *link.FormLinkRequest) { r.Values["size"] = "a\x00b" }, "size", "invalid_characters"},
		{func(r *link.FormLinkRequest) { r.Values["size"] = "4111 1111 1111 1111" }, "size", "card_number_in_text"},
		{func(r *link.FormLinkRequest) { r.Values["email"] = "4111111111111111@a.example" }, "email", "card_number_in_text"},
		{func(r *link.FormLinkRequest) { r.Values["size"] = strings.Repeat("x", 201) }, "size", "too_long"},
		{func(r *link.FormLinkRequest) { r.Values["more"] = "x" }, "fields", "parameter_unknown"},
		{func(r *link.FormLinkRequest) { r.Attempt = "attempt-0123456789" }, "attempt", "attempt_invalid"},
		{func(r *link.FormLinkRequest) { r.Methods[0].Enabled = false }, "paymentMethod", "payment_method_unavailable"},
		{func(r *link.FormLinkRequest) { r.Form = id.New(id.Form) }, "", "not_found"},
	} {
		r := d.fill(f, link.NewAttempt())
		c.change(&r)
		_, err := d.FormLink(t.Context(), r)
		if got := fault.From(err); got.Param != c.param || got.Code != c.code {
			t.Errorf("want %s %s, have %v", c.param, c.code, err)
		}
	}
	attempt := link.NewAttempt()
	d.now = d.now.Add(link.FormAttemptLife + time.Minute)
	if _, err := d.FormLink(t.Context(), d.fill(f, attempt)); fault.Code(err) != "attempt_invalid" {
		t.Errorf("a page of yesterday: %v", err)
	}
}

func TestFormChangesAndEnds(t *testing.T) {
	d := newDesk(t)
	f, err := d.CreateForm(t.Context(), d.request())
	if err != nil {
		t.Fatal(err)
	}
	r := d.request()
	r.Amounts, r.MinAmount, r.MaxAmount, r.Disabled = nil, "2", "50", true
	f, err = d.UpdateForm(t.Context(), f.ID, 1, r)
	if err != nil || f.Revision != 2 || !f.Typed() || f.MinMinor != 200 || f.Status() != link.FormDisabled {
		t.Fatalf("%+v, %v", f, err)
	}
	if _, err := d.UpdateForm(t.Context(), f.ID, 1, r); fault.Code(err) != "changed_meanwhile" {
		t.Errorf("a stale revision: %v", err)
	}
	if _, err := d.FormLink(t.Context(), d.fill(f, link.NewAttempt())); fault.Code(err) != "form_inactive" {
		t.Errorf("a disabled form: %v", err)
	}
	r.Account = id.New(id.Account)
	if _, err := d.UpdateForm(t.Context(), f.ID, 0, r); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("another account's form: %v", err)
	}
	if _, err := d.GetForm(t.Context(), d.account, link.Live, f.ID); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("another mode's form: %v", err)
	}
	for range 2 {
		if f, err = d.ArchiveForm(t.Context(), d.account, link.Test, f.ID); err != nil || f.Status() != link.FormArchived || f.Revision != 3 {
			t.Fatalf("%+v, %v", f, err)
		}
	}
	if _, err := d.UpdateForm(t.Context(), f.ID, 0, d.request()); fault.Code(err) != "form_archived" {
		t.Errorf("changing an archived form: %v", err)
	}
}

// TestLookKeepsContrast: every accepted accent can be read in both themes, and so can the text
// on it.
func TestLookKeepsContrast(t *testing.T) {
	passed := 0
	for r := 0; r < 256; r += 17 {
		for g := 0; g < 256; g += 17 {
			for b := 0; b < 256; b += 17 {
				l, err := link.Look{Accent: fmt.Sprintf("#%02x%02x%02x", r, g, b)}.Checked()
				if err != nil {
					continue
				}
				passed++
				for accent, grounds := range map[string][]string{l.Accent: link.LightGrounds, l.AccentDark: link.DarkGrounds} {
					if c := link.Contrast(accent, grounds...); c < 4.5 {
						t.Errorf("%s has %.2f", accent, c)
					}
					if c := link.Contrast(accent, link.On(accent)); c < 4.5 {
						t.Errorf("text on %s has %.2f", accent, c)
					}
				}
			}
		}
	}
	if passed < 500 {
		t.Errorf("only %d colours pass", passed)
	}
	if l, err := (link.Look{}).Checked(); err != nil || l.Accent != link.DefaultAccent || l.Corners != link.CornersRound {
		t.Errorf("the default: %+v, %v", l, err)
	}
}
