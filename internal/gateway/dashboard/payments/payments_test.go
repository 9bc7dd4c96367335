package payments_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

func TestPaymentsBeginByTeaching(t *testing.T) {
	w := desktest.New(t)
	w.Get("/dashboard/test/payments").Has(t, "No payments yet", "4242 4242 4242 4242", `href="/dashboard/test/links/new"`)
	w.Get("/dashboard/test/balance").Has(t, "No money has moved yet")
	w.Get("/dashboard/test/links").Has(t, "No payment links yet")
}

func TestPaymentsAreListedAndFound(t *testing.T) {
	w := desktest.New(t)
	p := w.Pay(w.Link(func(r *link.CreateRequest) { r.Reference = "INV-2044" }), desktest.Good, nil)
	declined := w.Pay(
		w.Link(nil),
		desktest.Declining,
		func(s *payment.Submit) { s.PayerName, s.PayerEmail = "Bert Buyer", "bert@example.com" },
	)
	w.Get("/dashboard/test/payments").Has(t, p.ID, declined.ID, "€12.50", "Paid", "Declined", "Ada Payer", "Visa ···· 4242")
	w.Reported()
	for query, want := range map[string]payment.Payment{"q=" + p.ID: p, "q=inv-2044": p, "q=ada": p, "q=bert%40example": declined,
		"q=0002":             declined,
		"q=" + declined.Link: declined, "status=declined": declined, "status=succeeded&currency=EUR": p} {
		other := p
		if want.ID == p.ID {
			other = declined
		}
		found := w.Get("/dashboard/test/payments?" + query)
		found.Has(t, `href="/dashboard/test/payments/`+want.ID)
		found.Lacks(t, `href="/dashboard/test/payments/`+other.ID)
	}
	w.Get("/dashboard/test/payments?currency=USD").Has(t, "No payment matches")
	w.Get("/dashboard/test/payments?q=nobody").Has(t, "No payment matches")
	w.Get("/dashboard/live/payments?q="+p.ID).Lacks(t, `/payments/`+p.ID)
}

func TestPaymentsPageByPage(t *testing.T) {
	w := desktest.New(t)
	l := w.Link(func(r *link.CreateRequest) { r.MaxUsesNull = true })
	want := map[string]bool{}
	for i := range 30 {
		p := w.Pay(l, desktest.Good, func(s *payment.Submit) { s.Attempt = fmt.Sprintf("attempt-0123456789-%d", i) })
		want[p.ID] = true
	}
	w.Walk("/dashboard/test/payments", want)
}

// A script asks again with what it shows: it hears nothing until there is something new.
func TestNewPaymentsAppear(t *testing.T) {
	w := desktest.New(t)
	w.Paid()
	live := regexp.MustCompile(`data-hx-get="([^"]+)"`).FindStringSubmatch(w.Get("/dashboard/test/payments").Body)
	if live == nil {
		t.Fatal("the page follows nothing")
	}
	path := strings.ReplaceAll(live[1], "&amp;", "&")
	if p := w.Do(w.Client, http.MethodGet, path, nil, "HX-Request", "true"); p.Status != http.StatusNoContent || p.Body != "" {
		t.Errorf("nothing is new, and the answer is %d: %s", p.Status, p.Body)
	}
	fresh := w.Paid()
	p := w.Do(w.Client, http.MethodGet, path, nil, "HX-Request", "true")
	p.Has(t, fresh.ID, "1 new payment", `class="fresh"`)
	p.Lacks(t, "<html", "<main")
}

func TestPaymentDetail(t *testing.T) {
	w := desktest.New(t)
	l := w.Link(func(r *link.CreateRequest) {
		r.Description, r.Reference, r.Metadata = "Two novels", "INV-1", map[string]string{"order": "99"}
	})
	p := w.Pay(l, desktest.Good, nil)
	page := w.Get("/dashboard/test/payments/" + p.ID)
	page.Has(t, "What happened", "Sent to the issuer", "Paid", "by the issuer", "Two novels", "INV-1", "order", "99", "ada@example.com", p.ID,
		`href="/dashboard/test/payments/`+p.ID+`/refund"`)
	page.Lacks(t, "/capture", "/void", desktest.Good)
	for _, path := range []string{"/dashboard/live/payments/" + p.ID, "/dashboard/test/payments/pay_00000000000000000000000000",
		"/dashboard/test/payments/x"} {
		if got := w.Do(w.Client, http.MethodGet, path, nil); got.Status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, got.Status)
		}
	}
}

