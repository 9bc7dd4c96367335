package obs

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestRedactsCardsAndSecrets(t *testing.T) {
	for _, bad := range []string{"4242424242424242", "4242 4242 4242 4242", "5555-5555-5555-4444",
		"pl_test_0123456789abcdefghijABCDEFGHIJ0123456789012345678", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
		var out bytes.Buffer
		log := NewLogger(&out, slog.LevelInfo)
		log.Info("saw "+bad, "detail", "x "+bad, "error", errors.New("failed on "+bad))
		log.With("who", bad).Info("again")
		if strings.Contains(out.String(), bad) {
			t.Errorf("%q was logged: %s", bad, out.String())
		}
	}
	if got := Redact("at 1700000000000 pay_01234567890123456789012345"); !strings.Contains(got, "1700000000000") {
		t.Errorf("an ordinary number was redacted: %s", got)
	}
}
