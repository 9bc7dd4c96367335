package api

import (
	"encoding/json"
	"strconv"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/stream"
)

// endpointObject is an endpoint as callers see it. Secret is present only in the response
// that makes or rotates it.
type endpointObject struct {
	notify.EndpointObject
	Secret string `json:"secret,omitempty"`
}

// showEndpoint renders an endpoint without its secret.
func showEndpoint(e notify.Endpoint) endpointObject {
	return endpointObject{EndpointObject: notify.Object(e)}
}

// showRevealed renders an endpoint with the secret, which is shown once.
func showRevealed(r notify.Revealed) endpointObject {
	return endpointObject{EndpointObject: notify.Object(r.Endpoint), Secret: r.Secret}
}

// createEndpointBody is the body of a new endpoint. Without events it receives every type.
type createEndpointBody struct {
	URL    field[string]   `json:"url"`
	Events field[[]string] `json:"events"`
}

// createEndpoint makes a webhook endpoint and answers with its secret.
func (a *API) createEndpoint(q *request) (any, error) {
	var in createEndpointBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := required(in.URL.Set, "url"); err != nil {
		return nil, err
	}
	d := notify.Draft{Account: q.caller.account, Mode: q.caller.mode, URL: in.URL.Value, Events: listed(in.Events)}
	r, err := a.Webhooks.Create(q.Context(), d, q.ticket)
	if err != nil {
		return nil, err
	}
	return showRevealed(r), nil
}

// listed returns the list of a request: nil if it is absent, and never nil if it is
// given, so that an empty list differs from an absent one.
func listed(f field[[]string]) []string {
	if f.Set && f.Value == nil {
		return []string{}
	}
	return f.Value
}

// listEndpoints answers with the endpoints, newest first. It cuts a page from the whole
// list, which has at most notify.MaxEndpoints.
func (a *API) listEndpoints(q *request) (any, error) {
	limit, err := q.query.limit()
	if err != nil {
		return nil, err
	}
	after, err := q.query.after(id.Endpoint, false)
	if err != nil {
		return nil, err
	}
	items, err := a.Webhooks.List(q.Context(), q.caller.account, q.caller.mode)
	if err != nil {
		return nil, err
	}
	byID := func(e notify.Endpoint) cursor { return cursor{ID: e.ID} }
	return page(olderThan(items, after, byID), limit, showEndpoint, byID), nil
}

// olderThan returns the part of a newest-first list after the cursor, whether or not the
// item that the cursor names still exists. Ids sort by the time of their creation.
func olderThan[T any](items []T, after cursor, at func(T) cursor) []T {
	if after.ID == "" {
		return items
	}
	for i, item := range items {
		if at(item).ID < after.ID {
			return items[i:]
		}
	}
	return nil
}

// getEndpoint answers with one endpoint, without its secret.
func (a *API) getEndpoint(q *request) (any, error) {
	e, err := a.Webhooks.Get(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return showEndpoint(e), nil
}

// updateEndpointBody changes an endpoint. Enabling it clears its failures.
type updateEndpointBody struct {
	URL     field[string]   `json:"url"`
	Events  field[[]string] `json:"events"`
	Enabled field[bool]     `json:"enabled"`
}

// updateEndpoint changes the given members and keeps the others, even those that are
// changed concurrently. Repeating it changes nothing.
func (a *API) updateEndpoint(q *request) (any, error) {
	var in updateEndpointBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}

	c := notify.Change{Account: q.caller.account, Mode: q.caller.mode, ID: q.PathValue("id")}
	if in.URL.Set {
		c.URL = &in.URL.Value
	}
	if events := listed(in.Events); events != nil {
		c.Events = &events
	}
	if in.Enabled.Set {
		c.Enabled = &in.Enabled.Value
	}

	e, err := a.Webhooks.Update(q.Context(), c)
	if err != nil {
		return nil, err
	}

	return showEndpoint(e), nil
}

// deleted is the answer of a DELETE. The id stays valid in older events and lists.
type deleted struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

// deleteEndpoint removes an endpoint. Its deliveries stay, and its queued jobs are dropped.
func (a *API) deleteEndpoint(q *request) (any, error) {
	endpoint := q.PathValue("id")
	if err := a.Webhooks.Delete(q.Context(), q.caller.account, q.caller.mode, endpoint); err != nil {
		return nil, err
	}
	return deleted{ID: endpoint, Object: "webhook_endpoint", Deleted: true}, nil
}

// rotateEndpoint gives an endpoint a new secret and answers with it. For a while both
// secrets sign, so the receiver can change over without losing a webhook.
func (a *API) rotateEndpoint(q *request) (any, error) {
	r, err := a.Webhooks.Rotate(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), q.ticket)
	if err != nil {
		return nil, err
	}
	return showRevealed(r), nil
}

// eventObject is an event as callers read it. Data is the object as it was when the event
// was committed.
type eventObject struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Type      string            `json:"type"`
	Seq       int64             `json:"seq"`
	ObjectSeq int64             `json:"objectSeq"`
	CreatedAt string            `json:"createdAt"`
	Mode      string            `json:"mode"`
	Data      json.RawMessage   `json:"data"`
	Links     map[string]string `json:"links"`
}

// showEvent renders an event. Its own address is the page that begins with it.
func showEvent(e stream.Event) eventObject {
	self := "/api/events?limit=1&afterSeq=" + strconv.FormatInt(e.Seq-1, 10)
	return eventObject{
		ID: e.ID, Object: "event", Type: e.Type, Seq: e.Seq, ObjectSeq: e.ObjectSeq, CreatedAt: link.FormatTime(e.CreatedAt),
		Mode: e.Mode, Data: e.Data, Links: map[string]string{"self": self},
	}
}

// afterSeq returns where a page of events begins: after a seq, or where the page before
// ended, which is a seq too. Without either it is 0, the beginning. Both at once is
// conflicting_fields.
func (q *request) afterSeq() (int64, error) {
	s, given := q.query["afterSeq"]
	cursor, paged := q.query["cursor"]
	switch {
	case given && paged:
		return 0, fault.Invalid("cursor", "conflicting_fields", "Send afterSeq or cursor, not both.")
	case !given && !paged:
		return 0, nil
	case paged:
		s = cursor
	}

	after, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err == nil && allDigits(s):
		return after, nil
	case paged:
		return 0, fault.Invalid("cursor", "cursor_invalid", "Invalid cursor: pass nextCursor from a previous page.")
	}
	return 0, fault.Invalid("afterSeq", "parameter_invalid", "afterSeq must be a whole number, 0 or more.")
}

// listEvents answers with events, oldest first. It pages by seq, which has no gaps: a
// client that keeps the last one it has seen cannot miss any.
func (a *API) listEvents(q *request) (any, error) {
	limit, err := q.query.limit()
	if err != nil {
		return nil, err
	}

	after, err := q.afterSeq()
	if err != nil {
		return nil, err
	}

	events, err := a.Payments.Events(q.Context(), q.caller.account, q.caller.mode, after, limit+1)
	if err != nil {
		return nil, err
	}

	// The cursor of the next page is the last seq, in the form that afterSeq takes.
	l := page(events, limit, showEvent, func(stream.Event) cursor { return cursor{} })
	if l.HasMore {
		next := strconv.FormatInt(l.Data[len(l.Data)-1].Seq, 10)
		l.NextCursor = &next
	}
	return l, nil
}
