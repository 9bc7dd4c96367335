package webhooks_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/notify"
)

const (
	hooksPath = "/dashboard/test/webhooks"
	evil      = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
)

func TestWebhookEndpoints(t *testing.T) {
	w := desktest.New(t)
	w.Get(hooksPath).Has(t, "No endpoint yet", hooksPath+"/new")
	form := url.Values{"url": {"https://shop.example/hooks"}, "which": {"some"}, "events": {"payment.succeeded", "refund.failed"}}
	path, secret := w.Endpoint(form)
	again := w.Post(hooksPath, form) // the same form once more: the same endpoint, the same secret
	again.Has(t, secret)
	list := w.Get(hooksPath)
	list.Has(t, "https://shop.example/hooks", "2 events", "Enabled")
	list.Lacks(t, secret, "No endpoint yet")
	if n := strings.Count(list.Body, `<tr role="row" id="whe_`); n != 1 {
		t.Errorf("%d endpoints", n)
	}
	one := w.Get(path)
	one.Has(t, "payment.succeeded", "refund.failed", "Nothing was sent yet", "Send a test event")
	one.Lacks(t, secret)

	p := w.Post(path, url.Values{"url": {"http://shop.example/"}, "which": {"every"}})
	p.Has(t, "The address must begin with https://.", `aria-invalid="true"`)
	if p.Status != http.StatusUnprocessableEntity {
		t.Errorf("%d", p.Status)
	}
	w.Post(path, url.Values{"url": {"https://shop.example/"}, "which": {"some"}}).Has(t, "Choose at least one event.")
	w.Post(path, url.Values{"url": {"https://shop.example/"}}).Has(t, "Choose at least one event.") // nothing said is not every event
	w.Post(path, url.Values{"url": {"https://shop.example:0/"}, "which": {"every"}}).Has(t, "a port is from 1 to 65535")
	second := url.Values{"url": {"https://SHOP.example/hooks"}, "which": {"every"}, "attempt": {w.Attempt(w.Get(hooksPath + "/new"))}}
	w.Post(hooksPath, second).Has(t, "Another endpoint has this address already")
	w.Post(
		path,
		url.Values{"url": {"https://new.example/"}, "which": {"every"}},
	).Has(
		t,
		"The endpoint was changed.",
		"https://new.example/",
		"All events, also those to come",
	)

	w.Post(
		path+"/enabled",
		url.Values{"enabled": {"no"}},
	).Has(
		t,
		"Disabled",
		"Somebody of your account disabled it.",
		"Nothing is sent to this endpoint any more.",
	)
	w.Post(path+"/enabled", url.Values{"enabled": {"yes"}}).Has(t, "Enabled", "The endpoint is enabled.")

	rotate := url.Values{"attempt": {w.Attempt(w.Get(path + "/rotate"))}}
	p = w.Post(path+"/rotate", rotate)
	p.Has(t, "For 24 hours the old secret and this one both sign")
	p.Lacks(t, secret)
	w.Post(path+"/rotate", rotate).Has(t, desktest.SecretValue.FindStringSubmatch(p.Body)[1])

	w.Get(path+"/delete").Has(t, "Delete the endpoint?", "https://new.example/")
	deletion := url.Values{"attempt": {id.New(id.Request)}}
	w.Post(path+"/delete", deletion).Has(t, "The endpoint was deleted.", "No endpoint yet")
	for _, gone := range []string{path, hooksPath + "/" + id.New(id.Endpoint), hooksPath + "/nonsense"} {
		p := w.Post(gone+"/delete", deletion)
		p.Has(t, "There was nothing to delete.")
		p.Lacks(t, "was deleted.")
	}
	if p := w.Do(w.Client, http.MethodGet, path, nil); p.Status != http.StatusNotFound {
		t.Errorf("deleted: %d", p.Status)
	}
	if p := w.Do(w.Client, http.MethodGet, hooksPath+"/nothing", nil); p.Status != http.StatusNotFound {
		t.Errorf("no id: %d", p.Status)
	}
}

