package rpc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/rpc"
)

// noticePath is the procedure that the tests of this file call by hand.
const noticePath = "/paylink.transactions/Notice"

// cleartext speaks HTTP/2 without TLS.
func cleartext() *http.Client {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: p}}
}

func ask(t *testing.T, c *http.Client, method, url, body string, header map[string]string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	good(t, err)
	r.Header.Set("Content-Type", "application/paylink+json")
	r.Header.Set("Connect-Protocol-Version", "1")
	for k, v := range header {
		r.Header.Set(k, v)
	}
	res, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	raw, err := io.ReadAll(res.Body)
	good(t, err)
	good(t, res.Body.Close())
	return res.StatusCode, string(raw)
}

// keeper remembers the last signed request that passes through it.
type keeper struct {
	mu   sync.Mutex
	last http.Header
	http.Handler
}

func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.last = r.Header.Clone()
	k.mu.Unlock()
	k.Handler.ServeHTTP(w, r)
}

// TestUnauthenticatedIsRefused checks that a caller that does not prove to know the secret is
// refused, for every procedure, without side effects.
func TestUnauthenticatedIsRefused(t *testing.T) {
	w := newWorld(t)
	file := secretFile(t)
	var done atomic.Int64
	script := func(context.Context, issuer.Notice) error { done.Add(1); return nil }
	server := w.notices(credentials(t, file, ""), script)
	w.sim.Handler()
	url, _ := listen(t, server, nil)
	raw := cleartext()
	for _, path := range []string{noticePath, "/paylink.transactions/Submit", "/paylink.transactions/GetIdempotency", "/readyz",
		"/healthz", "/simulator/3ds.css", "/", "/nowhere", "/metrics"} {
		for _, method := range []string{"GET", "POST"} {
			for name, auth := range map[string]string{"nothing": "", "a bare secret": "Bearer hunter2", "nonsense": "Paylink-HMAC-SHA256 a b c",
				"no mac": "Paylink-HMAC-SHA256 00000000 1 ", "basic": "Basic YTpi"} {
				h := map[string]string{}
				if auth != "" {
					h["Authorization"] = auth
				}
				if status, body := ask(t, raw, method, url+path, `{}`, h); status != http.StatusUnauthorized || body != "" {
					t.Errorf("%s %s with %s: %d %q", method, path, name, status, body)
				}
			}
		}
	}
	if err := w.clients(credentials(t, secretFile(t), ""), url).transactions.Notice(t.Context(), issuer.Notice{}); fault.Code(
		err,
	) != "service_unavailable" ||
		!rpc.NotSent(err) {
		t.Errorf("with another secret: %v", err)
	}
	if done.Load() != 0 {
		t.Fatalf("%d refused calls were done", done.Load())
	}
	if !strings.Contains(w.logs.String(), "an internal request was refused") {
		t.Error("nobody was told")
	}
	good(t, w.clients(credentials(t, file, ""), url).transactions.Notice(t.Context(), issuer.Notice{}))
	if done.Load() != 1 {
		t.Error("a good call was not done")
	}
}

// TestProofCoversTheRequest checks that an intercepted request cannot be altered, sent elsewhere,
// or replayed later.
func TestProofCoversTheRequest(t *testing.T) {
	w := newWorld(t)
	file := secretFile(t)
	clock := time.Now()
	var mu sync.Mutex
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	c, err := rpc.NewCredentials(file, "", now)
	good(t, err)
	var done atomic.Int64
	server := w.notices(c, func(context.Context, issuer.Notice) error { done.Add(1); return nil })
	seen := &keeper{Handler: server.Handler()}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	good(t, err)
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	h := &http.Server{Handler: seen, Protocols: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = h.Serve(l) }()
	t.Cleanup(func() { _ = h.Close() })
	url := "http://" + l.Addr().String()
	good(t, w.clients(credentials(t, file, ""), url).transactions.Notice(t.Context(), issuer.Notice{Reference: "a"}))
	seen.mu.Lock()
	header := map[string]string{}
	for _, name := range []string{"Authorization", "Connect-Timeout-Ms"} {
		header[name] = seen.last.Get(name)
	}
	seen.mu.Unlock()
	const body = `{"Reference":"a","Answer":{"Outcome":0,"IssuerReference":"","Amount":{"minor":0,"currency":""},"Captured":false,"Code":"","Message":"","ActionURL":"","At":"0001-01-01T00:00:00Z"},"Dispute":null}`
	raw := cleartext()
	if status, answer := ask(t, raw, "POST", url+noticePath, body, header); status != http.StatusOK {
		t.Fatalf("the request as it was seen: %d %s (the test spells the body wrongly?)", status, answer)
	}
	altered := map[string]string{"Authorization": header["Authorization"], "Connect-Timeout-Ms": "60000"}
	for name, again := range map[string]struct {
		path, body string
		header     map[string]string
	}{
		"another body":     {noticePath, strings.Replace(body, `"a"`, `"b"`, 1), header},
		"another path":     {"/paylink.transactions/Repair", body, header},
		"a query":          {noticePath + "?a=b", body, header},
		"another deadline": {noticePath, body, altered},
		"another id": {noticePath, body, map[string]string{"Authorization": header["Authorization"],
			"Connect-Timeout-Ms": header["Connect-Timeout-Ms"], "Request-Id": "x"}},
	} {
		if status, _ := ask(t, raw, "POST", url+again.path, again.body, again.header); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, status)
		}
	}
	mu.Lock()
	clock = clock.Add(time.Minute)
	mu.Unlock()
	if status, _ := ask(t, raw, "POST", url+noticePath, body, header); status != http.StatusUnauthorized {
		t.Errorf("a minute later: %d", status)
	}
	if done.Load() != 2 {
		t.Errorf("%d calls were done, 2 were good", done.Load())
	}
}

