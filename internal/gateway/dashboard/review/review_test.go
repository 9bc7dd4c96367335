package review_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

func TestReviewQueueBeginsByTeaching(t *testing.T) {
	w := desktest.New(t)
	w.Get("/dashboard/test/review").Has(t, "Nothing to decide", `href="/dashboard/test/review?view=closed"`, `aria-current="page"`)
	w.Get("/dashboard/test/review?view=closed").Has(t, "Nothing was decided yet")
	w.Get("/dashboard/test/review?view=disputes").Has(t, "No disputes")
}

// A held payment is approved from the queue. The form sent five times is one capture.
func TestReviewApproves(t *testing.T) {
	w := desktest.New(t)
	p := w.Held(nil)
	if p.Status != payment.Authorized || p.CapturedMinor != 0 {
		t.Fatalf("held %+v", p)
	}
	w.Analysed()
	at := "/dashboard/test/payments/" + p.ID
	queue := w.Get("/dashboard/test/review")
	queue.Has(
		t,
		p.ID,
		"€12.50",
		"81",
		"frl_1",
		"version 3",
		"data-keys",
		at+"/approve?from=review",
		at+"/decline?from=review",
		at+"/fraud?from=review",
		"6 days",
	)
	w.Get("/dashboard/live/review").Lacks(t, p.ID)
	shown1 := w.Get(at)
	shown1.Has(
		t,
		"Held for review",
		"This card: 14 attempts in the last hour",
		"5 different cards from this network",
		"81 of 100",
		"60%",
		"203.0.113.0/24",
	)
	shown1.Lacks(t, at+"/capture", at+"/void")
	path := at + "/approve?from=review"
	form := url.Values{"attempt": {w.Attempt(w.Get(path))}}
	done := w.Post(path, form)
	done.Has(t, "The payment was approved.", "Nothing to decide") // though the analytics store may not know yet
	var again sync.WaitGroup
	for range 4 {
		again.Go(func() { w.Post(path, form) })
	}
	again.Wait()
	got := w.Payment(p.ID)
	if got.Status != payment.Succeeded || got.CapturedMinor != 1250 || got.Captures != 1 || got.Risk.Review != payment.ReviewApproved ||
		got.Risk.ReviewedBy == "" {
		t.Errorf("approved %+v", got)
	}
	w.Analysed()
	w.Get("/dashboard/test/review?view=closed").Has(t, p.ID, "Approved in review")
	w.Get(at).Has(t, "Approved in review", "you")
	w.Get(at+"/decline").Has(t, "This is not possible with the payment as it is now.")
}

func TestReviewDeclinesAndRefunds(t *testing.T) {
	w := desktest.New(t)
	p := w.Held(nil)
	at := "/dashboard/test/payments/" + p.ID
	w.Post(at+"/decline", url.Values{"attempt": {w.Attempt(w.Get(at + "/decline"))}}).Has(t, "The payment was declined.", "Canceled")
	if got := w.Payment(p.ID); got.Status != payment.Canceled || got.Risk.Review != payment.ReviewDeclined || got.CapturedMinor != 0 {
		t.Errorf("declined %+v", got)
	}
	paid := w.Paid() // never held
	at = "/dashboard/test/payments/" + paid.ID
	w.Get(at+"/fraud").Has(t, "€12.50")
	w.Post(at+"/fraud", w.Sent(w.Get(at+"/fraud"), nil)).Has(t, "marked as fraud", "Refunded")
	got := w.Payment(paid.ID)
	if got.RefundedMinor != 1250 || got.Risk.Label != payment.LabelFraud || got.Risk.Review != payment.ReviewRefunded {
		t.Errorf("refunded %+v", got)
	}
	w.Analysed()
	row, err := w.Analytics.Row(t.Context(), w.Account, link.Test, paid.ID)
	if fraud, _, known := row.Fraud(); err != nil || !fraud || !known {
		t.Errorf("the analytics store knows %+v, %v", row, err)
	}
}

