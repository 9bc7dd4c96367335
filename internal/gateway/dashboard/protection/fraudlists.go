package protection

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/risk"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/payment"
)

// shapeListEntry is the shape of a recorded response, as the API names it.
const shapeListEntry = "fraud_list_entry"

// Bounds of an entry's form, in characters.
const (
	maxListValue = 254 // an e-mail address, the longest of the kinds
	maxListNote  = 200
)

// listKinds are the kinds of lists, with their name and hint in the catalog.
var listKinds = []struct {
	kind        rulebook.Kind
	words, hint string
}{
	{rulebook.KindCard, "fraud.kind.card", "fraud.kind.cardHint"},
	{rulebook.KindBIN, "fraud.kind.bin", "fraud.kind.binHint"},
	{rulebook.KindEmail, "fraud.kind.email", "fraud.kind.emailHint"},
	{rulebook.KindAddress, "fraud.kind.address", "fraud.kind.addressHint"},
	{rulebook.KindCountry, "fraud.kind.country", "fraud.kind.countryHint"},
}

// listLives are the lifetimes of an entry to choose from; 0 means no end.
var listLives = []struct {
	key   string
	life  time.Duration
	words string
}{{"", 0, "fraud.life.good"}, {"24h", 24 * time.Hour, "links.life.day"}, {"168h", 7 * 24 * time.Hour, "links.life.week"},
	{"720h", 30 * 24 * time.Hour, "links.life.month"}, {"2160h", 90 * 24 * time.Hour, "links.life.quarter"}}

// listsView is the lists, of one kind or of all.
type listsView struct {
	Head     parts.Head
	Tabs     []parts.Tab
	Action   string
	Kind     string
	Kinds    []parts.Option
	Table    parts.Table
	Problems parts.Problems
}

// kindWords returns the name of a kind.
func (v *visit) kindWords(k rulebook.Kind) string {
	for _, l := range listKinds {
		if l.kind == k {
			return v.Print.T(l.words)
		}
	}
	return string(k)
}

// showLists shows a page of the entries, newest first, of one kind or of all.
func (d *Pages) showLists(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return risk.Unavailable()
	}

	p, r := v.Print, v.Reads()
	add := parts.Button{Text: p.T("fraud.addEntry"), Href: v.Path("fraud", "lists", "new"), Kind: "primary", Icon: "plus"}
	view := listsView{
		Tabs:   risk.Tabs(v.Visit, "lists"),
		Action: v.Path("fraud", "lists"),
		Head:   parts.Head{Title: p.T("fraud.lists"), Lead: p.T("fraud.listsLead"), Actions: []parts.Button{add}},
		Kinds:  []parts.Option{{Value: "", Text: p.T("payments.all")}},
	}
	for _, l := range listKinds {
		view.Kinds = append(view.Kinds, parts.Option{Value: string(l.kind), Text: p.T(l.words)})
	}
	// Only kinds that the page offers. "" is all of them.
	kind := rulebook.Kind(r.Choice("kind", func(s string) bool {
		return slices.ContainsFunc(view.Kinds, func(o parts.Option) bool { return o.Value == s })
	}))
	before := r.Text("before")
	// The cursor is opaque here, so only its length is checked.
	if len(before) > frame.MaxAttempt {
		r.Wrong("", "common.query.page")
	}
	wrong := r.End()
	view.Kind, view.Problems = string(kind), wrong
	if len(wrong) > 0 {
		view.Table = parts.Table{Empty: v.Unshown(view.Action)}
		return v.Render(http.StatusBadRequest, view.Head.Title, listsPage(view))
	}

	entries, err := d.Fraud.Rulebook.Lists(v.Context(), v.Account.ID, v.Mode, kind, before, frame.PageSize+1)
	if err != nil {
		return err
	}

	view.Table = parts.Table{
		ID:            "entries",
		Caption:       p.T("fraud.lists"),
		CaptionHidden: true,
		Columns: []parts.Column{{Label: p.T("fraud.value")}, {Label: p.T("fraud.kind")}, {Label: p.T("fraud.action")}, {Label: p.T("fraud.note")},
			{Label: p.T("fraud.expires"), Number: true}, {Label: p.T("fraud.remove"), Hidden: true}},
		Empty: parts.Empty{Icon: "shield", Headline: p.T("fraud.noEntries"), Lead: p.T("fraud.noEntriesLead"), Actions: []parts.Button{add}},
	}
	// The pages keep the kind that is shown.
	query := "?kind=" + view.Kind
	if before != "" {
		view.Table.Pager.Newest = v.Path("fraud", "lists") + query
	}
	if len(entries) > frame.PageSize {
		entries = entries[:frame.PageSize]
		view.Table.Pager.Older = v.Path("fraud", "lists") + query + "&before=" + entries[frame.PageSize-1].ID
	}
	for _, e := range entries {
		view.Table.Rows = append(
			view.Table.Rows,
			parts.Row{
				ID: e.ID,
				Cells: []templ.Component{
					parts.Code(e.Value),
					parts.Text(v.kindWords(e.Kind)),
					parts.BadgePart(risk.Action(v.Visit, e.Action)),
					parts.Text(cmp.Or(e.Note, "–")),
					v.expiry(e),
					v.removal(e),
				},
			},
		)
	}

	return v.Render(http.StatusOK, view.Head.Title, listsPage(view))
}

