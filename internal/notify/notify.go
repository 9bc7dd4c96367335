// Package notify sends webhooks: it keeps endpoints, decides which event goes to which
// endpoint, and signs what is sent (Standard Webhooks). A Queue does the sending.
//
// Order of calls: the stream passes its events to Handle, which enqueues one job for each
// subscribed endpoint and returns nil only when the queue has them durably; only then does the
// stream's checkpoint move. A crash in between repeats the batch, and the queue drops what it
// already has, because a job is unique by event and endpoint. A receiver may still get an event
// twice (after a try whose answer was lost), and recognizes it by the header webhook-id.
package notify

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/stream"
)

// Limits.
const (
	MaxEndpoints     = 16        // per account and mode
	MaxURLCharacters = 2048      // of an endpoint
	MaxPayloadBytes  = 96 * 1024 // of one webhook's body: more than any valid event needs, and less than the 100 KB that many servers accept
	MaxAnswerBytes   = 1024      // of a receiver's answer that is kept
	MaxPage          = 100       // deliveries in one list
	SecretBytes      = 32
	RotationOverlap  = 24 * time.Hour     // both secrets sign for so long
	FailingLimit     = 3 * 24 * time.Hour // of tries without any success; then the endpoint is disabled
	cacheLife        = time.Second
)

// SecretPrefix starts every endpoint secret; the rest is standard base64.
const SecretPrefix = "whsec_"

// All subscribes an endpoint to every event.
const All = "*"

// EndpointDisabled is the type of the one event that this package emits.
const EndpointDisabled = "endpoint.disabled"

// The reasons why an endpoint is disabled.
const (
	ReasonGone    = "gone"    // it answered 410
	ReasonFailing = "failing" // every try of FailingLimit failed
	ReasonManual  = "manual"  // its owner asked for it
)

// EventTypes returns the types that an endpoint may subscribe to.
func EventTypes() []string {
	return []string{
		"link.created", "link.paid", "link.expired", "link.canceled",
		"payment.created", "payment.requires_action", "payment.processing", "payment.unknown",
		"payment.authorized", "payment.succeeded", "payment.declined", "payment.canceled",
		"payment.late", "payment.review",
		"refund.created", "refund.succeeded", "refund.failed",
		"fraud.flagged", "fraud.reviewed",
		"dispute.created", "dispute.updated", "dispute.closed",
		EndpointDisabled,
	}
}

// Endpoint is a URL that receives an account's events. Secrets are kept sealed, and opened
// only to sign.
type Endpoint struct {
	ID                   string
	Account              string
	Mode                 string
	URL                  string
	Events               []string // subscribed types; {"*"} is all. Never empty: earlier versions stored all as an empty list, and a store reads it as {"*"}
	SealedSecret         []byte
	PreviousSealedSecret []byte    // signs too, until PreviousUntil
	PreviousUntil        time.Time // zero: there is no previous secret
	DisabledAt           time.Time // zero: enabled
	DisabledReason       string
	FailingSince         time.Time // the first failed try since the last success; zero: none. Kept by the store
	EventSeq             int64     `json:"Told"` // number of events about it; the tag is the name that earlier versions use between services
	CreatedAt            time.Time
	Revision             int64 // kept by the store; 1 when created
}

// Enabled reports whether events are sent there.
func (e Endpoint) Enabled() bool { return e.DisabledAt.IsZero() }

// Failing reports whether every try of the last days failed, so that the endpoint must be
// disabled.
func (e Endpoint) Failing(now time.Time) bool {
	return !e.FailingSince.IsZero() && now.Sub(e.FailingSince) >= FailingLimit
}

// Subscribed reports whether the endpoint receives events of this type.
func (e Endpoint) Subscribed(eventType string) bool {
	for _, t := range e.Events {
		if t == eventType || t == All {
			return true
		}
	}
	return false
}

// Status is the state of a delivery.
type Status string

// The statuses. A failed delivery is tried again, unless it was a test. A parked one is not,
// and waits for a person.
const (
	Pending    Status = "pending"
	Succeeded  Status = "succeeded"
	Failed     Status = "failed"
	DeadLetter Status = "parked"
)

// Delivery is one try to send one event to one endpoint.
type Delivery struct {
	ID         string
	Account    string
	Mode       string
	Endpoint   string
	Event      string
	EventType  string
	Attempt    int // from 1; 0 when nothing was tried
	Status     Status
	HTTPStatus int    // 0: there was no answer
	Answer     string // the first MaxAnswerBytes of it
	Error      string // "code: sentence"; empty on success
	DurationMs int64
	At         time.Time
	NextAt     time.Time // of the next try; zero: none is planned
	SealedBody []byte    // the sent body, kept so that it can be sent again
	Request    Request   // zero: nothing was sent
	Test       bool      // of a test event, which is in no feed
	Redelivery string    // the bulk redelivery whose first try this is
}