func TestDeliveriesAreShown(t *testing.T) {
	w := desktest.New(t)
	path, _ := w.Endpoint(url.Values{"url": {"https://shop.example/hooks"}})
	parked := w.Try(path, notify.DeadLetter, nil)
	w.Try(path, notify.Succeeded, func(d *notify.Delivery) {
		d.EventType, d.HTTPStatus, d.Error, d.At = "link.paid", 204, "", d.At.AddDate(0, 0, -2)
	})
	p := w.Get(path)
	p.Has(t, "Given up", "Delivered", "1,234 ms", "500", "204", path+"/deliveries/"+parked.ID)
	w.Get(path+"?status=parked").Lacks(t, `data-label="Answer"><bdi class="eventname">204`)
	w.Get(path+"?type=link.paid").Lacks(t, parked.ID)
	w.Get(path+"?from="+time.Now().UTC().Format(time.DateOnly)).Lacks(t, `data-label="Answer"><bdi class="eventname">204`)
	w.Get(path+"?status=pending").Has(t, "No delivery matches")

	one := w.Get(path + "/deliveries/" + parked.ID)
	one.Has(
		t,
		"POST https://shop.example/hooks",
		"v1,abc v1a,def",
		"&#34;evt_1&#34;",
		"http_status: the endpoint answered 500",
		">no<",
		"Send again",
	)
	sent := url.Values{"attempt": {w.Attempt(one)}}
	again := w.Post(path+"/deliveries/"+parked.ID, sent)
	again.Has(t, "Waiting", "It is on its way again.", `data-hx-trigger="every 1s"`)
	if twice := w.Post(path+"/deliveries/"+parked.ID, sent); twice.Path != again.Path {
		t.Errorf("sent twice: %s and %s", again.Path, twice.Path)
	}
	part := w.Get(again.Path, "HX-Request", "true")
	part.Has(t, "Waiting")
	part.Lacks(t, "<html")

	csv := w.Get(path + "/deliveries.csv?status=parked")
	if lines := strings.Count(csv.Body, "\r\n"); lines != 2 || !strings.HasPrefix(csv.Body, "\ufeffid,createdAt,event,") ||
		!strings.Contains(csv.Header.Get("Content-Type"), "text/csv") {
		t.Errorf("%d lines: %s", lines, csv.Body)
	}
	test := url.Values{"attempt": {w.Attempt(w.Get(path))}, "type": {"payment.succeeded"}}
	p = w.Post(path+"/test", test)
	p.Has(t, "payment.succeeded", "&#34;test&#34;: true", "Waiting")
	p.Lacks(t, "Send again")
	if twice := w.Post(path+"/test", test); twice.Path != p.Path {
		t.Errorf("tested twice: %s and %s", p.Path, twice.Path)
	}
}

