package fraud

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// disguises returns other spellings of an address of the same mailbox.
func disguises(address string) []string {
	out := []string{
		address,
		strings.ToUpper(address),
		norm.NFD.String(address),
		norm.NFC.String(address),
		strings.Replace(address, "@", "@\u2060", 1),
	}
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

// TestListsMatchEveryDisguise checks that an entry in any spelling of an address, or of its
// domain, matches an attempt in any other, and so does the history in which it is counted.
func TestListsMatchEveryDisguise(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, address := range []string{"bad@example.com", "bad@münchen.example", "josé.b+x@bücher.example", "用户@例え.jp"} {
		for _, listed := range append(disguises(address), disguises(address)[0][strings.LastIndexByte(address, '@'):]) {
			e := rulebook.Entry{ID: "x", Account: "a", Mode: "test", Kind: rulebook.KindEmail, Action: payment.Block}
			var broken string
			if e.Value, broken = rulebook.Canonical(e.Kind, listed); broken != "" {
				t.Errorf("%q cannot be listed: %s", listed, broken)
				continue
			}
			set := newRuleset("test", rulebook.Book{Entries: []rulebook.Entry{e}}, rulebook.Book{}, &programs{})
			for _, typed := range disguises(address) {
				a := Attempt{At: now, Amount: money.Of(100, "EUR"), Email: typed}
				if got := set.Decide(&a, nil, nil); got.Action != payment.Block {
					t.Errorf("%q on the list does not stop %q", listed, typed)
				}
				if a.seen(now).Email != score.EmailKey(address) || (&history.Row{PayerEmail: typed}).Attempt(now).Email != score.EmailKey(address) {
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

// TestListEntriesOfBefore checks that entries that were stored as typed match as well.
func TestListEntriesOfBefore(t *testing.T) {
	a := Attempt{Amount: money.Of(100, "EUR"), Email: "Bad@münchen.example"}
	for _, value := range []string{"bad@münchen.example", "bad@münchen.example\u200b", "@münchen.example"} {
		set := newRuleset(
			"test",
			rulebook.Book{Entries: []rulebook.Entry{{ID: "x", Kind: rulebook.KindEmail, Value: value, Action: payment.Block}}},
			rulebook.Book{},
			&programs{},
		)
		if got := set.Decide(&a, nil, nil); got.Action != payment.Block {
			t.Errorf("%q matches nothing", value)
		}
	}
}
