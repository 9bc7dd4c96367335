package rulebook

import (
	"errors"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/payment"
)

func TestListValuesAsTyped(t *testing.T) {
	for _, row := range []struct {
		kind     Kind
		in, want string
	}{
		{KindBIN, "4242 42", "424242"}, {KindBIN, "４２４２４２", "424242"}, {KindBIN, "4242-42\u200b", "424242"}, {KindBIN, "٤٢٤٢٤٢", "424242"},
		{KindBIN, "42424", ""},
		{KindAddress, " 203.0.113.7\u200b", "203.0.113.0/24"}, {KindAddress, "::ffff:203.0.113.7", "203.0.113.0/24"},
		{KindAddress, "::ffff:203.0.113.0/120", "203.0.113.0/24"},
		{KindAddress, "２０３.0.113.7", "203.0.113.0/24"}, {KindAddress, "[2001:DB8:0:1::1]", "2001:db8::/48"},
		{KindAddress, "2001:0db8:0000::/48", "2001:db8::/48"}, {KindAddress, "203.0.113.0/16", ""},
		{KindCountry, "de", "DE"}, {KindCountry, "ｄｅ ", "DE"}, {KindCountry, "deu", ""},
		{KindEmail, "＠Example.com", "@example.com"}, {KindEmail, "a＠example.com", "a@example.com"}, {KindEmail, "@.example.com", ""},
		{KindEmail, "@", ""}, {KindEmail, "a b@example.com", ""},
	} {
		if got, _ := Canonical(row.kind, row.in); got != row.want {
			t.Errorf("%s %q is %q, want %q", row.kind, row.in, got, row.want)
		}
	}
	e := Entry{Account: "a", Kind: KindCountry, Value: "DE", Action: payment.Block, Note: "a\u202eb"}
	if err := checkEntry(&e, time.Time{}); err == nil {
		t.Error("a note that reads otherwise than it is")
	}
}

// TestListValues checks that a value is stored in the form that attempts have.
func TestListValues(t *testing.T) {
	for _, c := range []struct {
		kind    Kind
		in, out string
	}{
		{KindEmail, "Eve@Mail.Example", "eve@mail.example"}, {KindEmail, "@Mail.example", "@mail.example"}, {KindEmail, "eve", ""},
		{KindEmail, "eve@", ""}, {KindEmail, "a b@c", ""},
		{KindBIN, "424242", "424242"}, {KindBIN, "42424", ""}, {KindBIN, "42424x", ""},
		{KindAddress, "203.0.113.9", "203.0.113.0/24"}, {KindAddress, "203.0.113.0/24", "203.0.113.0/24"}, {KindAddress, "203.0.0.0/16", ""},
		{KindAddress, "2001:db8:1:2::3", "2001:db8:1::/48"}, {KindAddress, "here", ""},
		{KindCountry, "de", "DE"}, {KindCountry, "DEU", ""}, {KindCountry, "D1", ""},
		{KindCard, " card_424242_4242_3", "card_424242_4242_3"}, {KindCard, "CARD_424242_4242", "card_424242_4242"},
		{KindCard, "card_378282_0005", "card_378282_0005"}, {KindCard, "card_3782_0005", "card_3782_0005"},
		{KindCard, "card_424242_4242_8", ""}, {KindCard, "card_424242_424", ""}, {KindCard, "card_4242424_4242_1", ""},
		{KindCard, "card_424242_4242_1_1", ""}, {KindCard, "0123456789abcdef0123456789abcdef", ""},
		{KindCard, "4242", ""}, {KindCard, "4242 4242 4242 4242", ""},
		{KindCard, "4242424242424242", ""}, {KindCard, "4242-4242-4242-4242", ""},
	} {
		got, broken := Canonical(c.kind, c.in)
		if got != c.out || (got == "") != (broken != "") {
			t.Errorf("%s %q is %q (%s), want %q", c.kind, c.in, got, broken, c.out)
		}
	}
	if err := checkEntry(&Entry{Kind: KindCard, Action: payment.Block, Value: "card_424242_4242_3"}, time.Time{}); fault.Code(
		err,
	) != "list_kind_invalid" {
		t.Errorf("a card of the installation: %v", err)
	}
	var refused *fault.Error
	if err := checkRule(&Rule{Name: "n", Action: payment.Block, When: "amount\n > 'x'"}); !errors.As(err, &refused) ||
		refused.Param != "when" ||
		refused.Detail != "Line 2, column 2: > cannot be used between a number and a text." {
		t.Errorf("%+v", refused)
	}
}
