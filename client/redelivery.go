package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// UpdateEndpoint changes an endpoint; nil fields stay unchanged. An empty list of Events is
// refused (events_missing). Enabled enables a disabled endpoint again.
type UpdateEndpoint struct {
	URL     *string   `json:"url,omitempty"`
	Events  *[]string `json:"events,omitempty"`
	Enabled *bool     `json:"enabled,omitempty"`
}

// DeliveryDetail is a delivery with the request that was sent.
type DeliveryDetail struct {
	Delivery
	Request DeliveryRequest `json:"request"`
}

// DeliveryRequest is a request as the receiver got it; Body contains the signed bytes.
type DeliveryRequest struct {
	URL     string           `json:"url"`
	Headers []DeliveryHeader `json:"headers"`
	Body    string           `json:"body"`
}

// DeliveryHeader is one line of a request.
type DeliveryHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Redeliver selects what is sent again: each event whose newest delivery to the endpoint has the
// status (parked, if empty), the type, and a time from From on and before To.
type Redeliver struct {
	Status    string `json:"status,omitempty"`
	EventType string `json:"eventType,omitempty"`
	From      string `json:"from,omitempty"` // an RFC 3339 time, or a date: its whole day in the account's time zone, as From and To alike
	To        string `json:"to,omitempty"`
}

// Redelivery is a bulk redelivery. Succeeded and Failed count first tries.
type Redelivery struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Endpoint  string            `json:"endpoint"`
	Filter    Redeliver         `json:"filter"`
	Status    string            `json:"status"` // running, done, canceled or stopped
	Reason    string            `json:"reason"` // why it was stopped
	Total     int64             `json:"total"`
	Queued    int64             `json:"queued"`
	Pending   int64             `json:"pending"`
	Succeeded int64             `json:"succeeded"`
	Failed    int64             `json:"failed"`
	Mode      Mode              `json:"mode"`
	CreatedAt time.Time         `json:"createdAt"`
	UpdatedAt time.Time         `json:"updatedAt"`
	EndedAt   time.Time         `json:"endedAt"`
	Links     map[string]string `json:"links"`
}

// Update changes an endpoint.
func (a *EndpointsAPI) Update(ctx context.Context, id string, u UpdateEndpoint, options ...CallOption) (Endpoint, error) {
	var e Endpoint
	err := a.c.do(ctx, call{method: http.MethodPut, path: endpointPath(id), body: u, out: &e}, options)
	return e, err
}

// Test sends a test event, also to a disabled endpoint: test.ping, or a sample of an event type.
// It is tried once; read its delivery to see the result.
func (a *EndpointsAPI) Test(ctx context.Context, id, eventType string, options ...CallOption) (Delivery, error) {
	body := map[string]string{}
	if eventType != "" {
		body["type"] = eventType
	}
	return post[Delivery](ctx, a.c, endpointPath(id)+"/test", body, options)
}

// Delivery returns one try, with the request that was sent.
func (a *EndpointsAPI) Delivery(ctx context.Context, id, delivery string, options ...CallOption) (DeliveryDetail, error) {
	return get[DeliveryDetail](ctx, a.c, endpointPath(id)+"/deliveries/"+url.PathEscape(delivery), nil, options)
}

// RedeliverAll starts a bulk redelivery; an endpoint can have one running.
func (a *EndpointsAPI) RedeliverAll(ctx context.Context, id string, r Redeliver, options ...CallOption) (Redelivery, error) {
	return post[Redelivery](ctx, a.c, endpointPath(id)+"/redeliver", r, options)
}

// Redeliveries iterates over the bulk redeliveries of an endpoint, newest first.
func (a *EndpointsAPI) Redeliveries(ctx context.Context, id string, options ...CallOption) iter.Seq2[Redelivery, error] {
	return all[Redelivery](ctx, a.c, endpointPath(id)+"/redeliveries", nil, options)
}

func redeliveryPath(id, redelivery string) string {
	return endpointPath(id) + "/redeliveries/" + url.PathEscape(redelivery)
}

// Redelivery returns a bulk redelivery with its progress.
func (a *EndpointsAPI) Redelivery(ctx context.Context, id, redelivery string, options ...CallOption) (Redelivery, error) {
	return get[Redelivery](ctx, a.c, redeliveryPath(id, redelivery), nil, options)
}

// CancelRedelivery cancels a bulk redelivery; what is already queued is still sent.
func (a *EndpointsAPI) CancelRedelivery(ctx context.Context, id, redelivery string, options ...CallOption) (Redelivery, error) {
	return post[Redelivery](ctx, a.c, redeliveryPath(id, redelivery)+"/cancel", nil, options)
}
