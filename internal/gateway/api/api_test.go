package api_test

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/id"
)

// TestBadValues holds every field of every body to its rule.
func TestBadValues(t *testing.T) {
	w := newWorld(t)
	paid := w.pay("").ID
	hook := w.ok("POST", "/api/webhook-endpoints", w.key, `{"url":"https://shop.example.com/hooks","events":["payment.succeeded"]}`)["id"].(string)
	link := func(member string) string { return `{"amount":"1","currency":"EUR",` + member + `}` }
	user := func(member string) string {
		return `{"username":"otto","email":"otto@example.com","password":"twelve characters",` + member + `}`
	}
	key := func(member string) string { return `{"name":"k","mode":"test","scopes":["links:read"],` + member + `}` }
	method := func(m string) string { return `{"paymentMethods":[` + m + `]}` }
	rows := []struct {
		call, as, body string
		code, param    string
	}{
		{"POST /api/payment", "key", ``, "json_invalid", ""},
		{"POST /api/payment", "key", `{`, "json_invalid", ""},
		{"POST /api/payment", "key", `[]`, "json_invalid", ""},
		{"POST /api/payment", "key", `null`, "json_invalid", ""},
		{"POST /api/payment", "key", `{} {}`, "json_invalid", ""},
		{"POST /api/payment", "key", "{\"realm\":\"\xff\"}", "json_invalid", ""},
		{"POST /api/payment", "key", `{}`, "parameter_missing", "amount"},
		{"POST /api/payment", "key", `{"amount":"1"}`, "parameter_missing", "currency"},
		{"POST /api/payment", "key", `{"minAmount":"1","currency":"EUR"}`, "parameter_missing", "maxAmount"},
		{"POST /api/payment", "key", `{"amount":true,"currency":"EUR"}`, "parameter_invalid", "amount"},
		{"POST /api/payment", "key", `{"amount":null,"currency":"EUR"}`, "parameter_invalid", "amount"},
		{"POST /api/payment", "key", `{"amount":1e2,"currency":"EUR"}`, "amount_invalid", "amount"},
		{"POST /api/payment", "key", `{"amount":-1,"currency":"EUR"}`, "amount_invalid", "amount"},
		{"POST /api/payment", "key", `{"amount":"","currency":"EUR"}`, "amount_invalid", "amount"},
		{"POST /api/payment", "key", `{"amount":0,"currency":"EUR"}`, "amount_too_small", "amount"},
		{"POST /api/payment", "key", `{"amount":1.005,"currency":"EUR"}`, "amount_too_many_decimals", "amount"},
		{"POST /api/payment", "key", `{"amount":"99999999999999","currency":"EUR"}`, "amount_too_large", "amount"},
		{"POST /api/payment", "key", `{"amount":"1","currency":"eur"}`, "currency_invalid", "currency"},
		{"POST /api/payment", "key", `{"amount":"1","currency":5}`, "parameter_invalid", "currency"},
		{"POST /api/payment", "key", `{"amount":"1","amount":"1","currency":"EUR"}`, "parameter_duplicate", "amount"},
		{"POST /api/payment", "key", link(`"colour":1`), "parameter_unknown", "colour"},
		{"POST /api/payment", "key", link(`"Realm":"x"`), "parameter_unknown", "Realm"},
		{"POST /api/payment", "key", link(`"date":"soon"`), "date_invalid", "date"},
		{"POST /api/payment", "key", link(`"date":""`), "parameter_invalid", "date"},
		{"POST /api/payment", "key", link(`"paymentMethod":"cash"`), "payment_method_unknown", "paymentMethod"},
		{"POST /api/payment", "key", link(`"realm":5`), "parameter_invalid", "realm"},
		{"POST /api/payment", "key", link(`"realm":null`), "parameter_invalid", "realm"},
		{"POST /api/payment", "key", link(`"description":[]`), "parameter_invalid", "description"},
		{"POST /api/payment", "key", link(`"reference":{}`), "parameter_invalid", "reference"},
		{"POST /api/payment", "key", link(`"metadata":[]`), "parameter_invalid", "metadata"},
		{"POST /api/payment", "key", link(`"metadata":{"a":1}`), "parameter_invalid", "metadata.a"},
		{"POST /api/payment", "key", link(`"metadata":{"a":"1","a":"2"}`), "parameter_duplicate", "metadata.a"},
		{"POST /api/payment", "key", link(`"expiresAt":"tomorrow"`), "expiry_invalid", "expiresAt"},
		{"POST /api/payment", "key", link(`"expiresInSeconds":59`), "expiry_invalid", "expiresInSeconds"},
		{"POST /api/payment", "key", link(`"expiresInSeconds":"60"`), "parameter_invalid", "expiresInSeconds"},
		{"POST /api/payment", "key", link(`"expiresInSeconds":60.5`), "parameter_invalid", "expiresInSeconds"},
		{"POST /api/payment", "key", link(`"maxUses":0`), "max_uses_invalid", "maxUses"},
		{"POST /api/payment", "key", link(`"maxUses":"1"`), "parameter_invalid", "maxUses"},
		{"POST /api/payment", "key", link(`"minAmount":"1"`), "conflicting_fields", "minAmount"},
		{"POST /api/payment", "key", link(`"maxAmount":[]`), "parameter_invalid", "maxAmount"},
		{"POST /api/payment", "key", link(`"redirectUrl":"javascript:alert(1)"`), "url_invalid", "redirectUrl"},
		{"POST /api/payment", "key", link(`"capture":"later"`), "value_invalid", "capture"},
		{"POST /api/payment", "key", link(`"latePolicy":"shrug"`), "value_invalid", "latePolicy"},
		{"POST /api/users", "", `{}`, "parameter_missing", "username"},
		{"POST /api/users", "", `{"username":"otto"}`, "parameter_missing", "email"},
		{"POST /api/users", "", `{"username":"otto","email":"o@example.com"}`, "parameter_missing", "password"},
		{"POST /api/users", "", user(`"admin":true`), "parameter_unknown", "admin"},
		{"POST /api/users", "", user(`"date":"x"`), "date_invalid", "date"},
		{"POST /api/users", "", `{"username":1,"email":"o@example.com","password":"twelve characters"}`, "parameter_invalid", "username"},
		{"POST /api/users", "", `{"username":"otto","email":"nowhere","password":"twelve characters"}`, "email_invalid", "email"},
		{"POST /api/users", "", `{"username":"otto","email":"o@example.com","password":"short"}`, "password_too_short", "password"},
		{"POST /api/sessions", "", `{}`, "parameter_missing", "login"},
		{"POST /api/sessions", "", `{"login":"maria"}`, "parameter_missing", "password"},
		{"PUT /api/users", "user", `{}`, "parameter_missing", "paymentMethods"},
		{"PUT /api/users", "user", `{"paymentMethods":{}}`, "parameter_invalid", "paymentMethods"},
		{"PUT /api/users", "user", method(`{}`), "parameter_missing", "paymentMethods[0].type"},
		{"PUT /api/users", "user", method(`{"type":"card"}`), "parameter_missing", "paymentMethods[0].issuer"},
		{"PUT /api/users", "user", method(`{"type":"card","issuer":"simulator"}`), "parameter_missing", "paymentMethods[0].currencies"},
		{
			"PUT /api/users",
			"user",
			method(`{"type":"card","issuer":"simulator","currencies":["EUR",1]}`),
			"parameter_invalid",
			"paymentMethods[0].currencies[1]",
		},
		{
			"PUT /api/users",
			"user",
			method(`{"type":"card","issuer":"simulator","currencies":[]}`),
			"currencies_missing",
			"paymentMethods[0].currencies",
		},
		{
			"PUT /api/users",
			"user",
			method(`{"type":"card","issuer":"nobody","currencies":["EUR"]}`),
			"issuer_unknown",
			"paymentMethods[0].issuer",
		},
		{
			"PUT /api/users",
			"user",
			method(`{"type":"card","issuer":"simulator","currencies":["EUR"],"enabled":"yes"}`),
			"parameter_invalid",
			"paymentMethods[0].enabled",
		},
		{
			"PUT /api/users",
			"user",
			method(`{"type":"card","issuer":"simulator","currencies":["EUR"],"x":1}`),
			"parameter_unknown",
			"paymentMethods[0].x",
		},
		{"POST /api/api-keys", "user", `{}`, "parameter_missing", "name"},
		{"POST /api/api-keys", "user", `{"name":"k"}`, "parameter_missing", "mode"},
		{"POST /api/api-keys", "user", `{"name":"k","mode":"test"}`, "parameter_missing", "scopes"},
		{"POST /api/api-keys", "user", `{"name":"k","mode":"prod","scopes":["links:read"]}`, "value_invalid", "mode"},
		{"POST /api/api-keys", "user", `{"name":"k","mode":"test","scopes":["all"]}`, "scope_unknown", "scopes"},
		{"POST /api/api-keys", "user", key(`"expiresAt":"never"`), "expiry_invalid", "expiresAt"},
		{"POST /api/api-keys", "user", key(`"id":"x"`), "parameter_unknown", "id"},
		{"POST /api/api-keys/" + w.keyID + "/rotate", "user", `{"graceSeconds":-1}`, "grace_invalid", "graceSeconds"},
		{"POST /api/api-keys/" + w.keyID + "/rotate", "user", `{"graceSeconds":"1"}`, "parameter_invalid", "graceSeconds"},
		{"POST /api/payments/" + paid + "/refunds", "key", `{"amount":"x"}`, "amount_invalid", "amount"},
		{"POST /api/payments/" + paid + "/refunds", "key", `{"amount":0}`, "amount_too_small", "amount"},
		{"POST /api/payments/" + paid + "/refunds", "key", `{"amount":""}`, "amount_invalid", "amount"},
		{"POST /api/payments/" + paid + "/refunds", "key", `{"amount":" "}`, "amount_invalid", "amount"},
		{"POST /api/payments/" + paid + "/refunds", "key", `{"amount":null}`, "parameter_invalid", "amount"},
		{"POST /api/payments/" + paid + "/refunds", "key", `{"amount":"0"}`, "amount_too_small", "amount"},
		{"POST /api/payments/" + paid + "/refunds", "key", `{"amount":"1","refundableAmount":""}`, "amount_invalid", "refundableAmount"},
		{"POST /api/payments/" + paid + "/refunds", "key", `{"amount":"1","refundableAmount":null}`, "parameter_invalid", "refundableAmount"},
		{"POST /api/payments/" + paid + "/refunds", "key", `{"amount":"1","refundableAmount":"1.234"}`, "amount_invalid", "refundableAmount"},
		{"POST /api/payments/" + paid + "/refunds", "key", `{"amount":"1","allowDisputed":"yes"}`, "parameter_invalid", "allowDisputed"},
		{"POST /api/payments/" + paid + "/refunds", "key", `{"amount":"1","allowDisputed":null}`, "parameter_invalid", "allowDisputed"},
		{"POST /api/payments/" + paid + "/capture", "key", `{"amount":""}`, "amount_invalid", "amount"},
		{"POST /api/payments/" + paid + "/capture", "key", `{"amount":null}`, "parameter_invalid", "amount"},
		{"POST /api/payments/" + paid + "/capture", "key", `{"refundableAmount":"1"}`, "parameter_unknown", "refundableAmount"},
		{"POST /api/payments/" + paid + "/capture", "key", `{"amount":[]}`, "parameter_invalid", "amount"},
		{"POST /api/payments/" + paid + "/void", "key", `{"amount":"1"}`, "parameter_unknown", "amount"},
		{"POST /api/webhook-endpoints", "key", `{}`, "parameter_missing", "url"},
		{"POST /api/webhook-endpoints", "key", `{"url":"http://127.0.0.1/"}`, "url_not_https", "url"},
		{"POST /api/webhook-endpoints", "key", `{"url":"https://shop.example.com/","events":["x"]}`, "event_type_unknown", "events"},
		{"POST /api/webhook-endpoints", "key", `{"url":"https://shop.example.com/","events":"x"}`, "parameter_invalid", "events"},
		{"POST /api/webhook-endpoints", "key", `{"url":"https://shop.example.com/","events":[]}`, "events_missing", "events"},
		{"POST /api/webhook-endpoints", "key", `{"url":"https://shop.example.com/","events":null}`, "parameter_invalid", "events"},
		{"POST /api/webhook-endpoints", "key", `{"url":"https://shop.example.com:0/"}`, "url_invalid", "url"},
		{"POST /api/webhook-endpoints", "key", `{"url":"https://shop.example.com:99999/"}`, "url_invalid", "url"},
		{"POST /api/webhook-endpoints", "key", `{"url":"https://a..b/"}`, "url_invalid", "url"},
		{"PUT /api/webhook-endpoints/" + hook, "key", `{"events":[]}`, "events_missing", "events"},
		{"PUT /api/webhook-endpoints/" + hook, "key", `{"events":null}`, "parameter_invalid", "events"},
		{"POST /api/webhook-endpoints/" + hook + "/redeliver", "key", `{"status":""}`, "parameter_invalid", "status"},
		{"POST /api/webhook-endpoints/" + hook + "/redeliver", "key", `{"eventType":""}`, "parameter_invalid", "eventType"},
		{"POST /api/webhook-endpoints/" + hook + "/redeliver", "key", `{"from":""}`, "parameter_invalid", "from"},
		{"POST /api/api-keys", "user", `{"name":"k","mode":"test","scopes":[]}`, "scopes_missing", "scopes"},
		{"POST /api/webhook-endpoints/" + hook + "/rotate", "key", `{"x":1}`, "parameter_unknown", "x"},
		{"GET /api/payments?limit=0", "key", ``, "parameter_invalid", "limit"},
		{"GET /api/payments?limit=101", "key", ``, "parameter_invalid", "limit"},
		{"GET /api/payments?limit=1&limit=2", "key", ``, "parameter_duplicate", "limit"},
		{"GET /api/payments?colour=red", "key", ``, "parameter_unknown", "colour"},
		{"GET /api/payments?cursor=x", "key", ``, "cursor_invalid", "cursor"},
		{"GET /api/payments?status=done", "key", ``, "parameter_invalid", "status"},
		{"GET /api/payments?currency=eur", "key", ``, "parameter_invalid", "currency"},
		{"GET /api/payments?link=x", "key", ``, "parameter_invalid", "link"},
		{"GET /api/payments?from=x", "key", ``, "parameter_invalid", "from"},
		{"GET /api/payments?from=", "key", ``, "parameter_invalid", "from"},
		{"GET /api/payments?from=2027-02-29", "key", ``, "parameter_invalid", "from"},
		{"GET /api/payments?from=2026-11-30T00:00:00+14:00", "key", ``, "parameter_invalid", "from"},
		{"GET /api/payments?from=2026-11-30&to=2026-11-29", "key", ``, "parameter_invalid", "to"},
		{"GET /api/payments.csv?from=2026-11-30&to=2026-11-30T00:00:00Z", "key", ``, "parameter_invalid", "to"},
		{"PUT /api/users", "user", `{"timeZone":"Mars/Phobos"}`, "time_zone_unknown", "timeZone"},
		{"PUT /api/users", "user", `{"timeZone":"Local"}`, "time_zone_unknown", "timeZone"},
		{"PUT /api/users", "user", `{"timeZone":""}`, "time_zone_unknown", "timeZone"},
		{"POST /api/users", "", user(`"timeZone":"CET+1"`), "time_zone_unknown", "timeZone"},
		{"GET /api/payments?from=2026-01-02&to=2026-01-01", "key", ``, "parameter_invalid", "to"},
		{"GET /api/payments?realm=", "key", ``, "parameter_invalid", "realm"},
		{"GET /api/payments.csv?limit=1", "key", ``, "parameter_unknown", "limit"},
		{"GET /api/links?status=done", "key", ``, "parameter_invalid", "status"},
		{"GET /api/events?afterSeq=-1", "key", ``, "parameter_invalid", "afterSeq"},
		{"GET /api/events?cursor=x", "key", ``, "cursor_invalid", "cursor"},
		{"GET /api/events?cursor=-1", "key", ``, "cursor_invalid", "cursor"},
		{"GET /api/events?cursor=1&afterSeq=1", "key", ``, "conflicting_fields", "cursor"},
		{"GET /api/balance?mode=both", "user", ``, "parameter_invalid", "mode"},
	}
	for _, row := range rows {
		method, path, _ := strings.Cut(row.call, " ")
		t.Run(row.call+" "+row.body, func(t *testing.T) {
			w.t = t
			w.refused(w.do(method, path, map[string]string{"key": w.key, "user": w.token}[row.as], row.body), 400, row.code, row.param)
		})
	}
	w.t = t
}

