package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// byEmail holds or blocks what its payer's address says, as rules of those words would.
type byEmail struct{ fraud.Assessor }

func (byEmail) Assess(_ context.Context, a fraud.Attempt) (fraud.Verdict, error) {
	v := fraud.Verdict{FailOpen: true, Risk: payment.Risk{Action: payment.Allow, Why: "default", Basis: "no_model"}}
	switch name, _, _ := strings.Cut(a.Email, "@"); name {
	case "hold":
		v.Risk = payment.Risk{Action: payment.Hold, Why: "rule", Rule: "frl_1", Version: 3, Score: 81, Basis: "known", Model: "2026-11-01",
			Values:  []payment.RiskValue{{Name: "card.attempted_1h", Value: "14"}, {Name: "note", Value: hostile}},
			Reasons: []payment.RiskReason{{Feature: "card.attempted.1h", Value: 14, Share: 0.6}, {Feature: "address.cards.1d", Value: 5, Share: 0.3}, {Feature: hostile, Value: 1, Share: 0.1}},
			Shadow:  []payment.ShadowHit{{Rule: hostile, Version: 1, Action: payment.Block}}}
	case "block":
		v.Risk = payment.Risk{Action: payment.Block, Why: "list"}
	}
	return v, nil
}

// held is a payment of 12.50 EUR that waits in review.
func (w *world) held(change func(*link.CreateRequest)) payment.Payment {
	w.t.Helper()
	p := w.pay(w.link(change), good, func(s *payment.Submit) {
		s.PayerEmail, s.Client = "hold@example.com", netip.MustParseAddr("203.0.113.7")
	})
	if p.Risk.Review != payment.ReviewOpen {
		w.t.Fatalf("it is not held: %+v", p)
	}
	return p
}

// analysed waits until everything that was done is in the analytics store.
func (w *world) analysed() { w.t.Helper(); w.caughtUp("analytics store", w.analytics.Lag) }

func TestReviewQueueBeginsByTeaching(t *testing.T) {
	w := newWorld(t)
	w.get("/dashboard/test/review").has(t, "Nothing to decide", `href="/dashboard/test/review?view=closed"`, `aria-current="page"`)
	w.get("/dashboard/test/review?view=closed").has(t, "Nothing was decided yet")
	w.get("/dashboard/test/review?view=disputes").has(t, "No disputes")
}

// A held payment is approved from the queue. The form sent five times is one capture.
func TestReviewApproves(t *testing.T) {
	w := newWorld(t)
	p := w.held(nil)
	if p.Status != payment.Authorized || p.CapturedMinor != 0 {
		t.Fatalf("held %+v", p)
	}
	w.analysed()
	at := "/dashboard/test/payments/" + p.ID
	queue := w.get("/dashboard/test/review")
	queue.has(t, p.ID, "€12.50", "81", "frl_1", "version 3", "data-keys", at+"/approve?from=review", at+"/decline?from=review", at+"/fraud?from=review", "6 days")
	w.get("/dashboard/live/review").lacks(t, p.ID)
	shown1 := w.get(at)
	shown1.has(t, "Held for review", "This card: 14 attempts in the last hour", "5 different cards from this network", "81 of 100", "60%", "203.0.113.0/24")
	shown1.lacks(t, at+"/capture", at+"/void")
	path := at + "/approve?from=review"
	form := url.Values{"attempt": {w.attempt(w.get(path))}}
	done := w.post(path, form)
	done.has(t, "The payment was approved.", "Nothing to decide") // though the analytics store may not know yet
	var again sync.WaitGroup
	for range 4 {
		again.Go(func() { w.post(path, form) })
	}
	again.Wait()
	got := w.payment(p.ID)
	if got.Status != payment.Succeeded || got.CapturedMinor != 1250 || got.Captures != 1 || got.Risk.Review != payment.ReviewApproved || got.Risk.ReviewedBy == "" {
		t.Errorf("approved %+v", got)
	}
	w.analysed()
	w.get("/dashboard/test/review?view=closed").has(t, p.ID, "Approved in review")
	w.get(at).has(t, "Approved in review", "you")
	w.get(at+"/decline").has(t, "This is not possible with the payment as it is now.")
}

