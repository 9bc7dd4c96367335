package dashboard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/link"
)

// room is an entry of the navigation.
type room struct {
	key, path string
	label     string // of the catalogue
	icon      string
	group     string // "" money, "build" developers, "account"
}

// securityPath is where a user confirms their address.
const securityPath = "/dashboard/account/security"

// rooms are all entries, in order. One whose path is not served yet is not shown.
var rooms = []room{
	{"overview", "/dashboard/{mode}/overview", "common.overview", "chart", ""},
	{"payments", "/dashboard/{mode}/payments", "common.payments", "card", ""},
	{"review", "/dashboard/{mode}/review", "common.review", "flag", ""},
	{"links", "/dashboard/{mode}/links", "common.links", "link", ""},
	{"forms", "/dashboard/{mode}/forms", "common.forms", "form", ""},
	{"fraud", "/dashboard/{mode}/fraud", "common.fraud", "shield", ""},
	{"balance", "/dashboard/{mode}/balance", "common.balance", "scale", ""},
	{"webhooks", "/dashboard/{mode}/webhooks", "common.webhooks", "bell", "build"},
	{"keys", "/dashboard/{mode}/keys", "common.keys", "key", "build"},
	{"methods", "/dashboard/account/methods", "common.methods", "bank", "account"},
	{"settings", "/dashboard/account/settings", "account.settings", "clock", "account"},
	{"notifications", "/dashboard/account/notifications", "common.notifications", "mail", "account"},
	{"team", "/dashboard/account/invitations", "common.invitations", "people", "account"},
	{"security", "/dashboard/account/security", "common.security", "lock", "account"},
}

var groups = []struct{ key, label string }{{"", "common.business"}, {"build", "common.developers"}, {"account", "common.account"}}

// frame is what the layout shows around a page.
type frame struct {
	Title, Lang, Dir, Base string
	Mode                   string // "" where the page has none
	User, Account          string // "" when nobody is signed in
	Zone                   string // of the times on the page
	Groups                 []navGroup
	Home                   string
	TestPath, LivePath     string
	Languages              []langItem
	Said                   *notice
	Unconfirmed            bool // live mode waits for a confirmed address
	Narrow                 bool // a card in the middle: sign-in and the like
}

type navGroup struct {
	Label string
	Items []navItem
}

type navItem struct {
	Label, Href, Icon string
	Current           bool
}

type langItem struct {
	Tag, Name, Href string
	Current         bool
}

func (v *visit) frame(title string) frame {
	f := frame{Title: title, Zone: zoneOf(v.Context()).String(), Lang: v.print.Locale(), Dir: v.print.Dir(), Base: v.d.base, Said: v.said(), Narrow: v.token == "", Home: v.d.base + "/dashboard"}
	for _, l := range i18n.Languages() {
		f.Languages = append(f.Languages, langItem{Tag: l.Tag, Name: l.Name, Href: v.inLanguage(l.Tag), Current: l.Tag == v.print.Tag()})
	}
	if v.token == "" {
		return f
	}
	f.User, f.Account = v.user.Username, v.account.Name
	f.Unconfirmed = v.account.TestOnly
	if v.inMode {
		f.Mode = v.mode
	}
	f.TestPath, f.LivePath = v.otherMode(link.Test), v.otherMode(link.Live)
	for _, g := range groups {
		group := navGroup{Label: v.print.T(g.label)}
		for _, r := range rooms {
			if r.group != g.key || !v.d.served[r.path] {
				continue
			}
			group.Items = append(group.Items, navItem{Label: v.print.T(r.label), Icon: r.icon, Current: r.key == v.room,
				Href: v.d.base + strings.Replace(r.path, "{mode}", v.mode, 1)})
		}
		if len(group.Items) > 0 {
			f.Groups = append(f.Groups, group)
		}
	}
	return f
}

// otherMode is the same room in a mode. What one mode has, the other has not, so
// it is the room's first page.
func (v *visit) otherMode(mode string) string {
	for _, r := range rooms {
		if r.key == v.room && strings.Contains(r.path, "{mode}") {
			return v.d.base + strings.Replace(r.path, "{mode}", mode, 1)
		}
	}
	return v.d.base + "/dashboard/" + mode
}

// inLanguage is this page in a language; after a post, the dashboard's first page.
func (v *visit) inLanguage(tag string) string {
	if v.Method != http.MethodGet && v.Method != http.MethodHead {
		return v.d.base + "/dashboard?lang=" + tag
	}
	q := v.URL.Query()
	q.Set("lang", tag)
	return v.d.base + v.URL.EscapedPath() + "?" + q.Encode()
}

func homeRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard", open: true, handle: (*Dashboard).home},
		{method: http.MethodGet, path: "/dashboard/{$}", open: true, handle: (*Dashboard).home},
		{method: http.MethodGet, path: "/dashboard/{mode}", open: true, handle: (*Dashboard).home},
	}
}

// home is the first room that is there.
func (d *Dashboard) home(v *visit) error {
	if v.token == "" {
		to := d.base + "/dashboard/sign-in"
		http.Redirect(v.w, v.Request, to, http.StatusSeeOther)
		return nil
	}
	for _, r := range rooms {
		if d.served[r.path] {
			http.Redirect(v.w, v.Request, d.base+strings.Replace(r.path, "{mode}", url.PathEscape(v.mode), 1), http.StatusSeeOther)
			return nil
		}
	}
	return fault.NotFound("page")
}

// oops is the page of an error.
type oops struct {
	Headline, Lead, RequestID string
	Home                      button
}

func (v *visit) oops(p problem.Problem, k fault.Kind) oops {
	o := oops{Lead: v.explain(p.Code, p.Detail), Home: button{Text: v.print.T("common.home"), Href: v.d.base + "/dashboard", Kind: "primary"}}
	switch k {
	case fault.KindNotFound:
		o.Headline, o.Lead = v.print.T("common.notFound"), v.print.T("common.notFoundLead")
	case fault.KindInternal:
		o.Headline, o.Lead, o.RequestID = v.print.T("common.broken"), v.print.T("common.brokenLead"), p.RequestID
	case fault.KindUnavailable:
		o.Headline, o.RequestID = v.print.T("common.unavailable"), p.RequestID
	default:
		o.Headline = v.print.T("common.refused")
	}
	return o
}
