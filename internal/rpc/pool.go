package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Limits of the connections to one service.
const (
	maxInstances       = 64 // of one service
	maxConnections     = 8  // to one instance; each carries many concurrent calls
	dialTimeout        = 2 * time.Second
	idleTimeout        = 90 * time.Second
	pingAfter          = 5 * time.Second // of silence on a connection in use
	pingTimeout        = 3 * time.Second
	probeEvery         = time.Second
	probeTimeout       = time.Second
	resolveEvery       = 5 * time.Second
	firstRest          = 200 * time.Millisecond // of an instance that did not answer; doubles
	longestRest        = 5 * time.Second
	maxHeaderListBytes = 64 << 10
)

// Pool holds the instances of a service: every address to which its URLs resolve. Calls go to
// them in turn. An instance that does not answer rests for a while, and one that reports that it
// is not ready is called last. If none is healthy, the least unhealthy one is called
// nevertheless, because a wrong suspicion must not refuse a payment.
//
// Run probes and resolves. Without it a pool learns only from its calls.
type Pool struct {
	service     string
	urls        []*url.URL
	credentials *Credentials
	log         *slog.Logger
	lookup      func(ctx context.Context, host string) ([]string, error)

	mu        sync.Mutex
	instances []*instance
	turn      int
	resolved  time.Time
}

// instance is one process of the service.
type instance struct {
	url       *url.URL // as configured: its host is the name
	address   string   // its listening address
	transport *http.Transport

	name     string    // by which the instance introduced itself; empty until then
	fails    int       // in a row
	restsTil time.Time // it did not answer
	unready  bool      // it reported that it is not ready
}

// NewPool returns a pool over URLs: http://HOST:PORT, or https:// with certificates. It
// makes no lookup and no connection; the first call does.
func NewPool(service string, urls []string, credentials *Credentials, log *slog.Logger) (*Pool, error) {
	p := &Pool{service: service, credentials: credentials, log: log, lookup: net.DefaultResolver.LookupHost}
	for _, raw := range urls {
		u, err := ParseURL(raw, credentials.tls != nil)
		if err != nil {
			return nil, err
		}
		p.urls = append(p.urls, u)
	}
	if len(p.urls) == 0 {
		return nil, fmt.Errorf("service %s: no URL", service)
	}
	return p, nil
}

// ParseURL parses and validates the URL of a service: scheme, host and port, and nothing
// else. secured asks for https.
func ParseURL(raw string, secured bool) (*url.URL, error) {
	want := "http"
	if secured {
		want = "https"
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != want || u.Hostname() == "" || u.Port() == "" || u.User != nil || (u.Path != "" && u.Path != "/") ||
		u.RawQuery != "" ||
		u.Fragment != "" {
		return nil, fmt.Errorf("%q: want %s://HOST:PORT (https with certificates, http without)", shown(u, raw), want)
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
		return nil, fmt.Errorf("%q: want a port from 1 to 65535", raw)
	}
	return u, nil
}

// shown returns a URL without the password that it may contain.
func shown(u *url.URL, raw string) string {
	if u != nil {
		return u.Redacted()
	}
	return raw
}

// route records which instances one call has tried, and the result of its last try.
type route struct {
	tried []*instance
	sent  bool
}

// routeKey is the context key of a call's route.
type routeKey struct{}

// withRoute returns a context by which Do finds the call's route.
func withRoute(ctx context.Context, r *route) context.Context {
	return context.WithValue(ctx, routeKey{}, r)
}

// exhausted reports whether the route has tried every instance, and lets it begin again:
// the caller then pauses before the next round.
func (p *Pool) exhausted(r *route) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.instances {
		if !slices.Contains(r.tried, i) {
			return false
		}
	}
	r.tried = r.tried[:0]
	return true
}

// Do sends a request to an instance. Connect calls it. It returns an error if the service's
// name leads to no address, or if the instance does not answer.
func (p *Pool) Do(r *http.Request) (*http.Response, error) {
	way, _ := r.Context().Value(routeKey{}).(*route)
	if way == nil {
		way = &route{}
	}
	if err := p.resolve(r.Context(), false); err != nil {
		return nil, err
	}
	i := p.pick(way)
	if i == nil {
		return nil, fmt.Errorf("service %s: its name resolves to no address", p.service)
	}
	way.tried = append(way.tried, i)

	response, err := p.send(r, i, way)
	p.judge(r.Context(), i, err)
	return response, err
}