func TestReviewDeclinesAndRefunds(t *testing.T) {
	w := newWorld(t)
	p := w.held(nil)
	at := "/dashboard/test/payments/" + p.ID
	w.post(at+"/decline", url.Values{"attempt": {w.attempt(w.get(at + "/decline"))}}).has(t, "The payment was declined.", "Canceled")
	if got := w.payment(p.ID); got.Status != payment.CanceledS || got.Risk.Review != payment.ReviewDeclined || got.CapturedMinor != 0 {
		t.Errorf("declined %+v", got)
	}
	paid := w.paid() // never held
	at = "/dashboard/test/payments/" + paid.ID
	w.get(at+"/fraud").has(t, "€12.50")
	w.post(at+"/fraud", w.sent(w.get(at+"/fraud"), nil)).has(t, "marked as fraud", "Refunded")
	got := w.payment(paid.ID)
	if got.RefundedMinor != 1250 || got.Risk.Label != payment.LabelFraud || got.Risk.Review != payment.ReviewRefunded {
		t.Errorf("refunded %+v", got)
	}
	w.analysed()
	row, err := w.analytics.Row(t.Context(), w.account, link.Test, paid.ID)
	if fraud, _, known := row.Fraud(); err != nil || !fraud || !known {
		t.Errorf("the analytics store knows %+v, %v", row, err)
	}
}

// A mark changes nothing but what is known, and is taken back.
func TestMarks(t *testing.T) {
	w := newWorld(t)
	p := w.paid()
	at := "/dashboard/test/payments/" + p.ID
	for label, words := range map[string]string{payment.LabelFraud: "Marked as fraud", payment.LabelLegitimate: "Marked as legitimate"} {
		form := url.Values{"attempt": {w.attempt(w.get(at))}, "label": {label}}
		for range 2 {
			w.post(at+"/mark", form).has(t, "The mark was kept.", words)
		}
		if got := w.payment(p.ID); got.Risk.Label != label || got.RefundedMinor != 0 || got.Status != payment.Succeeded {
			t.Errorf("marked %+v", got)
		}
		w.analysed()
		if row, err := w.analytics.Row(t.Context(), w.account, link.Test, p.ID); err != nil || row.Risk.Label != label {
			t.Errorf("the analytics store knows %+v, %v", row, err)
		}
	}
	w.post(at+"/mark", url.Values{"attempt": {w.attempt(w.get(at))}, "label": {""}}).has(t, "The mark was taken back", "Not marked")
	w.post(at+"/mark", url.Values{"attempt": {w.attempt(w.get(at))}, "label": {"maybe"}}).has(t, "A label is fraud, legitimate, or nothing.")
}

func TestBlockedPaymentSaysWhy(t *testing.T) {
	w := newWorld(t)
	p := w.pay(w.link(nil), good, func(s *payment.Submit) { s.PayerEmail = "block@example.com" })
	shown2 := w.get("/dashboard/test/payments/" + p.ID)
	shown2.has(t, "Blocked", "one of your lists", "Flagged, and blocked")
	shown2.lacks(t, "/approve", "Record a dispute")
}

func TestRelatedPayments(t *testing.T) {
	w := newWorld(t)
	one := w.held(nil)
	other := w.pay(w.link(nil), good, func(s *payment.Submit) {
		s.PayerEmail, s.Client = "HOLD@example.com", netip.MustParseAddr("203.0.113.99")
	})
	stranger := w.pay(w.link(nil), "5555555555554444", func(s *payment.Submit) { s.PayerEmail = "other@example.com" })
	w.analysed()
	shown3 := w.get("/dashboard/test/payments/" + one.ID)
	shown3.has(t, "Related payments", `href="/dashboard/test/payments/`+other.ID, "card · email · network")
	shown3.lacks(t, stranger.ID)
}

