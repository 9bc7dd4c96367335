package issuer_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
)

// printed are numbers of each network as cards show them: numbers that the networks and issuers
// publish for tests, and some that only their check digit makes valid.
var printed = []string{
	"4111 1111 1111 1111", "4000 0566 5566 5556", "4222 222 222 222", "4000 0000 0000 0000 006", "5555 5555 5555 4444",
	"5105 1051 0510 5100", "2223 0031 2200 3222", "2720 9999 9999 9996", "3782 822463 10005", "3714 496353 98431", "6011 1111 1111 1117",
	"6011 0009 9013 9424", "6445 6445 6445 6445", "6500 0000 0000 0002", "3056 930902 5904", "3852 000002 3237", "3600 666633 3344",
	"3000 0000 0000 04", "3530 1113 3330 0000", "3566 0020 2036 0505", "6200 0000 0000 0005", "6205 5000 0000 0000 004",
	"6759 6498 2643 8453", "5018 0000 0009", "6304 0000 0000 0000", "2200 0000 0000 0004", "620550 0000000000004",
}

// TestCardNumbersInText: a number is found in any digits, between any separators, with anything
// unseen in it, and inside a longer text.
func TestCardNumbersInText(t *testing.T) {
	digits := func(zero rune) func(string) string {
		return func(s string) string {
			return strings.Map(func(c rune) rune {
				if c >= '0' && c <= '9' {
					return c - '0' + zero
				}
				return c
			}, s)
		}
	}
	instead := func(of string) func(string) string {
		return func(s string) string { return strings.ReplaceAll(s, " ", of) }
	}
	between := func(what string) func(string) string {
		return func(s string) string { return strings.Join(strings.Split(s, ""), what) }
	}
	around := func(format string) func(string) string {
		return func(s string) string { return fmt.Sprintf(format, s) }
	}
	disguises := map[string]func(string) string{
		"as printed": around("%s"), "one run": instead(""), "dashes": instead("-"), "long dashes": instead("–"), "minus": instead("−"),
		"dots": instead("."), "middle dots": instead("·"), "two spaces": instead("  "), "dashes and spaces": instead(" - "),
		"no-break spaces": instead("\u00a0"), "thin spaces": instead("\u2009"), "ideographic spaces": instead("\u3000"), "tabs": instead("\t"),
		"underscores": instead("_"), "slashes": instead("/"), "plus signs of a query": instead("+"), "escaped spaces": instead("%20"),
		"full-width": digits('０'), "Arabic-Indic": digits('٠'), "Persian": digits('۰'), "Devanagari": digits('०'), "Thai": digits('๐'),
		"mathematical": digits('𝟎'), "bold": digits('𝟬'), "circled": func(s string) string {
			return strings.Map(func(c rune) rune {
				if c >= '1' && c <= '9' {
					return c - '1' + '①'
				}
				return c
			}, s)
		},
		"zero-width spaces": between("\u200b"), "joiners": between("\u200d"), "soft hyphens": between("\u00ad"), "marks": between("\u200e"),
		"byte order marks": between("\ufeff"), "variation selectors": between("\ufe0f"), "keycaps": between("\ufe0f\u20e3"),
		"invisible in place of the first separator": func(s string) string { return strings.Replace(s, " ", "\u200b", 1) },
		"invisible at the ends":                     around("\u202a%s\u202c"),
		"in a sentence":                             around("ref %s thanks"), "after a number": around("12 %s"), "before the expiry": around("%s 12/27 123"),
		"before MMYY": around("%s 1227"), "in brackets": around("(%s)"), "in quotes": around("\"%s\","), "after a colon": around("card:%s."),
		"in an address": around("%s@example.com"), "in a query": around("https://shop.example/?ref=%s&x=1"),
		"in Japanese": around("カード番号%sです"), "in Chinese": around("卡号%s谢谢"), "in Arabic": around("بطاقة%s"), "in Hebrew": around("כ%s"),
		"on a line": around("order 7\n%s\nthanks"), "digit by digit": func(s string) string {
			return strings.Join(strings.Split(strings.ReplaceAll(s, " ", ""), ""), " ")
		},
	}
	for name, disguise := range disguises {
		for _, p := range printed {
			s := disguise(p)
			if !issuer.HasNumber(s) {
				t.Errorf("%s: %q passes", name, s)
			}
		}
	}
	err := issuer.NoNumber("reference", "tea", "ref 4111 1111 1111 1111 thanks")
	f := fault.From(err)
	if f.Code != issuer.NumberInText || f.Kind != fault.KindInvalid || f.Param != "reference" || issuer.HasNumber(err.Error()) {
		t.Errorf("fault %+v", f)
	}
	if err := issuer.NoNumber("metadata.4111111111111111", "4111111111111111"); issuer.HasNumber(err.Error()) {
		t.Errorf("the fault repeats the number: %v", err)
	}
	if err := issuer.NoNumber("reference", "tea", ""); err != nil {
		t.Errorf("tea is refused: %v", err)
	}
}

