package limit

import (
	"iter"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// The headers in which proxies name the client. forwarded is read only from proxies that do
// not send forwardedFor. realIP is not read, because it says nothing about who wrote it.
const (
	forwardedFor = "X-Forwarded-For"
	forwarded    = "Forwarded" // RFC 7239
	realIP       = "X-Real-Ip"
)

// stranger stands for every client whose address is reported in a form that cannot be read.
// All of them share one count: counting them as the proxy would leave them unlimited if it is
// on this machine. It is the dummy address of RFC 7600, which no client has.
var stranger = netip.AddrFrom4([4]byte{192, 0, 0, 8})

// client is whom a request is counted as.
type client struct {
	address netip.Addr
	// ours: the request comes from this machine and nobody forwarded it.
	ours bool
	// unreadable: a proxy reports the client in a form that cannot be read; address is
	// stranger.
	unreadable bool
	// untrusted: a proxy on this machine forwarded the request, and is not one of ours.
	untrusted bool
}

// clientOf returns the last hop that is not one of our proxies. Proxies append the address of
// their client, so everything to the left of the first foreign address from the right may be
// forged. A process on this machine that forwards requests is taken for a proxy even if it is
// not named, because otherwise all clients behind it would count as this machine.
func clientOf(r *http.Request, proxies []netip.Prefix) client {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return client{address: stranger, unreadable: true}
	}

	peer := plain(at.Addr())
	local, trusted := peer.IsLoopback(), within(proxies, peer)
	if !reported(r) || !local && !trusted {
		return client{address: peer, ours: local}
	}

	c := client{address: stranger, unreadable: true, untrusted: !trusted}
	for hop := range hops(r.Header) {
		a, ok := readHop(hop)
		if !ok {
			c.address, c.unreadable = stranger, true
			return c
		}
		c.address, c.unreadable = a, false
		if !within(proxies, a) {
			break
		}
	}

	if c.address.IsLoopback() { // claimed by a header: not this machine, which nothing counts
		c.address = stranger
	}
	return c
}

// hops yields the clients that proxies report, from the right, where the nearest one appends.
func hops(h http.Header) iter.Seq[string] {
	if values := h.Values(forwardedFor); len(values) > 0 {
		return fromRight(strings.Join(values, ","), ',')
	}
	return func(yield func(string) bool) {
		for element := range fromRight(strings.Join(h.Values(forwarded), ","), ',') {
			if !yield(forParameter(element)) {
				return
			}
		}
	}
}

// forParameter returns the client in an element of Forwarded, or "" if it names none.
func forParameter(element string) string {
	for pair := range fromRight(element, ';') {
		name, value, _ := strings.Cut(pair, "=")
		if strings.EqualFold(name, "for") {
			return value
		}
	}
	return ""
}

// fromRight yields the elements of a list without the empty ones, which mean nothing (RFC 9110,
// section 5.6.1). A separator in quotes separates nothing. It reads from the right because what
// our proxy appended is well formed, and what is to the left of it may not be.
func fromRight(list string, separator byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		end, quoted := len(list), false
		for i := len(list) - 1; i >= -1; i-- {
			switch {
			case i >= 0 && list[i] == '"':
				quoted = !quoted
			case i < 0 || list[i] == separator && !quoted:
				if element := strings.TrimSpace(list[i+1 : end]); element != "" && !yield(element) {
					return
				}
				end = i
			}
		}
	}
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
	return slices.ContainsFunc([]string{forwardedFor, forwarded, realIP}, func(name string) bool { return len(r.Header.Values(name)) > 0 })
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

// warn logs what makes limits by address unreliable, each once in the life of the process: a
// proxy on this machine that is not trusted, and clients whose address cannot be read.
func (g *Gate) warn(r *http.Request, c client) {
	if c.unreadable {
		g.unreadable.Do(func() {
			g.Log.WarnContext(
				r.Context(),
				"a client's address cannot be read; all such clients share one limit: the proxy must send it in "+forwardedFor,
				"from",
				r.RemoteAddr,
			)
		})
	}
	if c.untrusted {
		g.untrusted.Do(func() {
			g.Log.WarnContext(
				r.Context(),
				"requests come through a proxy on this machine that is not trusted; each counts under the last address in its header: "+
					"set --trusted-proxies 127.0.0.0/8,::1/128",
				"from",
				r.RemoteAddr,
			)
		})
	}
}
