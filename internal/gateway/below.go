package gateway

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// below serves an installation that a proxy has put below a path of its host. The proxy
// may take that path away or keep it; services see their own paths either way, and the
// redirects that a mux makes lead back through the proxy.
func (c Config) below(mux *http.ServeMux, next http.Handler) http.Handler {
	if c.Site.Path() == "" {
		return next
	}
	pattern := func(r *http.Request, path string) string {
		_, p := mux.Handler(&http.Request{Method: r.Method, Host: r.Host, URL: &url.URL{Path: path}})
		return p[strings.IndexByte(p, '/')+1:] // without a method
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clean := path.Clean("/" + r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/") && clean != "/" {
			clean += "/"
		}
		own := c.Site.Own(clean, func(path string) bool { return pattern(r, path) != "" })
		if clean == r.URL.Path && own+"/" != "/"+pattern(r, own) {
			next.ServeHTTP(w, stripped(r, own))
			return
		}
		if clean == r.URL.Path {
			own += "/" // the mux has a subtree there
		}
		to := url.URL{Path: c.Site.Below(own), RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusTemporaryRedirect)
	})
}

// stripped returns the request with the path own, which ends its path.
func stripped(r *http.Request, own string) *http.Request {
	taken := len(r.URL.Path) - len(own)
	if own == r.URL.Path {
		return r
	}
	u := *r.URL
	u.Path = own
	if u.RawPath != "" {
		if !strings.HasPrefix(u.RawPath, r.URL.Path[:max(taken, 0)]) {
			return r // the path is there, but escaped: nobody's address
		}
		u.RawPath = u.RawPath[max(taken, 0):]
	}
	s := new(http.Request)
	*s = *r
	s.URL = &u
	return s
}
