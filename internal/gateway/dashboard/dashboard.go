// Package dashboard serves the merchant's dashboard: the signed-in pages under
// /dashboard, rendered on the server in the reader's language. It combines the sections,
// each a package below it, with one frame.
//
// It has no database. It reads and changes everything through the same services as the
// API, so a process that is only a gateway can serve it. Every page works without
// JavaScript. The scripts (ours and htmx, embedded) add comfort: new payments appear by
// themselves, values can be copied, times are short. GET and HEAD change nothing. A form
// carries an attempt id, minted by the page, which is recorded in the commit of the
// change. A form that is sent twice, or again because the process crashed before it
// answered, takes effect once (frame.Visit.Once).
//
// # Packages
//
//   - parts: the components of pages, from a button to a chart, without a request.
//   - frame: the layout, the menu and the request state (Visit); it says how a page is
//     declared.
//   - slip and risk: what several sections share about a payment, and about fraud.
//   - overview, payments, review, links, forms, protection, rules, webhooks, keys,
//     account and signin: the sections. A section imports the four above, and no other section.
//   - desktest: paylink behind its dashboard, for the sections' tests.
//
// # Adding a page
//
//  1. A route and its handler in the section where a merchant would look for it; a new
//     section is a package with an Entry, a Config, New and Routes, listed in New below.
//  2. Templates: page.templ, built from parts; `make generate`, and commit both files. Texts
//     come from parts.Say(ctx, "section.key", …), amounts and times from @parts.Sum and
//     @parts.When.
//  3. Catalog: internal/i18n/catalog/<language>/section.json, in every language.
//  4. Services that it needs: a field of the section's Config, set in New below from
//     Config, which is set in app/dashboard.go and in desktest.
//  5. A line for each page in the walk of TestDashboardAccessibility
//     (cmd/paylink/dashboard_test.go): every page is shown to axe-core, and pictured, in
//     light, dark, narrow and right-to-left.
package dashboard

import (
	"net/http"
	"slices"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/gateway/dashboard/account"
	"github.com/paylink/paylink/internal/gateway/dashboard/forms"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/keys"
	"github.com/paylink/paylink/internal/gateway/dashboard/links"
	"github.com/paylink/paylink/internal/gateway/dashboard/overview"
	"github.com/paylink/paylink/internal/gateway/dashboard/payments"
	"github.com/paylink/paylink/internal/gateway/dashboard/protection"
	"github.com/paylink/paylink/internal/gateway/dashboard/review"
	"github.com/paylink/paylink/internal/gateway/dashboard/rules"
	"github.com/paylink/paylink/internal/gateway/dashboard/signin"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/gateway/dashboard/webhooks"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
)

// Records are where the first responses to a form are kept, by the service whose commit
// makes the change.
type Records struct {
	Users, Links, Transactions, Webhooks, Fraud idempotency.Store
}

// Config has the services behind the dashboard. Every field is required. Each section takes
// those that it needs.
type Config struct {
	frame.Config

	Links        link.Service
	Forms        link.FormService
	FormPages    forms.PayerPages
	Payments     payment.Reader
	Reports      report.Service
	Transactions coordinator.Service
	Webhooks     notify.Service
	Fraud        fraud.Services
	Mail         mail.Service
	Connectors   []merchant.Connector
	Records      Records
}

// Dashboard has the sections on their frame. New returns one.
type Dashboard struct {
	frame  *frame.Frame
	routes []frame.Route
}

// menu is every entry, in order. The first is the first page of a reader who signs in.
var menu = []frame.Entry{
	overview.Overview, payments.Entry, review.Entry, links.Entry, forms.Entry, protection.Entry, overview.Balance,
	webhooks.Entry, keys.Entry,
	account.Methods, account.Settings, account.Notifications, account.Team, account.Activity, account.Security,
}

// New returns the dashboard. It fails if the public URL is not absolute.
func New(c Config) (*Dashboard, error) {
	f, err := frame.New(c.Config)
	if err != nil {
		return nil, err
	}

	desk := slip.Desk{Payments: c.Payments, Transactions: c.Transactions}
	reviews := review.New(f, review.Config{Desk: desk, Fraud: c.Fraud, Records: c.Records.Transactions})
	guard := protection.New(f, protection.Config{Fraud: c.Fraud, Payments: c.Payments, Records: c.Records.Fraud})
	return &Dashboard{f, slices.Concat(
		signin.New(f, signin.Config{Merchants: c.Merchants}).Routes(),
		overview.New(f, overview.Config{Payments: c.Payments, Reports: c.Reports}).Routes(),
		payments.New(f, payments.Config{Desk: desk, Reports: c.Reports, Links: c.Links, Records: c.Records.Transactions,
			Beside: payments.Beside{Risk: reviews.Risk, Step: reviews.Step, Listing: guard.Listing}}).Routes(),
		reviews.Routes(),
		links.New(
			f,
			links.Config{Links: c.Links, Payments: c.Payments, Mail: c.Mail, Connectors: c.Connectors, Records: c.Records.Links},
		).Routes(),
		forms.New(f, forms.Config{Forms: c.Forms, Payer: c.FormPages, Connectors: c.Connectors, Records: c.Records.Links}).Routes(),
		guard.Routes(),
		rules.New(f, rules.Config{Fraud: c.Fraud, Records: c.Records.Fraud}).Routes(),
		webhooks.New(f, webhooks.Config{Webhooks: c.Webhooks, Records: c.Records.Webhooks}).Routes(),
		keys.New(f, keys.Config{Merchants: c.Merchants, Records: c.Records.Users}).Routes(),
		account.New(f, account.Config{Merchants: c.Merchants, Mail: c.Mail, Connectors: c.Connectors}).Routes(),
	)}, nil
}

// Register adds the routes to mux.
func (d *Dashboard) Register(mux *http.ServeMux) { d.frame.Serve(mux, menu, d.routes) }
