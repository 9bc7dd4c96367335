package api

import (
	"net/http"
	"slices"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
)

// authKind says who may make a call.
type authKind uint8

const (
	authNone authKind = iota
	authUser          // a signed-in user
	authKey           // a merchant's backend
	authBoth          // either
)

// bodyKind says whether a call takes a body.
type bodyKind uint8

const (
	bodyNone bodyKind = iota
	bodyRequired
	bodyOptional // no body counts as {}
)

// Route is one line of the table from which the router is built. A test compares the
// table with the OpenAPI document.
type Route struct {
	Method, Path string
	Auth         authKind
	Scope        string   // the scope that an API key needs; "": any key
	Query        []string // known parameters, besides mode
	body         bodyKind
	in           any               // the struct for the body of a POST; nil: no body
	ids          map[string]string // path parameter to the prefix of its id
	handle       func(*API, *request) (any, error)
	// shape names the response that the effect's commit contains. If it is set, the
	// service takes an idempotency ticket.
	shape string
	// records picks the service whose store has the idempotency records.
	records func(Records) idempotency.Store
	// stream writes the response itself instead of handle. If both are set, stream
	// serves only requests for an event stream.
	stream func(*API, *request)
}

// The query parameters that several lists share.
var (
	pageQuery    = []string{"limit", "cursor"}
	paymentQuery = []string{"status", "realm", "currency", "link", "from", "to"}
)

// with returns the names of both lists in a new slice, so that shared lists stay as they
// are.
func with(a []string, b ...string) []string { return append(append([]string(nil), a...), b...) }

// one returns the ids of a path with a single placeholder, {id}.
func one(prefix string) map[string]string { return map[string]string{"id": prefix} }

// Routes returns every call that this package answers.
func Routes() []Route { return routes }

// routes is written once and never changed.
var routes = slices.Concat(
	in(userRoutes(), func(r Records) idempotency.Store { return r.Users }),
	in(activityRoutes(), func(r Records) idempotency.Store { return r.Users }),
	in(linkRoutes(), func(r Records) idempotency.Store { return r.Links }),
	in(formRoutes(), func(r Records) idempotency.Store { return r.Links }),
	in(paymentRoutes(), func(r Records) idempotency.Store { return r.Transactions }),
	in(deskRoutes(), func(r Records) idempotency.Store { return r.Transactions }),
	in(fraudRuleRoutes(), func(r Records) idempotency.Store { return r.Fraud }),
	in(webhookRoutes(), func(r Records) idempotency.Store { return r.Webhooks }),
	publicRoutes())

// in sets the service that stores the idempotency records of the routes.
func in(routes []Route, records func(Records) idempotency.Store) []Route {
	for i := range routes {
		routes[i].records = records
	}
	return routes
}

// userRoutes returns the calls for users, sessions, API keys, issuers and the test clock.
func userRoutes() []Route {
	return []Route{
		{Method: "POST", Path: "/api/users", body: bodyRequired, in: signUpBody{}, handle: (*API).signUp, shape: shapeUser},
		{Method: "PUT", Path: "/api/users", Auth: authUser, body: bodyRequired, handle: (*API).setMethods},
		{Method: "GET", Path: "/api/users/me", Auth: authUser, handle: (*API).me},
		{Method: "POST", Path: "/api/sessions", body: bodyRequired, in: signInBody{}, handle: (*API).signIn, shape: shapeSession},
		{Method: "DELETE", Path: "/api/sessions/current", Auth: authUser, handle: (*API).signOut},
		{
			Method: "POST",
			Path:   "/api/api-keys",
			Auth:   authUser,
			body:   bodyRequired,
			in:     createKeyBody{},
			handle: (*API).createKey,
			shape:  shapeKey,
		},
		{Method: "GET", Path: "/api/api-keys", Auth: authUser, Query: pageQuery, handle: (*API).listKeys},
		{Method: "GET", Path: "/api/api-keys/{id}", Auth: authUser, ids: one(id.Key), handle: (*API).getKey},
		{Method: "DELETE", Path: "/api/api-keys/{id}", Auth: authUser, ids: one(id.Key), handle: (*API).revokeKey},
		{
			Method: "POST",
			Path:   "/api/api-keys/{id}/rotate",
			Auth:   authUser,
			body:   bodyOptional,
			in:     rotateBody{},
			ids:    one(id.Key),
			handle: (*API).rotateKey,
			shape:  shapeKey,
		},
		{Method: "GET", Path: "/api/issuers", Auth: authBoth, handle: (*API).listIssuers},
		{Method: "GET", Path: "/api/test-clock", Auth: authBoth, Scope: "payments:read", handle: (*API).getClock},
		{
			Method: "POST",
			Path:   "/api/test-clock",
			Auth:   authBoth,
			Scope:  "payments:write",
			body:   bodyRequired,
			in:     moveClockBody{},
			handle: (*API).moveClock,
			shape:  shapeClock,
		},
	}
}

