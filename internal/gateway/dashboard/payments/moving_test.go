package payments_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

func disputed(w *desktest.World, p payment.Payment, amount string) payment.Dispute {
	w.T.Helper()
	_, d, err := w.Coord.Dispute(w.T.Context(), w.Account, link.Test, p.ID, payment.DisputeInput{Reason: "fraudulent", Amount: amount}, nil)
	if err != nil {
		w.T.Fatal(err)
	}
	return d
}

// TestRefundIsSaidAgain: a sum moves only after a page has said it, with what was
// refundable when it was said; what changed meanwhile is said, and asked again.
func TestRefundIsSaidAgain(t *testing.T) {
	w := desktest.New(t)
	p := w.Paid()
	path := "/dashboard/test/payments/" + p.ID + "/refund"
	first := w.Get(path)
	for name, form := range map[string]url.Values{
		"no amount":               {"attempt": {w.Attempt(first)}},
		"empty and confirmed":     {"attempt": {w.Attempt(first)}, "amount": {""}, "confirmed": {""}, "seen": {"12.50"}},
		"confirmed another":       {"attempt": {w.Attempt(first)}, "amount": {""}, "confirmed": {"12.50"}, "seen": {"12.50"}},
		"nothing seen":            {"attempt": {w.Attempt(first)}, "amount": {"4.00"}, "confirmed": {"4.00"}},
		"typed and not confirmed": {"attempt": {w.Attempt(first)}, "amount": {"4.00"}, "seen": {"12.50"}},
	} {
		w.Post(path, form)
		if got := w.Payment(p.ID); len(got.Refunds) != 0 {
			t.Fatalf("%s: refunded %d", name, got.RefundedMinor)
		}
	}
	said := w.Post(path, w.Sent(first, url.Values{"amount": {"4"}}))
	said.Has(t, "Refund €4.00 to the payer?", "€8.50 remains after that.", `name="confirmed" value="4.00"`, `name="seen" value="12.50"`)
	if w.Attempt(said) != w.Attempt(first) {
		t.Error("the attempt is lost between the pages")
	}
	w.Moves(path, "2.50") // somebody else
	changed := w.Post(path, w.Sent(said, nil))
	if changed.Status != http.StatusUnprocessableEntity {
		t.Errorf("a changed payment is answered %d", changed.Status)
	}
	changed.Has(t, "it was €12.50 and is now €10.00", "Refund €4.00 to the payer?", "€6.00 remains after that.")
	w.Post(path, w.Sent(first, url.Values{"amount": {"3"}})).Has(t, "it was €12.50 and is now €10.00", "Refund €3.00 to the payer?")
	w.Post(path, w.Sent(changed, nil)).Has(t, "The refund was carried out.")
	if got := w.Payment(p.ID); got.RefundedMinor != 650 || len(got.Refunds) != 2 {
		t.Errorf("refunded %d in %d refunds", got.RefundedMinor, len(got.Refunds))
	}
}

// TestF52RefundBesideDispute: disputed money is refunded only on a page that says so, and
// the timeline shows who allowed it.
func TestF52RefundBesideDispute(t *testing.T) {
	w := desktest.New(t)
	p := w.Paid()
	at := "/dashboard/test/payments/" + p.ID
	disputed(w, p, "4.00")
	w.Get(at+"/refund").Has(t, `value="8.50"`)
	said := w.Post(at+"/refund", w.Sent(w.Get(at+"/refund"), url.Values{"amount": {"12.50"}}))
	said.Has(t, "Refund €12.50 although €4.00 is disputed?", "they are paid twice", "you can refund €8.50", "Refund anyway")
	form := w.Sent(said, nil)
	form.Del("disputed") // the page did not say it
	w.Post(at+"/refund", form).Has(t, "although €4.00 is disputed?")
	if got := w.Payment(p.ID); len(got.Refunds) != 0 {
		t.Fatalf("refunded %d", got.RefundedMinor)
	}
	w.Post(at+"/refund", w.Sent(said, nil)).Has(t, "The refund was carried out.", "Refund asked despite the dispute:",
		"of which €4.00 is disputed", "<span><bdi>maria</bdi></span>", "€12.50 of this payment was already refunded.")
	// A dispute that opens between the page and the click.
	p = w.Paid()
	at = "/dashboard/test/payments/" + p.ID
	said = w.Post(at+"/refund", w.Sent(w.Get(at+"/refund"), url.Values{"amount": {"12.50"}}))
	said.Has(t, "Refund €12.50 to the payer?")
	disputed(w, p, "")
	w.Post(at+"/refund", w.Sent(said, nil)).Has(t, "it was €12.50 and is now €0.00", "although €12.50 is disputed?")
	if got := w.Payment(p.ID); len(got.Refunds) != 0 {
		t.Fatalf("refunded %d beside a dispute", got.RefundedMinor)
	}
}

// TestVerdictSaysItsSum: a verdict that refunds is made of the sum that its page said.
func TestVerdictSaysItsSum(t *testing.T) {
	w := desktest.New(t)
	p := w.Paid()
	at := "/dashboard/test/payments/" + p.ID
	page := w.Get(at + "/fraud")
	w.Moves(at+"/refund", "2.50")
	w.Post(at+"/fraud", url.Values{"attempt": {w.Attempt(page)}}).Has(t, "has changed")
	w.Post(at+"/fraud", w.Sent(page, nil)).Has(t, "has changed", "€10.00")
	if got := w.Payment(p.ID); got.RefundedMinor != 250 {
		t.Fatalf("refunded %d", got.RefundedMinor)
	}
	form := w.Sent(w.Get(at+"/fraud"), nil)
	for range 2 {
		w.Post(at+"/fraud", form).Has(t, "marked as fraud")
	}
	if got := w.Payment(p.ID); got.RefundedMinor != 1250 || len(got.Refunds) != 2 {
		t.Errorf("refunded %d in %d refunds", got.RefundedMinor, len(got.Refunds))
	}
}

// TestDisputeSaysItsSum: an emptied amount is not the whole sum.
func TestDisputeSaysItsSum(t *testing.T) {
	w := desktest.New(t)
	p := w.Paid()
	path := "/dashboard/test/payments/" + p.ID + "/disputes"
	page := w.Post(path, w.Sent(w.Get(path), url.Values{"reason": {"fraudulent"}, "amount": {" "}}))
	if page.Status != http.StatusUnprocessableEntity || len(w.Payment(p.ID).Disputes) != 0 {
		t.Errorf("answered %d, %d disputes", page.Status, len(w.Payment(p.ID).Disputes))
	}
	page.Has(t, "An empty field moves nothing", `href="#amount"`)
}
