package score

import (
	"strings"

	"github.com/paylink/paylink/internal/spelling"
)

// EmailKey returns what all spellings of an address share: spelling.EmailKey, so that
// a disguise of an address that is on a list is on it too. What is no address, because
// it was stored before addresses were checked, is compared in lower case.
func EmailKey(s string) string {
	if plainEmail(s) {
		return strings.ToLower(s)
	}
	if key := spelling.EmailKey(s); key != "" {
		return key
	}
	return strings.ToLower(spelling.Pasted(s))
}

// plainEmail reports whether lower case is all that EmailKey changes: nearly always,
// and replaying a history asks it millions of times.
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

// Scope returns the name that keeps the counts of one account, mode and currency apart from all others.
func Scope(account, mode, currency string) string { return account + "\x00" + mode + "\x00" + currency }