func TestRefund(t *testing.T) {
	w := desktest.New(t)
	p := w.Paid()
	path := "/dashboard/test/payments/" + p.ID + "/refund"
	ask := w.Get(path)
	ask.Has(t, `value="12.50"`, "can’t be taken back")
	for amount, words := range map[string]string{"": "An empty field moves nothing", " ": "An empty field moves nothing",
		"12.51": "too large", "x": "Write the amount in digits", "0": "too small"} {
		wrong := w.Post(path, url.Values{"attempt": {w.Attempt(ask)}, "amount": {amount}})
		if wrong.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s is answered %d", amount, wrong.Status)
		}
		wrong.Has(t, words, `aria-invalid="true"`, `href="#amount"`)
	}
	form, done := w.Moves(path, "2,50")
	if done.Path != "/dashboard/test/payments/"+p.ID {
		t.Fatalf("after the refund: %s %d %s", done.Path, done.Status, done.Body)
	}
	done.Has(t, "The refund was carried out.", "Partly refunded", "€2.50")
	w.Get("/dashboard/test/payments/"+p.ID).Lacks(t, "The refund was carried out.") // said once
	var wg sync.WaitGroup
	for range 4 { // the form again, at once
		wg.Go(func() { w.Post(path, form) })
	}
	wg.Wait()
	if got := w.Payment(p.ID); got.RefundedMinor != 250 || len(got.Refunds) != 1 {
		t.Errorf("one form refunded %d in %d refunds", got.RefundedMinor, len(got.Refunds))
	}
	form.Set("amount", "3.00")
	if again := w.Post(path, form); !strings.Contains(again.Body, "Refund €3.00 to the payer?") {
		t.Errorf("a sum that was not said is answered %d: %s", again.Status, again.Body)
	}
	form.Set("confirmed", "3.00")
	if again := w.Post(path, form); again.Status != http.StatusUnprocessableEntity {
		t.Errorf("the same form with another amount is answered %d", again.Status)
	}
	_, done = w.Moves(path, "10")
	done.Has(t, "Refunded")
	w.Get(path).Has(t, "This is not possible with the payment as it is now.")
}

func TestCaptureAndVoid(t *testing.T) {
	w := desktest.New(t)
	manual := func(r *link.CreateRequest) { r.Capture = link.CaptureManual }
	p := w.Pay(w.Link(manual), desktest.Good, nil)
	at := "/dashboard/test/payments/" + p.ID
	w.Get(at).Has(t, "The money is held for you", at+"/capture", at+"/void")
	for _, amount := range []url.Values{{"amount": {""}}, {"amount": {"  "}}, {}} {
		amount.Set("attempt", w.Attempt(w.Get(at+"/capture")))
		if p := w.Post(at+"/capture", amount); p.Status != http.StatusUnprocessableEntity ||
			!strings.Contains(p.Body, "An empty field moves nothing") {
			t.Errorf("%v is answered %d", amount, p.Status)
		}
	}
	if got := w.Payment(p.ID); got.CapturedMinor != 0 {
		t.Fatalf("%d captured by an empty amount", got.CapturedMinor)
	}
	w.Post(
		at+"/capture",
		w.Sent(w.Get(at+"/capture"), url.Values{"amount": {"10"}}),
	).Has(
		t,
		"Take €10.00 from the payer’s card?",
		"€2.50 goes back to the payer.",
	)
	form, done := w.Moves(at+"/capture", "10.00")
	done.Has(t, "Done.", "Paid", "€10.00")
	w.Post(at+"/capture", form).Has(t, "Done.") // sent twice
	if got := w.Payment(p.ID); got.CapturedMinor != 1000 {
		t.Errorf("%d captured", got.CapturedMinor)
	}
	p = w.Pay(w.Link(manual), desktest.Good, nil)
	at = "/dashboard/test/payments/" + p.ID
	w.Post(at+"/void", url.Values{"attempt": {w.Attempt(w.Get(at + "/void"))}}).Has(t, "Done.", "Canceled", "Nothing was charged.")
	w.Get(at+"/capture").Has(t, "This is not possible")
}

