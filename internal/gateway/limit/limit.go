// Package limit limits the rate of requests with the generic cell rate algorithm: an
// average rate, and a burst.
//
// Every request is counted under each policy that applies to it. The first policy that
// is used up refuses it with 429, Retry-After, RateLimit and RateLimit-Policy (IETF
// draft-ietf-httpapi-ratelimit-headers) before any store is read. Counts are kept in
// this process, or in Redis, which all gateways share. While Redis does not answer,
// each process counts for itself and logs a warning.
//
// Clients are distinguished by address prefix (a whole IPv4 address, or the /56 of an
// IPv6 one, which belongs to one customer), by credential, by link, and, once the API
// knows it, by account. A request from the loopback has no address unless a proxy
// forwarded it, trusted or not. Clients whose address cannot be read share one.
package limit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Policy is a limit: Count requests per Per, and Burst at once.
type Policy struct {
	Name  string
	Count int
	Per   time.Duration
	Burst int
}

// The policies.
const (
	Address = "address" // all requests from one address
	SignIn  = "sign-in" // tries to sign in, from one address
	SignUp  = "sign-up" // new accounts and emails with secrets, from one address
	Pay     = "pay"     // tries to pay one link, from one address
	Link    = "link"    // tries to pay one link, from all addresses
	Key     = "key"     // calls with one credential
	Account = "account" // calls for one account
)

// Defaults are the policies that apply without configuration. docs/operate/limits.md
// lists them.
func Defaults() []Policy {
	return []Policy{
		{Address, 100, time.Second, 300},
		{SignIn, 10, time.Minute, 20},
		{SignUp, 20, time.Hour, 20},
		{Pay, 10, time.Minute, 20},
		{Link, 100, time.Second, 300},
		{Key, 10_000, time.Second, 20_000},
		{Account, 10_000, time.Second, 20_000},
	}
}

// Off is the setting that disables a policy.
const Off = "off"

// periods are the units of a setting.
var periods = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

const (
	maxCount = 1_000_000
	form     = "NAME=COUNT/s, /m, /h or /d, optionally with ,BURST, or NAME=off"
)

// Parse applies settings such as "pay=5/m,10" or "key=off" to the defaults. Without a burst
// it is the count. Errors repeat the setting and name the form.
func Parse(settings []string) ([]Policy, error) {
	all := Defaults()
	for _, s := range settings {
		name, rest, ok := strings.Cut(s, "=")
		at := slices.IndexFunc(all, func(p Policy) bool { return p.Name == name })
		if !ok || (at < 0 && !slices.ContainsFunc(Defaults(), func(p Policy) bool { return p.Name == name })) {
			return nil, fmt.Errorf("%q: want %s; names are address, sign-in, sign-up, pay, link, key, account", s, form)
		}
		if rest == Off {
			all = slices.DeleteFunc(all, func(p Policy) bool { return p.Name == name })
			continue
		}
		rate, burst, hasBurst := strings.Cut(rest, ",")
		count, per, ok := strings.Cut(rate, "/")
		n, err := strconv.Atoi(count)
		period, known := periods[per]
		if !ok || err != nil || !known || n < 1 || n > maxCount || time.Duration(n) > period {
			return nil, fmt.Errorf("%q: want %s, with a count from 1 to %d", s, form, maxCount)
		}
		p := Policy{Name: name, Count: n, Per: period, Burst: n}
		if hasBurst {
			if p.Burst, err = strconv.Atoi(burst); err != nil || p.Burst < 1 || p.Burst > maxCount {
				return nil, fmt.Errorf("%q: a burst must be 1 to %d", s, maxCount)
			}
		}
		if at < 0 {
			return nil, fmt.Errorf("%q: %s is already off", s, name)
		}
		all[at] = p
	}

	return all, nil
}
