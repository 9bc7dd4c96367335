package link

import (
	"slices"
	"strings"
	"unicode"

	"github.com/paylink/paylink/internal/spelling"
)

// MaxPastedBytes bounds a text that is searched for a link or a receipt.
const MaxPastedBytes = 16 << 10

// Pasted returns the address or the bare token in a pasted text, without what surrounds it:
// spaces and invisible characters, brackets and quotes, words before it, Markdown, the end of a
// sentence. It returns several spellings if a line end may have broken the address, and none if
// the text leads elsewhere as well: two different addresses, or an address inside another. The
// caller still checks whose address each one is, and whether its token is genuine.
func Pasted(text string) []string {
	text = spelling.Pasted(text)
	if text == "" || len(text) > MaxPastedBytes {
		return nil
	}

	fields := strings.Fields(strings.ReplaceAll(text, "](", " "))
	if !strings.Contains(text, "://") {
		return pastedBare(fields)
	}

	// With a scheme in the text, the fields that contain one decide; everything else is
	// words around it.
	address, at := "", 0
	for i, f := range fields {
		scheme := strings.Index(f, "://")
		if scheme < 0 {
			continue
		}
		start := scheme
		for start > 0 && isLatin(f[start-1]) {
			start--
		}
		each := cutEnd(f[start:])
		if strings.Count(f, "://") > 1 || !introduces(f[:start]) || address != "" && each != address {
			return nil
		}
		address, at, fields[i] = each, i, f[start:]
	}

	return spellings(address, fields[at:])
}

// pastedBare is Pasted for a text without a scheme: a token, or an address that begins with its
// host.
func pastedBare(fields []string) []string {
	for i, f := range fields {
		fields[i] = strings.TrimLeftFunc(f, opens)
	}
	if len(fields) == 1 {
		return spellings(cutEnd(fields[0]), fields)
	}

	address, at := "", 0
	for i, f := range fields {
		if !strings.Contains(f, "/l/") && !strings.Contains(f, "/verify?") {
			continue
		}
		each := cutEnd(f)
		if address != "" && each != address {
			return nil
		}
		address, at = each, i
	}

	return spellings(address, fields[at:])
}

// spellings returns an address as it is, without Markdown around words, and joined over one
// and over all line ends after it. The caller tries them in this order.
func spellings(address string, fields []string) (out []string) {
	all := []string{address, strings.TrimRight(address, "_-*~")}
	if len(fields) > 1 {
		all = append(all, cutEnd(fields[0]+fields[1]), cutEnd(strings.Join(fields, "")))
	}
	for _, each := range all {
		if each != "" && !slices.Contains(out, each) {
			out = append(out, each)
		}
	}
	return out
}

// isLatin reports whether c is an ASCII letter.
func isLatin(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }

// opens reports whether c opens a quotation, an emphasis or words in brackets.
func opens(c rune) bool {
	return unicode.In(c, unicode.Ps, unicode.Pi) || strings.ContainsRune("<\"'`*_~„‚:：|>", c)
}

// introduces reports whether the text directly before an address only leads to it. Anything
// that could be a host or a path makes the address part of another one.
func introduces(before string) bool {
	if before == "" {
		return true
	}
	if strings.ContainsAny(before, "/.@\\?#=%&。．｡／？＝＆＠＃＼") {
		return false
	}
	last := []rune(before)[len([]rune(before))-1]
	return opens(last) || last > unicode.MaxASCII && unicode.IsLetter(last) // such as Japanese, which has no spaces
}

// encodedEnds are the ends that addresses get when spaces are copied with them.
var encodedEnds = []string{"%20", "%09", "%0A", "%0D", "%C2%A0", "%E2%80%8B", "%EF%BB%BF", "%E2%80%8E", "%E2%80%8F"}

// cutEnd cuts an address where it must end, and removes the end of a sentence or a quotation.
func cutEnd(s string) string {
	if i := strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("<>\"`{}|^\\", c) }); i >= 0 {
		s = s[:i]
	}
	// Each round removes what may hide the next: a bracket behind a full stop, a space
	// behind a bracket.
	for {
		was := s
		s = strings.TrimRight(s, ".,;:!?)]}'*~")
		for _, end := range encodedEnds {
			if n := len(s) - len(end); n >= 0 && strings.EqualFold(s[n:], end) {
				s = s[:n]
			}
		}
		if s == was {
			return s
		}
	}
}

// BareTokens returns the tokens that a string may mean when an address was copied or recognized
// with the words next to it: as far as its characters reach, and without the "-" and "_" at its
// end, which are emphasis if not part of the token.
func BareTokens(s string) []string {
	isToken := func(c rune) bool { return c < unicode.MaxASCII && (isLatin(byte(c)) || c >= '0' && c <= '9') } // ASCII
	s = strings.TrimFunc(spelling.Pasted(s), func(c rune) bool { return !isToken(c) && c != '-' && c != '_' })
	if short := strings.TrimRight(s, "-_"); short != "" && short != s {
		return []string{s, short}
	}
	if s == "" {
		return nil
	}
	return []string{s}
}

// BareToken returns the last of BareTokens: a link's token never ends in "-" or "_". It returns
// "" if there is none.
func BareToken(s string) string {
	all := BareTokens(s)
	if len(all) == 0 {
		return ""
	}
	return strings.TrimRight(all[len(all)-1], "-_")
}
