package client

import (
	"context"
	"iter"
	"net/url"
	"time"
)

// ActivityAPI says who did what in an account.
type ActivityAPI struct{ c *Client }

// Activity is one thing that somebody did, or tried to do.
type Activity struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Kind      string            `json:"kind"`
	Outcome   string            `json:"outcome"` // done or failed
	CreatedAt time.Time         `json:"createdAt,omitzero"`
	Count     int64             `json:"count"` // how often it happened within the hour that begins at CreatedAt
	Actor     Actor             `json:"actor"`
	Target    string            `json:"target"`
	Details   map[string]string `json:"details"`
}

// Actor is who acted.
type Actor struct {
	Type      string `json:"type"` // user, key, cli or system
	ID        string `json:"id"`
	Session   string `json:"session"`
	Network   string `json:"network"`
	UserAgent string `json:"userAgent"`
	RequestID string `json:"requestId"`
}

// ActivityFilter narrows the list. Zero values do not.
type ActivityFilter struct {
	Kind     string
	Actor    string // id of a user or an API key
	Target   string // id of an object
	From, To time.Time
	Limit    int
	Cursor   string
}

func (f ActivityFilter) query() url.Values {
	q := period(f.From, f.To, f.Limit, f.Cursor)
	set(q, "kind", f.Kind)
	set(q, "actor", f.Actor)
	set(q, "target", f.Target)
	return q
}

// All iterates over what was done, newest first. An API key needs the scope activity:read.
func (a *ActivityAPI) All(ctx context.Context, f ActivityFilter, options ...CallOption) iter.Seq2[Activity, error] {
	return all[Activity](ctx, a.c, "/api/activity", f.query(), options)
}
