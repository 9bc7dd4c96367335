package dashboard

import (
	"strings"
	"unicode"
)

// typedAmount drops spaces, and turns a decimal comma into a point where it can be
// nothing else: one comma, one or two digits after it. 1,200 stays refused: in a
// currency of three decimals it could mean two sums.
func typedAmount(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		if r >= '٠' && r <= '٩' { // as an Arabic keyboard writes them
			return r - '٠' + '0'
		}
		return r
	}, s)
	s = strings.ReplaceAll(s, "٫", ",")
	whole, frac, comma := strings.Cut(s, ",")
	if comma && (len(frac) == 1 || len(frac) == 2) && !strings.ContainsAny(whole+frac, ".,") {
		return whole + "." + frac
	}
	return s
}
