package dashboard_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

const (
	good      = "4242424242424242"
	declining = "4000000000000002"
	hostile   = `"><script>alert(1)</script><img src=x onerror=alert(2)>`
)

// paid makes a link and pays it.
func (w *world) paid() payment.Payment { return w.pay(w.link(nil), good, nil) }

func (w *world) payment(id string) payment.Payment {
	w.t.Helper()
	p, err := w.store.GetPayment(w.t.Context(), w.account, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestPaymentsBeginByTeaching(t *testing.T) {
	w := newWorld(t)
	w.get("/dashboard/test/payments").has(t, "No payments yet", "4242 4242 4242 4242", `href="/dashboard/test/links/new"`)
	w.get("/dashboard/test/balance").has(t, "No money has moved yet")
	w.get("/dashboard/test/links").has(t, "No payment links yet")
}

func TestPaymentsAreListedAndFound(t *testing.T) {
	w := newWorld(t)
	p := w.pay(w.link(func(r *link.CreateRequest) { r.Reference = "INV-2044" }), good, nil)
	declined := w.pay(w.link(nil), declining, func(s *payment.Submit) { s.PayerName, s.PayerEmail = "Bert Buyer", "bert@example.com" })
	w.get("/dashboard/test/payments").has(t, p.ID, declined.ID, "€12.50", "Paid", "Declined", "Ada Payer", "Visa ···· 4242")
	w.reported()
	for query, want := range map[string]payment.Payment{"q=" + p.ID: p, "q=inv-2044": p, "q=ada": p, "q=bert%40example": declined, "q=0002": declined,
		"q=" + declined.Link: declined, "status=declined": declined, "status=succeeded&currency=EUR": p} {
		other := p
		if want.ID == p.ID {
			other = declined
		}
		found := w.get("/dashboard/test/payments?" + query)
		found.has(t, `href="/dashboard/test/payments/`+want.ID)
		found.lacks(t, `href="/dashboard/test/payments/`+other.ID)
	}
	w.get("/dashboard/test/payments?currency=USD").has(t, "No payment matches")
	w.get("/dashboard/test/payments?q=nobody").has(t, "No payment matches")
	w.get("/dashboard/live/payments?q="+p.ID).lacks(t, `/payments/`+p.ID)
}

func TestPaymentsPageByPage(t *testing.T) {
	w := newWorld(t)
	l := w.link(func(r *link.CreateRequest) { r.MaxUsesNull = true })
	want := map[string]bool{}
	for i := range 30 {
		p := w.pay(l, good, func(s *payment.Submit) { s.Attempt = fmt.Sprintf("attempt-0123456789-%d", i) })
		want[p.ID] = true
	}
	w.walk("/dashboard/test/payments", want)
}

// walk goes through a list's pages to their end: each payment is on exactly one.
func (w *world) walk(path string, want map[string]bool) {
	w.t.Helper()
	row := regexp.MustCompile(`class="rowlink" href="/dashboard/test/payments/(pay_[a-z0-9]+)"`)
	older := regexp.MustCompile(`rel="next" href="([^"]+)"`)
	for most := len(want)/10 + 2; path != ""; most-- {
		p := w.get(path)
		for _, m := range row.FindAllStringSubmatch(p.body, -1) {
			if !want[m[1]] {
				w.t.Errorf("%s is shown twice, or is nobody's", m[1])
			}
			delete(want, m[1])
		}
		path = ""
		if m := older.FindStringSubmatch(p.body); m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
		if most < 0 {
			w.t.Fatal("the pages have no end")
		}
	}
	if len(want) > 0 {
		w.t.Errorf("%d payments are on no page", len(want))
	}
}

// A script asks again with what it shows: it hears nothing until there is something new.
func TestNewPaymentsAppear(t *testing.T) {
	w := newWorld(t)
	w.paid()
	live := regexp.MustCompile(`data-hx-get="([^"]+)"`).FindStringSubmatch(w.get("/dashboard/test/payments").body)
	if live == nil {
		t.Fatal("the page follows nothing")
	}
	path := strings.ReplaceAll(live[1], "&amp;", "&")
	if p := w.do(w.client, http.MethodGet, path, nil, "HX-Request", "true"); p.status != http.StatusNoContent || p.body != "" {
		t.Errorf("nothing is new, and the answer is %d: %s", p.status, p.body)
	}
	fresh := w.paid()
	p := w.do(w.client, http.MethodGet, path, nil, "HX-Request", "true")
	p.has(t, fresh.ID, "1 new payment", `class="fresh"`)
	p.lacks(t, "<html", "<main")
}

func TestPaymentDetail(t *testing.T) {
	w := newWorld(t)
	l := w.link(func(r *link.CreateRequest) {
		r.Description, r.Reference, r.Metadata = "Two novels", "INV-1", map[string]string{"order": "99"}
	})
	p := w.pay(l, good, nil)
	page := w.get("/dashboard/test/payments/" + p.ID)
	page.has(t, "What happened", "Sent to the issuer", "Paid", "by the issuer", "Two novels", "INV-1", "order", "99", "ada@example.com", p.ID,
		`href="/dashboard/test/payments/`+p.ID+`/refund"`)
	page.lacks(t, "/capture", "/void", good)
	for _, path := range []string{"/dashboard/live/payments/" + p.ID, "/dashboard/test/payments/pay_00000000000000000000000000", "/dashboard/test/payments/x"} {
		if got := w.do(w.client, http.MethodGet, path, nil); got.status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, got.status)
		}
	}
}

