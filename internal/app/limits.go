package app

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/net/http/httpguts"

	"github.com/paylink/paylink/internal/gateway/limit"
	"github.com/paylink/paylink/internal/site"
)

// checkLimits returns the problems of the gateway's rate limits.
func (c Config) checkLimits(say func(format string, args ...any)) {
	if _, err := limit.Parse(c.Limits); err != nil {
		say("--limit %v", err)
	}

	if c.LimitStore != "" {
		if _, err := limit.OpenRedis(c.LimitStore); err != nil {
			say("--limit-store %q: %v", scheme(c.LimitStore), err)
		}
	}
	// The country comes from a proxy as well, so it is checked beside the proxies.
	c.checkCountry(say)

	// Each network is checked by itself, and the message says how to write it.
	for _, p := range c.TrustedProxies {
		network, err := netip.ParsePrefix(p)
		address, single := netip.ParseAddr(p)
		switch {
		case single == nil && address.Zone() == "":
			say("--trusted-proxies %q: want a network; write %s for this one address", p, netip.PrefixFrom(address, address.BitLen()))
		case err != nil:
			say("--trusted-proxies %q: want a network, such as 10.0.0.0/8", p)
		case network.Bits() == 0:
			say("--trusted-proxies %q: this trusts every client's claim about its address; give the networks of your proxies", p)
		case network.Addr().Is4In6():
			say("--trusted-proxies %q: write the network in IPv4, such as 10.0.0.0/8", p)
		}
	}
}

// Warnings returns what is allowed but probably a mistake, each as one line.
func (c Config) Warnings() []string {
	public, err := c.publicSite()
	if err != nil || !public.Secure() || !c.runs("gateway") || len(c.TrustedProxies) > 0 || !site.Loopback(c.Listen) {
		return nil
	}
	return []string{fmt.Sprintf(
		"--trusted-proxies is empty, although a proxy on this machine must terminate TLS: --public-url is https and --listen %q accepts only "+
			"connections of this machine; name it: 127.0.0.0/8,::1/128", c.Listen)}
}

// askedFor lists headers that requests need for other purposes. Removing one for everyone but a
// proxy would break them.
var askedFor = []string{
	"Authorization",
	"Cookie",
	"Content-Type",
	"Content-Length",
	"Host",
	"Origin",
	"Accept",
	"Accept-Encoding",
	"Accept-Language",
	"Idempotency-Key",
	"Last-Event-Id",
	"Sec-Fetch-Site",
	"User-Agent",
	"X-Forwarded-For",
}

// checkCountry validates the header that names the payer's country. It is trusted only from a
// proxy, so it needs --trusted-proxies.
func (c Config) checkCountry(say func(format string, args ...any)) {
	switch {
	case c.CountryHeader == "":
	case !httpguts.ValidHeaderFieldName(c.CountryHeader):
		say("--country-header %q: want the name of a header, such as CF-IPCountry", c.CountryHeader)
	case slices.Contains(askedFor, http.CanonicalHeaderKey(c.CountryHeader)):
		say(
			"--country-header %q: this header has another purpose in requests; want one that your proxy sets, such as CF-IPCountry",
			c.CountryHeader,
		)
	case len(c.TrustedProxies) == 0:
		say("--country-header %q: the header is trusted only from proxies, and --trusted-proxies is empty", c.CountryHeader)
	}
}

// openGate creates the gateway's rate limits. With --limit-store the gateways share their counters
// in Redis. refuse answers a request that is over a limit.
func (s *services) openGate(refuse func(http.ResponseWriter, *http.Request, error)) (*limit.Gate, error) {
	policies, err := limit.Parse(s.cfg.Limits)
	if err != nil {
		return nil, err
	}

	// Without a shared store each gateway counts for itself.
	var client *redis.Client
	if s.cfg.LimitStore != "" {
		if client, err = limit.OpenRedis(s.cfg.LimitStore); err != nil {
			return nil, err
		}
		s.closers = append(s.closers, client.Close)
	}

	// The addresses of proxies decide whose X-Forwarded-For is trusted.
	var proxies []netip.Prefix
	for _, p := range s.cfg.TrustedProxies {
		network, err := limit.Network(p)
		if err != nil {
			return nil, err
		}
		proxies = append(proxies, network)
	}

	return limit.New(
		limit.Config{Policies: policies, Redis: client, Proxies: proxies, CountryHeader: s.cfg.CountryHeader, MAC: s.mac().Tag, Refuse: refuse,
			Limited: s.metrics.Limited, Now: time.Now, Log: s.log},
	)
}
