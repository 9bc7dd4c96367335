// Package overview serves the figures of the business beside those of the period before,
// and the funds of the account with the entries behind them.
package overview

import (
	"slices"

	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
)

// Overview is the menu's entry of the figures.
var Overview = frame.Entry{Key: "overview", Path: "/dashboard/{mode}/overview", Label: "common.overview", Icon: "chart"}

// Balance is the menu's entry of the funds.
var Balance = frame.Entry{Key: "balance", Path: "/dashboard/{mode}/balance", Label: "common.balance", Icon: "scale"}

// Config has the services of the pages. Every field is required.
type Config struct {
	Payments payment.Reader
	Reports  report.Service
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
	return slices.Concat(d.overviewRoutes(), d.balanceRoutes())
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