// expiry returns when an entry ends, or that it has ended.
func (v *visit) expiry(e rulebook.Entry) templ.Component {
	switch {
	case e.ExpiresAt.IsZero():
		return parts.Text(v.Print.T("fraud.life.good"))
	// An entry stays in the list after its end, but has no effect.
	case e.ExpiresAt.Before(v.d.Now()):
		return parts.BadgePart(parts.Badge{Text: v.Print.T("fraud.expired"), Tone: "quiet"})
	}
	return parts.When(e.ExpiresAt)
}

// removal returns a link to remove an entry of the account. Entries of the installation
// cannot be removed here.
func (v *visit) removal(e rulebook.Entry) templ.Component {
	if e.Account != v.Account.ID {
		return parts.Text(v.Print.T("fraud.ownerHouse"))
	}
	return removeCell(v.Path("fraud", "lists", e.ID, "delete"), e.Value)
}

// listForm is the form of a new entry.
type listForm struct {
	parts.Filled

	Head    parts.Head
	Tabs    []parts.Tab
	Action  string
	Attempt string
	Back    string
	Kinds   []parts.Option
	Actions []parts.Option
	Lives   []parts.Option
	Hints   []parts.Fact
}

// newListEntry shows the form. If the query names a payment, the form is filled in from it:
// its card, or the payer's email or network.
func (d *Pages) newListEntry(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return risk.Unavailable()
	}

	kind, value, note := v.Param("kind"), v.Param("value"), ""
	// From the page of a payment the address names only the payment, so that no personal
	// data is in it.
	if name := v.Param("payment"); id.Valid(id.Payment, name) {
		p, err := d.Payments.GetPayment(v.Context(), v.Account.ID, name)
		if err != nil {
			return err
		}
		// A payment of the other mode does not exist on this page.
		if p.Mode != v.Mode {
			return fault.NotFound("payment")
		}
		value, note = valueOf(p, rulebook.Kind(kind)), v.Print.T("fraud.fromPayment", "ID", p.ID)
	}

	f := listForm{Attempt: frame.NewAttempt()}
	f.Values = map[string][]string{
		"kind":   {cmp.Or(kind, string(rulebook.KindCard))},
		"value":  {value},
		"action": {cmp.Or(v.Param("action"), string(payment.Block))},
		"note":   {note},
		"life":   {""},
	}
	return v.listForm(http.StatusOK, f)
}

// valueOf returns the value that a payment has for a kind of list, or "".
func valueOf(p payment.Payment, k rulebook.Kind) string {
	switch k {
	case rulebook.KindCard:
		return p.Risk.Fingerprint
	case rulebook.KindBIN:
		return p.Risk.BIN
	case rulebook.KindEmail:
		return p.PayerEmail
	case rulebook.KindAddress:
		return p.Risk.Address
	case rulebook.KindCountry:
		return p.Risk.Country
	}
	return ""
}

// Listing returns links to the form, one for each value of a payment that can be on a list.
func (d *Pages) Listing(v *frame.Visit, p payment.Payment) []parts.Button {
	if d.Fraud.Rulebook == nil {
		return nil
	}
	var out []parts.Button
	for _, l := range listKinds {
		// The address names only the payment and the kind.
		if valueOf(p, l.kind) != "" {
			out = append(
				out,
				parts.Button{
					Text: v.Print.T(l.words),
					Kind: "small",
					Href: v.Path("fraud", "lists", "new") + "?payment=" + p.ID + "&kind=" + string(l.kind),
				},
			)
		}
	}
	return out
}

