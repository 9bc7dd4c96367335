package rpc

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// maxSkew is how far two machines' clocks may differ, including transit time.
const maxSkew = 30 * time.Second

// The scheme of the Authorization header, which changes together with what mac covers, and the
// header by which an instance names itself when it refuses a request.
const (
	authScheme     = "Paylink-Pair-HMAC-SHA256 "
	instanceHeader = "Paylink-Instance"
	noInstance     = "-" // in a request to an instance whose name the caller does not know yet
)

// Credentials prove to other services which services this process runs, and prove theirs to it.
//
// With keys, each pair of services has a key that only these two hold. A request carries an HMAC
// over the caller, the called service and instance, the request, the time and a random nonce: it
// cannot be altered, and it is accepted once, by one instance. With certificates, both ends
// present one of the internal authority (TLS 1.3), which names their services, and nobody can
// eavesdrop. With both, both must be valid and name the same caller.
//
// The files are read again when they change (Watch), so that they can be rotated while processes
// run.
type Credentials struct {
	services []string
	keysFile string
	keys     atomic.Pointer[[]pairKey]
	tls      *certificates
	now      func() time.Time
}

// NewCredentials returns the credentials of a process that runs the services. It reads the file
// of keys, the folder of certificates, or both; an empty path means none. It returns an error if
// there is neither, or if they are not for these services.
func NewCredentials(services []string, keysFile, tlsDir string, now func() time.Time) (*Credentials, error) {
	if keysFile == "" && tlsDir == "" {
		return nil, errors.New("services authenticate by keys, by certificates, or by both: neither is configured")
	}
	c := &Credentials{services: services, keysFile: keysFile, now: now}
	if tlsDir != "" {
		c.tls = &certificates{dir: tlsDir, services: services}
	}
	return c, c.load()
}

// load reads all files. If one is invalid, what was read of it before stays in use.
func (c *Credentials) load() error {
	if c.keysFile != "" {
		keys, err := readPairs(c.keysFile, c.services)
		if err != nil {
			return err
		}
		c.keys.Store(&keys)
	}
	if c.tls != nil {
		return c.tls.load()
	}
	return nil
}

// Watch loads the files again at each interval until ctx ends (nil). It logs invalid files,
// and keeps what it read before.
func (c *Credentials) Watch(ctx context.Context, every time.Duration, log *slog.Logger) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := c.load(); err != nil {
				log.WarnContext(ctx, "the internal credentials could not be reloaded; the old ones stay in use", "error", err)
			}
		}
	}
}

// sign signs a request to an instance of the service with the given body. Without keys it does
// nothing. It returns an error if this process has no key for calls to the service.
func (c *Credentials) sign(r *http.Request, service, instance string, body []byte) error {
	all := c.keys.Load()
	if all == nil {
		return nil
	}
	k, ok := outgoingKey(*all, service, r.URL.Path, c.now())
	if !ok {
		return fmt.Errorf("%s does not call %s: it has no key for that", strings.Join(c.services, ","), service)
	}
	p := proof{key: k, at: strconv.FormatInt(c.now().UnixMilli(), 10), nonce: rand.Text(), instance: instance}
	if instance == "" {
		p.instance = noInstance
	}
	r.Header.Set("Authorization",
		authScheme+strings.Join([]string{k.id, p.at, p.nonce, p.instance, base64.RawURLEncoding.EncodeToString(p.sum(r, body))}, " "))
	return nil
}

// outgoingKey returns the newest key in use for a request to the service. If several services of
// this process call it, the caller is one that may make this request.
func outgoingKey(all []pairKey, service, path string, now time.Time) (best pairKey, ok bool) {
	may := false
	for _, k := range all {
		if k.target != service {
			continue
		}
		allowed := permitted(k.caller, service, path)
		switch {
		case ok && may && !allowed:
		case ok && may == allowed && (k.caller != best.caller || now.Before(k.from)):
		default:
			best, may, ok = k, allowed, true
		}
	}
	return best, ok
}

// proof is what a request states about itself. mac is verified by proves.
type proof struct {
	key                 pairKey
	at, nonce, instance string
	mac                 []byte
}

