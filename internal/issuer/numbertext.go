package issuer

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/spelling"
)

// NumberInText is the code of a fault about a card number in a field for text.
const NumberInText = "card_number_in_text"

// Lengths of card numbers (ISO/IEC 7812-1), and the most separators between two digits of one.
const (
	minNumberDigits = 12
	maxNumberDigits = 19
	maxGapChars     = 3
	eanDigits       = 13 // of an article number, which the ranges of Visa and Maestro include
	maxPhoneDigits  = 15 // after the plus sign (ITU-T E.164)
)

// NoNumber returns the fault card_number_in_text for param if one of the texts contains a card
// number (see HasNumber), and nil otherwise. The fault repeats nothing of the texts.
func NoNumber(param string, texts ...string) error {
	if !slices.ContainsFunc(texts, HasNumber) {
		return nil
	}
	return NumberFault(param)
}

// NumberFault returns the fault card_number_in_text for param.
func NumberFault(param string) *fault.Error {
	if HasNumber(param) { // a name that the caller made up
		param = ""
	}
	return fault.Invalid(param, "card_number_in_text",
		"A card number is not allowed here, only in the field of the card. Remove it and try again.")
}

// HasNumber reports whether a text contains a card number: digits of any script that pass the
// Luhn check, in a range and of a length that a card network issues, in one run or in groups as
// cards show them. Spaces, dashes, dots and similar signs may separate the groups; invisible
// characters and escapes of a URL do not hide a number.
//
// A part of a longer run of digits is not a card number, nor are digits beside a Latin, Greek or
// Cyrillic letter (hexadecimal, UUIDs, tracking numbers), article numbers (EAN-13), telephone
// numbers with their plus sign, decimal fractions, IBANs, and references with the check digits of
// ISO 11649 or of the US Postal Service. One in ten of all other numbers in these ranges passes
// the Luhn check by chance, and is reported.
func HasNumber(s string) bool {
	if !mayHaveNumber(s) {
		return false
	}
	s = norm.NFKC.String(s) // circled, raised and full-width digits
	for _, s := range []string{s, norm.NFKC.String(unescaped(s))} {
		// An invisible character stands inside a group, or in place of a separator.
		if hasNumber(s) || strings.ContainsFunc(s, spelling.Unseen) && hasNumber(strings.Map(spaced, s)) {
			return true
		}
	}
	return false
}

// spaced returns a space for an invisible character.
func spaced(c rune) rune {
	if spelling.Unseen(c) {
		return ' '
	}
	return c
}

// mayHaveNumber excludes quickly the many texts that have too few digits.
func mayHaveNumber(s string) bool {
	n := 0
	for _, c := range s {
		if c >= '0' && c <= '9' || c > unicode.MaxLatin1 || c == '²' || c == '³' || c == '¹' {
			if n++; n >= minNumberDigits {
				return true
			}
		}
	}
	return false
}

// unescaped returns a text with the percent escapes of a URL resolved. It leaves malformed ones.
func unescaped(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return strings.ToValidUTF8(b.String(), "")
}

// group is a run of digits in a text. Invisible characters do not end it.
type group struct {
	digits string
	at     int  // byte offset of the first digit
	end    int  // and after the last one
	joined bool // only separators of a card number stand between it and the group before
	word   bool // a letter is right before or after it, or it belongs to another kind of number
	before rune // the character right before it; 0 at the beginning
}

// hasNumber is HasNumber of a text whose digits have no compatibility forms.
func hasNumber(s string) bool {
	groups := groupsOf(s)
	others(s, groups)
	for first := range groups {
		var digits string
		var sizes []int
		for i, g := range groups[first:] {
			if g.word || (i > 0 && !g.joined) || len(digits)+len(g.digits) > maxNumberDigits {
				break
			}
			digits += g.digits
			sizes = append(sizes, len(g.digits))
			if asOnCards(sizes, len(digits)) && issued(digits) && luhn(digits) && !otherwise(groups, first, digits, len(sizes)) &&
				!inList(groups, first, first+i) {
				return true
			}
		}
	}
	return false
}

