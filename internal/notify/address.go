package notify

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/spelling"
)

// refused are the ranges that look like public addresses and are not: the IANA special-purpose
// registries (RFC 6890 and its updates), every IPv6 form that embeds an IPv4 address, and
// metadata services.
var refused = prefixes(
	"0.0.0.0/8",         // this network
	"10.0.0.0/8",        // private, RFC 1918
	"100.64.0.0/10",     // carrier-grade NAT, RFC 6598
	"127.0.0.0/8",       // loopback
	"168.63.129.16/32",  // Azure's host agent
	"169.254.0.0/16",    // link-local, with most metadata services
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocol assignments, RFC 6890
	"192.0.2.0/24",      // documentation
	"192.88.99.0/24",    // 6to4 relays, RFC 7526
	"192.168.0.0/16",    // private
	"198.18.0.0/15",     // benchmarks, RFC 2544
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/3",       // multicast, reserved, broadcast
	"2001::/23",         // protocol assignments: Teredo, benchmarks, ORCHID
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation, RFC 9637
)

// global is the range from which IPv6 addresses of hosts are assigned (RFC 4291). Everything
// else — loopback, IPv4-mapped, NAT64, unique local, link-local, multicast — is outside it.
var global = netip.MustParsePrefix("2000::/3")

// prefixes parses ranges that are written in the source, and panics on a wrong one.
func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, s := range all {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// PublicAddress reports whether a is a unicast address of the public internet. An IPv6 address
// that embeds an IPv4 one is not.
func PublicAddress(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" || a.Is4In6() || (a.Is6() && !global.Contains(a)) {
		return false
	}
	return !slices.ContainsFunc(refused, func(p netip.Prefix) bool { return p.Contains(a) })
}

// checkURL checks an endpoint's URL, and returns it in its one spelling, with its host in
// ASCII. The faults name the rule that it breaks. A host name is resolved only when
// something is sent, and then the exact address connected to is checked, so a name that
// changes its address later gains nothing.
func checkURL(raw string, allowPrivate bool) (string, *fault.Error) {
	if err := issuer.NoNumber("url", raw); err != nil {
		return "", fault.From(err)
	}
	spelled, u, err := spelling.URL(raw)
	switch {
	case raw == "":
		return "", fault.Invalid("url", "parameter_missing", "url is required.")
	case utf8.RuneCountInString(raw) > MaxURLCharacters || utf8.RuneCountInString(spelled) > MaxURLCharacters:
		return "", fault.Invalid("url", "url_too_long", "url must be at most %d characters.", MaxURLCharacters)
	case !utf8.ValidString(raw) || strings.ContainsFunc(raw, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return "", fault.Invalid("url", "url_invalid", "url must not contain spaces or control characters.")
	case errors.Is(err, spelling.ErrPort):
		return "", fault.Invalid("url", "url_invalid", "The port of url must be 1 to 65535; omit it for 443.")
	case errors.Is(err, spelling.ErrHost):
		return "", fault.Invalid(
			"url",
			"url_invalid",
			"The host of url must be a host name or an IP address, without empty labels, a trailing dot, or characters other than letters, digits and hyphens: https://example.com/hooks.",
		)
	case err != nil:
		return "", fault.Invalid("url", "url_invalid", "url must be absolute, with a host: https://example.com/hooks.")
	case u.Scheme != "https" && (u.Scheme != "http" || !allowPrivate):
		return "", fault.Invalid("url", "url_not_https", "url must begin with https://.")
	case u.User != nil:
		return "", fault.Invalid("url", "url_has_credentials", "url must not contain a user name or password; verify the signature instead.")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return "", fault.Invalid("url", "url_has_fragment", "url must not have a fragment: it would not be sent.")
	}

	// An address in place of a name is checked at once. With allowPrivate, for development,
	// neither https nor a public address is required.
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !allowPrivate && !PublicAddress(a) {
		return "", fault.Invalid("url", "url_not_public", "url must name a host on the public internet.")
	}

	return spelled, nil
}

// checkEvents returns the subscription without repetitions. A list that contains "*"
// becomes just that. It refuses an empty list, because a person who cleared it may have
// meant nothing or everything.
func checkEvents(events []string) ([]string, *fault.Error) {
	known := EventTypes()
	if len(events) == 0 {
		return nil, fault.Invalid(
			"events",
			"events_missing",
			`events must name at least one event type, or "*" for all. To stop deliveries, disable or delete the endpoint.`,
		)
	}

	var out []string
	for _, t := range events {
		if t == All {
			return []string{All}, checkKnown(events, known)
		}
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}

	return out, checkKnown(events, known)
}

// checkKnown returns too_many_events for a list that is longer than all types together, and
// event_type_unknown for the first type that does not exist.
func checkKnown(events, known []string) *fault.Error {
	if len(events) > len(known)+1 {
		return fault.Invalid("events", "too_many_events", "events must have at most %d entries.", len(known)+1)
	}

	for _, t := range events {
		if t != All && !slices.Contains(known, t) {
			return unknownType("events", t, known)
		}
	}

	return nil
}

// unknownType returns the fault for a type that does not exist. It lists those that do.
func unknownType(param, t string, known []string) *fault.Error {
	return fault.Invalid(param, "event_type_unknown", "Unknown event type %.60q; the types are: %s.", t, strings.Join(known, ", "))
}
