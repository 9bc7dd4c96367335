// Package payments is the list of payments, the page of one, and what a merchant does
// with its money: capture, void and refund.
package payments

import (
	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
)

// Entry is the section's entry in the menu.
var Entry = frame.Entry{Key: "payments", Path: "/dashboard/{mode}/payments", Label: "common.payments", Icon: "card"}

// Config has the services of the pages. Every field is required.
type Config struct {
	slip.Desk

	Reports report.Service
	Links   link.Service
	Records idempotency.Store // of the transactions service
	Beside  Beside
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

func (d *Pages) on(handle func(*Pages, *visit) error) func(*frame.Visit) error {
	return func(v *frame.Visit) error { return handle(d, &visit{v, d}) }
}

// Beside is what other sections show on the page of a payment.
type Beside struct {
	// Risk is its risk, its review and its disputes.
	Risk func(*frame.Visit, payment.Payment) templ.Component
	// Step describes an entry of the log about those; before is the entry before it.
	Step func(v *frame.Visit, before, e payment.Entry) (words, tone, icon string)
	// Listing leads to the lists that something of the payment can be put on.
	Listing func(*frame.Visit, payment.Payment) []parts.Button
}
