package api

import (
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/notify"
)

// deliveryObject is one try to deliver an event, as callers see it. Attempt counts from 1,
// and is 0 when nothing was tried. NextAt is absent when no further try is planned.
type deliveryObject struct {
	ID         string            `json:"id"`
	Object     string            `json:"object"`
	Endpoint   string            `json:"endpoint"`
	Event      string            `json:"event"`
	EventType  string            `json:"eventType"`
	Test       bool              `json:"test,omitempty"`
	Redelivery string            `json:"redelivery,omitempty"`
	Status     notify.Status     `json:"status"`
	Attempt    int               `json:"attempt"`
	HTTPStatus int               `json:"httpStatus,omitempty"`
	Answer     string            `json:"answer,omitempty"`
	Error      string            `json:"error,omitempty"`
	DurationMs int64             `json:"durationMs"`
	NextAt     string            `json:"nextAt,omitempty"`
	Mode       string            `json:"mode"`
	CreatedAt  string            `json:"createdAt"`
	Links      map[string]string `json:"links"`
	Request    *requestObject    `json:"request,omitempty"`
}

// requestObject is the request that was sent to the receiver. Only the call for a single
// delivery shows it.
type requestObject struct {
	URL     string          `json:"url,omitempty"`
	Headers []notify.Header `json:"headers"`
	Body    string          `json:"body,omitempty"`
}

// showDelivery renders a delivery without the request that was sent.
func showDelivery(d notify.Delivery) deliveryObject {
	base := "/api/webhook-endpoints/" + d.Endpoint
	self := base + "/deliveries/" + d.ID
	return deliveryObject{
		ID: d.ID, Object: "delivery", Endpoint: d.Endpoint, Event: d.Event, EventType: d.EventType, Status: d.Status,
		Test: d.Test, Redelivery: d.Redelivery,
		Attempt: d.Attempt, HTTPStatus: d.HTTPStatus, Answer: d.Answer, Error: d.Error, DurationMs: d.DurationMs,
		NextAt: optionalTime(d.NextAt), Mode: d.Mode, CreatedAt: link.FormatTime(d.At),
		Links: map[string]string{"self": self, "endpoint": base, "redeliver": self + "/redeliver"},
	}
}

// listDeliveries answers with the tries to reach one endpoint, newest first. The filters
// are checked here, the endpoint by the service. The time range is read last, because dates
// need the account's time zone, which is a read of its own.
func (a *API) listDeliveries(q *request) (any, error) {
	limit, err := q.query.limit()
	if err != nil {
		return nil, err
	}

	after, err := q.query.after(id.Delivery, false)
	if err != nil {
		return nil, err
	}

	status, err := q.query.oneOf("status", string(notify.Pending), string(notify.Succeeded), string(notify.Failed), string(notify.DeadLetter))
	if err != nil {
		return nil, err
	}

	eventType, err := q.query.oneOf("eventType", append(notify.EventTypes(), notify.TestPing)...)
	if err != nil {
		return nil, err
	}

	want := notify.DeliveryQuery{Status: notify.Status(status), EventType: eventType, Before: after.ID, Limit: limit + 1}
	within, err := a.within(q)
	if err != nil {
		return nil, err
	}

	want.From, want.To = within.From, within.To
	items, err := a.Webhooks.Deliveries(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), want)
	if err != nil {
		return nil, err
	}

	return page(items, limit, showDelivery, func(d notify.Delivery) cursor { return cursor{ID: d.ID} }), nil
}

// getDelivery answers with one try, and with the request as it was signed and sent. A
// delivery that never sent anything shows an empty list of headers.
func (a *API) getDelivery(q *request) (any, error) {
	d, err := a.Webhooks.Delivery(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), q.PathValue("delivery"))
	if err != nil {
		return nil, err
	}

	o := showDelivery(d.Delivery)
	o.Request = &requestObject{URL: d.Request.URL, Headers: d.Request.Headers, Body: string(d.Body)}
	if o.Request.Headers == nil {
		o.Request.Headers = []notify.Header{}
	}
	return o, nil
}

// redeliver sends the event of an earlier delivery again and answers with the new, pending
// delivery.
func (a *API) redeliver(q *request) (any, error) {
	d, err := a.Webhooks.Redeliver(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), q.PathValue("delivery"), q.ticket)
	if err != nil {
		return nil, err
	}
	return showDelivery(d), nil
}

// testBody is the body of a test. Without a type it is test.ping.
type testBody struct {
	Type field[string] `json:"type" default:"\"test.ping\""`
}

// testEndpoint sends a test event to an endpoint, once, and answers with the pending
// delivery. It works for a disabled endpoint too.
func (a *API) testEndpoint(q *request) (any, error) {
	var in testBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	d, err := a.Webhooks.Test(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), in.Type.Value, q.ticket)
	if err != nil {
		return nil, err
	}
	return showDelivery(d), nil
}

