// Package signin serves the pages for readers who are not signed in: sign-in, sign-up, and
// the targets of links in emails.
package signin

import (
	"slices"

	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/merchant"
)

// Config has the services of the pages. Every field is required.
type Config struct {
	Merchants merchant.Service
}

// Pages has the section's handlers. New returns one.
type Pages struct {
	*frame.Frame
	Config
}

// New returns the section's pages in f.
func New(f *frame.Frame, c Config) *Pages { return &Pages{f, c} }

// Routes returns the section's pages and changes.
func (d *Pages) Routes() []frame.Route {
	return slices.Concat(d.signInRoutes(), d.signUpRoutes())
}

// visit is a request for one of these pages.
type visit struct {
	*frame.Visit

	d *Pages
}

// on adapts a handler of this section to the frame.
func (d *Pages) on(handle func(*Pages, *visit) error) func(*frame.Visit) error {
	return func(v *frame.Visit) error { return handle(d, &visit{v, d}) }
}
