package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/calendar"
)

// TestDaysAreTheAccounts: the same date as from and to is that whole day in the
// account's zone, in lists and files alike.
func TestDaysAreTheAccounts(t *testing.T) {
	w := newWorld(t)
	if u := w.ok("GET", "/api/users/me", w.token, ""); u["timeZone"] != "UTC" {
		t.Errorf("a new account is in %v", u["timeZone"])
	}
	made := w.pay("")
	for _, zone := range []string{"Asia/Kathmandu", "Pacific/Auckland", "Pacific/Pago_Pago"} {
		if u := w.ok("PUT", "/api/users", w.token, `{"timeZone":"`+zone+`"}`); u["timeZone"] != zone {
			t.Fatalf("the account is in %v", u["timeZone"])
		}
		place, err := calendar.Zone("zone", zone)
		if err != nil {
			t.Fatal(err)
		}
		today := calendar.DayOf(made.CreatedAt, place)
		for day, want := range map[calendar.Day]int{today.Add(-1): 0, today: 1, today.Add(1): 0} {
			q := "?from=" + day.String() + "&to=" + day.String()
			if got := len(w.ok("GET", "/api/payments"+q, w.key, "")["data"].([]any)); got != want {
				t.Errorf("%s in %s lists %d, want %d", day, zone, got, want)
			}
			file := w.do("GET", "/api/payments.csv"+q, w.key, "")
			if got := strings.Count(string(file.body), made.ID); got != want {
				t.Errorf("%s in %s has %d in its file, want %d", day, zone, got, want)
			}
		}
		instant := made.CreatedAt.Add(time.Second).Format(time.RFC3339)
		if got := len(w.ok("GET", "/api/payments?from="+today.String()+"&to="+instant, w.key, "")["data"].([]any)); got != 1 {
			t.Errorf("a day and an instant in %s list %d", zone, got)
		}
	}
}