// linkRoutes returns the calls for links. Creating one is for a merchant's backend only, so
// it takes no session.
func linkRoutes() []Route {
	read, write := "links:read", "links:write"
	return []Route{
		{
			Method: "POST",
			Path:   "/api/payment",
			Auth:   authKey,
			Scope:  write,
			body:   bodyRequired,
			in:     createLinkBody{},
			handle: (*API).createLink,
			shape:  shapeLink,
		},
		{
			Method: "POST",
			Path:   "/api/links",
			Auth:   authKey,
			Scope:  write,
			body:   bodyRequired,
			in:     createLinkBody{},
			handle: (*API).createLink,
			shape:  shapeLink,
		},
		{
			Method: "GET",
			Path:   "/api/links",
			Auth:   authBoth,
			Scope:  read,
			Query:  with(pageQuery, "status", "realm", "reference"),
			handle: (*API).listLinks,
		},
		{Method: "GET", Path: "/api/links/{id}", Auth: authBoth, Scope: read, ids: one(id.Link), handle: (*API).getLink},
		{
			Method: "POST",
			Path:   "/api/links/{id}/cancel",
			Auth:   authBoth,
			Scope:  write,
			ids:    one(id.Link),
			handle: (*API).cancelLink,
			shape:  shapeLink,
		},
		{Method: "GET", Path: "/api/links/{id}/qr.svg", Auth: authBoth, Scope: read, ids: one(id.Link), stream: (*API).linkQR},
	}
}

// paymentRoutes returns the calls for payments and the balance.
func paymentRoutes() []Route {
	read, write := "payments:read", "payments:write"
	return []Route{
		{Method: "GET", Path: "/api/payments", Auth: authBoth, Scope: read, Query: with(pageQuery, paymentQuery...), handle: (*API).listPayments},
		{Method: "GET", Path: "/api/payments.csv", Auth: authBoth, Scope: read, Query: paymentQuery, stream: (*API).exportPayments},
		{Method: "GET", Path: "/api/payments/{id}", Auth: authBoth, Scope: read, ids: one(id.Payment), handle: (*API).getPayment},
		{
			Method: "POST",
			Path:   "/api/payments/{id}/refunds",
			Auth:   authBoth,
			Scope:  write,
			body:   bodyOptional,
			in:     refundBody{},
			ids:    one(id.Payment),
			handle: (*API).refund,
			shape:  shapeRefund,
		},
		{
			Method: "POST",
			Path:   "/api/payments/{id}/capture",
			Auth:   authBoth,
			Scope:  write,
			body:   bodyOptional,
			in:     amountBody{},
			ids:    one(id.Payment),
			handle: (*API).capture,
			shape:  shapePayment,
		},
		{
			Method: "POST",
			Path:   "/api/payments/{id}/void",
			Auth:   authBoth,
			Scope:  write,
			ids:    one(id.Payment),
			handle: (*API).void,
			shape:  shapePayment,
		},
		{Method: "GET", Path: "/api/balance", Auth: authBoth, Scope: "balance:read", handle: (*API).balance},
	}
}

