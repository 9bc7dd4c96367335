package limit_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/gateway/limit"
)

// TestSpellingsOfAnAddress: however a trusted proxy writes a client's address, it is
// the same client; what cannot be read is one stranger, and never the proxy itself.
func TestSpellingsOfAnAddress(t *testing.T) {
	const stranger = "192.0.0.8:0"
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct{ header, want string }{
		{"203.0.113.9", "203.0.113.9:0"},
		{"203.0.113.9:40001", "203.0.113.9:0"},
		{" 203.0.113.9:40001 ", "203.0.113.9:0"},
		{`"203.0.113.9:40001"`, "203.0.113.9:0"},
		{"[203.0.113.9]:443", "203.0.113.9:0"},
		{"::ffff:203.0.113.9", "203.0.113.9:0"},
		{"[::ffff:203.0.113.9]:443", "203.0.113.9:0"},
		{"2001:db8::7", "[2001:db8::7]:0"},
		{"[2001:db8::7]", "[2001:db8::7]:0"},
		{"[2001:db8::7]:40001", "[2001:db8::7]:0"},
		{`"[2001:db8::7]:40001"`, "[2001:db8::7]:0"},
		{"2001:db8::7%eth0", "[2001:db8::7]:0"},
		{"198.51.100.1:5, 203.0.113.9:40001", "203.0.113.9:0"},
		{"198.51.100.1, 203.0.113.9:40001, 10.1.2.3:8080", "203.0.113.9:0"},
		{"198.51.100.1, [2001:db8::7]:1, [::1]:8080", "[2001:db8::7]:0"},
		{"203.0.113.9:40001,", "203.0.113.9:0"},
		{"garbage, 203.0.113.9", "203.0.113.9:0"},
		{"203.0.113.9, garbage", stranger},
		{"203.0.113.9, unknown, 10.1.2.3", stranger},
		{"unknown", stranger}, {"_hidden", stranger}, {"example.com:80", stranger}, {":80", stranger}, {"", stranger}, {" , ", stranger},
		{"203.0.113", stranger}, {"203.0.113.9:40001:1", stranger}, {"2001:db8::7]:1", stranger}, {"[2001:db8::7", stranger},
		{"for=203.0.113.9", stranger},
		{"203.0.113.009", stranger}, {"3405803785", stranger},
	} {
		for _, from := range []string{"127.0.0.1", "::1", "::ffff:10.1.2.3"} {
			w := newWorld(t, nil, proxies)
			w.ask("GET", "/", from, "X-Forwarded-For", c.header)
			if got := w.heard.Load(); got != c.want {
				t.Errorf("X-Forwarded-For: %q from %s is %v, want %s", c.header, from, got, c.want)
			}
		}
	}
	w := newWorld(t, nil, proxies)
	if w.ask("GET", "/", "127.0.0.1"); w.heard.Load() != "127.0.0.1:0" {
		t.Errorf("the machine itself is %v", w.heard.Load())
	}
}

