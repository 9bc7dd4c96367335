package frame_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
)

// TestOneDayOneAnswer: a day in a zone has the same payments on every screen; the
// zone is the account's where none is asked for.
func TestOneDayOneAnswer(t *testing.T) {
	w := desktest.New(t)
	p := w.Pay(w.Link(nil), desktest.Good, nil)
	w.Reported()
	for _, zone := range []string{"Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago"} {
		place, err := calendar.Zone("zone", zone)
		if err != nil {
			t.Fatal(err)
		}
		today := calendar.DayOf(p.CreatedAt, place)
		for day, here := range map[calendar.Day]bool{today.Add(-1): false, today: true, today.Add(1): false} {
			q := "?from=" + day.String() + "&to=" + day.String() + "&zone=" + zone
			for _, path := range []string{"/dashboard/test/payments" + q, "/dashboard/test/payments" + q + "&currency=EUR",
				"/dashboard/test/payments.csv" + q} {
				if got := strings.Contains(w.Get(path).Body, p.ID); got != here {
					t.Errorf("%s shows the payment: %v", path, got)
				}
			}
			if got := strings.Contains(w.Get("/dashboard/test/overview"+q).Body, `class="value"><bdi>€12.50`); got != here {
				t.Errorf("the overview of %s in %s counts the payment: %v", day, zone, got)
			}
		}
	}
	w.Post("/dashboard/account/settings", url.Values{"timeZone": {"Pacific/Kiritimati"}}).Has(t, "Your days now begin in Pacific/Kiritimati.")
	line, err := calendar.Zone("zone", "Pacific/Kiritimati")
	if err != nil {
		t.Fatal(err)
	}
	day := calendar.DayOf(p.CreatedAt, line).String()
	list := w.Get("/dashboard/test/payments?from=" + day + "&to=" + day)
	list.Has(t, p.ID, `data-zone="Pacific/Kiritimati"`, "UTC+14:00", `<option value="Pacific/Kiritimati" selected`)
	list.Has(t, `/dashboard/test/payments.csv?from=`+day+`&amp;to=`+day)
	w.Get("/dashboard/test/payments?span=today").Has(t, p.ID, `aria-current="page">Today`, `value="`+day+`"`)
	w.Get("/dashboard/test/payments?span=yesterday").Lacks(t, "/payments/"+p.ID)
	if wrong := w.Post("/dashboard/account/settings", url.Values{"timeZone": {"Mars/Phobos"}}); wrong.Status != http.StatusUnprocessableEntity {
		t.Errorf("a zone that is none answers %d", wrong.Status)
	}
}

// TestTheBrowsersZoneIsTakenOnce: where none was chosen; what is no zone is ignored.
func TestTheBrowsersZoneIsTakenOnce(t *testing.T) {
	w := desktest.New(t)
	for _, c := range []struct{ browser, want string }{{"Mars/Phobos", ""}, {"", ""}, {"Asia/Tokyo", "Asia/Tokyo"},
		{"Europe/Paris", "Asia/Tokyo"}} {
		in := w.Do(
			w.Stranger(),
			http.MethodPost,
			"/dashboard/sign-in",
			url.Values{"login": {desktest.Username}, "password": {desktest.Password}, "timeZone": {c.browser}},
		)
		a, err := w.Merchants.GetAccount(t.Context(), w.Account)
		if err != nil || a.TimeZone != c.want || in.Status != http.StatusOK {
			t.Errorf("after a browser in %q the account is in %q, %v; %d", c.browser, a.TimeZone, err, in.Status)
		}
	}
}

