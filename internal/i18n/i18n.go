// Package i18n holds the languages: every message that a payer, a merchant or a reader of a
// mail sees, and the formats of amounts, numbers and dates by CLDR.
//
// A Printer is one language with the formats of one region. All printers are made once and
// shared; they never change, so any number of goroutines may use them. A message without
// placeholders costs one look-up in a map.
//
// The catalogs are catalog/LANG/SECTION.json, one flat file per section and language: every key
// begins with its section's name and a point. A value is a text, or an object with the plural
// categories of the language (one, few, other …; see Categories). {{.Name}} stands for the
// argument Name, {{.N}} for the count.
//
// A key is written as a literal where T or N is called. Code that picks among several (by a
// status, by a code) lists the whole keys as literals, in a switch or a map, and never
// concatenates one from parts. The tests read the sources for literals and check that every key
// used exists, that every key is used, that the arguments of a call are its message's
// placeholders, and that all languages have the same keys and placeholders and all of their
// plural categories.
package i18n

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"github.com/paylink/paylink/internal/money"
)

//go:embed catalog
var catalogues embed.FS

// Language is a language that every message is written in.
type Language struct {
	Tag  string // BCP 47, as it is stored and as For accepts it
	Name string // in the language itself
	Dir  string // ltr or rtl
}

// languages is in the order in which a person picks among them. The first is the default.
var languages = []Language{
	{"en", "English", "ltr"},
	{"de", "Deutsch", "ltr"},
	{"fr", "Français", "ltr"},
	{"es", "Español", "ltr"},
	{"pt", "Português", "ltr"},
	{"ar", "العربية", "rtl"},
	{"ja", "日本語", "ltr"},
}

// Languages returns all languages, English first. The slice is the caller's.
func Languages() []Language { return append([]Language(nil), languages...) }

// Printer formats messages in one language.
type Printer struct {
	lang     Language
	tag      language.Tag // the language alone, which decides plurals
	locale   string       // with the region, such as de-CH
	messages map[string]*message
	english  map[string]*message
	format   format
}

// Tag returns the tag of the language: one of Languages.
func (p *Printer) Tag() string { return p.lang.Tag }

// Locale returns the language with the region whose formats are used, in BCP 47: the lang of an
// HTML page.
func (p *Printer) Locale() string { return p.locale }

// Dir returns ltr or rtl.
func (p *Printer) Dir() string { return p.lang.Dir }

// T returns the message of a key. args are names and values in turn; a value is formatted by
// its type: an amount, an integer, a time (DateTime), or a text. A key that the language lacks
// is shown in English, and an unknown one as itself; the tests make sure that neither happens.
func (p *Printer) T(key string, args ...any) string {
	m := p.find(key)
	if m == nil {
		return key
	}
	return m.forms[plural.Other].fill(p, 0, args)
}

// N returns the message of a key for a count, by the language's plural rules. The count is
// {{.N}}.
func (p *Printer) N(key string, n int, args ...any) string {
	m := p.find(key)
	if m == nil {
		return key
	}
	t, ok := m.forms[p.category(n)]
	if !ok {
		t = m.forms[plural.Other]
	}
	return t.fill(p, n, args)
}

func (p *Printer) find(key string) *message {
	if m := p.messages[key]; m != nil {
		return m
	}
	return p.english[key]
}

func (p *Printer) category(n int) plural.Form {
	if n < 0 {
		n = -n
	}
	return plural.Cardinal.MatchPlural(p.tag, n, 0, 0, 0, 0)
}

// message is a text by plural category; one without plurals has only Other.
type message struct {
	forms  map[plural.Form]text
	plural bool
}

// text is a message split at its placeholders: literal, name, literal, name, literal …
type text []string

func (t text) fill(p *Printer, n int, args []any) string {
	if len(t) == 1 {
		return t[0]
	}
	var b strings.Builder
	for i, part := range t {
		switch {
		case i%2 == 0:
			b.WriteString(part)
		case part == "N":
			b.WriteString(p.Number(int64(n)))
		default:
			b.WriteString(p.argument(part, args))
		}
	}
	return b.String()
}

func (p *Printer) argument(name string, args []any) string {
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == name {
			return p.value(args[i+1])
		}
	}
	return ""
}

func (p *Printer) value(v any) string {
	switch v := v.(type) {
	case string:
		return p.isolate(v)
	case int:
		return p.Number(int64(v))
	case int64:
		return p.Number(v)
	case money.Amount:
		return p.Amount(v)
	case time.Time:
		return p.DateTime(v)
	}
	return p.isolate(fmt.Sprint(v))
}

