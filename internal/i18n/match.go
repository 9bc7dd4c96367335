package i18n

import (
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/text/language"
)

// Limits of a browser's request for languages.
const (
	maxAcceptBytes = 256  // of an Accept-Language header; the rest is ignored
	maxRemembered  = 4096 // headers whose answer is cached
)

// For returns the printer of a BCP 47 tag: the exact one, or the nearest; English for an
// invalid tag or a language that we don't have. It is never nil.
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

// Match returns the printer for a reader: of the language that they picked (override, "" for
// none), if we have it; else of an Accept-Language header (RFC 9110, section 12.5.4); else
// English.
//
// A pick names a language. The region, and with it the formats, is still the browser's if that
// names one of the same language.
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

// known reports whether we have the language of an override.
func known(tag string) bool {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	for _, l := range languages {
		if l.Tag == base {
			return true
		}
	}
	return false
}

// remembered caches the answers to headers: a browser sends the same one with every request,
// and a payment page is requested thousands of times a second. A full cache takes no more; its
// entries never become wrong.
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
		return p.(*Printer) // nothing else is stored
	}
	p := parseAccepted(header)
	if rememberedCount.Add(1) <= maxRemembered {
		remembered.Store(strings.Clone(header), p)
	}
	return p
}

// parseAccepted returns the first language, by the reader's weights, that we have.
func parseAccepted(header string) *Printer {
	s := loaded()
	tags, _, err := language.ParseAcceptLanguage(header) // sorted by weight; weight 0 is left out
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

// nearest returns the printer of the tag's language with its region, or without.
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