// TestWhoseAddress: every header that names a client, from every kind of peer, under every
// setting. A client that is named counts: as itself if its address can be read, and as the
// stranger otherwise, never as this machine.
func TestWhoseAddress(t *testing.T) {
	const stranger, nobody = "192.0.0.8", "" // nobody: this machine, which is not limited
	var (
		none     []netip.Prefix
		loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		network  = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	)
	type header = map[string][]string
	xff := func(values ...string) header { return header{"X-Forwarded-For": values} }
	fwd := func(values ...string) header { return header{"Forwarded": values} }
	for _, c := range []struct {
		proxies []netip.Prefix
		from    string
		header  header
		want    string
	}{
		// Nobody forwarded it.
		{none, "127.0.0.1", nil, nobody}, {none, "::1", nil, nobody}, {none, "203.0.113.9", nil, "203.0.113.9"},
		{loopback, "127.0.0.1", nil, nobody}, {network, "10.1.2.3", nil, "10.1.2.3"}, {network, "::ffff:127.0.0.1", nil, nobody},
		// A client that lies is counted as itself.
		{none, "203.0.113.9", xff("198.51.100.7"), "203.0.113.9"}, {network, "203.0.113.9", fwd("for=127.0.0.1"), "203.0.113.9"},
		// A proxy on this machine, named or not: the last hop counts.
		{none, "127.0.0.1", xff("198.51.100.7, 203.0.113.9"), "203.0.113.9"}, {none, "::1", xff("203.0.113.9:40001"), "203.0.113.9"},
		{none, "127.0.0.1", fwd("for=203.0.113.9"), "203.0.113.9"}, {none, "127.0.0.1", xff("unknown"), stranger},
		{none, "127.0.0.1", xff(""), stranger}, {none, "127.0.0.1", header{"X-Real-Ip": {"203.0.113.9"}}, stranger},
		{network, "127.0.0.1", xff("203.0.113.9"), stranger}, // counted by it, but not believed
		{loopback, "127.0.0.1", xff("198.51.100.7", "203.0.113.9"), "203.0.113.9"}, {loopback, "::1", xff("garbage"), stranger},
		{loopback, "127.0.0.1", header{"X-Real-Ip": {"203.0.113.9"}}, stranger},
		// An address of this machine that a header names is no reason not to count.
		{none, "127.0.0.1", xff("127.0.0.1"), stranger}, {loopback, "127.0.0.1", xff("127.0.0.1"), stranger},
		{network, "10.1.2.3", xff("127.0.0.1"), stranger}, {network, "10.1.2.3", fwd(`for="[::1]:5"`), stranger},
		// Forwarded, with its parameters, its cases and its quotes.
		{network, "10.1.2.3", fwd("for=203.0.113.9"), "203.0.113.9"},
		{network, "10.1.2.3", fwd("For=203.0.113.9;proto=https;by=10.1.2.3"), "203.0.113.9"},
		{network, "10.1.2.3", fwd(`by="_a;b"; FOR="203.0.113.9:40001" `), "203.0.113.9"},
		{network, "10.1.2.3", fwd(`for=203.0.113.9;by="_a;for=198.51.100.7;b"`), "203.0.113.9"},
		{network, "10.1.2.3", fwd(`for="[2001:db8::7]:40001"`), "2001:db8::/56"},
		{network, "10.1.2.3", fwd(`for="[2001:db8::7]"`), "2001:db8::/56"},
		{network, "10.1.2.3", fwd("for=198.51.100.7, for=203.0.113.9, for=10.9.9.9"), "203.0.113.9"},
		{network, "10.1.2.3", fwd("for=198.51.100.7", "for=203.0.113.9"), "203.0.113.9"},
		{network, "10.1.2.3", fwd(`for="x, for=203.0.113.9`), "203.0.113.9"},
		{network, "10.1.2.3", fwd(`for="a,b", for=203.0.113.9`), "203.0.113.9"},
		{network, "10.1.2.3", fwd("for=unknown"), stranger}, {network, "10.1.2.3", fwd(`for="_gazonk"`), stranger},
		{network, "10.1.2.3", fwd("for=203.0.113.9, for=_hidden"), stranger}, {network, "10.1.2.3", fwd("proto=https"), stranger},
		{network, "10.1.2.3", fwd(""), stranger}, {network, "10.1.2.3", fwd("203.0.113.9"), stranger},
		// X-Forwarded-For counts if there are both.
		{network, "10.1.2.3", header{"X-Forwarded-For": {"203.0.113.9"}, "Forwarded": {"for=198.51.100.7"}}, "203.0.113.9"},
		{network, "10.1.2.3", header{"X-Forwarded-For": {"unknown"}, "Forwarded": {"for=198.51.100.7"}}, stranger},
	} {
		w := newWorld(t, nil, c.proxies, "sign-in=1/h,2")
		var headers []string
		for name, values := range c.header {
			for _, v := range values {
				headers = append(headers, name, v)
			}
		}
		passed, _ := w.until(9, func() *http.Response { return w.ask("POST", "/api/sessions", c.from, headers...) })
		if counted := passed == 2; counted != (c.want != nobody) {
			t.Errorf("%v from %s, proxies %v: %d passed", c.header, c.from, c.proxies, passed)
		}
		address, err := netip.ParseAddrPort(w.heard.Load().(string))
		if got := limit.Prefix(address.Addr()); err != nil || c.want != nobody && got != c.want {
			t.Errorf("%v from %s, proxies %v: %s, %v, want %s", c.header, c.from, c.proxies, got, err, c.want)
		}
	}
}

// TestProxyBesideThoseNamed: clients behind a proxy on this machine that is not among those
// named have a count each.
func TestProxyBesideThoseNamed(t *testing.T) {
	w := newWorld(t, nil, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "sign-in=1/h,2")
	for _, client := range []string{"203.0.113.9", "198.51.100.7, 203.0.113.10, 10.1.2.3"} {
		passed, _ := w.until(9, func() *http.Response {
			return w.ask("POST", "/api/sessions", "127.0.0.1", "X-Forwarded-For", client)
		})
		if passed != 2 {
			t.Errorf("%s: %d passed, want 2", client, passed)
		}
	}
}