// sum returns the MAC over everything on which the server acts. Each part carries its length, so
// that no two requests have the same input.
func (p proof) sum(r *http.Request, body []byte) []byte {
	hash := sha256.Sum256(body)
	m := hmac.New(sha256.New, p.key.key)
	parts := []string{p.key.caller, p.key.target, p.instance, p.at, p.nonce, r.Method, r.URL.RequestURI(),
		r.Header.Get("Content-Type"), r.Header.Get(requestIDHeader), r.Header.Get("Connect-Timeout-Ms"), hex.EncodeToString(hash[:])}
	if actor := r.Header.Get(actorHeader); actor != "" { // callers of an earlier version name none
		parts = append(parts, actor)
	}
	for _, part := range parts {
		_, _ = io.WriteString(m, strconv.Itoa(len(part))+":"+part+"\n")
	}
	return m.Sum(nil)
}

// proof parses what a request states. It returns false if the request names none of the keys for
// calls to this process, or if its time differs from ours by more than maxSkew. It verifies
// nothing.
func (c *Credentials) proof(r *http.Request) (proof, bool) {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), authScheme)
	fields := strings.Fields(given)
	if !ok || len(fields) != 5 {
		return proof{}, false
	}
	at, err := strconv.ParseInt(fields[1], 10, 64)
	mac, macErr := base64.RawURLEncoding.DecodeString(fields[4])
	age := c.now().Sub(time.UnixMilli(at))
	if err != nil || macErr != nil || age > maxSkew || age < -maxSkew {
		return proof{}, false
	}
	for _, k := range *c.keys.Load() {
		if k.id == fields[0] && slices.Contains(c.services, k.target) {
			return proof{key: k, at: fields[1], nonce: fields[2], instance: fields[3], mac: mac}, true
		}
	}
	return proof{}, false
}

// proves reads the body and reports whether the request is unaltered and comes from the holder of
// the key. The handler gets the body that was verified.
func (p proof) proves(w http.ResponseWriter, r *http.Request) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestBytes))
	if err != nil || !hmac.Equal(p.mac, p.sum(r, body)) { // in constant time
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return true
}

// authenticate returns the services as which a request may act, and those of ours that it may
// call. If it proves nothing, it returns the reason.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (callers, targets []string, why string) {
	c := s.Credentials
	targets = c.services
	if c.tls != nil {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			return nil, nil, "no certificate"
		}
		callers = servicesIn(r.TLS.VerifiedChains[0][0])
	}
	if c.keys.Load() == nil {
		return callers, targets, ""
	}

	p, ok := c.proof(r)
	switch {
	case !ok:
		return nil, nil, "no proof of a key"
	case p.instance == noInstance:
		return nil, nil, unintroduced
	case !p.proves(w, r):
		return nil, nil, "no proof of a key"
	case p.instance != s.instance:
		return nil, nil, "it is for another instance, or for this one before it started"
	case !s.seen.first(p.mac, c.now()):
		return nil, nil, "it was sent before, or the memory of requests is full"
	case c.tls != nil && !slices.Contains(callers, p.key.caller):
		return nil, nil, "its certificate is not of " + p.key.caller
	}
	return []string{p.key.caller}, []string{p.key.target}, ""
}

// unintroduced is the reason for refusing the first request of a caller, which does not know the
// instance's name yet and gets it with the refusal. It is no cause for alarm.
const unintroduced = "it names no instance"

// guard passes requests only of callers that are authenticated and may make them. It answers any
// other with 401 or 403, without side effects, before the body is decoded, and without a reason,
// which is only logged.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusUnauthorized
		callers, targets, why := s.authenticate(w, r)
		if why == "" && !anyPermitted(callers, targets, r.URL.Path) {
			status, why = http.StatusForbidden, strings.Join(callers, ",")+" may not call this"
		}
		if why == "" {
			r.Header.Del("Authorization")
			next.ServeHTTP(w, r)
			return
		}
		if why != unintroduced {
			s.Refused()
			s.Log.WarnContext(r.Context(), "an internal request was refused", "from", r.RemoteAddr, "path", r.URL.Path, "reason", why)
		}
		if s.Credentials.keys.Load() != nil {
			w.Header().Set(instanceHeader, s.instance)
		}
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(status)
	})
}

// anyPermitted reports whether one of the callers may make a request of this path to one of the
// targets.
func anyPermitted(callers, targets []string, path string) bool {
	for _, caller := range callers {
		for _, target := range targets {
			if permitted(caller, target, path) {
				return true
			}
		}
	}
	return false
}