// TestSecretRotates accepts a new secret beside the old one, then sends it, then removes the old
// one. No request is refused on the way, and no process restarts.
func TestSecretRotates(t *testing.T) {
	w := newWorld(t)
	before, after := strings.Repeat("old-secret-", 4), strings.Repeat("new-secret-", 4)
	serverFile, clientFile := secretFile(t, before), secretFile(t, before)
	server, client := credentials(t, serverFile, ""), credentials(t, clientFile, "")
	for _, c := range []*rpc.Credentials{server, client} {
		go func() { _ = c.Watch(t.Context(), 5*time.Millisecond, w.log) }()
	}
	url, _ := listen(t, w.notices(server, func(context.Context, issuer.Notice) error { return nil }), nil)
	far := w.clients(client, url).transactions
	write := func(file string, secrets ...string) {
		t.Helper()
		good(t, os.WriteFile(file+".new", []byte(strings.Join(secrets, "\n")), 0o600))
		good(t, os.Rename(file+".new", file))
	}
	works := func(c string) bool {
		return w.clients(credentials(t, secretFile(t, c), ""), url).transactions.Notice(t.Context(), issuer.Notice{}) == nil
	}
	good(t, far.Notice(t.Context(), issuer.Notice{}))
	write(serverFile, before, after)
	await.Until(t, "the new secret is accepted", func() bool { return works(after) })
	good(t, far.Notice(t.Context(), issuer.Notice{}))
	write(clientFile, after, before)
	write(serverFile, after)
	await.Until(t, "the old secret is refused", func() bool { return !works(before) })
	await.Until(t, "the client sends the new one", func() bool { return far.Notice(t.Context(), issuer.Notice{}) == nil })
	// An invalid file changes nothing.
	write(serverFile, "short")
	await.Until(t, "the file was looked at", func() bool { return strings.Contains(w.logs.String(), "could not be reloaded") })
	good(t, far.Notice(t.Context(), issuer.Notice{}))
	for name, content := range map[string]string{"empty": "\n", "short": "abc\n", "many": strings.Repeat(after+"\n", 9)} {
		path := filepath.Join(t.TempDir(), "s")
		good(t, os.WriteFile(path, []byte(content), 0o600))
		if _, err := rpc.NewCredentials(path, "", time.Now); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	good(t, os.Chmod(clientFile, 0o644)) // that it is refused is the point
	if _, err := rpc.NewCredentials(clientFile, "", time.Now); err == nil {
		t.Error("a secret that everybody can read was accepted")
	}
	if _, err := rpc.NewCredentials("", "", time.Now); err == nil {
		t.Error("no credentials at all were accepted")
	}
}

// authority issues certificates for loopback.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	good(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "internal authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	good(t, err)
	cert, err := x509.ParseCertificate(der)
	good(t, err)
	return &authority{key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// folder writes a certificate with its key, and the authority to trust.
func (a *authority) folder(t *testing.T, dir string, trust *authority) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	good(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "a service"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	good(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	good(t, err)
	for name, content := range map[string][]byte{"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), "ca.crt": trust.pem} {
		good(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return dir
}

// TestMutualTLS checks that nothing is done unless both ends present a certificate of the
// authority.
func TestMutualTLS(t *testing.T) {
	w := newWorld(t)
	ours, theirs := newAuthority(t), newAuthority(t)
	serverDir := ours.folder(t, t.TempDir(), ours)
	server := credentials(t, "", serverDir)
	go func() { _ = server.Watch(t.Context(), 5*time.Millisecond, w.log) }()
	var done atomic.Int64
	url, _ := listen(t, w.notices(server, func(context.Context, issuer.Notice) error { done.Add(1); return nil }), nil)
	call := func(dir string) error {
		return w.clients(credentials(t, "", dir), url).transactions.Notice(t.Context(), issuer.Notice{})
	}
	good(t, call(ours.folder(t, t.TempDir(), ours)))
	for name, dir := range map[string]string{
		"a certificate of another authority": theirs.folder(t, t.TempDir(), ours),
		"trust in another authority":         ours.folder(t, t.TempDir(), theirs),
	} {
		if err := call(dir); fault.Code(err) != "service_unavailable" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, config := range map[string]*tls.Config{
		"no certificate": {InsecureSkipVerify: true}, // a stranger's client
		"TLS 1.2":        {InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
	} {
		stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
		if status, _ := ask(t, stranger, "POST", url+noticePath, `{}`, nil); status != 0 {
			t.Errorf("%s: answered %d", name, status)
		}
	}
	if status, _ := ask(t, cleartext(), "POST", "http"+strings.TrimPrefix(url, "https")+noticePath, `{}`, nil); status == http.StatusOK {
		t.Error("answered in the clear")
	}
	if done.Load() != 1 {
		t.Errorf("%d calls were done, one was good", done.Load())
	}
	// Another authority takes over while the process runs.
	theirs.folder(t, serverDir, theirs)
	await.Until(t, "the new authority is trusted", func() bool { return call(theirs.folder(t, t.TempDir(), theirs)) == nil })
	if err := call(ours.folder(t, t.TempDir(), ours)); err == nil {
		t.Error("the old authority is still trusted")
	}
}

// TestSecretAndTLS checks that with both, a certificate alone is not enough.
func TestSecretAndTLS(t *testing.T) {
	w, ca, file := newWorld(t), newAuthority(t), secretFile(t)
	url, _ := listen(
		t,
		w.notices(credentials(t, file, ca.folder(t, t.TempDir(), ca)), func(context.Context, issuer.Notice) error { return nil }),
		nil,
	)
	good(t, w.clients(credentials(t, file, ca.folder(t, t.TempDir(), ca)), url).transactions.Notice(t.Context(), issuer.Notice{}))
	if err := w.clients(credentials(t, "", ca.folder(t, t.TempDir(), ca)), url).transactions.Notice(t.Context(), issuer.Notice{}); err == nil {
		t.Error("a certificate alone was enough")
	}
}

// tap records all bytes of its connections.
type tap struct {
	net.Listener
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *tap) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return tapped{c, l}, err
}

type tapped struct {
	net.Conn
	tap *tap
}

func (c tapped) note(b []byte) {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.tap.all.Write(b)
}

func (c tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.note(b[:n])
	return n, err
}

func (c tapped) Write(b []byte) (int, error) {
	c.note(b)
	return c.Conn.Write(b)
}

// TestI15NoCardOnTheWire records everything that two services and the issuer exchange during a
// card payment, and checks that the card number is not in it.
func TestI15NoCardOnTheWire(t *testing.T) {
	const number, cvc = "4000000000006108", "739"
	w := newWorld(t)
	c := credentials(t, secretFile(t), "")
	var heard *tap
	url, _ := listen(t, w.serve(c), func(l net.Listener) net.Listener { heard = &tap{Listener: l}; return heard })
	b := w.clients(c, url)
	k := rpc.NewConnector(rpc.NewPeer("simulator", w.pool("simulator", c, url), nil), "simulator", w.sim.Capabilities(), w.cards())
	l, err := b.links.Create(t.Context(), linkRequest(b.account(t).Account))
	good(t, err)
	p, err := b.transactions.Submit(
		t.Context(),
		payment.Submit{Link: l, Attempt: "attempt-0000000001", Card: card(t, number), PayerName: "Heard Payer"},
	)
	good(t, err)
	if p.Status != payment.Unknown || p.CardLast4 != "6108" {
		t.Fatalf("paid %+v", p)
	}
	if a := k.Authorize(t.Context(), issuer.Authorization{Reference: "direct-1", Amount: testAmount, Card: card(t, "5555555555554444"),
		Statement: "Heard Shop", ExpiresAt: time.Now().Add(time.Hour)}); a.Outcome != issuer.Approved {
		t.Fatalf("authorised %+v", a)
	}
	heard.mu.Lock()
	all := heard.all.String()
	heard.mu.Unlock()
	for _, sure := range []string{"Heard Payer", "Heard Shop", link.Test} { // the tap reads bodies
		if !strings.Contains(all, sure) {
			t.Fatalf("the tap does not hear %q", sure)
		}
	}
	for _, n := range []string{number, "5555555555554444"} {
		for _, secret := range []string{n, `"` + cvc + `"`, n[:4] + " " + n[4:8], base64.StdEncoding.EncodeToString([]byte(n))[:20], base64.StdEncoding.EncodeToString([]byte("x" + n))[4:20], base64.StdEncoding.EncodeToString([]byte("xx" + n))[4:20]} {
			if strings.Contains(all, secret) || strings.Contains(w.logs.String(), secret) {
				t.Errorf("I15: %q was heard or logged", secret)
			}
		}
	}
}
