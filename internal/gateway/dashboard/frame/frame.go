// Package frame is the frame of every dashboard page: the layout with its menu, and the
// Visit. A Visit is one request of a reader: session, account, mode, language, time zone,
// reading the request, and writing the response.
//
// A section of pages is a package beside this one. It declares
//
//   - a Route for each page and each change: its path, its handler, the entry of the menu
//     that is marked, and whether it is open, that is, needs no session. "{mode}" in a
//     path is test or live, in Visit.Mode; pages of the whole account live under
//     /dashboard/account/.
//   - an Entry for each of its entries in the menu.
//   - a Config with the services that its pages need, and no others.
//
// A handler reads the query with Visit.Reads, which refuses unknown parameters, and a
// posted form with Visit.Posted. It answers with Visit.Render, Visit.Redirect or
// Visit.CSV, or returns an error: a fault becomes an error page. Visit.Problems turns a
// fault of a form into messages beside its fields. A change that must not happen twice
// goes through Visit.Once.
package frame

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
)

// Limits.
const (
	maxBodyBytes  = 4 * link.MaxMetadataBytes // the largest link, with three bytes for each that a form escapes
	maxFlashBytes = 1 << 10
	changeTimeout = 45 * time.Second // of a post; longer than an issuer call (30 s)

	// PageSize is how many rows a page of a list has.
	PageSize = 25
)

// Config has the services of the frame. Every field is required.
type Config struct {
	Merchants merchant.Service
	// Seal, Unseal and Render keep recorded answers, as in the API.
	Seal, Unseal func(b, associated []byte) ([]byte, error)
	Render       func(shape string, object any) ([]byte, error)
	MAC          keyring.Authenticator
	PublicURL    string
	Now          func() time.Time
	Log          *slog.Logger
}

// Frame serves pages. New returns one.
type Frame struct {
	Public string // the public URL, without a slash at the end
	Base   string // its path, "" for most
	Now    func() time.Time
	Log    *slog.Logger

	config Config
	secure bool // the public URL is https
	cross  *http.CrossOriginProtection
	menu   []Entry
}

// Route is one page or one change.
type Route struct {
	Method, Path string
	Open         bool   // no session needed
	Entry        string // the key of the menu's entry that is marked
	Handle       func(*Visit) error
}

// Get returns the route of a page.
func Get(path, entry string, handle func(*Visit) error) Route {
	return Route{Method: http.MethodGet, Path: path, Entry: entry, Handle: handle}
}

// Post returns the route of a change.
func Post(path, entry string, handle func(*Visit) error) Route {
	return Route{Method: http.MethodPost, Path: path, Entry: entry, Handle: handle}
}

// Open returns a route that needs no session.
func Open(method, path string, handle func(*Visit) error) Route {
	return Route{Method: method, Path: path, Open: true, Handle: handle}
}

// New returns a frame without pages. It returns an error if the public URL is not
// absolute.
func New(c Config) (*Frame, error) {
	u, err := url.Parse(c.PublicURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("public URL %q: want http(s)://host", c.PublicURL)
	}
	d := &Frame{Public: strings.TrimRight(c.PublicURL, "/"), Base: strings.TrimRight(u.EscapedPath(), "/"), Now: c.Now, Log: c.Log,
		config: c, secure: u.Scheme == "https", cross: http.NewCrossOriginProtection()}
	// Behind a proxy that changes the host, browsers send the public origin.
	if err := d.cross.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
		return nil, err
	}
	return d, nil
}

// Serve adds the routes and the files of the pages to mux. The menu is shown on every
// page; its first entry is the first page of a reader who is signed in. Serve is called
// once, before the first request.
func (d *Frame) Serve(mux *http.ServeMux, menu []Entry, routes []Route) {
	d.menu = menu
	for _, r := range append(d.homeRoutes(), routes...) {
		if !strings.Contains(r.Path, "{mode}") {
			mux.Handle(r.Method+" "+r.Path, d.serve(r, ""))
			continue
		}
		for _, mode := range []string{link.Test, link.Live} {
			mux.Handle(r.Method+" "+strings.Replace(r.Path, "{mode}", mode, 1), d.serve(r, mode))
		}
	}

	nowhere := Route{Handle: func(*Visit) error { return fault.NotFound("page") }}
	mux.Handle("/dashboard/", d.serve(nowhere, ""))
	for _, a := range assets {
		mux.Handle("GET "+a.Path, a)
	}
}