// Request is how a body was sent.
type Request struct {
	URL     string   `json:"url,omitempty"`
	Headers []Header `json:"headers,omitempty"`
}

// Header is one line of a request.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Sent reports whether there was a request: an attempt to reach the receiver, even one without
// a connection.
func (r Request) Sent() bool { return r.URL != "" }

// Shown is a delivery with its body.
type Shown struct {
	Delivery
	Body []byte // nil: it had none
}

// DeliveryQuery selects deliveries. Zero members do not filter.
type DeliveryQuery struct {
	Status    Status
	EventType string
	From, To  time.Time // At is in [From, To)
	Before    string    // strictly older than this id
	Limit     int
}

// Owner is the account and mode of endpoints: test and live never meet.
type Owner struct{ Account, Mode string }

// ErrConflict is returned by UpdateEndpoint if the revision has changed.
var ErrConflict = errors.New("the endpoint was changed meanwhile")

// TooManyEndpoints returns the fault of a store past the limit.
func TooManyEndpoints() *fault.Error {
	return fault.New(
		fault.KindConflict,
		"too_many_endpoints",
		"An account can have at most %d webhook endpoints per mode; delete one first.",
		MaxEndpoints,
	)
}

// EndpointExists returns the fault of a store if another endpoint has the same URL and would
// receive some of the same events.
func EndpointExists(other Endpoint) *fault.Error {
	f := fault.New(
		fault.KindConflict,
		"endpoint_exists",
		"Endpoint %s already has this URL and receives some of these events, so they would arrive twice. Change that endpoint or choose other events.",
		other.ID,
	)
	f.Param = "url"
	return f
}

// Doubles reports whether the other endpoint has the same URL and receives some of the same
// events.
func (e Endpoint) Doubles(o Endpoint) bool {
	return e.ID != o.ID && e.URL == o.URL && (slices.ContainsFunc(e.Events, o.Subscribed) || slices.ContainsFunc(o.Events, e.Subscribed))
}

// Store keeps endpoints and the record of deliveries. Each call is atomic. It fails with
// idempotency.ErrRaced if another request recorded the same key first.
type Store interface {
	// CreateEndpoint stores an endpoint. Repeating it with the same id succeeds. It fails with
	// too_many_endpoints if the owner has MaxEndpoints, and with endpoint_exists if it doubles
	// another of the owner's.
	CreateEndpoint(context.Context, Endpoint, *idempotency.Record) error
	// Endpoint returns an endpoint by id, or fault.NotFound if the account has none.
	Endpoint(ctx context.Context, account, id string) (Endpoint, error)
	// Endpoints returns an owner's endpoints, newest first.
	Endpoints(ctx context.Context, account, mode string) ([]Endpoint, error)
	// Owners returns the owners with at least one endpoint.
	Owners(ctx context.Context) ([]Owner, error)
	// UpdateEndpoint replaces the endpoint whose revision is e.Revision, raises the revision,
	// and adds the events in the same commit. It fails with ErrConflict if the revision differs
	// or the endpoint is gone, and with endpoint_exists if it doubles another one that it did
	// not double before.
	UpdateEndpoint(ctx context.Context, e Endpoint, events []stream.Event, r *idempotency.Record) error
	// DeleteEndpoint removes an endpoint, or fails with fault.NotFound if the account has none.
	// Its deliveries stay.
	DeleteEndpoint(ctx context.Context, account, id string) error
	// RecordDelivery inserts a delivery by id, or replaces the stored one. A pending one never
	// replaces another, because its try may be over already. A try that was sent, and is not a
	// test, sets or clears the endpoint's FailingSince in the same commit, and then raises its
	// revision.
	RecordDelivery(context.Context, Delivery, *idempotency.Record) error
	// Deliveries returns deliveries to an endpoint, newest id first, without their bodies.
	Deliveries(ctx context.Context, account, endpoint string, q DeliveryQuery) ([]Delivery, error)
	// Delivery returns a delivery by id, with its body, or fault.NotFound if the account has
	// none.
	Delivery(ctx context.Context, account, id string) (Delivery, error)
	// PruneDeliveries removes at most limit deliveries from before the time, oldest first, and
	// returns how many.
	PruneDeliveries(ctx context.Context, before time.Time, limit int) (int, error)
	RedeliveryStore
}

// Job asks the queue to send one event to one endpoint.
type Job struct {
	Account    string
	Mode       string
	Endpoint   string
	Event      string
	EventType  string
	Delivery   string // set: a redelivery or a test, and the id of its first try
	Test       bool   // one try, which does not affect the endpoint's health
	Redelivery string // the bulk redelivery that it belongs to
	SealedBody []byte
}

// Queue keeps jobs durably and works on them, with retries.
type Queue interface {
	// Enqueue returns nil when every job is durable. It drops a job with the event, endpoint
	// and delivery of one that it already has.
	Enqueue(context.Context, []Job) error
}

