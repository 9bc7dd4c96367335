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
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
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

// captured is a signed request as a listener on the network sees it.
type captured struct {
	path, body string
	header     map[string]string
}

// keeper remembers the last signed request that passes through it. If it is holding, it answers
// itself, and the request reaches nobody.
type keeper struct {
	http.Handler
	mu   sync.Mutex
	hold bool
	last captured
}

func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	// The first request of a caller does not name the instance, and is of no use.
	named := !strings.Contains(r.Header.Get("Authorization"), " - ")
	k.mu.Lock()
	if named {
		k.last = captured{path: r.URL.Path, body: string(body), header: map[string]string{}}
		for _, name := range []string{"Authorization", "Connect-Timeout-Ms"} {
			k.last.header[name] = r.Header.Get(name)
		}
	}
	hold := k.hold && named
	k.mu.Unlock()
	if hold {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	k.Handler.ServeHTTP(w, r)
}

// seen returns the last request.
func (k *keeper) seen() captured {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}

// behind serves a server on loopback behind a keeper.
func behind(t *testing.T, s *rpc.Server, hold bool) (url string, k *keeper) {
	t.Helper()
	k = &keeper{Handler: s.Handler(), hold: hold}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	good(t, err)
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	h := &http.Server{Handler: k, Protocols: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = h.Serve(l) }()
	t.Cleanup(func() { _ = h.Close() })
	return "http://" + l.Addr().String(), k
}

