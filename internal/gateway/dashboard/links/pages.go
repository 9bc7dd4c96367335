// Package links serves the list of payment links, the page of one, and how one is made and
// sent.
package links

import (
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/payment"
)

// Entry is the section's entry in the menu.
var Entry = frame.Entry{Key: "links", Path: "/dashboard/{mode}/links", Label: "common.links", Icon: "link"}

// Config has the services of the pages. Every field is required.
type Config struct {
	Links      link.Service
	Payments   payment.Reader
	Mail       mail.Service
	Connectors []merchant.Connector
	Records    idempotency.Store // of the links service
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
