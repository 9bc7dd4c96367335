// Package client is a Go client for paylink's API: links, payments, refunds, events, webhook
// endpoints, keys and the test clock, as typed calls.
//
// A call takes a context and returns on its answer, or when the context ends. A call without an
// answer, or with a temporary refusal, is retried a few times, with growing pauses and never
// sooner than the server asked. A call that changes something has an Idempotency-Key, created
// once per call, so it takes effect once however often it is sent. A refusal by the server is an
// *Error with a stable code.
//
// The package depends only on the standard library. A Client is safe for concurrent use.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Limits of a call.
const (
	DefaultTries  = 4                // of a call, in total
	MaxRetryAfter = 30 * time.Second // a longer wait is not made: the error contains it

	tryTimeout   = 60 * time.Second // of one try; the server's own limit is 45 s
	firstPause   = 250 * time.Millisecond
	longestPause = 8 * time.Second
	maxBodyBytes = 32 << 20 // of an answer: a page of 100 objects, each with the most metadata
)

// Client calls one server with one set of credentials.
type Client struct {
	base      string
	http      *http.Client
	key       string // with secret: HTTP Basic
	bearer    string // an API key's secret, or a session's token
	tries     int
	userAgent string

	Links     *LinksAPI
	Payments  *PaymentsAPI
	Disputes  *DisputesAPI
	Activity  *ActivityAPI
	Forms     *FormsAPI
	Fraud     *FraudAPI
	Events    *EventsAPI
	Endpoints *EndpointsAPI
	Keys      *KeysAPI
	Users     *UsersAPI
	Clock     *ClockAPI
	Test      *TestAPI
}

// Option configures a Client.
type Option func(*Client)

// WithKey authenticates with an API key's id and secret.
func WithKey(id, secret string) Option { return func(c *Client) { c.key, c.bearer = id, secret } }

// WithSecret authenticates with an API key's secret only.
func WithSecret(secret string) Option { return func(c *Client) { c.key, c.bearer = "", secret } }

// WithSession acts as a signed-in user, with the token of a session.
func WithSession(token string) Option { return WithSecret(token) }

// WithHTTPClient sets the http.Client, for example for a proxy, certificates, or tracing.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithTries sets how often a call is sent at most; 1 disables retries.
func WithTries(n int) Option { return func(c *Client) { c.tries = max(n, 1) } }

// WithUserAgent names the calling program.
func WithUserAgent(name string) Option { return func(c *Client) { c.userAgent = name } }

// New returns a client of the server at base, such as https://pay.example.
func New(base string, options ...Option) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("paylink: %q is no address of a server: want http(s)://HOST", base)
	}
	c := &Client{base: strings.TrimRight(base, "/"), tries: DefaultTries, userAgent: "paylink-go"}
	for _, o := range options {
		o(c)
	}
	if c.http == nil {
		// The API never redirects: following a redirect could only carry credentials elsewhere.
		c.http = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	c.Disputes = &DisputesAPI{c}
	c.Activity = &ActivityAPI{c}
	c.Links, c.Payments, c.Events = &LinksAPI{c}, &PaymentsAPI{c}, &EventsAPI{c}
	c.Endpoints, c.Keys, c.Users = &EndpointsAPI{c}, &KeysAPI{c}, &UsersAPI{c}
	c.Fraud = &FraudAPI{c}
	c.Forms, c.Clock, c.Test = &FormsAPI{c}, &ClockAPI{c}, &TestAPI{c}
	return c, nil
}

// As returns the same client with other credentials.
func (c *Client) As(credentials Option) (*Client, error) {
	return New(c.base, func(n *Client) { n.http, n.tries, n.userAgent = c.http, c.tries, c.userAgent }, credentials)
}

// CallOption configures one call.
type CallOption func(*call)

// IdempotencyKey sets the call's key, instead of a generated one. Use it for work that must
// happen once even if your program dies and restarts, for example with the number of an order. A
// repeated call returns the first answer: read the object before you act on its status.
func IdempotencyKey(key string) CallOption { return func(c *call) { c.idempotencyKey = key } }

// InMode selects test or live data, for a signed-in user.
func InMode(mode Mode) CallOption {
	return func(c *call) { c.query.Set("mode", string(mode)) }
}

