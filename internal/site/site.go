// Package site knows the public address of an installation: where payers and merchants reach
// it, and the path under which a proxy may serve it. It makes every address that leaves, so
// that each one leads back through the same proxy.
package site

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/paylink/paylink/internal/spelling"
)

// MaxBytes bounds the public address: it is in every link, and a QR code holds a link.
const MaxBytes = 512

// Site is a public address. The zero value has none: Below returns paths as they are.
type Site struct {
	origin string // scheme://host[:port], as browsers send it in Origin
	path   string // "" or /a/b, without a slash at the end
}

const form = "want https://HOST[:PORT][/PATH]"

// segment is one part of a path that needs no escaping anywhere: in a cookie, a header, a
// policy, JSON or HTML.
var segment = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)

// Parse returns the site of a public address as browsers write it: scheme and host in lower
// case, the host in ASCII, no default port, no dot or slash at the end. It refuses what no
// browser could open, or what must not be in every link. The error names the rule and never
// repeats a password.
func Parse(raw string) (Site, error) {
	u, err := url.Parse(raw)
	switch {
	case len(raw) > MaxBytes:
		return Site{}, fmt.Errorf("must be at most %d bytes: it is part of every link", MaxBytes)
	case err != nil:
		return Site{}, errors.New("not a URL: " + form)
	case u.User != nil:
		return Site{}, errors.New("must not contain a user name or password, which every link would show: " + form)
	}
	scheme := strings.ToLower(u.Scheme)
	if (scheme != "http" && scheme != "https") || u.Host == "" || u.Opaque != "" {
		return Site{}, fmt.Errorf("%q: %s", raw, form)
	}
	if u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#") {
		return Site{}, fmt.Errorf("%q: must not contain ? or #: %s", raw, form)
	}
	host, err := hostOf(u.Hostname(), strings.HasPrefix(u.Host, "["))
	if err != nil {
		return Site{}, fmt.Errorf("%q: %w", raw, err)
	}
	port, err := portOf(u.Port(), scheme)
	if err != nil {
		return Site{}, fmt.Errorf("%q: %w", raw, err)
	}
	below, err := pathOf(u)
	if err != nil {
		return Site{}, fmt.Errorf("%q: %w", raw, err)
	}
	return Site{origin: scheme + "://" + host + port, path: below}, nil
}

// hostOf returns a name in ASCII, or an address as browsers write it.
func hostOf(name string, bracketed bool) (string, error) {
	if ip, err := netip.ParseAddr(name); err == nil {
		switch {
		case ip.Zone() != "":
			return "", errors.New("an address with a zone works on one machine only: use the host that payers reach")
		case ip.IsUnspecified():
			return "", fmt.Errorf("%s means every address of a machine and cannot be reached: use the host that payers reach", ip)
		case ip.Is6():
			return "[" + ip.String() + "]", nil
		}
		return ip.String(), nil
	}
	host, err := spelling.Host(strings.TrimSuffix(name, "."))
	if err != nil || bracketed {
		return "", errors.New("the host is not a valid DNS name: use the one that payers reach, such as pay.example.com")
	}
	// Browsers read a host whose last label is a number as an IPv4 address (WHATWG URL).
	last := host[strings.LastIndexByte(host, '.')+1:]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil {
		return "", errors.New("the host is a number, but not an IPv4 address: write four numbers, such as 192.0.2.7")
	}
	return host, nil
}

// portOf returns a port with its colon; "" for the scheme's own.
func portOf(port, scheme string) (string, error) {
	if port == "" {
		return "", nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("the port is %s: want 1 to 65535, or none for the default", port)
	}
	if (scheme == "https" && n == 443) || (scheme == "http" && n == 80) {
		return "", nil
	}
	return ":" + strconv.FormatUint(n, 10), nil
}

func pathOf(u *url.URL) (string, error) {
	trimmed := strings.TrimRight(u.EscapedPath(), "/")
	if trimmed == "" {
		return "", nil
	}
	if clean := path.Clean(trimmed); clean != trimmed {
		return "", fmt.Errorf("browsers would change its path: use %s", u.Scheme+"://"+u.Host+strings.TrimRight(clean, "/"))
	}
	for part := range strings.SplitSeq(trimmed[1:], "/") {
		if !segment.MatchString(part) {
			return "", errors.New("its path may contain only letters A-Z, digits, and . _ ~ - between slashes")
		}
	}
	return trimmed, nil
}

// Listener returns the address at which a listener is reached if no public one is configured:
// plain http.
func Listener(address string) Site { return Site{origin: "http://" + address} }

// Everywhere reports whether a listener at HOST:PORT accepts connections on every address of
// its machine, so that no single one follows from it.
func Everywhere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "" || (err == nil && ip.IsUnspecified())
}

// Loopback reports whether a listener at HOST:PORT accepts only connections of its own machine.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && ip.IsLoopback())
}

// Names returns the hosts that requests to the site may name, without ports: its own, those that
// are allowed besides, and those of this machine if it is reached there. nil means any host.
func (s Site) Names(listen string, allowed []string) ([]string, error) {
	names := []string{s.Host()}
	for _, name := range allowed {
		if name == "*" {
			return nil, nil
		}
		host, err := hostOf(strings.Trim(name, "[]"), false)
		if err != nil {
			return nil, fmt.Errorf("%q: want a host without a port, such as pay.internal: %w", name, err)
		}
		names = append(names, strings.Trim(host, "[]"))
	}
	if Loopback(listen) || Loopback(net.JoinHostPort(s.Host(), "0")) {
		names = append(names, "localhost", "127.0.0.1", "::1")
	}
	return names, nil
}

// String returns the whole address, without a slash at the end.
func (s Site) String() string { return s.origin + s.path }

// Origin returns scheme and host, as browsers send them in Origin.
func (s Site) Origin() string { return s.origin }

// Host returns the host, without port and brackets.
func (s Site) Host() string {
	_, host, _ := strings.Cut(s.origin, "://")
	return HostName(host)
}

// HostName returns the host in a Host header in lower case, without port, brackets and the dot at the
// end.
func HostName(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		header = host
	}
	header = strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
	return strings.ToLower(strings.TrimSuffix(header, "."))
}

// Path returns the path of the site; "" at the root of the host.
func (s Site) Path() string { return s.path }

// Secure reports whether the site is reached by https.
func (s Site) Secure() bool { return strings.HasPrefix(s.origin, "https:") }

// Below returns one of our paths, which begins with a slash, as it is on the public host.
func (s Site) Below(own string) string { return s.path + own }

// URL returns the whole address of one of our paths, which begins with a slash.
func (s Site) URL(own string) string { return s.origin + s.path + own }

// CookiePath returns the path of cookies: other programs on the same host, outside the site's
// path, must not receive them.
func (s Site) CookiePath() string { return s.path + "/" }

// Own returns a request's path without the site's path. A proxy may remove the site's path or
// keep it: ours reports whether a path already names one of our handlers.
func (s Site) Own(requested string, ours func(path string) bool) string {
	if s.path == "" || ours(requested) {
		return requested
	}
	rest, ok := strings.CutPrefix(requested, s.path)
	switch {
	case ok && rest == "":
		return "/"
	case ok && rest[0] == '/':
		return rest
	}
	return requested
}

type key struct{}

// With returns a context with the site, for answers that are written where nothing else is
// known.
func With(ctx context.Context, s Site) context.Context { return context.WithValue(ctx, key{}, s) }

// Of returns the site in ctx, or the zero Site.
func Of(ctx context.Context) Site {
	s, _ := ctx.Value(key{}).(Site)
	return s
}
