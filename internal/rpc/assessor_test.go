package rpc_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/rpc"
)

func TestAssessorService(t *testing.T) { both(t, assessorSuite) }

func assessorSuite(t *testing.T, b serviceSet) {
	ctx := t.Context()
	a := fraud.Attempt{
		Payment:     id.New(id.Payment),
		At:          time.Now(),
		Account:     id.New(id.Account),
		Mode:        link.Test,
		Link:        id.New(id.Link),
		Amount:      money.Of(1250, "EUR"),
		Fingerprint: "f",
		Card:        "c",
		BIN:         "424242",
		Brand:       "visa",
		Email:       "ada@example.com",
		Address:     "192.0.2.0/24",
		Country:     "DE",
	}
	v, err := b.assessor.Assess(ctx, a)
	good(t, err)
	if v.Risk.Action != payment.Allow || v.Risk.Fingerprint != "f" || v.Risk.Basis != "no_model" || !v.FailOpen {
		t.Errorf("verdict %+v", v)
	}
	again, err := b.assessor.Assess(ctx, a)
	good(t, err)
	if !reflect.DeepEqual(again, v) {
		t.Errorf("asked again: %+v, first %+v", again, v)
	}
	p, err := b.assessor.Challenge(ctx, link.Link{ID: a.Link, Account: a.Account, Mode: a.Mode}, "attempt-0000000001", a.Address)
	good(t, err)
	if p.Bits != 0 {
		t.Errorf("a quiet link asks for work: %+v", p)
	}
}

// judge answers with a verdict that has no empty field, and records its requests.
type judge struct {
	asked   fraud.Attempt
	link    link.Link
	attempt string
	address string
}

func (j *judge) Assess(_ context.Context, a fraud.Attempt) (fraud.Verdict, error) {
	j.asked = a
	return filled[fraud.Verdict](), nil
}

func (j *judge) Challenge(_ context.Context, l link.Link, attempt, address string) (fraud.Puzzle, error) {
	j.link, j.attempt, j.address = l, attempt, address
	return filled[fraud.Puzzle](), nil
}

// TestEveryFieldOfAnAssessmentCrosses fails if a field of an attempt or a verdict is missing on
// the wire.
func TestEveryFieldOfAnAssessmentCrosses(t *testing.T) {
	w, j := newWorld(t), &judge{}
	c := credentials(t, keysFile(t), "")
	s := rpc.NewServer(rpc.ServerConfig{Credentials: c, Ready: w.store.Ping, Log: w.log, Tickets: w.tickets()})
	rpc.ServeAssessor(s, j)
	url, _ := listen(t, s, nil)
	far := w.clients(c, url)
	v, err := far.assessor.Assess(t.Context(), filled[fraud.Attempt]())
	good(t, err)
	if want := filled[fraud.Verdict](); !reflect.DeepEqual(v, want) {
		t.Errorf("verdict\n%+v\nwant\n%+v", v, want)
	}
	if want := filled[fraud.Attempt](); !reflect.DeepEqual(j.asked, want) {
		t.Errorf("asked\n%+v\nwant\n%+v", j.asked, want)
	}
	p, err := far.assessor.Challenge(t.Context(), filled[link.Link](), "attempt", "address")
	good(t, err)
	if want := filled[link.Link](); p != filled[fraud.Puzzle]() || !reflect.DeepEqual(j.link, want) || j.attempt != "attempt" ||
		j.address != "address" {
		t.Errorf("puzzle %+v of %+v", p, j)
	}
}
