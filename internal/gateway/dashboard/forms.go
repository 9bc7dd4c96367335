package dashboard

import (
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

const shapeForm = "form" // as the API names it

func formRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/{mode}/forms", room: "forms", handle: (*Dashboard).listForms},
		{method: http.MethodPost, path: "/dashboard/{mode}/forms", room: "forms", handle: (*Dashboard).createForm},
		{method: http.MethodGet, path: "/dashboard/{mode}/forms.csv", room: "forms", handle: (*Dashboard).exportForms},
		{method: http.MethodGet, path: "/dashboard/{mode}/forms/new", room: "forms", handle: (*Dashboard).newForm},
		{method: http.MethodGet, path: "/dashboard/{mode}/forms/preview", room: "forms", handle: (*Dashboard).previewForm},
		{method: http.MethodGet, path: "/dashboard/{mode}/forms/{id}", room: "forms", handle: (*Dashboard).showForm},
		{method: http.MethodGet, path: "/dashboard/{mode}/forms/{id}/preview", room: "forms", handle: (*Dashboard).previewSavedForm},
		{method: http.MethodGet, path: "/dashboard/{mode}/forms/{id}/edit", room: "forms", handle: (*Dashboard).editForm},
		{method: http.MethodPost, path: "/dashboard/{mode}/forms/{id}/edit", room: "forms", handle: (*Dashboard).updateForm},
		{method: http.MethodGet, path: "/dashboard/{mode}/forms/{id}/archive", room: "forms", handle: (*Dashboard).askArchiveForm},
		{method: http.MethodPost, path: "/dashboard/{mode}/forms/{id}/archive", room: "forms", handle: (*Dashboard).archiveForm},
	}
}

// FormPages are the payer's pages of forms, as far as the room of forms needs them.
type FormPages struct {
	// Script is the address of the embedded script, and Integrity its hash.
	Script, Integrity string
	// Preview answers with the page of a form that need not exist, for a frame on
	// our own pages. Nothing on it can be sent.
	Preview func(http.ResponseWriter, *http.Request, link.Form)
}

var formWords = map[string]struct{ key, tone string }{
	link.FormActive:   {"forms.status.active", "good"},
	link.FormDisabled: {"forms.status.disabled", "quiet"},
	link.FormArchived: {"forms.status.archived", "quiet"},
}

func (v *visit) formBadge(f link.Form) badge {
	w := formWords[f.Status()]
	return badge{Text: v.print.T(w.key), Tone: w.tone}
}

// formAmount is what a form asks for, on one line.
func (v *visit) formAmount(f link.Form) string {
	amount := func(minor int64) string { return v.print.Amount(money.Of(minor, f.Currency)) }
	if f.Typed() {
		return v.print.T("links.between", "Low", amount(f.MinMinor), "High", amount(f.MaxMinor))
	}
	var all []string
	for _, minor := range f.Amounts {
		all = append(all, amount(minor))
	}
	return strings.Join(all, " · ")
}

// formsView is the list of forms.
type formsView struct {
	Head  head
	Label string
	Tabs  []tab
	Table table
}

func (v *visit) formFilter() (link.FormFilter, problems) {
	r := v.reads()
	archived := r.choice("archived", func(s string) bool { return s == "true" || s == "false" })
	f := link.FormFilter{Account: v.account.ID, Mode: v.mode, Archived: archived == "true", Before: r.id("before", id.Form)}
	return f, r.end()
}

func (v *visit) formsPath(archived bool, before string) string {
	q := url.Values{}
	if archived {
		q.Set("archived", "true")
	}
	if before != "" {
		q.Set("before", before)
	}
	if len(q) == 0 {
		return v.path("forms")
	}
	return v.path("forms") + "?" + q.Encode()
}

