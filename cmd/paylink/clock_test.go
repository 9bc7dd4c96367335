package main_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestClock moves time in each shape that paylink is deployed in: what would take a
// month happens within a second or two of the call, for that account alone.
func TestClock(t *testing.T) {
	t.Parallel()
	for name, deploy := range shapes {
		t.Run(name, func(t *testing.T) { timePasses(t, deploy(t)) })
	}
}

const (
	hourSeconds = 3600
	daySeconds  = 24 * hourSeconds
	aChallenge  = "4000000000003220"
)

// advance moves the clock and returns the account's time.
func (c *client) advance(seconds string, headers ...string) time.Time {
	c.t.Helper()
	at, err := time.Parse(time.RFC3339, str(c.t, c.ok("POST", "/api/test-clock", `{"advanceSeconds":`+seconds+`}`, headers...), "now"))
	if err != nil {
		c.t.Fatal(err)
	}
	return at
}

// status of a link or payment.
func (c *client) status(path string, o map[string]any) string {
	c.t.Helper()
	return str(c.t, c.ok("GET", path+str(c.t, o, "id"), ""), "status")
}

func timePasses(t *testing.T, p *process) {
	user, key := p.merchant(t, "ada")
	_, other := p.merchant(t, "bob")
	shop := openShop(t)
	shop.shut(true)
	shop.register(key)

	month := key.link(`"amount":"12.50","expiresInSeconds":2592000`)
	theirs := other.link(`"amount":"12.50","expiresInSeconds":2592000`)
	held := key.payJSON(key.link(`"amount":"1.00","capture":"manual"`), "attempt-0000000001", "4242424242424242").json
	challenged := key.payJSON(key.link(`"amount":"2.00"`), "attempt-0000000002", aChallenge).json
	tomorrow := time.Now().Add(36 * time.Hour).UTC().Format(time.RFC3339)
	short := user.ok("POST", "/api/api-keys", `{"name":"short","mode":"test","scopes":["balance:read"],"expiresAt":"`+tomorrow+`"}`)
	rotated := user.ok("POST", "/api/api-keys/"+str(t, short, "id")+"/rotate", `{"graceSeconds":7200}`)
	before, after := key.as(str(t, short, "secret")), key.as(str(t, rotated, "secret"))
	before.ok("GET", "/api/balance", "")
	eventually(t, "the shop was knocked at", func() bool { return shop.knocks() > 0 })

	// An hour: webhooks are tried again, and the challenge is given up.
	shop.shut(false)
	key.advance("3600")
	shop.heard("link.created", "payment.authorized", "payment.requires_action")
	eventually(t, "the challenge is given up", func() bool { return key.status("/api/payments/", challenged) == "canceled" })
	before.ok("GET", "/api/balance", "")
	if got := key.status("/api/payments/", held); got != "authorized" {
		t.Errorf("after an hour the held payment is %s", got)
	}

	// Another day: the grace of the old secret has ended; a second day: the key has.
	key.advance("86400")
	after.ok("GET", "/api/balance", "")
	refusedNow(t, before, "api_key_invalid")
	key.advance("86400")
	refusedNow(t, after, "api_key_expired")

	// A week: the hold has run out.
	key.advance("604800")
	eventually(t, "the hold runs out", func() bool { return key.status("/api/payments/", held) == "canceled" })
	shop.heard("payment.canceled")

	expires(t, key, shop, month)
	if got := other.status("/api/links/", theirs); got != "open" {
		t.Errorf("the other merchant's link is %s", got)
	}
	onward(t, key)
	if got := other.payJSON(theirs, "attempt-0000000004", "4242424242424242"); got.status != http.StatusOK {
		t.Errorf("the other merchant: %d %s", got.status, got.body)
	}
	eventually(t, "nothing is broken", func() bool {
		out, _, status := command(t, "verify", "--data", p.data)
		return status == 0 && strings.Contains(out, " 0 broken")
	})
}

func refusedNow(t *testing.T, key *client, code string) {
	t.Helper()
	if a := key.do("GET", "/api/balance", ""); a.status != http.StatusUnauthorized || a.json["code"] != code {
		t.Errorf("want %s: %d %s", code, a.status, a.body)
	}
}

// expires: "in 30 days" is at once, whoever asks.
func expires(t *testing.T, key *client, shop *shop, month map[string]any) {
	t.Helper()
	if got := key.status("/api/links/", month); got != "open" {
		t.Errorf("the link is %s before its time", got)
	}
	start := time.Now()
	key.advance("2592000")
	if got := key.status("/api/links/", month); got != "expired" {
		t.Errorf("the link of 30 days is %s after 39", got)
	}
	if a := key.payJSON(month, "attempt-0000000003", "4242424242424242"); a.status != http.StatusConflict || a.json["code"] != "link_expired" {
		t.Errorf("paying an expired link: %d %s", a.status, a.body)
	}
	if v := key.as("").ok("GET", "/verify?link="+str(t, month, "url"), "", "Accept", "application/json"); v["expired"] != true || v["ours"] != true {
		t.Errorf("the verifier: %v", v)
	}
	if n := len(list(t, key.ok("GET", "/api/links?status=expired", ""), "data")); n != 2 {
		t.Errorf("%d links are listed as expired", n)
	}
	t.Logf("a link of 30 days has expired in %s", time.Since(start).Round(10*time.Millisecond))
	shop.heard("link.expired")
}

// onward: life goes on at the new time, and the bounds hold.
func onward(t *testing.T, key *client) {
	t.Helper()
	l := key.link(`"amount":"5.00","expiresInSeconds":3600`)
	if at := str(t, l, "createdAt"); at < time.Now().Add(38*24*time.Hour).UTC().Format(time.RFC3339) {
		t.Errorf("a link that is made 39 days ahead was made at %s", at)
	}
	if a := key.payJSON(l, "attempt-0000000005", "4242424242424242"); a.status != http.StatusOK || a.json["status"] != "succeeded" {
		t.Errorf("paying ahead: %d %s", a.status, a.body)
	}
	first := key.advance("60", "Idempotency-Key", "move-1")
	if again := key.advance("60", "Idempotency-Key", "move-1"); !again.Equal(first) {
		t.Errorf("one move twice: %s, %s", first, again)
	}
	for body, code := range map[string]string{
		`{"now":"` + time.Now().UTC().Format(time.RFC3339) + `"}`: "clock_backward", `{"advanceSeconds":63244800}`: "clock_too_far",
		`{"advanceSeconds":0}`: "clock_invalid", `{"now":"tomorrow"}`: "clock_invalid", `{}`: "conflicting_fields",
		`{"advanceSeconds":1,"now":"2030-01-01T00:00:00Z"}`: "conflicting_fields",
	} {
		if a := key.do("POST", "/api/test-clock", body); a.status != http.StatusBadRequest || a.json["code"] != code {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	clock := key.ok("GET", "/api/test-clock", "")
	if ahead, ok := clock["aheadSeconds"].(float64); !ok || int(ahead) != hourSeconds+39*daySeconds+60 {
		t.Errorf("the clock: %v", clock)
	}
}
