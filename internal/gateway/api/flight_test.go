package api

import "testing"

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
