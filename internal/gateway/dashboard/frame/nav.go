package frame

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/link"
)

// Entry is an entry of the menu.
type Entry struct {
	Key, Path string
	Label     string // of the catalog
	Icon      string
	Group     string // Business, Developers or Account
}

// Groups of the menu.
const (
	Business   = ""
	Developers = "build"
	Account    = "account"
)

var groups = []struct{ key, label string }{{Business, "common.business"}, {Developers, "common.developers"}, {Account, "common.account"}}

// SecurityPath is where a user confirms their address.
const SecurityPath = "/dashboard/account/security"

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
	Said                   *Notice
	Unconfirmed            bool // live mode waits for a confirmed address
	Narrow                 bool // a card in the middle: sign-in and the like
}

// navGroup is a group of the menu with a heading.
type navGroup struct {
	Label string
	Items []navItem
}

// navItem is an entry of the menu for this reader.
type navItem struct {
	Label, Href, Icon string
	Current           bool
}

// langItem is a language to choose.
type langItem struct {
	Tag, Name, Href string
	Current         bool
}

// frame returns what the layout shows around a page with this title. It takes the notice of
// the last change out of its cookie, so it is called once for each response.
func (v *Visit) frame(title string) frame {
	f := frame{
		Title:  title,
		Zone:   parts.ZoneOf(v.Context()).String(),
		Lang:   v.Print.Locale(),
		Dir:    v.Print.Dir(),
		Base:   v.d.Base,
		Said:   v.takeNotice(),
		Narrow: v.Token == "",
		Home:   v.d.Base + "/dashboard",
	}
	for _, l := range i18n.Languages() {
		f.Languages = append(f.Languages, langItem{Tag: l.Tag, Name: l.Name, Href: v.inLanguage(l.Tag), Current: l.Tag == v.Print.Tag()})
	}
	if v.Token == "" {
		return f
	}

	f.User, f.Account = v.User.Username, v.Account.Name
	f.Unconfirmed = v.Account.TestOnly
	if v.inMode {
		f.Mode = v.Mode
	}
	f.TestPath, f.LivePath = v.otherMode(link.Test), v.otherMode(link.Live)
	for _, g := range groups {
		group := navGroup{Label: v.Print.T(g.label)}
		for _, r := range v.d.menu {
			if r.Group != g.key {
				continue
			}
			group.Items = append(group.Items, navItem{Label: v.Print.T(r.Label), Icon: r.Icon, Current: r.Key == v.entry,
				Href: v.d.Base + strings.Replace(r.Path, "{mode}", v.Mode, 1)})
		}
		if len(group.Items) > 0 {
			f.Groups = append(f.Groups, group)
		}
	}

	return f
}

// otherMode returns the address of the same menu entry in a mode. Objects of one mode do
// not exist in the other, so it is the first page of the entry.
func (v *Visit) otherMode(mode string) string {
	for _, r := range v.d.menu {
		if r.Key == v.entry && strings.Contains(r.Path, "{mode}") {
			return v.d.Base + strings.Replace(r.Path, "{mode}", mode, 1)
		}
	}
	return v.d.Base + "/dashboard/" + mode
}

// inLanguage returns this page in a language, or the first page after a post.
func (v *Visit) inLanguage(tag string) string {
	if v.Method != http.MethodGet && v.Method != http.MethodHead {
		return v.d.Base + "/dashboard?lang=" + tag
	}
	q := v.URL.Query()
	q.Set("lang", tag)
	return v.d.Base + v.URL.EscapedPath() + "?" + q.Encode()
}

// homeRoutes returns the addresses that lead to the first page.
func (d *Frame) homeRoutes() []Route {
	var all []Route
	for _, path := range []string{"/dashboard", "/dashboard/{$}", "/dashboard/{mode}"} {
		all = append(all, Open(http.MethodGet, path, d.home))
	}
	return all
}

// home redirects to the first page of the menu, or to the sign-in page.
func (d *Frame) home(v *Visit) error {
	to := d.Base + "/dashboard/sign-in"
	if v.Token != "" {
		to = d.Base + strings.Replace(d.menu[0].Path, "{mode}", url.PathEscape(v.Mode), 1)
	}
	http.Redirect(v.Writer, v.Request, to, http.StatusSeeOther)
	return nil
}

// failure is the error page.
type failure struct {
	Headline, Lead, RequestID string
	Home                      parts.Button
}

// failure returns the page of an error. Internal and unavailable errors show the id of the
// request, by which an operator finds them in the log.
func (v *Visit) failure(p problem.Problem, k fault.Kind) failure {
	o := failure{
		Lead: v.Explain(p.Code, p.Detail),
		Home: parts.Button{Text: v.Print.T("common.home"), Href: v.d.Base + "/dashboard", Kind: "primary"},
	}
	switch k {
	case fault.KindNotFound:
		o.Headline, o.Lead = v.Print.T("common.notFound"), v.Print.T("common.notFoundLead")
	case fault.KindInternal:
		o.Headline, o.Lead, o.RequestID = v.Print.T("common.broken"), v.Print.T("common.brokenLead"), p.RequestID
	case fault.KindUnavailable:
		o.Headline, o.RequestID = v.Print.T("common.unavailable"), p.RequestID
	default:
		o.Headline = v.Print.T("common.refused")
	}
	return o
}
