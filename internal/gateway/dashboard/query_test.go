package dashboard_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/gateway/dashboard"
	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/notify"
)

// everyPage returns an address of each page that needs a session, by its path. It leaves
// out the page of a passkey, which takes a browser to make, and the preview of a form
// that is being made, whose query is the whole form.
func everyPage(w *desktest.World) map[string]string {
	w.T.Helper()
	const test = "/dashboard/test"
	paid := w.Paid()
	held := w.Held(nil)
	authorized := w.Pay(w.Link(func(r *link.CreateRequest) { r.Capture = link.CaptureManual }), desktest.Good, nil)
	open := w.Link(nil)
	form := w.FormMade(desktest.Tickets())
	hook, _ := w.Endpoint(url.Values{"url": {"https://shop.example/hooks"}})
	delivery := w.Try(hook, notify.DeadLetter, nil)
	bulk := w.Post(hook+"/redeliver", url.Values{"attempt": {w.Attempt(w.Get(hook + "/redeliver"))}, "status": {"parked"}, "type": {""}})
	w.Post(
		test+"/keys",
		url.Values{"attempt": {w.Attempt(w.Get(test + "/keys/new"))}, "name": {"shop"}, "scopes": {"links:read"}, "expires": {"30"}},
	)
	keys, err := w.Merchants.Keys(w.T.Context(), w.Account, "", 1)
	if err != nil || len(keys) != 1 {
		w.T.Fatal(keys, err)
	}
	rule := w.MakeRule("large", "review", "amount > 100", "off")
	w.Post(
		"/dashboard/test/fraud/lists",
		url.Values{
			"kind":    {"bin"},
			"value":   {"424242"},
			"action":  {"allow"},
			"life":    {""},
			"attempt": {w.Attempt(w.Get("/dashboard/test/fraud/lists/new"))},
		},
	)
	entries, err := w.Rulebook.Lists(w.T.Context(), w.Account, link.Test, "", "", 1)
	if err != nil || len(entries) != 1 {
		w.T.Fatal(entries, err)
	}
	disputes := test + "/payments/" + paid.ID + "/disputes"
	w.Post(
		disputes,
		url.Values{
			"attempt":       {w.Attempt(w.Get(disputes))},
			"reason":        {"fraudulent"},
			"amount":        {"1.00"},
			"reference":     {"1"},
			"evidenceDueAt": {"2099-01-31"},
		},
	)
	dispute := w.Payment(paid.ID).Disputes[0].ID

	pages := map[string]string{
		"/payments/{id}": paid.ID, "/payments/{id}/refund": paid.ID, "/payments/{id}/disputes": paid.ID,
		"/payments/{id}/disputes/{dispute}": paid.ID,
		"/payments/{id}/capture":            authorized.ID, "/payments/{id}/void": authorized.ID,
		"/payments/{id}/approve": held.ID, "/payments/{id}/decline": held.ID, "/payments/{id}/fraud": held.ID,
		"/overview/{table}": "volume", "/fraud/tables/{table}": "days",
	}
	out := map[string]string{}
	for _, path := range dashboard.SignedInPages(w.Dashboard) {
		rest := strings.TrimPrefix(path, "/dashboard/{mode}")
		id := pages[rest]
		switch {
		case id != "":
		case strings.HasPrefix(rest, "/links/"):
			id = open.ID
		case strings.HasPrefix(rest, "/webhooks/"):
			id = strings.TrimPrefix(hook, "/dashboard/test/webhooks/")
		case strings.HasPrefix(rest, "/keys/"):
			id = keys[0].ID
		case strings.HasPrefix(rest, "/forms/"):
			id = form
		case strings.HasPrefix(rest, "/fraud/rules/"):
			id = rule
		case strings.HasPrefix(rest, "/fraud/lists/"):
			id = entries[0].ID
		}
		out[path] = strings.NewReplacer("{mode}", "test", "{id}", id, "{table}", id, "{dispute}", dispute, "{delivery}", delivery.ID,
			"{redelivery}", bulk.Path[strings.LastIndexByte(bulk.Path, '/')+1:]).Replace(path)
	}
	out["/dashboard/{mode}/payments/{id}/disputes/{dispute}"] += "?to=under_review"
	out["/dashboard/{mode}/fraud/rules/{id}/state"] += "?to=shadow"
	delete(out, "/dashboard/account/security/passkeys/{id}")
	delete(out, "/dashboard/{mode}/forms/preview")
	delete(out, "/dashboard/{mode}/fraud/models") // this world has no models
	return out
}

// TestEveryPageNamesWhatItDoesNotKnow: no page leaves a name of its query out silently.
func TestEveryPageNamesWhatItDoesNotKnow(t *testing.T) {
	w := desktest.New(t)
	for path, address := range everyPage(w) {
		w.Get(address)
		more := "?"
		if strings.Contains(address, "?") {
			more = "&"
		}
		for query, words := range map[string]string{"surprise=1": "no filter called “surprise”", "lang=en&Lang=de": "no filter called “Lang”", "a=%zz": `role="alert"`} {
			got := w.Do(w.Client, http.MethodGet, address+more+query, nil)
			if got.Status != http.StatusBadRequest {
				t.Errorf("%s with %s answers %d", path, query, got.Status)
			}
			got.Has(t, words)
		}
		if p := w.Do(w.Client, http.MethodGet, address+more+"lang=en", nil); p.Status != http.StatusOK {
			t.Errorf("%s with lang=en answers %d", path, p.Status)
		}
	}
	for _, path := range []string{"/dashboard/sign-in", "/dashboard/forgotten"} { // a mail program may add names to a link
		if p := w.Do(w.Stranger(), http.MethodGet, path+"?utm_source=mail", nil); p.Status != http.StatusOK {
			t.Errorf("%s answers %d", path, p.Status)
		}
	}
}

// TestALongReferenceIsFound: a reference of 200 characters is looked for whole, in
// every script; a longer text is refused.
func TestALongReferenceIsFound(t *testing.T) {
	w := desktest.New(t)
	long := slices.Repeat([]string{"注文"}, 99)
	first, other := strings.Join(long, "")+"一番", strings.Join(long, "")+"二番"
	one := w.Pay(w.Link(func(r *link.CreateRequest) { r.Reference = first }), desktest.Good, nil)
	w.Reported()
	find := func(q string) desktest.Page {
		return w.Do(w.Client, http.MethodGet, "/dashboard/test/payments?q="+url.QueryEscape(q), nil)
	}
	find(first).Has(t, one.ID)
	find(other).Lacks(t, one.ID)
	if p := find(first + "x"); p.Status != http.StatusBadRequest {
		t.Errorf("201 characters: %d", p.Status)
	}
}