// A mark changes nothing but what is known, and is taken back.
func TestMarks(t *testing.T) {
	w := desktest.New(t)
	p := w.Paid()
	at := "/dashboard/test/payments/" + p.ID
	for label, words := range map[string]string{payment.LabelFraud: "Marked as fraud", payment.LabelLegitimate: "Marked as legitimate"} {
		form := url.Values{"attempt": {w.Attempt(w.Get(at))}, "label": {label}}
		for range 2 {
			w.Post(at+"/mark", form).Has(t, "The mark was kept.", words)
		}
		if got := w.Payment(p.ID); got.Risk.Label != label || got.RefundedMinor != 0 || got.Status != payment.Succeeded {
			t.Errorf("marked %+v", got)
		}
		w.Analysed()
		if row, err := w.Analytics.Row(t.Context(), w.Account, link.Test, p.ID); err != nil || row.Risk.Label != label {
			t.Errorf("the analytics store knows %+v, %v", row, err)
		}
	}
	w.Post(at+"/mark", url.Values{"attempt": {w.Attempt(w.Get(at))}, "label": {""}}).Has(t, "The mark was taken back", "Not marked")
	w.Post(at+"/mark", url.Values{"attempt": {w.Attempt(w.Get(at))}, "label": {"maybe"}}).Has(t, "A label is fraud, legitimate, or nothing.")
}

func TestBlockedPaymentSaysWhy(t *testing.T) {
	w := desktest.New(t)
	p := w.Pay(w.Link(nil), desktest.Good, func(s *payment.Submit) { s.PayerEmail = "block@example.com" })
	shown2 := w.Get("/dashboard/test/payments/" + p.ID)
	shown2.Has(t, "Blocked", "one of your lists", "Flagged, and blocked")
	shown2.Lacks(t, "/approve", "Record a dispute")
}

func TestRelatedPayments(t *testing.T) {
	w := desktest.New(t)
	one := w.Held(nil)
	other := w.Pay(w.Link(nil), desktest.Good, func(s *payment.Submit) {
		s.PayerEmail, s.Client = "HOLD@example.com", netip.MustParseAddr("203.0.113.99")
	})
	stranger := w.Pay(w.Link(nil), "5555555555554444", func(s *payment.Submit) { s.PayerEmail = "other@example.com" })
	w.Analysed()
	shown3 := w.Get("/dashboard/test/payments/" + one.ID)
	shown3.Has(t, "Related payments", `href="/dashboard/test/payments/`+other.ID, "card · email · network")
	shown3.Lacks(t, stranger.ID)
}

// A dispute is recorded, its deadline passes, evidence is sent, and it is lost.
func TestDisputes(t *testing.T) {
	w := desktest.New(t)
	p := w.Paid()
	at := "/dashboard/test/payments/" + p.ID
	path := at + "/disputes"
	for _, c := range []struct{ name, value, words string }{{"amount", "12.51", "too large"}, {"evidenceDueAt", "soon", "date"},
		{"reason", "whim", "reason"}} {
		form := url.Values{"attempt": {w.Attempt(w.Get(path))}, "reason": {"fraudulent"}, "amount": {"12,50"}}
		form.Set(c.name, c.value)
		if wrong := w.Post(path, form); wrong.Status != http.StatusUnprocessableEntity || !strings.Contains(wrong.Body, c.words) {
			t.Errorf("%s is answered %d: %s", c.value, wrong.Status, wrong.Body)
		}
	}
	form := url.Values{
		"attempt":       {w.Attempt(w.Get(path))},
		"reason":        {"fraudulent"},
		"amount":        {"12,50"},
		"reference":     {desktest.Hostile},
		"evidenceDueAt": {"2026-01-31"},
	}
	for range 3 {
		w.Post(path, form).Has(t, "The dispute was recorded.", "Overdue", "Disputed by the payer")
	}
	got := w.Payment(p.ID)
	if len(got.Disputes) != 1 || !got.Disputes[0].EvidenceDueAt.Equal(time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC)) ||
		got.Disputes[0].Minor != 1250 {
		t.Fatalf("disputes %+v", got.Disputes)
	}
	w.Analysed()
	shown4 := w.Get("/dashboard/test/review?view=disputes")
	shown4.Has(t, "Overdue", "Open", "Fraud", at+"#disputes")
	shown4.Lacks(t, "<script>alert")
	one := path + "/" + got.Disputes[0].ID
	shown5 := w.Post(one+"?to=under_review", url.Values{"attempt": {w.Attempt(w.Get(one + "?to=under_review"))}})
	shown5.Has(t, "The dispute was updated.", "Evidence sent")
	shown5.Lacks(t, "Overdue")
	w.Post(one+"?to=lost", url.Values{"attempt": {w.Attempt(w.Get(one + "?to=lost"))}}).Has(t, "Lost", "The dispute ended")
	w.Get(one+"?to=won").Has(t, "This is not possible")
	w.Get(one+"?to=nowhere").Has(t, "This is not possible")
	if got = w.Payment(p.ID); got.Disputes[0].State != payment.DisputeLost || got.CapturedMinor != 1250 || got.RefundedMinor != 0 {
		t.Errorf("lost %+v", got)
	}
}

