package answer

import (
	"net/http"
	"testing"

	"github.com/paylink/paylink/internal/fault"
)

// TestFlights: a key is in use from begin to end, and only its own.
func TestFlights(t *testing.T) {
	var f flights
	if !f.begin("a") || f.begin("a") || !f.begin("b") {
		t.Fatal("a key in flight was given twice, or another one was refused")
	}
	f.end("a")
	if !f.begin("a") {
		t.Fatal("a key that has landed is still in use")
	}
}

func FuzzIdempotencyKey(f *testing.F) {
	f.Add("order-1042")
	f.Add("")
	f.Add("\x7f")
	f.Add("é")
	f.Fuzz(func(t *testing.T, s string) {
		key, err := headerKey(http.Header{"Idempotency-Key": {s}})
		if err != nil {
			if fault.Code(err) != "idempotency_key_invalid" {
				t.Fatal(err)
			}
			return
		}
		if key != s || s == "" || len(s) > 255 {
			t.Fatalf("%q is accepted as %q", s, key)
		}
	})
}
