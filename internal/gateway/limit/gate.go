package limit

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	redisrate "github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/paylink/paylink/internal/fault"
)

// Config has the settings of a Gate.
type Config struct {
	Policies []Policy
	Redis    *redis.Client       // nil: this process counts for itself
	Proxies  []netip.Prefix      // whose X-Forwarded-For is trusted
	MAC      func([]byte) []byte // keyed hash, so that counts contain no credential
	// CountryHeader is trusted only from one of Proxies; "": no such header.
	CountryHeader string
	Refuse        func(http.ResponseWriter, *http.Request, error)
	Limited       func(policy string) // called for each refused request
	Now           func() time.Time
	Log           *slog.Logger
}

// Gate admits or refuses requests. It is safe for concurrent use.
type Gate struct {
	Config
	counters              map[string]counter
	untrusted, unreadable sync.Once // each warning is logged once
}

// New returns a gate with a counter for each policy. It does not connect to Redis.
func New(c Config) (*Gate, error) {
	g := &Gate{Config: c, counters: map[string]counter{}}
	down := &atomic.Int64{}
	for _, p := range c.Policies {
		l, err := newLocal(p, c.Now)
		if err != nil {
			return nil, err
		}
		g.counters[p.Name] = l
		if c.Redis != nil {
			g.counters[p.Name] = &shared{p, redisrate.NewLimiter(c.Redis), l, down, c.Log, c.Now}
		}
	}
	return g, nil
}

// claim is a policy and a key under which a request is counted.
type claim struct{ policy, key string }

// Wrap puts the gate before a handler. The next handler sees the client's address as it is
// counted, without a port; a proxy on this machine that is not among those named is counted by
// what it reports, but not believed. The country header is removed from requests that no trusted proxy
// forwarded.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.CountryHeader != "" && !g.proxied(r) {
			r.Header.Del(g.CountryHeader)
		}
		c := clientOf(r, g.Proxies)
		g.warn(r, c)
		shown := c.address
		if c.untrusted && len(g.Proxies) > 0 { // the operator has named those whose word counts
			shown = stranger
		}
		r.RemoteAddr = netip.AddrPortFrom(shown, 0).String()
		if err := g.admit(r.Context(), w.Header(), g.claims(r, c)); err != nil {
			g.Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Account counts an API call for an account, which is known only after authentication.
// It adds to the headers that Wrap wrote, and returns an error if the limit is reached.
func (g *Gate) Account(ctx context.Context, h http.Header, account string) error {
	return g.admit(ctx, h, []claim{{Account, account}})
}

// admit counts the claims in order, and returns rate_limited at the first that is used up.
// A counter that fails admits the request.
func (g *Gate) admit(ctx context.Context, h http.Header, claims []claim) error {
	for _, c := range claims {
		counter := g.counters[c.policy]
		if counter == nil {
			continue
		}
		v, err := counter.take(ctx, c.key)
		if err != nil {
			// The counting failed. That is no reason to refuse a payer.
			g.Log.ErrorContext(ctx, "a request could not be counted", "policy", c.policy, "error", err.Error())
			continue
		}
		v.write(h)
		if v.limited {
			g.Limited(c.policy)
			return &fault.Error{Kind: fault.KindRateLimited, Code: "rate_limited", RetryAfter: max(v.retry, time.Second),
				Detail: fmt.Sprintf(
					"Too many requests: the limit %q is %d per %s. Wait, then retry.",
					v.policy.Name,
					v.policy.Count,
					spell(v.policy.Per),
				)}
		}
	}

	return nil
}

// spell returns a period as a word.
func spell(d time.Duration) string {
	switch d {
	case time.Second:
		return "second"
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	}
	return "day"
}

// seconds returns a duration in seconds, rounded up.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// write sets the headers that show the quota: one list member for each policy.
func (v verdict) write(h http.Header) {
	add := func(name, member string) {
		if before := h.Get(name); before != "" {
			member = before + ", " + member
		}
		h.Set(name, member)
	}
	add(
		"RateLimit-Policy",
		fmt.Sprintf(
			`"%s";q=%d;w=%d`,
			v.policy.Name,
			v.policy.Burst,
			seconds(time.Duration(v.policy.Burst)*v.policy.Per/time.Duration(v.policy.Count)),
		),
	)
	reset := v.reset
	if v.limited {
		reset = v.retry
	}
	add("RateLimit", fmt.Sprintf(`"%s";r=%d;t=%d`, v.policy.Name, v.remaining, seconds(reset)))
}

// signIns are the paths that check passwords. signUps are the paths that create
// accounts or send emails.
var (
	signIns = []string{"/api/sessions", "/dashboard/sign-in"}
	signUps = []string{"/api/users", "/dashboard/sign-up", "/dashboard/forgotten"}
)

// unlimited are the probes of the platform, which must answer even in a flood.
var unlimited = []string{"/healthz", "/readyz"}

// claims returns the claims of a request, the cheapest and narrowest first. A request from
// this machine is not counted by address.
func (g *Gate) claims(r *http.Request, c client) []claim {
	path := r.URL.Path
	if slices.Contains(unlimited, path) {
		return nil
	}

	var out []claim
	address := Prefix(c.address)
	if !c.ours {
		out = append(out, claim{Address, address})
	}
	if r.Method == http.MethodPost {
		switch {
		case c.ours:
		case under(path, signIns):
			out = append(out, claim{SignIn, address})
		case under(path, signUps):
			out = append(out, claim{SignUp, address})
		}
		if token, ok := payment(path); ok {
			link := g.hash("link", token)
			if !c.ours {
				out = append(out, claim{Pay, link + address})
			}
			out = append(out, claim{Link, link})
		}
	}

	if credential := credential(r); credential != "" {
		out = append(out, claim{Key, g.hash("key", credential)})
	}
	return out
}

// credential returns the request's credential in canonical form, so that other spaces or
// another case of the scheme do not count separately.
func credential(r *http.Request) string {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	if scheme == "" {
		return ""
	}
	return strings.ToLower(scheme) + " " + strings.TrimRight(strings.TrimSpace(rest), "=")
}

// under reports whether the path is one of the prefixes or below one.
func under(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

// payment reports whether the path is that of a try to pay, and returns the link's token
// or the form's id.
func payment(path string) (name string, ok bool) {
	if form, ok := strings.CutPrefix(path, "/f/"); ok {
		name, _, _ = strings.Cut(form, "/")
		return name, true
	}
	rest, ok := strings.CutPrefix(path, "/l/")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "/payments")
}

// hash returns a keyed hash, which keeps secrets and long texts out of the counts.
func (g *Gate) hash(kind, value string) string {
	return hex.EncodeToString(g.MAC([]byte("rate limit, " + kind + ": " + value))[:16])
}

// proxied reports whether one of our proxies forwarded the request.
func (g *Gate) proxied(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && within(g.Proxies, plain(at.Addr()))
}

// Prefix returns the address range of one network customer: an IPv4 address, or an IPv6 /56.
func Prefix(a netip.Addr) string {
	const customer = 56
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(customer)
	if err != nil {
		return a.String()
	}
	return p.String()
}
