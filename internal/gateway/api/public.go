package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	apispec "github.com/paylink/paylink/docs/api"
	"github.com/paylink/paylink/internal/gateway/problem"
)

// ownServer is the server entry in the document's source: the server that serves it.
const ownServer = "\n  - url: /\n"

// contract is the OpenAPI document as it is served.
type contract struct {
	plain, zipped []byte
	etag          string
}

// newContract returns the document with publicURL as its server, so that a generated
// client calls that address wherever its author got the document from.
func newContract(publicURL string) (*contract, error) {
	plain := apispec.YAML
	if publicURL != "" {
		plain = bytes.Replace(plain, []byte(ownServer), []byte("\n  - url: "+publicURL+"\n"), 1)
	}

	// Compressed once here, and not for each request.
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(plain); err != nil {
		return nil, fmt.Errorf("the API's document: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("the API's document: %w", err)
	}
	sum := sha256.Sum256(plain)
	return &contract{plain, zipped.Bytes(), `W/"` + hex.EncodeToString(sum[:8]) + `"`}, nil
}

// keySet serves the public keys. They may be cached, because a new key is published at
// least a minute before it signs anything. Scripts of any site may read them, so that a
// merchant's page can verify a receipt.
func (a *API) keySet(q *request) {
	body := a.JWKS()
	h := q.w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=30")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if q.Method != http.MethodHead {
		_, _ = q.w.Write(body)
	}
}

// document serves the contract, which scripts of any site may read. The etag is weak,
// because the plain and the compressed form share it.
func (a *API) document(q *request) {
	doc, err := a.contract()
	if err != nil {
		problem.Write(q.w, q.Request, err, "")
		return
	}

	h := q.w.Header()
	h.Set("Content-Type", "application/yaml; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", doc.etag)

	body := doc.plain
	if strings.Contains(q.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = doc.zipped
	}
	http.ServeContent(q.w, q.Request, "", time.Time{}, bytes.NewReader(body))
}
