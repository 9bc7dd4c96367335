package app

import (
	"time"

	"github.com/paylink/paylink/internal/gateway/dashboard"
	"github.com/paylink/paylink/internal/gateway/pages"
)

// newDashboard: the merchant's pages, on the services that the gateway calls
// anyway.
func (s *services) newDashboard(public *pages.Pages) (*dashboard.Dashboard, error) {
	return dashboard.New(dashboard.Config{Merchants: s.users, Links: s.links, Payments: s.payments, Reports: s.reports, Transactions: s.transactions, Webhooks: s.notifier, Fraud: s.fraud,
		Mail: s.mail, Forms: s.forms, FormPages: s.formPages(public),
		Connectors: known(), Seal: s.seal, Unseal: s.unseal, MAC: s.mac, Render: s.faces().Render,
		Records:   dashboard.Records{Users: s.records.Users, Links: s.records.Links, Transactions: s.records.Transactions, Webhooks: s.records.Webhooks, Fraud: s.records.Fraud},
		PublicURL: s.cfg.PublicURL, Now: time.Now, Log: s.log, Drain: s.drain})
}
