// Package account serves the settings of the account and the user: payment methods, time
// zone, notifications, the team, sign-in, and who did what.
package account

import (
	"slices"

	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/merchant"
)

// Methods is the menu's entry of the payment methods.
var Methods = frame.Entry{Key: "methods", Path: "/dashboard/account/methods", Label: "common.methods", Icon: "bank", Group: frame.Account}

// Settings is the menu's entry of the settings.
var Settings = frame.Entry{
	Key:   "settings",
	Path:  "/dashboard/account/settings",
	Label: "account.settings",
	Icon:  "clock",
	Group: frame.Account,
}

// Notifications is the menu's entry of the notifications.
var Notifications = frame.Entry{
	Key:   "notifications",
	Path:  "/dashboard/account/notifications",
	Label: "common.notifications",
	Icon:  "mail",
	Group: frame.Account,
}

// Team is the menu's entry of the team.
var Team = frame.Entry{
	Key:   "team",
	Path:  "/dashboard/account/invitations",
	Label: "common.invitations",
	Icon:  "people",
	Group: frame.Account,
}

// Security is the menu's entry of how the user signs in.
var Security = frame.Entry{
	Key:   "security",
	Path:  "/dashboard/account/security",
	Label: "common.security",
	Icon:  "lock",
	Group: frame.Account,
}

// Config has the services of the pages. Every field is required.
type Config struct {
	Merchants  merchant.Service
	Mail       mail.Service
	Connectors []merchant.Connector
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
	return slices.Concat(d.securityRoutes(), d.teamRoutes(), d.settingsRoutes(), d.methodRoutes(), d.notificationRoutes(),
		d.activityRoutes())
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
