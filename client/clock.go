package client

import (
	"context"
	"time"
)

// ClockAPI moves the time of the account's test data forward: what expires, falls due or is
// retried in 30 days does so now. It never affects live data, and never moves back.
type ClockAPI struct{ c *Client }

// Clock is the account's test clock.
type Clock struct {
	Object       string            `json:"object"`
	Mode         Mode              `json:"mode"`
	Now          time.Time         `json:"now"`          // the account's time in test mode
	AheadSeconds int64             `json:"aheadSeconds"` // of real time; 0: the clock was never moved
	Links        map[string]string `json:"links"`
}

// Get returns the clock.
func (a *ClockAPI) Get(ctx context.Context, options ...CallOption) (Clock, error) {
	return get[Clock](ctx, a.c, "/api/test-clock", nil, options)
}

// MoveClock requests a move: by a number of seconds, or to a time.
type MoveClock struct {
	AdvanceSeconds int64     `json:"advanceSeconds,omitempty"`
	Now            time.Time `json:"now,omitzero"`
}

// Advance moves the clock forward.
func (a *ClockAPI) Advance(ctx context.Context, by time.Duration, options ...CallOption) (Clock, error) {
	return post[Clock](ctx, a.c, "/api/test-clock", MoveClock{AdvanceSeconds: int64((by + time.Second - 1) / time.Second)}, options)
}

// Set moves the clock forward to a time.
func (a *ClockAPI) Set(ctx context.Context, now time.Time, options ...CallOption) (Clock, error) {
	return post[Clock](ctx, a.c, "/api/test-clock", MoveClock{Now: now}, options)
}
