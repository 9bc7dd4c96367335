package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// UpdateEndpoint changes an endpoint; what is nil stays. An empty list of Events is
// refused (events_missing). Enabled turns on again what was disabled.
type UpdateEndpoint struct {
	URL     *string   `json:"url,omitempty"`
	Events  *[]string `json:"events,omitempty"`
	Enabled *bool     `json:"enabled,omitempty"`
}

// DeliveryDetail is a delivery with what was sent.
type DeliveryDetail struct {
	Delivery
	Request DeliveryRequest `json:"request"`
}

// DeliveryRequest is a request as the receiver got it; Body are the very bytes that
// are signed.
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

// Redeliver chooses what is sent again: each event whose newest delivery to the
// endpoint has the status (parked, when empty), the type, and a time from From on
// and before To.
type Redeliver struct {
	Status    string `json:"status,omitempty"`
	EventType string `json:"eventType,omitempty"`
	From      string `json:"from,omitempty"` // a time by RFC 3339, or a date: its whole day in the account's time zone, as From and To alike
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

// Test sends a test event, also to a disabled endpoint: test.ping, or a sample of a
// type of event. It is tried once; read its delivery to see what came of it.
func (a *EndpointsAPI) Test(ctx context.Context, id, eventType string, options ...CallOption) (Delivery, error) {
	body := map[string]string{}
	if eventType != "" {
		body["type"] = eventType
	}
	return post[Delivery](ctx, a.c, endpointPath(id)+"/test", body, options)
}

// Delivery reads one try, with what was sent.
func (a *EndpointsAPI) Delivery(ctx context.Context, id, delivery string, options ...CallOption) (DeliveryDetail, error) {
	return get[DeliveryDetail](ctx, a.c, endpointPath(id)+"/deliveries/"+url.PathEscape(delivery), nil, options)
}

// RedeliverAll begins a bulk redelivery; an endpoint has one that runs.
func (a *EndpointsAPI) RedeliverAll(ctx context.Context, id string, r Redeliver, options ...CallOption) (Redelivery, error) {
	return post[Redelivery](ctx, a.c, endpointPath(id)+"/redeliver", r, options)
}

// Redeliveries walks the bulk redeliveries of an endpoint, newest first.
func (a *EndpointsAPI) Redeliveries(ctx context.Context, id string, options ...CallOption) iter.Seq2[Redelivery, error] {
	return all[Redelivery](ctx, a.c, endpointPath(id)+"/redeliveries", nil, options)
}

func redeliveryPath(id, redelivery string) string {
	return endpointPath(id) + "/redeliveries/" + url.PathEscape(redelivery)
}

// Redelivery reads how far one is.
func (a *EndpointsAPI) Redelivery(ctx context.Context, id, redelivery string, options ...CallOption) (Redelivery, error) {
	return get[Redelivery](ctx, a.c, redeliveryPath(id, redelivery), nil, options)
}

// CancelRedelivery ends one; what is queued by then is still sent.
func (a *EndpointsAPI) CancelRedelivery(ctx context.Context, id, redelivery string, options ...CallOption) (Redelivery, error) {
	return post[Redelivery](ctx, a.c, redeliveryPath(id, redelivery)+"/cancel", nil, options)
}