// listForm renders the form, as it was filled in.
func (v *visit) listForm(status int, f listForm) error {
	p := v.Print
	f.Tabs, f.Action, f.Back = risk.Tabs(v.Visit, "lists"), v.Path("fraud", "lists"), v.Path("fraud", "lists")
	f.Head = parts.Head{Title: p.T("fraud.addEntry"), Back: parts.Button{Text: p.T("fraud.lists"), Href: f.Back}}
	f.Actions = risk.Actions(v.Visit, payment.Block, payment.Allow, payment.Hold)
	for _, l := range listKinds {
		f.Kinds = append(f.Kinds, parts.Option{Value: string(l.kind), Text: p.T(l.words)})
		f.Hints = append(f.Hints, parts.Fact{Label: p.T(l.words), Value: parts.Text(p.T(l.hint))})
	}
	for _, l := range listLives {
		f.Lives = append(f.Lives, parts.Option{Value: l.key, Text: p.T(l.words)})
	}
	return v.Render(status, f.Head.Title, listFormPage(f))
}

// addListEntry adds an entry, once.
func (d *Pages) addListEntry(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return risk.Unavailable()
	}

	in, err := v.Posted()
	if err != nil {
		return err
	}

	e := rulebook.Entry{
		Account: v.Account.ID,
		Mode:    v.Mode,
		Kind:    rulebook.Kind(in.Get("kind")),
		Action:  payment.Action(in.Get("action")),
		Value:   strings.TrimSpace(in.Get("value")),
		Note:    strings.TrimSpace(in.Get("note")),
	}
	for _, l := range listLives {
		if l.life > 0 && in.Get("life") == l.key {
			// In whole seconds, as the API writes times.
			e.ExpiresAt = d.Now().Add(l.life).UTC().Truncate(time.Second)
		}
	}

	// A new entry shows up at the top of the list, so the recorded response is not needed.
	_, err = v.Once(d.Records, shapeListEntry, func(t *idempotency.Ticket) error {
		_, err := d.Fraud.Rulebook.PutListEntry(v.Context(), e, v.User.ID, t)
		return err
	})
	if err != nil {
		f := listForm{Filled: parts.Filled{Values: in}, Attempt: in.Get("attempt")}
		if f.Problems = v.Problems(err); f.Problems == nil {
			return err
		}
		return v.listForm(http.StatusUnprocessableEntity, f)
	}

	return v.Redirect(v.Path("fraud", "lists"), "good", v.Print.T("fraud.entryAdded"))
}

// listEntry returns the account's entry that the path names. The rulebook has no read by
// id, so this reads the lists page by page.
func (v *visit) listEntry() (rulebook.Entry, error) {
	if v.d.Fraud.Rulebook == nil {
		return rulebook.Entry{}, risk.Unavailable()
	}

	name, before := v.PathValue("id"), ""
	for {
		page, err := v.d.Fraud.Rulebook.Lists(v.Context(), v.Account.ID, v.Mode, "", before, maxListPage)
		if err != nil {
			return rulebook.Entry{}, err
		}
		// An entry of the installation is in the list, but cannot be removed here.
		if i := slices.IndexFunc(page, func(e rulebook.Entry) bool { return e.ID == name && e.Account == v.Account.ID }); i >= 0 {
			return page[i], nil
		}
		if len(page) < maxListPage {
			return rulebook.Entry{}, fault.NotFound("list entry")
		}
		before = page[len(page)-1].ID
	}
}

// maxListPage is how many entries are read at once.
const maxListPage = 100

// askDeleteListEntry asks before an entry is removed.
func (d *Pages) askDeleteListEntry(v *visit) error {
	e, err := v.listEntry()
	if err != nil {
		return err
	}
	p, back := v.Print, v.Path("fraud", "lists")
	return v.Ask(
		parts.Question{
			Head:   parts.Head{Title: p.T("fraud.removeTitle"), Back: parts.Button{Text: p.T("fraud.lists"), Href: back}},
			Lead:   p.T("fraud.removeLead"),
			Detail: v.kindWords(e.Kind) + ": " + e.Value,
			Action: v.Path(
				"fraud",
				"lists",
				e.ID,
				"delete",
			),
			OK:   parts.Button{Text: p.T("fraud.remove"), Kind: "danger"},
			Back: parts.Button{Text: p.T("webhooks.cancel"), Href: back},
		},
	)
}

// deleteListEntry removes an entry.
func (d *Pages) deleteListEntry(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return risk.Unavailable()
	}
	// The service deletes only entries of this account and mode.
	err := d.Fraud.Rulebook.DeleteListEntry(v.Context(), v.Account.ID, v.Mode, v.PathValue("id"))
	return v.Deleted(v.Path("fraud", "lists"), v.Print.T("fraud.entryRemoved"), err)
}
