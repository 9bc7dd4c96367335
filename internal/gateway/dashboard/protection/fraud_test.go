package protection_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// TestFraudLists: an entry is added once, from a payment too, refused with what is
// wrong, and removed.
func TestFraudLists(t *testing.T) {
	w := desktest.New(t)
	at := desktest.FraudPath + "/lists"
	w.Get(at).Has(t, "The lists are empty")
	in := url.Values{
		"kind":    {"bin"},
		"value":   {"42424"},
		"action":  {"block"},
		"life":    {"168h"},
		"note":    {"<test>"},
		"attempt": {w.Attempt(w.Get(at + "/new"))},
	}
	if p := w.Post(at, in); p.Status != http.StatusUnprocessableEntity || !strings.Contains(p.Body, `value="42424"`) ||
		!strings.Contains(p.Body, "This is no value of this kind.") {
		t.Errorf("five digits: %d %s", p.Status, p.Body)
	}
	in.Set("value", "424242")
	for range 2 {
		w.Post(at, in).Has(t, "Added to the list.", "424242", "&lt;test&gt;")
	}
	entries, err := w.Rulebook.Lists(t.Context(), w.Account, link.Test, "", "", 10)
	if err != nil || len(entries) != 1 || entries[0].ExpiresAt.Before(time.Now().Add(6*24*time.Hour)) || entries[0].Action != payment.Block {
		t.Fatalf("kept %+v, %v", entries, err)
	}
	paid := w.Pay(w.Link(nil), "4242424242424242", nil)
	w.Get("/dashboard/test/payments/"+paid.ID).Has(t, `lists/new?payment=`+paid.ID+`&amp;kind=email`)
	w.Get(at+"/new?kind=email&payment="+paid.ID).Has(t, `value="ada@example.com"`, "From payment", paid.ID)
	if p := w.Do(w.Client, http.MethodGet, "/dashboard/live/fraud/lists/new?kind=email&payment="+paid.ID,
		nil); p.Status != http.StatusNotFound {
		t.Errorf("a payment of the other mode fills the form: %d", p.Status)
	}
	gone := at + "/" + entries[0].ID + "/delete"
	deletion := url.Values{"attempt": {w.Attempt(w.Get(gone))}}
	w.Post(gone, deletion).Has(t, "Removed from the list.", "The lists are empty")
	p := w.Post(gone, deletion)
	p.Has(t, "There was nothing to delete.")
	p.Lacks(t, "Removed from the list.")
}

// TestFraudPolicy: what happens in doubt is said and kept.
func TestFraudPolicy(t *testing.T) {
	w := desktest.New(t)
	at := desktest.FraudPath + "/policy"
	w.Get(at).Has(t, `value="allow" checked`, `<option value="0s" selected`)
	w.Post(
		at,
		url.Values{"late": {"block"}, "review": {"24h0m0s"}},
	).Has(
		t,
		"Saved.",
		`value="block" checked`,
		`<option value="24h0m0s" selected`,
	)
	kept, err := w.Rulebook.Policy(t.Context(), w.Account, link.Test)
	if err != nil || kept.FailOpen || kept.ReviewFor != 24*time.Hour {
		t.Errorf("kept %+v, %v", kept, err)
	}
	if p := w.Post(at, url.Values{"late": {"block"}, "review": {"1s"}}); p.Status != http.StatusUnprocessableEntity {
		t.Errorf("a second answers %d", p.Status)
	}
}

// TestFraudFigures: what is known is drawn with a table behind, and what is not is
// said: no payments, no model, no labels, too little to estimate from.
func TestFraudFigures(t *testing.T) {
	w := desktest.New(t)
	w.Get(desktest.FraudPath).Has(t, "Nobody tried to pay in this period", desktest.FraudPath+"/rules")
	today := time.Now().UTC().Truncate(24 * time.Hour)
	day := history.DayFigures{
		Day:          today,
		Attempts:     1200,
		Allowed:      1100,
		Challenged:   30,
		Blocked:      80,
		Held:         20,
		Shield:       400,
		Authorised:   1000,
		Declined:     100,
		ReviewOpened: 20,
		ReviewClosed: 12,
		BlockedMinor: map[money.Currency]int64{"EUR": 90_050},
	}
	w.Figures(history.Figures{Days: []history.DayFigures{day}, Unrated: 1200, Estimate: history.Estimate{Blocked: 80, Comparable: 3}})
	p := w.Get(desktest.FraudPath)
	p.Has(
		t,
		"1,200",
		"€900.50",
		"Nothing can be said yet.",
		"because no model was running",
		"This cannot be said. 80 payments were blocked, and only 3 payments",
		"No rule matched",
	)
	p.Lacks(t, `id="rate"`, `id="scores"`)
	day.Fraud, day.Legitimate = 25, 300
	rule := w.MakeRule("Large", "review", "amount > 100", "shadow")
	w.Figures(
		history.Figures{
			Days:     []history.DayFigures{day},
			Scores:   [10]int64{900, 50, 0, 0, 0, 0, 0, 0, 10, 40},
			Unrated:  200,
			Estimate: history.Estimate{Blocked: 80, Honest: 6.4, Low: 2, High: 11, Comparable: 310, Explainable: true},
			Rules: []history.RuleFigures{
				{
					Rule:       rule,
					Version:    1,
					Action:     payment.Hold,
					Shadow:     true,
					Hits:       9,
					Fraud:      4,
					Legitimate: 3,
					Minor:      map[money.Currency]int64{"EUR": 120_000, "JPY": 5000},
				},
			},
		},
	)
	p = w.Get(desktest.FraudPath + "?days=7")
	p.Has(
		t,
		"2.5%",
		"for the last 60 days the rate will still rise",
		"90–100",
		"About 6 of 80 blocked payments were honest; between 2 and 11 with 95 % confidence.",
		"Payments to compare with: 310.",
		"200 payments have no score",
		"Large",
		"€1,200.00 · ¥5,000",
		`<option value="7" selected`,
	)
	if n := strings.Count(p.Body, `<summary>Show as a table</summary>`); n != 5 {
		t.Errorf("%d charts have a table, want 5", n)
	}
	w.Get(desktest.FraudPath+"/rules").Has(t, "Large")
	exported(w, "days", today.Format(time.DateOnly)+",1200,1100,30,80,20,400,1000,100,25,300,20,12")
	exported(w, "rules", rule+",1,review,true,9,4,3,EUR,1200.00")
	exported(w, "scores", "90,40")
	if p := w.Do(w.Client, http.MethodGet, desktest.FraudPath+"/tables/all", nil); p.Status != http.StatusNotFound {
		t.Errorf("an unknown table answers %d", p.Status)
	}
	w.Get(desktest.FraudPath+"?days=365").Has(t, "Week from")
}

// exported holds a table of the charts to having a row.
func exported(w *desktest.World, table, row string) {
	w.T.Helper()
	p := w.Get(desktest.FraudPath + "/tables/" + table + "?days=7")
	rows, err := csv.NewReader(strings.NewReader(p.Body)).ReadAll()
	if err != nil || len(rows) < 2 {
		w.T.Fatalf("%s: %v, %v", table, rows, err)
	}
	for _, r := range rows[1:] {
		if len(r) != len(rows[0]) {
			w.T.Errorf("%s: %v does not fit %v", table, r, rows[0])
		}
		if strings.Join(r, ",") == row {
			return
		}
	}
	w.T.Errorf("%s lacks %s: %v", table, row, rows)
}
