package frame

import (
	"net/http"
	"strings"
	"testing"
)

// The session's cookie stays on the path that is ours, and says so where it can. Every cookie of
// the dashboard is kept from scripts, from other sites' posts, and, with https, from plain http.
func TestSessionCookieStaysOnItsPath(t *testing.T) {
	for public, want := range map[string][2]string{
		"http://127.0.0.1:8080":    {"paylink", "/"},
		"https://pay.example":      {"__Host-paylink", "/"},
		"https://shop.example/pay": {"__Secure-paylink", "/pay/"},
	} {
		d, err := New(Config{PublicURL: public})
		if err != nil {
			t.Fatal(err)
		}
		if c := d.Cookie(d.SessionCookie(), "s", 1); c.Name != want[0] || c.Path != want[1] {
			t.Errorf("%s: %s for %s, want %v", public, c.Name, c.Path, want)
		}
		if c := d.Cookie(d.DeviceCookie(), "d", 1); c.Name != want[0]+"-device" || c.Path != want[1] {
			t.Errorf("%s: %s for %s, want %v", public, c.Name, c.Path, want)
		}
		for _, name := range []string{d.SessionCookie(), d.DeviceCookie(), flashCookie, modeCookie, langCookie} {
			c := d.Cookie(name, "x", 1)
			if c.Secure != strings.HasPrefix(public, "https:") || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
				t.Errorf("%s: %s", public, c)
			}
		}
	}
}
