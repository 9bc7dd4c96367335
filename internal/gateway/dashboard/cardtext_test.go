package dashboard_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/link"
)

const typedNumber = "ref 4111 1111 1111 1111"

// repeats reports whether a text has the number of these tests in it. A page has other digits: those
// of ids, and of pictures.
func repeats(s string) bool { return oneNumber.MatchString(s) }

var oneNumber = regexp.MustCompile(`1111[^0-9]{0,3}1111|١١١١`)

// TestI15NoCardInAnAddress: whatever page gets a card number in its query, it does not repeat the
// number: not in a field, a link, or the address that it leads to.
func TestI15NoCardInAnAddress(t *testing.T) {
	w := desktest.New(t)
	for path, address := range everyPage(w) {
		more := "?"
		if strings.Contains(address, "?") {
			more = "&"
		}
		for _, query := range []string{"q=" + url.QueryEscape(typedNumber), "reference=٤١١١-١١١١-١١١١-١١١١", "4111111111111111=1"} {
			p := w.Do(w.Client, http.MethodGet, address+more+query, nil)
			if p.Status != http.StatusBadRequest || repeats(p.Body) {
				t.Errorf("%s with %s answers %d: %s", path, query, p.Status, p.Body)
			}
			p.Has(t, "This contains a card number.")
		}
	}
	for _, to := range []string{"/dashboard/test/payments?q=" + url.QueryEscape(typedNumber),
		"/dashboard/sign-in?next=" + url.QueryEscape("/dashboard/test/payments?q=4111111111111111"), "/dashboard/forgotten?x=4111111111111111"} {
		p := w.Do(w.Stranger(), http.MethodGet, to, nil)
		at, _, _ := strings.Cut(p.Path, "x=") // what the test itself asked for
		if repeats(at) && strings.HasPrefix(to, "/dashboard/test") || repeats(p.Body) {
			t.Errorf("%s leads to %s: %s", to, p.Path, p.Body)
		}
	}
}

// TestI15NoCardInAForm: a form of the dashboard with a card number in one of its texts is refused
// with a word about it, and comes back with that field emptied and the others filled in.
func TestI15NoCardInAForm(t *testing.T) {
	w := desktest.New(t)
	const test = "/dashboard/test"
	paid := w.Paid()
	aLink := url.Values{"kind": {"fixed"}, "amount": {"49"}, "currency": {"EUR"}, "description": {"A chair"},
		"uses": {"once"}, "life": {"86400"},
		"capture": {"automatic"}, "latePolicy": {"accept"}}
	list := url.Values{"kind": {"bin"}, "value": {"424242"}, "action": {"allow"}, "life": {""}}
	rule := url.Values{"name": {"A chair"}, "action": {"review"}, "when": {"amount > 100"}, "state": {"off"}, "do": {"save"}}
	for _, c := range []struct {
		page, post, field, typed string
		form                     url.Values
		kept                     string // of another field
	}{
		{test + "/links/new", test + "/links", "description", "", aLink, "49"},
		{test + "/links/new", test + "/links", "reference", "", aLink, "A chair"},
		{test + "/links/new", test + "/links", "realm", "", aLink, "A chair"},
		{test + "/links/new", test + "/links", "metadata", "order = 4111 1111 1111 1111", aLink, "A chair"},
		{test + "/links/new", test + "/links", "metadata", "4111 1111 1111 1111 = order", aLink, "A chair"},
		{test + "/links/new", test + "/links", "redirectUrl", "https://shop.example/?c=4111%201111%201111%201111", aLink, "A chair"},
		{test + "/links/new", test + "/links", "amount", "4111111111111111", aLink, "A chair"},
		{test + "/forms/new", test + "/forms", "name", "", desktest.Tickets(), "T-shirt size"},
		{test + "/forms/new", test + "/forms", "description", "", desktest.Tickets(), "T-shirt size"},
		{test + "/forms/new", test + "/forms", "own-0", "", desktest.Tickets(), "Tickets"},
		{test + "/forms/new", test + "/forms", "button", "4111 1111 1111 1111", desktest.Tickets(), "Tickets"},
		{test + "/keys/new", test + "/keys", "name", "", url.Values{"scopes": {"links:read"}, "expires": {"30"}}, ""},
		{test + "/webhooks/new", test + "/webhooks", "url", "https://shop.example/?c=4111111111111111", url.Values{"which": {"every"}}, ""},
		{test + "/fraud/lists/new", test + "/fraud/lists", "note", "", list, "424242"},
		{test + "/fraud/lists/new", test + "/fraud/lists", "value", "4111 1111 1111 1111", list, ""},
		{test + "/fraud/rules/new", test + "/fraud/rules", "name", "", rule, "amount &gt; 100"},
		{test + "/fraud/rules/new", test + "/fraud/rules", "when", `payer.email == "4111111111111111@a.example"`, rule, "A chair"},
		{test + "/payments/" + paid.ID + "/disputes", test + "/payments/" + paid.ID + "/disputes", "reference", "",
			url.Values{"reason": {"fraudulent"}, "amount": {"1.00"}, "evidenceDueAt": {"2099-01-31"}}, "2099-01-31"},
	} {
		form := url.Values{}
		for k, v := range c.form {
			form[k] = v
		}
		if c.typed == "" {
			c.typed = typedNumber
		}
		form.Set(c.field, c.typed)
		form.Set("attempt", w.Attempt(w.Get(c.page)))
		p := w.Post(c.post, form)
		if p.Status < 400 || repeats(p.Body) || repeats(p.Path) {
			t.Errorf("%s, %s: answered %d at %s: %s", c.post, c.field, p.Status, p.Path, p.Body)
			continue
		}
		if p.Has(t, `role="alert"`, c.kept); c.field != "amount" {
			p.Has(t, "This contains a card number.")
		}
	}
	all, err := w.Links.List(t.Context(), link.Filter{Account: w.Account, Mode: link.Test, Limit: 10})
	if err != nil || len(all) != 1 { // that of the payment
		t.Errorf("%d links, %v", len(all), err)
	}

	// Without a session: signing in and up, and the attempt ids of forms.
	for path, form := range map[string]url.Values{
		"/dashboard/sign-in":   {"login": {"4111 1111 1111 1111"}, "password": {"x"}},
		"/dashboard/sign-up":   {"username": {"4111111111111111"}, "email": {"ada@b.example"}, "password": {"correct horse battery"}},
		"/dashboard/forgotten": {"email": {"4111111111111111@b.example"}},
	} {
		if p := w.Do(w.Stranger(), http.MethodPost, path, form); p.Status < 400 || repeats(p.Body) {
			t.Errorf("%s answered %d: %s", path, p.Status, p.Body)
		}
	}
	for path, form := range map[string]url.Values{ // pages that a script asks for while somebody types
		test + "/links/preview":     {"kind": {"fixed"}, "amount": {"49"}, "currency": {"EUR"}, "description": {typedNumber}},
		test + "/fraud/rules/check": {"when": {`payer.email == "4111111111111111@a.example" &&`}},
	} {
		if p := w.Post(path, form, "HX-Request", "true"); repeats(p.Body) {
			t.Errorf("%s answered %d: %s", path, p.Status, p.Body)
		}
	}
	form := url.Values{"name": {"k"}, "scopes": {"links:read"}, "expires": {"30"}, "attempt": {"4111-1111-1111-1111"}}
	if p := w.Post(test+"/keys", form); p.Status < 400 || repeats(p.Body) {
		t.Errorf("an attempt answered %d: %s", p.Status, p.Body)
	}
}
