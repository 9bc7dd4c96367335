package site_test

import (
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/site"
)

func TestParseSpellsAddressesAsBrowsersDo(t *testing.T) {
	for raw, want := range map[string]string{
		"https://pay.example":                "https://pay.example",
		"https://pay.example/":               "https://pay.example",
		"https://pay.example//":              "https://pay.example",
		"https://pay.example/pay/":           "https://pay.example/pay",
		"https://pay.example/a/b.c_d~e-f":    "https://pay.example/a/b.c_d~e-f",
		"HTTPS://PAY.Example":                "https://pay.example",
		"https://pay.example:443":            "https://pay.example",
		"https://pay.example:":               "https://pay.example",
		"http://pay.example:080":             "http://pay.example",
		"http://pay.example:443":             "http://pay.example:443",
		"https://pay.example:8443/pay":       "https://pay.example:8443/pay",
		"https://pay.example.":               "https://pay.example",
		"https://zahlen.müller.example/pay":  "https://zahlen.xn--mller-kva.example/pay",
		"https://支払.example":                 "https://xn--upu76d.example",
		"https://pay\u3002example":           "https://pay.example",
		"http://localhost:8080":              "http://localhost:8080",
		"http://127.0.0.1:8080":              "http://127.0.0.1:8080",
		"http://[2001:DB8:0::1]:8080":        "http://[2001:db8::1]:8080",
		"https://xn--mller-kva.example":      "https://xn--mller-kva.example",
		"https://pay.example/Shop/Checkout/": "https://pay.example/Shop/Checkout",
	} {
		got, err := site.Parse(raw)
		if err != nil || got.String() != want {
			t.Errorf("%s: %q, %v; want %q", raw, got, err, want)
		}
		if again, err := site.Parse(want); err != nil || again != got {
			t.Errorf("%s: its own spelling %q reads %q, %v", raw, want, again, err)
		}
	}
}

func TestParseRefusesAddressesThatDoHarm(t *testing.T) {
	for raw, why := range map[string]string{
		"https://user:hunter2@pay.example": "user name or password",
		"https://user@pay.example":         "user name or password",
		"https://@pay.example":             "user name or password",
		"https://pay.example:99999":        "want 1 to 65535",
		"https://pay.example:0":            "want 1 to 65535",
		"https://pay.example:x":            "not a URL",
		"https://pay.example/a/../b/":      "use https://pay.example/b",
		"https://pay.example/./b":          "use https://pay.example/b",
		"https://pay.example/a//b":         "use https://pay.example/a/b",
		"https://pay.example//b":           "use https://pay.example/b",
		"https://pay.example/a/..":         "use https://pay.example",
		"https://pay.example/%2e%2e/b":     "may contain only",
		"https://pay.example/a b":          "may contain only",
		"https://pay.example/zählen":       "may contain only",
		"https://pay.example/a;b":          "may contain only",
		"https://pay.example/a,b":          "may contain only",
		"https://pay.example/?a=b":         "? or #",
		"https://pay.example/?":            "? or #",
		"https://pay.example/#a":           "? or #",
		"https://pay.example#":             "? or #",
		"ftp://pay.example":                "want https://HOST",
		"pay.example":                      "want https://HOST",
		"//pay.example":                    "want https://HOST",
		"https:pay.example":                "want https://HOST",
		"https://":                         "want https://HOST",
		"https:///pay":                     "want https://HOST",
		"":                                 "want https://HOST",
		"https://a..b":                     "valid DNS name",
		"https://-pay.example":             "valid DNS name",
		"https://pay_link.example":         "valid DNS name",
		"https://pay.example..":            "valid DNS name",
		"https://.":                        "valid DNS name",
		"https://pay\u202e.example":        "valid DNS name",
		"https://0.0.0.0:8080":             "cannot be reached",
		"http://[::]:8133":                 "cannot be reached",
		"http://[fe80::1%25eth0]":          "zone",
		"http://1.2.3":                     "IPv4",
		"http://0x7f000001":                "IPv4",
		"http://256.1.1.1":                 "IPv4",
		"https://pay.example/" + strings.Repeat("a", site.MaxBytes): "at most 512 bytes",
	} {
		got, err := site.Parse(raw)
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %q, %v; want an error about %q", raw, got, err, why)
		}
	}
}

