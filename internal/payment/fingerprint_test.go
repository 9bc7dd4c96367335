package payment_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/payment"
)

const oldPrint = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

// before returns a payment as the version before stored it: a rule saw its card.
func before() payment.Payment {
	return payment.Payment{ID: "pay_1", Account: "acct_1", Mode: "live", CardBrand: "visa", CardLast4: "4242", Status: payment.Succeeded,
		Metadata: map[string]string{"bin": "424242", "fingerprint": strings.Repeat("a", 32), "last4": "4242"},
		Risk: payment.Risk{Fingerprint: oldPrint, BIN: "424242", Action: payment.Hold, Why: "list", Rule: "fle_1",
			Values: []payment.RiskValue{{Name: "card", Value: oldPrint}, {Name: "amount", Value: "12.50"}}}}
}

// TestCoarsen checks that a payment of the version before loses its fingerprint, wherever it was, and
// that its events lose it in the same way.
func TestCoarsen(t *testing.T) {
	was, is := before(), before()
	payment.Coarsen(&is)
	want := before()
	want.Risk.Fingerprint, want.Risk.Values[0].Value = "card_424242_4242", "card_424242_4242"
	if !reflect.DeepEqual(is, want) {
		t.Errorf("it is %+v", is.Risk)
	}
	if !reflect.DeepEqual(was, before()) {
		t.Error("another payment changed too")
	}
	again := is
	if payment.Coarsen(&again); !reflect.DeepEqual(again, want) {
		t.Error("the second time changes something")
	}

	event, err := json.Marshal(payment.Object(was))
	if err != nil {
		t.Fatal(err)
	}
	expected, err := json.Marshal(payment.Object(want))
	if err != nil {
		t.Fatal(err)
	}
	coarse, old, now := payment.CoarsenEvent(event)
	if string(coarse) != string(expected) || old != oldPrint || now != "card_424242_4242" {
		t.Errorf("the event is\n%s\nwant\n%s", coarse, expected)
	}
	if same, old, now := payment.CoarsenEvent(coarse); string(same) != string(coarse) || old+now != "" {
		t.Error("the second time changes something")
	}
}

// TestCoarsenLeavesTheRest checks that nothing but a card's fingerprint is replaced.
func TestCoarsenLeavesTheRest(t *testing.T) {
	p := before()
	for _, fingerprint := range []string{"", "card_424242_4242_3", "card_424242_4242", strings.ToUpper(oldPrint), oldPrint[1:]} {
		p.Risk.Fingerprint = fingerprint
		is := p
		if payment.Coarsen(&is); !reflect.DeepEqual(is, p) {
			t.Errorf("%q became %q", fingerprint, is.Risk.Fingerprint)
		}
		raw, err := json.Marshal(payment.Object(p))
		if err != nil {
			t.Fatal(err)
		}
		if same, old, _ := payment.CoarsenEvent(raw); string(same) != string(raw) || old != "" {
			t.Errorf("an event with %q changed", fingerprint)
		}
	}
	for _, data := range []string{`{"metadata":{"bin":"424242","fingerprint":"` + oldPrint + `","last4":"4242"}}`,
		`{"reference":"\"last4\":\"4242\",\"bin\":\"424242\",\"fingerprint\":\"` + oldPrint + `\""}`, `{}`, ``} {
		if same, old, _ := payment.CoarsenEvent([]byte(data)); string(same) != data || old != "" {
			t.Errorf("%s changed", data)
		}
	}
}