// TestUnauthenticatedIsRefused checks that a caller that does not prove to hold a key is refused,
// for every procedure, without side effects.
func TestUnauthenticatedIsRefused(t *testing.T) {
	w := newWorld(t)
	file := keysFile(t)
	var done atomic.Int64
	script := func(context.Context, issuer.Notice) error { done.Add(1); return nil }
	server := w.notices(credentials(t, file, ""), script)
	w.sim.Handler()
	url, _ := listen(t, server, nil)
	raw := cleartext()
	for _, path := range []string{noticePath, "/paylink.transactions/Submit", "/paylink.transactions/GetIdempotency", "/readyz",
		"/healthz", "/simulator/3ds.css", "/", "/nowhere", "/metrics"} {
		for _, method := range []string{"GET", "POST"} {
			for name, auth := range map[string]string{"nothing": "", "a bare secret": "Bearer hunter2", "nonsense": "Paylink-Pair-HMAC-SHA256 a b c d e",
				"no mac": "Paylink-Pair-HMAC-SHA256 00000000 1 n i ", "basic": "Basic YTpi"} {
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
	if err := w.clients(credentials(t, keysFile(t), ""), url).transactions.Notice(t.Context(), issuer.Notice{}); fault.Code(
		err,
	) != "service_unavailable" ||
		!rpc.NotSent(err) {
		t.Errorf("with the keys of another root: %v", err)
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

// TestProofCoversTheRequest checks that an intercepted request cannot be altered or kept for
// later, and that it is accepted once.
func TestProofCoversTheRequest(t *testing.T) {
	w := newWorld(t)
	file := keysFile(t)
	clock := time.Now()
	var mu sync.Mutex
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	c, err := rpc.NewCredentials(everyService, file, "", now)
	good(t, err)
	var done atomic.Int64
	url, seen := behind(t, w.notices(c, func(context.Context, issuer.Notice) error { done.Add(1); return nil }), true)
	client := w.clients(credentials(t, file, ""), url).transactions
	if err := client.Notice(t.Context(), issuer.Notice{Reference: "a"}); !rpc.NotSent(err) {
		t.Fatalf("the request was not intercepted: %v", err)
	}
	sent, raw := seen.seen(), cleartext()
	seen.mu.Lock()
	seen.hold = false
	seen.mu.Unlock()
	send := func(name, path, body string, change map[string]string, want int) {
		t.Helper()
		header := maps.Clone(sent.header)
		maps.Copy(header, change)
		if status, answer := ask(t, raw, "POST", url+path, body, header); status != want {
			t.Errorf("%s: %d %s, want %d", name, status, answer, want)
		}
	}
	refused := http.StatusUnauthorized
	auth := strings.Fields(sent.header["Authorization"])
	altered := func(i int, to string) map[string]string {
		fields := slices.Clone(auth)
		fields[i] = to
		return map[string]string{"Authorization": strings.Join(fields, " ")}
	}
	send("another body", sent.path, strings.Replace(sent.body, `"a"`, `"b"`, 1), nil, refused)
	send("another path", "/paylink.transactions/Repair", sent.body, nil, refused)
	send("a query", sent.path+"?a=b", sent.body, nil, refused)
	send("another deadline", sent.path, sent.body, map[string]string{"Connect-Timeout-Ms": "60000"}, refused)
	send("another id", sent.path, sent.body, map[string]string{"Request-Id": "x"}, refused)
	send("another actor", sent.path, sent.body, map[string]string{"Actor": "eyJ0eXBlIjoidXNlciJ9"}, refused)
	send("another time", sent.path, sent.body, altered(2, earlier(t, auth[2])), refused)
	send("another nonce", sent.path, sent.body, altered(3, "another"), refused)
	send("another instance", sent.path, sent.body, altered(4, "another"), refused)
	send("no instance", sent.path, sent.body, altered(4, "-"), refused)
	if done.Load() != 0 {
		t.Fatalf("%d altered requests were carried out", done.Load())
	}
	send("the request as it was", sent.path, sent.body, nil, http.StatusOK)
	send("the same once more", sent.path, sent.body, nil, refused)
	if done.Load() != 1 {
		t.Errorf("%d calls were carried out, 1 was good", done.Load())
	}

	seen.mu.Lock()
	seen.hold = true
	seen.mu.Unlock()
	_ = client.Notice(t.Context(), issuer.Notice{Reference: "b"})
	sent = seen.seen()
	seen.mu.Lock()
	seen.hold = false
	seen.mu.Unlock()
	mu.Lock()
	clock = clock.Add(time.Minute)
	mu.Unlock()
	send("a minute later", sent.path, sent.body, nil, refused)
	if done.Load() != 1 {
		t.Errorf("%d calls were carried out, 1 was good", done.Load())
	}
}

// TestFirstRequestIsLarge checks that the first request to an instance, which is sent twice, may
// have a large body.
func TestFirstRequestIsLarge(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	var got int
	url, _ := listen(t, w.notices(c, func(_ context.Context, n issuer.Notice) error { got = len(n.Reference); return nil }), nil)
	const size = rpc.MaxRequestBytes - 1024
	good(t, w.clients(c, url).transactions.Notice(t.Context(), issuer.Notice{Reference: strings.Repeat("x", size)}))
	if got != size {
		t.Errorf("%d bytes arrived, want %d", got, size)
	}
}

// earlier returns a time in milliseconds that is one less.
func earlier(t *testing.T, millis string) string {
	t.Helper()
	n, err := strconv.ParseInt(millis, 10, 64)
	good(t, err)
	return strconv.FormatInt(n-1, 10)
}

// TestCapturedRequestChangesNothing sends requests that made a key and a refund again, to the same
// instance, to another one of the service, and to one that was started later.
func TestCapturedRequestChangesNothing(t *testing.T) {
	w := newWorld(t)
	file := keysFile(t)
	a := w.local.account(t).Account
	url, seen := behind(t, w.serve(credentials(t, file, "")), false)
	other, _ := listen(t, w.serve(credentials(t, file, "")), nil)
	far, raw := w.clients(credentials(t, file, ""), url), cleartext()
	again := func(what string) {
		t.Helper()
		sent := seen.seen()
		restarted, _ := listen(t, w.serve(credentials(t, file, "")), nil)
		for name, to := range map[string]string{"the instance": url, "another instance": other, "a later instance": restarted} {
			for range 3 {
				if status, _ := ask(t, raw, "POST", to+sent.path, sent.body, sent.header); status != http.StatusUnauthorized {
					t.Errorf("%s, sent again to %s: %d", what, name, status)
				}
			}
		}
	}

	_, err := far.users.CreateKey(t.Context(), merchant.CreateKeyRequest{Account: a.ID, Mode: link.Test, Name: "one",
		Scopes: []string{"links:read"}}, nil)
	good(t, err)
	again("CreateKey")
	if keys, err := w.local.users.Keys(t.Context(), a.ID, "", 10); err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v", len(keys), err)
	}

	l, err := far.links.Create(t.Context(), linkRequest(a))
	good(t, err)
	p, err := far.transactions.Submit(t.Context(), payment.Submit{Link: l, Attempt: "attempt-0000000001", Card: card(t, "4242424242424242")})
	good(t, err)
	_, _, err = far.transactions.Refund(t.Context(), a.ID, link.Test, p.ID, payment.RefundInput{Amount: "1.00"}, nil)
	good(t, err)
	again("Refund")
	if p, err = w.store.GetPayment(t.Context(), a.ID, p.ID); err != nil || p.RefundedMinor != 100 || len(p.Refunds) != 1 {
		t.Errorf("refunded %d in %d refunds, %v", p.RefundedMinor, len(p.Refunds), err)
	}
}

// TestKeysRotate adds a new root, uses it, and retires the old one. No request is refused on the
// way, and no process restarts.
func TestKeysRotate(t *testing.T) {
	w := newWorld(t)
	dir, root := t.TempDir(), rootFile(t)
	serverFile, clientFile := filepath.Join(dir, "server.json"), filepath.Join(dir, "client.json")
	export := func(file string) {
		t.Helper()
		_, err := rpc.ExportKeys(root, everyService, file)
		good(t, err)
	}
	old := exported(t, root, everyService...)
	export(serverFile)
	export(clientFile)
	server, client := credentials(t, serverFile, ""), credentials(t, clientFile, "")
	for _, c := range []*rpc.Credentials{server, client} {
		go func() { _ = c.Watch(t.Context(), 5*time.Millisecond, w.log) }()
	}
	url, _ := listen(t, w.notices(server, func(context.Context, issuer.Notice) error { return nil }), nil)
	far := w.clients(client, url).transactions
	works := func(file string) bool {
		return w.clients(credentials(t, file, ""), url).transactions.Notice(t.Context(), issuer.Notice{}) == nil
	}
	good(t, far.Notice(t.Context(), issuer.Notice{}))

	good(t, rpc.RotateRoot(root, time.Now(), time.Hour))
	if rpc.RotateRoot(root, time.Now(), 0) == nil || rpc.RetireRoot(root, time.Now()) == nil {
		t.Error("a rotation that is not finished was repeated or ended")
	}
	export(serverFile)
	good(t, rpc.RetireRoot(root, time.Now().Add(2*time.Hour)))
	fresh := exported(t, root, everyService...)
	await.Until(t, "the new keys are accepted", func() bool { return works(fresh) })
	if !works(old) {
		t.Error("the old keys are refused before they are retired")
	}
	export(clientFile)
	good(t, far.Notice(t.Context(), issuer.Notice{}))
	export(serverFile)
	await.Until(t, "the old keys are refused", func() bool { return !works(old) })
	await.Until(t, "the client uses the new ones", func() bool { return far.Notice(t.Context(), issuer.Notice{}) == nil })

	// An invalid file changes nothing.
	good(t, os.WriteFile(serverFile+".new", []byte("short"), 0o600))
	good(t, os.Rename(serverFile+".new", serverFile))
	await.Until(t, "the file was read", func() bool { return strings.Contains(w.logs.String(), "could not be reloaded") })
	good(t, far.Notice(t.Context(), issuer.Notice{}))
}

// TestKeysThatAreRefused checks the files that a process does not start with.
func TestKeysThatAreRefused(t *testing.T) {
	root := rootFile(t)
	for name, content := range map[string]string{"empty": "", "nothing": "{}", "a list": "[]", "short": `{"pairs":[{"caller":"gateway","target":"verifier","keys":[{"key":"YWJj"}]}]}`,
		"many": `{"pairs":[` + strings.Repeat(`{"caller":"gateway","target":"verifier","keys":[{"key":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}]},`, 2) +
			`{"caller":"gateway","target":"verifier","keys":[{"key":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}]}]}`} {
		path := filepath.Join(t.TempDir(), "keys.json")
		good(t, os.WriteFile(path, []byte(content), 0o600))
		if _, err := rpc.NewCredentials([]string{"verifier"}, path, "", time.Now); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := rpc.NewCredentials([]string{"users"}, exported(t, root, "verifier"), "", time.Now); err == nil ||
		!strings.Contains(err.Error(), "gateway to users") {
		t.Errorf("the keys of another service: %v", err)
	}
	if _, err := rpc.NewCredentials(everyService, root, "", time.Now); err == nil {
		t.Error("the root was accepted as keys")
	}
	file := keysFile(t)
	good(t, os.Chmod(file, 0o644)) // that it is refused is the point
	if _, err := rpc.NewCredentials(everyService, file, "", time.Now); err == nil {
		t.Error("keys that everybody can read were accepted")
	}
	if _, err := rpc.NewCredentials(everyService, "", "", time.Now); err == nil {
		t.Error("no credentials at all were accepted")
	}
	if rpc.CreateRoot(root, time.Now()) == nil {
		t.Error("a root was replaced")
	}
	for _, path := range []string{root, exported(t, root, "users")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
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

// folder writes a certificate of every service with its key, and the authority to trust.
func (a *authority) folder(t *testing.T, dir string, trust *authority) string {
	t.Helper()
	return a.folderOf(t, dir, trust, everyService...)
}

// folderOf is folder for some of the services.
func (a *authority) folderOf(t *testing.T, dir string, trust *authority, services ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	good(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "a service"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, service := range services {
		template.URIs = append(template.URIs, &url.URL{Scheme: "spiffe", Host: "paylink", Path: "/" + service})
	}
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

// TestCertificateNamesItsService checks that a process does not start with the certificate of
// another service, and that a caller does not take one for the service that it calls.
func TestCertificateNamesItsService(t *testing.T) {
	w, ca := newWorld(t), newAuthority(t)
	links := ca.folderOf(t, t.TempDir(), ca, "links")
	if _, err := rpc.NewCredentials([]string{"users"}, "", links, time.Now); err == nil || !strings.Contains(err.Error(), "spiffe://paylink/users") {
		t.Errorf("the certificate of links for users: %v", err)
	}
	url, _ := listen(t, w.serve(credentialsOf(t, []string{"links"}, "", links)), nil)
	gateway := credentialsOf(t, []string{"gateway"}, "", ca.folderOf(t, t.TempDir(), ca, "gateway"))
	if _, err := w.clients(gateway, url).links.List(t.Context(), link.Filter{Account: "acc", Mode: link.Test}); err != nil {
		t.Error(err)
	}
	impostor := credentialsOf(t, []string{"users"}, "", ca.folderOf(t, t.TempDir(), ca, "users"))
	impostor.SetCertificate(links)
	url, _ = listen(t, w.serve(impostor), nil)
	if _, err := w.clients(gateway, url).users.Policy(t.Context()); !rpc.NotSent(err) {
		t.Errorf("links was taken for users: %v", err)
	}
}

// TestKeysAndTLS checks that with both, a certificate alone is not enough, and that both must name
// the same caller.
func TestKeysAndTLS(t *testing.T) {
	w, ca, file := newWorld(t), newAuthority(t), keysFile(t)
	url, _ := listen(
		t,
		w.notices(credentials(t, file, ca.folder(t, t.TempDir(), ca)), func(context.Context, issuer.Notice) error { return nil }),
		nil,
	)
	good(t, w.clients(credentials(t, file, ca.folder(t, t.TempDir(), ca)), url).transactions.Notice(t.Context(), issuer.Notice{}))
	if err := w.clients(credentials(t, "", ca.folder(t, t.TempDir(), ca)), url).transactions.Notice(t.Context(), issuer.Notice{}); err == nil {
		t.Error("a certificate alone was enough")
	}
	root := rootFile(t)
	of := func(certificate string, services ...string) *rpc.Credentials {
		return credentialsOf(t, services, exported(t, root, services...), ca.folderOf(t, t.TempDir(), ca, certificate))
	}
	url, _ = listen(t, w.notices(of("transactions", "transactions"), func(context.Context, issuer.Notice) error { return nil }), nil)
	notice := func(c *rpc.Credentials) error {
		return w.clients(c, url).transactions.Notice(t.Context(), issuer.Notice{})
	}
	good(t, notice(of("simulator", "simulator")))
	mixed := of("simulator", "simulator")
	mixed.SetCertificate(ca.folderOf(t, t.TempDir(), ca, "verifier"))
	if err := notice(mixed); !rpc.NotSent(err) {
		t.Errorf("the simulator's key with the verifier's certificate: %v", err)
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
	c := credentials(t, keysFile(t), "")
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
