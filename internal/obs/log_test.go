package obs

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
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

// TestOneRecordIsOneLine checks that no text makes a second line of the log or a member of its own,
// and that each line has its time, with its offset, its level and its request.
func TestOneRecordIsOneLine(t *testing.T) {
	const text = "a\r\nb\u2028{\"level\":\"INFO\",\"msg\":\"forged\"}\x1b[2J\",\"user\":\"eve"
	var out bytes.Buffer
	log := NewLogger(&out, slog.LevelInfo)
	log.ErrorContext(WithRequestID(t.Context(), "req_1"), text, "detail", text, "error", errors.New(text), text, "x")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || strings.Count(out.String(), "\n") != 1 ||
		strings.ContainsAny(out.String(), "\r\x1b") {
		t.Fatalf("%v: %q", err, out.String())
	}
	if line["msg"] != text || line["detail"] != text || line["error"] != text || line[text] != "x" || line["level"] != "ERROR" ||
		line["request"] != "req_1" || line["user"] != nil || len(line) != 7 {
		t.Errorf("%v", line)
	}
	if at, err := time.Parse(time.RFC3339Nano, line["time"].(string)); err != nil || time.Since(at).Abs() > time.Hour {
		t.Errorf("%v, %v", at, err)
	}
}
