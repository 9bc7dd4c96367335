package api_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/idempotency"
)

// TestF16_OneRequestInManySpellings: a key compares what a request says, not its bytes.
func TestF16_OneRequestInManySpellings(t *testing.T) {
	w := newWorld(t)
	paid := w.pay("").ID
	soon := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	for i, c := range []struct {
		path, as, first string
		same, other     []string
	}{
		{"/api/payment", w.key, `{"amount":"12.50","currency":"EUR"}`,
			[]string{`{"currency":"EUR","amount":"12.50"}`, "{\n \"amount\" : \"12.50\" , \"currency\" : \"EUR\" }\n", `{"amount":12.5,"currency":"EUR"}`, `{"amount":"12.5","currency":"EUR"}`,
				`{"amount":"12.500","currency":"EUR"}`, `{"amount":12.50,"currency":"\u0045UR"}`, `{"amount":"12.50","currency":"EUR","maxUses":1}`,
				`{"amount":"12.50","currency":"EUR","capture":"automatic","latePolicy":"accept","expiresInSeconds":86400,"metadata":{},"description":"","reference":"","realm":""}`},
			[]string{`{"amount":"12.51","currency":"EUR"}`, `{"amount":"125.0","currency":"EUR"}`, `{"amount":"12.50","currency":"USD"}`, `{"amount":"12.50","currency":"EUR","maxUses":2}`, `{"amount":"12.50","currency":"EUR","maxUses":null}`,
				`{"amount":"12.50","currency":"EUR","description":" "}`, `{"maxAmount":"12.50","currency":"EUR"}`, `{"amount":"12.50","currency":"EUR","colour":1}`, `{"amount":"12.50"`, `{"amount":"12.50","amount":"12.50","currency":"EUR"}`}},
		{"/api/links", w.key, `{"amount":1,"currency":"EUR","metadata":{"a":"1","b":"2"},"expiresAt":"` + soon.Format(time.RFC3339) + `"}`,
			[]string{`{"expiresAt":"` + soon.Format("2006-01-02T15:04:05.000Z") + `","metadata":{"b":"2","a":"1"},"amount":"1.00","currency":"EUR"}`,
				`{"amount":1,"currency":"EUR","metadata":{"a":"1","b":"2"},"expiresAt":"` + strings.ToLower(soon.Format(time.RFC3339)) + `"}`,
				`{"amount":1,"currency":"EUR","metadata":{"a":"1","b":"2"},"expiresAt":"` + soon.In(time.FixedZone("", 14*3600)).Format(time.RFC3339) + `"}`},
			[]string{`{"amount":1,"currency":"EUR","metadata":{"a":"2","b":"1"},"expiresAt":"` + soon.Format(time.RFC3339) + `"}`, `{"amount":1,"currency":"EUR","metadata":{"a":"1"},"expiresAt":"` + soon.Format(time.RFC3339) + `"}`}},
		{"/api/payments/" + paid + "/refunds", w.key, `{"amount":"1.00"}`, []string{`{"amount":1}`, `{ "amount": "1" }`, `{"amount":1.0}`}, []string{`{}`, ``, `{"amount":"1.01"}`}},
		{"/api/payments/" + w.pay("").ID + "/refunds", w.key, ``, []string{`{}`, ` { } `}, []string{`{"amount":"12.50"}`}},
		{"/api/payments/" + w.pay("").ID + "/refunds", w.key, `{"amount":"5.00","refundableAmount":"12.50","allowDisputed":false}`,
			[]string{`{"refundableAmount":12.5,"amount":"5"}`}, []string{`{"amount":"5.00"}`, `{"amount":"5.00","refundableAmount":"12.51"}`, `{"amount":"5.00","refundableAmount":"12.50","allowDisputed":true}`}},
		{"/api/forms", w.key, `{"name":"f","amounts":["5.00",10],"currency":"EUR"}`, []string{`{"currency":"EUR","amounts":[5,"10.00"],"name":"f","disabled":false}`},
			[]string{`{"name":"f","amounts":[10,5],"currency":"EUR"}`, `{"name":"f","amounts":[5,10],"currency":"EUR","disabled":true}`}},
		{"/api/sessions", "", `{"login":"maria","password":"correct horse battery"}`, []string{`{"password":"correct horse battery","login":"maria"}`}, []string{`{"login":"maria","password":"correct horse  battery"}`}},
	} {
		key := "spelling-" + string(rune('a'+i))
		first := w.do("POST", c.path, c.as, c.first, "Idempotency-Key", key)
		if first.status != 200 {
			t.Errorf("%s %s answered %d: %s", c.path, c.first, first.status, first.body)
			continue
		}
		for _, body := range append([]string{c.first}, c.same...) {
			again := w.do("POST", c.path, c.as, body, "Idempotency-Key", key)
			if string(again.body) != string(first.body) || again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s, first %s\nthen %s\nanswered %d: %s", c.path, c.first, body, again.status, again.body)
			}
		}
		for _, body := range c.other {
			w.refused(w.do("POST", c.path, c.as, body, "Idempotency-Key", key), 422, "idempotency_key_reused", "")
		}
	}
}

