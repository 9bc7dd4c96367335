package api

import (
	"net/http"
	"strconv"

	apispec "github.com/paylink/paylink/docs/api"
)

// keySet serves the public keys. They are the one answer that may be cached: a
// new key rests for a minute before anyone signs with it.
func (a *API) keySet(q *request) {
	a.plain(q, "application/json; charset=utf-8", "public, max-age=30", a.JWKS())
}

// document serves the contract.
func (a *API) document(q *request) {
	a.plain(q, "application/yaml; charset=utf-8", "public, max-age=300", apispec.YAML)
}

func (a *API) plain(q *request, contentType, cache string, body []byte) {
	h := q.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", cache)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if q.Method != http.MethodHead {
		_, _ = q.w.Write(body)
	}
}
