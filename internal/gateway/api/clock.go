package api

import (
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
)

type clockObject struct {
	Object       string            `json:"object"`
	Mode         string            `json:"mode"`
	Now          string            `json:"now"`
	AheadSeconds int64             `json:"aheadSeconds"`
	Links        map[string]string `json:"links"`
}

func showClock(c merchant.Clock) clockObject {
	return clockObject{Object: "test_clock", Mode: link.Test, Now: link.FormatTime(c.At.Add(c.Ahead)), AheadSeconds: int64(c.Ahead / time.Second),
		Links: map[string]string{"self": "/api/test-clock"}}
}

func testModeOnly(c caller) error {
	if c.mode == link.Test {
		return nil
	}
	f := fault.New(fault.KindForbidden, "test_mode_only", "Test clocks are test-mode only.")
	f.Param = "mode"
	return f
}

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

type moveClockBody struct {
	AdvanceSeconds field[int64] `json:"advanceSeconds"`
	Now            field[stamp] `json:"now"`
}

// moveClock answers after every process has read the new time, so that due work has
// started. If it crashes before, the move is stored, and the notifier applies it.
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
	spread := time.NewTimer(a.ClockSpread)
	defer spread.Stop()
	select {
	case <-spread.C:
	case <-q.Context().Done():
	}
	return showClock(c), nil
}
