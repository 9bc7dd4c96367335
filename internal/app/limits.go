package app

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylink/paylink/internal/gateway/limit"
)

// checkLimits names what is wrong with the limits of the gateway.
func (c Config) checkLimits(say func(format string, args ...any)) {
	if _, err := limit.Parse(c.Limits); err != nil {
		say("--limit %v", err)
	}
	if c.LimitStore != "" {
		if _, err := limit.OpenRedis(c.LimitStore); err != nil {
			say("--limit-store %q: %v", scheme(c.LimitStore), err)
		}
	}
	if c.CountryHeader != "" && len(c.TrustedProxies) == 0 {
		say("--country-header %q: it is believed from a proxy alone, and --trusted-proxies names none", c.CountryHeader)
	}
	for _, p := range c.TrustedProxies {
		if _, err := limit.Network(p); err != nil {
			say("--trusted-proxies %q: want a network, such as 10.0.0.0/8", p)
		}
	}
}

// openGate makes what bounds how often somebody may ask the gateway.
func (s *services) openGate(refuse func(http.ResponseWriter, *http.Request, error)) (*limit.Gate, error) {
	policies, err := limit.Parse(s.cfg.Limits)
	if err != nil {
		return nil, err
	}
	var client *redis.Client
	if s.cfg.LimitStore != "" {
		if client, err = limit.OpenRedis(s.cfg.LimitStore); err != nil {
			return nil, err
		}
		s.closers = append(s.closers, client.Close)
	}
	var proxies []netip.Prefix
	for _, p := range s.cfg.TrustedProxies {
		network, err := limit.Network(p)
		if err != nil {
			return nil, err
		}
		proxies = append(proxies, network)
	}
	return limit.New(limit.Config{Policies: policies, Redis: client, Proxies: proxies, CountryHeader: s.cfg.CountryHeader, MAC: s.mac, Refuse: refuse,
		Limited: s.metrics.Limited, Now: time.Now, Log: s.log})
}