func TestPaymentsAsCSV(t *testing.T) {
	w := desktest.New(t)
	p := w.Pay(w.Link(nil), desktest.Good, func(s *payment.Submit) { s.PayerName = "=cmd()" })
	w.Pay(w.Link(nil), desktest.Declining, nil)
	w.Reported()
	a := w.Get("/dashboard/test/payments.csv?status=succeeded")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(a.Body, "\ufeff"))).ReadAll()
	if !strings.HasPrefix(a.Body, "\ufeff") || err != nil || len(rows) != 2 || rows[0][0] != "id" || rows[1][0] != p.ID ||
		rows[1][13] != "'=cmd()" {
		t.Errorf("%v %v", err, rows)
	}
	if got := a.Header.Get("Content-Disposition"); got != `attachment; filename="payments.csv"` {
		t.Errorf("it is sent as %q", got)
	}
}

func TestBalance(t *testing.T) {
	w := desktest.New(t)
	p := w.Paid()
	w.Get("/dashboard/test/balance").Has(t, "€12.50", "Received", p.ID)
	path := "/dashboard/test/payments/" + p.ID + "/refund"
	w.Moves(path, "2.50")
	w.Get("/dashboard/test/balance").Has(t, "€10.00", "Set aside for a refund")
	rows, err := csv.NewReader(strings.NewReader(w.Get("/dashboard/test/balance.csv").Body)).ReadAll()
	if err != nil || len(rows) != 4 || rows[2][7] != "-2.50" {
		t.Errorf("%v %v", err, rows)
	}
	w.Get("/dashboard/live/balance").Lacks(t, "€10.00")
}

// Whatever people write is shown as words, on every page that shows it.
func TestHostileTexts(t *testing.T) {
	w := desktest.New(t)
	l := w.Link(func(r *link.CreateRequest) {
		r.Description, r.Reference, r.Realm = desktest.Hostile, desktest.Hostile, strings.ReplaceAll(desktest.Hostile[:50], " ", "")
		r.Metadata = map[string]string{"note": desktest.Hostile}
	})
	p := w.Pay(l, desktest.Good, func(s *payment.Submit) { s.PayerName = desktest.Hostile })
	bad := regexp.MustCompile(`(?i)<script>|<img src=x`)
	pages := []desktest.Page{
		w.Get(
			"/dashboard/test/payments",
		), w.Get("/dashboard/test/payments?q=" + url.QueryEscape(desktest.Hostile)), w.Get("/dashboard/test/payments/" + p.ID),
		w.Get(
			"/dashboard/test/links",
		), w.Get("/dashboard/test/links?reference=" + url.QueryEscape(desktest.Hostile)), w.Get("/dashboard/test/links/" + l.ID),
		w.Get("/dashboard/test/links/new?from=" + l.ID), w.Get("/dashboard/test/balance"),
		w.Post(
			"/dashboard/test/links/preview",
			url.Values{"description": {desktest.Hostile}, "reference": {desktest.Hostile}, "currency": {desktest.Hostile}},
		),
		w.Post(
			"/dashboard/test/links",
			url.Values{
				"description": {desktest.Hostile},
				"kind":        {desktest.Hostile},
				"uses":        {desktest.Hostile},
				"life":        {desktest.Hostile},
				"amount":      {desktest.Hostile},
				"currency":    {desktest.Hostile},
			},
		),
		w.Post(
			"/dashboard/test/payments/"+p.ID+"/refund",
			url.Values{"attempt": {w.Attempt(w.Get("/dashboard/test/payments/" + p.ID + "/refund"))}, "amount": {desktest.Hostile}},
		),
		w.Post("/dashboard/sign-in", url.Values{"login": {desktest.Hostile}, "password": {desktest.Hostile}, "next": {desktest.Hostile}}),
		w.Post(
			"/dashboard/account/methods",
			url.Values{"currencies.simulator.card": {desktest.Hostile}, "enabled.simulator.card": {desktest.Hostile}},
		),
	}
	for _, p := range pages {
		if found := bad.FindString(p.Body); found != "" {
			t.Errorf("%s runs %s", p.Path, found)
		}
		if p.Status >= http.StatusInternalServerError {
			t.Errorf("%s answers %d", p.Path, p.Status)
		}
	}
}
