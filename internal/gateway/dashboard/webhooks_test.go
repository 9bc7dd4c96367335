package dashboard_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/notify"
)

const (
	hooksPath = "/dashboard/test/webhooks"
	evil      = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
)

var secretValue = regexp.MustCompile(`id="secret" type="text" readonly value="(whsec_[^"]+|[^"]+)"`)

// endpoint adds one by the form, and gives its path and its secret.
func (w *world) endpoint(form url.Values) (path, secret string) {
	w.t.Helper()
	if !form.Has("which") {
		form.Set("which", "every")
	}
	form.Set("attempt", w.attempt(w.get(hooksPath+"/new")))
	p := w.post(hooksPath, form)
	m := secretValue.FindStringSubmatch(p.body)
	if p.status != http.StatusOK || m == nil {
		w.t.Fatalf("%d: %s", p.status, p.body)
	}
	all, err := w.hooks.List(w.t.Context(), w.account, link.Test)
	if err != nil || len(all) == 0 {
		w.t.Fatal(err)
	}
	return hooksPath + "/" + all[0].ID, m[1]
}

// try records a delivery to the endpoint of the path.
func (w *world) try(path string, status notify.Status, change func(*notify.Delivery)) notify.Delivery {
	w.t.Helper()
	endpoint := strings.TrimPrefix(path, hooksPath+"/")
	d := notify.Delivery{ID: id.New(id.Delivery), Account: w.account, Mode: link.Test, Endpoint: endpoint, Event: id.New(id.Event), EventType: "payment.succeeded",
		Attempt: 3, Status: status, HTTPStatus: 500, Answer: "no", Error: "http_status: the endpoint answered 500; only 2xx is success", DurationMs: 1234, At: time.Now(),
		SealedBody: w.seal([]byte(`{"id":"evt_1","data":{}}`)),
		Request:    notify.Request{URL: "https://shop.example/hooks", Headers: []notify.Header{{Name: "webhook-id", Value: "evt_1"}, {Name: "webhook-signature", Value: "v1,abc v1a,def"}}}}
	if change != nil {
		change(&d)
	}
	if err := w.store.RecordDelivery(w.t.Context(), d, nil); err != nil {
		w.t.Fatal(err)
	}
	return d
}

func TestWebhookEndpoints(t *testing.T) {
	w := newWorld(t)
	w.get(hooksPath).has(t, "No endpoint yet", hooksPath+"/new")
	form := url.Values{"url": {"https://shop.example/hooks"}, "which": {"some"}, "events": {"payment.succeeded", "refund.failed"}}
	path, secret := w.endpoint(form)
	again := w.post(hooksPath, form) // the same form once more: the same endpoint, the same secret
	again.has(t, secret)
	list := w.get(hooksPath)
	list.has(t, "https://shop.example/hooks", "2 events", "Enabled")
	list.lacks(t, secret, "No endpoint yet")
	if n := strings.Count(list.body, `<tr role="row" id="whe_`); n != 1 {
		t.Errorf("%d endpoints", n)
	}
	one := w.get(path)
	one.has(t, "payment.succeeded", "refund.failed", "Nothing was sent yet", "Send a test event")
	one.lacks(t, secret)

	p := w.post(path, url.Values{"url": {"http://shop.example/"}, "which": {"every"}})
	p.has(t, "The address must begin with https://.", `aria-invalid="true"`)
	if p.status != http.StatusUnprocessableEntity {
		t.Errorf("%d", p.status)
	}
	w.post(path, url.Values{"url": {"https://shop.example/"}, "which": {"some"}}).has(t, "Choose at least one event.")
	w.post(path, url.Values{"url": {"https://shop.example/"}}).has(t, "Choose at least one event.") // nothing said is not every event
	w.post(path, url.Values{"url": {"https://shop.example:0/"}, "which": {"every"}}).has(t, "a port is from 1 to 65535")
	second := url.Values{"url": {"https://SHOP.example/hooks"}, "which": {"every"}, "attempt": {w.attempt(w.get(hooksPath + "/new"))}}
	w.post(hooksPath, second).has(t, "Another endpoint has this address already")
	w.post(path, url.Values{"url": {"https://new.example/"}, "which": {"every"}}).has(t, "The endpoint was changed.", "https://new.example/", "All events, also those to come")

	w.post(path+"/enabled", url.Values{"enabled": {"no"}}).has(t, "Disabled", "Somebody of your account disabled it.", "Nothing is sent to this endpoint any more.")
	w.post(path+"/enabled", url.Values{"enabled": {"yes"}}).has(t, "Enabled", "The endpoint is enabled.")

	rotate := url.Values{"attempt": {w.attempt(w.get(path + "/rotate"))}}
	p = w.post(path+"/rotate", rotate)
	p.has(t, "For 24 hours the old secret and this one both sign")
	p.lacks(t, secret)
	w.post(path+"/rotate", rotate).has(t, secretValue.FindStringSubmatch(p.body)[1])

	w.get(path+"/delete").has(t, "Delete the endpoint?", "https://new.example/")
	deletion := url.Values{"attempt": {id.New(id.Request)}}
	w.post(path+"/delete", deletion).has(t, "The endpoint was deleted.", "No endpoint yet")
	w.post(path+"/delete", deletion).has(t, "The endpoint was deleted.")
	if p := w.do(w.client, http.MethodGet, path, nil); p.status != http.StatusNotFound {
		t.Errorf("deleted: %d", p.status)
	}
	if p := w.do(w.client, http.MethodGet, hooksPath+"/nothing", nil); p.status != http.StatusNotFound {
		t.Errorf("no id: %d", p.status)
	}
}

