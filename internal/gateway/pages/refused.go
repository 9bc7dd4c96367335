package pages

import (
	"net/http"
	"strings"

	"github.com/paylink/paylink/internal/gateway/problem"
)

// Refuse answers a request that reached no handler: a person with a page, a program with a
// problem.
func (p *Pages) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	if !strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html") {
		p.failPage(w, r, err)
		return
	}
	problem.Write(w, r, err, "")
}
