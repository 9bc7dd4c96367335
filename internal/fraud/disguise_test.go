package fraud

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"

	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// disguises are other spellings of an address that the same mailbox gets.
func disguises(address string) []string {
	out := []string{address, strings.ToUpper(address), norm.NFD.String(address), norm.NFC.String(address), strings.Replace(address, "@", "@\u2060", 1)}
	at := strings.LastIndexByte(address, '@')
	out = append(out, width.Widen.String(address[:at])+address[at:])
	if ascii, err := spelling.Email(address); err == nil {
		out = append(out, ascii)
	}
	for _, unseen := range []string{"\u200b", "\ufeff", "\u200e", "\u202e", "\u00ad", "\u2060", "\u180e", "\ufe0f", "\U000e0001"} {
		out = append(out, address+unseen, unseen+address, strings.Replace(address, "@", unseen+"@", 1))
	}
	return append(out, " "+address+"\u00a0")
}

// TestListsMatchEveryDisguise: an entry in any spelling of an address, or of its
// domain, matches an attempt in any other; so does the history that it is counted in.
func TestListsMatchEveryDisguise(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, address := range []string{"bad@example.com", "bad@münchen.example", "josé.b+x@bücher.example", "用户@例え.jp"} {
		for _, listed := range append(disguises(address), disguises(address)[0][strings.LastIndexByte(address, '@'):]) {
			e := ListEntry{ID: "x", Account: "a", Mode: "test", Kind: ListEmail, Value: listed, Action: payment.Block}
			if err := checkEntry(&e, now); err != nil {
				t.Errorf("%q cannot be listed: %v", listed, err)
				continue
			}
			set := newRuleset("test", Book{Entries: []ListEntry{e}}, Book{}, &programs{})
			for _, typed := range disguises(address) {
				a := Attempt{At: now, Amount: money.Of(100, "EUR"), Email: typed}
				if got := set.Decide(&a, nil, nil); got.Action != payment.Block {
					t.Errorf("%q on the list does not stop %q", listed, typed)
				}
				if a.seen(now).Email != EmailKey(address) || (&Row{PayerEmail: typed}).seen(now).Email != EmailKey(address) {
					t.Errorf("%q is counted apart from %q", typed, address)
				}
			}
			other := Attempt{At: now, Amount: money.Of(100, "EUR"), Email: "x" + address + ".other.example"}
			if got := set.Decide(&other, nil, nil); got.Action == payment.Block {
				t.Errorf("%q on the list stops %q", listed, other.Email)
			}
		}
	}
}

// TestListEntriesOfBefore: entries that were stored as they were typed match as well.
func TestListEntriesOfBefore(t *testing.T) {
	a := Attempt{Amount: money.Of(100, "EUR"), Email: "Bad@münchen.example"}
	for _, value := range []string{"bad@münchen.example", "bad@münchen.example\u200b", "@münchen.example"} {
		set := newRuleset("test", Book{Entries: []ListEntry{{ID: "x", Kind: ListEmail, Value: value, Action: payment.Block}}}, Book{}, &programs{})
		if got := set.Decide(&a, nil, nil); got.Action != payment.Block {
			t.Errorf("%q matches nothing", value)
		}
	}
}

func TestListValuesAsTyped(t *testing.T) {
	for _, row := range []struct {
		kind     ListKind
		in, want string
	}{
		{ListBIN, "4242 42", "424242"}, {ListBIN, "４２４２４２", "424242"}, {ListBIN, "4242-42\u200b", "424242"}, {ListBIN, "٤٢٤٢٤٢", "424242"}, {ListBIN, "42424", ""},
		{ListAddress, " 203.0.113.7\u200b", "203.0.113.0/24"}, {ListAddress, "::ffff:203.0.113.7", "203.0.113.0/24"}, {ListAddress, "::ffff:203.0.113.0/120", "203.0.113.0/24"},
		{ListAddress, "２０３.0.113.7", "203.0.113.0/24"}, {ListAddress, "[2001:DB8:0:1::1]", "2001:db8::/48"}, {ListAddress, "2001:0db8:0000::/48", "2001:db8::/48"}, {ListAddress, "203.0.113.0/16", ""},
		{ListCountry, "de", "DE"}, {ListCountry, "ｄｅ ", "DE"}, {ListCountry, "deu", ""},
		{ListEmail, "＠Example.com", "@example.com"}, {ListEmail, "a＠example.com", "a@example.com"}, {ListEmail, "@.example.com", ""}, {ListEmail, "@", ""}, {ListEmail, "a b@example.com", ""},
	} {
		if got, _ := canonical(row.kind, row.in); got != row.want {
			t.Errorf("%s %q is %q, want %q", row.kind, row.in, got, row.want)
		}
	}
	e := ListEntry{Account: "a", Kind: ListCountry, Value: "DE", Action: payment.Block, Note: "a\u202eb"}
	if err := checkEntry(&e, time.Time{}); err == nil {
		t.Error("a note that reads otherwise than it is")
	}
}

func TestPlainEmailsAreOnlyLowered(t *testing.T) {
	for _, s := range []string{"A@b.c", "a..b@C.com", "@", "x@xn--mnchen-3ya.example", "A.B+c_d-e@F-g.h", "a@b@c"} {
		key := spelling.EmailKey(s)
		if key == "" {
			key = strings.ToLower(spelling.Pasted(s))
		}
		if !plainEmail(s) || EmailKey(s) != key {
			t.Errorf("%q: %q, want %q", s, EmailKey(s), key)
		}
	}
}
