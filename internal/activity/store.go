package activity

import (
	"context"
	"time"
)

// Filter narrows a list of events. The zero value of a field does not.
type Filter struct {
	Kind   string
	By     string // id of the user or API key
	Target string
	From   time.Time // inclusive
	To     time.Time // exclusive
	Before string    // events older than the one with this id
}

// Store keeps events. What other stores commit with their changes is in it too.
type Store interface {
	// Activity returns at most limit events of an account, newest first.
	Activity(ctx context.Context, account string, f Filter, limit int) ([]Event, error)
	// Note commits the pending events of the context alone, for what changes nothing else.
	Note(ctx context.Context) error
	// PruneActivity removes at most limit events that are older than the time, and returns how many.
	PruneActivity(ctx context.Context, before time.Time, limit int) (int, error)
}
