package dashboard

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/payment"
)

// Bounds of an entry's form, in characters.
const (
	maxListValue = 254 // an e-mail address, the longest of the kinds
	maxListNote  = 200
)

// listKinds are the kinds with their words.
var listKinds = []struct {
	kind        fraud.ListKind
	words, hint string
}{
	{fraud.ListCard, "fraud.kind.card", "fraud.kind.cardHint"},
	{fraud.ListBIN, "fraud.kind.bin", "fraud.kind.binHint"},
	{fraud.ListEmail, "fraud.kind.email", "fraud.kind.emailHint"},
	{fraud.ListAddress, "fraud.kind.address", "fraud.kind.addressHint"},
	{fraud.ListCountry, "fraud.kind.country", "fraud.kind.countryHint"},
}

// listLives are how long an entry may be asked to last; 0 is for good.
var listLives = []struct {
	key   string
	life  time.Duration
	words string
}{{"", 0, "fraud.life.good"}, {"24h", 24 * time.Hour, "links.life.day"}, {"168h", 7 * 24 * time.Hour, "links.life.week"}, {"720h", 30 * 24 * time.Hour, "links.life.month"}, {"2160h", 90 * 24 * time.Hour, "links.life.quarter"}}

// listsView is the lists, of one kind or all.
type listsView struct {
	Head     head
	Tabs     []tab
	Action   string
	Kind     string
	Kinds    []option
	Table    table
	Problems problems
}

func (v *visit) kindWords(k fraud.ListKind) string {
	for _, l := range listKinds {
		if l.kind == k {
			return v.print.T(l.words)
		}
	}
	return string(k)
}

func (d *Dashboard) showLists(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return noFraud()
	}
	p, r := v.print, v.reads()
	add := button{Text: p.T("fraud.addEntry"), Href: v.path("fraud", "lists", "new"), Kind: "primary", Icon: "plus"}
	view := listsView{Tabs: v.fraudTabs("lists"), Action: v.path("fraud", "lists"), Head: head{Title: p.T("fraud.lists"), Lead: p.T("fraud.listsLead"), Actions: []button{add}},
		Kinds: []option{{"", p.T("payments.all")}}}
	for _, l := range listKinds {
		view.Kinds = append(view.Kinds, option{string(l.kind), p.T(l.words)})
	}
	kind := fraud.ListKind(r.choice("kind", func(s string) bool {
		return slices.ContainsFunc(view.Kinds, func(o option) bool { return o.Value == s })
	}))
	before := r.text("before")
	if len(before) > maxAttempt {
		r.wrong("", "common.query.page")
	}
	wrong := r.end()
	view.Kind, view.Problems = string(kind), wrong
	if len(wrong) > 0 {
		view.Table = table{Empty: v.unshown(view.Action)}
		return v.render(http.StatusBadRequest, view.Head.Title, listsPage(view))
	}
	entries, err := d.Fraud.Rulebook.Lists(v.Context(), v.account.ID, v.mode, kind, before, pageSize+1)
	if err != nil {
		return err
	}
	view.Table = table{ID: "entries", Caption: p.T("fraud.lists"), CaptionHidden: true, Columns: []column{{Label: p.T("fraud.value")}, {Label: p.T("fraud.kind")}, {Label: p.T("fraud.action")}, {Label: p.T("fraud.note")},
		{Label: p.T("fraud.expires"), Number: true}, {Label: p.T("fraud.remove"), Hidden: true}},
		Empty: empty{Icon: "shield", Headline: p.T("fraud.noEntries"), Lead: p.T("fraud.noEntriesLead"), Actions: []button{add}}}
	query := "?kind=" + view.Kind
	if before != "" {
		view.Table.Pager.Newest = v.path("fraud", "lists") + query
	}
	if len(entries) > pageSize {
		entries = entries[:pageSize]
		view.Table.Pager.Older = v.path("fraud", "lists") + query + "&before=" + entries[pageSize-1].ID
	}
	for _, e := range entries {
		view.Table.Rows = append(view.Table.Rows, tableRow{ID: e.ID, Cells: []templ.Component{code(e.Value), text(v.kindWords(e.Kind)), badgePart(v.actionBadge(e.Action)), text(orElse(e.Note, "–")),
			v.expiry(e), v.removal(e)}})
	}
	return v.render(http.StatusOK, view.Head.Title, listsPage(view))
}

func (v *visit) expiry(e fraud.ListEntry) templ.Component {
	switch {
	case e.ExpiresAt.IsZero():
		return text(v.print.T("fraud.life.good"))
	case e.ExpiresAt.Before(v.d.Now()):
		return badgePart(badge{v.print.T("fraud.expired"), "quiet"})
	}
	return when(e.ExpiresAt)
}

// removal leads to where an own entry is removed; the installation's stay.
func (v *visit) removal(e fraud.ListEntry) templ.Component {
	if e.Account != v.account.ID {
		return text(v.print.T("fraud.ownerHouse"))
	}
	return removeCell(v.path("fraud", "lists", e.ID, "delete"), e.Value)
}

// listForm is what is asked of an entry.
type listForm struct {
	filled

	Head    head
	Tabs    []tab
	Action  string
	Attempt string
	Back    string
	Kinds   []option
	Actions []option
	Lives   []option
	Hints   []fact
}

