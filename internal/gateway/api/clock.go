package api

import (
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
)

// clockObject is a test clock as callers see it: its present time, and by how much that is
// ahead of real time.
type clockObject struct {
	Object       string            `json:"object"`
	Mode         string            `json:"mode"`
	Now          string            `json:"now"`
	AheadSeconds int64             `json:"aheadSeconds"`
	Links        map[string]string `json:"links"`
}

// showClock renders a clock. Its time is the real time at which the clock was read, plus
// the lead.
func showClock(c merchant.Clock) clockObject {
	return clockObject{
		Object:       "test_clock",
		Mode:         link.Test,
		Now:          link.FormatTime(c.At.Add(c.Ahead)),
		AheadSeconds: int64(c.Ahead / time.Second),
		Links:        map[string]string{"self": "/api/test-clock"},
	}
}

// testModeOnly returns test_mode_only for a caller in live mode, where time is real.
func testModeOnly(c caller) error {
	if c.mode == link.Test {
		return nil
	}
	f := fault.New(fault.KindForbidden, "test_mode_only", "Test clocks are test-mode only.")
	f.Param = "mode"
	return f
}

// getClock answers GET /api/test-clock. An account that never moved its clock has one that
// is zero seconds ahead.
func (a *API) getClock(q *request) (any, error) {
	if err := testModeOnly(q.caller); err != nil {
		return nil, err
	}

	c, err := a.Merchants.Clock(q.Context(), q.caller.account)
	if err != nil {
		return nil, err
	}
	return showClock(c), nil
}

// moveClockBody moves the clock by a duration or to a time; exactly one of the two is
// given.
type moveClockBody struct {
	AdvanceSeconds field[int64] `json:"advanceSeconds"`
	Now            field[stamp] `json:"now"`
}

// moveClock answers after every process has read the new time, so that due work has started
// when the caller gets the response. The move is committed first, with the idempotency
// record. If the process crashes afterwards, or the notifier cannot be reached, the move
// stays and the notifier applies it later.
func (a *API) moveClock(q *request) (any, error) {
	if err := testModeOnly(q.caller); err != nil {
		return nil, err
	}

	var in moveClockBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}

	m := merchant.ClockMove{Account: q.caller.account, Seconds: in.AdvanceSeconds.Value}
	switch {
	case in.AdvanceSeconds.Set == in.Now.Set:
		return nil, fault.Invalid("now", "conflicting_fields", "Send either advanceSeconds or now.")
	case in.Now.Set:
		t, err := time.Parse(time.RFC3339Nano, string(in.Now.Value))
		if err != nil {
			return nil, fault.Invalid("now", "clock_invalid", "now must be an RFC 3339 time.")
		}
		m.To = t.UTC()
	}

	c, err := a.Merchants.MoveClock(q.Context(), m, q.ticket)
	if err != nil {
		return nil, err
	}
	if err := a.Webhooks.MoveClock(q.Context(), c.Account, c.Ahead); err != nil {
		a.Log.WarnContext(q.Context(), "a test clock's move will be passed on later", "error", err)
	}

	// Other processes read the clocks at their next poll. If the call's time ends first,
	// the clock has moved anyway.
	spread := time.NewTimer(a.ClockSpread)
	defer spread.Stop()
	select {
	case <-spread.C:
	case <-q.Context().Done():
	}

	return showClock(c), nil
}
