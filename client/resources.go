package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// LinksAPI creates and reads payment links.
type LinksAPI struct{ c *Client }

// LinkFilter filters a list; empty fields do not filter.
type LinkFilter struct {
	Status    LinkStatus
	Realm     string
	Reference string
	Limit     int    // items of a page: 20 by default, 100 at most
	Cursor    string // NextCursor of the previous page
}

func (f LinkFilter) query() url.Values {
	q := url.Values{}
	set(q, "status", string(f.Status))
	set(q, "realm", f.Realm)
	set(q, "reference", f.Reference)
	setInt(q, "limit", int64(f.Limit))
	set(q, "cursor", f.Cursor)
	return q
}

// Create creates a link.
func (a *LinksAPI) Create(ctx context.Context, l CreateLink, options ...CallOption) (Link, error) {
	return post[Link](ctx, a.c, "/api/links", l, options)
}

// Get returns a link.
func (a *LinksAPI) Get(ctx context.Context, id string, options ...CallOption) (Link, error) {
	return get[Link](ctx, a.c, "/api/links/"+url.PathEscape(id), nil, options)
}

// Cancel cancels an open link.
func (a *LinksAPI) Cancel(ctx context.Context, id string, options ...CallOption) (Link, error) {
	return post[Link](ctx, a.c, "/api/links/"+url.PathEscape(id)+"/cancel", nil, options)
}

// QR returns the link's URL as a QR code, an SVG image.
func (a *LinksAPI) QR(ctx context.Context, id string, options ...CallOption) ([]byte, error) {
	var svg []byte
	err := a.c.do(
		ctx,
		call{method: http.MethodGet, path: "/api/links/" + url.PathEscape(id) + "/qr.svg", accept: "image/svg+xml", out: &svg},
		options,
	)
	return svg, err
}

// List returns a page, newest first.
func (a *LinksAPI) List(ctx context.Context, f LinkFilter, options ...CallOption) (Page[Link], error) {
	return get[Page[Link]](ctx, a.c, "/api/links", f.query(), options)
}

// All iterates over the whole list, newest first.
func (a *LinksAPI) All(ctx context.Context, f LinkFilter, options ...CallOption) iter.Seq2[Link, error] {
	return all[Link](ctx, a.c, "/api/links", f.query(), options)
}

// PaymentsAPI reads, captures, voids and refunds payments.
type PaymentsAPI struct{ c *Client }

// PaymentFilter filters a list; empty fields do not filter.
type PaymentFilter struct {
	Status   PaymentStatus
	Realm    string
	Currency string
	Link     string
	From, To time.Time // instants: created at or after From, and before To
	Limit    int
	Cursor   string
}

func (f PaymentFilter) query() url.Values {
	q := period(f.From, f.To, f.Limit, f.Cursor)
	set(q, "status", string(f.Status))
	set(q, "realm", f.Realm)
	set(q, "currency", f.Currency)
	set(q, "link", f.Link)
	return q
}

func paymentPath(id string) string { return "/api/payments/" + url.PathEscape(id) }

// Get returns a payment with its log and refunds.
func (a *PaymentsAPI) Get(ctx context.Context, id string, options ...CallOption) (PaymentDetail, error) {
	return get[PaymentDetail](ctx, a.c, paymentPath(id), nil, options)
}

// List returns a page, newest first.
func (a *PaymentsAPI) List(ctx context.Context, f PaymentFilter, options ...CallOption) (Page[Payment], error) {
	return get[Page[Payment]](ctx, a.c, "/api/payments", f.query(), options)
}

// All iterates over the whole list, newest first.
func (a *PaymentsAPI) All(ctx context.Context, f PaymentFilter, options ...CallOption) iter.Seq2[Payment, error] {
	return all[Payment](ctx, a.c, "/api/payments", f.query(), options)
}

// CSV returns the history as a table, held in memory: filter by time.
func (a *PaymentsAPI) CSV(ctx context.Context, f PaymentFilter, options ...CallOption) ([]byte, error) {
	f.Limit, f.Cursor = 0, ""
	var table []byte
	err := a.c.do(ctx, call{method: http.MethodGet, path: "/api/payments.csv", query: f.query(), accept: "text/csv", out: &table}, options)
	return table, err
}

