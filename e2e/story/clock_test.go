package story

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

const (
	hourSeconds = 3600
	daySeconds  = 24 * hourSeconds
	aChallenge  = "4000000000003220"
)

// advance moves the clock and returns the account's time.
func advance(c *harness.Client, seconds string, headers ...string) time.Time {
	c.T.Helper()
	at, err := time.Parse(time.RFC3339, harness.Str(c.T, c.OK("POST", "/api/test-clock", `{"advanceSeconds":`+seconds+`}`, headers...), "now"))
	if err != nil {
		c.T.Fatal(err)
	}
	return at
}

// statusOf of a link or payment.
func statusOf(c *harness.Client, path string, o map[string]any) string {
	c.T.Helper()
	return harness.Str(c.T, c.OK("GET", path+harness.Str(c.T, o, "id"), ""), "status")
}

// timePasses moves an account's time: what would take a month happens within a second or two of the
// call, for that account only.
func timePasses(t *testing.T, p *harness.Process) {
	user, key := p.Merchant(t, "carla")
	_, other := p.Merchant(t, "dora")
	shop := harness.OpenShop(t)
	shop.Shut(true)
	shop.Register(key)

	month := key.Link(`"amount":"12.50","expiresInSeconds":2592000`)
	theirs := other.Link(`"amount":"12.50","expiresInSeconds":2592000`)
	held := key.PayJSON(key.Link(`"amount":"1.00","capture":"manual"`), "attempt-0000000001", "4242424242424242").JSON
	challenged := key.PayJSON(key.Link(`"amount":"2.00"`), "attempt-0000000002", aChallenge).JSON
	tomorrow := time.Now().Add(36 * time.Hour).UTC().Format(time.RFC3339)
	short := user.OK("POST", "/api/api-keys", `{"name":"short","mode":"test","scopes":["balance:read"],"expiresAt":"`+tomorrow+`"}`)
	rotated := user.OK("POST", "/api/api-keys/"+harness.Str(t, short, "id")+"/rotate", `{"graceSeconds":7200}`)
	before, after := key.As(harness.Str(t, short, "secret")), key.As(harness.Str(t, rotated, "secret"))
	before.OK("GET", "/api/balance", "")
	await.Until(t, "the shop was knocked at", func() bool { return shop.Knocks() > 0 })

	// An hour: webhooks are retried, and the challenge expires.
	shop.Shut(false)
	advance(key, "3600")
	shop.Heard("link.created", "payment.authorized", "payment.requires_action")
	await.Until(t, "the challenge is given up", func() bool { return statusOf(key, "/api/payments/", challenged) == "canceled" })
	before.OK("GET", "/api/balance", "")
	if got := statusOf(key, "/api/payments/", held); got != "authorized" {
		t.Errorf("after an hour the held payment is %s", got)
	}

	// Another day: the grace period of the old secret has ended; a second day: the key has
	// expired.
	advance(key, "86400")
	after.OK("GET", "/api/balance", "")
	refusedNow(t, before, "api_key_invalid")
	advance(key, "86400")
	refusedNow(t, after, "api_key_expired")

	// A week: the hold has expired.
	advance(key, "604800")
	await.Until(t, "the hold runs out", func() bool { return statusOf(key, "/api/payments/", held) == "canceled" })
	shop.Heard("payment.canceled")

	expires(t, key, shop, month)
	if got := statusOf(other, "/api/links/", theirs); got != "open" {
		t.Errorf("the other merchant's link is %s", got)
	}
	onward(t, key)
	if got := other.PayJSON(theirs, "attempt-0000000004", "4242424242424242"); got.Status != http.StatusOK {
		t.Errorf("the other merchant: %d %s", got.Status, got.Body)
	}
	await.Until(t, "nothing is broken", func() bool {
		out, _, status := harness.Command(t, "verify", "--data", p.Data)
		return status == 0 && strings.Contains(out, " 0 broken")
	})
}

func refusedNow(t *testing.T, key *harness.Client, code string) {
	t.Helper()
	if a := key.Do("GET", "/api/balance", ""); a.Status != http.StatusUnauthorized || a.JSON["code"] != code {
		t.Errorf("want %s: %d %s", code, a.Status, a.Body)
	}
}

// expires checks that "in 30 days" is now, for every reader.
func expires(t *testing.T, key *harness.Client, shop *harness.Shop, month map[string]any) {
	t.Helper()
	if got := statusOf(key, "/api/links/", month); got != "open" {
		t.Errorf("the link is %s before its time", got)
	}
	start := time.Now()
	advance(key, "2592000")
	if got := statusOf(key, "/api/links/", month); got != "expired" {
		t.Errorf("the link of 30 days is %s after 39", got)
	}
	if a := key.PayJSON(month, "attempt-0000000003", "4242424242424242"); a.Status != http.StatusConflict || a.JSON["code"] != "link_expired" {
		t.Errorf("paying an expired link: %d %s", a.Status, a.Body)
	}
	if v := key.As("").OK("GET", "/verify?link="+harness.Str(t, month, "url"), "", "Accept", "application/json"); v["expired"] != true ||
		v["ours"] != true {
		t.Errorf("the verifier: %v", v)
	}
	if n := len(harness.List(t, key.OK("GET", "/api/links?status=expired", ""), "data")); n != 2 {
		t.Errorf("%d links are listed as expired", n)
	}
	t.Logf("a link of 30 days has expired in %s", time.Since(start).Round(10*time.Millisecond))
	shop.Heard("link.expired")
}

// onward checks that work continues at the new time, and that the limits of the clock hold.
func onward(t *testing.T, key *harness.Client) {
	t.Helper()
	l := key.Link(`"amount":"5.00","expiresInSeconds":3600`)
	if at := harness.Str(t, l, "createdAt"); at < time.Now().Add(38*24*time.Hour).UTC().Format(time.RFC3339) {
		t.Errorf("a link that is made 39 days ahead was made at %s", at)
	}
	if a := key.PayJSON(l, "attempt-0000000005", "4242424242424242"); a.Status != http.StatusOK || a.JSON["status"] != "succeeded" {
		t.Errorf("paying ahead: %d %s", a.Status, a.Body)
	}
	first := advance(key, "60", "Idempotency-Key", "move-1")
	if again := advance(key, "60", "Idempotency-Key", "move-1"); !again.Equal(first) {
		t.Errorf("one move twice: %s, %s", first, again)
	}
	for body, code := range map[string]string{
		`{"now":"` + time.Now().UTC().Format(time.RFC3339) + `"}`: "clock_backward", `{"advanceSeconds":63244800}`: "clock_too_far",
		`{"advanceSeconds":0}`: "clock_invalid", `{"now":"tomorrow"}`: "clock_invalid", `{}`: "conflicting_fields",
		`{"advanceSeconds":1,"now":"2030-01-01T00:00:00Z"}`: "conflicting_fields",
	} {
		if a := key.Do("POST", "/api/test-clock", body); a.Status != http.StatusBadRequest || a.JSON["code"] != code {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	clock := key.OK("GET", "/api/test-clock", "")
	if ahead, ok := clock["aheadSeconds"].(float64); !ok || int(ahead) != hourSeconds+39*daySeconds+60 {
		t.Errorf("the clock: %v", clock)
	}
}