// RoundTrip is Do for a reverse proxy.
func (p *Pool) RoundTrip(r *http.Request) (*http.Response, error) { return p.Do(r) }

// send signs the request and sends it to the instance, with the body in memory, because the
// signature covers it. way.sent is set as soon as there is a connection: from then on the
// request may have arrived. An instance that does not go by the name that we know refuses the
// request with its own name, after its start, and gets it once more.
func (p *Pool) send(r *http.Request, i *instance, way *route) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(io.LimitReader(r.Body, MaxRequestBytes+1))
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		if len(body) > MaxRequestBytes {
			return nil, fmt.Errorf("service %s: the request has more than %d bytes", p.service, MaxRequestBytes)
		}
	}

	name := p.nameOf(i)
	response, err := p.sendTo(r, i, way, name, body)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	given := response.Header.Get(instanceHeader)
	if given == "" || given == name {
		return response, nil
	}
	if err := response.Body.Close(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	i.name = given
	p.mu.Unlock()
	return p.sendTo(r, i, way, given, body)
}

// nameOf returns the name of an instance, or "" if it has not introduced itself.
func (p *Pool) nameOf(i *instance) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return i.name
}

// sendTo sends a request that only the instance of that name accepts.
func (p *Pool) sendTo(r *http.Request, i *instance, way *route, name string, body []byte) (*http.Response, error) {
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { way.sent = true }}
	out := r.Clone(httptrace.WithClientTrace(r.Context(), trace))
	out.URL.Scheme, out.URL.Host, out.Host = i.url.Scheme, i.url.Host, ""
	out.RequestURI = ""
	out.Body, out.GetBody, out.ContentLength = http.NoBody, nil, int64(len(body))
	if len(body) > 0 {
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	if err := p.credentials.sign(out, p.service, name, body); err != nil {
		return nil, err
	}
	return i.transport.RoundTrip(out)
}

// pick returns the next instance that the call has not tried: a healthy one if there is
// one, else the one whose rest ends first. If all were tried, it begins again in turn. It
// returns nil only if there is no instance.
func (p *Pool) pick(way *route) *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	var best *instance
	for n := range p.instances {
		i := p.instances[(p.turn+n)%len(p.instances)]
		if slices.Contains(way.tried, i) {
			continue
		}
		if i.well(now) {
			best, p.turn = i, (p.turn+n+1)%len(p.instances)
			break
		}
		if best == nil || i.restsTil.Before(best.restsTil) {
			best = i
		}
	}
	if best == nil && len(p.instances) > 0 { // every instance was tried
		best, p.turn = p.instances[p.turn%len(p.instances)], p.turn+1
	}
	return best
}

// well reports whether the instance is called without reservations.
func (i *instance) well(now time.Time) bool { return !i.unready && !now.Before(i.restsTil) }

// judge updates the instance after a try. A failure lets it rest, twice as long each time,
// closes its idle connections, and forgets its name, because it may have been restarted. A call that
// the caller itself canceled shows nothing.
func (p *Pool) judge(ctx context.Context, i *instance, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		i.fails, i.restsTil = 0, time.Time{}
	case errors.Is(ctx.Err(), context.Canceled):
	default:
		i.restsTil = time.Now().Add(min(firstRest<<min(i.fails, 10), longestRest))
		i.fails++
		i.name = ""
		i.transport.CloseIdleConnections()
	}
}

// Run probes the instances and resolves their names until ctx ends (nil).
func (p *Pool) Run(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	defer p.close()
	for {
		if err := p.resolve(ctx, true); err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "the name of a service cannot be resolved", "service", p.service, "error", err)
		}

		var probes sync.WaitGroup
		for _, i := range p.all() {
			probes.Go(func() { p.probe(ctx, i) })
		}
		probes.Wait()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// all returns the present instances in a slice of its own.
func (p *Pool) all() []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.instances)
}