// TestWhatIsNotUnderstoodIsSaid: no filter is silently left out, in lists and files.
func TestWhatIsNotUnderstoodIsSaid(t *testing.T) {
	w := desktest.New(t)
	p := w.Pay(w.Link(nil), desktest.Good, nil)
	hook, _ := w.Endpoint(url.Values{"url": {"https://shop.example/hooks"}})
	dates := map[string]string{
		"from=2027-02-29":               "“2027-02-29” is not a date",
		"from=30.11.2026":               "“30.11.2026” is not a date",
		"to=x":                          "“x” is not a date",
		"from=2026-11-30&to=2026-11-29": "The last day is before the first",
		"zone=Mars/Phobos":              "“Mars/Phobos” is not a time zone",
		"zone=Local":                    "is not a time zone",
		"span=fortnight":                "“fortnight” is not one of the choices",
		"span=7&from=2026-11-30":        "not both",
		"form=2026-11-30":               "no filter called “form”",
		"zone=UTC&zone=UTC":             "more than once",
	}
	more := func(all ...string) map[string]string {
		out := map[string]string{}
		for query, words := range dates {
			out[query] = words
		}
		for i := 0; i < len(all); i += 2 {
			out[all[i]] = all[i+1]
		}
		return out
	}
	unknown := map[string]string{"x=1": "no filter called “x”"}
	for path, wrong := range map[string]map[string]string{
		"/dashboard/test/payments": more("status=paid", "“paid” is not one of", "currency=XXX", "“XXX” is not a currency",
			"before=1.pay_x", "does not exist"),
		"/dashboard/test/payments.csv":      more("status=paid", "“paid” is not one of", "currency=XXX", "“XXX” is not a currency"),
		"/dashboard/test/overview":          more("currency=XXX", "“XXX” is not a currency"),
		"/dashboard/test/overview/volume":   more("currency=XXX", "“XXX” is not a currency"),
		"/dashboard/test/links":             {"status=gone": "“gone” is not one of", "before=x": "does not exist", "x=1": "no filter called “x”"},
		"/dashboard/test/links.csv":         {"status=gone": "“gone” is not one of", "from=2026-11-30": "no filter called “from”"},
		"/dashboard/test/balance":           {"before=x": "does not exist", "x=1": "no filter called “x”"},
		"/dashboard/test/balance.csv":       {"from=2026-11-30": "no filter called “from”"},
		"/dashboard/test/forms":             {"archived=maybe": "“maybe” is not one of", "before=x": "does not exist"},
		"/dashboard/test/forms.csv":         unknown,
		"/dashboard/test/keys":              unknown,
		"/dashboard/test/keys.csv":          unknown,
		"/dashboard/test/webhooks":          unknown,
		hook:                                more("status=lost", "“lost” is not one of", "type=payment.gone", "“payment.gone” is not one of"),
		hook + "/deliveries.csv":            more("status=lost", "“lost” is not one of"),
		"/dashboard/test/fraud":             {"days=8": "“8” is not one of", "x=1": "no filter called “x”"},
		"/dashboard/test/fraud/tables/days": {"days=8": "“8” is not one of"},
		"/dashboard/test/fraud/lists":       {"kind=iban": "“iban” is not one of", "x=1": "no filter called “x”"},
		"/dashboard/test/review":            {"view=lost": "“lost” is not one of", "x=1": "no filter called “x”"},
		"/dashboard/account/invitations":    unknown,
		"/dashboard/account/notifications":  unknown,
		"/dashboard/account/settings":       unknown,
	} {
		w.Get(path)
		for query, words := range wrong {
			got := w.Do(w.Client, http.MethodGet, path+"?"+query, nil)
			if got.Status != http.StatusBadRequest || strings.HasPrefix(got.Header.Get("Content-Type"), "text/csv") {
				t.Errorf("%s?%s answers %d, %s", path, query, got.Status, got.Header.Get("Content-Type"))
			}
			got.Has(t, words, `role="alert"`)
			got.Lacks(t, p.ID)
		}
	}
	w.Reported()
	day := time.Now().UTC().Format(time.DateOnly)
	w.Get(
		"/dashboard/test/payments?from="+day+"&to="+day+"&zone=UTC&lang=en&currency=eur&status=succeeded",
	).Has(
		t,
		"payments.csv?currency=EUR",
	)
}
