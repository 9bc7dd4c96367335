package pages

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// recorder is a reader of a stream: it keeps what was flushed to it.
type recorder struct {
	mu     sync.Mutex
	header http.Header
	body   strings.Builder
	fail   error
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}
func (r *recorder) WriteHeader(int) {}
func (r *recorder) Flush()          {}
func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return 0, r.fail
	}
	return r.body.Write(b)
}

func (r *recorder) events() (statuses []string, beats int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for block := range strings.SplitSeq(r.body.String(), "\n\n") {
		if data, ok := strings.CutPrefix(block, "event: status\ndata: "); ok {
			var a statusAnswer
			if err := json.Unmarshal([]byte(data), &a); err != nil || a.Payment == nil {
				statuses = append(statuses, "link:"+a.Link.Status)
				continue
			}
			statuses = append(statuses, a.Payment.Status)
		} else if strings.HasPrefix(block, ":") {
			beats++
		}
	}
	return statuses, beats
}

// listen starts a stream and returns its reader and its end.
func (w *world) listen(ctx context.Context, target string) (*recorder, <-chan struct{}) {
	rec, done := &recorder{}, make(chan struct{})
	mux := http.NewServeMux()
	w.pages.Register(mux)
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	r.Header.Set("Accept", "text/event-stream")
	go func() {
		defer close(done)
		mux.ServeHTTP(rec, r)
	}()
	return rec, done
}

func TestStreamTellsChangesAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := w.link("t", paying)
		w.pay(l, attempt, payment.Processing, nil)
		start := time.Now()
		rec, done := w.listen(t.Context(), "/l/t/status?attempt="+attempt)
		synctest.Wait()
		if got, _ := rec.events(); strings.Join(got, " ") != "processing" || rec.header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("at first: %v", got)
		}
		w.pay(l, attempt, payment.Unknown, nil)
		<-time.After(2 * streamPoll)
		w.pay(l, attempt, payment.Capturing, nil)
		<-time.After(31 * time.Second)
		w.pay(l, attempt, payment.Succeeded, nil)
		<-done
		got, beats := rec.events()
		if strings.Join(got, " ") != "processing unknown authorized succeeded" || beats != 2 {
			t.Errorf("%v, %d heartbeats", got, beats)
		}
		if took := time.Since(start); took > 40*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

func TestStreamEndsInTime(t *testing.T) {
	for name, end := range map[string]func(w *world, cancel func()) time.Duration{
		"after five minutes": func(*world, func()) time.Duration { return streamLife },
		"when we drain":      func(w *world, _ func()) time.Duration { close(w.drain); return 0 },
		"when the client is gone": func(_ *world, cancel func()) time.Duration {
			cancel()
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.pay(w.link("t", paying), attempt, payment.Unknown, nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				start := time.Now()
				rec, done := w.listen(ctx, "/l/t/status")
				synctest.Wait()
				want := end(w, cancel)
				<-done
				if took := time.Since(start); took != want {
					t.Errorf("ended after %v, want %v", took, want)
				}
				if got, _ := rec.events(); strings.Join(got, " ") != "unknown" {
					t.Errorf("%v", got)
				}
				leave := w.fill(maxLinkStreams, answer.Share{Key: "link lnk_t", Most: maxLinkStreams})
				if leave == nil {
					t.Error("the place was not given back")
				}
			})
		})
	}
}

func TestStreamSurvivesABrokenReadAndABrokenReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		l := w.link("t", paying)
		w.pay(l, attempt, payment.Processing, nil)
		rec, done := w.listen(t.Context(), "/l/t/status?attempt="+attempt)
		synctest.Wait()
		w.mu.Lock()
		w.broken = errInner
		w.mu.Unlock()
		<-time.After(3 * time.Second)
		w.mu.Lock()
		w.broken = nil
		w.mu.Unlock()
		w.pay(l, attempt, payment.Declined, func(p *payment.Payment) { p.DeclineCode = issuer.CodeStolen })
		<-done
		if got, _ := rec.events(); strings.Join(got, " ") != "processing declined" {
			t.Errorf("%v", got)
		}
		lacks(t, "stream", rec.body.String(), "10.0.0.7")

		w.pay(w.link("u", paying), attempt, payment.Processing, nil)
		gone, done := w.listen(t.Context(), "/l/u/status?attempt="+attempt)
		synctest.Wait()
		gone.mu.Lock()
		gone.fail = errInner
		gone.mu.Unlock()
		<-done
	})
}