// isolate keeps a text of the other direction from reordering the words around it (UAX 9,
// section 2.4: FSI and PDI). It adds nothing where that is not needed. It removes the marks by
// which a text could end the isolation, or change the direction: a name that a stranger chose
// in "Pay X" must not reorder our words.
func (p *Printer) isolate(s string) string {
	if strings.IndexFunc(s, isDirectionMark) >= 0 {
		s = strings.Map(func(r rune) rune {
			if isDirectionMark(r) {
				return -1
			}
			return r
		}, s)
	}
	other := isRightToLeft
	if p.lang.Dir == "rtl" {
		other = isLatinOrDigit
	}
	if strings.IndexFunc(s, other) < 0 {
		return s
	}
	return "\u2068" + s + "\u2069"
}

// isDirectionMark reports embeddings, overrides and isolates with their ends.
func isDirectionMark(r rune) bool {
	return (r >= 0x202A && r <= 0x202E) || (r >= 0x2066 && r <= 0x2069)
}

// isRightToLeft reports letters of Hebrew, Arabic and their presentation forms.
func isRightToLeft(r rune) bool {
	return (r >= 0x0590 && r <= 0x08FF) || (r >= 0xFB1D && r <= 0xFEFF)
}

func isLatinOrDigit(r rune) bool { return r < 0x0590 && r > ' ' }

type contextKey struct{}

// With returns a context with the printer; From returns it.
func With(ctx context.Context, p *Printer) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// From returns the context's printer, or English if it has none.
func From(ctx context.Context) *Printer {
	if p, ok := ctx.Value(contextKey{}).(*Printer); ok && p != nil {
		return p
	}
	return loaded().printers["en"]
}

// set holds all printers, by lower-case locale.
type set struct {
	printers map[string]*Printer
	matcher  language.Matcher
}

// loaded reads the catalogs at the first use. They are part of the binary, so one that can't be
// read is a bug, which the tests find.
var loaded = sync.OnceValue(func() *set {
	s := &set{printers: map[string]*Printer{}}
	var tags []language.Tag
	english := mustLoad("en")
	for _, l := range languages {
		messages := english
		if l.Tag != "en" {
			messages = mustLoad(l.Tag)
		}
		tag := language.MustParse(l.Tag)
		tags = append(tags, tag)
		for locale, f := range formats(l.Tag) {
			s.printers[strings.ToLower(locale)] = &Printer{lang: l, tag: tag, locale: locale, messages: messages, english: english, format: f}
		}
	}
	s.matcher = language.NewMatcher(tags)
	return s
})

func mustLoad(lang string) map[string]*message {
	m, err := load(lang)
	if err != nil {
		panic("i18n: " + err.Error())
	}
	return m
}

// load reads all sections of a language.
func load(lang string) (map[string]*message, error) {
	files, err := fs.Glob(catalogues, path.Join("catalog", lang, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("catalogues of %s: %w", lang, err)
	}
	all := map[string]*message{}
	for _, f := range files {
		b, err := catalogues.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("catalogue %s: %w", f, err)
		}
		var flat map[string]json.RawMessage
		if err := json.Unmarshal(b, &flat); err != nil {
			return nil, fmt.Errorf("catalogue %s: %w", f, err)
		}
		section := strings.TrimSuffix(path.Base(f), ".json")
		for key, raw := range flat {
			if !strings.HasPrefix(key, section+".") {
				return nil, fmt.Errorf("catalogue %s: the key %q does not begin with %q", f, key, section+".")
			}
			if all[key], err = parse(raw); err != nil {
				return nil, fmt.Errorf("catalogue %s: %q: %w", f, key, err)
			}
		}
	}
	return all, nil
}

func parse(raw json.RawMessage) (*message, error) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		t, err := cut(one)
		return &message{forms: map[plural.Form]text{plural.Other: t}}, err
	}
	var many map[string]string
	if err := json.Unmarshal(raw, &many); err != nil {
		return nil, fmt.Errorf("neither a text nor texts by plural category: %w", err)
	}
	m := &message{forms: map[plural.Form]text{}, plural: true}
	for name, s := range many {
		form, ok := categoryNames[name]
		if !ok {
			return nil, fmt.Errorf("%q is no plural category", name)
		}
		t, err := cut(s)
		if err != nil {
			return nil, err
		}
		m.forms[form] = t
	}
	if _, ok := m.forms[plural.Other]; !ok {
		return nil, fmt.Errorf("the plural category other is missing")
	}
	return m, nil
}

// cut splits a text at its placeholders.
func cut(s string) (text, error) {
	var t text
	for {
		before, rest, found := strings.Cut(s, "{{.")
		if strings.Contains(before, "{{") || strings.Contains(before, "}}") {
			return nil, fmt.Errorf("braces that are no {{.Name}} in %q", s)
		}
		t = append(t, before)
		if !found {
			return t, nil
		}
		name, after, closed := strings.Cut(rest, "}}")
		if !closed || name == "" || strings.ContainsAny(name, " {}.") {
			return nil, fmt.Errorf("a placeholder without end or name in %q", s)
		}
		t, s = append(t, name), after
	}
}

var categoryNames = map[string]plural.Form{
	"zero": plural.Zero, "one": plural.One, "two": plural.Two, "few": plural.Few, "many": plural.Many, "other": plural.Other,
}
