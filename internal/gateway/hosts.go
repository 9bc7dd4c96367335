package gateway

import (
	"net/http"
	"slices"
	"sync"

	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/site"
)

// hosted refuses requests for another host than ours. Otherwise a web page could have its own
// name resolve to a server in its visitor's network, and call it as if it were the page's own
// (DNS rebinding). The port is not compared, because a proxy may listen on another one. Headers
// such as X-Forwarded-Host are not read.
func (c Config) hosted(next http.Handler) http.Handler {
	if len(c.Hosts) == 0 {
		return next
	}

	var once sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(probes, r.URL.Path) || slices.Contains(c.Hosts, site.HostName(r.Host)) {
			next.ServeHTTP(w, r)
			return
		}
		once.Do(func() {
			c.Log.WarnContext(
				r.Context(),
				"a request for another host was refused: the proxy must pass on the Host header; --allowed-hosts adds hosts",
				"host",
				r.Host,
			)
		})
		problem.Misdirected(w, r)
	})
}