// TestNoSpellingIsUnlimited: a client that a proxy on this machine names counts,
// whatever the spelling, and a port makes no other client of it.
func TestNoSpellingIsUnlimited(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for name, header := range map[string]func(i int) string{
		"ip:port":                  func(i int) string { return "203.0.113.9:" + strconv.Itoa(40000+i) },
		"[v6]:port":                func(i int) string { return "[2001:db8::7]:" + strconv.Itoa(40000+i) },
		"v6 and port, unbracketed": func(i int) string { return "2001:db8::7:" + strconv.Itoa(4000+i) },
		"right-most with a port":   func(i int) string { return "198.51.100." + strconv.Itoa(i) + ", 203.0.113.9:" + strconv.Itoa(40000+i) },
		"unreadable":               func(i int) string { return "client-" + strconv.Itoa(i) },
		"empty":                    func(int) string { return "" },
	} {
		for _, proxies := range [][]netip.Prefix{proxies, nil} {
			w := newWorld(t, nil, proxies, "sign-in=1/h,3", "pay=1/h,3")
			for _, path := range []string{"/api/sessions", "/l/tok/payments"} {
				i := 0
				passed, _ := w.until(50, func() *http.Response {
					i++
					return w.ask("POST", path, "127.0.0.1", "X-Forwarded-For", header(i))
				})
				if passed != 3 {
					t.Errorf("%s, proxies %v: %d passed on %s, want 3", name, proxies, passed, path)
				}
			}
		}
	}
}

// TestOneCredentialInManySpellings: spaces and the scheme's letters make no new key.
func TestOneCredentialInManySpellings(t *testing.T) {
	w := newWorld(t, nil, nil, "key=1/h,3")
	spellings := []string{"Bearer pl_test_x", "bearer pl_test_x", "BEARER  pl_test_x", "Bearer pl_test_x ", "BeArEr pl_test_x"}
	i := 0
	if passed, _ := w.until(len(spellings), func() *http.Response {
		i++
		return w.ask("GET", "/api/links", "198.51.100.7", "Authorization", spellings[i-1])
	}); passed != 3 {
		t.Errorf("%d passed, want 3", passed)
	}
}

// TestWarnings: an operator hears once that a proxy is not trusted, or not readable.
func TestWarnings(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		from, header, value, want string
	}{
		{"127.0.0.1", "X-Forwarded-For", "203.0.113.9", "--trusted-proxies"},
		{"::1", "Forwarded", "for=203.0.113.9", "--trusted-proxies"},
		{"127.0.0.1", "Accept", "*/*", ""},
		{"198.51.100.7", "X-Forwarded-For", "203.0.113.9", ""}, // a client that lies
		{"10.1.2.3", "X-Forwarded-For", "203.0.113.9:1", ""},
		{"10.1.2.3", "X-Forwarded-For", "unknown", "cannot be read"},
		{"10.1.2.3", "X-Real-Ip", "203.0.113.9", "cannot be read"},
		{"10.1.2.3", "Forwarded", "for=203.0.113.9", ""},
	} {
		w, log := newWorld(t, nil, trusted), bytes.Buffer{}
		w.gate.Log = slog.New(slog.NewTextHandler(&log, nil))
		for range 3 {
			w.ask("GET", "/", c.from, c.header, c.value)
		}
		switch lines := strings.Count(log.String(), "\n"); {
		case c.want == "" && lines != 0, c.want != "" && (lines != 1 || !strings.Contains(log.String(), c.want)):
			t.Errorf("%s: %s from %s logs %q, want %q once", c.header, c.value, c.from, log.String(), c.want)
		}
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{"10.0.0.0/8": "10.0.0.0/8", "::ffff:10.0.0.0/104": "10.0.0.0/8", "::1/128": "::1/128",
		"2001:db8::/32": "2001:db8::/32"} {
		if p, err := limit.Network(in); err != nil || p.String() != want {
			t.Errorf("%s is %v, %v, want %s", in, p, err, want)
		}
	}
	for _, bad := range []string{"", "10.0.0.1", "10.0.0.0/33", "::1"} {
		if p, err := limit.Network(bad); err == nil {
			t.Errorf("%q is %v", bad, p)
		}
	}
}
