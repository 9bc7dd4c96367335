// Package limit bounds how often somebody may ask, by the generic cell rate
// algorithm: so many requests a period on average, and a burst beyond.
//
// Every request is counted under each policy that concerns it, and the first that
// is used up refuses it with 429, Retry-After, RateLimit and RateLimit-Policy
// (IETF draft-ietf-httpapi-ratelimit-headers) before any store is read. Counts
// live in this process, or in Redis, which all gateways share; when Redis does not
// answer, each process counts for itself until it does, and says so.
//
// Whoever asks is told apart by the address's prefix (a whole IPv4 address, or the
// /56 of an IPv6 one, which is one customer's), by credentials, by link, and, once
// the API knows it, by account. An address counts for requests from elsewhere:
// the loopback is ours, unless a proxy that we trust says whom it speaks for.
package limit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Policy is a bound: Count requests each Per, and Burst at once.
type Policy struct {
	Name  string
	Count int
	Per   time.Duration
	Burst int
}

// The policies.
const (
	Address = "address" // all requests of one address
	SignIn  = "sign-in" // tries to sign in, of one address
	SignUp  = "sign-up" // new accounts and mails with secrets, of one address
	Pay     = "pay"     // tries to pay one link, of one address
	Link    = "link"    // tries to pay one link, of everybody
	Key     = "key"     // calls with one credential
	Account = "account" // calls for one account
)

// Defaults are the policies where nothing else is configured. docs/operate/limits.md
// tells them.
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

// Off is the setting that turns a policy off.
const Off = "off"

var periods = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

const (
	maxCount = 1_000_000
	form     = "NAME=COUNT/s, /m, /h or /d, with ,BURST after it, or NAME=off"
)

// Parse applies settings such as "pay=5/m,10" or "key=off" to the defaults.
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
				return nil, fmt.Errorf("%q: a burst is 1 to %d", s, maxCount)
			}
		}
		if at < 0 {
			return nil, fmt.Errorf("%q: %s is off already", s, name)
		}
		all[at] = p
	}
	return all, nil
}
