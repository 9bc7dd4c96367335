// Package spelling reads text that identifies somebody or something: an email address, a host,
// a name, a card number, a search. People paste such text with invisible characters, compose it
// in more than one way, and write a domain in their own script. Two spellings of one thing must
// be one thing, and no spelling may pass for another.
//
// Every package that stores, compares or sends such text calls this one, so a list entry, a
// search and an address on the wire agree. The rules:
//
//   - Text is kept in Unicode's composed form, NFC (UAX 15).
//   - Invisible characters (Default_Ignorable_Code_Point, UAX 44) are removed
//     where people paste. In names the joiners that scripts and emoji need are kept.
//   - Characters that change the reading direction are refused where text is shown to
//     other people, because they make a reader see something else.
//   - Hosts are compared and sent in ASCII (UTS 46, RFC 5891).
package spelling

import (
	"errors"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxEmailBytes bounds an address as it is sent: RFC 5321, section 4.5.3.1.3, less
// the brackets.
const MaxEmailBytes = 254

// maxLocalBytes bounds the local part: RFC 5321, section 4.5.3.1.1.
const maxLocalBytes = 64

// Errors of this package. Callers turn them into faults that name their field.
var (
	ErrEmail = errors.New("not an email address that mail can be sent to")
	ErrHost  = errors.New("not a host name")
)

// Unseen reports whether c takes no space on a screen: joiners, direction marks, soft hyphens,
// byte order marks, variation selectors, tags.
func Unseen(c rune) bool {
	return unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c) || unicode.Is(unicode.Variation_Selector, c) ||
		unicode.Is(unicode.Cf, c) && !unicode.Is(unicode.Prepended_Concatenation_Mark, c)
}

// Reverses reports whether c changes the direction in which the text after it is read
// (UAX 9): an embedding, an override or an isolate, or the end of one.
func Reverses(c rune) bool { return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) }

// joins reports whether c is one of the two joiners, which Persian, the scripts of
// India and emoji are spelled with.
func joins(c rune) bool { return c == 0x200c || c == 0x200d }

// Pasted returns a pasted short value as it was meant: composed, without invisible characters,
// without spaces around it.
func Pasted(s string) string {
	return strings.TrimSpace(norm.NFC.String(without(s, Unseen)))
}

// Name returns s as the name of a person or thing: composed, without spaces around it, and
// without invisible characters except the joiners and variation selectors that scripts and
// emoji need. It keeps characters that Deceives reports, for the caller to refuse.
func Name(s string) string {
	return strings.TrimSpace(norm.NFC.String(without(s, func(c rune) bool {
		return Unseen(c) && !joins(c) && !Reverses(c) && !unicode.Is(unicode.Variation_Selector, c)
	})))
}

// Deceives reports whether s, shown to a person, may read as something other than it is, or
// breaks its line: characters that reverse the reading direction, line and paragraph
// separators, control characters, or bytes that are not UTF-8. The characters of allowed are
// fine; if a line feed is among them, so are the separators.
func Deceives(s, allowed string) bool {
	oneLine := !strings.ContainsRune(allowed, '\n')
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool {
		return !strings.ContainsRune(allowed, c) && (unicode.IsControl(c) || Reverses(c) || (oneLine && (c == 0x2028 || c == 0x2029)))
	})
}

// Typed returns a typed number without spaces of any kind and without invisible characters, and
// with the decimal digits of every script in ASCII.
func Typed(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c) || Unseen(c):
			return -1
		case c < utf8.RuneSelf:
			return c
		case unicode.Is(unicode.Nd, c):
			return '0' + digit(c)
		case c >= 0xff01 && c <= 0xff5e: // full-width forms of ASCII
			return c - 0xff01 + '!'
		}
		return c
	}, s)
}

// digit returns the value of a decimal digit: Unicode keeps the ten digits of a script
// together, in order (section 4.6).
func digit(c rune) rune {
	var below rune
	for below < 9 && unicode.Is(unicode.Nd, c-below-1) {
		below++
	}
	// Scripts whose digits follow each other without a gap, such as the mathematical ones, are
	// aligned by tens from the first of the run.
	if below == 9 && unicode.Is(unicode.Nd, c-10) {
		start := c
		for unicode.Is(unicode.Nd, start-1) {
			start--
		}
		return (c - start) % 10
	}
	return below
}

// Password returns the password as it is hashed: NFC, with every space an ASCII one, according
// to RFC 8265 (OpaqueString). It removes nothing.
func Password(s string) string {
	return norm.NFC.String(strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Zs, c) {
			return ' '
		}
		return c
	}, s))
}

var hosts = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true),
	idna.CheckHyphens(false))

// Host returns a host name in ASCII and lower case, as DNS and browsers know it:
// "Bücher.example" is "xn--bcher-kva.example". It accepts no port, no brackets and no dot at
// the end. An IPv4 address counts as a host name.
func Host(s string) (string, error) {
	ascii, err := hosts.ToASCII(s)
	if err != nil || ascii == "" || !utf8.ValidString(s) {
		return "", ErrHost
	}
	if again, err := hosts.ToASCII(ascii); err != nil || again != ascii {
		return "", ErrHost // such as a label that only looks like Punycode
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return "", ErrHost
		}
	}
	return ascii, nil
}

