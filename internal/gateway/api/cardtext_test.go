package api_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/issuer"
)

// TestI15NoCardWhereTextBelongs: every text that a caller of the API can send is refused with a card
// number in it. The fault names the field, and no answer repeats the number.
func TestI15NoCardWhereTextBelongs(t *testing.T) {
	w := newWorld(t)
	const pan = "ref 4111 1111 1111 1111 thanks"
	paid := w.pay("").ID
	link := func(member string) string { return `{"amount":"12.50","currency":"EUR",` + member + `}` }
	form := func(member string) string { return `{"name":"f","amount":"5.00","currency":"EUR",` + member + `}` }
	for _, c := range []struct{ call, as, body, param string }{
		{"POST /api/payment", w.key, link(`"description":"` + pan + `"`), "description"},
		{"POST /api/payment", w.key, link(`"description":"４１１１１１１１１１１１１１１１"`), "description"},
		{"POST /api/payment", w.key, link(`"description":"\u0034111\u200b1111-1111-1111"`), "description"},
		{"POST /api/payment", w.key, link(`"reference":"` + pan + `"`), "reference"},
		{"POST /api/links", w.key, link(`"realm":"` + pan + `"`), "realm"},
		{"POST /api/links", w.key, link(`"metadata":{"order":"` + pan + `"}`), "metadata.order"},
		{"POST /api/links", w.key, link(`"metadata":{"` + pan + `":"x"}`), "metadata"},
		{"POST /api/links", w.key, link(`"redirectUrl":"https://shop.example/?ref=4111%201111%201111%201111"`), "redirectUrl"},
		{"POST /api/links", w.key, link(`"redirectUrl":"https://shop.example/4111111111111111#x"`), "redirectUrl"},
		{"POST /api/links", w.key, link(`"paymentMethod":"` + pan + `"`), "paymentMethod"},
		{"POST /api/links", w.key, link(`"4111111111111111":"x"`), ""},
		{"POST /api/forms", w.key, `{"name":"` + pan + `","amount":"5.00","currency":"EUR"}`, "name"},
		{"POST /api/forms", w.key, form(`"description":"` + pan + `"`), "description"},
		{"POST /api/forms", w.key, form(`"button":"4111 1111 1111 1111"`), "button"},
		{"POST /api/forms", w.key, form(`"fields":[{"name":"size","label":"` + pan + `"}]`), "fields[0].label"},
		{"POST /api/forms", w.key, form(`"fields":[{"name":"n_4111111111111111","label":"x"}]`), "fields[0].name"},
		{"POST /api/forms", w.key, form(`"origins":["https://4111111111111111.example"]`), "origins[0]"},
		{"POST /api/payments/" + paid + "/refunds", w.key, `{"amount":"` + pan + `"}`, "amount"},
		{"POST /api/payments/" + paid + "/disputes", w.key, `{"reference":"` + pan + `"}`, "reference"},
		{"POST /api/webhook-endpoints", w.key, `{"url":"https://shop.example.com/?k=4111111111111111","events":["*"]}`, "url"},
		{"POST /api/webhook-endpoints", w.key, `{"url":"https://shop.example.com/","events":["4111111111111111"]}`, "events[0]"},
		{"POST /api/api-keys", w.token, `{"name":"` + pan + `","mode":"test","scopes":["links:read"]}`, "name"},
		{"POST /api/api-keys", w.token, `{"name":"k","mode":"test","scopes":["4111111111111111"]}`, "scopes[0]"},
		{"POST /api/users", "", `{"username":"4111111111111111","email":"a@b.example","password":"correct horse battery"}`, "username"},
		{"POST /api/users", "", `{"username":"ada","email":"4111111111111111@b.example","password":"correct horse battery"}`, "email"},
		{"POST /api/sessions", "", `{"login":"4111111111111111","password":"correct horse battery"}`, "login"},
		{"POST /api/payment", w.key, `{"description":"` + pan + `","amount":`, "description"}, // before the JSON breaks off
	} {
		method, path, _ := strings.Cut(c.call, " ")
		a := w.do(method, path, c.as, c.body)
		if w.refused(a, 400, issuer.NumberInText, c.param); issuer.HasNumber(string(a.body)) {
			t.Errorf("%s %s: the answer repeats the number: %s", c.call, c.body, a.body)
		}
	}

	for path, param := range map[string]string{"/api/payments?reference=": "reference", "/api/payments?q=": "q",
		"/api/links?reference=":        "reference",
		"/api/payments.csv?reference=": "reference", "/api/payments?cursor=": "cursor", "/api/events?type=": "type"} {
		a := w.do("GET", path+url.QueryEscape("4111-1111-1111-1111"), w.key, "")
		if w.refused(a, 400, issuer.NumberInText, param); issuer.HasNumber(string(a.body)) {
			t.Errorf("%s: the answer repeats the number: %s", path, a.body)
		}
	}
	w.refused(w.do("GET", "/api/payments?4111111111111111=1", w.key, ""), 400, issuer.NumberInText, "")
	w.refused(w.do("POST", "/api/payment", w.key, link(`"reference":"a"`), "Idempotency-Key", "4111-1111-1111-1111"), 400, issuer.NumberInText,
		"Idempotency-Key")
	// A password is hashed and never shown, so it may be any text: here it is only wrong.
	w.refused(w.do("POST", "/api/sessions", "", `{"login":"maria","password":"4111 1111 1111 1111"}`), 401, "credentials_invalid", "")
}