// TestRecordsOfTheVersionBefore: their fingerprints are over bytes, so an exact
// repetition is replayed, and nothing else.
func TestRecordsOfTheVersionBefore(t *testing.T) {
	w := newWorld(t)
	const path, body, was = "/api/payment", `{"amount":"12.50","currency":"EUR"}`, `{"object":"link","id":"lnk_then"}`
	p := w.pay("") // to know the account
	record := idempotency.Record{Scope: p.Account + "/test", Key: "before", Status: 402, CreatedAt: time.Now(),
		Fingerprint: w.config.Guard.MAC.Tag([]byte("POST\n" + path + "\n" + body))}
	var err error
	if record.Answer, err = w.config.Guard.Seal([]byte(was), record.Associated()); err != nil {
		t.Fatal(err)
	}
	if err := w.store.PutIdempotency(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	w.check = nil // the answer above is of no API
	again := w.do("POST", path, w.key, body, "Idempotency-Key", "before")
	if again.status != 402 || string(again.body) != was || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("an exact repetition answered %d: %s", again.status, again.body)
	}
	w.refused(w.do("POST", path, w.key, `{"currency":"EUR","amount":"12.50"}`, "Idempotency-Key", "before"), 422, "idempotency_key_reused", "")
}

// TestEveryBodyIsCompared: no POST with a body falls back to comparing bytes.
func TestEveryBodyIsCompared(t *testing.T) {
	for _, call := range api.ComparedByBytes() {
		t.Errorf("%s: its line in the table of routes needs the struct of its body", call)
	}
}

// TestNoNullInsideAValue: null in a list or a map is refused, as it is as a member.
func TestNoNullInsideAValue(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ call, as, body, param string }{
		{"POST /api/payment", w.key, `{"amount":"1","currency":"EUR","metadata":{"k":null}}`, "metadata.k"},
		{"POST /api/payment", w.key, `{"amount":"1","currency":"EUR","metadata":null}`, "metadata"},
		{"POST /api/payment", w.key, `{"amount":null,"currency":"EUR"}`, "amount"},
		{"POST /api/forms", w.key, `{"name":"f","amount":"1","currency":"EUR","origins":["https://shop.example",null]}`, "origins[1]"},
		{"POST /api/forms", w.key, `{"name":"f","amounts":[1,null],"currency":"EUR"}`, "amounts[1]"},
		{"POST /api/forms", w.key, `{"name":"f","amount":"1","currency":"EUR","look":{"accent":null}}`, "look.accent"},
		{"POST /api/api-keys", w.token, `{"name":"k","mode":"test","scopes":["links:read",null]}`, "scopes[1]"},
		{"POST /api/webhook-endpoints", w.key, `{"url":"https://shop.example.com/","events":[null]}`, "events[0]"},
		{"PUT /api/users", w.token, `{"paymentMethods":[{"type":"card","issuer":"simulator","currencies":["EUR",null]}]}`, "paymentMethods[0].currencies[1]"},
		{"PUT /api/users", w.token, `{"paymentMethods":[{"type":"card","issuer":"simulator","currencies":["EUR"],"credentials":{"k":null}}]}`, "paymentMethods[0].credentials.k"},
	} {
		method, path, _ := strings.Cut(c.call, " ")
		w.refused(w.do(method, path, c.as, c.body), 400, "parameter_invalid", c.param)
	}
}

