package pages

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the three files below
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

//go:embed assets/paylink.css
var cssBytes []byte

//go:embed assets/paylink.js
var jsBytes []byte

//go:embed assets/paylink.svg
var svgBytes []byte

// asset is a file whose path carries its hash: another content has another path,
// so a browser may keep it for ever.
type asset struct {
	path, contentType string
	body              []byte
}

func newAsset(ext, contentType string, body []byte) asset {
	sum := sha256.Sum256(body)
	return asset{path: "/assets/paylink." + hex.EncodeToString(sum[:6]) + ext, contentType: contentType, body: body}
}

var (
	cssAsset = newAsset(".css", "text/css; charset=utf-8", cssBytes)
	jsAsset  = newAsset(".js", "text/javascript; charset=utf-8", jsBytes)
	svgAsset = newAsset(".svg", "image/svg+xml", svgBytes)
	assets   = []asset{cssAsset, jsAsset, svgAsset, frameAsset, solveAsset}
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