func TestGates(t *testing.T) {
	w := newWorld(t)
	narrow := w.ok("POST", "/api/api-keys", w.token, `{"name":"narrow","mode":"test","scopes":["links:read"]}`)["secret"].(string)
	body := `{"amount":"1","currency":"EUR"}`
	w.refused(w.do("POST", "/api/payment", "", body), 401, "unauthenticated", "")
	if a := w.do("POST", "/api/payment", "pl_test_nonsense", body); a.status != 401 || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("a bad secret answered %d", a.status)
	}
	w.refused(w.do("PUT", "/api/users", w.key, `{"paymentMethods":[]}`), 401, "user_required", "")
	w.refused(w.do("PUT", "/api/users", "", `{"paymentMethods":[]}`), 401, "unauthenticated", "")
	w.refused(w.do("POST", "/api/payment", narrow, body), 403, "scope_missing", "")
	w.refused(w.do("POST", "/api/payment", w.key, body, "Origin", "https://shop.example"), 403, "browser_origin_refused", "")
	w.refused(w.do("GET", "/api/links?mode=live", w.key, ""), 403, "mode_mismatch", "mode")
	w.ok("GET", "/api/links?mode=live", w.token, "")
	w.refused(w.do("POST", "/api/payment", w.key, `{"realm":"`+strings.Repeat("x", api.MaxBodyBytes)+`"}`), 413, "body_too_large", "")
	req := w.do("POST", "/api/payment", w.key, "", "Content-Type", "text/plain")
	w.refused(req, 400, "json_invalid", "")
	w.refused(w.do("POST", "/api/payment", w.key, body, "Content-Type", "text/plain"), 415, "unsupported_media_type", "")
	w.refused(w.do("GET", "/api/nothing", "", ""), 404, "not_found", "")
	if a := w.do("PATCH", "/api/users", "", ""); a.status != 405 || a.header.Get("Allow") != "POST, PUT" {
		t.Errorf("PATCH answered %d, Allow %q", a.status, a.header.Get("Allow"))
	}
	for _, path := range []string{"/api/links/x", "/api/links/" + id.New(id.Link), "/api/payments/" + id.New(id.Payment),
		"/api/payments/lnk_1"} {
		w.refused(w.do("GET", path, w.key, ""), 404, "not_found", "")
	}
	// Another tenant's objects do not exist.
	mine := w.ok("POST", "/api/links", w.key, body)["id"].(string)
	w.ok("POST", "/api/users", "", `{"username":"other","email":"other@example.com","password":"correct horse battery"}`)
	other := w.ok("POST", "/api/sessions", "", `{"login":"other@example.com","password":"correct horse battery"}`)["token"].(string)
	w.refused(w.do("GET", "/api/links/"+mine, other, ""), 404, "not_found", "")
	w.ok("DELETE", "/api/sessions/current", other, "")
	if a := w.do("GET", "/api/users/me", other, ""); a.status != 401 {
		t.Errorf("a session that was signed out answered %d", a.status)
	}
}

