package report

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a payment is found by.
const (
	maxTerms     = 12
	maxTermBytes = 64
	minPart      = 2 // characters of a part of a reference that is a beginning of its own
)

// Terms are what a payment is found by, in lower case, each once: the reference
// and each part of it after a separator, the words of the payer's name, the
// address and its domain, the card's last four digits. A search for "lovelace",
// "0042" or "example.org" finds the middle of a text in this way, by an index.
func (p Payment) Terms() []string {
	var terms []string
	add := func(s string) {
		s = clip(s)
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
	add(p.CardLast4)
	email := fold(p.PayerEmail)
	add(email)
	if at := strings.LastIndexByte(email, '@'); at >= 0 {
		add(email[at+1:])
	}
	for _, word := range strings.Fields(fold(p.PayerName)) {
		add(word)
	}
	for i, part := range parts(fold(p.Reference)) {
		if i == 0 || utf8.RuneCountInString(part) >= minPart {
			add(part)
		}
	}
	return terms
}

// parts are the text, and what is left of it after each separator.
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

// fold makes upper and lower case one.
func fold(s string) string { return strings.ToLower(strings.ToValidUTF8(strings.TrimSpace(s), "")) }

// clip cuts a term to its bound, between two characters.
func clip(s string) string {
	if len(s) <= maxTermBytes {
		return s
	}
	cut := maxTermBytes
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// Words are what a search looks for: each must begin a term. More than MaxWords
// are left out.
func (q Query) Words() []string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, fold(q.Text))
	words := strings.Fields(text)
	for i, w := range words {
		words[i] = clip(w)
	}
	return words[:min(len(words), MaxWords)]
}
