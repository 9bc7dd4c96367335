package score

import (
	"strings"

	"github.com/paylink/paylink/internal/spelling"
)

// EmailKey returns what all spellings of an address share, by spelling.EmailKey, so that a
// disguise of a listed address is on the list too. Invalid text, stored before addresses were
// validated, is compared in lower case.
func EmailKey(s string) string {
	if plainEmail(s) {
		return strings.ToLower(s)
	}
	if key := spelling.EmailKey(s); key != "" {
		return key
	}
	return strings.ToLower(spelling.Pasted(s))
}

// plainEmail reports whether EmailKey only changes the case. That is nearly always so, and a
// replay of history calls it millions of times.
func plainEmail(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '@', c == '.', c == '-', c == '_', c == '+':
		default:
			return false
		}
	}
	return true
}

// Scope returns the name that separates the counts of one account, mode and currency from all
// others.
func Scope(account, mode, currency string) string { return account + "\x00" + mode + "\x00" + currency }
