package dashboard_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

func (w *world) disputed(p payment.Payment, amount string) payment.Dispute {
	w.t.Helper()
	_, d, err := w.coord.Dispute(w.t.Context(), w.account, link.Test, p.ID, payment.DisputeInput{Reason: "fraudulent", Amount: amount}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// TestRefundIsSaidAgain: a sum moves only after a page has said it, with what was
// refundable when it was said; what changed meanwhile is said, and asked again.
func TestRefundIsSaidAgain(t *testing.T) {
	w := newWorld(t)
	p := w.paid()
	path := "/dashboard/test/payments/" + p.ID + "/refund"
	first := w.get(path)
	for name, form := range map[string]url.Values{
		"no amount":               {"attempt": {w.attempt(first)}},
		"empty and confirmed":     {"attempt": {w.attempt(first)}, "amount": {""}, "confirmed": {""}, "seen": {"12.50"}},
		"confirmed another":       {"attempt": {w.attempt(first)}, "amount": {""}, "confirmed": {"12.50"}, "seen": {"12.50"}},
		"nothing seen":            {"attempt": {w.attempt(first)}, "amount": {"4.00"}, "confirmed": {"4.00"}},
		"typed and not confirmed": {"attempt": {w.attempt(first)}, "amount": {"4.00"}, "seen": {"12.50"}},
	} {
		w.post(path, form)
		if got := w.payment(p.ID); len(got.Refunds) != 0 {
			t.Fatalf("%s: refunded %d", name, got.RefundedMinor)
		}
	}
	said := w.post(path, w.sent(first, url.Values{"amount": {"4"}}))
	said.has(t, "Refund €4.00 to the payer?", "€8.50 remains after that.", `name="confirmed" value="4.00"`, `name="seen" value="12.50"`)
	if w.attempt(said) != w.attempt(first) {
		t.Error("the attempt is lost between the pages")
	}
	w.moves(path, "2.50") // somebody else
	changed := w.post(path, w.sent(said, nil))
	if changed.status != http.StatusUnprocessableEntity {
		t.Errorf("a changed payment is answered %d", changed.status)
	}
	changed.has(t, "it was €12.50 and is now €10.00", "Refund €4.00 to the payer?", "€6.00 remains after that.")
	w.post(path, w.sent(first, url.Values{"amount": {"3"}})).has(t, "it was €12.50 and is now €10.00", "Refund €3.00 to the payer?")
	w.post(path, w.sent(changed, nil)).has(t, "The refund was carried out.")
	if got := w.payment(p.ID); got.RefundedMinor != 650 || len(got.Refunds) != 2 {
		t.Errorf("refunded %d in %d refunds", got.RefundedMinor, len(got.Refunds))
	}
}

// TestF52RefundBesideDispute: disputed money is refunded only on a page that says so, and
// the timeline shows who allowed it.
func TestF52RefundBesideDispute(t *testing.T) {
	w := newWorld(t)
	p := w.paid()
	at := "/dashboard/test/payments/" + p.ID
	w.disputed(p, "4.00")
	w.get(at+"/refund").has(t, `value="8.50"`)
	said := w.post(at+"/refund", w.sent(w.get(at+"/refund"), url.Values{"amount": {"12.50"}}))
	said.has(t, "Refund €12.50 although €4.00 is disputed?", "they are paid twice", "you can refund €8.50", "Refund anyway")
	form := w.sent(said, nil)
	form.Del("disputed") // the page did not say it
	w.post(at+"/refund", form).has(t, "although €4.00 is disputed?")
	if got := w.payment(p.ID); len(got.Refunds) != 0 {
		t.Fatalf("refunded %d", got.RefundedMinor)
	}
	w.post(at+"/refund", w.sent(said, nil)).has(t, "The refund was carried out.", "Refund asked despite the dispute:", "EUR 4.00 is disputed, allowed by usr_",
		"€12.50 of this payment was already refunded.")
	// A dispute that opens between the page and the click.
	p = w.paid()
	at = "/dashboard/test/payments/" + p.ID
	said = w.post(at+"/refund", w.sent(w.get(at+"/refund"), url.Values{"amount": {"12.50"}}))
	said.has(t, "Refund €12.50 to the payer?")
	w.disputed(p, "")
	w.post(at+"/refund", w.sent(said, nil)).has(t, "it was €12.50 and is now €0.00", "although €12.50 is disputed?")
	if got := w.payment(p.ID); len(got.Refunds) != 0 {
		t.Fatalf("refunded %d beside a dispute", got.RefundedMinor)
	}
}

// TestVerdictSaysItsSum: a verdict that refunds is made of the sum that its page said.
func TestVerdictSaysItsSum(t *testing.T) {
	w := newWorld(t)
	p := w.paid()
	at := "/dashboard/test/payments/" + p.ID
	page := w.get(at + "/fraud")
	w.moves(at+"/refund", "2.50")
	w.post(at+"/fraud", url.Values{"attempt": {w.attempt(page)}}).has(t, "has changed")
	w.post(at+"/fraud", w.sent(page, nil)).has(t, "has changed", "€10.00")
	if got := w.payment(p.ID); got.RefundedMinor != 250 {
		t.Fatalf("refunded %d", got.RefundedMinor)
	}
	form := w.sent(w.get(at+"/fraud"), nil)
	for range 2 {
		w.post(at+"/fraud", form).has(t, "marked as fraud")
	}
	if got := w.payment(p.ID); got.RefundedMinor != 1250 || len(got.Refunds) != 2 {
		t.Errorf("refunded %d in %d refunds", got.RefundedMinor, len(got.Refunds))
	}
}

// TestDisputeSaysItsSum: an emptied amount is not the whole sum.
func TestDisputeSaysItsSum(t *testing.T) {
	w := newWorld(t)
	p := w.paid()
	path := "/dashboard/test/payments/" + p.ID + "/disputes"
	page := w.post(path, w.sent(w.get(path), url.Values{"reason": {"fraudulent"}, "amount": {" "}}))
	if page.status != http.StatusUnprocessableEntity || len(w.payment(p.ID).Disputes) != 0 {
		t.Errorf("answered %d, %d disputes", page.status, len(w.payment(p.ID).Disputes))
	}
	page.has(t, "An empty field moves nothing", `href="#amount"`)
}
