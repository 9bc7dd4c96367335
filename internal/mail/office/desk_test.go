package office_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/payment"
)

func (w *world) held() payment.Payment {
	w.t.Helper()
	p := w.ends(w.link(time.Hour), "hold@example.com", payment.Authorized)
	if p.Risk.Review != payment.ReviewOpen {
		w.t.Fatalf("it is not held: %+v", p.Risk)
	}
	return p
}

func (w *world) review(p payment.Payment, verdict string) {
	w.t.Helper()
	_, err := w.coord.Review(w.t.Context(), w.account.ID, w.mode, p.ID, verdict, w.user.ID, nil)
	w.good(err)
}

// TestMerchantIsNotifiedOfAHeldPayment: one mail, however often the event comes, with the time when
// the money is released; none about a blocked payment, and none that the reader turned off.
func TestMerchantIsNotifiedOfAHeldPayment(t *testing.T) {
	w := newWorld(t)
	w.ends(w.link(time.Hour), "block@example.com", payment.Declined)
	p := w.held()
	w.handle()
	w.handle()
	w.send()
	got := w.server.Next(t)
	if got.To != "ada@shop.example" || got.Subject != "A payment of €12.50 waits for your review" {
		t.Errorf("mail %+v", got)
	}
	for _, words := range []string{public + "/dashboard/test/payments/" + p.ID, "visa •••• 4242", "order-1", "May 13, 2030", "Test mode"} {
		if !strings.Contains(got.Text, words) {
			t.Errorf("the mail lacks %q:\n%s", words, got.Text)
		}
	}
	if got.Header.Get("List-Unsubscribe") == "" || strings.Contains(got.Text, "hold@example.com") {
		t.Errorf("without a way to end it, or with the payer's address:\n%s", got.Text)
	}
	if w.server.Waiting() != 0 || w.mails() != "[payment_held sent:1]" {
		t.Errorf("%d more; %s", w.server.Waiting(), w.mails())
	}
	w.good(w.office.SetPreferences(t.Context(), mail.Preferences{User: w.user.ID, Off: []string{mail.PaymentHeld}}))
	w.clock.Add(2 * time.Hour)
	w.held()
	w.handle()
	w.send()
	if w.server.Waiting() != 0 || w.mails() != "[payment_held sent:1]" {
		t.Errorf("turned off: %d more; %s", w.server.Waiting(), w.mails())
	}
}

// TestWhatWasDecidedIsNotWrittenAbout: a mail is dropped if a person decided while it waited.
func TestWhatWasDecidedIsNotWrittenAbout(t *testing.T) {
	w := newWorld(t)
	p := w.held()
	w.handle()
	w.review(p, payment.ReviewApproved)
	w.send()
	if w.server.Waiting() != 0 || w.mails() != "[payment_held dropped:1]" {
		t.Errorf("%d sent; %s", w.server.Waiting(), w.mails())
	}
}

// TestAFloodOfHeldPaymentsIsTwoMails: the first at once, and one at the end of the hour that
// counts those that wait then; one more in the next hour. None is forgotten.
func TestAFloodOfHeldPaymentsIsTwoMails(t *testing.T) {
	w := newWorld(t)
	first := w.held()
	w.handle()
	var flood []payment.Payment
	for range 120 { // more than one page
		w.clock.Add(time.Second)
		flood = append(flood, w.held())
	}
	for range 2 {
		w.handle()
	}
	w.send()
	if got := w.server.Next(t); !strings.Contains(got.Text, first.ID) {
		t.Errorf("the first mail %+v", got)
	}
	if w.server.Waiting() != 0 || w.mails() != "[payment_held sent:1 payment_held waiting:1]" {
		t.Fatalf("%d more at once; %s", w.server.Waiting(), w.mails())
	}
	w.review(flood[0], payment.ReviewDeclined)
	w.review(flood[1], payment.ReviewDeclined)
	w.clock.Add(52 * time.Minute) // 8:02
	w.send()
	got := w.server.Next(t)
	if got.Subject != "118 more payments wait for your review" || !strings.Contains(got.Text, public+"/dashboard/test/review") {
		t.Errorf("the rest of the hour %+v", got)
	}
	w.clock.Add(2 * time.Hour)
	before := len(w.events())
	later := w.held()
	w.good(w.office.Handle(t.Context(), w.events()[before:]))
	w.send()
	if got := w.server.Next(t); !strings.Contains(got.Text, later.ID) {
		t.Errorf("the first of a later hour %+v", got)
	}
	if w.server.Waiting() != 0 || w.mails() != "[payment_held sent:3]" {
		t.Errorf("%d more; %s", w.server.Waiting(), w.mails())
	}
}

func (w *world) dispute(p payment.Payment, reference string, due time.Time) payment.Dispute {
	w.t.Helper()
	_, d, err := w.coord.Dispute(w.t.Context(), w.account.ID, w.mode, p.ID,
		payment.DisputeInput{Reference: reference, Reason: "fraudulent", Amount: "2.50", EvidenceDueAt: due}, nil)
	w.good(err)
	return d
}

// TestMerchantIsNotifiedOfDisputes: each with its deadline; of so many, ten within an hour and the
// rest together; none about one that is over.
func TestMerchantIsNotifiedOfDisputes(t *testing.T) {
	w := newWorld(t)
	p := w.pay(w.link(time.Hour), "")
	due := w.clock.Now().Add(9 * 24 * time.Hour)
	d := w.dispute(p, "CB-1", due)
	over := w.dispute(p, "CB-2", time.Time{})
	_, _, err := w.coord.Dispute(t.Context(), w.account.ID, w.mode, p.ID, payment.DisputeInput{ID: over.ID, State: payment.DisputeLost}, nil)
	w.good(err)
	w.handle()
	w.handle()
	w.send()
	got := w.server.Next(t)
	if got.To != "ada@shop.example" || got.Subject != "A payment is disputed: €2.50" || d.ID == "" {
		t.Errorf("mail %+v", got)
	}
	for _, words := range []string{public + "/dashboard/test/payments/" + p.ID, "Reason: Fraud", "May 15, 2030"} {
		if !strings.Contains(got.Text, words) {
			t.Errorf("the mail lacks %q:\n%s", words, got.Text)
		}
	}
	if w.server.Waiting() != 0 || w.mails() != "[dispute_opened dropped:1 dispute_opened sent:1]" {
		t.Fatalf("%d more; %s", w.server.Waiting(), w.mails())
	}
	for n := range 12 {
		w.dispute(w.pay(w.link(time.Hour), ""), fmt.Sprintf("CB-%d", 10+n), time.Time{})
	}
	w.handle()
	w.send()
	for range 8 { // two were written before
		if got := w.server.Next(t); got.Subject != "A payment is disputed: €2.50" || strings.Contains(got.Text, "Evidence is due") {
			t.Errorf("mail without a deadline %+v", got)
		}
	}
	if w.server.Waiting() != 0 {
		t.Fatalf("%d more at once", w.server.Waiting())
	}
	w.clock.Add(time.Hour)
	w.send()
	if got := w.server.Next(t); got.Subject != "More payments are disputed" ||
		!strings.Contains(got.Text, "/dashboard/test/review?view=disputes") {
		t.Errorf("the rest %+v", got)
	}
	if w.server.Waiting() != 0 {
		t.Errorf("%d more", w.server.Waiting())
	}
}
