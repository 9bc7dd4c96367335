package account

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/merchant"
)

// Activity is the menu's entry of who did what.
var Activity = frame.Entry{
	Key:   "activity",
	Path:  activityPath,
	Label: "common.activity",
	Icon:  "search",
	Group: frame.Account,
}

// activityPath is the page of who did what, below the base.
const activityPath = "/dashboard/account/activity"

// maxExported bounds the rows of a file.
const maxExported = 100_000

// activityRoutes returns the page of who did what, and its file.
func (d *Pages) activityRoutes() []frame.Route {
	at := func(path string, handle func(*Pages, *visit) error) frame.Route {
		return frame.Route{Method: http.MethodGet, Path: activityPath + path, Entry: "activity", Handle: d.on(handle)}
	}
	return []frame.Route{at("", (*Pages).showActivity), at(".csv", (*Pages).exportActivity)}
}

// kindWords has the text of each kind of event.
var kindWords = map[string]string{
	activity.SignedUp:             "activity.kind.signedUp",
	activity.SignedIn:             "activity.kind.signedIn",
	activity.SignInFailed:         "activity.kind.signInFailed",
	activity.SignedOut:            "activity.kind.signedOut",
	activity.SessionsEnded:        "activity.kind.sessionsEnded",
	activity.PasswordChanged:      "activity.kind.passwordChanged",
	activity.PasswordReset:        "activity.kind.passwordReset",
	activity.EmailConfirmed:       "activity.kind.emailConfirmed",
	activity.SecondFactorAdded:    "activity.kind.secondFactorAdded",
	activity.SecondFactorRemoved:  "activity.kind.secondFactorRemoved",
	activity.RecoveryCodesRenewed: "activity.kind.recoveryCodesRenewed",
	activity.KeyCreated:           "activity.kind.keyCreated",
	activity.KeyRotated:           "activity.kind.keyRotated",
	activity.KeyRevoked:           "activity.kind.keyRevoked",
	activity.MethodsChanged:       "activity.kind.methodsChanged",
	activity.TimeZoneChanged:      "activity.kind.timeZoneChanged",
	activity.Invited:              "activity.kind.invited",
	activity.Uninvited:            "activity.kind.uninvited",
	activity.EndpointCreated:      "activity.kind.endpointCreated",
	activity.EndpointUpdated:      "activity.kind.endpointUpdated",
	activity.EndpointDeleted:      "activity.kind.endpointDeleted",
	activity.EndpointRotated:      "activity.kind.endpointRotated",
	activity.RuleSaved:            "activity.kind.ruleSaved",
	activity.RuleDeleted:          "activity.kind.ruleDeleted",
	activity.ListEntrySaved:       "activity.kind.listEntrySaved",
	activity.ListEntryDeleted:     "activity.kind.listEntryDeleted",
	activity.FraudPolicySaved:     "activity.kind.fraudPolicySaved",
	activity.CaptureAsked:         "activity.kind.captureAsked",
	activity.VoidAsked:            "activity.kind.voidAsked",
	activity.RefundAsked:          "activity.kind.refundAsked",
	activity.Reviewed:             "activity.kind.reviewed",
	activity.Labeled:              "activity.kind.labeled",
	activity.DisputeStated:        "activity.kind.disputeStated",
	activity.Exported:             "activity.kind.exported",
}

// activityFilter is the filter of the list.
type activityFilter struct {
	Kind, By string
	frame.Dates
}

// set reports whether anything is filtered.
func (f activityFilter) set() bool { return f.Kind != "" || f.By != "" || f.Dates.Set() }

// others returns the filters except the dates, as query parameters.
func (f activityFilter) others() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"kind": f.Kind, "by": f.By} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// values returns all filters as query parameters.
func (f activityFilter) values() url.Values {
	q := f.others()
	f.Dates.Values(q)
	return q
}

// query returns the filter as the service takes it.
func (f activityFilter) query() activity.Filter {
	return activity.Filter{Kind: f.Kind, By: f.By, From: f.Period.From, To: f.Period.To}
}

// readActivity reads the filters from the query. Invalid ones become problems of r.
func readActivity(r *frame.Reading, people map[string]string) (activityFilter, error) {
	f := activityFilter{Kind: r.Choice("kind", activity.Known),
		By: r.Choice("by", func(s string) bool { return people[s] != "" || id.Valid(id.User, s) || id.Valid(id.Key, s) })}
	var err error
	f.Dates, err = r.Dates("")
	return f, err
}

// activityView is a page of the list.
type activityView struct {
	Head     parts.Head
	Problems parts.Problems
	Dates    frame.DatesView
	Filter   activityFilter
	FilterTo string
	Kinds    []parts.Option
	People   []parts.Option
	Table    parts.Table
}

// showActivity shows who did what, newest first. With an invalid filter it shows the problem and no
// rows.
func (d *Pages) showActivity(v *visit) error {
	people, err := v.People()
	if err != nil {
		return err
	}
	r := v.Reads()
	asked, err := readActivity(r, people)
	if err != nil {
		return err
	}
	q := asked.query()
	q.Before = r.ID("before", id.Activity)
	wrong := r.End()
	var found []activity.Event
	if len(wrong) == 0 {
		if found, err = d.Merchants.Activity(v.Context(), v.Account.ID, q, frame.PageSize+1); err != nil {
			return err
		}
	}

	self := d.Base + activityPath
	view := activityView{
		Head:     parts.Head{Title: v.Print.T("common.activity"), Lead: v.Print.T("activity.lead")},
		Problems: wrong, Filter: asked, FilterTo: self,
		Dates: v.DatesView(asked.Dates, self, asked.others(), wrong, frame.Presets[:6]...),
		Kinds: v.kindOptions(), People: v.peopleOptions(people),
		Table: v.activityTable(asked, q.Before, found, people),
	}
	if len(wrong) > 0 {
		view.Table.Empty = v.Unshown(self)
	}
	return v.Render(frame.StatusFor(wrong), view.Head.Title, activityPage(view))
}

