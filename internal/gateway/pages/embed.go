package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/asset"
	"github.com/paylink/paylink/internal/gateway/problem"
)

// The script that merchants put on their pages, in every published version. A merchant's
// page names the hash of its version, so a version is never changed or removed: a change
// is a new file. A test compares the versions with their hashes.
//
//go:embed assets/embed/*.js
var embedFiles embed.FS

// embedVersion is one version of the script.
type embedVersion struct {
	body      []byte
	version   string // of the address: a part of the hash
	integrity string // as HTML wants it (Subresource Integrity)
}

// embeds returns all versions, the newest last.
var embeds = func() (all []embedVersion) {
	names, err := fs.Glob(embedFiles, "assets/embed/v*.js")
	if err != nil || len(names) == 0 {
		panic("pages: no version of the embedded script")
	}

	slices.SortFunc(names, func(a, b string) int { return len(a) - len(b) }) // v2 before v10
	for _, name := range names {
		body, err := embedFiles.ReadFile(name)
		if err != nil {
			panic("pages: the embedded script: " + err.Error())
		}
		short := sha256.Sum256(body)
		all = append(all, embedVersion{body, hex.EncodeToString(short[:6]), asset.Integrity(body)})
	}
	return all
}()

// Embed returns the address of the newest script below publicURL, and its integrity, both
// for the HTML that a merchant copies.
func Embed(publicURL string) (src, integrity string) {
	newest := embeds[len(embeds)-1]
	return publicURL + "/embed.js?v=" + newest.version, newest.integrity
}

// embedScript serves each version forever, and the newest for five minutes if the request
// names none. An unknown version is not found. Any site may read it, because browsers check
// the hash only of what they may read.
func (p *Pages) embedScript(w http.ResponseWriter, r *http.Request) {
	served, cache := embeds[len(embeds)-1], "public, max-age=300"
	if v := r.URL.Query().Get("v"); v != "" {
		at := slices.IndexFunc(embeds, func(e embedVersion) bool { return e.version == v })
		if at < 0 {
			problem.Write(w, r, fault.NotFound("version of the script"), "")
			return
		}
		served, cache = embeds[at], "public, max-age=31536000, immutable"
	}

	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(served.body)))
	h.Set("Cache-Control", cache)
	h.Set("ETag", `"`+served.version+`"`)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "embed.js", time.Time{}, bytes.NewReader(served.body))
}