func TestBulkRedeliveryIsShown(t *testing.T) {
	w := desktest.New(t)
	path, _ := w.Endpoint(url.Values{"url": {"https://shop.example/hooks"}})
	for range 4 {
		w.Try(path, notify.DeadLetter, nil)
	}
	form := url.Values{"attempt": {w.Attempt(w.Get(path + "/redeliver"))}, "status": {"parked"}, "type": {""}}
	p := w.Post(path+"/redeliver", form)
	p.Has(t, "Sending again", "Running", `max="4" value="0"`, "Stop sending", `data-hx-trigger="every 1s"`)
	if twice := w.Post(path+"/redeliver", form); twice.Path != p.Path {
		t.Errorf("begun twice: %s and %s", p.Path, twice.Path)
	}
	form.Set("attempt", id.New(id.Request))
	w.Post(path+"/redeliver", form).Has(t, "A bulk redelivery is running.")
	if _, err := w.Hooks.CarryOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	bulk := strings.TrimPrefix(p.Path, path+"/redeliveries/")
	pending, err := w.Hooks.Deliveries(
		t.Context(),
		w.Account,
		link.Test,
		strings.TrimPrefix(path, hooksPath+"/"),
		notify.DeliveryQuery{Status: notify.Pending, Limit: 10},
	)
	if err != nil || len(pending) != 4 {
		t.Fatal(len(pending), err)
	}
	for i, d := range pending {
		if i < 3 {
			w.Try(path, notify.Succeeded, func(n *notify.Delivery) { n.ID, n.Event, n.Redelivery = d.ID, d.Event, bulk })
		}
	}
	part := w.Get(p.Path, "HX-Request", "true")
	part.Has(t, `max="4" value="3"`, "75%")
	part.Lacks(t, "<html")
	ended := w.Post(p.Path, url.Values{"attempt": {id.New(id.Request)}})
	ended.Has(t, "Canceled")
	ended.Lacks(t, "data-hx-get", "Stop sending")
	w.Get(path).Has(t, "Canceled", p.Path)
	w.Post(
		path+"/redeliver",
		url.Values{"attempt": {id.New(id.Request)}, "status": {"parked"}, "from": {"2026-02-02"}, "to": {"2026-01-01"}},
	).Has(
		t,
		"The last day is before the first.",
	)
}

// TestWebhooksStandHostileText: whatever a receiver answers, or a key is called, it is
// shown as text.
func TestWebhooksStandHostileText(t *testing.T) {
	w := desktest.New(t)
	w.Post(
		hooksPath,
		url.Values{"url": {"https://shop.example/" + evil}, "attempt": {id.New(id.Request)}},
	).Lacks(
		t,
		"<script>alert",
		"<img src=x",
	)
	path, _ := w.Endpoint(url.Values{"url": {"https://shop.example/%3Cscript%3E?" + strings.Repeat("x", 1900)}})
	d := w.Try(path, notify.Failed, func(d *notify.Delivery) {
		d.Answer, d.Error, d.SealedBody = evil, "http_status: "+evil, w.Seal([]byte(evil))
		d.Request.Headers = append(d.Request.Headers, notify.Header{Name: evil, Value: evil})
	})
	for _, at := range []string{path, path + "/deliveries/" + d.ID,
		path + "?status=" + url.QueryEscape(evil) + "&type=" + url.QueryEscape(evil) + "&before=" + d.ID,
		path + "/redeliver?status=" + url.QueryEscape(evil)} {
		p := w.Do(w.Client, http.MethodGet, at, nil)
		if wrong := strings.Contains(at, "status="); wrong != (p.Status == http.StatusBadRequest) {
			t.Errorf("%s answers %d", at, p.Status)
		}
		p.Lacks(t, "<script>alert", "<img src=x")
		if len(p.Body) < 1000 {
			t.Errorf("%s: %s", at, p.Body)
		}
	}
	made := url.Values{"attempt": {id.New(id.Request)}, "name": {evil}, "scopes": {"links:read"}}
	w.Post("/dashboard/test/keys", made).Lacks(t, "<script>alert", "<img src=x")
	w.Get("/dashboard/test/keys").Lacks(t, "<script>alert", "<img src=x")
	w.Get("/dashboard/test/keys.csv")
}

