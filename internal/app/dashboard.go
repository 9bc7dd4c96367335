package app

import (
	"time"

	"github.com/paylink/paylink/internal/gateway/dashboard"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/pages"
)

// newDashboard returns the merchant's pages, on the services that the gateway calls anyway.
func (s *services) newDashboard(public *pages.Pages) (*dashboard.Dashboard, error) {
	// The dashboard has no path of its own to the data: it calls the same services as the API.
	return dashboard.New(dashboard.Config{
		Config: frame.Config{
			Merchants: s.users,
			Seal:      s.seal,
			Unseal:    s.unseal,
			MAC:       s.mac(),
			PublicURL: s.cfg.PublicURL,
			Now:       time.Now,
			Log:       s.log,
			Render:    s.faces().Render,
		},
		Links: s.links, Forms: s.forms, FormPages: s.formPages(public), Payments: s.payments, Reports: s.reports, Transactions: s.transactions,
		Webhooks: s.notifier, Fraud: s.fraud, Mail: s.mail, Connectors: known(),
		Records: dashboard.Records{Users: s.records.Users, Links: s.records.Links, Transactions: s.records.Transactions,
			Webhooks: s.records.Webhooks, Fraud: s.records.Fraud},
	})
}
