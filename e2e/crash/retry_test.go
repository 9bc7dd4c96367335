package crash

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// TestF16RetriedCreate is a merchant's backend that requests a link again: after a timeout, with
// another body, twice at once, and a month later.
func TestF16RetriedCreate(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	body := func(name string) string {
		return `{"amount":"12.50","currency":"EUR","reference":"` + name + `"}`
	}
	create := func(name string) harness.Answer {
		return key.Do("POST", "/api/payment", body(name), "Idempotency-Key", name)
	}
	count := func(reference string) int {
		return len(harness.List(t, key.OK("GET", "/api/links?reference="+reference, ""), "data"))
	}

	// It times out: the request is sent completely, and nothing waits for the answer.
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	request := body("gave-up")
	if _, err := fmt.Fprintf(conn, "POST /api/payment HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nIdempotency-Key: gave-up\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		key.Bearer, len(request), request); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	var first harness.Answer
	await.Until(t, "the retry is answered", func() bool { first = create("gave-up"); return first.Status == http.StatusOK })
	if n := count("gave-up"); n != 1 {
		t.Errorf("%d links", n)
	}

	if a := key.Do("POST", "/api/payment", body("other"), "Idempotency-Key", "gave-up"); a.Status != http.StatusUnprocessableEntity ||
		a.JSON["code"] != "idempotency_key_reused" {
		t.Errorf("another body: %d %s", a.Status, a.Body)
	}

	twiceAtOnce(t, p, key, body("at-once"))
	if n := count("at-once"); n != 1 {
		t.Errorf("%d links", n)
	}

	p.Stop()
	month := (31 * 24 * time.Hour).Microseconds()
	harness.Harm(t, p.Data, "UPDATE idempotency SET created_at = created_at - $1", month)
	harness.StartOn(t, p.Data, strings.TrimPrefix(p.URL, "http://"))
	again := create("gave-up")
	if again.Status != http.StatusOK || !bytes.Equal(again.Body, first.Body) || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("a month later: %d %s, was %s", again.Status, again.Body, first.Body)
	}
	if n := count("gave-up"); n != 1 {
		t.Errorf("%d links", n)
	}
}

// twiceAtOnce sends one request twice while another session locks the database, so that the first
// cannot end before the second arrives: the second is refused, and once the first succeeds, so
// does the repetition.
func twiceAtOnce(t *testing.T, p *harness.Process, key *harness.Client, body string) {
	t.Helper()
	db := harness.OpenStore(t, p.Data)
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "PRAGMA busy_timeout = 5000"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	answers := make(chan heard, 2)
	for range 2 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/api/payment", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key.Bearer)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "at-once")
		go func() {
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				answers <- heard{err: err}
				return
			}
			raw, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			answers <- heard{resp.StatusCode, raw, err}
		}()
	}
	if a := <-answers; a.status != http.StatusConflict || !strings.Contains(string(a.body), "idempotency_key_in_use") {
		t.Errorf("the second of two at once: %d %s %v", a.status, a.body, a.err)
	}
	if _, err := db.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	a := <-answers
	again := key.Do("POST", "/api/payment", body, "Idempotency-Key", "at-once")
	if a.status != http.StatusOK || !bytes.Equal(a.body, again.Body) {
		t.Errorf("the first of two at once: %d %s %v, repeated %s", a.status, a.body, a.err, again.Body)
	}
}