func TestIdempotency(t *testing.T) {
	w := newWorld(t)
	body := `{"amount":"1","currency":"EUR"}`
	first := w.do("POST", "/api/payment", w.key, body, "Idempotency-Key", "a")
	again := w.do("POST", "/api/payment", w.key, body, "Idempotency-Key", "a")
	if string(first.body) != string(again.body) || first.header.Get("Idempotent-Replayed") != "" ||
		again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("replay differs:\n%s\n%s", first.body, again.body)
	}
	w.refused(
		w.do("POST", "/api/payment", w.key, `{"amount":"2","currency":"EUR"}`, "Idempotency-Key", "a"),
		422,
		"idempotency_key_reused",
		"",
	)
	w.refused(
		w.do("POST", "/api/payment", w.key, body, "Idempotency-Key", "a", "Idempotency-Key", "a"),
		400,
		"idempotency_key_invalid",
		"Idempotency-Key",
	)
	w.refused(
		w.do("POST", "/api/payment", w.key, body, "Idempotency-Key", strings.Repeat("x", 256)),
		400,
		"idempotency_key_invalid",
		"Idempotency-Key",
	)
	// An error is not kept.
	w.refused(w.do("POST", "/api/payment", w.key, `{}`, "Idempotency-Key", "b"), 400, "parameter_missing", "amount")
	w.ok("POST", "/api/payment", w.key, body, "Idempotency-Key", "b")
	paid := w.pay("").ID
	for _, call := range []struct{ path, as, body string }{
		{"/api/api-keys", w.token, `{"name":"k","mode":"test","scopes":["links:read"]}`},
		{"/api/webhook-endpoints", w.key, `{"url":"https://shop.example.com/hooks"}`},
		{"/api/payments/" + paid + "/refunds", w.key, `{"amount":"1.00"}`},
		{"/api/sessions", "", `{"login":"maria","password":"correct horse battery"}`},
	} {
		one, two := w.do(
			"POST",
			call.path,
			call.as,
			call.body,
			"Idempotency-Key",
			"c"+call.path,
		), w.do(
			"POST",
			call.path,
			call.as,
			call.body,
			"Idempotency-Key",
			"c"+call.path,
		)
		if one.status != http.StatusOK || string(one.body) != string(two.body) || two.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: %d\n%s\n%s", call.path, two.status, one.body, two.body)
		}
	}
}