func TestDeliveriesAreShown(t *testing.T) {
	w := newWorld(t)
	path, _ := w.endpoint(url.Values{"url": {"https://shop.example/hooks"}})
	parked := w.try(path, notify.Parked, nil)
	w.try(path, notify.Succeeded, func(d *notify.Delivery) {
		d.EventType, d.HTTPStatus, d.Error, d.At = "link.paid", 204, "", d.At.AddDate(0, 0, -2)
	})
	p := w.get(path)
	p.has(t, "Given up", "Delivered", "1,234 ms", "500", "204", path+"/deliveries/"+parked.ID)
	w.get(path+"?status=parked").lacks(t, `data-label="Answer"><bdi class="eventname">204`)
	w.get(path+"?type=link.paid").lacks(t, parked.ID)
	w.get(path+"?from="+time.Now().UTC().Format(time.DateOnly)).lacks(t, `data-label="Answer"><bdi class="eventname">204`)
	w.get(path+"?status=pending").has(t, "No delivery matches")

	one := w.get(path + "/deliveries/" + parked.ID)
	one.has(t, "POST https://shop.example/hooks", "v1,abc v1a,def", "&#34;evt_1&#34;", "http_status: the endpoint answered 500", ">no<", "Send again")
	sent := url.Values{"attempt": {w.attempt(one)}}
	again := w.post(path+"/deliveries/"+parked.ID, sent)
	again.has(t, "Waiting", "It is on its way again.", `data-hx-trigger="every 1s"`)
	if twice := w.post(path+"/deliveries/"+parked.ID, sent); twice.path != again.path {
		t.Errorf("sent twice: %s and %s", again.path, twice.path)
	}
	part := w.get(again.path, "HX-Request", "true")
	part.has(t, "Waiting")
	part.lacks(t, "<html")

	csv := w.get(path + "/deliveries.csv?status=parked")
	if lines := strings.Count(csv.body, "\r\n"); lines != 2 || !strings.HasPrefix(csv.body, "\ufeffid,createdAt,event,") || !strings.Contains(csv.header.Get("Content-Type"), "text/csv") {
		t.Errorf("%d lines: %s", lines, csv.body)
	}
	test := url.Values{"attempt": {w.attempt(w.get(path))}, "type": {"payment.succeeded"}}
	p = w.post(path+"/test", test)
	p.has(t, "payment.succeeded", "&#34;test&#34;: true", "Waiting")
	p.lacks(t, "Send again")
	if twice := w.post(path+"/test", test); twice.path != p.path {
		t.Errorf("tested twice: %s and %s", p.path, twice.path)
	}
}

