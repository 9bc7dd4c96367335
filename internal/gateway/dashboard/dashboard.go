// Package dashboard is what a merchant sees: the signed-in pages under
// /dashboard, rendered on the server, in the reader's language.
//
// It has no database. Everything that it shows and changes goes through the same
// services as the API, so that a process that is only a gateway serves it too.
// Every page works without JavaScript; the scripts (ours and htmx, embedded) add
// what is pleasant: new payments by themselves, copying, short times. GET and
// HEAD change nothing. A form carries an attempt, minted by the page, under which
// the change is recorded in its own commit: a form that is sent twice, or sent
// again because the process died before it could answer, changes once (see once).
//
// # Adding a room
//
//  1. Routes: a file room.go with `func roomRoutes() []route`, joined in routes()
//     below. A path begins with /dashboard. "{mode}" in it is test or live, in
//     visit.mode; rooms of the whole account live under /dashboard/account/.
//     Every path but those of an open route needs a session; visit.user and
//     visit.account are there then. Set route.room to the room's key in rooms
//     (nav.go), and the navigation shows it, once its path is served.
//  2. Handlers: `func (d *Dashboard) showRoom(v *visit) error`. Read the query with
//     v.reads(), which refuses what is not understood, or, where it only fills in a
//     page, with v.param; a posted form with v.form(). v.render refuses a query with a
//     name that neither took. Answer with v.render, v.redirect or v.csv, or return an error: a fault becomes a page that tells it. What is
//     wrong with a form is shown beside its fields: v.problems(err) turns a fault
//     into them. A change that must not happen twice goes through v.once.
//  3. Templates: room.templ, made of the parts in parts.templ (parts.go has their
//     fields); `make generate`, and commit both files. Texts come from
//     say(ctx, "room.key", …), amounts and times from @sum and @when.
//  4. Catalogue: internal/i18n/catalog/<language>/room.json, in every language.
//  5. Services that it needs: a field of Config, set in app/edge.go, and in
//     world_test.go, where newWorld is the whole of paylink over a database of its
//     own with a merchant signed in: w.get(path), w.post(path, form).
//  6. A line for each page in the walk of TestDashboardAccessibility
//     (cmd/paylink/dashboard_test.go): every page is shown to axe-core, and
//     pictured, in light, dark, narrow and right-to-left.
package dashboard

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
)

// Bounds.
const (
	maxBodyBytes  = 4 * link.MaxMetadataBytes // the largest link, with three bytes for each that a form escapes
	maxFlashBytes = 1 << 10
	changeTimeout = 45 * time.Second // of a post; longer than an issuer call (30 s)
	pageSize      = 25
)

// Records are where the first answers to a form are kept, by the box whose commit
// makes the change.
type Records struct {
	Users, Links, Transactions, Webhooks, Fraud idempotency.Store
}

// Config of the dashboard; every field but Drain is needed.
type Config struct {
	Merchants    merchant.Service
	Links        link.Service
	Forms        link.FormService
	FormPages    FormPages
	Payments     payment.Reader
	Reports      report.Service
	Transactions coordinator.Service
	Webhooks     notify.Service
	Fraud        fraud.Box
	Mail         mail.Service
	Connectors   []merchant.Connector
	Records      Records
	// Seal, Unseal and Render keep recorded answers, as in the API.
	Seal, Unseal func(b, associated []byte) ([]byte, error)
	Render       func(shape string, object any) ([]byte, error)
	MAC          func([]byte) []byte
	PublicURL    string
	Now          func() time.Time
	Log          *slog.Logger
	Drain        <-chan struct{} // closing it ends the live streams
}

// Dashboard is the handlers. Make it with New.
type Dashboard struct {
	Config
	public string // without a slash at the end
	base   string // path of public, "" for most
	secure bool   // reached by https
	cross  *http.CrossOriginProtection
	served map[string]bool // paths that a GET finds, with {mode} in them
}

// route is one page or one change.
type route struct {
	method, path string
	open         bool   // no session needed
	room         string // whose entry in the navigation is marked
	handle       func(*Dashboard, *visit) error
}

// routes joins the rooms.
func routes() []route {
	var all []route
	for _, room := range [][]route{signInRoutes(), doorRoutes(), securityRoutes(), teamRoutes(), homeRoutes(), settingsRoutes(), paymentRoutes(), reviewRoutes(), linkRoutes(), methodRoutes(), balanceRoutes(), overviewRoutes(),
		webhookRoutes(), keyRoutes(), formRoutes(), notificationRoutes(), fraudRoutes()} {
		all = append(all, room...)
	}
	return all
}

// New makes the dashboard; it fails when the public URL is not an absolute one.
func New(c Config) (*Dashboard, error) {
	u, err := url.Parse(c.PublicURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("public URL %q: want http(s)://host", c.PublicURL)
	}
	d := &Dashboard{Config: c, public: strings.TrimRight(c.PublicURL, "/"), base: strings.TrimRight(u.EscapedPath(), "/"),
		secure: u.Scheme == "https", cross: http.NewCrossOriginProtection(), served: map[string]bool{}}
	// Behind a proxy that renames the host, the origin that browsers tell is the public one.
	if err := d.cross.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
		return nil, err
	}
	for _, r := range routes() {
		if r.method == http.MethodGet {
			d.served[r.path] = true
		}
	}
	return d, nil
}

// Register adds the routes to mux.
func (d *Dashboard) Register(mux *http.ServeMux) {
	for _, r := range routes() {
		if !strings.Contains(r.path, "{mode}") {
			mux.Handle(r.method+" "+r.path, d.serve(r, ""))
			continue
		}
		for _, mode := range []string{link.Test, link.Live} {
			mux.Handle(r.method+" "+strings.Replace(r.path, "{mode}", mode, 1), d.serve(r, mode))
		}
	}
	nowhere := route{handle: func(*Dashboard, *visit) error { return fault.NotFound("page") }}
	mux.Handle("/dashboard/", d.serve(nowhere, ""))
	for _, a := range assets {
		mux.Handle("GET "+a.path, a)
	}
}
