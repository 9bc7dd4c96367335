package pages

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// hooksUser signs in to the sections of webhooks and keys.
const hooksUser = "ada-lovelace-and-daughters"

// TestDashboardAccessibility_Webhooks shows the sections of webhooks and of API keys to axe-core:
// empty, with an endpoint whose server refuses and then accepts, the request and the answer of a
// delivery, a bulk redelivery, and the secrets.
func TestDashboardAccessibility_Webhooks(t *testing.T) {
	t.Parallel()
	g := newGallery(t, harness.Start(t))
	var user *harness.Client
	user, g.key = g.p.Merchant(t, hooksUser)
	g.b.SignIn(g.p.URL, hooksUser)
	webhookPages(g)
	keyPages(g, user)
	g.b.OnlyOwnOrigin(g.p.URL)
}

func webhookPages(g *gallery) {
	g.t.Helper()
	var well atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if !well.Load() {
			rw.WriteHeader(http.StatusGone)
		}
		_, _ = rw.Write([]byte(`{"error":"the queue of the shop is being rebuilt"}`))
	}))
	g.t.Cleanup(s.Close)
	const rooms = "/dashboard/test/webhooks"
	g.show("/dashboard/live/webhooks", "webhooks empty")
	g.show(rooms+"/new", "webhook new")
	g.b.Run(
		chromedp.SetValue(harness.CSS("#url"), s.URL+"/webhooks"),
		chromedp.Click(harness.CSS("main form button.primary")),
		chromedp.WaitVisible(harness.CSS("#secret")),
	)
	g.audit("dashboard webhook secret")
	listed := harness.List(g.t, g.key.OK("GET", "/api/webhook-endpoints", ""), "data")
	one := rooms + "/" + harness.Str(g.t, listed[0], "id")
	api := "/api/webhook-endpoints/" + harness.Str(g.t, listed[0], "id")
	g.show(one, "webhook without deliveries")
	g.link(`"amount":"12.50"`)
	await.Until(g.t, "the endpoint is disabled", func() bool { return g.key.OK("GET", api, "")["status"] == "disabled" })
	await.Until(g.t, "its delivery is parked", func() bool {
		return len(harness.List(g.t, g.key.OK("GET", api+"/deliveries?status=parked&eventType=link.created", ""), "data")) == 1
	})
	g.show(one, "webhook disabled")
	well.Store(true)
	g.key.OK("PUT", api, `{"enabled":true,"events":["link.created","payment.succeeded","refund.succeeded"]}`)
	parked := harness.Str(g.t, harness.List(g.t, g.key.OK("GET", api+"/deliveries?status=parked&eventType=link.created", ""), "data")[0], "id")
	g.show(one+"/deliveries/"+parked, "webhook delivery")
	g.show(one+"/edit", "webhook edit")
	g.show(one+"/rotate", "webhook rotate")
	g.show(one+"/delete", "webhook delete")
	g.show(one+"/redeliver", "webhook bulk")
	g.b.Click("main form button.primary")
	g.b.Shows(
		"the bulk redelivery shows its end by itself",
		`document.querySelector("main progress")?.value === document.querySelector("main progress")?.max && document.querySelector("main .badge.good") !== null`,
	)
	g.audit("dashboard webhook bulk done")
	g.show(one, "webhook")
	streamsCSV(g)
	g.b.Click(`main form[action$="/test"] button`)
	g.b.Shows(
		"the test shows its answer by itself",
		`location.pathname.includes("/deliveries/") && document.querySelector("main .badge.good") !== null`,
	)
	g.audit("dashboard webhook test")
	g.show(rooms, "webhooks")
}

// streamsCSV: with a script a table's CSV comes with a bar and the count of its rows,
// and is kept when it came whole; what is no table says so and is not kept.
func streamsCSV(g *gallery) {
	g.t.Helper()
	dir := g.t.TempDir()
	if _, err := chromedp.CallBrowser(g.b.Ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
		Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir}); err != nil {
		g.t.Fatal(err)
	}
	harness.Ask[any](g.b, `(() => {
		const plain = window.fetch;
		window.told = [];
		window.fetch = async (...a) => { // let the bar be seen
			window.told.push(document.querySelector(".csvbar progress") !== null);
			return plain(...a);
		};
		return null;
	})()`)
	g.b.Click("a[data-csv]")
	await.Until(g.t, "the table is kept", func() bool {
		found, err := filepath.Glob(filepath.Join(dir, "deliveries-whe_*.csv"))
		if err != nil || len(found) != 1 {
			return false
		}
		raw, err := os.ReadFile(found[0])
		return err == nil && strings.HasPrefix(string(raw), "\ufeffid,createdAt,event,") && strings.Count(string(raw), "\r\n") > 2
	})
	if !harness.Ask[bool](
		g.b,
		`window.told.length === 1 && window.told[0] && document.querySelector(".csvbar") === null && !document.querySelector("a[data-csv]").hidden`,
	) {
		g.t.Error("the bar was not there while the rows came, or did not go")
	}
	harness.Ask[any](g.b, `document.querySelector("a[data-csv]").href = "/dashboard/test/keys", null`)
	g.b.Click("a[data-csv]")
	g.b.Shows(
		"a table that did not come is told of",
		`document.querySelector(".csvbar .error")?.textContent === "The download broke off. Try again."`,
	)
	g.audit("dashboard webhook csv failed")
	g.b.Open(harness.Ask[string](g.b, `location.href`))
}

func keyPages(g *gallery, user *harness.Client) {
	g.t.Helper()
	const room = "/dashboard/test/keys"
	user.OK(
		"POST",
		"/api/api-keys",
		`{"name":"The shop’s order service, which has a long name","mode":"test","scopes":["links:read"],"expiresAt":"2031-01-01T00:00:00Z"}`,
	)
	gone := user.OK("POST", "/api/api-keys", `{"name":"old","mode":"test","scopes":["links:read","links:write"]}`)
	user.OK("DELETE", "/api/api-keys/"+harness.Str(g.t, gone, "id"), "")
	g.show("/dashboard/live/keys", "keys empty")
	g.show(room, "keys")
	g.show(room+"/new", "key new")
	g.b.Run(
		chromedp.SetValue(harness.CSS("#name"), "accounting"),
		chromedp.Click(harness.CSS("main form button.primary")),
		chromedp.WaitVisible(harness.CSS("#secret")),
	)
	g.audit("dashboard key secret")
	newest := harness.Str(g.t, harness.List(g.t, user.OK("GET", "/api/api-keys", ""), "data")[0], "id")
	g.show(room+"/"+newest+"/rotate", "key rotate")
	g.show(room+"/"+newest+"/revoke", "key revoke")
}
