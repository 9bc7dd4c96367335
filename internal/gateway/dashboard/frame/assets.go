package frame

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the files below
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

//go:embed assets/dashboard.css
var cssBytes []byte

//go:embed assets/dashboard.js
var jsBytes []byte

// htmx 4.0.1, as npm has it (docs/dependencies.md).
//
//go:embed assets/htmx.min.js
var htmxBytes []byte

//go:embed assets/passkey.js
var passkeyBytes []byte

//go:embed assets/paylink.svg
var svgBytes []byte

// asset is a file whose path carries its hash: another content has another path,
// so a browser may keep it for ever.
type asset struct {
	path, contentType string
	body              []byte
}

func newAsset(name, ext, contentType string, body []byte) asset {
	sum := sha256.Sum256(body)
	return asset{path: "/dashboard/assets/" + name + "." + hex.EncodeToString(sum[:6]) + ext, contentType: contentType, body: body}
}

var (
	cssAsset     = newAsset("dashboard", ".css", "text/css; charset=utf-8", cssBytes)
	jsAsset      = newAsset("dashboard", ".js", "text/javascript; charset=utf-8", jsBytes)
	htmxAsset    = newAsset("htmx", ".js", "text/javascript; charset=utf-8", htmxBytes)
	passkeyAsset = newAsset("passkey", ".js", "text/javascript; charset=utf-8", passkeyBytes)
	svgAsset     = newAsset("paylink", ".svg", "image/svg+xml", svgBytes)
	assets       = []asset{cssAsset, jsAsset, htmxAsset, passkeyAsset, svgAsset}
)

func (a asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	http.ServeContent(w, r, a.path, time.Time{}, bytes.NewReader(a.body))
}
