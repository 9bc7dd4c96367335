package harness

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/gateway/api/apitest"
)

// LinkMembers are a link's description and reference, as members of a request.
const LinkMembers = `"description":"Two tickets for the evening of 12 December","reference":"order-1815"`

// Payee is a merchant with a name of some length.
const Payee = "ada-lovelace-and-daughters"

// Password is that of every merchant of these tests.
const Password = "correct horse battery"

// Form makes a form that the site may frame.
func Form(t testing.TB, key *Client, origin, more string) string {
	t.Helper()
	return Str(
		t,
		key.OK(
			"POST",
			"/api/forms",
			`{"name":"Tickets","amounts":["5","12.50"],"currency":"EUR","fields":[{"name":"email","required":true},{"name":"size","label":"Size"}],
		"origins":["`+origin+`"],"redirectUrl":"`+origin+`/thanks"`+more+`}`,
		),
		"id",
	)
}

// Client calls the API and validates each exchange against the OpenAPI document.
type Client struct {
	T      testing.TB
	URL    string
	Bearer string
	check  func(*http.Request, []byte, *http.Response, []byte)
}

// Answer is what the API answered; JSON is nil when the body is none.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	JSON   map[string]any
}

// Client calls the server's API without credentials.
func (p *Process) Client(t testing.TB) *Client {
	t.Helper()
	return &Client{T: t, URL: p.URL, check: apitest.Validator(t)}
}

// As is the client with another bearer token.
func (c *Client) As(bearer string) *Client {
	other := *c
	other.Bearer = bearer
	return &other
}

// In is the client in another test, a subtest mostly.
func (c *Client) In(t testing.TB) *Client {
	t.Helper()
	other := *c
	other.T, other.check = t, apitest.Validator(t)
	return &other
}

// At is the client at another address of the same deployment.
func (c *Client) At(url string) *Client {
	other := *c
	other.URL = url
	return &other
}

// Below returns the client behind a proxy that adds a path, which the OpenAPI document does not
// contain.
func (c *Client) Below(t testing.TB, origin, path string) *Client {
	t.Helper()
	other := c.In(t).At(origin + path)
	check := other.check
	other.check = func(r *http.Request, body []byte, resp *http.Response, answer []byte) {
		own := r.Clone(r.Context())
		own.URL.Path = strings.TrimPrefix(own.URL.Path, path)
		check(own, body, resp, answer)
	}
	return other
}

// Do sends a request; headers are pairs of name and value.
func (c *Client) Do(method, path, body string, headers ...string) Answer {
	c.T.Helper()
	req, err := http.NewRequestWithContext(c.T.Context(), method, c.URL+path, strings.NewReader(body))
	if err != nil {
		c.T.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.Bearer)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.T.Fatal(err)
	}
	raw, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		c.T.Fatal(err)
	}
	c.check(req, []byte(body), resp, raw)
	a := Answer{Status: resp.StatusCode, Header: resp.Header, Body: raw}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") && len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.JSON); err != nil {
			c.T.Fatalf("%s %s: %v: %s", method, path, err, raw)
		}
	}
	return a
}

// OK is Do where only 200 is accepted. A 503 that may be retried is retried under the same
// idempotency key, as the API's document requires of every client: a store on a busy machine may
// exceed its time limits.
func (c *Client) OK(method, path, body string, headers ...string) map[string]any {
	c.T.Helper()
	if method == http.MethodPost && !slices.Contains(headers, "Idempotency-Key") {
		headers = append(headers, "Idempotency-Key", uuid.NewString())
	}
	var a Answer
	await.Until(c.T, method+" "+path+" is not answered 503", func() bool {
		a = c.Do(method, path, body, headers...)
		return a.Status != http.StatusServiceUnavailable || a.JSON["retryable"] != true
	})
	if a.Status != http.StatusOK {
		c.T.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	return a.JSON
}

// Str is a member that must be a string.
func Str(t testing.TB, o map[string]any, member string) string {
	t.Helper()
	s, ok := o[member].(string)
	if !ok {
		t.Fatalf("%q is no text in %v", member, o)
	}
	return s
}

// List is a member that must be a list of objects.
func List(t testing.TB, o map[string]any, member string) []map[string]any {
	t.Helper()
	items, ok := o[member].([]any)
	if !ok {
		t.Fatalf("%q is no list in %v", member, o)
	}
	var all []map[string]any
	for _, i := range items {
		m, ok := i.(map[string]any)
		if !ok {
			t.Fatalf("%q has %v in it", member, i)
		}
		all = append(all, m)
	}
	return all
}

// EveryScope is the JSON list of all scopes of an API key.
const EveryScope = `["links:read","links:write","payments:read","payments:write","webhooks:read","webhooks:write","events:read","balance:read","forms:read","forms:write","fraud:read","fraud:write"]`

// Merchant makes an account that takes EUR and USD through the simulator, and
// returns the clients of its user and of its API key.
func (p *Process) Merchant(t testing.TB, name string) (user, key *Client) {
	t.Helper()
	c := p.Client(t)
	c.OK("POST", "/api/users", `{"username":"`+name+`","email":"`+name+`@example.com","date":"2026-01-31","password":"correct horse battery"}`)
	user = c.As(Str(t, c.OK("POST", "/api/sessions", `{"login":"`+name+`","password":"correct horse battery"}`), "token"))
	user.OK("PUT", "/api/users", `{"paymentMethods":[{"type":"card","issuer":"simulator","currencies":["EUR","USD"],"enabled":true}]}`)
	k := user.OK("POST", "/api/api-keys", `{"name":"backend","mode":"test","scopes":`+EveryScope+`}`)
	return user, c.As(Str(t, k, "secret"))
}

// Link makes a payment link and returns it.
func (c *Client) Link(members string) map[string]any {
	c.T.Helper()
	return c.OK("POST", "/api/payment", `{"currency":"EUR",`+members+`}`)
}

// TokenPath is the path of a link's page.
func TokenPath(t testing.TB, l map[string]any) string {
	t.Helper()
	_, token, ok := strings.Cut(Str(t, l, "url"), "/l/")
	if !ok {
		t.Fatalf("no link's URL: %v", l["url"])
	}
	return "/l/" + token
}

// PayJSON pays a link as a page's script would.
func (c *Client) PayJSON(l map[string]any, attempt, number string) Answer {
	c.T.Helper()
	return c.As(
		"",
	).Do(
		"POST",
		TokenPath(c.T, l)+"/payments",
		`{"attempt":"`+attempt+`","card":{"number":"`+number+`","expMonth":12,"expYear":2034,"cvc":"7391"}}`,
	)
}

// PaymentsOf are the payments of a link, newest first.
func PaymentsOf(key *Client, l map[string]any) []map[string]any {
	key.T.Helper()
	return List(key.T, key.OK("GET", "/api/payments?link="+Str(key.T, l, "id"), ""), "data")
}

// OnePayment is the link's only payment, which has the status.
func OnePayment(key *Client, l map[string]any, status string) string {
	key.T.Helper()
	all := PaymentsOf(key, l)
	if len(all) != 1 || all[0]["status"] != status {
		key.T.Fatalf("want one payment that %s, have %v", status, all)
	}
	return Str(key.T, all[0], "id")
}