// TestStrangersKeys: a key that a stranger has used is free for others, and is still the same
// request for the stranger.
func TestStrangersKeys(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/api/users", "/api/sessions"} {
		for i, name := range []string{"ada", "bob", "cleo"} {
			body := `{"login":"` + name + `","password":"correct horse battery"}`
			if path == "/api/users" {
				body = `{"username":"` + name + `","email":"` + name + `@example.com","password":"correct horse battery"}`
			}
			first := w.do("POST", path, "", body, "Idempotency-Key", "signup-1")
			again := w.do("POST", path, "", body, "Idempotency-Key", "signup-1")
			if first.status != http.StatusOK || first.header.Get("Idempotent-Replayed") != "" || string(again.body) != string(first.body) ||
				again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s, stranger %d: %d %s, then %d %s", path, i, first.status, first.body, again.status, again.body)
			}
			other := strings.Replace(body, "battery", "staple!", 1)
			w.refused(w.do("POST", path, "", other, "Idempotency-Key", "signup-1"), 422, "idempotency_key_reused", "")
		}
	}
}

// TestF16_KeyInUse: the second of two concurrent requests gets a retry, and then finds
// the response of the first.
func TestF16_KeyInUse(t *testing.T) {
	w := newWorld(t)
	entered, release := make(chan struct{}), make(chan struct{})
	w.records.hold = func(key string) {
		if key == "slow" {
			entered <- struct{}{}
			<-release
		}
	}
	body := `{"amount":"1","currency":"EUR"}`
	first := make(chan answer, 1)
	go func() { first <- w.do("POST", "/api/payment", w.key, body, "Idempotency-Key", "slow") }()
	<-entered
	a := w.do("POST", "/api/payment", w.key, body, "Idempotency-Key", "slow")
	w.refused(a, 409, "idempotency_key_in_use", "")
	if a.json["retryable"] != true || a.header.Get("Retry-After") != "1" {
		t.Errorf("%s, Retry-After %q", a.body, a.header.Get("Retry-After"))
	}
	close(release)
	one := <-first
	go func() { <-entered }()
	two := w.do("POST", "/api/payment", w.key, body, "Idempotency-Key", "slow")
	if one.status != 200 || string(one.body) != string(two.body) || two.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%d %s\n%d %s", one.status, one.body, two.status, two.body)
	}
}