// TestOtherNumbersPass: what looks like a card number and is none.
func TestOtherNumbersPass(t *testing.T) {
	for name, s := range map[string]string{
		"wrong check digit": "4111 1111 1111 1112", "a length that Visa has not": "4111 1111 1111 116", "no range": "1111 1111 1111 1117",
		"a longer run": "14111111111111111", "in the middle of a run": "0041111111111111110000", "hexadecimal": "a4111111111111111",
		"before a letter": "4111111111111111x", "before a Cyrillic one": "4111111111111111ж", "0x": "0x4111111111111111",
		"numbers of a list": "4021 334 1117 2 90 6011", "lines of a list": "4111\n1111\n1111\n1111", "in commas": "4111,1111,1111,1111",
		"a list of digits": "5 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "uneven groups": "41 111 1111 1111 111", "an IPv6 address": "2600:1700:1234:5678", "decimals": "0.4111111111111111",
		"more decimals": "48.371449635398431", "phone": "+4915112345674", "phone in groups": "+49 151 1234 5674", "EAN-13": "4006381333931",
		"EAN-13 from the UK": "5018374350930", "ISBN-13": "978-3-16-148410-0", "IMEI": "353918052107061", "IMEI 49": "490154203237518",
		"IBAN": "DE89 3704 0044 0532 0130 00", "IBAN of GLS": "DE18 4306 0967 1234 5678 00", "IBAN, British": "GB29 NWBK 6016 1331 9268 19",
		"IBAN in a sentence": "to de89 3704 0044 0532 0130 00 please", "creditor reference": "RF18 5390 0754 7034",
		"USPS": "9400 1000 0000 0000 0000 00", "USPS with a card in it": "9400 4111 1111 1111 1111 39", "UPS": "1Z999AA10123456784",
		"FedEx": "6129 9987 0123", "timestamp": "20261130123456", "milliseconds": "1764547200000",
		"UUID": "41111111-1111-4111-8111-111111111111", "order of Amazon": "403-1234567-1234567", "order of Google": "GPA.3345-1234-5678-90123",
		"twelve zeros": "attempt-000000000000",
	} {
		if issuer.HasNumber(s) {
			t.Errorf("%s: %q is refused", name, s)
		}
	}
}

// TestHonestReferencesPass: of ten thousand references as shops, carriers, banks and programs
// write them, none is refused. The seed is fixed. The generators leave out what nobody can distinguish
// from a card number, such as 16 random digits.
func TestHonestReferencesPass(t *testing.T) {
	const references = 10_000
	r := rand.New(rand.NewPCG(2026, 12))
	for i := range references {
		kind := honest[i%len(honest)]
		if s := kind.make(r); issuer.HasNumber(s) {
			t.Errorf("%s: %q is refused", kind.name, s)
		}
	}
}

// FuzzHasNumber: no text makes it panic, and a number is found beside any text that ends with a
// space.
func FuzzHasNumber(f *testing.F) {
	for _, p := range printed {
		f.Add(p)
	}
	f.Add("DE89 3704 0044 0532 0130 00")
	f.Add("%4%31%")
	f.Fuzz(func(t *testing.T, s string) {
		issuer.HasNumber(s)
		if !issuer.HasNumber(s + "\n4111 1111 1111 1111\n" + s) {
			t.Errorf("not found beside %q", s)
		}
	})
}