// Email returns the address as mail is sent to it, and as it is shown: Pasted, with its domain
// in ASCII. The local part keeps its case and its script, because only the reader's own server
// knows what it means; a mail server without SMTPUTF8 refuses one that is not ASCII. The error
// is ErrEmail.
func Email(s string) (string, error) {
	s = Pasted(s)
	at, err := mail.ParseAddress(s)
	// This accepts only the address: ParseAddress also takes a name and comments. A quoted
	// local part is the same address as without the quotes, unless it needs them: those are
	// refused.
	if err != nil || at.Name != "" || (at.Address != s && !strings.HasPrefix(s, `"`)) || strings.ContainsAny(s, "<>()") {
		return "", ErrEmail
	}
	cut := strings.LastIndexByte(at.Address, '@')
	local, domain := at.Address[:cut], at.Address[cut+1:]
	host, err := Host(domain)
	if err != nil || len(local) > maxLocalBytes || !dotAtom(local) || len(local)+1+len(host) > MaxEmailBytes {
		return "", ErrEmail
	}
	return local + "@" + host, nil
}

// dotAtom reports whether local needs no quotes (RFC 5322, section 3.2.3, and RFC 6532).
func dotAtom(local string) bool {
	return local != "" && !strings.HasPrefix(local, ".") && !strings.HasSuffix(local, ".") && !strings.Contains(local, "..") &&
		!strings.ContainsFunc(local, func(c rune) bool {
			return !unicode.IsGraphic(c) || unicode.IsSpace(c) || strings.ContainsRune(`()<>[]:;@\,"`, c)
		})
}

// EmailKey returns the key that all spellings of one address share, for comparing: Email, with
// compatibility forms and case folded. It returns "" for the empty string.
func EmailKey(s string) string {
	e, err := Email(s)
	if err != nil {
		return ""
	}
	cut := strings.LastIndexByte(e, '@')
	return caseless(e[:cut]) + e[cut:]
}

func caseless(s string) string { return norm.NFC.String(folded(s)) }

// folded folds case and compatibility forms. The library exchanges the two cases of Cherokee
// instead of choosing one, so folded chooses lower case afterwards.
func folded(s string) string {
	return strings.ToLower(cases.Fold().String(norm.NFKC.String(s)))
}

// Fold returns the form that a search compares: case, composition, compatibility forms and the
// accents of Latin and Greek letters are folded, invisible characters are removed, and the
// different apostrophes are one. "O’Brien" is "o'brien"; "Müller" and "MULLER" are "muller".
func Fold(s string) string {
	s = norm.NFKD.String(folded(without(strings.ToValidUTF8(s, ""), Unseen)))
	var out strings.Builder
	out.Grow(len(s))
	latin := false // the last letter takes accents that people leave out
	for _, c := range s {
		switch {
		case unicode.Is(unicode.Mn, c):
			if latin {
				continue
			}
		case c == '‘' || c == '’' || c == 'ʼ' || c == '`' || c == '´':
			c = '\''
		default:
			latin = unicode.In(c, unicode.Latin, unicode.Greek)
		}
		out.WriteRune(c)
	}
	return strings.TrimSpace(norm.NFC.String(out.String()))
}

// Cell returns a cell of a CSV file that no spreadsheet runs as a formula: an apostrophe comes
// before what would start one. A spreadsheet may also end a cell at a semicolon, a tab or the end
// of a line, whatever the file's separator is. A plain negative number stays a number.
func Cell(cell string) string {
	if number, ok := strings.CutPrefix(cell, "-"); ok && number != "" && strings.Trim(number, "0123456789.") == "" {
		return cell
	}

	var out strings.Builder
	if cell != "" && strings.ContainsRune("\t\r\n", rune(cell[0])) {
		out.WriteByte('\'')
	}
	for rest := cell; rest != ""; {
		part := rest
		if end := strings.IndexAny(rest, ";\t\r\n"); end >= 0 {
			part = rest[:end+1]
		}
		if formula(part) {
			out.WriteByte('\'')
		}
		out.WriteString(part)
		rest = rest[len(part):]
	}

	return out.String()
}

// formula reports whether text begins, after spaces and invisible characters, with a sign that
// starts a formula, in ASCII or in its wide, small or mathematical form.
func formula(s string) bool {
	s = strings.TrimLeftFunc(s, func(c rune) bool { return Unseen(c) || unicode.IsSpace(c) })
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 || unicode.IsLetter(first) || unicode.IsDigit(first) { // most cells
		return false
	}
	first, _ = utf8.DecodeRuneInString(norm.NFKC.String(string(first)))
	return strings.ContainsRune("=+-@−", first)
}

func without(s string, drop func(rune) bool) string {
	return strings.Map(func(c rune) rune {
		if drop(c) {
			return -1
		}
		return c
	}, s)
}