func (d *Dashboard) listForms(v *visit) error {
	f, wrong := v.formFilter()
	if wrong != nil {
		return v.refuse(wrong, v.path("forms"))
	}
	f.Limit = pageSize + 1
	items, err := d.Forms.ListForms(v.Context(), f)
	if err != nil {
		return err
	}
	create := button{Text: v.print.T("forms.new"), Href: v.path("forms", "new"), Kind: "primary", Icon: "plus"}
	p := formsView{Label: v.print.T("forms.title"),
		Head: head{Title: v.print.T("forms.title"), Lead: v.print.T("forms.lead"), Actions: []button{create}},
		Tabs: []tab{{v.print.T("forms.current"), v.formsPath(false, ""), !f.Archived}, {v.print.T("forms.archived"), v.formsPath(true, ""), f.Archived}}}
	p.Table = table{ID: "form-table", Caption: v.print.T("forms.title"), CaptionHidden: true, CSV: v.path("forms.csv"),
		Columns: []column{{Label: v.print.T("forms.form")}, {Label: v.print.T("links.amount")}, {Label: v.print.T("links.statusHead")},
			{Label: v.print.T("forms.sites")}, {Label: v.print.T("forms.changed"), Number: true}},
		Empty: empty{Icon: "form", Headline: v.print.T("forms.none"), Lead: v.print.T("forms.noneLead"), Actions: []button{create}}}
	if f.Archived {
		p.Table.Empty = empty{Icon: "form", Headline: v.print.T("forms.noneArchived"), Lead: v.print.T("forms.noneArchivedLead")}
	}
	if f.Before != "" {
		p.Table.Pager.Newest = v.formsPath(f.Archived, "")
	}
	if len(items) > pageSize {
		items = items[:pageSize]
		p.Table.Pager.Older = v.formsPath(f.Archived, items[pageSize-1].ID)
	}
	for _, form := range items {
		p.Table.Rows = append(p.Table.Rows, tableRow{ID: form.ID, Href: v.path("forms", form.ID), Cells: []templ.Component{
			text(form.Name), text(v.formAmount(form)), badgePart(v.formBadge(form)), text(v.formSites(form)), when(form.UpdatedAt)}})
	}
	return v.render(http.StatusOK, p.Head.Title, formsPage(p))
}

// formSites are the sites that show a form, as a person calls them.
func (v *visit) formSites(f link.Form) string {
	if len(f.Origins) == 0 {
		return v.print.T("forms.ownPage")
	}
	first := strings.TrimPrefix(f.Origins[0], "https://")
	if more := len(f.Origins) - 1; more > 0 {
		return v.print.N("forms.andMore", more, "Site", first)
	}
	return first
}

var formColumns = []string{"id", "createdAt", "updatedAt", "name", "status", "currency", "amounts", "minAmount", "maxAmount", "origins", "url"}

func (d *Dashboard) exportForms(v *visit) error {
	if wrong := v.reads().only(); wrong != nil {
		return v.refuse(wrong, v.path("forms"))
	}
	return v.csv("forms", formColumns, func(yield func([]string, error) bool) {
		for _, archived := range []bool{false, true} {
			f := link.FormFilter{Account: v.account.ID, Mode: v.mode, Archived: archived, Limit: link.MaxPage}
			for {
				items, err := d.Forms.ListForms(v.Context(), f)
				if err != nil {
					yield(nil, err)
					return
				}
				for _, form := range items {
					if !yield(d.formRow(form), nil) {
						return
					}
				}
				if len(items) < f.Limit {
					break
				}
				f.Before = items[len(items)-1].ID
			}
		}
	})
}

func (d *Dashboard) formRow(f link.Form) []string {
	row := []string{f.ID, link.FormatTime(f.CreatedAt), link.FormatTime(f.UpdatedAt), f.Name, f.Status(), string(f.Currency), "", "", "",
		strings.Join(f.Origins, " "), d.formURL(f)}
	if f.Typed() {
		row[7], row[8] = money.Of(f.MinMinor, f.Currency).Decimal(), money.Of(f.MaxMinor, f.Currency).Decimal()
	}
	row[6] = strings.Join(decimals(f), " ")
	return row
}

func decimals(f link.Form) (out []string) {
	for _, minor := range f.Amounts {
		out = append(out, money.Of(minor, f.Currency).Decimal())
	}
	return out
}

// formURL is the form's own page.
func (d *Dashboard) formURL(f link.Form) string { return d.public + "/f/" + f.ID }

// shownForm is one form with what is pasted into a website.
type shownForm struct {
	Head             head
	Badge            badge
	Active           bool
	Snippet, Button  string
	URL, Preview     string
	Origins          []string
	Facts            []fact
	Edit             button
	FrameTitle, Docs string
}

// snippet is the line for a website. The words in it are the payer's, so they are
// escaped for the page that they go to.
func (d *Dashboard) snippet(f link.Form, words, mode string) string {
	return `<script src="` + d.FormPages.Script + `" integrity="` + d.FormPages.Integrity + `" crossorigin="anonymous" async></script>` + "\n" +
		`<paylink-form form="` + f.ID + `"` + mode + `><a href="` + d.formURL(f) + `">` + html.EscapeString(words) + `</a></paylink-form>`
}