// Service manages endpoints and deliveries. The account and mode are those of the caller's
// credentials; what belongs to another is fault.NotFound.
type Service interface {
	// Create makes an endpoint. The answer holds its secret, which is shown only once. The
	// ticket's Render gets the Revealed.
	Create(context.Context, Draft, *idempotency.Ticket) (Revealed, error)
	Get(ctx context.Context, account, mode, id string) (Endpoint, error)
	// List returns all endpoints, newest first; there are at most MaxEndpoints.
	List(ctx context.Context, account, mode string) ([]Endpoint, error)
	// Update changes what the change names and returns the endpoint after it. Repeating it
	// changes nothing. Enabling an endpoint clears its failures.
	Update(context.Context, Change) (Endpoint, error)
	Delete(ctx context.Context, account, mode, id string) error
	// Rotate replaces the endpoint's secret; the old one signs too for RotationOverlap. The
	// ticket's Render gets the Revealed.
	Rotate(ctx context.Context, account, mode, id string, t *idempotency.Ticket) (Revealed, error)
	// Deliveries returns the tries, newest first.
	Deliveries(ctx context.Context, account, mode, endpoint string, q DeliveryQuery) ([]Delivery, error)
	// Delivery returns one try, with its body.
	Delivery(ctx context.Context, account, mode, endpoint, id string) (Shown, error)
	// Redeliver sends a delivery's event once more and returns the pending delivery. The
	// ticket's Render gets the Delivery.
	Redeliver(ctx context.Context, account, mode, endpoint, id string, t *idempotency.Ticket) (Delivery, error)
	// Test sends an event that is in no feed, even to a disabled endpoint, and returns the
	// pending delivery; there is one try. The type is TestPing, if empty, or one of EventTypes,
	// of which it sends a sample. The ticket's Render gets the Delivery.
	Test(ctx context.Context, account, mode, endpoint, eventType string, t *idempotency.Ticket) (Delivery, error)
	// RedeliverAll begins a bulk redelivery. The ticket's Render gets the Redelivery.
	RedeliverAll(ctx context.Context, account, mode, endpoint string, f Filter, t *idempotency.Ticket) (Redelivery, error)
	Redelivery(ctx context.Context, account, mode, endpoint, id string) (Redelivery, error)
	// Redeliveries returns an endpoint's bulk redeliveries, newest first, strictly older than
	// before.
	Redeliveries(ctx context.Context, account, mode, endpoint, before string, limit int) ([]Redelivery, error)
	// CancelRedelivery ends a bulk redelivery; what is queued by then is sent. One that has
	// ended stays as it is.
	CancelRedelivery(ctx context.Context, account, mode, endpoint, id string) (Redelivery, error)
	// MoveClock reports how far the account's test clock is ahead of real time: pending retries
	// there, and in a separate store of payments, wait that much less. Reports may repeat or be
	// outdated.
	MoveClock(ctx context.Context, account string, ahead time.Duration) error
}

// Clocks forwards moves of test clocks.
type Clocks interface {
	MoveClock(ctx context.Context, account string, ahead time.Duration) error
}

// Change is a change of an endpoint; nil fields stay. An empty list of events is refused.
type Change struct {
	Account, Mode, ID string
	URL               *string
	Events            *[]string
	Enabled           *bool
}

// Draft is a new endpoint.
type Draft struct {
	Account, Mode string
	URL           string
	Events        []string // nil: every type; an empty list is refused
}

// Revealed is an endpoint with the secret that is shown once.
type Revealed struct {
	Endpoint Endpoint
	Secret   string
}

// EndpointObject is an endpoint as callers and its own event show it: without any secret.
type EndpointObject struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	URL            string            `json:"url"`
	Events         []string          `json:"events"`
	Status         string            `json:"status"`
	DisabledAt     string            `json:"disabledAt,omitempty"`
	DisabledReason string            `json:"disabledReason,omitempty"`
	FailingSince   string            `json:"failingSince,omitempty"`
	Mode           string            `json:"mode"`
	CreatedAt      string            `json:"createdAt"`
	Links          map[string]string `json:"links"`
}

// Object returns the endpoint as callers see it.
func Object(e Endpoint) EndpointObject {
	self := "/api/webhook-endpoints/" + e.ID
	o := EndpointObject{
		ID: e.ID, Object: "webhook_endpoint", URL: e.URL, Events: e.Events, Status: "enabled", Mode: e.Mode,
		CreatedAt: stamp(e.CreatedAt), Links: map[string]string{"self": self, "deliveries": self + "/deliveries"},
	}
	if !e.FailingSince.IsZero() {
		o.FailingSince = stamp(e.FailingSince)
	}
	if !e.Enabled() {
		o.Status, o.DisabledAt, o.DisabledReason = "disabled", stamp(e.DisabledAt), e.DisabledReason
	}
	return o
}

// stamp formats a time as the API does: RFC 3339, UTC, milliseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
