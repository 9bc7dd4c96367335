package rpc_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/rpc"
)

// pagesMethod stands for the pages of an issuer in the table of callers.
const pagesMethod = "pages"

// drawn is the design of the calls between services that are not the gateway's, written by hand.
var drawn = map[string]string{
	"simulator→transactions": "Notice",
	"transactions→fraud":     "Assess",
	"transactions→simulator": "Authorize Capture Refund Reverse Lookup",
	"gateway→simulator":      pagesMethod,
}

// TestCallers checks the table against the design.
func TestCallers(t *testing.T) {
	for _, target := range everyService {
		for _, caller := range everyService {
			methods, want := rpc.Methods(caller, target), drawn[caller+"→"+target]
			for _, m := range methods {
				if arrow := caller == "gateway" && target != "simulator"; !arrow && !slices.Contains(strings.Fields(want), m) {
					t.Errorf("%s may call %s.%s", caller, target, m)
				}
			}
			for _, m := range strings.Fields(want) {
				if !slices.Contains(methods, m) {
					t.Errorf("%s cannot call %s.%s", caller, target, m)
				}
			}
			if slices.Contains(rpc.Calls(caller), target) != (methods != nil) || slices.Contains(rpc.Callers(target), caller) != (methods != nil) {
				t.Errorf("%s→%s: %v, but calls %v, callers %v", caller, target, methods, rpc.Calls(caller), rpc.Callers(target))
			}
		}
	}
	for _, forbidden := range []string{"Notice", "Assess"} {
		if slices.Contains(rpc.Methods("gateway", "transactions"), forbidden) || slices.Contains(rpc.Methods("gateway", "fraud"), forbidden) {
			t.Errorf("the gateway may call %s", forbidden)
		}
	}
}

// others returns every service but one.
func others(than string) []string {
	return slices.DeleteFunc(slices.Clone(everyService), func(name string) bool { return name == than })
}

// paths returns the path of every request that a service answers, with its name in the table.
func paths(target string) map[string]string {
	all := map[string]string{"/healthz": "", "/readyz": ""}
	for _, caller := range rpc.Callers(target) {
		for _, m := range rpc.Methods(caller, target) {
			if m == pagesMethod {
				all["/simulator/3ds.css"] = m
			} else {
				all["/paylink."+target+"/"+m] = m
			}
		}
	}
	return all
}

// estate is every service as a process of its own, with its own credentials and no others.
type estate struct {
	t    *testing.T
	urls map[string]string
	of   map[string]*rpc.Credentials
	dirs map[string]string // folders of certificates
	w    *world
}

func newEstate(t *testing.T, secured bool) *estate {
	e := &estate{t: t, urls: map[string]string{}, of: map[string]*rpc.Credentials{}, dirs: map[string]string{}, w: newWorld(t)}
	root, certificates := rootFile(t), t.TempDir()
	loopback := func(string) []string { return []string{"127.0.0.1"} }
	good(t, rpc.MakeCertificates(certificates, everyService, loopback, time.Hour, time.Now()))
	for _, name := range everyService {
		e.dirs[name] = filepath.Join(certificates, name)
		if secured {
			e.of[name] = credentialsOf(t, []string{name}, "", e.dirs[name])
		} else {
			e.of[name] = credentialsOf(t, []string{name}, exported(t, root, name), "")
		}
		s := e.w.serve(e.of[name]) // every process has the code of every service
		rpc.ServeAnalyst(s, nil)
		rpc.ServeRulebook(s, nil, nil, e.w.store)
		e.urls[name], _ = listen(t, s, nil)
	}
	return e
}

// garbled is no message: a server that decodes it answers 400.
const garbled = `{"`

// judge checks an answer: one that is permitted was decoded, or served; any other was refused
// before that.
func (e *estate) judge(caller, target, path, method string, permitted bool, status int) {
	e.t.Helper()
	switch {
	case permitted && strings.HasPrefix(path, "/paylink.") && status != http.StatusBadRequest,
		permitted && path == "/simulator/3ds.css" && status != http.StatusOK,
		permitted && method == "" && status != http.StatusNoContent:
		e.t.Errorf("%s to %s%s: %d, although the table allows it", caller, target, path, status)
	case !permitted && status != http.StatusForbidden && status != http.StatusUnauthorized:
		e.t.Errorf("%s to %s%s: %d, although the table does not allow it", caller, target, path, status)
	}
}

