package answer

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/spelling"
)

// By returns the request as one of the actor, whose client it describes. An actor without an id is
// a person who has not signed in.
func By(r *http.Request, a activity.Actor) *http.Request {
	if a.Kind == "" {
		a.Kind = activity.User
	}
	a.Agent = strings.ToValidUTF8(r.UserAgent(), "")
	if issuer.HasNumber(a.Agent) {
		a.Agent = ""
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		if address, err := netip.ParseAddr(host); err == nil {
			a.Network = spelling.Network(address)
		}
	}
	a.Request = problem.RequestID(r.Context())
	return r.WithContext(activity.With(r.Context(), a))
}
