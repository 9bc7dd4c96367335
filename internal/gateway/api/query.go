package api

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
)

// Limits of a list and its filters.
const (
	DefaultLimit   = 20
	MaxLimit       = 100
	maxQueryBytes  = 4 << 10
	maxFilterBytes = utf8.UTFMax * link.MaxReferenceChars // the longest filter value
	maxCursorBytes = 256
)

// query has the parameters of a URL. Each is known and given at most once.
type query map[string]string

// parseQuery parses the query of a URL, which may contain only the known names. It refuses
// card numbers, names that are unknown or given twice, values that are too long or no UTF-8, and a
// time whose plus sign was read as a space.
func parseQuery(raw string, known ...string) (query, error) {
	if len(raw) > maxQueryBytes {
		return nil, fault.New(fault.KindInvalid, "query_too_long", "The query must be at most %d bytes.", maxQueryBytes)
	}

	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fault.New(fault.KindInvalid, "query_invalid", "The query is not valid percent-encoded text.")
	}

	allowed := make(map[string]bool, len(known))
	for _, name := range known {
		allowed[name] = true
	}
	q := make(query, len(values))
	for name, list := range values {
		switch {
		case issuer.HasNumber(name), slices.ContainsFunc(list, issuer.HasNumber):
			return nil, issuer.NumberFault(name)
		case !allowed[name]:
			return nil, fault.Invalid(echo(name), "parameter_unknown", "This call does not accept this query parameter.")
		case len(list) > 1:
			return nil, fault.Invalid(name, "parameter_duplicate", "Duplicate query parameter: send it once.")
		case !utf8.ValidString(list[0]) || strings.ContainsRune(list[0], 0):
			return nil, fault.Invalid(name, "parameter_invalid", "%s must be UTF-8 without NUL.", name)
		case len(list[0]) > maxFilterBytes:
			return nil, fault.Invalid(name, "parameter_invalid", "%s must be at most %d bytes.", name, maxFilterBytes)
		case timed(name) && lostPlus(list[0]):
			return nil, fault.Invalid(name, "parameter_invalid", "Encode the plus sign of the offset as %%2B: a plain + in a query means a space.")
		}

		if q[name] = list[0]; timed(name) {
			q[name] = rfc3339(list[0])
		}
	}

	return q, nil
}

// timed reports whether a parameter is a time.
func timed(name string) bool { return name == "from" || name == "to" }

// lostPlus reports whether a text would be a time if its space were a plus sign.
func lostPlus(s string) bool {
	if !strings.Contains(s, " ") {
		return false
	}
	_, err := time.Parse(time.RFC3339Nano, rfc3339(strings.Replace(s, " ", "+", 1)))
	return err == nil
}

// echo shortens text of the caller that a response repeats, to 100 bytes of valid UTF-8.
func echo(s string) string {
	const longestBytes = 100
	s = strings.ToValidUTF8(s, "�")
	if len(s) > longestBytes {
		s = strings.ToValidUTF8(s[:longestBytes], "") + "…"
	}
	return s
}

