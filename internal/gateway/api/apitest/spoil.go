package apitest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// hostileTexts are texts that programs often handle wrongly.
var hostileTexts = []string{
	"", " ", "\x00", "\u202eevil", "\ufeff", "\u200b", "null", "undefined", "NaN", "-1", "0", "1e309", "'; DROP TABLE links; --",
	"<script>alert(1)</script>", "../../etc/passwd", "%00", "%zz",
	"2026-02-30", "2026-11-30T25:00:00Z", "0000-00-00", "9999-12-31T23:59:59.999999999Z", "10000-01-01T00:00:00Z", "-0001-01-01",
	"2026-11-30T00:00:00+99:99", "http://[::1", "https://", "javascript:alert(1)",
	"99999999999999999999999999", "0.00000000000000000001", "١٢", "１２", "\u00e9", "e\u0301", "\U0010ffff",
	"acct_06h0000000000000000000000", "lnk_", "=1+1", "a\r\nX: y",
}

// HostileText returns a text that programs often handle wrongly, or sometimes a long one.
func (g *Generator) HostileText() string {
	if g.one(20) {
		// Longer than most texts of the API may be.
		return strings.Repeat("x", 1+g.IntN(600))
	}
	return pick(g, hostileTexts)
}

// hostile returns a value of any JSON type.
func (g *Generator) hostile() any {
	switch g.IntN(8) {
	case 0:
		return nil
	case 1:
		return g.one(2)
	case 2:
		// Numbers at the bounds of integers and floats, which decoders often round or
		// refuse.
		return json.Number(
			pick(
				g,
				[]string{"0", "-1", "1.5", "1e2", "1e400", "-0", "9223372036854775807", "9223372036854775808", "123456789012345678901234567890", "0.1"},
			),
		)
	case 3:
		return []any{}
	case 4:
		return map[string]any{}
	case 5:
		return []any{nil, g.HostileText(), map[string]any{"a": []any{}}}
	}

	return g.HostileText()
}

// spoil returns the value with a fault somewhere in it. It changes maps in place.
func (g *Generator) spoil(v any, depth int) any {
	switch value := v.(type) {
	case map[string]any:
		// Sorted, because the order of a map is random and would make the seed worthless.
		names := slices.Sorted(maps.Keys(value))
		switch {
		// A member that the API does not know, which it must refuse.
		case len(names) == 0 || g.one(8):
			value[pick(g, []string{"other", "", "Amount", "id", "\x00", "__proto__"})] = g.hostile()
		// A member less, perhaps a required one.
		case g.one(4):
			delete(value, pick(g, names))
		default:
			// Or a fault deeper in the value.
			name := pick(g, names)
			value[name] = g.spoil(value[name], depth+1)
		}
		return value
	case []any:
		if len(value) > 0 && !g.one(3) {
			i := g.IntN(len(value))
			value[i] = g.spoil(value[i], depth+1)
			return value
		}
		// More items than any list of the API takes.
		for range g.IntN(120) {
			value = append(value, g.hostile())
		}
		return value
	}

	return g.hostile()
}

// spoilRequest puts a fault around the body: into method, query, headers or encoding, or
// cuts or replaces the body itself.
func (g *Generator) spoilRequest(r *Request) {
	switch g.IntN(11) {
	case 0:
		r.Method = pick(g, []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
	case 1:
		g.ask(r, "other=1")
	case 2:
		// Values that are out of bounds, empty, repeated, or not even encoded.
		g.ask(
			r,
			pick(
				g,
				[]string{
					"limit=0",
					"limit=101",
					"limit=1e1",
					"limit=",
					"limit=1&limit=1",
					"cursor=",
					"cursor=eyJpIjoieCJ9",
					"mode=live",
					"mode=",
					"mode=TEST",
					"from=x",
					"to=2026-11-30T00:00:00+14:00",
					"status=%ff",
					"a=%zz",
					"afterSeq=-1",
					"afterSeq=99999999999999999999",
				},
			),
		)
	case 3:
		r.Header.Set(
			"Authorization",
			pick(
				g,
				[]string{
					"",
					"Bearer",
					"Bearer x",
					"Basic",
					"Basic eA==",
					"Basic !",
					"Digest x",
					"Bearer pl_test_x",
					"Bearer " + strings.Repeat("x", 4000),
				},
			),
		)
	case 4:
		r.Header.Set("Idempotency-Key", pick(g, []string{"", " ", "\u00e9", strings.Repeat("k", 256), "again-1"}))
	case 5:
		r.Header.Set(
			"Content-Type",
			pick(
				g,
				[]string{
					"",
					"text/plain",
					"application/json; charset=latin1",
					"application/json; charset",
					"application/x-www-form-urlencoded",
					"multipart/form-data",
				},
			),
		)
	case 6:
		r.Header.Set(
			pick(g, []string{"Origin", "Content-Encoding", "Accept", "Sec-Fetch-Site", "Last-Event-Id"}),
			pick(g, []string{"null", "gzip", "text/html", "*/*;q=0", "-1"}),
		)
	case 7:
		// Cut anywhere, even within a character.
		r.Body = r.Body[:g.IntN(len(r.Body)+1)]
	case 8:
		r.Body = pick(
			g,
			[]string{
				"null",
				"[]",
				"1",
				`""`,
				"{",
				"{}{}",
				"{}",
				"\xff",
				"{\"a\":\"\xff\"}",
				`{"a":1,"a":2}`,
				`{"a":"\ud800"}`,
				strings.Repeat("[", 20000),
				`{"a":` + strings.Repeat(`{"a":`, 5000),
			},
		)
		r.Header.Set("Content-Type", "application/json")
	case 9:
		// Valid JSON that is long. Calls with a lower bound must refuse it.
		r.Body += strings.Repeat(" ", 70_000)
	default:
		// A second header: which of the two counts must not depend on the server.
		r.Header["Authorization"] = append(r.Header["Authorization"], http.CanonicalHeaderKey("again"))
	}
}

// ask adds a parameter to the query.
func (g *Generator) ask(r *Request, pair string) {
	sign := "?"
	if strings.Contains(r.Address, "?") {
		sign = "&"
	}
	r.Address += sign + pair
}
