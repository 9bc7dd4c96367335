// Package activity says who does what. The gateway puts the Actor of a request into its context; a
// service adds the Event of a change; the store writes the pending events in the commit of that
// change, so that neither can exist without the other.
package activity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/id"
)

// The kinds of actors.
const (
	User   = "user"   // a signed-in person, or one who tries to sign in
	Key    = "key"    // an API key
	CLI    = "cli"    // a command on the server
	System = "system" // paylink itself
)

// The outcomes of an event.
const (
	Done   = "done"
	Failed = "failed"
)

// Limits.
const (
	MaxAgentBytes  = 200
	MaxDetailBytes = 200
	maxDetails     = 10
	foldFor        = time.Hour // events that fold are counted in one entry for this long
)

// Actor is who makes a change.
type Actor struct {
	Kind    string `json:"type"`                // "" is System
	ID      string `json:"id,omitempty"`        // of the user or API key; the name of the command
	Session string `json:"session,omitempty"`   // of a user
	Network string `json:"network,omitempty"`   // the first bits of the address
	Agent   string `json:"userAgent,omitempty"` // as the browser or program calls itself; who runs the command
	Request string `json:"requestId,omitempty"` // id of the request
}

// Event is one thing that somebody did, or tried to do.
type Event struct {
	ID      string            `json:"id"`
	Account string            `json:"account,omitempty"` // "" for a sign-in under an unknown login, and other things of no account
	At      time.Time         `json:"createdAt"`
	Kind    string            `json:"kind"` // one of Kinds
	Actor   Actor             `json:"actor"`
	Target  string            `json:"target,omitempty"` // id of the object
	Outcome string            `json:"outcome"`
	Details map[string]string `json:"details,omitempty"`
	// Count is how often it happened since At, in an entry that folds.
	Count int64 `json:"count"`
	// Folds says that events of the same hour, actor, target and reason are one entry.
	Folds bool `json:"-"`
}

type (
	actorKey   struct{}
	pendingKey struct{}
)

// With returns a context of a request by the actor.
func With(ctx context.Context, a Actor) context.Context {
	a.Agent = bounded(a.Agent, MaxAgentBytes)
	return context.WithValue(ctx, actorKey{}, a)
}

// From returns the actor of the context; paylink itself if there is none.
func From(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Kind: System}
}

// By returns the id of the person or API key of the context, or "".
func By(ctx context.Context) string {
	if a := From(ctx); a.Kind == User || a.Kind == Key {
		return a.ID
	}
	return ""
}

// Record adds an event to those that the next commit under the context writes. It fills in id, actor
// and, unless they are given, outcome and count. The same context may be used for a repetition of
// the commit: an event is written once.
func Record(ctx context.Context, e Event) context.Context {
	e.Actor = From(ctx)
	if e.Outcome == "" {
		e.Outcome = Done
	}
	e.Count = max(e.Count, 1)
	e.At = e.At.UTC().Truncate(time.Millisecond)
	e.Details = tidy(e.Details)
	if e.ID = id.New(id.Activity); e.Folds {
		e.ID = id.Derive(id.Activity, e.Account, folded(e))
	}
	return context.WithValue(ctx, pendingKey{}, append(slices.Clip(Pending(ctx)), e))
}

// Pending returns the events that the next commit must write.
func Pending(ctx context.Context) []Event {
	all, _ := ctx.Value(pendingKey{}).([]Event)
	return all
}

// folded returns what events share that are counted in one entry.
func folded(e Event) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{e.Kind, e.Outcome, e.Details["reason"], e.Actor.Kind, e.Actor.ID,
		e.Actor.Network, e.Target, e.At.Truncate(foldFor).Format(time.RFC3339)}, "\x00")))
	return hex.EncodeToString(sum[:])
}

// tidy bounds details. They are facts of ours, such as the name of a key, and never secrets.
func tidy(details map[string]string) map[string]string {
	if len(details) == 0 {
		return nil
	}
	out := make(map[string]string, len(details))
	for name, value := range details {
		if value != "" && len(out) < maxDetails {
			out[name] = bounded(value, MaxDetailBytes)
		}
	}
	return out
}

// bounded returns at most n bytes of a text.
func bounded(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}