// webhookRoutes returns the calls for endpoints, deliveries, redeliveries and events.
func webhookRoutes() []Route {
	read, write := "webhooks:read", "webhooks:write"
	const base = "/api/webhook-endpoints"
	return []Route{
		{
			Method: "POST",
			Path:   base,
			Auth:   authBoth,
			Scope:  write,
			body:   bodyRequired,
			in:     createEndpointBody{},
			handle: (*API).createEndpoint,
			shape:  shapeEndpoint,
		},
		{Method: "GET", Path: base, Auth: authBoth, Scope: read, Query: pageQuery, handle: (*API).listEndpoints},
		{Method: "GET", Path: base + "/{id}", Auth: authBoth, Scope: read, ids: one(id.Endpoint), handle: (*API).getEndpoint},
		{
			Method: "PUT",
			Path:   base + "/{id}",
			Auth:   authBoth,
			Scope:  write,
			body:   bodyRequired,
			ids:    one(id.Endpoint),
			handle: (*API).updateEndpoint,
		},
		{Method: "DELETE", Path: base + "/{id}", Auth: authBoth, Scope: write, ids: one(id.Endpoint), handle: (*API).deleteEndpoint},
		{
			Method: "POST",
			Path:   base + "/{id}/rotate",
			Auth:   authBoth,
			Scope:  write,
			ids:    one(id.Endpoint),
			handle: (*API).rotateEndpoint,
			shape:  shapeEndpoint,
		},
		{
			Method: "POST",
			Path:   base + "/{id}/test",
			Auth:   authBoth,
			Scope:  write,
			body:   bodyOptional,
			in:     testBody{},
			ids:    one(id.Endpoint),
			handle: (*API).testEndpoint,
			shape:  shapeDelivery,
		},
		{Method: "GET", Path: base + "/{id}/deliveries", Auth: authBoth, Scope: read, Query: with(pageQuery, "status", "eventType", "from", "to"),
			ids: one(id.Endpoint), handle: (*API).listDeliveries},
		{Method: "GET", Path: base + "/{id}/deliveries/{delivery}", Auth: authBoth, Scope: read,
			ids: map[string]string{"id": id.Endpoint, "delivery": id.Delivery}, handle: (*API).getDelivery},
		{Method: "POST", Path: base + "/{id}/deliveries/{delivery}/redeliver", Auth: authBoth, Scope: write,
			ids: map[string]string{"id": id.Endpoint, "delivery": id.Delivery}, handle: (*API).redeliver, shape: shapeDelivery},
		{
			Method: "POST",
			Path:   base + "/{id}/redeliver",
			Auth:   authBoth,
			Scope:  write,
			body:   bodyOptional,
			in:     redeliverBody{},
			ids:    one(id.Endpoint),
			handle: (*API).redeliverAll,
			shape:  shapeRedelivery,
		},
		{
			Method: "GET",
			Path:   base + "/{id}/redeliveries",
			Auth:   authBoth,
			Scope:  read,
			Query:  pageQuery,
			ids:    one(id.Endpoint),
			handle: (*API).listRedeliveries,
		},
		{Method: "GET", Path: base + "/{id}/redeliveries/{redelivery}", Auth: authBoth, Scope: read,
			ids: map[string]string{"id": id.Endpoint, "redelivery": id.Redelivery}, handle: (*API).getRedelivery},
		{Method: "POST", Path: base + "/{id}/redeliveries/{redelivery}/cancel", Auth: authBoth, Scope: write,
			ids: map[string]string{"id": id.Endpoint, "redelivery": id.Redelivery}, handle: (*API).cancelRedelivery},
		{Method: "GET", Path: "/api/events", Auth: authKey, Scope: "events:read", Query: with(pageQuery, "afterSeq"),
			handle: (*API).listEvents, stream: (*API).followEvents},
	}
}

// publicRoutes returns the calls that need no credentials and change nothing.
func publicRoutes() []Route {
	return []Route{
		{Method: "GET", Path: "/.well-known/jwks.json", stream: (*API).keySet},
		{Method: "GET", Path: "/openapi.yaml", stream: (*API).document},
	}
}

// nouns maps the prefix of an id to the name of the object.
var nouns = map[string]string{
	id.Key: "API key", id.Link: "payment link", id.Payment: "payment", id.Dispute: "dispute",
	id.Form: "form", id.Endpoint: "webhook endpoint", id.Delivery: "delivery", id.Redelivery: "redelivery",
	id.FraudRule: "rule", id.FraudEntry: "list entry",
}

// pathID returns not found unless the path's parameter is an id with the prefix.
func pathID(r *http.Request, name, prefix string) error {
	if id.Valid(prefix, r.PathValue(name)) {
		return nil
	}
	return fault.NotFound(nouns[prefix])
}