// groupsOf returns the groups of digits of a text, in order.
func groupsOf(s string) []group {
	var all []group
	var before rune // what was seen before the current character
	gap, open := maxGapChars+1, false
	for at, c := range s {
		d, digit := digitOf(c)
		switch {
		case digit && open:
			g := &all[len(all)-1]
			g.digits, g.end = g.digits+string(d), at+utf8.RuneLen(c)
		case digit:
			g := group{digits: string(d), at: at, end: at + utf8.RuneLen(c), word: inWord(before), before: before,
				joined: len(all) > 0 && gap > 0 && gap <= maxGapChars}
			all, open, gap = append(all, g), true, 0
		case spelling.Unseen(c) || unicode.Is(unicode.M, c):
			continue // as if it were not there
		default:
			if open && inWord(c) {
				all[len(all)-1].word = true
			}
			open = false
			if gap++; !separates(c) {
				gap = maxGapChars + 1
			}
		}
		before = c
	}
	return all
}

// inList reports whether groups of single digits are a part of a longer series of such.
func inList(groups []group, first, last int) bool {
	if len(groups[first].digits) > 1 || len(groups[last].digits) > 1 {
		return false
	}
	return first > 0 && groups[first].joined && len(groups[first-1].digits) == 1 ||
		last+1 < len(groups) && groups[last+1].joined && len(groups[last+1].digits) == 1
}

// digitOf returns the ASCII form of a decimal digit of any script.
func digitOf(c rune) (rune, bool) {
	if c >= '0' && c <= '9' {
		return c, true
	}
	if c < 0x80 || !unicode.Is(unicode.Nd, c) {
		return 0, false
	}
	return rune(spelling.Typed(string(c))[0]), true
}

// separates reports whether people and programs put the character between the groups of a card
// number. A line break is not one of them: it separates numbers of a list.
func separates(c rune) bool {
	return c == ' ' || c == '\t' || unicode.Is(unicode.Zs, c) || c == '\u2800' || unicode.Is(unicode.Pd, c) || c == '−' ||
		strings.ContainsRune("ー._/+·․•∙⋅・。", c)
}

// inWord reports whether a character beside digits makes them part of a word. Scripts without
// spaces between words, and those that attach words to numbers, do not.
func inWord(c rune) bool { return unicode.In(c, unicode.Latin, unicode.Greek, unicode.Cyrillic) }

// asOnCards reports whether groups of these sizes are how card numbers are written: in one run, by
// four with a shorter last group, 4-6-5 and 4-6-4, 4-3-3-3, 6-13, or digit by digit.
func asOnCards(sizes []int, total int) bool {
	if total < minNumberDigits || len(sizes) == 1 {
		return total >= minNumberDigits
	}
	ones, fours := true, sizes[len(sizes)-1] <= 4 && total != eanDigits
	for i, n := range sizes {
		ones = ones && n == 1
		fours = fours && (n == 4 || i == len(sizes)-1)
	}
	if ones || fours {
		return true
	}
	for _, known := range [...][]int{{4, 6, 5}, {4, 6, 4}, {4, 3, 3, 3}, {6, 13}} {
		if slices.Equal(sizes, known) {
			return true
		}
	}
	return false
}

// ranges are the issuer identification numbers of the card networks (ISO/IEC 7812-1), as the first
// and last prefix of the same length, with the lengths of their numbers.
var ranges = []struct {
	first, last string
	lengths     []int
}{
	{"4", "4", []int{13, 16, 19}},                        // Visa
	{"51", "55", []int{16}}, {"2221", "2720", []int{16}}, // Mastercard
	{"34", "34", []int{15}}, {"37", "37", []int{15}}, // American Express
	{"6011", "6011", from16}, {"644", "649", from16}, {"65", "65", from16}, // Discover
	{"300", "305", diners}, {"3095", "3095", diners}, {"36", "36", diners}, // Diners Club
	{"38", "39", diners},                                                         //
	{"3528", "3589", from16},                                                     // JCB
	{"62", "62", from16},                                                         // UnionPay
	{"2200", "2204", from16},                                                     // Mir
	{"5018", "5018", from12}, {"5020", "5020", from12}, {"5038", "5038", from12}, // Maestro
	{"5893", "5893", from12}, {"6304", "6304", from12}, {"6759", "6759", from12},
	{"6761", "6763", from12},
}

