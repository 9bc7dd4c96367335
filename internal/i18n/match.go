package i18n

import (
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/text/language"
)

// Bounds of what a browser asks for.
const (
	maxAcceptBytes = 256  // of an Accept-Language header; what is beyond is not read
	maxRemembered  = 4096 // headers whose answer is remembered
)

// For is the printer of a BCP 47 tag: the exact one, or the nearest; English for
// what is no tag, or of no language that we speak. It is never nil.
func For(tag string) *Printer {
	s := loaded()
	if p := s.printers[strings.ToLower(tag)]; p != nil {
		return p
	}
	t, err := language.Parse(tag)
	if err != nil {
		return s.printers["en"]
	}
	return s.nearest(t)
}

// Match is the printer for a reader: of what they picked (override, "" for nothing),
// if we speak it; else of what their browser asks for by an Accept-Language header
// (RFC 9110, section 12.5.4); else English.
//
// A pick names a language; the region, and with it the formats, is still the
// browser's where it names one of the same language.
func Match(override, acceptLanguage string) *Printer {
	asked := accepted(acceptLanguage)
	if override == "" || !known(override) {
		return asked
	}
	picked := For(override)
	if picked.locale == picked.lang.Tag && asked.lang == picked.lang {
		return asked
	}
	return picked
}

// known reports whether an override is of a language that we speak.
func known(tag string) bool {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	for _, l := range languages {
		if l.Tag == base {
			return true
		}
	}
	return false
}

// remembered are the answers to headers that were seen: a browser sends one and the
// same with every request, and a payment page is asked for thousands of times a
// second. Full, it remembers no more; nothing in it is ever wrong.
var (
	remembered      sync.Map // header to *Printer
	rememberedCount atomic.Int64
)

func accepted(header string) *Printer {
	if len(header) > maxAcceptBytes {
		header = header[:maxAcceptBytes]
		if i := strings.LastIndexByte(header, ','); i >= 0 {
			header = header[:i]
		}
	}
	if p, ok := remembered.Load(header); ok {
		return p.(*Printer) //nolint:errcheck,forcetypeassert // nothing else is stored
	}
	p := acceptedAnew(header)
	if rememberedCount.Add(1) <= maxRemembered {
		remembered.Store(strings.Clone(header), p)
	}
	return p
}

// acceptedAnew takes the first language, by the reader's weights, that we speak.
func acceptedAnew(header string) *Printer {
	s := loaded()
	tags, _, err := language.ParseAcceptLanguage(header) // sorted by weight; what has weight 0 is left out
	if err != nil {
		return s.printers["en"]
	}
	for _, t := range tags {
		if base, _ := t.Base(); s.printers[base.String()] != nil {
			return s.nearest(t)
		}
	}
	return s.printers["en"]
}

// nearest is the printer of the tag's language with its region, or without.
func (s *set) nearest(t language.Tag) *Printer {
	base, _ := t.Base()
	if region, sure := t.Region(); sure == language.Exact {
		if p := s.printers[strings.ToLower(base.String()+"-"+region.String())]; p != nil {
			return p
		}
	}
	if p := s.printers[base.String()]; p != nil {
		return p
	}
	_, i, sure := s.matcher.Match(t)
	if sure == language.No {
		return s.printers["en"]
	}
	return s.printers[languages[i].Tag]
}
