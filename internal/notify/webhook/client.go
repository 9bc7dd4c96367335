package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/paylink/paylink/internal/notify"
)

// Limits of the connections to receivers.
const (
	maxAnswerHeaderBytes = 16 << 10
	idleConnections      = 64
	idleLife             = 30 * time.Second
	userAgent            = "paylink-webhooks/1"
)

// The errors by which explain recognizes a refusal of our own.
var (
	errAddress = errors.New("the address is not on the public internet")
	errScheme  = errors.New("the endpoint is not https")
)

// transport connects to public addresses only. It checks the address just before the socket
// connects, after every look-up, so a name that resolves to one address when checked and to
// another when dialed gains nothing. It uses no proxy, which would connect on our behalf,
// unchecked.
func transport(c Config) *http.Transport {
	dialer := &net.Dialer{Timeout: c.Timeout, Resolver: c.Resolver}
	if !c.AllowPrivate {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !notify.PublicAddress(to.Addr()) {
				return errAddress
			}
			return nil
		}
	}

	t := &http.Transport{
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           idleConnections,
		IdleConnTimeout:        idleLife,
		TLSHandshakeTimeout:    c.Timeout,
		MaxResponseHeaderBytes: maxAnswerHeaderBytes,
	}
	if !c.AllowPrivate {
		t.RegisterProtocol("http", refuse{})
	}
	return t
}

// refuse is the transport of a scheme that may not be used.
type refuse struct{}

// RoundTrip implements http.RoundTripper.
func (refuse) RoundTrip(*http.Request) (*http.Response, error) { return nil, errScheme }

// client does not follow redirects: the signature is for the endpoint's URL.
func client(t *http.Transport) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// answer is the result of a try. A problem is "code: sentence", without internal text, and
// empty on success. cause is the error behind the problem, for our own log.
type answer struct {
	status     int
	body       string
	problem    string
	cause      error
	retryAfter time.Duration
	took       time.Duration
}

// request returns what is sent with the body, as it is also recorded. The headers are those
// of Standard Webhooks.
func request(url string, h notify.Headers) notify.Request {
	return notify.Request{URL: url, Headers: []notify.Header{
		{Name: "Content-Type", Value: "application/json"}, {Name: "User-Agent", Value: userAgent},
		{Name: notify.HeaderID, Value: h.ID}, {Name: notify.HeaderTimestamp, Value: h.Timestamp},
		{Name: notify.HeaderSignature, Value: h.Signature},
	}}
}

// post makes one try. All of it, even a slow answer, ends within the timeout.
func (s *sender) post(ctx context.Context, r notify.Request, body []byte) (a answer) {
	start := time.Now()
	defer func() { a.took = time.Since(start) }()
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return answer{problem: "url_invalid: the endpoint's URL cannot be used"}
	}

	for _, h := range r.Headers {
		req.Header.Set(h.Name, h.Value)
	}

	resp, err := s.client.Do(req)
	if err != nil {
		return answer{problem: s.explain(err), cause: err}
	}
	defer func() { _ = resp.Body.Close() }()

	read, err := io.ReadAll(io.LimitReader(resp.Body, notify.MaxAnswerBytes))
	a = answer{
		status: resp.StatusCode, body: text(read),
		retryAfter: retryAfter(resp.Header.Get("Retry-After"), s.config.Now()),
	}
	switch {
	case resp.StatusCode == http.StatusGone:
		a.problem = "gone: the endpoint answered 410 and was disabled"
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		a.problem = fmt.Sprintf("redirect_refused: the endpoint answered %d; redirects are not followed", resp.StatusCode)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		a.problem = fmt.Sprintf("http_status: the endpoint answered %d; only 2xx is success", resp.StatusCode)
	case err != nil:
		a.problem, a.cause = s.explain(err), err
	}

	return a
}

// explain says what went wrong without revealing what we know about the network. Whether a
// name resolves is not said, because internal names that resolve would answer differently
// from names that do not exist.
func (s *sender) explain(err error) string {
	var (
		lookup      *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		network     net.Error
	)
	switch {
	case errors.Is(err, errAddress), errors.As(err, &lookup):
		return "unreachable: the host does not resolve to a public internet address"
	case errors.Is(err, errScheme):
		return "url_not_https: only https endpoints are sent to"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout: no complete answer within " + s.config.Timeout.String()
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert):
		return "tls_failed: no trusted TLS connection could be made"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused: nothing listens at the endpoint's address"
	}

	return "connection_failed: the connection broke before a complete answer came"
}

// text makes a receiver's bytes fit to be stored and shown.
func text(b []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(b), "\ufffd"), "\x00", "\ufffd")
}

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds or a date. It returns 0 for
// an invalid or past value.
func retryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if seconds, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, MaxRetryAfter)
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(at.Sub(now), 0), MaxRetryAfter)
	}
	return 0
}
