package rpc_test

import (
	"errors"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
)

func TestClockService(t *testing.T) { both(t, clockSuite) }

func clockSuite(t *testing.T, b serviceSet) {
	ctx, users := t.Context(), b.users
	up, err := users.SignUp(ctx, merchant.SignUpRequest{Username: "ada", Email: "ada@example.com", Password: "correct horse battery"}, nil)
	good(t, err)
	account := up.Account.ID
	none, err := users.Clock(ctx, account)
	good(t, err)
	if none.Ahead != 0 || time.Since(none.At) > time.Minute {
		t.Errorf("a fresh clock: %+v", none)
	}
	ticket := b.world.ticket("public", "move-1", "test_clock")
	moved, err := users.MoveClock(ctx, merchant.ClockMove{Account: account, Seconds: 3600}, ticket)
	good(t, err)
	b.world.kept(t, b.records.Users, ticket)
	if moved.Ahead != time.Hour || moved.Account != account {
		t.Errorf("moved to %+v", moved)
	}
	_, err = users.MoveClock(ctx, merchant.ClockMove{Account: account, Seconds: 60}, b.world.ticket("public", "move-1", "test_clock"))
	if !errors.Is(err, idempotency.ErrRaced) {
		t.Errorf("a key that was recorded: %v", err)
	}
	if read, err := users.Clock(ctx, account); err != nil || read.Ahead != time.Hour {
		t.Errorf("the clock is at %+v, %v", read, err)
	}
	_, err = users.MoveClock(ctx, merchant.ClockMove{Account: account, To: time.Now()}, nil)
	is(t, err, fault.KindInvalid, "clock_backward", "now")
	_, err = users.MoveClock(ctx, merchant.ClockMove{Account: account, Seconds: -1}, nil)
	is(t, err, fault.KindInvalid, "clock_invalid", "advanceSeconds")
	_, err = users.MoveClock(ctx, merchant.ClockMove{Account: account, To: time.Now().Add(3 * 366 * 24 * time.Hour)}, nil)
	is(t, err, fault.KindInvalid, "clock_too_far", "now")
	good(t, b.notifier.MoveClock(ctx, account, time.Hour))

	// Objects are read by the clock, on this side of the wire too.
	l, err := b.links.Create(ctx, link.CreateRequest{Account: account, Payee: "ada", Mode: link.Test, Amount: "1.00", Currency: "EUR",
		Methods: []link.Method{
			{ID: "pm_1", Type: "card", Issuer: "simulator", Currencies: up.Account.Methods[0].Currencies, Enabled: true, Test: true},
		}})
	good(t, err)
	read, err := b.links.Get(ctx, account, link.Test, l.ID)
	good(t, err)
	if l.Ahead != time.Hour || read.Ahead != time.Hour || read.Status(time.Now()) != link.Open ||
		read.Status(time.Now().Add(link.DefaultLife-30*time.Minute)) != link.Open {
		t.Errorf("made %s ahead, read %s ahead: %s", l.Ahead, read.Ahead, read.Status(time.Now()))
	}
	_, err = users.MoveClock(ctx, merchant.ClockMove{Account: account, Seconds: int64(link.DefaultLife/time.Second) + 60}, nil)
	good(t, err)
	if read, err = b.links.Get(ctx, account, link.Test, l.ID); err != nil || read.Status(time.Now()) != link.Expired {
		t.Errorf("a day later: %s, %v", read.Status(time.Now()), err)
	}
	if v, err := b.verifier.Verify(ctx, l.Token); err != nil || !v.Ours || !v.Expired {
		t.Errorf("the verifier: %+v, %v", v, err)
	}
}
