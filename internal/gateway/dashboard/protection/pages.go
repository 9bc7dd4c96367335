// Package protection serves the pages against fraud besides the rules: figures, lists, the
// policy and the models.
package protection

import (
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/payment"
)

// Entry is the entry of all pages about fraud in the menu.
var Entry = frame.Entry{Key: "fraud", Path: "/dashboard/{mode}/fraud", Label: "common.fraud", Icon: "shield"}

// Config has the services of the pages. Every field is required.
type Config struct {
	Fraud    fraud.Services
	Payments payment.Reader
	Records  idempotency.Store // of the fraud service
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