// newListEntry shows the form, filled in from a payment where one is named: its card,
// the payer's e-mail or address.
func (d *Dashboard) newListEntry(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return noFraud()
	}
	kind, value, note := v.param("kind"), v.param("value"), ""
	if name := v.param("payment"); id.Valid(id.Payment, name) {
		p, err := d.Payments.GetPayment(v.Context(), v.account.ID, name)
		if err != nil {
			return err
		}
		if p.Mode != v.mode {
			return fault.NotFound("payment")
		}
		value, note = valueOf(p, fraud.ListKind(kind)), v.print.T("fraud.fromPayment", "ID", p.ID)
	}
	f := listForm{Attempt: newAttempt()}
	f.Values = map[string][]string{"kind": {orElse(kind, string(fraud.ListCard))}, "value": {value}, "action": {orElse(v.param("action"), string(payment.Block))}, "note": {note}, "life": {""}}
	return v.listForm(http.StatusOK, f)
}

// valueOf is what a payment has of a kind.
func valueOf(p payment.Payment, k fraud.ListKind) string {
	switch k {
	case fraud.ListCard:
		return p.Risk.Fingerprint
	case fraud.ListBIN:
		return p.Risk.BIN
	case fraud.ListEmail:
		return p.PayerEmail
	case fraud.ListAddress:
		return p.Risk.Address
	case fraud.ListCountry:
		return p.Risk.Country
	}
	return ""
}

// listing leads to the form of a list, for each thing of a payment that can be on one.
func (v *visit) listing(p payment.Payment) []button {
	if v.d.Fraud.Rulebook == nil {
		return nil
	}
	var out []button
	for _, l := range listKinds {
		if valueOf(p, l.kind) != "" {
			out = append(out, button{Text: v.print.T(l.words), Kind: "small", Href: v.path("fraud", "lists", "new") + "?payment=" + p.ID + "&kind=" + string(l.kind)})
		}
	}
	return out
}

func (v *visit) listForm(status int, f listForm) error {
	p := v.print
	f.Tabs, f.Action, f.Back = v.fraudTabs("lists"), v.path("fraud", "lists"), v.path("fraud", "lists")
	f.Head = head{Title: p.T("fraud.addEntry"), Back: button{Text: p.T("fraud.lists"), Href: f.Back}}
	f.Actions = v.actionOptions(payment.Block, payment.Allow, payment.Hold)
	for _, l := range listKinds {
		f.Kinds = append(f.Kinds, option{string(l.kind), p.T(l.words)})
		f.Hints = append(f.Hints, fact{p.T(l.words), text(p.T(l.hint))})
	}
	for _, l := range listLives {
		f.Lives = append(f.Lives, option{l.key, p.T(l.words)})
	}
	return v.render(status, f.Head.Title, listFormPage(f))
}

func (d *Dashboard) addListEntry(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return noFraud()
	}
	in, err := v.form()
	if err != nil {
		return err
	}
	e := fraud.ListEntry{Account: v.account.ID, Mode: v.mode, Kind: fraud.ListKind(in.Get("kind")), Action: payment.Action(in.Get("action")), Value: strings.TrimSpace(in.Get("value")), Note: strings.TrimSpace(in.Get("note"))}
	for _, l := range listLives {
		if l.life > 0 && in.Get("life") == l.key {
			e.ExpiresAt = d.Now().Add(l.life).UTC().Truncate(time.Second)
		}
	}
	_, err = v.once(d.Records.Fraud, shapeListEntry, func(t *idempotency.Ticket) error {
		_, err := d.Fraud.Rulebook.PutListEntry(v.Context(), e, v.user.ID, t)
		return err
	})
	if err != nil {
		f := listForm{filled: filled{Values: in}, Attempt: in.Get("attempt")}
		if f.Problems = v.problems(err); f.Problems == nil {
			return err
		}
		return v.listForm(http.StatusUnprocessableEntity, f)
	}
	return v.redirect(v.path("fraud", "lists"), "good", v.print.T("fraud.entryAdded"))
}

// listEntry is the account's own of the path.
func (v *visit) listEntry() (fraud.ListEntry, error) {
	if v.d.Fraud.Rulebook == nil {
		return fraud.ListEntry{}, noFraud()
	}
	name, before := v.PathValue("id"), ""
	for {
		page, err := v.d.Fraud.Rulebook.Lists(v.Context(), v.account.ID, v.mode, "", before, maxListPage)
		if err != nil {
			return fraud.ListEntry{}, err
		}
		if i := slices.IndexFunc(page, func(e fraud.ListEntry) bool { return e.ID == name && e.Account == v.account.ID }); i >= 0 {
			return page[i], nil
		}
		if len(page) < maxListPage {
			return fraud.ListEntry{}, fault.NotFound("list entry")
		}
		before = page[len(page)-1].ID
	}
}

const maxListPage = 100

func (d *Dashboard) askDeleteListEntry(v *visit) error {
	e, err := v.listEntry()
	if err != nil {
		return err
	}
	p, back := v.print, v.path("fraud", "lists")
	return v.ask(question{Head: head{Title: p.T("fraud.removeTitle"), Back: button{Text: p.T("fraud.lists"), Href: back}}, Lead: p.T("fraud.removeLead"), Detail: v.kindWords(e.Kind) + ": " + e.Value,
		Action: v.path("fraud", "lists", e.ID, "delete"), OK: button{Text: p.T("fraud.remove"), Kind: "danger"}, Back: button{Text: p.T("webhooks.cancel"), Href: back}})
}

// deleteListEntry: one that is gone already is what was asked for.
func (d *Dashboard) deleteListEntry(v *visit) error {
	if d.Fraud.Rulebook == nil {
		return noFraud()
	}
	if err := d.Fraud.Rulebook.DeleteListEntry(v.Context(), v.account.ID, v.mode, v.PathValue("id")); err != nil && fault.KindOf(err) != fault.KindNotFound {
		return err
	}
	return v.redirect(v.path("fraud", "lists"), "good", v.print.T("fraud.entryRemoved"))
}
