// Package asset serves the files that our pages load: style sheets, scripts and the icon.
package asset

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed" // the two files below
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"path"
	"slices"
	"strconv"
	"time"
)

//go:embed theme.css
var theme []byte

// Icon is the product's icon, an SVG.
//
//go:embed paylink.svg
var Icon []byte

// Sheet returns a style sheet that begins with the theme: its variables are the colors.
func Sheet(own []byte) []byte { return slices.Concat(theme, own) }

var contentTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// Asset is a file whose path contains its hash. Other content has another path, so a
// browser may cache it forever.
type Asset struct {
	Path, ContentType string
	Body              []byte
	Integrity         string // as HTML wants it (Subresource Integrity)
}

// New returns the asset of a file such as /assets/paylink.css. Its extension is its type:
// css, js or svg.
func New(name string, body []byte) Asset {
	sum, ext := sha256.Sum256(body), path.Ext(name)
	return Asset{Path: name[:len(name)-len(ext)] + "." + hex.EncodeToString(sum[:6]) + ext, Body: body, ContentType: contentTypes[ext],
		Integrity: Integrity(body)}
}

// Integrity returns the hash by which a browser recognizes a file (Subresource Integrity): it
// loads no other content, wherever it was changed on the way.
func Integrity(body []byte) string {
	sum := sha512.Sum384(body)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Runs reports whether a browser executes the file or styles a page with it.
func (a Asset) Runs() bool { return a.ContentType != contentTypes[".svg"] }

// ServeHTTP answers with the file.
func (a Asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.ContentType)
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	http.ServeContent(w, r, a.Path, time.Time{}, bytes.NewReader(a.Body))
}
