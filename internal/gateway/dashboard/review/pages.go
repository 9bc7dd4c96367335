// Package review serves the queue of payments that wait for a person, what is known of a
// payment's risk, and disputes.
package review

import (
	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/payment"
)

// Entry is the section's entry in the menu.
var Entry = frame.Entry{Key: "review", Path: "/dashboard/{mode}/review", Label: "common.review", Icon: "flag"}

// Config has the services of the pages. Every field is required.
type Config struct {
	slip.Desk

	Fraud   fraud.Services
	Records idempotency.Store // of the transactions service
}

// Pages has the section's handlers. New returns one.
type Pages struct {
	*frame.Frame
	Config
}

// New returns the section's pages in f.
func New(f *frame.Frame, c Config) *Pages { return &Pages{f, c} }

// visit is a request for one of these pages.
type visit struct {
	*frame.Visit

	d *Pages
}

// on adapts a handler of this section to the frame.
func (d *Pages) on(handle func(*Pages, *visit) error) func(*frame.Visit) error {
	return func(v *frame.Visit) error { return handle(d, &visit{v, d}) }
}

// Risk returns what the page of a payment shows of its risk, its review and its disputes.
func (d *Pages) Risk(v *frame.Visit, p payment.Payment) templ.Component {
	return deskPart((&visit{v, d}).deskView(p))
}

// Step describes an entry of a payment's log about risk, review or disputes. before is the
// entry before it.
func (d *Pages) Step(v *frame.Visit, before, e payment.Entry) (words, tone, icon string) {
	return (&visit{v, d}).deskStep(before, e)
}