// limit returns the requested page size, from 1 to MaxLimit, or DefaultLimit if none is
// given.
func (q query) limit() (int, error) {
	s, given := q["limit"]
	if !given {
		return DefaultLimit, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > MaxLimit || !allDigits(s) {
		return 0, fault.Invalid("limit", "parameter_invalid", "limit must be a whole number from 1 to %d.", MaxLimit)
	}
	return n, nil
}

// oneOf returns a filter that takes one of a few words, or "" if it is not given. The fault
// lists the words.
func (q query) oneOf(name string, words ...string) (string, error) {
	s, given := q[name]
	if !given {
		return "", nil
	}
	for _, word := range words {
		if s == word {
			return s, nil
		}
	}
	return "", fault.Invalid(name, "parameter_invalid", "%s must be one of %s.", name, strings.Join(words, ", "))
}

// text returns a filter by equality, or "" if it is not given. It refuses an empty value,
// which would silently not filter.
func (q query) text(name string) (string, error) {
	s, given := q[name]
	if given && s == "" {
		return "", fault.Invalid(name, "parameter_invalid", "%s must not be empty; omit it instead.", name)
	}
	return s, nil
}

// id returns a filter by id, or "" if it is not given. An id with another prefix is
// refused.
func (q query) id(name, prefix string) (string, error) {
	s, given := q[name]
	if given && !id.Valid(prefix, s) {
		return "", fault.Invalid(name, "parameter_invalid", "%s must be an id that begins with %s_.", name, prefix)
	}
	return s, nil
}

// period reads from and to. A date is the whole day in the account's time zone, an RFC
// 3339 time is an instant. The account is read only if there is a date.
func (a *API) period(q *request, in query) (calendar.Period, error) {
	zone, day := time.UTC, false
	for _, name := range []string{"from", "to"} {
		s, given := in[name]
		if given && s == "" {
			return calendar.Period{}, fault.Invalid(name, "parameter_invalid", "%s must not be empty; omit it instead.", name)
		}
		if _, ok := calendar.ParseDay(s); ok {
			day = true
		}
	}

	if day {
		account, err := a.Merchants.GetAccount(q.Context(), q.caller.account)
		if err != nil {
			return calendar.Period{}, err
		}
		zone = account.Zone()
	}
	return calendar.ParsePeriod(in["from"], in["to"], zone)
}

// within returns the period of a list's query. For a period that ends before it begins,
// lists have always used the code of any other wrong parameter.
func (a *API) within(q *request) (calendar.Period, error) {
	p, err := a.period(q, q.query)
	if fault.Code(err) == "range_invalid" {
		f := fault.From(err)
		err = fault.Invalid(f.Param, "parameter_invalid", "%s", f.Detail)
	}
	return p, err
}

// time returns an RFC 3339 time, or the first instant in UTC of a date; zero if the
// parameter is absent. It refuses years outside 1970 to 9999, which the stores cannot hold.
func (q query) time(name string) (time.Time, error) {
	s, given := q[name]
	if !given {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if t = t.UTC(); t.Year() >= 1970 && t.Year() <= 9999 {
			return t, nil
		}
	}
	return time.Time{}, fault.Invalid(
		name,
		"parameter_invalid",
		"%s must be an RFC 3339 time such as 2026-03-01T12:00:00Z, or a date such as 2026-03-01.",
		name,
	)
}

// cursor names the last item of a page. It is opaque to callers and contains no secret.
// A forged cursor can only choose where a page of the caller's own objects begins.
type cursor struct {
	ID string `json:"i"`
	At int64  `json:"t,omitzero"` // microseconds since 1970, in lists that sort by time
}

// String returns the cursor in the form that parseCursor accepts.
func (c cursor) String() string {
	raw, err := json.Marshal(c)
	if err != nil {
		return "" // a string and a number always marshal
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// parseCursor reads a cursor of a list whose ids have the prefix. It accepts only what
// String returns; another encoding of the same cursor is refused.
func parseCursor(s, prefix string) (cursor, error) {
	invalid := fault.Invalid("cursor", "cursor_invalid", "Invalid cursor: pass nextCursor from a previous page.")
	if s == "" || len(s) > maxCursorBytes {
		return cursor{}, invalid
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return cursor{}, invalid
	}
	var c cursor
	if err := json.Unmarshal(raw, &c, json.RejectUnknownMembers(true)); err != nil {
		return cursor{}, invalid
	}
	if !id.Valid(prefix, c.ID) || c.At < 0 || c.String() != s {
		return cursor{}, invalid
	}
	return c, nil
}

// after returns the cursor of the request, or zero if there is none. Timed lists sort by
// time and then id; the others by id alone. A cursor of the other kind is refused.
func (q query) after(prefix string, timed bool) (cursor, error) {
	s, given := q["cursor"]
	if !given {
		return cursor{}, nil
	}
	c, err := parseCursor(s, prefix)
	if err == nil && timed != (c.At > 0) {
		return cursor{}, fault.Invalid("cursor", "cursor_invalid", "Invalid cursor: pass nextCursor from a previous page.")
	}
	return c, err
}