// A dispute is recorded, its deadline passes, evidence is sent, and it is lost.
func TestDisputes(t *testing.T) {
	w := newWorld(t)
	p := w.paid()
	at := "/dashboard/test/payments/" + p.ID
	path := at + "/disputes"
	for _, c := range []struct{ name, value, words string }{{"amount", "12.51", "too large"}, {"evidenceDueAt", "soon", "date"}, {"reason", "whim", "reason"}} {
		form := url.Values{"attempt": {w.attempt(w.get(path))}, "reason": {"fraudulent"}, "amount": {"12,50"}}
		form.Set(c.name, c.value)
		if wrong := w.post(path, form); wrong.status != http.StatusUnprocessableEntity || !strings.Contains(wrong.body, c.words) {
			t.Errorf("%s is answered %d: %s", c.value, wrong.status, wrong.body)
		}
	}
	form := url.Values{"attempt": {w.attempt(w.get(path))}, "reason": {"fraudulent"}, "amount": {"12,50"}, "reference": {hostile}, "evidenceDueAt": {"2026-01-31"}}
	for range 3 {
		w.post(path, form).has(t, "The dispute was recorded.", "Overdue", "Disputed by the payer")
	}
	got := w.payment(p.ID)
	if len(got.Disputes) != 1 || !got.Disputes[0].EvidenceDueAt.Equal(time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC)) || got.Disputes[0].Minor != 1250 {
		t.Fatalf("disputes %+v", got.Disputes)
	}
	w.analysed()
	shown4 := w.get("/dashboard/test/review?view=disputes")
	shown4.has(t, "Overdue", "Open", "Fraud", at+"#disputes")
	shown4.lacks(t, "<script>alert")
	one := path + "/" + got.Disputes[0].ID
	shown5 := w.post(one+"?to=under_review", url.Values{"attempt": {w.attempt(w.get(one + "?to=under_review"))}})
	shown5.has(t, "The dispute was updated.", "Evidence sent")
	shown5.lacks(t, "Overdue")
	w.post(one+"?to=lost", url.Values{"attempt": {w.attempt(w.get(one + "?to=lost"))}}).has(t, "Lost", "The dispute ended")
	w.get(one+"?to=won").has(t, "This is not possible")
	w.get(one+"?to=nowhere").has(t, "This is not possible")
	if got = w.payment(p.ID); got.Disputes[0].State != payment.DisputeLost || got.CapturedMinor != 1250 || got.RefundedMinor != 0 {
		t.Errorf("lost %+v", got)
	}
}

// The simulator's disputed card opens one by the issuer's notice.
func TestDisputeByNotice(t *testing.T) {
	w := newWorld(t)
	p := w.pay(w.link(nil), "4000000000006181", nil)
	w.until("the dispute comes", func() bool { return len(w.payment(p.ID).Disputes) == 1 })
	w.analysed()
	w.get("/dashboard/test/review?view=disputes").has(t, "Fraud", "Open", p.ID)
}

// The queue follows what is new, and hears nothing while nothing is.
func TestReviewQueueFollows(t *testing.T) {
	w := newWorld(t)
	live := regexp.MustCompile(`data-hx-get="([^"]+)"`).FindStringSubmatch(w.get("/dashboard/test/review").body)
	if live == nil {
		t.Fatal("the queue follows nothing")
	}
	path := strings.ReplaceAll(live[1], "&amp;", "&")
	if p := w.do(w.client, http.MethodGet, path, nil, "HX-Request", "true"); p.status != http.StatusNoContent {
		t.Errorf("nothing is new, and the answer is %d: %s", p.status, p.body)
	}
	held := w.held(nil)
	w.analysed()
	shown6 := w.do(w.client, http.MethodGet, path, nil, "HX-Request", "true")
	shown6.has(t, held.ID, "1 payment waits for a decision")
	shown6.lacks(t, "<html")
}

func TestReviewPages(t *testing.T) {
	w := newWorld(t)
	want := map[string]bool{}
	l := w.link(func(r *link.CreateRequest) { r.MaxUsesNull = true })
	for i := range 30 {
		p := w.pay(l, good, func(s *payment.Submit) {
			s.Attempt, s.PayerEmail = fmt.Sprintf("attempt-0123456789-%d", i), "hold@example.com"
		})
		want[p.ID] = true
	}
	w.analysed()
	w.walk("/dashboard/test/review", want)
}

// What people and rules write is shown as words, in every language.
func TestHostileTextsOfReviews(t *testing.T) {
	w := newWorld(t)
	p := w.held(func(r *link.CreateRequest) { r.Reference = hostile })
	w.analysed()
	bad := regexp.MustCompile(`(?i)<script>|<img src=x`)
	for _, lang := range []string{"en", "de", "fr", "es", "pt", "ar", "ja"} {
		for _, path := range []string{"/dashboard/test/review", "/dashboard/test/payments/" + p.ID, "/dashboard/test/payments/" + p.ID + "/approve"} {
			page := w.get(path + "?lang=" + lang)
			if found := bad.FindString(page.body); found != "" {
				t.Errorf("%s in %s runs %s", path, lang, found)
			}
			page.lacks(t, "review.", "{{.") // a key or a placeholder that was not filled
		}
	}
	for _, query := range []string{"view=" + url.QueryEscape(hostile), "before=" + url.QueryEscape(hostile), "view=disputes&before=0"} {
		if got := w.do(w.client, http.MethodGet, "/dashboard/test/review?"+query, nil); got.status >= http.StatusInternalServerError || bad.MatchString(got.body) {
			t.Errorf("%s answers %d: %s", query, got.status, got.body)
		}
	}
}