// allowed reports what the table says about a request.
func allowed(caller, target, method string) bool {
	if method == "" {
		return slices.Contains(rpc.Calls(caller), target)
	}
	return slices.Contains(rpc.Methods(caller, target), method)
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	method, body := http.MethodPost, garbled
	if !strings.Contains(url, "/paylink.") {
		method, body = http.MethodGet, ""
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	good(t, err)
	r.Header.Set("Content-Type", "application/paylink+json")
	r.Header.Set("Connect-Protocol-Version", "1")
	return r
}

// TestEachServiceMakesItsCallsAlone holds each service's own credentials and makes every request
// to every other service, with keys and with certificates: exactly the calls of the table pass.
func TestEachServiceMakesItsCallsAlone(t *testing.T) {
	t.Run("keys", func(t *testing.T) {
		e := newEstate(t, false)
		tried := 0
		for _, caller := range everyService {
			for _, target := range others(caller) {
				for path, method := range paths(target) {
					// As its own code would, and then with every key that it has, whatever it is for.
					for _, as := range append([]string{target}, rpc.Calls(caller)...) {
						pool := e.w.pool(as, e.of[caller], e.urls[target])
						response, err := pool.Do(request(t, e.urls[target]+path))
						tried++
						if err != nil { // it has no key for that
							if allowed(caller, target, method) && as == target {
								t.Errorf("%s to %s%s: %v", caller, target, path, err)
							}
							continue
						}
						_ = response.Body.Close()
						e.judge(caller, target, path, method, as == target && allowed(caller, target, method), response.StatusCode)
					}
				}
			}
		}
		t.Logf("%d requests", tried)
	})
	t.Run("certificates", func(t *testing.T) {
		e := newEstate(t, true)
		for _, caller := range everyService {
			client := strangerWith(t, e.dirs[caller])
			for _, target := range others(caller) {
				for path, method := range paths(target) {
					response, err := client.Do(request(t, e.urls[target]+path))
					good(t, err)
					_ = response.Body.Close()
					e.judge(caller, target, path, method, allowed(caller, target, method), response.StatusCode)
				}
			}
		}
	})
}

// strangerWith returns a client that presents a certificate and does not check the other end.
func strangerWith(t *testing.T, dir string) *http.Client {
	t.Helper()
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	good(t, err)
	c := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{own}, InsecureSkipVerify: true}}} // the other end is not under test
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// TestPairKeyIsHeldByTwo checks that a key is in the files of exactly the two services of its
// arrow, and that the root is in none.
func TestPairKeyIsHeldByTwo(t *testing.T) {
	root := rootFile(t)
	raw, err := os.ReadFile(root)
	good(t, err)
	secret := strings.Split(string(raw), `"`)[5] // {"roots":[{"secret":"…"
	holders := map[string][]string{}
	for _, name := range everyService {
		content, err := os.ReadFile(exported(t, root, name))
		good(t, err)
		if len(secret) < 40 || strings.Contains(string(content), secret) {
			t.Fatalf("%s holds the root, or the test does not know it: %q", name, secret)
		}
		for _, line := range strings.Split(string(content), "\n") {
			if key, ok := strings.CutPrefix(strings.TrimSpace(line), `"key": "`); ok {
				holders[key] = append(holders[key], name)
			}
		}
	}
	arrows := 0
	for _, name := range everyService {
		arrows += len(rpc.Calls(name))
	}
	if len(holders) != arrows {
		t.Errorf("%d keys for %d arrows", len(holders), arrows)
	}
	for _, names := range holders {
		if len(names) != 2 {
			t.Errorf("a key is held by %v", names)
		}
	}
}

// TestCertificatesAreRenewed checks the files that the command writes, and that a second run
// renews them under the same authority.
func TestCertificatesAreRenewed(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	hosts := func(service string) []string { return []string{"paylink-" + service, "127.0.0.1"} }
	serials := map[string]bool{}
	for range 2 {
		good(t, rpc.MakeCertificates(dir, []string{"users", "links"}, hosts, 24*time.Hour, now))
		authority, err := os.ReadFile(filepath.Join(dir, "authority", "ca.crt"))
		good(t, err)
		trust := x509.NewCertPool()
		trust.AppendCertsFromPEM(authority)
		for _, service := range []string{"users", "links"} {
			for _, name := range []string{"tls.crt", "tls.key", "ca.crt", "../authority/ca.key"} {
				if info, err := os.Stat(filepath.Join(dir, service, name)); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s/%s: %v", service, name, err)
				}
			}
			own, err := tls.LoadX509KeyPair(filepath.Join(dir, service, "tls.crt"), filepath.Join(dir, service, "tls.key"))
			good(t, err)
			for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
				if _, err := own.Leaf.Verify(x509.VerifyOptions{Roots: trust, DNSName: "paylink-" + service, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
					t.Errorf("%s: %v", service, err)
				}
			}
			if !slices.ContainsFunc(own.Leaf.IPAddresses, func(ip net.IP) bool { return ip.IsLoopback() }) || len(own.Leaf.URIs) != 1 ||
				own.Leaf.URIs[0].String() != "spiffe://paylink/"+service || !own.Leaf.NotAfter.Equal(now.Add(24*time.Hour).Truncate(time.Second).UTC()) {
				t.Errorf("%s: %v %v until %v", service, own.Leaf.IPAddresses, own.Leaf.URIs, own.Leaf.NotAfter)
			}
			serials[own.Leaf.SerialNumber.String()] = true
		}
	}
	if len(serials) != 4 {
		t.Errorf("%d certificates, want 4", len(serials))
	}
	if rpc.MakeCertificates(dir, []string{"users"}, hosts, time.Minute, now) == nil ||
		rpc.MakeCertificates(dir, []string{"users"}, hosts, 24*time.Hour, now.Add(11*365*24*time.Hour)) == nil {
		t.Error("a life that is too short, or that outlasts the authority, was accepted")
	}
	good(t, os.Remove(filepath.Join(dir, "authority", "ca.crt")))
	if rpc.MakeCertificates(dir, []string{"users"}, hosts, 24*time.Hour, now) == nil {
		t.Error("an authority that lost its certificate was replaced")
	}
}
