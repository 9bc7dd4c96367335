package rpc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/paylink/paylink/internal/activity"
)

// actorHeader carries who makes the request that a call belongs to. The gateway has authenticated
// the actor; the call's own proof covers the header.
const (
	actorHeader   = "Actor"
	maxActorBytes = 2 << 10
)

// setActor puts the actor of ctx into the headers of a call, unless paylink itself acts.
func setActor(ctx context.Context, h http.Header) {
	a := activity.From(ctx)
	if a.Kind == activity.System {
		return
	}
	if raw, err := json.Marshal(a); err == nil && len(raw) <= maxActorBytes {
		h.Set(actorHeader, base64.RawURLEncoding.EncodeToString(raw))
	}
}

// withActor returns ctx with the actor that a call carries.
func withActor(ctx context.Context, h http.Header) context.Context {
	raw, err := base64.RawURLEncoding.DecodeString(h.Get(actorHeader))
	var a activity.Actor
	if err != nil || len(raw) == 0 || len(raw) > maxActorBytes || json.Unmarshal(raw, &a) != nil {
		return ctx
	}
	return activity.With(ctx, a)
}

// activityForm asks for a page of an account's activity.
type activityForm struct {
	Account string
	Filter  activity.Filter
	Limit   int
}

// exportForm says what is exported of an account.
type exportForm struct{ Account, What string }

// Activity implements merchant.Service.
func (u *Users) Activity(ctx context.Context, account string, f activity.Filter, limit int) ([]activity.Event, error) {
	return value(call[activityForm, []activity.Event](ctx, u.peer, "Activity", read, &activityForm{account, f, limit}))
}

// Exported implements merchant.Service. A repetition may note the export twice.
func (u *Users) Exported(ctx context.Context, account, what string) error {
	return done(call[exportForm, none](ctx, u.peer, "Exported", harmless, &exportForm{account, what}))
}

// serveActivity serves who did what.
func serveActivity(s *Server, svc interface {
	Activity(context.Context, string, activity.Filter, int) ([]activity.Event, error)
	Exported(context.Context, string, string) error
}) {
	handle(s, UsersService, "Activity", func(ctx context.Context, q *activityForm) (*[]activity.Event, error) {
		list, err := svc.Activity(ctx, q.Account, q.Filter, q.Limit)
		return &list, err
	})
	handle(s, UsersService, "Exported", func(ctx context.Context, q *exportForm) (*none, error) {
		return &none{}, svc.Exported(ctx, q.Account, q.What)
	})
}
