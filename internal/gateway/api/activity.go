package api

import (
	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
)

// activityRoutes returns the calls that say who did what.
func activityRoutes() []Route {
	return []Route{
		{
			Method: "GET",
			Path:   "/api/activity",
			Auth:   authBoth,
			Scope:  "activity:read",
			Query:  with(pageQuery, "kind", "actor", "target", "from", "to"),
			handle: (*API).listActivity,
		},
	}
}

// activityObject is an entry of the activity as callers see it.
type activityObject struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Kind      string            `json:"kind"`
	Outcome   string            `json:"outcome"`
	CreatedAt string            `json:"createdAt"`
	Count     int64             `json:"count"`
	Actor     actorObject       `json:"actor"`
	Target    string            `json:"target,omitempty"`
	Details   map[string]string `json:"details,omitempty"`
}

// actorObject is who acted.
type actorObject struct {
	Type      string `json:"type"`
	ID        string `json:"id,omitempty"`
	Session   string `json:"session,omitempty"`
	Network   string `json:"network,omitempty"`
	UserAgent string `json:"userAgent,omitempty"`
	RequestID string `json:"requestId,omitempty"`
}

// showActivity renders an entry.
func showActivity(e activity.Event) activityObject {
	return activityObject{ID: e.ID, Object: "activity", Kind: e.Kind, Outcome: e.Outcome, CreatedAt: link.FormatTime(e.At), Count: e.Count,
		Target: e.Target, Details: e.Details,
		Actor: actorObject{Type: e.Actor.Kind, ID: e.Actor.ID, Session: e.Actor.Session, Network: e.Actor.Network, UserAgent: e.Actor.Agent,
			RequestID: e.Actor.Request}}
}

// listActivity answers with who did what in the account, newest first.
func (a *API) listActivity(q *request) (any, error) {
	limit, err := q.query.limit()
	if err != nil {
		return nil, err
	}
	after, err := q.query.after(id.Activity, false)
	if err != nil {
		return nil, err
	}
	f := activity.Filter{Before: after.ID}
	if f.Kind, err = q.query.oneOf("kind", activity.Kinds...); err != nil {
		return nil, err
	}
	if f.By, err = q.query.text("actor"); err != nil {
		return nil, err
	}
	if f.Target, err = q.query.text("target"); err != nil {
		return nil, err
	}
	within, err := a.within(q)
	if err != nil {
		return nil, err
	}
	f.From, f.To = within.From, within.To
	items, err := a.Merchants.Activity(q.Context(), q.caller.account, f, limit+1)
	if err != nil {
		return nil, err
	}
	return page(items, limit, showActivity, func(e activity.Event) cursor { return cursor{ID: e.ID} }), nil
}
