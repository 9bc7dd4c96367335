package score

import (
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/spelling"
)

func TestPlainEmailsAreOnlyLowered(t *testing.T) {
	for _, s := range []string{"A@b.c", "a..b@C.com", "@", "x@xn--mnchen-3ya.example", "A.B+c_d-e@F-g.h", "a@b@c"} {
		key := spelling.EmailKey(s)
		if key == "" {
			key = strings.ToLower(spelling.Pasted(s))
		}
		if !plainEmail(s) || EmailKey(s) != key {
			t.Errorf("%q: %q, want %q", s, EmailKey(s), key)
		}
	}
}