func TestBulkRedeliveryIsShown(t *testing.T) {
	w := newWorld(t)
	path, _ := w.endpoint(url.Values{"url": {"https://shop.example/hooks"}})
	for range 4 {
		w.try(path, notify.Parked, nil)
	}
	form := url.Values{"attempt": {w.attempt(w.get(path + "/redeliver"))}, "status": {"parked"}, "type": {""}}
	p := w.post(path+"/redeliver", form)
	p.has(t, "Sending again", "Running", `max="4" value="0"`, "Stop sending", `data-hx-trigger="every 1s"`)
	if twice := w.post(path+"/redeliver", form); twice.path != p.path {
		t.Errorf("begun twice: %s and %s", p.path, twice.path)
	}
	form.Set("attempt", id.New(id.Request))
	w.post(path+"/redeliver", form).has(t, "A bulk redelivery is running.")
	if _, err := w.hooks.CarryOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	bulk := strings.TrimPrefix(p.path, path+"/redeliveries/")
	pending, err := w.hooks.Deliveries(t.Context(), w.account, link.Test, strings.TrimPrefix(path, hooksPath+"/"), notify.DeliveryQuery{Status: notify.Pending, Limit: 10})
	if err != nil || len(pending) != 4 {
		t.Fatal(len(pending), err)
	}
	for i, d := range pending {
		if i < 3 {
			w.try(path, notify.Succeeded, func(n *notify.Delivery) { n.ID, n.Event, n.Redelivery = d.ID, d.Event, bulk })
		}
	}
	part := w.get(p.path, "HX-Request", "true")
	part.has(t, `max="4" value="3"`, "75%")
	part.lacks(t, "<html")
	ended := w.post(p.path, url.Values{"attempt": {id.New(id.Request)}})
	ended.has(t, "Canceled")
	ended.lacks(t, "data-hx-get", "Stop sending")
	w.get(path).has(t, "Canceled", p.path)
	w.post(path+"/redeliver", url.Values{"attempt": {id.New(id.Request)}, "status": {"parked"}, "from": {"2026-02-02"}, "to": {"2026-01-01"}}).has(t, "The last day is before the first.")
}

