package report

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/spelling"
)

// Limits of the search terms.
const (
	maxTerms     = 24
	maxTermChars = 64
	maxSuffixes  = 8 // of words in scripts without spaces
	minPart      = 2 // characters of a part of a reference that counts as a beginning
)

// Terms returns the search terms of a payment, in lower case, without duplicates: the reference
// and each part of it after a separator, the words of the payer's name, the address and its
// domain, and the card's last four digits. In this way a search for "lovelace", "0042" or
// "example.org" finds the middle of a text by an index.
func (p Payment) Terms() []string { return p.terms(maxTermChars) }

// terms returns the terms, each cut to that many characters.
func (p Payment) terms(chars int) []string {
	var terms []string
	add := func(s string) {
		s = clip(s, chars)
		if s == "" || len(terms) == maxTerms {
			return
		}
		for _, t := range terms {
			if t == s {
				return
			}
		}
		terms = append(terms, s)
	}
	// The order decides which terms are kept if there are too many.
	add(p.CardLast4)
	email := foldEmail(p.PayerEmail)
	add(email)
	if at := strings.LastIndexByte(email, '@'); at >= 0 {
		add(email[at+1:])
	}
	suffixes := 0
	for _, word := range strings.Fields(fold(p.PayerName)) {
		add(word)
		for i, c := range word { // a part of a name in a script without spaces counts as a beginning, too
			if i > 0 && unspaced(c) && suffixes < maxSuffixes {
				suffixes++
				add(word[i:])
			}
		}
	}

	for i, part := range parts(fold(p.Reference)) {
		if i == 0 || utf8.RuneCountInString(part) >= minPart {
			add(part)
		}
	}

	return terms
}

// parts returns the text, and the rest of it after each separator.
func parts(s string) []string {
	if s == "" {
		return nil
	}
	all := []string{s}
	separator := false
	for i, r := range s {
		now := !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
		if separator && !now {
			all = append(all, s[i:])
		}
		separator = now
	}
	return all
}

// fold maps the spellings of a text to one.
func fold(s string) string { return spelling.Fold(s) }

// foldEmail does so for an address, whose domain may be in ASCII or in its script.
func foldEmail(s string) string {
	if e, err := spelling.Email(s); err == nil {
		s = e
	}
	return fold(s)
}

// unspaced reports whether a script has no spaces between its words.
func unspaced(c rune) bool {
	return unicode.In(
		c,
		unicode.Han,
		unicode.Hiragana,
		unicode.Katakana,
		unicode.Hangul,
		unicode.Thai,
		unicode.Lao,
		unicode.Khmer,
		unicode.Myanmar,
	)
}

// clip cuts a term to the maximum length.
func clip(s string, chars int) string {
	n := 0
	for i := range s {
		if n == chars {
			return s[:i]
		}
		n++
	}
	return s
}

// Words returns the words of a search text: each must begin a term. Words beyond MaxWords are
// left out.
func (q Query) Words() []string { return q.words(maxTermChars) }

// Matches reports whether a payment found by Words matches the whole text. Words and terms longer
// than those of the index are compared in full.
func (q Query) Matches(p Payment) bool {
	words := q.words(MaxText)
	if slices.Equal(words, q.Words()) {
		return true
	}
	terms := p.terms(MaxText)
	return !slices.ContainsFunc(words, func(word string) bool {
		return !slices.ContainsFunc(terms, func(term string) bool { return strings.HasPrefix(term, word) })
	})
}

// words returns the words of the text, each cut to that many characters. Hosts and
// addresses get the spelling that they have in the terms.
func (q Query) words(chars int) []string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, fold(q.Text))
	words := strings.Fields(text)
	for i, w := range words {
		words[i] = clip(w, chars)
		if at := strings.LastIndexByte(w, '@'); at >= 0 {
			if host, err := spelling.Host(w[at+1:]); err == nil {
				words[i] = clip(w[:at+1]+host, chars)
			}
		} else if host, err := spelling.Host(w); err == nil && strings.Contains(w, ".") {
			words[i] = clip(host, chars)
		}
	}

	return words[:min(len(words), MaxWords)]
}