// TestSmallSpellings: what a standard or a habit allows is understood, or refused
// with the way out.
func TestSmallSpellings(t *testing.T) {
	w := newWorld(t)
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	check := w.check
	w.check = nil
	for _, authorization := range []string{"Bearer " + w.key, "bearer " + w.key, "BEARER   " + w.key + " ", "Bearer\t" + w.key,
		basic(w.keyID, w.key), "basic  " + strings.TrimPrefix(basic(w.keyID, w.key), "Basic "),
		strings.TrimRight(basic(w.keyID, w.key), "=")} {
		if a := w.do("GET", "/api/payments", "", "", "Authorization", authorization); a.status != 200 {
			t.Errorf("Authorization: %q answered %d: %s", authorization, a.status, a.body)
		}
	}
	w.check = check
	for authorization, word := range map[string]string{
		"Bearer " + w.keyID + ":" + w.key: "as Basic", "Bearer " + w.keyID: "not its secret",
		basic(w.key, ""): "user name is an API key's secret", "Bearer": "must be Bearer", "Basic !": "must be Bearer",
		"Token x": "must be Bearer",
	} {
		a := w.do("GET", "/api/payments", "", "", "Authorization", authorization)
		if detail, _ := a.json["detail"].(string); a.status != 401 || a.json["code"] != "unauthenticated" || !strings.Contains(detail, word) {
			t.Errorf("Authorization: %q answered %d: %s", authorization, a.status, a.body)
		}
	}
	for _, at := range []string{"2026-11-30T00:00:00%2B14:00", "2026-11-30t00:00:00z", "2026-11-30T00:00:00.5Z"} {
		w.ok("GET", "/api/payments?from="+at, w.key, "")
	}
	a := w.do("GET", "/api/payments?from=2026-11-30T00:00:00+14:00", w.key, "")
	if w.refused(a, 400, "parameter_invalid", "from"); !strings.Contains(string(a.body), "%2B") {
		t.Errorf("no word of %%2B: %s", a.body)
	}
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	w.ok(
		"POST",
		"/api/payment",
		w.key,
		`{"amount":"1","currency":"EUR","expiresAt":"`+strings.ToLower(later)+`","date":"`+strings.ToLower(later)+`"}`,
	)
	w.ok("POST", "/api/api-keys", w.token, `{"name":"k","mode":"test","scopes":["links:read"],"expiresAt":"`+strings.ToLower(later)+`"}`)
	for _, login := range []string{"maria ", " maria@example.com", "\tmaria\n"} {
		w.ok(
			"POST",
			"/api/sessions",
			"",
			`{"login":"`+strings.NewReplacer("\t", `\t`, "\n", `\n`).Replace(login)+`","password":"correct horse battery"}`,
		)
	}
	p := w.pay("")
	w.refused(w.do("POST", "/api/payments/"+p.ID+"/refunds", w.key, `{"amount":"1.005"}`), 400, "amount_too_many_decimals", "amount")
	w.refused(w.do("POST", "/api/payments/"+p.ID+"/refunds", w.key, `{"amount":"10000000000000"}`), 400, "amount_too_large", "amount")
	const body = `{"amount":"1","currency":"EUR"}`
	w.check = nil // the document says one spelling of each
	for _, kind := range []string{"application/json", "Application/JSON", "application/json;charset=utf-8", `application/json; charset="UTF-8"`, "application/json; charset=utf8", "application/json; charset=us-ascii", "application/json;"} {
		if a := w.do("POST", "/api/payment", w.key, body, "Content-Type", kind); a.status != 200 {
			t.Errorf("Content-Type: %s answered %d: %s", kind, a.status, a.body)
		}
	}
	for _, kind := range []string{"application/json; charset=iso-8859-1", "text/json", "application/x-www-form-urlencoded",
		"application/xml"} {
		w.refused(w.do("POST", "/api/payment", w.key, body, "Content-Type", kind), 415, "unsupported_media_type", "")
	}
	w.ok("POST", "/api/payment", w.key, body, "Content-Encoding", "identity")
	w.refused(w.do("POST", "/api/payment", w.key, body, "Content-Encoding", "gzip"), 415, "unsupported_media_type", "")
	w.ok("POST", "/api/payment", w.key, "\ufeff"+body)
	w.ok("POST", "/api/payment", w.key, body, "Expect", "100-continue")
}

// TestBrowsersAlone: a page's script is refused, whatever it sends; a server's own
// client is not.
func TestBrowsersAlone(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		headers []string
		refused bool
	}{
		{nil, false},
		{[]string{"Sec-Fetch-Mode", "cors"}, false}, // Node's fetch
		{[]string{"Sec-Fetch-Mode", "cors", "Accept-Language", "*", "User-Agent", "node"}, false},
		{[]string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, false},
		{[]string{"Origin", "https://shop.example"}, true},
		{[]string{"Origin", "null"}, true},
		{[]string{"Origin", "https://pay.example"}, true},
		{[]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors"}, true},
		{[]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "same-origin"}, true},
		{[]string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, true},
	} {
		a := w.do("GET", "/api/payments", w.key, "", c.headers...)
		if c.refused {
			w.refused(a, 403, "browser_origin_refused", "")
		} else if a.status != 200 {
			t.Errorf("%v answered %d: %s", c.headers, a.status, a.body)
		}
	}
}