func TestEveryAnswer(t *testing.T) {
	w := newWorld(t)
	w.ok("PUT", "/api/users", w.token, `{"paymentMethods":[{"type":"card","issuer":"simulator","currencies":["EUR","USD"]}]}`)
	w.ok("GET", "/api/users/me", w.token, "")
	w.ok("GET", "/api/issuers", w.key, "")
	w.ok("GET", "/api/api-keys", w.token, "")
	if k := w.ok("GET", "/api/api-keys/"+w.keyID, w.token, ""); k["id"] != w.keyID || k["secret"] != nil ||
		k["links"].(map[string]any)["self"] != "/api/api-keys/"+w.keyID {
		t.Errorf("the key reads %v", k)
	}
	w.refused(w.do("GET", "/api/api-keys/"+id.New(id.Key), w.token, ""), 404, "not_found", "")
	w.ok("POST", "/api/api-keys/"+w.keyID+"/rotate", w.token, "")
	made := w.ok(
		"POST",
		"/api/links",
		w.key,
		`{"currency":"EUR","minAmount":5,"maxAmount":500.00,"maxUses":null,"metadata":{"a":"b"},"realm":"shop"}`,
	)
	w.ok("GET", "/api/links/"+made["id"].(string), w.token, "")
	if svg := w.do("GET", "/api/links/"+made["id"].(string)+"/qr.svg", w.key, ""); !strings.HasPrefix(string(svg.body), "<svg") {
		t.Errorf("no picture: %s", svg.body)
	}
	w.ok("POST", "/api/links/"+made["id"].(string)+"/cancel", w.key, "")
	w.refused(w.do("POST", "/api/links/"+made["id"].(string)+"/cancel", w.key, ""), 409, "link_canceled", "")
	p := w.pay("")
	w.ok("POST", "/api/payments/"+p.ID+"/refunds", w.key, `{"amount":2.5}`)
	w.ok("GET", "/api/payments/"+p.ID, w.key, "")
	held := w.pay(`,"capture":"manual"`)
	w.ok("POST", "/api/payments/"+held.ID+"/capture", w.token, `{"amount":"10"}`)
	voided := w.pay(`,"capture":"manual"`)
	w.ok("POST", "/api/payments/"+voided.ID+"/void", w.key, "")
	w.ok("GET", "/api/balance", w.key, "")
	hook := w.ok("POST", "/api/webhook-endpoints", w.token, `{"url":"https://shop.example.com/hooks"}`)["id"].(string)
	for _, path := range []string{"/api/webhook-endpoints", "/api/webhook-endpoints/" + hook,
		"/api/webhook-endpoints/" + hook + "/deliveries", "/api/events", "/api/events?afterSeq=1&limit=2"} {
		w.ok("GET", path, w.key, "")
	}
	w.ok("POST", "/api/webhook-endpoints/"+hook+"/rotate", w.key, "")
	w.ok("DELETE", "/api/webhook-endpoints/"+hook, w.key, "")
	w.ok("GET", "/.well-known/jwks.json", "", "")
	if a := w.do("GET", "/openapi.yaml", "", ""); a.status != 200 {
		t.Errorf("the document answered %d", a.status)
	}
	rows, err := csv.NewReader(strings.NewReader(string(w.do("GET", "/api/payments.csv", w.key, "").body))).ReadAll()
	if err != nil || len(rows) != 4 || rows[0][0] != "id" || rows[1][13] != "'=A1" {
		t.Errorf("the export: %v %v", rows, err)
	}
	w.ok("DELETE", "/api/api-keys/"+w.keyID, w.token, "")
}

