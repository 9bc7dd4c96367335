package api_test

import (
	"strings"
	"testing"
)

const formJSON = `{"name":"Tickets","amounts":["5","12.50"],"currency":"EUR","fields":[{"name":"email","required":true},{"name":"size","label":"Size"}],"origins":["https://shop.example"]`

func TestForms(t *testing.T) {
	w := newWorld(t)
	made := w.ok("POST", "/api/forms", w.key, formJSON+`}`, "Idempotency-Key", "form-1")
	id := made["id"].(string)
	if made["url"] != "https://pay.example/f/"+id || made["status"] != "active" || made["revision"] != 1.0 ||
		made["linkLifeSeconds"] != 3600.0 {
		t.Errorf("made %v", made)
	}
	again := w.do("POST", "/api/forms", w.key, formJSON+`}`, "Idempotency-Key", "form-1")
	if again.json["id"] != id || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again %s", again.body)
	}
	w.refused(w.do("POST", "/api/forms", w.key, formJSON+`,"button":"Buy"}`, "Idempotency-Key", "form-1"), 422, "idempotency_key_reused", "")
	if got := w.ok("GET", "/api/forms/"+id, w.token, ""); got["name"] != "Tickets" {
		t.Errorf("a signed-in user reads %v", got)
	}
	changed := w.ok(
		"PUT",
		"/api/forms/"+id,
		w.key,
		`{"name":"Donations","minAmount":"5","maxAmount":"500","currency":"EUR","revision":1,"look":{"accent":"#0B6E4F","corners":"soft"}}`,
	)
	if changed["revision"] != 2.0 || changed["minAmount"] != "5.00" || changed["amount"] != nil ||
		changed["look"].(map[string]any)["accent"] != "#0b6e4f" {
		t.Errorf("changed %v", changed)
	}
	w.refused(w.do("PUT", "/api/forms/"+id, w.key, `{"name":"X","amount":"5","currency":"EUR","revision":1}`), 409, "changed_meanwhile", "")
	second := w.ok("POST", "/api/forms", w.key, formJSON+`}`)["id"].(string)
	if gone := w.ok("DELETE", "/api/forms/"+second, w.key, ""); gone["status"] != "archived" || gone["archivedAt"] == nil {
		t.Errorf("archived %v", gone)
	}
	w.refused(w.do("PUT", "/api/forms/"+second, w.key, `{"name":"X","amount":"5","currency":"EUR"}`), 409, "form_archived", "")
	for query, want := range map[string]string{"": id, "?archived=true": second} {
		list := w.ok("GET", "/api/forms"+query, w.key, "")["data"].([]any)
		if len(list) != 1 || list[0].(map[string]any)["id"] != want {
			t.Errorf("list%s %v", query, list)
		}
	}
}

func TestFormsAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ change, code, param string }{
		{`,"amount":"5"}`, "conflicting_fields", "amounts"},
		{`,"origins":["https://*.example"]}`, "parameter_duplicate", "origins"},
		{`,"look":{"accent":"#ffff00"}}`, "contrast_too_low", "look.accent"},
		{`,"look":{"accent":"url(x)"}}`, "colour_invalid", "look.accent"},
		{`,"css":"x"}`, "parameter_unknown", "css"},
		{`,"redirectUrl":"javascript:alert(1)"}`, "url_invalid", "redirectUrl"},
	} {
		w.refused(w.do("POST", "/api/forms", w.key, formJSON+c.change), 400, c.code, c.param)
	}
	w.refused(
		w.do("POST", "/api/forms", w.key, strings.Replace(formJSON, "https://shop.example", "http://shop.example", 1)+`}`),
		400,
		"origin_invalid",
		"origins[0]",
	)
	w.refused(w.do("POST", "/api/forms", w.key, `{"name":"x","currency":"EUR"}`), 400, "parameter_missing", "amount")
	w.refused(w.do("GET", "/api/forms/frm_00000000000000000000000000", w.key, ""), 404, "not_found", "")
	narrow := w.ok("POST", "/api/api-keys", w.token, `{"name":"links","mode":"test","scopes":["links:write"]}`)["secret"].(string)
	w.refused(w.do("POST", "/api/forms", narrow, formJSON+`}`), 403, "scope_missing", "")
	made := w.ok("POST", "/api/forms", w.key, formJSON+`}`)["id"].(string)
	w.ok("POST", "/api/users", "", `{"username":"eve-other","email":"eve@example.com","password":"correct horse battery"}`)
	other := w.ok("POST", "/api/sessions", "", `{"login":"eve-other","password":"correct horse battery"}`)["token"].(string)
	for _, call := range []string{"GET", "DELETE"} {
		w.refused(w.do(call, "/api/forms/"+made, other, ""), 404, "not_found", "")
	}
}
