package frame

import (
	"slices"
	"time"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/money"
)

// Methods returns the account's payment methods as a link needs them. A method whose
// connector is not among the known ones is disabled.
func (v *Visit) Methods(known []merchant.Connector) []link.Method {
	out := make([]link.Method, 0, len(v.Account.Methods))
	for _, m := range v.Account.Methods {
		k := link.Method{ID: m.ID, Type: m.Type, Issuer: m.Issuer, Currencies: m.Currencies}
		for _, c := range known {
			if c.Name == m.Issuer {
				k.Enabled, k.MinMinor, k.MaxMinor, k.Test = m.Enabled, c.Capabilities.MinMinor, c.Capabilities.MaxMinor, c.Capabilities.Test
			}
		}
		out = append(out, k)
	}
	return out
}

// LinkCurrencies returns the currencies in which a link of this mode can be paid, in the
// order of the methods.
func (v *Visit) LinkCurrencies(known []merchant.Connector) []money.Currency {
	var out []money.Currency
	for _, m := range v.Methods(known) {
		if !m.Enabled || m.Test != (v.Mode == link.Test) {
			continue
		}
		for _, c := range m.Currencies {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// life is a lifetime of a new link, with its text in the catalog.
type life struct {
	After time.Duration
	Key   string
}

// Lives are the lifetimes to choose from.
var Lives = []life{{time.Hour, "links.life.hour"}, {24 * time.Hour, "links.life.day"}, {7 * 24 * time.Hour, "links.life.week"},
	{30 * 24 * time.Hour, "links.life.month"}, {90 * 24 * time.Hour, "links.life.quarter"}, {link.MaxLife, "links.life.most"}}
