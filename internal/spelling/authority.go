package spelling

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Errors of URL, in addition to ErrHost.
var (
	ErrURL  = errors.New("not an absolute URL")
	ErrPort = errors.New("not a port")
)

const maxPort = 1<<16 - 1

// URL returns an absolute URL with its scheme in lower case and its host as Host returns it, so
// that it leads where a browser would go: "HTTPS://Bücher.example/a" is
// "https://xn--bcher-kva.example/a". What comes after the host and port stays as it was typed.
// A host may also be an IP address, IPv6 in brackets and without a zone; a port is 1 to 65535.
// The errors are ErrURL, ErrHost and ErrPort.
func URL(raw string) (string, *url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Opaque != "" {
		// A port out of range is a number, so Parse accepts it; one with letters is not.
		return "", nil, ErrURL
	}
	host, err := Authority(u.Host)
	if err != nil {
		return "", nil, err
	}
	_, rest, _ := strings.Cut(raw, "://")
	after := ""
	if at := strings.IndexAny(rest, "/?#"); at >= 0 {
		after = rest[at:]
	}
	u.Host = host
	spelled := u.Scheme + "://" + host + after
	if u.User != nil {
		spelled = u.Scheme + "://" + u.User.String() + "@" + host + after
	}
	return spelled, u, nil
}

// Authority returns a host with its port, if it has one: the host as Host returns it or an IP
// address, the port without leading zeros. The errors are ErrHost and ErrPort.
func Authority(s string) (string, error) {
	host, port, hasPort := s, "", false
	if at := strings.LastIndexByte(s, ':'); at >= 0 && !strings.HasSuffix(s, "]") {
		host, port, hasPort = s[:at], s[at+1:], true
	}
	spelled, err := hostOrAddress(host)
	if err != nil || !hasPort || port == "" {
		return spelled, err
	}
	n, err := strconv.ParseUint(port, 10, 32)
	if err != nil || n < 1 || n > maxPort {
		return "", ErrPort
	}
	return spelled + ":" + strconv.FormatUint(n, 10), nil
}

// hostOrAddress returns a host in its one spelling. Browsers and some resolvers would read a
// name whose last label is a number as an IPv4 address (WHATWG URL, "ends in a number"), so it
// must be one in the usual form.
func hostOrAddress(s string) (string, error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !strings.HasSuffix(inner, "]") || !a.Is6() || a.Zone() != "" {
			return "", ErrHost
		}
		return "[" + a.String() + "]", nil
	}
	host, err := Host(s)
	if err != nil {
		return "", err
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" {
		if a, err := netip.ParseAddr(host); err != nil || !a.Is4() {
			return "", ErrHost
		}
	}
	return host, nil
}