// TestWebhooksStandHostileText: whatever a receiver answers, or a key is called, it is
// shown as text.
func TestWebhooksStandHostileText(t *testing.T) {
	w := newWorld(t)
	w.post(hooksPath, url.Values{"url": {"https://shop.example/" + evil}, "attempt": {id.New(id.Request)}}).lacks(t, "<script>alert", "<img src=x")
	path, _ := w.endpoint(url.Values{"url": {"https://shop.example/%3Cscript%3E?" + strings.Repeat("x", 1900)}})
	d := w.try(path, notify.Failed, func(d *notify.Delivery) {
		d.Answer, d.Error, d.SealedBody = evil, "http_status: "+evil, w.seal([]byte(evil))
		d.Request.Headers = append(d.Request.Headers, notify.Header{Name: evil, Value: evil})
	})
	for _, at := range []string{path, path + "/deliveries/" + d.ID, path + "?status=" + url.QueryEscape(evil) + "&type=" + url.QueryEscape(evil) + "&before=" + d.ID,
		path + "/redeliver?status=" + url.QueryEscape(evil)} {
		p := w.do(w.client, http.MethodGet, at, nil)
		if wrong := strings.Contains(at, "status="); wrong != (p.status == http.StatusBadRequest) {
			t.Errorf("%s answers %d", at, p.status)
		}
		p.lacks(t, "<script>alert", "<img src=x")
		if len(p.body) < 1000 {
			t.Errorf("%s: %s", at, p.body)
		}
	}
	made := url.Values{"attempt": {id.New(id.Request)}, "name": {evil}, "scopes": {"links:read"}}
	w.post("/dashboard/test/keys", made).lacks(t, "<script>alert", "<img src=x")
	w.get("/dashboard/test/keys").lacks(t, "<script>alert", "<img src=x")
	w.get("/dashboard/test/keys.csv")
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	const keys = "/dashboard/test/keys"
	w.get(keys).has(t, "No key yet")
	form := url.Values{"attempt": {w.attempt(w.get(keys + "/new"))}, "name": {"shop"}, "scopes": {"links:read", "links:write", "payments:read"}, "expires": {"30"}}
	p := w.post(keys, form)
	secret := secretValue.FindStringSubmatch(p.body)[1]
	p.has(t, "It is shown only this once", "shop")
	w.post(keys, form).has(t, secret)
	all, err := w.merchants.Keys(t.Context(), w.account, "", 10)
	if err != nil || len(all) != 1 || len(all[0].Scopes) != 3 || all[0].ExpiresAt.IsZero() {
		t.Fatalf("%+v, %v", all, err)
	}
	k := all[0]
	list := w.get(keys)
	list.has(t, "shop", "3 rights", "Never used", "Until ", keys+"/"+k.ID+"/rotate")
	list.lacks(t, secret)
	w.get("/dashboard/live/keys").has(t, "No key yet")
	if p := w.do(w.client, http.MethodGet, "/dashboard/live/keys/"+k.ID+"/rotate", nil); p.status != http.StatusNotFound {
		t.Errorf("a key of the other mode: %d", p.status)
	}
	if _, err := w.merchants.AuthenticateSecret(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	rotate := url.Values{"attempt": {w.attempt(w.get(keys + "/" + k.ID + "/rotate"))}, "grace": {"3600"}}
	p = w.post(keys+"/"+k.ID+"/rotate", rotate)
	fresh := secretValue.FindStringSubmatch(p.body)[1]
	p.has(t, "The old secret works until")
	w.post(keys+"/"+k.ID+"/rotate", rotate).has(t, fresh)
	for _, s := range []string{secret, fresh} { // both work for an hour
		if _, err := w.merchants.AuthenticateSecret(t.Context(), s); err != nil {
			t.Error(err)
		}
	}
	w.get(keys+"/"+k.ID+"/revoke").has(t, "Revoke the key?", "shop")
	p = w.post(keys+"/"+k.ID+"/revoke", url.Values{"attempt": {id.New(id.Request)}})
	p.has(t, "The key was revoked.", "Revoked")
	p.lacks(t, keys+"/"+k.ID+"/rotate")
	if _, err := w.merchants.AuthenticateSecret(t.Context(), fresh); err == nil {
		t.Error("a revoked key still works")
	}
	w.post(keys, url.Values{"attempt": {id.New(id.Request)}, "name": {""}, "scopes": {"links:read"}}).has(t, "Give it a name.")
	w.post(keys, url.Values{"attempt": {id.New(id.Request)}, "name": {"x"}}).has(t, "Tick at least one right.")
	for range 30 {
		w.post(keys, url.Values{"attempt": {id.New(id.Request)}, "name": {"many"}, "scopes": {"links:read"}})
	}
	first := w.get(keys)
	next := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(first.body)
	if next == nil {
		t.Fatal("no second page")
	}
	w.get(next[1]).has(t, "shop", "Newest")
	if csv := w.get("/dashboard/test/keys.csv"); strings.Count(csv.body, "\r\n") != 32 || strings.Contains(csv.body, fresh) {
		t.Errorf("%s", csv.body)
	}
}

// TestWebhooksInEveryLanguage: no page of these rooms shows a key of the catalogue.
func TestWebhooksInEveryLanguage(t *testing.T) {
	w := newWorld(t)
	path, _ := w.endpoint(url.Values{"url": {"https://shop.example/hooks"}})
	d := w.try(path, notify.Failed, nil)
	for _, lang := range []string{"de", "fr", "es", "pt", "ar", "ja", "en"} {
		for _, at := range []string{hooksPath, hooksPath + "/new", path, path + "/edit", path + "/rotate", path + "/delete", path + "/redeliver", path + "/deliveries/" + d.ID,
			"/dashboard/test/keys", "/dashboard/test/keys/new"} {
			p := w.get(at + "?lang=" + lang)
			if m := regexp.MustCompile(`>(webhooks|keys)\.[a-z]\w*<`).FindString(p.body); m != "" {
				t.Errorf("%s in %s shows %s", at, lang, m)
			}
			if want := `lang="` + lang + `"`; !strings.Contains(p.body, want) {
				t.Errorf("%s lacks %s", at, want)
			}
		}
	}
}
