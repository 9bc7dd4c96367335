// Package webhooks serves the endpoints that receive events, what was delivered to each,
// and how deliveries are sent again.
package webhooks

import (
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
)

// Entry is the section's entry in the menu.
var Entry = frame.Entry{
	Key:   "webhooks",
	Path:  "/dashboard/{mode}/webhooks",
	Label: "common.webhooks",
	Icon:  "bell",
	Group: frame.Developers,
}

// Config has the services of the pages. Every field is required.
type Config struct {
	Webhooks notify.Service
	Records  idempotency.Store // of the webhooks service
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