// close closes the idle connections; calls in progress keep theirs.
func (p *Pool) close() {
	for _, i := range p.all() {
		i.transport.CloseIdleConnections()
	}
}

// probe asks an instance whether it is ready, and logs a change. An instance that does not
// answer rests, and keeps its last readiness.
func (p *Pool) probe(ctx context.Context, i *instance) {
	status, err := p.ask(ctx, i, "/readyz")
	p.judge(ctx, i, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	if unready := err == nil && status == http.StatusServiceUnavailable; unready != i.unready && err == nil {
		i.unready = unready
		p.log.InfoContext(ctx, "an instance changed", "service", p.service, "address", i.address, "ready", !unready)
	}
}

// ask sends a GET to an instance, outside of any route, and returns the status.
func (p *Pool) ask(ctx context.Context, i *instance, path string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.service+path, nil)
	if err != nil {
		return 0, err
	}
	response, err := p.send(r, i, &route{})
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// Answers returns nil if any instance answers, or an error.
func (p *Pool) Answers(ctx context.Context) error {
	if err := p.resolve(ctx, false); err != nil {
		return err
	}
	err := fmt.Errorf("service %s: no instance responds", p.service)
	for _, i := range p.all() {
		status, askErr := p.ask(ctx, i, "/healthz")
		if askErr == nil && status == http.StatusNoContent {
			return nil
		}
		err = errors.Join(err, askErr)
	}
	return err
}

// resolve looks up the addresses behind the URLs: at once if there are none, and every
// resolveEvery from Run. Instances that are still there keep their connections and state.
// Names that temporarily fail to resolve keep their addresses.
func (p *Pool) resolve(ctx context.Context, again bool) error {
	p.mu.Lock()
	known, fresh := len(p.instances) > 0, time.Since(p.resolved) < resolveEvery
	p.mu.Unlock()
	if known && (!again || fresh) {
		return nil
	}

	found, err := p.addresses(ctx)
	if len(found) == 0 {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resolved = time.Now()
	var next []*instance
	for _, f := range found {
		at := slices.IndexFunc(p.instances, func(i *instance) bool { return i.url == f.url && i.address == f.address })
		if at >= 0 {
			next = append(next, p.instances[at])
			continue
		}
		f.transport = p.transport(f)
		next = append(next, f)
	}

	for _, i := range p.instances {
		if !slices.Contains(next, i) {
			i.transport.CloseIdleConnections()
		}
	}
	p.instances = next
	return err
}

// addresses returns the instances of all URLs, at most maxInstances, without transports for
// new ones. err is that of the names that could not be resolved.
func (p *Pool) addresses(ctx context.Context) (found []*instance, err error) {
	for _, u := range p.urls {
		hosts := []string{u.Hostname()}
		if net.ParseIP(u.Hostname()) == nil {
			names, lookupErr := p.lookup(ctx, u.Hostname())
			if lookupErr != nil {
				err = errors.Join(err, lookupErr)
				for _, i := range p.all() { // a failing name server must not empty the pool
					if i.url == u {
						found = append(found, i)
					}
				}
				continue
			}
			slices.Sort(names)
			hosts = slices.Compact(names)
		}
		for _, host := range hosts {
			if len(found) < maxInstances {
				found = append(found, &instance{url: u, address: net.JoinHostPort(host, u.Port())})
			}
		}
	}
	return found, err
}

// transport returns the transport to one instance: HTTP/2 over a few connections, which are
// pinged while a call waits on them in silence.
func (p *Pool) transport(i *instance) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	protocols := new(http.Protocols)
	t := &http.Transport{Protocols: protocols, MaxConnsPerHost: maxConnections, IdleConnTimeout: idleTimeout,
		MaxResponseHeaderBytes: maxHeaderListBytes, DisableCompression: true,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout}}
	if p.credentials.tls != nil {
		protocols.SetHTTP2(true)
		t.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
			defer cancel()
			return p.credentials.tls.dial(ctx, dialer, i.address, i.url.Hostname(), p.service)
		}
		return t
	}
	protocols.SetUnencryptedHTTP2(true)
	t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", i.address)
	}
	return t
}
