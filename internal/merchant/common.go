package merchant

import (
	_ "embed"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/spelling"
)

// A new password is refused if people who guess would try it early: common words alone, doubled or
// with digits, keyboard rows, sequences, repetitions, and names of the user, the site and paylink.
// Rules find more of them than a list. A password is cut into the pieces that are cheapest to
// guess, and their costs, in bits, are added up.
const (
	commonBits  = 27.0 // a password below that is refused; three words that are not common have 40 or more
	singleBits  = 13.0 // letters below that are one word, one word doubled, or a row of keys
	wordBits    = 9.2  // one of the common words
	ownBits     = 2.0  // a name of the user, the site or paylink
	rowBits     = 6.0  // neighbors on a keyboard or in the alphabet, a year
	repeatBits  = 3.0  // what came before, again
	variantBits = 1.5  // a word spelled with digits, or backward
	letterBits  = 4.7
	digitBits   = 3.3
	signBits    = 5.0
	foreignBits = 8.0 // a character outside of ASCII

	maxWordChars = 24
	minOwnChars  = 3
)

// commonWords are words that passwords are often made of. They were collected by hand.
//
//go:embed common.txt
var commonText string

var commonWords = func() map[string]bool {
	words := map[string]bool{}
	for w := range strings.FieldsSeq(commonText) {
		words[w] = true
	}
	return words
}()

// rows are neighboring keys, and other sequences. Three characters of shortRows, or four of the
// others, are a row in either direction.
var (
	rows = []string{"01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn",
		"abcdefghijklmnopqrstuvwxyz", "1234567891011121314151617181920"}
	shortRows = []string{"1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "8ik", "9ol", "0okm", "9ijn", "8uhb", "7ygv", "6tfc", "5rdx",
		"4esz", "qwe", "asd", "zxc", "rty", "fgh", "vbn", "uio", "jkl", "abc", "xyz", "01234567890"}
)

// commonPassword returns the fault of a password that is refused.
func commonPassword(param string) error {
	return fault.Invalid(param, "password_too_common",
		"The password is too easy to guess: it is a common one, a pattern, or a name of yours or of this site. Use several unrelated words.")
}

// common reports whether a new password of the user is too easy to guess.
func (l *Local) common(password string, u User, a Account) bool {
	own := []string{"paylink", u.Username, u.Email, a.Name}
	if site, err := url.Parse(l.public); err == nil {
		own = append(own, site.Hostname())
	}
	return tooCommon(password, own)
}

// tooCommon reports whether the password is easy to guess for people who know these names.
func tooCommon(password string, own []string) bool {
	c := guesser{own: map[string]bool{}}
	for _, name := range own {
		name = spelling.Fold(name)
		local, _, _ := strings.Cut(name, "@")
		for _, part := range append(strings.FieldsFunc(name, notAlphanumeric), name, local, keep(name, alphanumeric), keep(local, alphanumeric)) {
			if len(part) >= minOwnChars {
				c.own[part] = true
			}
		}
	}

	s := spelling.Fold(password)
	var even, odd []rune // "a1b2c3" is two rows
	for i, r := range []rune(s) {
		if i%2 == 0 {
			even = append(even, r)
		} else {
			odd = append(odd, r)
		}
	}
	if c.bits(s) < commonBits || c.bits(keep(s, alphanumeric))+repeatBits < commonBits ||
		c.bits(string(even))+c.bits(string(odd))+repeatBits < commonBits {
		return true
	}

	// However many digits and signs are around or in a common word.
	for _, letters := range []string{keep(s, unicode.IsLetter), strings.TrimFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })} {
		if len(letters) >= minOwnChars && c.bits(letters) < singleBits {
			return true
		}
	}
	return false
}

func alphanumeric(r rune) bool    { return unicode.IsLetter(r) || unicode.IsDigit(r) }
func notAlphanumeric(r rune) bool { return !alphanumeric(r) }

