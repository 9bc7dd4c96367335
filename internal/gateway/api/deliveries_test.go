package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/notify"
)

// hooked is a world with an endpoint, and the id of it.
func hooked(t *testing.T) (*world, string) {
	t.Helper()
	w := newWorld(t)
	e := w.ok("POST", "/api/webhook-endpoints", w.key, `{"url":"https://shop.example/hooks","events":["payment.succeeded"]}`)
	return w, "/api/webhook-endpoints/" + e["id"].(string)
}

func TestAnEndpointIsChanged(t *testing.T) {
	w, path := hooked(t)
	got := w.ok("PUT", path, w.key, `{"enabled":false}`)
	if got["status"] != "disabled" || got["disabledReason"] != "manual" || got["url"] != "https://shop.example/hooks" {
		t.Errorf("%v", got)
	}
	w.refused(w.do("POST", path+"/redeliver", w.key, ""), http.StatusConflict, "endpoint_disabled", "")
	got = w.ok("PUT", path, w.token, `{"enabled":true,"url":"https://other.example/","events":["*"]}`)
	if got["status"] != "enabled" || got["url"] != "https://other.example/" || got["events"].([]any)[0] != "*" ||
		got["disabledReason"] != nil {
		t.Errorf("%v", got)
	}
	w.refused(w.do("PUT", path, w.key, `{"url":"http://other.example/"}`), http.StatusBadRequest, "url_not_https", "url")
	w.refused(w.do("PUT", path, w.key, `{"events":["no.such"]}`), http.StatusBadRequest, "event_type_unknown", "events")
	w.refused(w.do("PUT", path, w.key, `{"secret":"x"}`), http.StatusBadRequest, "parameter_unknown", "secret")
	w.refused(w.do("PUT", "/api/webhook-endpoints/"+id.New(id.Endpoint), w.key, `{"enabled":true}`), http.StatusNotFound, "not_found", "")
}

func TestATestEventIsAskedForOnce(t *testing.T) {
	w, path := hooked(t)
	first := w.ok("POST", path+"/test", w.key, `{"type":"payment.succeeded"}`, "Idempotency-Key", "test-1")
	again := w.do("POST", path+"/test", w.key, `{"type":"payment.succeeded"}`, "Idempotency-Key", "test-1")
	if again.json["id"] != first["id"] || again.header.Get("Idempotent-Replayed") != "true" || first["test"] != true ||
		first["status"] != "pending" {
		t.Errorf("%v, again %s", first, again.body)
	}
	one := w.ok("GET", path+"/deliveries/"+first["id"].(string), w.key, "")
	body := one["request"].(map[string]any)["body"].(string)
	if !strings.Contains(body, `"test":true`) || !strings.Contains(body, `"type":"payment.succeeded"`) {
		t.Errorf("%v", one)
	}
	if ping := w.ok("POST", path+"/test", w.key, ""); ping["eventType"] != "test.ping" {
		t.Errorf("%v", ping)
	}
	w.refused(w.do("POST", path+"/test", w.key, `{"type":"no.such"}`), http.StatusBadRequest, "event_type_unknown", "type")
	if list := w.ok("GET", path+"/deliveries?eventType=test.ping&status=pending", w.key, ""); len(list["data"].([]any)) != 1 {
		t.Errorf("%v", list)
	}
	w.refused(w.do("GET", path+"/deliveries?status=lost", w.key, ""), http.StatusBadRequest, "parameter_invalid", "status")
	w.refused(w.do("GET", path+"/deliveries?eventType=lost", w.key, ""), http.StatusBadRequest, "parameter_invalid", "eventType")
}

func TestManyDeliveriesAreSentAgain(t *testing.T) {
	w, path := hooked(t)
	endpoint := strings.TrimPrefix(path, "/api/webhook-endpoints/")
	k, err := w.store.Endpoint(t.Context(), w.ok("GET", "/api/users/me", w.token, "")["account"].(string), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	d := notify.Delivery{
		ID:         id.New(id.Delivery),
		Account:    k.Account,
		Mode:       k.Mode,
		Endpoint:   endpoint,
		Event:      id.New(id.Event),
		EventType:  "payment.succeeded",
		Attempt:    10,
		Status:     notify.DeadLetter,
		HTTPStatus: 500,
		Answer:     "<script>alert(1)</script>",
		Error:      "http_status: no",
		DurationMs: 12,
		At:         time.Now(),
		SealedBody: []byte("x"),
		Request:    notify.Request{URL: k.URL, Headers: []notify.Header{{Name: "webhook-id", Value: "evt_1"}}},
	}
	if err := w.store.RecordDelivery(t.Context(), d, nil); err != nil {
		t.Fatal(err)
	}
	since := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	r := w.ok(
		"POST",
		path+"/redeliver",
		w.key,
		`{"status":"parked","eventType":"payment.succeeded","from":"`+since+`"}`,
		"Idempotency-Key",
		"bulk-1",
	)
	if r["total"] != 1.0 || r["status"] != "running" || r["filter"].(map[string]any)["status"] != "parked" {
		t.Errorf("%v", r)
	}
	if again := w.ok("POST", path+"/redeliver", w.key, `{"status":"parked","eventType":"payment.succeeded","from":"`+since+`"}`, "Idempotency-Key", "bulk-1"); again["id"] != r["id"] {
		t.Errorf("again %v", again)
	}
	w.refused(w.do("POST", path+"/redeliver", w.key, ""), http.StatusConflict, "redelivery_running", "")
	w.refused(w.do("POST", path+"/redeliver", w.key, `{"status":"pending"}`), http.StatusBadRequest, "status_invalid", "status")
	w.refused(w.do("POST", path+"/redeliver", w.key, `{"from":"soon"}`), http.StatusBadRequest, "parameter_invalid", "from")
	self := path + "/redeliveries/" + r["id"].(string)
	if got := w.ok("POST", self+"/cancel", w.key, ""); got["status"] != "canceled" || got["endedAt"] == nil {
		t.Errorf("%v", got)
	}
	if got := w.ok("GET", self, w.key, ""); got["status"] != "canceled" {
		t.Errorf("%v", got)
	}
	if list := w.ok("GET", path+"/redeliveries?limit=1", w.key, ""); len(list["data"].([]any)) != 1 {
		t.Errorf("%v", list)
	}
	w.refused(w.do("GET", path+"/redeliveries/"+id.New(id.Redelivery), w.key, ""), http.StatusNotFound, "not_found", "")
}
