package account_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
)

const done = "/dashboard/account/activity"

// TestActivityPage: what was done is listed with who did it, filtered, and downloaded, which is noted
// too. The log of a payment shows the person by name.
func TestActivityPage(t *testing.T) {
	w := desktest.New(t)
	p := w.Paid()
	at := "/dashboard/test/payments/" + p.ID
	form, _ := w.Moves(at+"/refund", "1.00")
	w.Post(at+"/refund", form)

	page := w.Get(done)
	page.Has(t, "Refunded a payment", "Signed in", "Signed up", p.ID, "127.0.0.0/24", "Go-http-client/1.1")
	w.Get(done, "Accept-Language", "de").Has(t, "Zahlung erstattet", "Aktivität")
	w.Get(done+"?kind=user.signed_in").Lacks(t, p.ID)
	w.Get(done+"?kind=payment.refund_requested").Has(t, p.ID, "Show everything")
	w.Get(done+"?from=2020-01-01&to=2020-01-02").Has(t, "Nothing found", "Show everything")
	for _, query := range []string{"kind=nonsense", "by=nobody", "before=x", "who=ada"} {
		if refused := w.Do(w.Client, http.MethodGet, done+"?"+query, nil); refused.Status != http.StatusBadRequest || strings.Contains(refused.Body, p.ID) {
			t.Errorf("%s: %d", query, refused.Status)
		}
	}

	file := w.Get(done + ".csv?kind=payment.refund_requested")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file.Body, "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][2] != "payment.refund_requested" || rows[1][11] != p.ID || rows[1][7] == "" {
		t.Errorf("%v, %v", rows, err)
	}
	noted := w.Get(done + "?kind=data.exported")
	noted.Has(t, "<small><bdi>activity</bdi></small>")
	noted.Lacks(t, "Nothing found")

	w.Get(at).Has(t, rows[1][7]) // the name, where it said "You" or nothing
	// Nobody but the account sees it.
	if got := w.Do(w.Stranger(), http.MethodGet, done, url.Values{}); strings.Contains(got.Body, p.ID) {
		t.Errorf("a stranger sees the activity: %d", got.Status)
	}
}