func TestDocumentNamesAddressesOfThePublicHost(t *testing.T) {
	below, err := site.Parse("https://pay.example/pay")
	if err != nil {
		t.Fatal(err)
	}
	for doc, want := range map[string]string{
		`{"links":{"self":"/api/links/x","url":"https://a.example/l/t"}}`: `{"links":{"self":"/pay/api/links/x","url":"https://a.example/l/t"}}`,
		`{"data":[{"links":{"self":"/api/a"}},{"links":{"qr":"/b"}}]}`:    `{"data":[{"links":{"self":"/pay/api/a"}},{"links":{"qr":"/pay/b"}}]}`,
		"{\"type\": \"/problems/x\", \"detail\":\"/problems/x\"}\n":       "{\"type\": \"/pay/problems/x\", \"detail\":\"/problems/x\"}\n",
		`{"data":{"type":"/problems/x"}}`:                                 `{"data":{"type":"/problems/x"}}`,
		`{"metadata":{"links":"/api/a","/b":"/c"}}`:                       `{"metadata":{"links":"/api/a","/b":"/c"}}`,
		`{"links":["/api/a",{"self":"/b"}]}`:                              `{"links":["/api/a",{"self":"/b"}]}`,
		`{"a":"\\\"/","links":{"x\"":"\/a","self":"/b\"\\"}}`:             `{"a":"\\\"/","links":{"x\"":"/pay\/a","self":"/pay/b\"\\"}}`,
		`{"amount":12.50,"links":{"self":"/a","n":1,"z":null}}`:           `{"amount":12.50,"links":{"self":"/pay/a","n":1,"z":null}}`,
		`not JSON "/`: `not JSON "/`,
	} {
		if got := string(below.Document([]byte(doc))); got != want {
			t.Errorf("%s\n got %s\nwant %s", doc, got, want)
		}
		if got := string(site.Site{}.Document([]byte(doc))); got != doc {
			t.Errorf("at the root of a host %s became %s", doc, got)
		}
	}
}

func TestOwnTakesThePathAwayOnce(t *testing.T) {
	below, err := site.Parse("https://pay.example/pay/here")
	if err != nil {
		t.Fatal(err)
	}
	ours := func(path string) bool { return strings.HasPrefix(path, "/l/") || path == "/pay/here/kept" }
	for requested, want := range map[string]string{
		"/pay/here/l/x": "/l/x", "/l/x": "/l/x", "/pay/here": "/", "/pay/here/": "/", "/pay/hereafter": "/pay/hereafter",
		"/pay/here/pay/here/l/x": "/pay/here/l/x", "/pay/here/kept": "/pay/here/kept", "/": "/",
	} {
		if got := below.Own(requested, ours); got != want {
			t.Errorf("%s: %s, want %s", requested, got, want)
		}
	}
}

// TestNames: the public host, those that are allowed besides, and this machine's names only
// where it is reached by them.
func TestNames(t *testing.T) {
	const machine = " localhost 127.0.0.1 ::1"
	for _, c := range []struct{ public, listen, allowed, want string }{
		{"https://pay.example:8443/pay", ":8080", "", "pay.example"},
		{"https://pay.example", "127.0.0.1:8080", "", "pay.example" + machine},
		{"https://pay.example", "localhost:8080", "", "pay.example" + machine},
		{"http://localhost:8080", ":8080", "", "localhost" + machine},
		{"http://127.0.0.1:8080", "0.0.0.0:8080", "", "127.0.0.1" + machine},
		{"http://[::1]:8080", "[::1]:8080", "", "::1" + machine},
		{"https://pay.example", ":8080", "Gateway.internal,10.0.0.7,[2001:db8::1],2001:db8::2,m\u00fcller.example",
			"pay.example gateway.internal 10.0.0.7 2001:db8::1 2001:db8::2 xn--mller-kva.example"},
		{"https://pay.example", "127.0.0.1:8080", "a.example,*", ""},
		{"https://pay.example", ":8080", "a.example:80", "error"},
		{"https://pay.example", ":8080", "*.example", "error"},
	} {
		s, err := site.Parse(c.public)
		if err != nil {
			t.Fatal(err)
		}
		var allowed []string
		if c.allowed != "" {
			allowed = strings.Split(c.allowed, ",")
		}
		names, err := s.Names(c.listen, allowed)
		if got := strings.Join(names, " "); (err != nil) != (c.want == "error") || err == nil && got != c.want {
			t.Errorf("%s on %s with %s: %q, %v, want %q", c.public, c.listen, c.allowed, got, err, c.want)
		}
	}
}
