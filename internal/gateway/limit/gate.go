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

// Config of a Gate.
type Config struct {
	Policies []Policy
	Redis    *redis.Client       // nil: this process counts for itself
	Proxies  []netip.Prefix      // whose X-Forwarded-For is believed
	MAC      func([]byte) []byte // keyed hash, so that no credential lies in a count
	// CountryHeader is believed from a proxy of ours alone; "": there is none.
	CountryHeader string
	Refuse        func(http.ResponseWriter, *http.Request, error)
	Limited       func(policy string) // told of each refusal
	Now           func() time.Time
	Log           *slog.Logger
}

// Gate lets requests pass, or not.
type Gate struct {
	Config
	counters              map[string]counter
	untrusted, unreadable sync.Once // each warning is logged once
}

// New makes a gate.
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

// claim is what a request is counted under.
type claim struct{ policy, key string }

// Wrap puts the gate before a handler.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.CountryHeader != "" && !g.proxied(r) {
			r.Header.Del(g.CountryHeader)
		}
		a, ok := clientAddress(r, g.Proxies)
		g.warn(r, ok)
		// What stands behind sees whom a proxy of ours speaks for.
		if len(g.Proxies) > 0 {
			r.RemoteAddr = netip.AddrPortFrom(a, 0).String()
		}
		if err := g.admit(r.Context(), w.Header(), g.claims(r)); err != nil {
			g.Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Account counts a call of the API for an account, which is known only once the
// credentials were checked. It adds to the headers that Wrap wrote.
func (g *Gate) Account(ctx context.Context, h http.Header, account string) error {
	return g.admit(ctx, h, []claim{{Account, account}})
}

// admit counts the claims in their order, up to the first that is used up.
func (g *Gate) admit(ctx context.Context, h http.Header, claims []claim) error {
	for _, c := range claims {
		counter := g.counters[c.policy]
		if counter == nil {
			continue
		}
		v, err := counter.take(ctx, c.key)
		if err != nil {
			// Counting itself failed: no reason to turn a payer away.
			g.Log.ErrorContext(ctx, "a request could not be counted", "policy", c.policy, "error", err.Error())
			continue
		}
		v.write(h)
		if v.limited {
			g.Limited(c.policy)
			return &fault.Error{Kind: fault.KindRateLimited, Code: "rate_limited", RetryAfter: max(v.retry, time.Second),
				Detail: fmt.Sprintf("Too many requests: the limit %q is %d each %s. Wait, then go on.", v.policy.Name, v.policy.Count, spell(v.policy.Per))}
		}
	}
	return nil
}

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

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// write tells the client where it stands: a list member for each policy.
func (v verdict) write(h http.Header) {
	add := func(name, member string) {
		if before := h.Get(name); before != "" {
			member = before + ", " + member
		}
		h.Set(name, member)
	}
	add("RateLimit-Policy", fmt.Sprintf(`"%s";q=%d;w=%d`, v.policy.Name, v.policy.Burst, seconds(time.Duration(v.policy.Burst)*v.policy.Per/time.Duration(v.policy.Count))))
	reset := v.reset
	if v.limited {
		reset = v.retry
	}
	add("RateLimit", fmt.Sprintf(`"%s";r=%d;t=%d`, v.policy.Name, v.remaining, seconds(reset)))
}

// signIns and signUps are where passwords are tried, and where accounts and mails
// are asked for.
var (
	signIns = []string{"/api/sessions", "/dashboard/sign-in"}
	signUps = []string{"/api/users", "/dashboard/sign-up", "/dashboard/forgotten"}
)

// unlimited are asked by the platform itself, and must answer in a flood.
var unlimited = []string{"/healthz", "/readyz"}

// claims of a request, the cheapest and narrowest first.
func (g *Gate) claims(r *http.Request) []claim {
	path := r.URL.Path
	if slices.Contains(unlimited, path) {
		return nil
	}
	var out []claim
	address, ours := g.from(r)
	if !ours {
		out = append(out, claim{Address, address})
	}
	if r.Method == http.MethodPost {
		switch {
		case ours:
		case under(path, signIns):
			out = append(out, claim{SignIn, address})
		case under(path, signUps):
			out = append(out, claim{SignUp, address})
		}
		if token, ok := payment(path); ok {
			link := g.hash("link", token)
			if !ours {
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

// credential is the request's in one spelling, so that spaces and the scheme's
// letters make no new one.
func credential(r *http.Request) string {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	if scheme == "" {
		return ""
	}
	return strings.ToLower(scheme) + " " + strings.TrimRight(strings.TrimSpace(rest), "=")
}

func under(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

// payment reports whether the path is that of a try to pay, and with which link's
// token or form's id.
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

// hash keeps what is secret, and what is long, out of the counts.
func (g *Gate) hash(kind, value string) string {
	return hex.EncodeToString(g.MAC([]byte("rate limit, " + kind + ": " + value))[:16])
}

// from is whom a request counts for, and whether it is from this machine itself.
func (g *Gate) from(r *http.Request) (prefix string, ours bool) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return Prefix(stranger), false
	}
	a := plain(at.Addr())
	return Prefix(a), a.IsLoopback()
}

// proxied reports whether a proxy of ours handed the request on.
func (g *Gate) proxied(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && within(g.Proxies, plain(at.Addr()))
}

// Prefix is what one customer of a network holds: an IPv4 address, or an IPv6 /56.
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
