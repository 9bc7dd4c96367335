package link

import (
	"slices"
	"strings"
	"unicode"

	"github.com/paylink/paylink/internal/spelling"
)

// MaxPastedBytes bounds a text in which a link or a receipt is looked for.
const MaxPastedBytes = 16 << 10

// Pasted gives the address or the bare token that a pasted text means, without what
// stands around it: spaces and unseen characters, brackets and quotes, words before
// it, Markdown, the end of a sentence. It gives more than one spelling where a line end
// may have broken the address, and none where the text leads somewhere else as well:
// two different addresses, or an address inside another. A caller still looks whose
// address each one is, and whether its token is genuine.
func Pasted(text string) []string {
	text = spelling.Pasted(text)
	if text == "" || len(text) > MaxPastedBytes {
		return nil
	}
	fields := strings.Fields(strings.ReplaceAll(text, "](", " "))
	if !strings.Contains(text, "://") {
		return pastedBare(fields)
	}
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

// pastedBare is Pasted for a text without a scheme: a token, or an address that begins
// with its host.
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

// spellings are an address as it is, without what Markdown puts around words, and
// joined over one and over all line ends after it.
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

func isLatin(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }

// opens reports what stands before a quotation, an emphasis or a word in brackets.
func opens(c rune) bool {
	return unicode.In(c, unicode.Ps, unicode.Pi) || strings.ContainsRune("<\"'`*_~„‚:：|>", c)
}

// introduces reports whether what stands before an address, without a space, only leads
// to it. Whatever could be a host or a path makes the address a part of another one.
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

// encodedEnds are what addresses get at their end when spaces are copied with them.
var encodedEnds = []string{"%20", "%09", "%0A", "%0D", "%C2%A0", "%E2%80%8B", "%EF%BB%BF", "%E2%80%8E", "%E2%80%8F"}

// cutEnd ends an address where it can no longer be one, and takes the end of a sentence
// or a quotation off.
func cutEnd(s string) string {
	if i := strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("<>\"`{}|^\\", c) }); i >= 0 {
		s = s[:i]
	}
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

// BareTokens returns the tokens that somebody may mean by one with something around it,
// as it comes when an address is copied or recognized with the words next to it: as far
// as its characters reach, and without the "-" and "_" at its end, which are emphasis
// if not the token's own.
func BareTokens(s string) []string {
	isToken := func(c rune) bool { return c < unicode.MaxASCII && (isLatin(byte(c)) || c >= '0' && c <= '9') } //nolint:gosec // ASCII
	s = strings.TrimFunc(spelling.Pasted(s), func(c rune) bool { return !isToken(c) && c != '-' && c != '_' })
	if short := strings.TrimRight(s, "-_"); short != "" && short != s {
		return []string{s, short}
	}
	if s == "" {
		return nil
	}
	return []string{s}
}

// BareToken is the last of BareTokens: what a link's token means, as none ends in "-"
// or "_". It is empty if there is none.
func BareToken(s string) string {
	all := BareTokens(s)
	if len(all) == 0 {
		return ""
	}
	return strings.TrimRight(all[len(all)-1], "-_")
}