// All stands for the whole sum where a call takes an amount: everything that is left to refund,
// or everything that is authorized.
const All = "all"

type amountBody struct {
	Amount           string `json:"amount,omitempty"`
	RefundableAmount string `json:"refundableAmount,omitempty"`
	AllowDisputed    bool   `json:"allowDisputed,omitempty"`
}

// bodyOf returns the body with an amount, or All. An empty amount is an error: an unset variable
// must not move the whole sum.
func bodyOf(amount string) (*amountBody, error) {
	switch amount {
	case "":
		return nil, errors.New("paylink: amount is empty; pass a decimal such as \"12.50\", or client.All for the whole sum")
	case All:
		return &amountBody{}, nil
	}
	return &amountBody{Amount: amount}, nil
}

// RefundableAmount makes a refund conditional on the payment's refundableAmount. If it differs,
// the error's code is refundable_amount_changed.
func RefundableAmount(amount string) CallOption {
	return func(c *call) {
		if b, ok := c.body.(*amountBody); ok {
			b.RefundableAmount = amount
		}
	}
}

// AllowDisputed allows a refund of money that a dispute claims, although the issuer may return it
// too. Without it, such a refund fails with the code payment_disputed.
func AllowDisputed() CallOption {
	return func(c *call) {
		if b, ok := c.body.(*amountBody); ok {
			b.AllowDisputed = true
		}
	}
}

// Refund refunds an amount, or All that is left. An empty amount is an error.
func (a *PaymentsAPI) Refund(ctx context.Context, id, amount string, options ...CallOption) (Refund, error) {
	body, err := bodyOf(amount)
	if err != nil {
		return Refund{}, err
	}
	return post[Refund](ctx, a.c, paymentPath(id)+"/refunds", body, options)
}

// Capture captures an amount of what is authorized, or All of it. It also accepts a late success.
// An empty amount is an error.
func (a *PaymentsAPI) Capture(ctx context.Context, id, amount string, options ...CallOption) (Payment, error) {
	body, err := bodyOf(amount)
	if err != nil {
		return Payment{}, err
	}
	return post[Payment](ctx, a.c, paymentPath(id)+"/capture", body, options)
}

// Void releases an authorization.
func (a *PaymentsAPI) Void(ctx context.Context, id string, options ...CallOption) (Payment, error) {
	return post[Payment](ctx, a.c, paymentPath(id)+"/void", nil, options)
}

// Balance returns what is available and pending, by currency.
func (a *PaymentsAPI) Balance(ctx context.Context, options ...CallOption) (Balance, error) {
	return get[Balance](ctx, a.c, "/api/balance", nil, options)
}

// Issuers returns the connectors with what they accept.
func (a *PaymentsAPI) Issuers(ctx context.Context, options ...CallOption) ([]Issuer, error) {
	page, err := get[Page[Issuer]](ctx, a.c, "/api/issuers", nil, options)
	return page.Data, err
}

// EndpointsAPI manages webhook endpoints.
type EndpointsAPI struct{ c *Client }

const endpointsPath = "/api/webhook-endpoints"

func endpointPath(id string) string { return endpointsPath + "/" + url.PathEscape(id) }

// Create creates an endpoint; its secret is returned only here.
func (a *EndpointsAPI) Create(ctx context.Context, e CreateEndpoint, options ...CallOption) (EndpointWithSecret, error) {
	return post[EndpointWithSecret](ctx, a.c, endpointsPath, e, options)
}

// Get returns an endpoint.
func (a *EndpointsAPI) Get(ctx context.Context, id string, options ...CallOption) (Endpoint, error) {
	return get[Endpoint](ctx, a.c, endpointPath(id), nil, options)
}

// All iterates over the endpoints, newest first.
func (a *EndpointsAPI) All(ctx context.Context, options ...CallOption) iter.Seq2[Endpoint, error] {
	return all[Endpoint](ctx, a.c, endpointsPath, nil, options)
}

// Rotate rolls the endpoint's secret. For 24 hours both sign: verify with both.
func (a *EndpointsAPI) Rotate(ctx context.Context, id string, options ...CallOption) (EndpointWithSecret, error) {
	return post[EndpointWithSecret](ctx, a.c, endpointPath(id)+"/rotate", nil, options)
}