// redeliveryObject is a bulk redelivery as callers see it. Total is the number of events
// that matched at the start. Queued is how many were handed to the sender since, and the
// three counts after it add up to that.
type redeliveryObject struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Endpoint  string            `json:"endpoint"`
	Filter    filterObject      `json:"filter"`
	Status    string            `json:"status"`
	Reason    string            `json:"reason,omitempty"`
	Total     int64             `json:"total"`
	Queued    int64             `json:"queued"`
	Pending   int64             `json:"pending"`
	Succeeded int64             `json:"succeeded"`
	Failed    int64             `json:"failed"`
	Mode      string            `json:"mode"`
	CreatedAt string            `json:"createdAt"`
	UpdatedAt string            `json:"updatedAt"`
	EndedAt   string            `json:"endedAt,omitempty"`
	Links     map[string]string `json:"links"`
}

// filterObject is the filter of a bulk redelivery, as it was applied.
type filterObject struct {
	Status    notify.Status `json:"status"`
	EventType string        `json:"eventType,omitempty"`
	From      string        `json:"from,omitempty"`
	To        string        `json:"to,omitempty"`
}

// showRedelivery renders a bulk redelivery.
func showRedelivery(r notify.Redelivery) redeliveryObject {
	base := "/api/webhook-endpoints/" + r.Endpoint
	self := base + "/redeliveries/" + r.ID
	return redeliveryObject{
		ID: r.ID, Object: "redelivery", Endpoint: r.Endpoint, Status: string(r.State), Reason: r.Reason, Total: r.Total, Queued: r.Queued(),
		Filter: filterObject{
			Status:    r.Filter.Status,
			EventType: r.Filter.EventType,
			From:      optionalTime(r.Filter.From),
			To:        optionalTime(r.Filter.To),
		},
		Pending: r.Pending, Succeeded: r.Succeeded, Failed: r.Failed, Mode: r.Mode,
		CreatedAt: link.FormatTime(r.CreatedAt), UpdatedAt: link.FormatTime(r.UpdatedAt), EndedAt: optionalTime(r.EndedAt),
		Links: map[string]string{"self": self, "endpoint": base, "cancel": self + "/cancel"},
	}
}

// redeliverBody selects the events of a bulk redelivery. From and to take what they take in
// a query: a date of the account's time zone, or a time.
type redeliverBody struct {
	Status    field[string] `json:"status"`
	EventType field[string] `json:"eventType"`
	From      field[string] `json:"from"`
	To        field[string] `json:"to"`
}

// redeliverAll begins a bulk redelivery and answers with it while it runs. It does not wait
// for the tries.
func (a *API) redeliverAll(q *request) (any, error) {
	var in redeliverBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}

	// An empty filter would match everything, and redeliver all of it.
	for name, given := range map[string]field[string]{"status": in.Status, "eventType": in.EventType} {
		if err := notEmpty(name, given); err != nil {
			return nil, err
		}
	}

	f := notify.Filter{Status: notify.Status(in.Status.Value), EventType: in.EventType.Value}
	times := query{}
	for name, given := range map[string]field[string]{"from": in.From, "to": in.To} {
		if given.Set {
			times[name] = given.Value
		}
	}

	within, err := a.period(q, times)
	if err != nil {
		return nil, err
	}

	f.From, f.To = within.From, within.To

	r, err := a.Webhooks.RedeliverAll(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), f, q.ticket)
	if err != nil {
		return nil, err
	}

	return showRedelivery(r), nil
}

// listRedeliveries answers with an endpoint's bulk redeliveries, newest first.
func (a *API) listRedeliveries(q *request) (any, error) {
	limit, err := q.query.limit()
	if err != nil {
		return nil, err
	}
	after, err := q.query.after(id.Redelivery, false)
	if err != nil {
		return nil, err
	}
	items, err := a.Webhooks.Redeliveries(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), after.ID, limit+1)
	if err != nil {
		return nil, err
	}
	return page(items, limit, showRedelivery, func(r notify.Redelivery) cursor { return cursor{ID: r.ID} }), nil
}

// getRedelivery answers with one bulk redelivery and its progress.
func (a *API) getRedelivery(q *request) (any, error) {
	r, err := a.Webhooks.Redelivery(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), q.PathValue("redelivery"))
	if err != nil {
		return nil, err
	}
	return showRedelivery(r), nil
}

// cancelRedelivery ends a bulk redelivery. What is queued by then is still sent. Canceling
// again, or after the end, changes nothing.
func (a *API) cancelRedelivery(q *request) (any, error) {
	r, err := a.Webhooks.CancelRedelivery(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), q.PathValue("redelivery"))
	if err != nil {
		return nil, err
	}
	return showRedelivery(r), nil
}