// call is one request.
type call struct {
	method, path   string
	query          url.Values
	body           any
	out            any // decoded into; *[]byte receives the raw bytes
	idempotencyKey string
	accept         string
	open           bool // no credentials: the token in the address is enough
}

func (c *Client) do(ctx context.Context, k call, options []CallOption) error {
	if k.query == nil {
		k.query = url.Values{}
	}
	if k.method == http.MethodPost {
		k.idempotencyKey = rand.Text()
	}
	for _, o := range options {
		o(&k)
	}
	var body []byte
	if k.body != nil {
		var err error
		if body, err = json.Marshal(k.body); err != nil {
			return fmt.Errorf("paylink: %s %s: %w", k.method, k.path, err)
		}
	}
	unsure := false
	for n := 1; ; n++ {
		err := c.try(ctx, k, body)
		if err == nil {
			return nil
		}
		var e *Error
		answered := errors.As(err, &e)
		if answered && unsure && k.method == http.MethodDelete && e.Status == http.StatusNotFound {
			return nil // an earlier try with a lost answer has deleted it
		}
		unsure = unsure || !answered
		pause, again := retryPause(e, n)
		if !again || n >= c.tries || ctx.Err() != nil || !wait(ctx, pause) {
			return err
		}
	}
}

// retryPause returns the pause after try n, and whether to try again at all.
func retryPause(e *Error, n int) (time.Duration, bool) {
	pause := min(firstPause<<min(n-1, 10), longestPause)
	pause = pause/2 + mathrand.N(pause/2)
	if e == nil {
		return pause, true // no answer came
	}
	if !e.temporary() || e.RetryAfter > MaxRetryAfter {
		return 0, false
	}
	return max(pause, e.RetryAfter), true
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// request builds the HTTP request of a call.
func (c *Client) request(ctx context.Context, k call, body []byte) (*http.Request, error) {
	address := c.base + k.path
	if strings.HasPrefix(k.path, "http://") || strings.HasPrefix(k.path, "https://") {
		address = k.path
	}
	if len(k.query) > 0 {
		address += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("paylink: %w", err)
	}
	h := req.Header
	h.Set("User-Agent", c.userAgent)
	h.Set("Accept", "application/json, application/problem+json")
	if k.accept != "" {
		h.Set("Accept", k.accept)
	}
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	if k.idempotencyKey != "" {
		h.Set("Idempotency-Key", k.idempotencyKey)
	}
	switch {
	case k.open || c.bearer == "":
	case c.key != "":
		req.SetBasicAuth(c.key, c.bearer)
	default:
		h.Set("Authorization", "Bearer "+c.bearer)
	}
	return req, nil
}

// try sends the call once.
func (c *Client) try(ctx context.Context, k call, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	req, err := c.request(ctx, k, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("paylink: %w", err) // contains method and address, never a header
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxBodyBytes+1))
	if err != nil {
		return fmt.Errorf("paylink: %s %s: the answer broke off: %w", k.method, k.path, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return problemIn(resp, raw)
	}
	if len(raw) > maxBodyBytes {
		return fmt.Errorf("paylink: %s %s: the answer is larger than %d bytes", k.method, k.path, maxBodyBytes)
	}
	switch out := k.out.(type) {
	case nil:
		return nil
	case *[]byte:
		*out = raw
		return nil
	}
	if err := json.Unmarshal(raw, k.out); err != nil {
		return &Error{
			Status:    resp.StatusCode,
			Code:      "answer_invalid",
			Title:     "Not an answer of paylink",
			RequestID: resp.Header.Get("Request-Id"),
			Detail:    fmt.Sprintf("%s %s: %v", k.method, k.path, err),
		}
	}
	return nil
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values, options []CallOption) (T, error) {
	var out T
	err := c.do(ctx, call{method: http.MethodGet, path: path, query: query, out: &out}, options)
	return out, err
}

func post[T any](ctx context.Context, c *Client, path string, body any, options []CallOption) (T, error) {
	var out T
	err := c.do(ctx, call{method: http.MethodPost, path: path, body: body, out: &out}, options)
	return out, err
}

func remove(ctx context.Context, c *Client, path string, options []CallOption) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path}, options)
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func setTime(q url.Values, name string, t time.Time) {
	if !t.IsZero() {
		q.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
}

func setInt(q url.Values, name string, n int64) {
	if n > 0 {
		q.Set(name, strconv.FormatInt(n, 10))
	}
}
