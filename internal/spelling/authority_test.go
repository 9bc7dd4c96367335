package spelling_test

import (
	"errors"
	"testing"

	"github.com/paylink/paylink/internal/spelling"
)

func TestURL(t *testing.T) {
	for _, row := range []struct {
		in, want string
		err      error
	}{
		{"https://shop.example/hooks?a=b#c", "https://shop.example/hooks?a=b#c", nil},
		{"HTTPS://Shop.Example", "https://shop.example", nil},
		{"https://Bücher.example/Ü?q=ü", "https://xn--bcher-kva.example/Ü?q=ü", nil},
		{"https://bu\u0308cher.example/", "https://xn--bcher-kva.example/", nil},
		{"https://b%C3%BCcher.example/", "https://xn--bcher-kva.example/", nil},
		{"https://例え。jp/", "https://xn--r8jz45g.jp/", nil},
		{"https://shop.example:8443/", "https://shop.example:8443/", nil},
		{"https://shop.example:08443/", "https://shop.example:8443/", nil},
		{"https://shop.example:65535/", "https://shop.example:65535/", nil},
		{"https://shop.example:/", "https://shop.example/", nil},
		{"https://shop.example?x", "https://shop.example?x", nil},
		{"http://127.0.0.1:8080/", "http://127.0.0.1:8080/", nil},
		{"http://[::1]:8080/", "http://[::1]:8080/", nil},
		{"http://[0:0:0:0:0:0:0:1]/", "http://[::1]/", nil},
		{"http://localhost/", "http://localhost/", nil},
		{"http://1.example/", "http://1.example/", nil},

		{"https://shop.example:0/", "", spelling.ErrPort},
		{"https://shop.example:65536/", "", spelling.ErrPort},
		{"https://shop.example:99999/", "", spelling.ErrPort},
		{"https://shop.example:99999999999999999999/", "", spelling.ErrPort},
		{"https://[::1]:0/", "", spelling.ErrPort},
		{"https://a..b/", "", spelling.ErrHost},
		{"https://shop.example./", "", spelling.ErrHost},
		{"https://.shop.example/", "", spelling.ErrHost},
		{"https://./", "", spelling.ErrHost},
		{"https://-a.example/", "", spelling.ErrHost},
		{"https://a_b.example/", "", spelling.ErrHost},
		{"https://*.example/", "", spelling.ErrHost},
		{"https://:443/", "", spelling.ErrHost},
		{"https://1.2.3/", "", spelling.ErrHost},
		{"https://256.0.0.1/", "", spelling.ErrHost},
		{"https://0x7f000001/", "", spelling.ErrHost},
		{"https://2130706433/", "", spelling.ErrHost},
		{"https://127.0.0.01/", "", spelling.ErrHost},
		{"http://[fe80::1%25eth0]/", "", spelling.ErrHost},
		{"http://[127.0.0.1]/", "", spelling.ErrURL},

		{"", "", spelling.ErrURL},
		{"shop.example", "", spelling.ErrURL},
		{"/hooks", "", spelling.ErrURL},
		{"https:shop.example", "", spelling.ErrURL},
		{"mailto:a@shop.example", "", spelling.ErrURL},
		{"https:///hooks", "", spelling.ErrURL},
		{"https://shop.example:http/", "", spelling.ErrURL},
		{"https://a b.example/", "", spelling.ErrURL},
	} {
		got, u, err := spelling.URL(row.in)
		if got != row.want || !errors.Is(err, row.err) {
			t.Errorf("URL(%q) = %q, %v; want %q, %v", row.in, got, err, row.want, row.err)
			continue
		}
		if err != nil {
			continue
		}
		if again, _, err := spelling.URL(got); err != nil || again != got {
			t.Errorf("URL(%q) = %q, %v: its own answer must stay as it is", got, again, err)
		}
		if u.Host == "" {
			t.Errorf("URL(%q) gives no host", row.in)
		}
	}
}