// kindOptions returns the kinds as options, in the order of the reader's words.
func (v *visit) kindOptions() []parts.Option {
	all := make([]parts.Option, 0, len(activity.Kinds))
	for _, k := range activity.Kinds {
		all = append(all, parts.Option{Value: k, Text: v.Print.T(kindWords[k])})
	}
	slices.SortFunc(all, func(a, b parts.Option) int { return cmp.Compare(a.Text, b.Text) })
	return append([]parts.Option{{Text: v.Print.T("activity.any")}}, all...)
}

// peopleOptions returns the users and keys as options, by name.
func (v *visit) peopleOptions(people map[string]string) []parts.Option {
	all := make([]parts.Option, 0, len(people))
	for who, name := range people {
		all = append(all, parts.Option{Value: who, Text: name})
	}
	slices.SortFunc(all, func(a, b parts.Option) int { return cmp.Or(cmp.Compare(a.Text, b.Text), cmp.Compare(a.Value, b.Value)) })
	return append([]parts.Option{{Text: v.Print.T("activity.anybody")}}, all...)
}

// activityTable returns the rows of a page. found may have one more than a page, which shows that
// there is a next one.
func (v *visit) activityTable(asked activityFilter, before string, found []activity.Event, people map[string]string) parts.Table {
	p, q, self := v.Print, asked.values(), v.d.Base+activityPath
	at := func(path string) string {
		if len(q) > 0 {
			return path + "?" + q.Encode()
		}
		return path
	}
	t := parts.Table{ID: "activity", Caption: p.T("common.activity"), CaptionHidden: true,
		Columns: []parts.Column{{Label: p.T("activity.what")}, {Label: p.T("activity.who")}, {Label: p.T("activity.from")},
			{Label: p.T("activity.when")}},
		Empty: parts.Empty{Icon: "search", Headline: p.T("activity.none"), Lead: p.T("activity.noneLead")}}
	if asked.set() {
		t.Empty.Actions = []parts.Button{{Text: p.T("activity.clear"), Href: self}}
	}
	if len(found) > 0 {
		t.CSV = at(self + ".csv")
	}
	if before != "" {
		t.Pager.Newest = at(self)
	}
	if len(found) > frame.PageSize {
		found = found[:frame.PageSize]
		q.Set("before", found[len(found)-1].ID)
		t.Pager.Older = at(self)
	}
	for _, e := range found {
		t.Rows = append(t.Rows, parts.Row{ID: e.ID, Cells: []templ.Component{
			doneCell(e, v.Print.T(kindWords[e.Kind]), details(e)), whoCell(v.who(e, people), e.Actor.ID), fromCell(e.Actor), parts.When(e.At)}})
	}
	return t
}

// who returns the name of an actor.
func (v *visit) who(e activity.Event, people map[string]string) string {
	switch name := people[e.Actor.ID]; {
	case name != "":
		return name
	case e.Actor.Kind == activity.System:
		return v.Print.T("activity.system")
	case e.Actor.Kind == activity.CLI:
		return v.Print.T("activity.cli")
	case e.Actor.ID == "":
		return v.Print.T("activity.stranger")
	}
	return v.Print.T("activity.other")
}

// details returns what is known besides: facts of ours, in the words of the API.
func details(e activity.Event) string {
	var all []string
	for _, name := range []string{"name", "mode", "scopes", "value", "currency", "reason", "with", "factor", "url", "events", "list", "action",
		"state", "enabled", "credentials", "zone", "what"} {
		if s := e.Details[name]; s != "" {
			all = append(all, s)
		}
	}
	return strings.Join(all, " · ")
}

// timesText says how often a folded event happened.
func timesText(ctx context.Context, e activity.Event) string {
	if e.Count < 2 {
		return ""
	}
	return parts.SayN(ctx, "activity.times", int(e.Count))
}

// exportActivity streams the events that match the filter as CSV, newest first, at most maxExported.
func (d *Pages) exportActivity(v *visit) error {
	people, err := v.People()
	if err != nil {
		return err
	}
	r := v.Reads()
	asked, err := readActivity(r, people)
	if err != nil {
		return err
	}
	if wrong := r.End(); wrong != nil {
		return v.Refuse(wrong, d.Base+activityPath)
	}

	q := asked.query()
	var rows iter.Seq2[[]string, error] = func(yield func([]string, error) bool) {
		for n := 0; n < maxExported; {
			found, err := d.Merchants.Activity(v.Context(), v.Account.ID, q, merchant.MaxActivityPage)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range found {
				if !yield([]string{e.ID, parts.Stamp(e.At), e.Kind, e.Outcome, strconv.FormatInt(e.Count, 10), e.Actor.Kind, e.Actor.ID,
					people[e.Actor.ID], e.Actor.Network, e.Actor.Agent, e.Actor.Request, e.Target, details(e)}, nil) {
					return
				}
			}
			if len(found) < merchant.MaxActivityPage {
				return
			}
			n, q.Before = n+len(found), found[len(found)-1].ID
		}
	}
	return v.CSV("activity", []string{"id", "createdAt", "kind", "outcome", "count", "actorType", "actor", "actorName", "network",
		"userAgent", "requestId", "target", "details"}, rows)
}