// keep returns s with only the characters for which is holds.
func keep(s string, is func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if is(r) {
			return r
		}
		return -1
	}, s)
}

// guesser estimates how a password would be guessed.
type guesser struct{ own map[string]bool }

// bits returns the least sum of the costs of pieces that s can be cut into, or the cost of its
// beginning if that is already commonBits or more.
func (c guesser) bits(s string) float64 {
	var at []int // where each character begins
	for i := range s {
		at = append(at, i)
	}
	at = append(at, len(s))

	least := make([]float64, len(at))
	for end := 1; end < len(at); end++ {
		last, _ := utf8.DecodeRuneInString(s[at[end-1]:])
		least[end] = least[end-1] + characterBits(last)
		for start := range end - 1 {
			if least[start] >= least[end] {
				continue
			}
			if b, ok := c.piece(s[:at[start]], s[at[start]:at[end]], end-start); ok {
				least[end] = min(least[end], least[start]+b)
			}
		}
		// No word is longer than this, and what is longer can be cut.
		if end >= maxWordChars && slices.Min(least[end-maxWordChars+1:end+1]) >= commonBits {
			return least[end]
		}
	}
	return least[len(at)-1]
}

// characterBits returns the cost of a character that is no part of anything.
func characterBits(r rune) float64 {
	switch {
	case r >= 'a' && r <= 'z':
		return letterBits
	case r >= '0' && r <= '9':
		return digitBits
	case r < 0x80:
		return signBits
	}
	return foreignBits
}

// piece returns the cost of n characters, two or more, that people would try together. before is
// what comes before them.
func (c guesser) piece(before, piece string, n int) (float64, bool) {
	first, size := utf8.DecodeRuneInString(piece)
	switch {
	case c.own[piece]:
		return ownBits, true
	case strings.HasSuffix(before, piece), n > 2 && strings.Contains(before, piece):
		return repeatBits, true
	case strings.Count(piece, piece[:size]) == n: // one character
		return characterBits(first) + repeatBits/2, true
	case n < minOwnChars || n > maxWordChars:
		return 0, false
	}

	turned := backward(piece)
	switch {
	case strings.Contains(before, turned):
		return repeatBits, true
	case inRow(piece, turned, n), isYear(piece):
		return rowBits, true
	case commonWords[piece]:
		return wordBits, true
	}
	for _, variant := range []string{turned, plainly.Replace(piece), plainlyL.Replace(piece)} {
		if c.own[variant] {
			return ownBits + variantBits, true
		}
		if commonWords[variant] {
			return wordBits + variantBits, true
		}
	}
	return 0, false
}

// The letters for which people write digits and signs. 1 and ! are i or l.
var (
	plainly = strings.NewReplacer("1", "i", "!", "i",
		"0", "o", "3", "e", "4", "a", "@", "a", "5", "s", "$", "s", "7", "t", "+", "t", "8", "b", "9", "g")
	plainlyL = strings.NewReplacer("1", "l", "!", "l",
		"0", "o", "3", "e", "4", "a", "@", "a", "5", "s", "$", "s", "7", "t", "+", "t", "8", "b", "9", "g")
)

// inRow reports whether the piece, of n characters, is in a row of keys or of the alphabet. turned is
// the piece backward.
func inRow(piece, turned string, n int) bool {
	in := func(rows []string) bool {
		return slices.ContainsFunc(rows, func(row string) bool { return strings.Contains(row, piece) || strings.Contains(row, turned) })
	}
	return n > 3 && in(rows) || in(shortRows)
}

// isYear reports whether the piece is a year of the last or this century.
func isYear(piece string) bool {
	return len(piece) == 4 && (strings.HasPrefix(piece, "19") || strings.HasPrefix(piece, "20")) && strings.Trim(piece, "0123456789") == ""
}

// backward returns s from its end to its beginning.
func backward(s string) string {
	r := []rune(s)
	slices.Reverse(r)
	return string(r)
}