// TestEventsPageLikeEveryList: by nextCursor, or by the last seq, none is missed.
func TestEventsPageLikeEveryList(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.pay("")
	}
	var seqs []float64
	for path := "/api/events?limit=4"; path != ""; {
		page := w.ok("GET", path, w.key, "")
		for _, item := range page["data"].([]any) {
			seqs = append(seqs, item.(map[string]any)["seq"].(float64))
		}
		next, more := page["nextCursor"].(string)
		if more != page["hasMore"].(bool) {
			t.Errorf("hasMore %v, nextCursor %v", page["hasMore"], page["nextCursor"])
		}
		if path = ""; more {
			path = "/api/events?limit=4&cursor=" + next
		}
	}
	if len(seqs) < 9 {
		t.Fatalf("only %d events", len(seqs))
	}
	for i, s := range seqs {
		if s != float64(i+1) {
			t.Fatalf("seqs %v", seqs)
		}
	}
}

// TestUnsupportedCurrencyIsNamed: the answer tells which one, known to ISO 4217 or not.
func TestUnsupportedCurrencyIsNamed(t *testing.T) {
	w := newWorld(t)
	for currency, code := range map[string]string{"MAD": "currency_unsupported", "XYZ": "currency_invalid", "eur": "currency_invalid"} {
		a := w.do("PUT", "/api/users", w.token, `{"paymentMethods":[{"type":"card","issuer":"simulator","currencies":["EUR","`+currency+`"]}]}`)
		w.refused(a, 400, code, "paymentMethods[0].currencies[1]")
		if detail, _ := a.json["detail"].(string); !strings.Contains(detail, currency) {
			t.Errorf("%s is not named: %s", currency, detail)
		}
	}
}

// TestPaging lists each item once while new ones arrive.
func TestPaging(t *testing.T) {
	w := newWorld(t)
	var made []string
	for range 5 {
		made = append(made, w.pay("").ID)
	}
	var seen []string
	for path := "/api/payments?limit=2"; path != ""; {
		page := w.ok("GET", path, w.key, "")
		for _, item := range page["data"].([]any) {
			seen = append(seen, item.(map[string]any)["id"].(string))
		}
		w.pay("")
		path = ""
		if next, ok := page["nextCursor"].(string); ok {
			path = "/api/payments?limit=2&cursor=" + next
		}
	}
	slices.Reverse(seen)
	if !slices.Equal(seen, made) {
		t.Errorf("listed %v, want %v", seen, made)
	}
}
