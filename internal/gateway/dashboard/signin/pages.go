// Package signin is the pages for readers who are not signed in: sign-in, sign-up, and what
// the links in mails open.
package signin

import (
	"slices"

	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/merchant"
)

// Config of the pages; every field is needed.
type Config struct {
	Merchants merchant.Service
}

// Pages are the section's handlers. Make them with New.
type Pages struct {
	*frame.Frame
	Config
}

// New returns the section's pages in f.
func New(f *frame.Frame, c Config) *Pages { return &Pages{f, c} }

// Routes returns the section's pages and changes.
func (d *Pages) Routes() []frame.Route {
	return slices.Concat(d.signInRoutes(), d.doorRoutes())
}

// visit is a request for one of these pages.
type visit struct {
	*frame.Visit

	d *Pages
}

func (d *Pages) on(handle func(*Pages, *visit) error) func(*frame.Visit) error {
	return func(v *frame.Visit) error { return handle(d, &visit{v, d}) }
}