func TestRefund(t *testing.T) {
	w := newWorld(t)
	p := w.paid()
	path := "/dashboard/test/payments/" + p.ID + "/refund"
	ask := w.get(path)
	ask.has(t, `value="12.50"`, "can’t be taken back")
	for amount, words := range map[string]string{"": "An empty field moves nothing", " ": "An empty field moves nothing", "12.51": "too large", "x": "Write the amount in digits", "0": "too small"} {
		wrong := w.post(path, url.Values{"attempt": {w.attempt(ask)}, "amount": {amount}})
		if wrong.status != http.StatusUnprocessableEntity {
			t.Errorf("%s is answered %d", amount, wrong.status)
		}
		wrong.has(t, words, `aria-invalid="true"`, `href="#amount"`)
	}
	form, done := w.moves(path, "2,50")
	if done.path != "/dashboard/test/payments/"+p.ID {
		t.Fatalf("after the refund: %s %d %s", done.path, done.status, done.body)
	}
	done.has(t, "The refund was carried out.", "Partly refunded", "€2.50")
	w.get("/dashboard/test/payments/"+p.ID).lacks(t, "The refund was carried out.") // said once
	var wg sync.WaitGroup
	for range 4 { // the form again, at once
		wg.Go(func() { w.post(path, form) })
	}
	wg.Wait()
	if got := w.payment(p.ID); got.RefundedMinor != 250 || len(got.Refunds) != 1 {
		t.Errorf("one form refunded %d in %d refunds", got.RefundedMinor, len(got.Refunds))
	}
	form.Set("amount", "3.00")
	if again := w.post(path, form); !strings.Contains(again.body, "Refund €3.00 to the payer?") {
		t.Errorf("a sum that was not said is answered %d: %s", again.status, again.body)
	}
	form.Set("confirmed", "3.00")
	if again := w.post(path, form); again.status != http.StatusUnprocessableEntity {
		t.Errorf("the same form with another amount is answered %d", again.status)
	}
	_, done = w.moves(path, "10")
	done.has(t, "Refunded")
	w.get(path).has(t, "This is not possible with the payment as it is now.")
}

func TestCaptureAndVoid(t *testing.T) {
	w := newWorld(t)
	manual := func(r *link.CreateRequest) { r.Capture = link.CaptureManual }
	p := w.pay(w.link(manual), good, nil)
	at := "/dashboard/test/payments/" + p.ID
	w.get(at).has(t, "The money is held for you", at+"/capture", at+"/void")
	for _, amount := range []url.Values{{"amount": {""}}, {"amount": {"  "}}, {}} {
		amount.Set("attempt", w.attempt(w.get(at+"/capture")))
		if p := w.post(at+"/capture", amount); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "An empty field moves nothing") {
			t.Errorf("%v is answered %d", amount, p.status)
		}
	}
	if got := w.payment(p.ID); got.CapturedMinor != 0 {
		t.Fatalf("%d captured by an empty amount", got.CapturedMinor)
	}
	w.post(at+"/capture", w.sent(w.get(at+"/capture"), url.Values{"amount": {"10"}})).has(t, "Take €10.00 from the payer’s card?", "€2.50 goes back to the payer.")
	form, done := w.moves(at+"/capture", "10.00")
	done.has(t, "Done.", "Paid", "€10.00")
	w.post(at+"/capture", form).has(t, "Done.") // sent twice
	if got := w.payment(p.ID); got.CapturedMinor != 1000 {
		t.Errorf("%d captured", got.CapturedMinor)
	}
	p = w.pay(w.link(manual), good, nil)
	at = "/dashboard/test/payments/" + p.ID
	w.post(at+"/void", url.Values{"attempt": {w.attempt(w.get(at + "/void"))}}).has(t, "Done.", "Canceled", "Nothing was charged.")
	w.get(at+"/capture").has(t, "This is not possible")
}

