package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/obs"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/stream"
)

var testAmount = money.Of(1250, "EUR")

// scripted answers as the test defines. It implements only what the test calls.
type scripted struct {
	coordinator.Service
	notice func(context.Context, issuer.Notice) error
}

func (s scripted) Notice(ctx context.Context, n issuer.Notice) error { return s.notice(ctx, n) }

// notices serves a service whose Notice runs the script.
func (w *world) notices(c *rpc.Credentials, script func(context.Context, issuer.Notice) error) *rpc.Server {
	s := rpc.NewServer(rpc.ServerConfig{Credentials: c, Ready: w.store.Ping, Log: w.log, Tickets: w.tickets()})
	rpc.ServeTransactions(s, scripted{notice: script}, w.store, w.cards(), w.store)
	return s
}

// TestFaultsCross checks that a fault arrives unchanged except for its cause, that a sentinel is
// recognized, and that nothing else crosses.
func TestFaultsCross(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	var give error
	url, _ := listen(t, w.notices(c, func(context.Context, issuer.Notice) error { return give }), nil)
	far := w.clients(c, url).transactions
	secret := errors.New("dial tcp 10.1.2.3:5432: password of postgres refused")
	for kind := fault.KindInvalid; kind <= fault.KindUnavailable; kind++ {
		given := &fault.Error{
			Kind:       kind,
			Code:       "some_code",
			Param:      "a[0].ü",
			Detail:     "Zum Glück: \"ja\"\nnein.",
			RetryAfter: 1500 * time.Millisecond,
			Cause:      secret,
		}
		give = fmt.Errorf("around it: %w", given)
		err := far.Notice(t.Context(), issuer.Notice{})
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != kind || f.Code != given.Code || f.Param != given.Param || f.Detail != given.Detail ||
			f.RetryAfter != given.RetryAfter ||
			f.Cause != nil {
			t.Errorf("kind %d arrived as %#v", kind, err)
		}
	}
	for _, sentinel := range []error{payment.ErrConflict, idempotency.ErrRaced, notify.ErrConflict, merchant.ErrTaken, merchant.ErrChanged,
		merchant.ErrCredentials, merchant.ErrSession, link.ErrToken} {
		give = fmt.Errorf("deep down: %w", sentinel)
		if err := far.Notice(t.Context(), issuer.Notice{}); !errors.Is(err, sentinel) {
			t.Errorf("%v arrived as %v", sentinel, err)
		}
	}
	conflict := fault.New(fault.KindConflict, "endpoint_changed", "It was changed.")
	conflict.Cause = notify.ErrConflict
	give = conflict
	if err := far.Notice(t.Context(), issuer.Notice{}); !errors.Is(err, notify.ErrConflict) || fault.Code(err) != "endpoint_changed" {
		t.Errorf("a fault with a sentinel: %v", err)
	}
	give = secret
	err := far.Notice(t.Context(), issuer.Notice{})
	if fault.KindOf(err) != fault.KindInternal || strings.Contains(err.Error(), "postgres") {
		t.Errorf("an internal error arrived as %v", err)
	}
	if !strings.Contains(w.logs.String(), "password of postgres refused") {
		t.Error("the server's log lacks the cause")
	}
}

// TestPanicIsAnError checks that a panic in a service ends the call, not the process.
func TestPanicIsAnError(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	url, _ := listen(t, w.notices(c, func(_ context.Context, n issuer.Notice) error {
		if n.Reference == "bad" {
			panic("a bug")
		}
		return nil
	}), nil)
	far := w.clients(c, url).transactions
	if err := far.Notice(t.Context(), issuer.Notice{Reference: "bad"}); fault.KindOf(err) != fault.KindInternal {
		t.Errorf("a panic: %v", err)
	}
	good(t, far.Notice(t.Context(), issuer.Notice{}))
	if !strings.Contains(w.logs.String(), "a bug") {
		t.Error("the panic was not logged")
	}
}

// TestContextCrosses checks that the deadline and the request id are the caller's, and that the
// caller gets an error when the deadline passes.
func TestContextCrosses(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	var until time.Time
	var id string
	url, _ := listen(t, w.notices(c, func(ctx context.Context, n issuer.Notice) error {
		until, _ = ctx.Deadline()
		id = obs.RequestID(ctx)
		if n.Reference == "wait" {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}), nil)
	far := w.clients(c, url).transactions
	ctx, cancel := context.WithTimeout(obs.WithRequestID(t.Context(), "req_1"), 7*time.Second)
	defer cancel()
	good(t, far.Notice(ctx, issuer.Notice{}))
	end, _ := ctx.Deadline()
	if until.Sub(end).Abs() > time.Second || id != "req_1" {
		t.Errorf("the deadline %v became %v, the request %q", end, until, id)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := far.Notice(short, issuer.Notice{Reference: "wait"}); !errors.Is(err, context.DeadlineExceeded) &&
		fault.KindOf(err) != fault.KindUnavailable {
		t.Errorf("a deadline that passed: %v", err)
	}
}

// fill sets every field that it can reach to a value other than its zero.
func fill(v reflect.Value, n *int64) {
	*n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1_700_000_000+*n, 123_456_000).UTC()))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		v.SetBytes(fmt.Appendf(nil, `{"n":%d,"html":"\u003c"}`, *n))
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.SetMapIndex(key, value)
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprintf("<text & %d>", *n))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(*n)
	case v.CanUint():
		v.SetUint(uint64(*n % 200))
	}
}

func filled[T any](edit ...func(*T)) T {
	var v T
	var n int64
	fill(reflect.ValueOf(&v).Elem(), &n)
	for _, e := range edit {
		e(&v)
	}
	return v
}

// reader answers every read with objects that have no empty field.
type reader struct {
	payment.Reader
	link.Service
}

func (reader) GetPayment(context.Context, string, string) (payment.Payment, error) {
	return filled[payment.Payment](), nil
}
func (reader) Events(context.Context, string, string, int64, int) ([]stream.Event, error) {
	return []stream.Event{filled[stream.Event]()}, nil
}
func (reader) Get(context.Context, string, string, string) (link.Link, error) {
	return filled[link.Link](), nil
}

// TestEveryFieldCrosses fails if a field of an object is missing on the wire.
func TestEveryFieldCrosses(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	s := rpc.NewServer(rpc.ServerConfig{Credentials: c, Ready: w.store.Ping, Log: w.log, Tickets: w.tickets()})
	rpc.ServePayments(s, reader{})
	rpc.ServeLinks(s, reader{}, w.store)
	url, _ := listen(t, s, nil)
	far := w.clients(c, url)
	p, err := far.payments.GetPayment(t.Context(), "", "")
	good(t, err)
	if want := filled[payment.Payment](); !reflect.DeepEqual(p, want) {
		t.Errorf("payment\n%+v\nwant\n%+v", p, want)
	}
	e, err := far.payments.Events(t.Context(), "", "", 0, 1)
	good(t, err)
	if want := filled[stream.Event](); !reflect.DeepEqual(e[0], want) {
		t.Errorf("event\n%+v\nwant\n%+v", e[0], want)
	}
	l, err := far.links.Get(t.Context(), "", "", "")
	good(t, err)
	if want := filled[link.Link](); !reflect.DeepEqual(l, want) {
		t.Errorf("link\n%+v\nwant\n%+v", l, want)
	}
}