func (v *visit) readForm() (link.Form, error) {
	return v.d.Forms.GetForm(v.Context(), v.account.ID, v.mode, v.PathValue("id"))
}

func (d *Dashboard) showForm(v *visit) error {
	f, err := v.readForm()
	if err != nil {
		return err
	}
	words := f.Button
	if words == "" {
		words = v.print.T("links.pay", "Payee", f.Payee)
	}
	p := shownForm{Badge: v.formBadge(f), Active: f.Active(), Snippet: d.snippet(f, words, ""), Button: d.snippet(f, words, ` mode="button"`), URL: d.formURL(f),
		Preview: v.path("forms", f.ID, "preview"), Origins: f.Origins, Facts: v.formFacts(f), FrameTitle: v.print.T("links.preview"),
		Head: head{Title: f.Name, Back: button{Text: v.print.T("forms.title"), Href: v.path("forms")}},
		Edit: button{Text: v.print.T("forms.edit"), Href: v.path("forms", f.ID, "edit"), Icon: "form"}}
	if f.ArchivedAt.IsZero() {
		p.Head.Actions = []button{p.Edit, {Text: v.print.T("forms.archive"), Href: v.path("forms", f.ID, "archive"), Kind: "danger", Icon: "cross"}}
	}
	v.frames = true
	return v.render(http.StatusOK, p.Head.Title, formShown(p))
}

func (v *visit) formFacts(f link.Form) []fact {
	var out []fact
	add := func(key string, value templ.Component) { out = append(out, fact{v.print.T(key), value}) }
	add("links.amount", text(v.formAmount(f)))
	if f.Description != "" {
		add("links.description", text(f.Description))
	}
	var fields []string
	for _, field := range f.Fields {
		fields = append(fields, v.fieldLabel(field))
	}
	if len(fields) > 0 {
		add("forms.asks", text(strings.Join(fields, ", ")))
	}
	if f.RedirectURL != "" {
		add("forms.after", text(f.RedirectURL))
	}
	add("forms.lives", text(v.lifeText(f.LifeSeconds)))
	if f.Capture == link.CaptureManual {
		add("links.capture", text(v.print.T("links.captureManual")))
	}
	add("links.created", when(f.CreatedAt))
	add("forms.changed", when(f.UpdatedAt))
	add("forms.id", code(f.ID))
	return out
}

func (v *visit) fieldLabel(f link.Field) string {
	switch {
	case f.Label != "":
		return f.Label
	case f.Name == link.FieldName:
		return v.print.T("form.name")
	case f.Name == link.FieldEmail:
		return v.print.T("form.email")
	}
	return v.print.T("form.reference")
}

// lifeText is a link's life in words, where it is one of those to pick from.
func (v *visit) lifeText(seconds int64) string {
	for _, each := range lives {
		if int64(each.after/time.Second) == seconds {
			return v.print.T(each.key)
		}
	}
	return v.print.N("forms.seconds", int(seconds))
}

func (d *Dashboard) previewSavedForm(v *visit) error {
	f, err := v.readForm()
	if err != nil {
		return err
	}
	if wrong := v.unread(); wrong != nil {
		return v.refuse(wrong, v.d.base+v.URL.EscapedPath())
	}
	d.FormPages.Preview(v.w, v.Request, f)
	return nil
}

func (d *Dashboard) askArchiveForm(v *visit) error {
	f, err := v.readForm()
	if err != nil {
		return err
	}
	a := asking{Action: v.path("forms", f.ID, "archive"), Attempt: newAttempt(), Lead: v.print.T("forms.archiveLead"),
		Head: head{Title: v.print.T("forms.archiveTitle"), Back: button{Text: f.Name, Href: v.path("forms", f.ID)}},
		OK:   button{Text: v.print.T("forms.archiveOK"), Kind: "danger", Icon: "cross"}, Back: button{Text: v.print.T("payments.back"), Href: v.path("forms", f.ID)}}
	return v.render(http.StatusOK, a.Head.Title, askingPage(a))
}

// archiveForm needs no record: again it changes nothing.
func (d *Dashboard) archiveForm(v *visit) error {
	if _, err := v.form(); err != nil {
		return err
	}
	f, err := d.Forms.ArchiveForm(v.Context(), v.account.ID, v.mode, v.PathValue("id"))
	if err != nil {
		return err
	}
	return v.redirect(v.path("forms", f.ID), "good", v.print.T("forms.said.archived"))
}

func formNumber(n int) string { return strconv.Itoa(n + 1) }