func TestKeys(t *testing.T) {
	w := desktest.New(t)
	const keys = "/dashboard/test/keys"
	w.Get(keys).Has(t, "No key yet")
	form := url.Values{
		"attempt": {w.Attempt(w.Get(keys + "/new"))},
		"name":    {"shop"},
		"scopes":  {"links:read", "links:write", "payments:read"},
		"expires": {"30"},
	}
	p := w.Post(keys, form)
	secret := desktest.SecretValue.FindStringSubmatch(p.Body)[1]
	p.Has(t, "It is shown only this once", "shop")
	w.Post(keys, form).Has(t, secret)
	all, err := w.Merchants.Keys(t.Context(), w.Account, "", 10)
	if err != nil || len(all) != 1 || len(all[0].Scopes) != 3 || all[0].ExpiresAt.IsZero() {
		t.Fatalf("%+v, %v", all, err)
	}
	k := all[0]
	list := w.Get(keys)
	list.Has(t, "shop", "3 rights", "Never used", "Until ", keys+"/"+k.ID+"/rotate")
	list.Lacks(t, secret)
	w.Get("/dashboard/live/keys").Has(t, "No key yet")
	if p := w.Do(w.Client, http.MethodGet, "/dashboard/live/keys/"+k.ID+"/rotate", nil); p.Status != http.StatusNotFound {
		t.Errorf("a key of the other mode: %d", p.Status)
	}
	if _, err := w.Merchants.AuthenticateSecret(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	rotate := url.Values{"attempt": {w.Attempt(w.Get(keys + "/" + k.ID + "/rotate"))}, "grace": {"3600"}}
	p = w.Post(keys+"/"+k.ID+"/rotate", rotate)
	fresh := desktest.SecretValue.FindStringSubmatch(p.Body)[1]
	p.Has(t, "The old secret works until")
	w.Post(keys+"/"+k.ID+"/rotate", rotate).Has(t, fresh)
	for _, s := range []string{secret, fresh} { // both work for an hour
		if _, err := w.Merchants.AuthenticateSecret(t.Context(), s); err != nil {
			t.Error(err)
		}
	}
	w.Get(keys+"/"+k.ID+"/revoke").Has(t, "Revoke the key?", "shop")
	p = w.Post(keys+"/"+k.ID+"/revoke", url.Values{"attempt": {id.New(id.Request)}})
	p.Has(t, "The key was revoked.", "Revoked")
	p.Lacks(t, keys+"/"+k.ID+"/rotate")
	if _, err := w.Merchants.AuthenticateSecret(t.Context(), fresh); err == nil {
		t.Error("a revoked key still works")
	}
	w.Post(keys, url.Values{"attempt": {id.New(id.Request)}, "name": {""}, "scopes": {"links:read"}}).Has(t, "Give it a name.")
	w.Post(keys, url.Values{"attempt": {id.New(id.Request)}, "name": {"x"}}).Has(t, "Tick at least one right.")
	for range 30 {
		w.Post(keys, url.Values{"attempt": {id.New(id.Request)}, "name": {"many"}, "scopes": {"links:read"}})
	}
	first := w.Get(keys)
	next := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(first.Body)
	if next == nil {
		t.Fatal("no second page")
	}
	w.Get(next[1]).Has(t, "shop", "Newest")
	if csv := w.Get("/dashboard/test/keys.csv"); strings.Count(csv.Body, "\r\n") != 32 || strings.Contains(csv.Body, fresh) {
		t.Errorf("%s", csv.Body)
	}
}

// TestWebhooksInEveryLanguage: no page of this section shows a key of the catalog.
func TestWebhooksInEveryLanguage(t *testing.T) {
	w := desktest.New(t)
	path, _ := w.Endpoint(url.Values{"url": {"https://shop.example/hooks"}})
	d := w.Try(path, notify.Failed, nil)
	for _, lang := range []string{"de", "fr", "es", "pt", "ar", "ja", "en"} {
		for _, at := range []string{hooksPath, hooksPath + "/new", path, path + "/edit", path + "/rotate", path + "/delete",
			path + "/redeliver", path + "/deliveries/" + d.ID,
			"/dashboard/test/keys", "/dashboard/test/keys/new"} {
			p := w.Get(at + "?lang=" + lang)
			if m := regexp.MustCompile(`>(webhooks|keys)\.[a-z]\w*<`).FindString(p.Body); m != "" {
				t.Errorf("%s in %s shows %s", at, lang, m)
			}
			if want := `lang="` + lang + `"`; !strings.Contains(p.Body, want) {
				t.Errorf("%s lacks %s", at, want)
			}
		}
	}
}
