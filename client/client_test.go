package client_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/client"
)

// script is a server that answers requests in sequence as configured, and records them.
type script struct {
	mu      sync.Mutex
	answers []func(http.ResponseWriter)
	asked   []*http.Request
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r)
	answer := s.answers[min(len(s.asked)-1, len(s.answers)-1)]
	s.mu.Unlock()
	answer(w)
}

func (s *script) start(t *testing.T, answers ...func(http.ResponseWriter)) *client.Client {
	t.Helper()
	s.answers = answers
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL+"/", client.WithSecret("pl_test_secret"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *script) keys() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.asked {
		all = append(all, r.Header.Get("Idempotency-Key"))
	}
	return all
}

func ok(body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { _, _ = w.Write([]byte(body)) }
}

func problem(status int, code string, headers ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/problem+json")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"type":"/problems/%s","title":"T","status":%d,"detail":"D.","code":%q,"requestId":"req_1"}`, code, status, code)
	}
}

// cut ends the connection without an answer.
func cut(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func TestCallsAreRepeatedUnderOneKey(t *testing.T) {
	var s script
	c := s.start(t, cut, problem(503, "store_busy"), problem(409, "idempotency_key_in_use"), ok(`{"id":"lnk_1"}`))
	l, err := c.Links.Create(t.Context(), client.CreateLink{Amount: "1.00", Currency: "EUR"})
	if err != nil || l.ID != "lnk_1" {
		t.Fatalf("%+v, %v", l, err)
	}
	keys := s.keys()
	if len(keys) != 4 || keys[0] == "" || len(slices.Compact(keys)) != 1 {
		t.Errorf("keys: %q", s.keys())
	}
	if _, err := c.Links.Create(t.Context(), client.CreateLink{}, client.IdempotencyKey("mine")); err != nil {
		t.Fatal(err)
	}
	if all := s.keys(); all[4] != "mine" {
		t.Errorf("the fifth key is %q", all[4])
	}
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	for _, status := range []int{400, 401, 402, 403, 404, 409, 422, 500} {
		var s script
		c := s.start(t, problem(status, "no"))
		_, err := c.Payments.Get(t.Context(), "pay_1")
		var e *client.Error
		if !errors.As(err, &e) || e.Status != status || e.Code != "no" || e.RequestID != "req_1" || len(s.asked) != 1 {
			t.Errorf("%d: %v after %d tries", status, err, len(s.asked))
		}
		if client.IsNotFound(err) != (status == 404) || client.Code(err) != "no" {
			t.Errorf("%d: not found %v, code %q", status, client.IsNotFound(err), client.Code(err))
		}
	}
}

func TestRetryAfterIsHeld(t *testing.T) {
	var s script
	c := s.start(t, problem(429, "rate_limited", "Retry-After", "1"), ok(`{"object":"balance"}`))
	start := time.Now()
	if _, err := c.Payments.Balance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < time.Second {
		t.Errorf("came back after %s", took)
	}
	var long script
	c = long.start(t, problem(503, "timeout", "Retry-After", "3600"))
	_, err := c.Payments.Balance(t.Context())
	var e *client.Error
	if !errors.As(err, &e) || e.RetryAfter != time.Hour || len(long.asked) != 1 {
		t.Errorf("%v after %d tries", err, len(long.asked))
	}
}

func TestDeletingWhatALostTryDeleted(t *testing.T) {
	var s script
	c := s.start(t, cut, problem(404, "not_found"))
	if err := c.Endpoints.Delete(t.Context(), "whe_1"); err != nil {
		t.Errorf("after a lost answer: %v", err)
	}
	var first script
	c = first.start(t, problem(404, "not_found"))
	if err := c.Endpoints.Delete(t.Context(), "whe_1"); !client.IsNotFound(err) {
		t.Errorf("what was never there: %v", err)
	}
}

func TestTheContextEndsACall(t *testing.T) {
	var s script
	c := s.start(t, problem(503, "timeout", "Retry-After", "20"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := c.Payments.Balance(ctx); client.Code(err) != "timeout" || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestAnswersOfStrangers(t *testing.T) {
	var s script
	c := s.start(t, func(w http.ResponseWriter) {
		w.WriteHeader(404)
		_, _ = w.Write([]byte("<html>nginx</html>"))
	}, ok("<html>hello</html>"))
	if _, err := c.Links.Get(t.Context(), "lnk_1"); client.Code(err) != "http_404" {
		t.Errorf("a page for a 404: %v", err)
	}
	if _, err := c.Links.Get(t.Context(), "lnk_1"); client.Code(err) != "answer_invalid" {
		t.Errorf("a page for a 200: %v", err)
	}
	if _, err := client.New("ftp://x"); err == nil {
		t.Error("ftp is taken for a server")
	}
}

func TestNoSecretInErrors(t *testing.T) {
	c, err := client.New("http://127.0.0.1:1", client.WithKey("key_1", "pl_test_secret"), client.WithTries(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Payments.Balance(t.Context()); err == nil || strings.Contains(err.Error(), "pl_test_secret") {
		t.Errorf("the error: %v", err)
	}
}

// TestPagesAreWalked makes more links than one page holds.
func TestPagesAreWalked(t *testing.T) {
	c := connect(t)
	const n = 105
	for range n {
		if _, err := c.Links.Create(t.Context(), client.CreateLink{Amount: "1.00", Currency: "EUR", Realm: "pages"}); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for l, err := range c.Links.All(t.Context(), client.LinkFilter{Realm: "pages"}) {
		if err != nil {
			t.Fatal(err)
		}
		seen[l.ID] = true
	}
	page, err := c.Links.List(t.Context(), client.LinkFilter{Realm: "pages", Limit: 3})
	if err != nil || len(seen) != n || len(page.Data) != 3 || !page.HasMore {
		t.Errorf("%d links, a page of %d, %v", len(seen), len(page.Data), err)
	}
	created, last := 0, int64(0)
	for e, err := range c.Events.All(t.Context(), client.EventFilter{Types: []string{"link.created"}}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq <= last {
			t.Fatalf("seq %d after %d", e.Seq, last)
		}
		if l, err := e.Link(); err == nil && l.Realm == "pages" {
			created++
		}
		last = e.Seq
	}
	if created != n {
		t.Errorf("%d events, want %d", created, n)
	}
}

// TestStreamGoesOn checks that a broken stream is reopened after the last event.
func TestStreamGoesOn(t *testing.T) {
	event := func(seq int) string {
		return fmt.Sprintf("id: %d\nevent: link.created\ndata: {\"id\":\"evt_%d\",\"type\":\"link.created\",\"seq\":%d}\n\n", seq, seq, seq)
	}
	stream := func(parts ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			for _, p := range parts {
				_, _ = w.Write([]byte(p))
			}
		}
	}
	var s script
	c := s.start(
		t,
		stream("id: 4\n\n", event(5)),
		cut,
		problem(503, "too_many_streams"),
		stream(event(5), event(6)),
		problem(401, "api_key_revoked"),
	)
	var seqs []int64
	var last error
	broken := 0
	for e, err := range c.Events.Stream(t.Context(), client.StreamOptions{FromNow: true, Broken: func(error, time.Duration) { broken++ }}) {
		if err != nil {
			last = err
			break
		}
		seqs = append(seqs, e.Seq)
	}
	if !slices.Equal(seqs, []int64{5, 6}) || client.Code(last) != "api_key_revoked" || broken == 0 {
		t.Errorf("seqs %v, broken %d, %v", seqs, broken, last)
	}
	for i, want := range []string{"", "5", "5", "5", "6"} {
		if got := s.asked[i].Header.Get("Last-Event-ID"); got != want {
			t.Errorf("connection %d goes on after %q, want %q", i, got, want)
		}
	}
}

// TestRealWebhook checks that the server's real webhooks are verified, both ways.
func TestRealWebhook(t *testing.T) {
	c := connect(t)
	keys, err := c.WebhookKeys(t.Context())
	if err != nil || len(keys) == 0 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	type sent struct {
		h    http.Header
		body []byte
	}
	got := make(chan sent, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(raw)
		got <- sent{r.Header.Clone(), raw}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()
	endpoint, err := c.Endpoints.Create(t.Context(), client.CreateEndpoint{URL: receiver.URL, Events: []string{"link.created"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Endpoints.Delete(context.WithoutCancel(t.Context()), endpoint.ID); err != nil {
			t.Error(err)
		}
	}()
	rotated, err := c.Endpoints.Rotate(t.Context(), endpoint.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Links.Create(t.Context(), client.CreateLink{Amount: "1.00", Currency: "EUR"}); err != nil {
		t.Fatal(err)
	}
	var s sent
	select {
	case s = <-got:
	case <-time.After(30 * time.Second):
		t.Fatal("no webhook came")
	}
	for name, v := range map[string]*client.WebhookVerifier{
		"the new secret": client.NewWebhookVerifier(rotated.Secret), "the old secret": client.NewWebhookVerifier(endpoint.Secret),
		"a wrong secret and the right one": client.NewWebhookVerifier("whsec_AAAA", rotated.Secret), "Ed25519": {Keys: keys},
	} {
		if e, err := v.Verify(s.h, s.body); err != nil || e.Type != "link.created" {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := client.NewWebhookVerifier("whsec_" + base64.StdEncoding.EncodeToString([]byte("another secret altogether")))
	if _, err := wrong.Verify(s.h, s.body); !errors.Is(err, client.ErrWebhookSignature) {
		t.Errorf("another secret: %v", err)
	}
	for _, moved := range []time.Duration{-6 * time.Minute, 6 * time.Minute} {
		v := client.WebhookVerifier{Keys: keys, Now: func() time.Time { return time.Now().Add(moved) }}
		if _, err := v.Verify(s.h, s.body); !errors.Is(err, client.ErrWebhookTime) {
			t.Errorf("%s off: %v", moved, err)
		}
	}
	if _, err := wrong.Verify(http.Header{}, s.body); !errors.Is(err, client.ErrWebhookHeaders) {
		t.Errorf("no headers: %v", err)
	}
	deliveries := 0
	for d, err := range c.Endpoints.Deliveries(t.Context(), endpoint.ID) {
		if err != nil || d.EventType != "link.created" {
			t.Errorf("%+v, %v", d, err)
		}
		deliveries++
	}
	t.Logf("%d deliveries so far", deliveries)
}

// TestTheRest makes the calls that no other test makes.
func TestTheRest(t *testing.T) {
	c, user := connect(t), signedIn(t)
	ctx := t.Context()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	l, err := c.Links.Create(ctx, client.CreateLink{MaxAmount: "20.00", MinAmount: "5.00", Currency: "EUR", MaxUses: client.Unlimited,
		Capture: "manual", Metadata: map[string]string{"a": "b"}, ExpiresInSeconds: 3600})
	must("create", err)
	if l.MaxUses != nil || l.MinAmount != "5.00" || l.Amount != "" || l.Metadata["a"] != "b" {
		t.Errorf("%+v", l)
	}
	svg, err := c.Links.QR(ctx, l.ID)
	if err != nil || !strings.HasPrefix(string(svg), "<svg") {
		t.Errorf("%.20s, %v", svg, err)
	}
	var ids []string
	for range 2 {
		p, err := c.Test.Pay(ctx, l, client.TestPayment{Amount: "7.00", Payer: client.Payer{Name: "Ada", Email: "ada@example.com"}})
		must("pay", err)
		ids = append(ids, p.ID)
	}
	if _, err := c.Payments.Capture(ctx, ids[0], ""); err == nil || !strings.Contains(err.Error(), "amount is empty") {
		t.Errorf("an empty amount captures: %v", err)
	}
	captured, err := c.Payments.Capture(ctx, ids[0], "6.00")
	if err != nil || captured.Status != client.PaymentSucceeded || captured.CapturedAmount != "6.00" {
		t.Errorf("%+v, %v", captured, err)
	}
	if _, err := c.Payments.Refund(ctx, ids[0], ""); err == nil || !strings.Contains(err.Error(), "amount is empty") {
		t.Errorf("an empty amount refunds: %v", err)
	}
	if _, err := c.Payments.Refund(ctx, ids[0], "1.00", client.RefundableAmount("7.00")); client.Code(err) != "refundable_amount_changed" {
		t.Errorf("refunded although 6.00 is refundable: %v", err)
	}
	if r, err := c.Payments.Refund(ctx, ids[0], "1.00", client.RefundableAmount(captured.RefundableAmount),
		client.AllowDisputed()); err != nil ||
		r.Amount != "1.00" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := c.Payments.Refund(ctx, ids[0], client.All); err != nil || r.Amount != "5.00" {
		t.Errorf("%+v, %v", r, err)
	}
	voided, err := c.Payments.Void(ctx, ids[1])
	if err != nil || voided.Status != client.PaymentCanceled {
		t.Errorf("%+v, %v", voided, err)
	}
	table, err := c.Payments.CSV(ctx, client.PaymentFilter{Link: l.ID})
	if err != nil || strings.Count(string(table), "\n") != 3 {
		t.Errorf("%s, %v", table, err)
	}
	gone, err := c.Links.Cancel(ctx, l.ID)
	if err != nil || gone.Status != client.LinkCanceled {
		t.Errorf("%+v, %v", gone, err)
	}
	issuers, err := c.Payments.Issuers(ctx)
	if err != nil || len(issuers) == 0 || issuers[0].ID != "simulator" {
		t.Errorf("%+v, %v", issuers, err)
	}
	k, err := user.Keys.Create(
		ctx,
		client.CreateKey{Name: "sdk", Mode: client.ModeTest, Scopes: []string{"balance:read"}, ExpiresAt: time.Now().Add(time.Hour)},
	)
	must("create a key", err)
	next, err := user.Keys.Rotate(ctx, k.ID, time.Minute)
	must("rotate it", err)
	for _, secret := range []string{k.Secret, next.Secret} {
		other, err := c.As(client.WithKey(k.ID, secret))
		must("another client", err)
		_, err = other.Payments.Balance(ctx)
		must("balance", err)
		if _, err := other.Links.List(ctx, client.LinkFilter{}); client.Code(err) != "scope_missing" {
			t.Errorf("without the scope: %v", err)
		}
	}
	must("revoke it", user.Keys.Revoke(ctx, k.ID))
	read, err := user.Keys.Get(ctx, k.ID)
	if err != nil || read.RevokedAt.IsZero() {
		t.Errorf("%+v, %v", read, err)
	}
	me, err := user.Users.Me(ctx)
	must("me", err)
	_, err = user.Users.SetPaymentMethods(
		ctx,
		[]client.SetPaymentMethod{{Type: "card", Issuer: "simulator", Currencies: me.PaymentMethods[0].Currencies}},
	)
	must("set payment methods", err)
	_, err = user.Payments.Balance(ctx, client.InMode(client.ModeLive))
	must("balance in live mode", err)
	must("sign out", user.Users.SignOut(ctx))
}

// TestImportsNothingOfOurs checks that the SDK imports only the standard library.
func TestImportsNothingOfOurs(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil || strings.TrimSpace(string(out)) != "github.com/paylink/paylink/client" {
		t.Errorf("the SDK needs %s, %v", out, err)
	}
}

func TestForms(t *testing.T) {
	c := signedIn(t)
	f, err := c.Forms.Create(t.Context(), client.CreateForm{Name: "Donations", Amounts: []string{"5.00", "20.00"}, Currency: "EUR",
		Origins: []string{"https://shop.example"}, Fields: []client.FormField{{Name: "email", Required: true}}})
	if err != nil || len(f.Amounts) != 2 || f.Status != "active" || !f.Fields[0].Required {
		t.Fatalf("%+v, %v", f, err)
	}
	change := client.UpdateForm{CreateForm: client.CreateForm{Name: "Gifts", Amount: "5.00", Currency: "EUR"}, Revision: f.Revision}
	f, err = c.Forms.Update(t.Context(), f.ID, change)
	if err != nil || f.Name != "Gifts" || f.Amount != "5.00" {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := c.Forms.Update(t.Context(), f.ID, change); client.Code(err) != "changed_meanwhile" {
		t.Errorf("an old revision: %v", err)
	}
	if err := c.Forms.Archive(t.Context(), f.ID); err != nil {
		t.Error(err)
	}
	if read, err := c.Forms.Get(t.Context(), f.ID); err != nil || read.Status != "archived" {
		t.Errorf("%+v, %v", read, err)
	}
}
