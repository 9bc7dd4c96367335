// Package apidocs serves the API's documentation at /docs: one page in English for
// developers, generated from the OpenAPI document that the API is tested against. It has
// every operation with its parameters, bodies, responses, errors and samples in curl and
// Go, and every named schema.
//
// The page loads only from our own origin and has no script; the browser's own search
// finds everything. It is made once, at the first request, and is the same for all.
package apidocs

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	_ "embed" // the style
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	apispec "github.com/paylink/paylink/docs/api"
	"github.com/paylink/paylink/internal/gateway/asset"
	"github.com/paylink/paylink/internal/gateway/problem"
)

//go:embed assets/apidocs.css
var cssBytes []byte

var (
	cssAsset  = asset.New("/assets/apidocs.css", asset.Sheet(cssBytes))
	iconAsset = asset.New("/assets/apidocs.svg", asset.Icon)
)

// Assets returns the files that the page loads.
func Assets() []asset.Asset { return []asset.Asset{cssAsset, iconAsset} }

// csp allows the page to load its style and icon, and nothing else.
const csp = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

// Docs is the handler of /docs. New returns one.
type Docs struct {
	page func() (*made, error)
}

// made is the rendered page.
type made struct {
	html, zipped []byte
	etag         string
}

// New returns the documentation of a server whose address is publicURL. It returns an
// error if publicURL is not an http or https address.
func New(publicURL string) (*Docs, error) {
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("public URL %q: want http(s)://host", publicURL)
	}
	public, base := strings.TrimRight(publicURL, "/"), strings.TrimRight(u.EscapedPath(), "/")
	return &Docs{page: sync.OnceValues(func() (*made, error) { return render(public, base) })}, nil
}

// Register adds the routes to mux.
func (d *Docs) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /docs", d.show)
	mux.HandleFunc("/docs", func(w http.ResponseWriter, r *http.Request) { problem.MethodNotAllowed(w, r, "GET, HEAD") })
	mux.Handle("GET "+cssAsset.Path, cssAsset)
	mux.Handle("GET "+iconAsset.Path, iconAsset)
}

func render(public, base string) (*made, error) {
	doc, err := read(apispec.YAML, public, base)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := docsPage(doc, base).Render(context.Background(), &page); err != nil {
		return nil, fmt.Errorf("the API's documentation: %w", err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(page.Bytes()); err != nil {
		return nil, fmt.Errorf("the API's documentation: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("the API's documentation: %w", err)
	}
	sum := sha256.Sum256(page.Bytes())
	return &made{html: page.Bytes(), zipped: zipped.Bytes(), etag: `W/"` + hex.EncodeToString(sum[:8]) + `"`}, nil
}

func (d *Docs) show(w http.ResponseWriter, r *http.Request) {
	page, err := d.page()
	if err != nil {
		problem.Write(w, r, err, "")
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", csp)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", "en")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // revalidate with the ETag
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", page.etag)
	body := page.html
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = page.zipped
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
