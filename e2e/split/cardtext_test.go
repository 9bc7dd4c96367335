package split

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
)

// TestI15NoCardInText types card numbers where text belongs, through the API, the payment page, a
// form and the dashboard, and then searches everything that the server answered, stored and logged.
func TestI15NoCardInText(t *testing.T) {
	p := harness.Start(t)
	shop := harness.OpenShop(t)
	user, key := p.Merchant(t, "grace")
	shop.Register(key)
	open := key.Link(`"amount":"1.00","maxUses":null`)
	key.PayJSON(open, "attempt-0000000000", harness.CardsUsed[0]) // so that there is something to search
	page, form := harness.TokenPath(t, open), harness.Form(t, key, "https://shop.example", "")

	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	send := func(method, path string, values url.Values, cookie string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(values.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		if values != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if cookie != "" {
			req.AddCookie(&http.Cookie{Name: "paylink", Value: cookie})
		}
		resp, err := browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if method == "POST" && resp.StatusCode < 400 {
			t.Errorf("POST %s with %v is answered %d", path, values, resp.StatusCode)
		}
		said := strings.ReplaceAll(string(body), "4242 4242 4242 4242", "") + resp.Header.Get("Location") // pages in test mode suggest that one
		repeats(t, method+" "+path, said)
	}

	for i, number := range harness.CardsUsed {
		if number == "4242424242424241" { // its check digit is wrong
			continue
		}
		typed := []string{number, number[:4] + " " + number[4:8] + " " + number[8:12] + " " + number[12:],
			number[:4] + "-" + number[4:8] + "-" + number[8:12] + "-" + number[12:]}[i%3]
		attempt := fmt.Sprintf("attempt-%010d", i+1)
		for _, members := range []string{`"description":%q`, `"reference":%q`, `"realm":%q`, `"metadata":{"order":%q}`, `"metadata":{%q:"x"}`,
			`"redirectUrl":"https://shop.example/?c=%s"`, `"surprise":%q`, `%q:1`} {
			body := `{"amount":"1.00","currency":"EUR",` + fmt.Sprintf(members, strings.ReplaceAll(typed, " ", "+")) + `}`
			a := key.Do("POST", "/api/payment", body)
			if a.JSON["code"] != "card_number_in_text" {
				t.Errorf("%s is answered %d %s", body, a.Status, a.Body)
			}
			repeats(t, body, string(a.Body))
		}
		key.Do("POST", "/api/payment", `{"amount":"1.00","currency":"EUR"}`, "Idempotency-Key", typed)
		key.Do("GET", "/api/payments?reference="+url.QueryEscape(typed), "")

		card := url.Values{"attempt": {attempt}, "number": {number}, "exp": {"12/34"}, "cvc": {"7391"}, "name": {"Grace"}}
		for field, value := range map[string]string{"name": "Grace " + typed, "email": number + "@example.com", "exp": typed, "attempt": number} {
			wrong := url.Values{}
			for k, v := range card {
				wrong[k] = v
			}
			wrong.Set(field, value)
			send("POST", page+"/payments", wrong, "")
		}
		send("POST", "/f/"+form, url.Values{"attempt": {"01H455VB4PEX5VSKNK084SN02Q"}, "amount": {"5.00"}, "email": {"a@example.com"},
			"size": {typed}}, "")
		for _, path := range []string{"/verify?link=", page + "?ref=", page + "/status?attempt=", "/dashboard/test/payments?q="} {
			send("GET", path+url.QueryEscape(typed), nil, "")
		}
		send("GET", "/dashboard/test/payments?q="+url.QueryEscape(typed), nil, user.Bearer)
		send("POST", "/dashboard/test/links", url.Values{"attempt": {attempt}, "kind": {"fixed"}, "amount": {"1"}, "currency": {"EUR"},
			"uses": {"once"}, "life": {"86400"}, "capture": {"automatic"}, "latePolicy": {"accept"}, "description": {typed}}, user.Bearer)
		send("POST", "/dashboard/test/fraud/lists", url.Values{"attempt": {attempt}, "kind": {"bin"}, "value": {"424242"}, "action": {"block"},
			"life": {""}, "note": {typed}}, user.Bearer)
		send("POST", "/dashboard/sign-in", url.Values{"login": {typed}, "password": {"x"}}, "")
	}
	shop.Heard("payment.succeeded")
	harness.NoCardAnywhere(t, p, key, shop)
}

// repeats fails the test if an answer has one of the cards in it, as it is or as it was typed.
func repeats(t *testing.T, where, said string) {
	t.Helper()
	digits := strings.NewReplacer(" ", "", "-", "", "+", "").Replace(said)
	for _, number := range harness.CardsUsed {
		if strings.Contains(digits, number) {
			t.Errorf("I15: the answer to %s repeats %s: %s", where, number, said)
		}
	}
}
