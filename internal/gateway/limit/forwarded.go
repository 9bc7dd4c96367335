package limit

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwardedFor is the header in which proxies name the client.
const forwardedFor = "X-Forwarded-For"

// stranger stands for every client whose address a trusted proxy reports in a form
// that cannot be read. All of them share one count: counting them as the proxy
// would leave them unlimited if it is on this machine. It is the dummy address of
// RFC 7600, which no client has.
var stranger = netip.AddrFrom4([4]byte{192, 0, 0, 8})

// clientAddress returns the last hop that is not one of our proxies. Proxies append the
// address of their client, so everything to the left of the first foreign address from
// the right may be forged. ok is false if one of our proxies reports a client address
// that cannot be read; the address is then stranger.
func clientAddress(r *http.Request, proxies []netip.Prefix) (a netip.Addr, ok bool) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return stranger, false
	}

	a = plain(at.Addr())
	if !within(proxies, a) {
		return a, true
	}

	values := r.Header.Values(forwardedFor)
	if len(values) == 0 {
		if reported(r) { // in a header that clients could write as well
			return stranger, false
		}
		return a, true // a request of the proxy's own machine
	}

	named := false
	hops := strings.Split(strings.Join(values, ","), ",")
	for _, hop := range slices.Backward(hops) {
		if hop = strings.TrimSpace(hop); hop == "" {
			continue // an empty element of a list is none (RFC 9110, section 5.6.1)
		}
		if a, ok = readHop(hop); !ok {
			return stranger, false
		}
		named = true
		if !within(proxies, a) {
			break
		}
	}

	if !named {
		return stranger, false
	}

	return a, true
}

// readHop reads an address as proxies write it: with or without a port, an IPv6
// address with or without brackets, either of them in quotes (RFC 7239, section 4).
func readHop(s string) (netip.Addr, bool) {
	if n := len(s); n >= 2 && s[0] == '"' && s[n-1] == '"' {
		s = strings.TrimSpace(s[1 : n-1])
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return plain(a), true
	}

	host := s
	if inner, ok := strings.CutSuffix(s, "]"); ok {
		if host, ok = strings.CutPrefix(inner, "["); !ok {
			return netip.Addr{}, false
		}
	} else if h, _, err := net.SplitHostPort(s); err == nil {
		host = h
	}
	a, err := netip.ParseAddr(host)
	return plain(a), err == nil
}

// reported reports whether a request names a client in a header that proxies use.
func reported(r *http.Request) bool {
	return slices.ContainsFunc(
		[]string{forwardedFor, "Forwarded", "X-Real-Ip"},
		func(name string) bool { return len(r.Header.Values(name)) > 0 },
	)
}

// plain returns an address in canonical form: IPv4 as IPv4, without a zone.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// within reports whether one of the networks contains the address.
func within(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Network reads a network such as 10.0.0.0/8. An IPv4 network in IPv6 notation becomes
// IPv4, which is how addresses are compared.
func Network(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, err
	}
	const mapped = 96
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped).Masked(), nil
	}
	return p, nil
}

// warn logs what makes limits by address useless, each once in the life of the process:
// a proxy on this machine that is not trusted, and a trusted one whose client addresses
// cannot be read.
func (g *Gate) warn(r *http.Request, readable bool) {
	if !readable {
		g.unreadable.Do(func() {
			g.Log.WarnContext(
				r.Context(),
				"a client's address cannot be read; all such clients share one limit: the proxy must send it in "+forwardedFor,
				"from",
				r.RemoteAddr,
			)
		})
		return
	}

	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !reported(r) || !plain(at.Addr()).IsLoopback() || within(g.Proxies, plain(at.Addr())) {
		return
	}

	g.untrusted.Do(func() {
		g.Log.WarnContext(
			r.Context(),
			"requests come through a proxy on this machine that is not trusted, so no limit by address applies: set --trusted-proxies 127.0.0.0/8,::1/128",
			"from",
			r.RemoteAddr,
		)
	})
}
