package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestRefundOfWhatWasSeen: a refund that names what its caller saw is made only while
// that is so, also where the caller has no idempotency key.
func TestRefundOfWhatWasSeen(t *testing.T) {
	w := newWorld(t)
	p := w.pay("")
	at := "/api/payments/" + p.ID
	refund := func(body string) answer { return w.do("POST", at+"/refunds", w.key, body) }
	seen := w.ok("GET", at, w.key, "")["refundableAmount"]
	if seen != "12.50" {
		t.Fatalf("refundable %v", seen)
	}
	body := `{"amount":"5.00","refundableAmount":"12.50"}`
	if r := w.ok("POST", at+"/refunds", w.key, body); r["amount"] != "5.00" {
		t.Errorf("%v", r)
	}
	again := refund(body)
	w.refused(again, http.StatusConflict, "refundable_amount_changed", "")
	if detail, _ := again.json["detail"].(string); !strings.Contains(detail, "EUR 7.50 of this payment can be refunded now, not EUR 12.50") {
		t.Errorf("it says %q", detail)
	}
	w.ok("POST", at+"/refunds", w.key, `{"refundableAmount":"7.5"}`)
	w.refused(refund(`{"amount":"1","refundableAmount":"7.50"}`), http.StatusConflict, "refundable_amount_changed", "")
	if got := w.ok("GET", at, w.key, ""); got["refundedAmount"] != "12.50" || got["refundableAmount"] != "0.00" {
		t.Errorf("refunded %v, refundable %v", got["refundedAmount"], got["refundableAmount"])
	}
}

// TestF52RefundBesideDispute: what a dispute claims is refunded by an explicit word alone,
// which the refund and the log name.
func TestF52RefundBesideDispute(t *testing.T) {
	w := newWorld(t)
	p := w.pay("")
	at := "/api/payments/" + p.ID
	d := w.ok("POST", at+"/disputes", w.key, `{"reason":"fraudulent","amount":"4.00"}`)
	if got := w.ok("GET", at, w.key, "")["refundableAmount"]; got != "8.50" {
		t.Errorf("refundable %v", got)
	}
	for _, body := range []string{``, `{}`, `{"amount":"8.51"}`, `{"amount":"12.50","allowDisputed":false}`} {
		a := w.do("POST", at+"/refunds", w.key, body)
		w.refused(a, http.StatusConflict, "payment_disputed", "")
		if detail, _ := a.json["detail"].(string); !strings.Contains(detail, d["id"].(string)) {
			t.Errorf("it says %q", detail)
		}
	}
	if r := w.ok("POST", at+"/refunds", w.key, `{"amount":"8.50"}`); r["allowedBy"] != nil {
		t.Errorf("%v", r)
	}
	if r := w.ok("POST", at+"/refunds", w.key, `{"amount":"1.00","allowDisputed":true,"refundableAmount":"0.00"}`); r["allowedBy"] != w.keyID {
		t.Errorf("%v, not allowed by %s", r, w.keyID)
	}
	w.ok("POST", at+"/disputes/"+d["id"].(string), w.key, `{"state":"won"}`)
	if r := w.ok("POST", at+"/refunds", w.key, `{}`); r["amount"] != "3.00" {
		t.Errorf("after the dispute was won: %v", r)
	}
}
