package api_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/store/storetest"
)

// The largest link is taken from a client that writes what is not ASCII as \u and four
// digits, shown, listed, and found by its reference.
func TestLargestLinkIsTaken(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(3, 4))
	for name, from := range storetest.Alphabets {
		request := storetest.LargestRequest(r, "", from)
		raw, err := json.Marshal(
			map[string]any{"amount": request.Amount, "currency": request.Currency, "realm": request.Realm, "description": request.Description,
				"reference": request.Reference, "metadata": request.Metadata, "redirectUrl": request.RedirectURL},
		)
		if err != nil {
			t.Fatal(err)
		}
		body := escaped(string(raw))
		made := w.ok("POST", "/api/links", w.key, body)
		if got := len(made["metadata"].(map[string]any)); got != len(request.Metadata) {
			t.Errorf("%s: %d entries of metadata, want %d", name, got, len(request.Metadata))
		}
		found := w.ok("GET", "/api/links?reference="+url.QueryEscape(request.Reference), w.key, "")
		if list := found["data"].([]any); len(list) != 1 || list[0].(map[string]any)["id"] != made["id"] {
			t.Errorf("%s: %d links of its reference", name, len(list))
		}
	}
}

// escaped is JSON in ASCII alone.
func escaped(s string) string {
	var out strings.Builder
	for _, c := range s {
		switch {
		case c < 0x80:
			out.WriteRune(c)
		case c < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, c)
		default:
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(c-0x10000)>>10, 0xdc00+(c-0x10000)&0x3ff)
		}
	}
	return out.String()
}