var (
	diners = []int{14, 16}
	from16 = []int{16, 17, 18, 19}
	from12 = []int{12, 13, 14, 15, 16, 17, 18, 19}
)

// issued reports whether a network issues cards with numbers in this range and of this length.
func issued(digits string) bool {
	for _, r := range ranges {
		if prefix := digits[:len(r.first)]; prefix >= r.first && prefix <= r.last && slices.Contains(r.lengths, len(digits)) {
			return true
		}
	}
	return false
}

// otherwise reports whether digits that could be a card number are, by what is around them, a
// telephone number, the decimals of a number, or an article number.
func otherwise(groups []group, first int, digits string, size int) bool {
	g := groups[first]
	next := first > 0 && groups[first-1].end+1 == g.at // one character stands between it and digits
	if g.before == '+' && !next && len(digits) <= maxPhoneDigits {
		return true
	}
	if size > 1 {
		return false
	}
	if g.before == '.' && next {
		return true
	}
	return len(digits) == eanDigits && checked31(digits)
}

// checked31 reports whether the last digit fits the others, weighted by 3 and 1 from the right
// (GS1 General Specifications, section 7.9; also USPS Publication 199).
func checked31(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d *= 3
		}
		sum += d
	}
	return sum%10 == 0
}

// others marks the groups that belong to numbers of another kind, which are longer than a card's
// and written in groups of four, too.
func others(s string, groups []group) {
	mark := func(from, to int) {
		for i, g := range groups {
			if g.at >= from && g.at < to {
				groups[i].word = true
			}
		}
	}
	for from := 0; ; {
		at := ibanLike.FindStringIndex(s[from:])
		if at == nil {
			break
		}
		n := ibanEnd(s[from+at[0] : from+at[1]])
		mark(from+at[0], from+at[0]+n)
		from += at[0] + max(n, 1)
	}
	for first := range groups {
		var digits string
		for i, g := range groups[first:] {
			if (i > 0 && !g.joined) || len(digits) > uspsDigits || (len(g.digits) != 4 && i < uspsDigits/4) {
				break
			}
			digits += g.digits
			if (len(digits) == uspsDigits || len(digits) == uspsDigits-2) && digits[0] == '9' && checked31(digits) {
				mark(groups[first].at, g.at+1)
			}
		}
	}
}

// uspsDigits is the length of a tracking number of the US Postal Service; older ones have two
// digits less.
const uspsDigits = 22

// Lengths of an IBAN (ISO 13616) and of a creditor reference (ISO 11649), in characters without
// spaces.
const (
	minIBANChars = 15
	maxIBANChars = 34
)

// ibanLike finds what begins like an IBAN or a creditor reference.
var ibanLike = regexp.MustCompile(`\b[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,60}`)

// ibanEnd returns the length of the IBAN or reference at the beginning of a text, with its spaces;
// 0: its check digits fit no beginning of it.
func ibanEnd(s string) int {
	var chars []byte
	for i := range len(s) {
		c := s[i]
		if c == ' ' || c == '-' {
			continue
		}
		if chars = append(chars, c); len(chars) > maxIBANChars {
			break
		}
		if whole := i+1 == len(s) || s[i+1] == ' ' || s[i+1] == '-'; whole && len(chars) >= minIBANChars && mod97(chars) == 1 {
			return i + 1
		}
	}
	return 0
}

// mod97 returns the remainder of an IBAN by 97, with its first four characters put last and its
// letters as numbers from 10 (ISO 7064).
func mod97(chars []byte) int {
	n := 0
	for i := range chars {
		c := chars[(i+4)%len(chars)]
		if c >= '0' && c <= '9' {
			n = (n*10 + int(c-'0')) % 97
		} else {
			n = (n*100 + int(c|0x20-'a') + 10) % 97
		}
	}
	return n
}