func TestStreamOfALinkWithoutPayment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.link("t", func(l *link.Link) { l.MaxUses, l.Reserved = 3, 3 })
		rec, done := w.listen(t.Context(), "/l/t/status")
		synctest.Wait()
		w.link("t", func(l *link.Link) { l.MaxUses, l.Uses = 3, 3 })
		<-done
		if got, _ := rec.events(); strings.Join(got, " ") != "link:paying link:paid" {
			t.Errorf("%v", got)
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.pay(w.link("t", paying), attempt, payment.Unknown, nil)
	w.pay(w.link("u", paying), attempt, payment.Unknown, nil)
	for what, c := range map[string]struct {
		taken     int
		share     answer.Share
		path      string
		elsewhere string // a stream that is still possible
	}{
		"all":         {maxStreams, answer.Share{}, "/l/t/status", ""},
		"the link":    {maxLinkStreams, answer.Share{Key: "link lnk_t", Most: maxLinkStreams}, "/l/t/status", "/l/u/status"},
		"the network": {maxNetworkStreams, answer.Share{Key: "network 192.0.2.0/24", Most: maxNetworkStreams}, "/l/t/status", ""},
	} {
		leave := w.fill(c.taken, c.share)
		a := w.do(http.MethodGet, c.path, "", map[string]string{"Accept": "text/event-stream"})
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "too_many_streams") {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
		if c.elsewhere != "" {
			if a := w.do(http.MethodHead, c.elsewhere, "", map[string]string{"Accept": "text/event-stream"}); a.status != http.StatusOK {
				t.Errorf("%s: another's is %d", what, a.status)
			}
		}
		leave()
	}
	if w.logged.String() != "" {
		t.Errorf("a refusal is logged: %s", w.logged.String())
	}
}

// fill takes places, and returns the function that releases them, or nil if there are fewer.
func (w *world) fill(n int, share answer.Share) (leave func()) {
	var all []func()
	for range n {
		one, err := w.pages.streams.Enter("", share)
		if err != nil {
			return nil
		}
		all = append(all, one)
	}
	return func() {
		for _, one := range all {
			one()
		}
	}
}

func TestStatusJSON(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	w.pay(w.link("lost", nil), attempt, payment.Declined, func(p *payment.Payment) { p.DeclineCode = issuer.CodeLost })
	w.pay(w.link("act", paying), attempt, payment.RequiresAction, func(p *payment.Payment) { p.ActionURL = "/challenge" })
	w.pay(w.link("many", many), attempt, payment.Succeeded, nil)
	const open = `{"link":{"id":"lnk_open","status":"open","expiresAt":"2026-11-25T12:00:00.000Z"},"payment":null}`
	for target, want := range map[string]string{
		"/l/open/status":                    open,
		"/l/open/status?attempt=" + attempt: open,
		"/l/many/status":                    strings.ReplaceAll(open, "lnk_open", "lnk_many"),
		"/l/lost/status":                    `"decline":{"code":"lost_card","message":"The card was declined. Nothing was charged."}`,
		"/l/act/status":                     `"unpayableReason":"link_paying"`,
		"/l/act/status?attempt=" + attempt:  `"actionUrl":"https://pay.example.com/challenge"`,
		"/l/many/status?attempt=" + attempt: `"status":"succeeded","final":true,"amount":"12.50","currency":"EUR"`,
	} {
		a := w.do(http.MethodGet, target, "", map[string]string{"Accept": "*/*"})
		if a.status != 200 || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d", target, a.status)
		}
		contains(t, target, a.body, want)
	}
	for target, status := range map[string]int{"/l/open/status?attempt=short": 400, "/l/forged/status": 404} {
		if a := w.do(http.MethodGet, target, "", nil); a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d", target, a.status)
		}
	}
	w.broken = errInner
	for _, accept := range []string{"text/html", "application/json"} {
		a := w.do(http.MethodGet, "/l/open/status", "", map[string]string{"Accept": accept})
		if a.status != 500 || strings.Contains(a.body, "10.0.0.7") || !strings.Contains(w.logged.String(), "10.0.0.7") {
			t.Errorf("%s: %d %s", accept, a.status, a.body)
		}
	}
}

func TestVerifyJSON(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	w.link("old", expired)
	for target, want := range map[string]string{
		"/verify?link=open":                                        `{"ours":true,"expired":false,"expiresAt":"2026-11-25T12:00:00.000Z","keyId":"1f2e3d4c"}`,
		"/verify?link=https://PAY.example.com/l/open":              `"ours":true`,
		"/verify?link=pay.example.com/l/open":                      `"ours":true`,
		"/verify?link=" + publicURL + "/l/open/status?x=1":         `"ours":true`,
		"/verify?link=" + publicURL + "/l/old":                     `"ours":true,"expired":true`,
		"/verify?link=" + publicURL + "/l/forged":                  `{"ours":false,"expired":false}`,
		"/verify?link=http://pay.example.com/l/open":               `"ours":false`,
		"/verify?link=https://evil.example/l/open":                 `"ours":false`,
		"/verify?link=https://pay.example.com@evil.example/l/open": `"ours":false`,
		"/verify?link=https://u:p@pay.example.com/l/open":          `"ours":false`,
		"/verify?link=" + publicURL + "/x/open":                    `"ours":false`,
		"/verify?link=" + publicURL + "/l/":                        `"ours":false`,
		"/verify?link=" + strings.Repeat("a", 3000):                `"ours":false`,
		"/verify?link=%25%zz":                                      "parameter_missing",
		"/verify":                                                  `"param":"link"`,
	} {
		contains(t, target, w.do(http.MethodGet, target, "", map[string]string{"Accept": "application/json"}).body, want)
	}
}

func TestAccepts(t *testing.T) {
	for header, want := range map[string]string{
		"": "application/json", "*/*": "application/json", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": "text/html",
		"text/event-stream": "text/event-stream", "text/html;q=0.5, application/json": "application/json", "TEXT/HTML": "text/html",
		"text/html;q=0, */*": "application/json", "image/png": "application/json",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Accept", header)
		if got := accepts(r, "application/json", "text/html", "text/event-stream"); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}