func TestPaymentsAsCSV(t *testing.T) {
	w := newWorld(t)
	p := w.pay(w.link(nil), good, func(s *payment.Submit) { s.PayerName = "=cmd()" })
	w.pay(w.link(nil), declining, nil)
	w.reported()
	a := w.get("/dashboard/test/payments.csv?status=succeeded")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(a.body, "\ufeff"))).ReadAll()
	if !strings.HasPrefix(a.body, "\ufeff") || err != nil || len(rows) != 2 || rows[0][0] != "id" || rows[1][0] != p.ID || rows[1][13] != "'=cmd()" {
		t.Errorf("%v %v", err, rows)
	}
	if got := a.header.Get("Content-Disposition"); got != `attachment; filename="payments.csv"` {
		t.Errorf("it is sent as %q", got)
	}
}

func TestBalance(t *testing.T) {
	w := newWorld(t)
	p := w.paid()
	w.get("/dashboard/test/balance").has(t, "€12.50", "Received", p.ID)
	path := "/dashboard/test/payments/" + p.ID + "/refund"
	w.moves(path, "2.50")
	w.get("/dashboard/test/balance").has(t, "€10.00", "Set aside for a refund")
	rows, err := csv.NewReader(strings.NewReader(w.get("/dashboard/test/balance.csv").body)).ReadAll()
	if err != nil || len(rows) != 4 || rows[2][7] != "-2.50" {
		t.Errorf("%v %v", err, rows)
	}
	w.get("/dashboard/live/balance").lacks(t, "€10.00")
}

// Whatever people write is shown as words, on every page that shows it.
func TestHostileTexts(t *testing.T) {
	w := newWorld(t)
	l := w.link(func(r *link.CreateRequest) {
		r.Description, r.Reference, r.Realm = hostile, hostile, strings.ReplaceAll(hostile[:50], " ", "")
		r.Metadata = map[string]string{"note": hostile}
	})
	p := w.pay(l, good, func(s *payment.Submit) { s.PayerName = hostile })
	bad := regexp.MustCompile(`(?i)<script>|<img src=x`)
	pages := []page{
		w.get("/dashboard/test/payments"), w.get("/dashboard/test/payments?q=" + url.QueryEscape(hostile)), w.get("/dashboard/test/payments/" + p.ID),
		w.get("/dashboard/test/links"), w.get("/dashboard/test/links?reference=" + url.QueryEscape(hostile)), w.get("/dashboard/test/links/" + l.ID),
		w.get("/dashboard/test/links/new?from=" + l.ID), w.get("/dashboard/test/balance"),
		w.post("/dashboard/test/links/preview", url.Values{"description": {hostile}, "reference": {hostile}, "currency": {hostile}}),
		w.post("/dashboard/test/links", url.Values{"description": {hostile}, "kind": {hostile}, "uses": {hostile}, "life": {hostile}, "amount": {hostile}, "currency": {hostile}}),
		w.post("/dashboard/test/payments/"+p.ID+"/refund", url.Values{"attempt": {w.attempt(w.get("/dashboard/test/payments/" + p.ID + "/refund"))}, "amount": {hostile}}),
		w.post("/dashboard/sign-in", url.Values{"login": {hostile}, "password": {hostile}, "next": {hostile}}),
		w.post("/dashboard/account/methods", url.Values{"currencies.simulator.card": {hostile}, "enabled.simulator.card": {hostile}}),
	}
	for _, p := range pages {
		if found := bad.FindString(p.body); found != "" {
			t.Errorf("%s runs %s", p.path, found)
		}
		if p.status >= http.StatusInternalServerError {
			t.Errorf("%s answers %d", p.path, p.status)
		}
	}
}
