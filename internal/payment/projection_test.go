package payment_test

import (
	"encoding/json"
	"testing"

	"github.com/paylink/paylink/internal/payment"
)

// TestEventObject checks the sums of a payment and of a refund, and rejects what is not a sum.
func TestEventObject(t *testing.T) {
	for _, c := range []struct {
		object                     string
		amount, captured, refunded int64
		bad                        bool
	}{
		{`{"object":"payment","amount":"12.50","currency":"EUR","capturedAmount":"12.00","refundedAmount":"0.50"}`, 1250, 1200, 50, false},
		{`{"object":"refund","amount":"3.00","currency":"EUR"}`, 300, 0, 0, false},
		{`{"object":"refund","amount":"3.001","currency":"EUR"}`, 0, 0, 0, true},
		{`{"object":"payment","amount":"12.50","currency":"EUR","capturedAmount":"","refundedAmount":"0.50"}`, 0, 0, 0, true},
		{`{"object":"payment","amount":"12.50","currency":"EUR","capturedAmount":"12.00","refundedAmount":"x"}`, 0, 0, 0, true},
	} {
		var o payment.EventObject
		if err := json.Unmarshal([]byte(c.object), &o); err != nil {
			t.Fatal(err)
		}
		amount, captured, refunded, err := o.Sums()
		switch {
		case (err != nil) != c.bad:
			t.Errorf("%s: %v", c.object, err)
		case err == nil && (amount.Minor != c.amount || captured != c.captured || refunded != c.refunded):
			t.Errorf("%s: %v, %d, %d", c.object, amount, captured, refunded)
		}
	}
}

// TestAfterRefund: only a refund that succeeded changes a payment, and the last of
// them changes its status too.
func TestAfterRefund(t *testing.T) {
	for _, c := range []struct {
		kind            string
		minor, refunded int64
		want            int64
		status          payment.Status
	}{
		{"refund.created", 400, 0, 0, payment.Succeeded},
		{"refund.failed", 400, 100, 100, payment.Succeeded},
		{"refund.succeeded", 400, 0, 400, payment.PartiallyRefunded},
		{"refund.succeeded", 400, 600, 1000, payment.Refunded},
	} {
		got, status := payment.AfterRefund(c.kind, c.minor, 1000, c.refunded, payment.Succeeded)
		if got != c.want || status != c.status {
			t.Errorf("%+v: %d, %s", c, got, status)
		}
	}
}
