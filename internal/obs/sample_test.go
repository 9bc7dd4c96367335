package obs

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestAFailureWritesSomeLinesASecond(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	log := slog.New(newSampler(slog.NewTextHandler(&out, nil), func() time.Time { return now }))
	for range 1000 {
		log.Error("request failed", "n", 1)
		log.With("a", "b").Warn("not ready")
		log.Info("served")
	}
	count := func(words string) int { return strings.Count(out.String(), words) }
	if count("request failed") != sameLines || count("not ready") != sameLines || count("served") != 1000 {
		t.Errorf("%d errors, %d warnings, %d others", count("request failed"), count("not ready"), count("served"))
	}
	out.Reset()
	now = now.Add(samePeriod)
	log.Error("request failed")
	log.Error("request failed")
	if count("leftOut=995") != 1 || count("request failed") != 2 {
		t.Errorf("%s", &out)
	}
	for i := range 3 * sameMessages {
		log.Error(fmt.Sprintf("message %d", i))
	}
	if count("message ") != 3*sameMessages {
		t.Errorf("%d of %d different messages", count("message "), 3*sameMessages)
	}
}
