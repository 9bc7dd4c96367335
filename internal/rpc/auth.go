package rpc

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Limits of what a request proves.
const (
	minSecretChars = 32
	maxSecrets     = 8
	maxSecretBytes = 16 << 10
	maxSkew        = 30 * time.Second // between two machines' clocks, including transit time
)

// The scheme of the Authorization header, and the purpose for which keys are derived. They
// change together with what mac covers.
const (
	authScheme = "Paylink-HMAC-SHA256 "
	authInfo   = "paylink internal call v1"
)

// Credentials authenticate this process to the other services, and the other services to it. With
// a secret, each request carries an HMAC over the procedure, the time and the body: the secret
// itself is never sent, and a request cannot be altered. With certificates, both ends present one
// of the internal authority (TLS 1.3), and nobody can eavesdrop. With both, both must be valid.
//
// The files are read again when they change (Watch), so that they can be rotated while processes
// run.
type Credentials struct {
	secretFile string
	secrets    atomic.Pointer[[]secret]
	tls        *certificates
	now        func() time.Time
}

// secret is a key derived from a line of the file, with the name by which the other end finds it.
type secret struct {
	id  string
	key []byte
}

// NewCredentials reads the file of secrets, the folder of certificates, or both; an empty path
// means none. It returns an error if there is neither.
func NewCredentials(secretFile, tlsDir string, now func() time.Time) (*Credentials, error) {
	if secretFile == "" && tlsDir == "" {
		return nil, errors.New("services authenticate by a secret, by certificates, or by both: neither is configured")
	}
	c := &Credentials{secretFile: secretFile, now: now}
	if tlsDir != "" {
		c.tls = &certificates{dir: tlsDir}
	}
	return c, c.load()
}

// load reads all files. If one is invalid, what was read of it before stays in use.
func (c *Credentials) load() error {
	if c.secretFile != "" {
		s, err := readSecrets(c.secretFile)
		if err != nil {
			return err
		}
		c.secrets.Store(&s)
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

// readSecrets reads one secret per line, 1 to maxSecrets of at least minSecretChars. The
// first is used for sending, and all are accepted, so that secrets can roll. It refuses a
// file that others may read or the group may write.
func readSecrets(file string) ([]secret, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o027 != 0 {
		return nil, fmt.Errorf("%s can be read by others or written by the group; chmod 600 it", file)
	}
	if info.Size() > maxSecretBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", file, maxSecretBytes)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []secret
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if len(line) < minSecretChars {
			return nil, fmt.Errorf("%s: an internal secret must have at least %d characters", file, minSecretChars)
		}
		s, err := newSecret(line)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}

	if len(all) == 0 || len(all) > maxSecrets {
		return nil, fmt.Errorf("%s: want 1 to %d internal secrets, one per line, have %d", file, maxSecrets, len(all))
	}
	return all, nil
}

// newSecret derives the key of a line, and the key's name, which reveals neither.
func newSecret(line string) (secret, error) {
	key, err := hkdf.Key(sha256.New, []byte(line), nil, authInfo, sha256.Size)
	if err != nil {
		return secret{}, err
	}
	id := sha256.Sum256(append([]byte("id\x00"), key...))
	return secret{id: hex.EncodeToString(id[:4]), key: key}, nil
}

// sign signs a request with the given body by the first secret; without secrets it does
// nothing. The host is not covered, because a name may stand for any instance.
func (c *Credentials) sign(r *http.Request, body []byte) {
	all := c.secrets.Load()
	if all == nil {
		return
	}
	s := (*all)[0]
	at := strconv.FormatInt(c.now().UnixMilli(), 10)
	r.Header.Set("Authorization", authScheme+s.id+" "+at+" "+base64.RawURLEncoding.EncodeToString(s.mac(r, at, body)))
}

// mac covers everything on which the server acts. Each part carries its length, so that no
// two requests have the same input.
func (s secret) mac(r *http.Request, at string, body []byte) []byte {
	sum := sha256.Sum256(body)
	m := hmac.New(sha256.New, s.key)
	for _, part := range []string{r.Method, r.URL.RequestURI(), at, r.Header.Get("Content-Type"), r.Header.Get(requestIDHeader),
		r.Header.Get("Connect-Timeout-Ms"), hex.EncodeToString(sum[:])} {
		_, _ = io.WriteString(m, strconv.Itoa(len(part))+":"+part+"\n")
	}
	return m.Sum(nil)
}

// claim is what a request states about itself, not yet verified.
type claim struct {
	secret secret
	at     string
	mac    []byte
}

// claims parses the claim of a request. It returns false if the request names none of our
// secrets, or if its time differs from ours by more than maxSkew. It verifies nothing.
func (c *Credentials) claims(r *http.Request) (claim, bool) {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), authScheme)
	fields := strings.Fields(given)
	if !ok || len(fields) != 3 {
		return claim{}, false
	}
	at, err := strconv.ParseInt(fields[1], 10, 64)
	mac, macErr := base64.RawURLEncoding.DecodeString(fields[2])
	age := c.now().Sub(time.UnixMilli(at))
	if err != nil || macErr != nil || age > maxSkew || age < -maxSkew {
		return claim{}, false
	}
	for _, s := range *c.secrets.Load() {
		if s.id == fields[0] {
			return claim{s, fields[1], mac}, true
		}
	}
	return claim{}, false
}

// proved reads the body and reports whether the request is unaltered and comes from one of
// our processes. The handler gets the body that was verified.
func (c *Credentials) proved(w http.ResponseWriter, r *http.Request) bool {
	signed, ok := c.claims(r)
	if !ok { // not worth reading a body for
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestBytes))
	if err != nil || !hmac.Equal(signed.mac, signed.secret.mac(r, signed.at, body)) { // in constant time
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return true
}

// guard passes authenticated requests only. Any other gets 401 without side effects and
// without a reason, which is only logged. refused counts it.
func (c *Credentials) guard(next http.Handler, log *slog.Logger, refused func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		why := ""
		if c.tls != nil && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0) {
			why = "no certificate"
		}
		if why == "" && c.secrets.Load() != nil && !c.proved(w, r) {
			why = "no proof of the secret"
		}
		if why != "" {
			refused()
			log.WarnContext(r.Context(), "an internal request was refused", "from", r.RemoteAddr, "path", r.URL.Path, "reason", why)
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		next.ServeHTTP(w, r)
	})
}
