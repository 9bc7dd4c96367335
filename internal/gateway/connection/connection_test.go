package connection

import (
	"context"
	"strings"
	"testing"
)

// TestWipe checks that only what was read is overwritten, also if what follows repeats it.
func TestWipe(t *testing.T) {
	secret := "4242424242424242"
	for _, c := range []struct{ buffer, part, left string }{
		{"head number=" + secret + " tail", "number=" + secret, "head " + strings.Repeat("\x00", 23) + " tail"},
		{secret + secret, secret, strings.Repeat("\x00", 16) + secret},
		{"head", secret, "head"},
		{secret, secret[:minBytes-1], secret},
		{"", secret, ""},
	} {
		k := &conn{buffer: []byte(c.buffer)}
		Wipe(Context(t.Context(), k), []byte(c.part))
		if string(k.buffer) != c.left {
			t.Errorf("%q without %q is %q", c.buffer, c.part, k.buffer)
		}
	}
	Wipe(context.Background(), []byte(secret)) // a request of no connection of ours
}
