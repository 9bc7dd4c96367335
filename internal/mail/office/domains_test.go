package office_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/mail/mailtest"
)

// TestADomainRestsAlone: a domain for which the mail server accepts nothing is tried a few
// times and then rests, while mails to other domains are sent. A mail that waits for it loses
// none of its tries, and is sent once the domain works again.
func TestADomainRestsAlone(t *testing.T) {
	w := newWorld(t)
	w.mode = link.Live
	const slow, fast, workers = 12, 3, 4
	var tried atomic.Int64
	w.server.Script(func(stage mailtest.Stage, to string, _ int) error {
		if stage == mailtest.To && strings.HasSuffix(to, "@slow.example") {
			tried.Add(1)
			return mailtest.Refuse(451, "not now")
		}
		return nil
	})
	for i := range slow {
		w.pay(w.link(time.Hour), fmt.Sprintf("grace%d@slow.example", i))
	}
	for i := range fast {
		w.pay(w.link(time.Hour), fmt.Sprintf("grace%d@fast.example", i))
	}
	w.handle()
	w.send()
	for range fast {
		if got := w.server.Next(t); !strings.HasSuffix(got.To, "@fast.example") {
			t.Errorf("a letter to %s", got.To)
		}
	}
	first := tried.Load()
	if first < 3 || first > 3+workers {
		t.Errorf("the slow domain was tried %d times", first)
	}
	rested := int64(0)
	for _, m := range w.sent() {
		if strings.HasPrefix(m.Error, "domain_resting: ") {
			rested++
			if m.Attempt != 0 || m.Status != mail.Waiting || !m.DueAt.After(w.clock.Now()) {
				t.Errorf("a mail that waits for the domain: %+v", m)
			}
		}
	}
	if rested != slow-first {
		t.Errorf("%d mails wait, %d of %d were tried", rested, first, slow)
	}
	w.send() // nothing is due
	w.clock.Add(2*time.Minute + time.Second)
	w.send()
	if again := tried.Load() - first; again != 1 {
		t.Errorf("after its rest the domain was tried %d times", again)
	}
	w.server.Script(nil)
	arrived := map[string]bool{}
	for range 10 {
		w.clock.Add(20 * time.Minute)
		w.send()
		for w.server.Waiting() > 0 {
			arrived[w.server.Next(t).To] = true
		}
	}
	if len(arrived) != slow {
		t.Errorf("%d of %d arrived: %s", len(arrived), slow, w.mails())
	}
}

func (w *world) sent() []mail.Message {
	w.t.Helper()
	all, err := w.store.Mails(w.t.Context(), w.account.ID, "", 1000)
	w.good(err)
	return all
}