// The simulator's disputed card opens one by the issuer's notice.
func TestDisputeByNotice(t *testing.T) {
	w := desktest.New(t)
	p := w.Pay(w.Link(nil), "4000000000006181", nil)
	w.Until("the dispute comes", func() bool { return len(w.Payment(p.ID).Disputes) == 1 })
	w.Analysed()
	w.Get("/dashboard/test/review?view=disputes").Has(t, "Fraud", "Open", p.ID)
}

// The queue follows what is new, and hears nothing while nothing is.
func TestReviewQueueFollows(t *testing.T) {
	w := desktest.New(t)
	live := regexp.MustCompile(`data-hx-get="([^"]+)"`).FindStringSubmatch(w.Get("/dashboard/test/review").Body)
	if live == nil {
		t.Fatal("the queue follows nothing")
	}
	path := strings.ReplaceAll(live[1], "&amp;", "&")
	if p := w.Do(w.Client, http.MethodGet, path, nil, "HX-Request", "true"); p.Status != http.StatusNoContent {
		t.Errorf("nothing is new, and the answer is %d: %s", p.Status, p.Body)
	}
	held := w.Held(nil)
	w.Analysed()
	shown6 := w.Do(w.Client, http.MethodGet, path, nil, "HX-Request", "true")
	shown6.Has(t, held.ID, "1 payment waits for a decision")
	shown6.Lacks(t, "<html")
}

func TestReviewPages(t *testing.T) {
	w := desktest.New(t)
	want := map[string]bool{}
	l := w.Link(func(r *link.CreateRequest) { r.MaxUsesNull = true })
	for i := range 30 {
		p := w.Pay(l, desktest.Good, func(s *payment.Submit) {
			s.Attempt, s.PayerEmail = fmt.Sprintf("attempt-0123456789-%d", i), "hold@example.com"
		})
		want[p.ID] = true
	}
	w.Analysed()
	w.Walk("/dashboard/test/review", want)
}

// What people and rules write is shown as words, in every language.
func TestHostileTextsOfReviews(t *testing.T) {
	w := desktest.New(t)
	p := w.Held(func(r *link.CreateRequest) { r.Reference = desktest.Hostile })
	w.Analysed()
	bad := regexp.MustCompile(`(?i)<script>|<img src=x`)
	for _, lang := range []string{"en", "de", "fr", "es", "pt", "ar", "ja"} {
		for _, path := range []string{"/dashboard/test/review", "/dashboard/test/payments/" + p.ID,
			"/dashboard/test/payments/" + p.ID + "/approve"} {
			page := w.Get(path + "?lang=" + lang)
			if found := bad.FindString(page.Body); found != "" {
				t.Errorf("%s in %s runs %s", path, lang, found)
			}
			page.Lacks(t, "review.", "{{.") // a key or a placeholder that was not filled
		}
	}
	for _, query := range []string{"view=" + url.QueryEscape(desktest.Hostile), "before=" + url.QueryEscape(desktest.Hostile),
		"view=disputes&before=0"} {
		if got := w.Do(w.Client, http.MethodGet, "/dashboard/test/review?"+query, nil); got.Status >= http.StatusInternalServerError ||
			bad.MatchString(got.Body) {
			t.Errorf("%s answers %d: %s", query, got.Status, got.Body)
		}
	}
}