// Delete removes an endpoint.
func (a *EndpointsAPI) Delete(ctx context.Context, id string, options ...CallOption) error {
	return remove(ctx, a.c, endpointPath(id), options)
}

// Deliveries iterates over the tries to reach an endpoint, newest first.
func (a *EndpointsAPI) Deliveries(ctx context.Context, id string, options ...CallOption) iter.Seq2[Delivery, error] {
	return all[Delivery](ctx, a.c, endpointPath(id)+"/deliveries", nil, options)
}

// Redeliver sends a delivery's event again.
func (a *EndpointsAPI) Redeliver(ctx context.Context, id, delivery string, options ...CallOption) (Delivery, error) {
	return post[Delivery](ctx, a.c, endpointPath(id)+"/deliveries/"+url.PathEscape(delivery)+"/redeliver", nil, options)
}

// KeysAPI manages API keys, for a signed-in user.
type KeysAPI struct{ c *Client }

const keysPath = "/api/api-keys"

// Create creates a key; its secret is returned only here.
func (a *KeysAPI) Create(ctx context.Context, k CreateKey, options ...CallOption) (KeyWithSecret, error) {
	return post[KeyWithSecret](ctx, a.c, keysPath, k, options)
}

// Get returns a key.
func (a *KeysAPI) Get(ctx context.Context, id string, options ...CallOption) (Key, error) {
	return get[Key](ctx, a.c, keysPath+"/"+url.PathEscape(id), nil, options)
}

// All iterates over the keys, newest first, including revoked ones.
func (a *KeysAPI) All(ctx context.Context, options ...CallOption) iter.Seq2[Key, error] {
	return all[Key](ctx, a.c, keysPath, nil, options)
}

// Rotate rolls a key's secret; the old one stays valid for the grace period.
func (a *KeysAPI) Rotate(ctx context.Context, id string, grace time.Duration, options ...CallOption) (KeyWithSecret, error) {
	body := struct {
		GraceSeconds int64 `json:"graceSeconds"`
	}{int64(grace / time.Second)}
	return post[KeyWithSecret](ctx, a.c, keysPath+"/"+url.PathEscape(id)+"/rotate", body, options)
}

// Revoke revokes a key at once.
func (a *KeysAPI) Revoke(ctx context.Context, id string, options ...CallOption) error {
	return remove(ctx, a.c, keysPath+"/"+url.PathEscape(id), options)
}

// UsersAPI signs users up and in.
type UsersAPI struct{ c *Client }

// SignUp creates a user with an account.
func (a *UsersAPI) SignUp(ctx context.Context, u CreateUser, options ...CallOption) (User, error) {
	return post[User](ctx, a.c, "/api/users", u, options)
}

// SignIn creates a session; pass its token to WithSession.
func (a *UsersAPI) SignIn(ctx context.Context, s SignIn, options ...CallOption) (Session, error) {
	return post[Session](ctx, a.c, "/api/sessions", s, options)
}

// SignOut ends the session that the client uses.
func (a *UsersAPI) SignOut(ctx context.Context, options ...CallOption) error {
	return remove(ctx, a.c, "/api/sessions/current", options)
}

// Me returns the signed-in user.
func (a *UsersAPI) Me(ctx context.Context, options ...CallOption) (User, error) {
	return get[User](ctx, a.c, "/api/users/me", nil, options)
}

// SetTimeZone sets the time zone in which the account's days begin, by its IANA name such as
// Europe/Berlin.
func (a *UsersAPI) SetTimeZone(ctx context.Context, zone string, options ...CallOption) (User, error) {
	var out User
	body := struct {
		TimeZone string `json:"timeZone"`
	}{zone}
	err := a.c.do(ctx, call{method: http.MethodPut, path: "/api/users", body: body, out: &out}, options)
	return out, err
}

// SetPaymentMethods replaces the payment methods of the account.
func (a *UsersAPI) SetPaymentMethods(ctx context.Context, methods []SetPaymentMethod, options ...CallOption) (User, error) {
	var out User
	body := struct {
		PaymentMethods []SetPaymentMethod `json:"paymentMethods"`
	}{methods}
	err := a.c.do(ctx, call{method: http.MethodPut, path: "/api/users", body: body, out: &out}, options)
	return out, err
}
