package forms

import (
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

const shapeForm = "form" // as the API names it

// Routes returns the section's pages and changes.
func (d *Pages) Routes() []frame.Route {
	return []frame.Route{
		frame.Get("/dashboard/{mode}/forms", "forms", d.on((*Pages).listForms)),
		frame.Post("/dashboard/{mode}/forms", "forms", d.on((*Pages).createForm)),
		frame.Get("/dashboard/{mode}/forms.csv", "forms", d.on((*Pages).exportForms)),
		frame.Get("/dashboard/{mode}/forms/new", "forms", d.on((*Pages).newForm)),
		frame.Get("/dashboard/{mode}/forms/preview", "forms", d.on((*Pages).previewForm)),
		frame.Get("/dashboard/{mode}/forms/{id}", "forms", d.on((*Pages).showForm)),
		frame.Get("/dashboard/{mode}/forms/{id}/preview", "forms", d.on((*Pages).previewSavedForm)),
		frame.Get("/dashboard/{mode}/forms/{id}/edit", "forms", d.on((*Pages).editForm)),
		frame.Post("/dashboard/{mode}/forms/{id}/edit", "forms", d.on((*Pages).updateForm)),
		frame.Get("/dashboard/{mode}/forms/{id}/archive", "forms", d.on((*Pages).askArchiveForm)),
		frame.Post("/dashboard/{mode}/forms/{id}/archive", "forms", d.on((*Pages).archiveForm)),
	}
}

// PayerPages are the payer's pages of forms, as far as these pages need them.
type PayerPages struct {
	// Script is the address of the embedded script, and Integrity its hash.
	Script, Integrity string
	// Preview answers with the page of a form that need not exist, for a frame on
	// our own pages. Nothing on it can be sent.
	Preview func(http.ResponseWriter, *http.Request, link.Form)
}

// formWords has the words and the tone of each status.
var formWords = map[string]struct{ key, tone string }{
	link.FormActive:   {"forms.status.active", "good"},
	link.FormDisabled: {"forms.status.disabled", "quiet"},
	link.FormArchived: {"forms.status.archived", "quiet"},
}

// formBadge returns the status of a form.
func (v *visit) formBadge(f link.Form) parts.Badge {
	w := formWords[f.Status()]
	return parts.Badge{Text: v.Print.T(w.key), Tone: w.tone}
}

// formAmount returns what a form asks for, on one line.
func (v *visit) formAmount(f link.Form) string {
	amount := func(minor int64) string { return v.Print.Amount(money.Of(minor, f.Currency)) }
	if f.Typed() {
		return v.Print.T("links.between", "Low", amount(f.MinMinor), "High", amount(f.MaxMinor))
	}
	var all []string
	for _, minor := range f.Amounts {
		all = append(all, amount(minor))
	}
	return strings.Join(all, " · ")
}

// formsView is the list of forms.
type formsView struct {
	Head  parts.Head
	Label string
	Tabs  []parts.Tab
	Table parts.Table
}

// formFilter reads the query of the list.
func (v *visit) formFilter() (link.FormFilter, parts.Problems) {
	r := v.Reads()
	archived := r.Choice("archived", func(s string) bool { return s == "true" || s == "false" })
	f := link.FormFilter{Account: v.Account.ID, Mode: v.Mode, Archived: archived == "true", Before: r.ID("before", id.Form)}
	return f, r.End()
}

// formsPath returns the address of the list, with its filter and where it begins.
func (v *visit) formsPath(archived bool, before string) string {
	q := url.Values{}
	if archived {
		q.Set("archived", "true")
	}
	if before != "" {
		q.Set("before", before)
	}
	if len(q) == 0 {
		return v.Path("forms")
	}

	return v.Path("forms") + "?" + q.Encode()
}

// listForms shows a page of the forms: those in use, or the archived ones.
func (d *Pages) listForms(v *visit) error {
	f, wrong := v.formFilter()
	if wrong != nil {
		return v.Refuse(wrong, v.Path("forms"))
	}

	// One more than a page, to know whether there is an older one.
	f.Limit = frame.PageSize + 1
	items, err := d.Forms.ListForms(v.Context(), f)
	if err != nil {
		return err
	}

	// The same button is in the heading and in the empty list.
	create := parts.Button{Text: v.Print.T("forms.new"), Href: v.Path("forms", "new"), Kind: "primary", Icon: "plus"}
	p := formsView{Label: v.Print.T("forms.title"),
		Head: parts.Head{Title: v.Print.T("forms.title"), Lead: v.Print.T("forms.lead"), Actions: []parts.Button{create}},
		Tabs: []parts.Tab{
			{Text: v.Print.T("forms.current"), Href: v.formsPath(false, ""), Current: !f.Archived},
			{Text: v.Print.T("forms.archived"), Href: v.formsPath(true, ""), Current: f.Archived},
		}}
	p.Table = parts.Table{ID: "form-table", Caption: v.Print.T("forms.title"), CaptionHidden: true, CSV: v.Path("forms.csv"),
		Columns: []parts.Column{{Label: v.Print.T("forms.form")}, {Label: v.Print.T("links.amount")}, {Label: v.Print.T("links.statusHead")},
			{Label: v.Print.T("forms.sites")}, {Label: v.Print.T("forms.changed"), Number: true}},
		Empty: parts.Empty{Icon: "form", Headline: v.Print.T("forms.none"), Lead: v.Print.T("forms.noneLead"), Actions: []parts.Button{create}}}
	// There is no button here: nobody makes an archived form.
	if f.Archived {
		p.Table.Empty = parts.Empty{Icon: "form", Headline: v.Print.T("forms.noneArchived"), Lead: v.Print.T("forms.noneArchivedLead")}
	}
	if f.Before != "" {
		p.Table.Pager.Newest = v.formsPath(f.Archived, "")
	}
	if len(items) > frame.PageSize {
		items = items[:frame.PageSize]
		p.Table.Pager.Older = v.formsPath(f.Archived, items[frame.PageSize-1].ID)
	}

	for _, form := range items {
		p.Table.Rows = append(p.Table.Rows, parts.Row{ID: form.ID, Href: v.Path("forms", form.ID), Cells: []templ.Component{
			parts.Text(
				form.Name,
			), parts.Text(v.formAmount(form)), parts.BadgePart(v.formBadge(form)), parts.Text(v.formSites(form)), parts.When(form.UpdatedAt)}})
	}

	return v.Render(http.StatusOK, p.Head.Title, formsPage(p))
}

// formSites returns the sites that show a form, in words: the first, and how many more.
func (v *visit) formSites(f link.Form) string {
	if len(f.Origins) == 0 {
		return v.Print.T("forms.ownPage")
	}
	first := strings.TrimPrefix(f.Origins[0], "https://")
	if more := len(f.Origins) - 1; more > 0 {
		return v.Print.N("forms.andMore", more, "Site", first)
	}
	return first
}

// formColumns are the columns of the file of forms.
var formColumns = []string{
	"id",
	"createdAt",
	"updatedAt",
	"name",
	"status",
	"currency",
	"amounts",
	"minAmount",
	"maxAmount",
	"origins",
	"url",
}

// exportForms streams all forms as CSV, those in use before the archived ones, a page at a
// time.
func (d *Pages) exportForms(v *visit) error {
	if wrong := v.Reads().Only(); wrong != nil {
		return v.Refuse(wrong, v.Path("forms"))
	}

	return v.CSV("forms", formColumns, func(yield func([]string, error) bool) {
		// The service lists one of the two kinds at a time.
		for _, archived := range []bool{false, true} {
			f := link.FormFilter{Account: v.Account.ID, Mode: v.Mode, Archived: archived, Limit: link.MaxPage}
			for {
				items, err := d.Forms.ListForms(v.Context(), f)
				if err != nil {
					yield(nil, err)
					return
				}
				for _, form := range items {
					// The reader has gone: no further page is read.
					if !yield(d.formRow(form), nil) {
						return
					}
				}
				// A page that is not full is the last one.
				if len(items) < f.Limit {
					break
				}
				f.Before = items[len(items)-1].ID
			}
		}
	})
}

// formRow returns a form as a line of the file.
func (d *Pages) formRow(f link.Form) []string {
	// The cells of amounts stay empty where a form has none of that kind. They are decimal
	// text without a currency, which has its own column.
	row := []string{f.ID, link.FormatTime(f.CreatedAt), link.FormatTime(f.UpdatedAt), f.Name, f.Status(), string(f.Currency), "", "", "",
		strings.Join(f.Origins, " "), d.formURL(f)}
	if f.Typed() {
		row[7], row[8] = money.Of(f.MinMinor, f.Currency).Decimal(), money.Of(f.MaxMinor, f.Currency).Decimal()
	}
	row[6] = strings.Join(decimals(f), " ")
	return row
}

// decimals returns the amounts of a form as decimal text.
func decimals(f link.Form) (out []string) {
	for _, minor := range f.Amounts {
		out = append(out, money.Of(minor, f.Currency).Decimal())
	}
	return out
}

// formURL returns the address of the form's own page.
func (d *Pages) formURL(f link.Form) string { return d.Public + "/f/" + f.ID }

// shownForm is one form, and what is pasted into a website.
type shownForm struct {
	Head             parts.Head
	Badge            parts.Badge
	Active           bool
	Snippet, Button  string
	URL, Preview     string
	Origins          []string
	Facts            []parts.Fact
	Edit             parts.Button
	FrameTitle, Docs string
}

// snippet returns the line for a website. The words in it are the merchant's, so they are
// escaped for the page that they go to. mode is an attribute of the element, or "".
func (d *Pages) snippet(f link.Form, words, mode string) string {
	return `<script src="` + d.Payer.Script + `" integrity="` + d.Payer.Integrity + `" crossorigin="anonymous" async></script>` + "\n" +
		`<paylink-form form="` + f.ID + `"` + mode + `><a href="` + d.formURL(f) + `">` + html.EscapeString(words) + `</a></paylink-form>`
}

// readForm returns the form that the path names, or not found.
func (v *visit) readForm() (link.Form, error) {
	return v.d.Forms.GetForm(v.Context(), v.Account.ID, v.Mode, v.PathValue("id"))
}

// showForm shows a form, its address, the lines for a website, and a preview.
func (d *Pages) showForm(v *visit) error {
	f, err := v.readForm()
	if err != nil {
		return err
	}

	// Within the snippet the words are a link to the form's page, for a browser in which
	// the script does not run.
	words := f.Button
	if words == "" {
		words = v.Print.T("links.pay", "Payee", f.Payee)
	}
	p := shownForm{
		Badge:      v.formBadge(f),
		Active:     f.Active(),
		Snippet:    d.snippet(f, words, ""),
		Button:     d.snippet(f, words, ` mode="button"`),
		URL:        d.formURL(f),
		Preview:    v.Path("forms", f.ID, "preview"),
		Origins:    f.Origins,
		Facts:      v.formFacts(f),
		FrameTitle: v.Print.T("links.preview"),
		Head:       parts.Head{Title: f.Name, Back: parts.Button{Text: v.Print.T("forms.title"), Href: v.Path("forms")}},
		Edit:       parts.Button{Text: v.Print.T("forms.edit"), Href: v.Path("forms", f.ID, "edit"), Icon: "form"},
	}
	// An archived form can only be read.
	if f.ArchivedAt.IsZero() {
		p.Head.Actions = []parts.Button{
			p.Edit,
			{Text: v.Print.T("forms.archive"), Href: v.Path("forms", f.ID, "archive"), Kind: "danger", Icon: "cross"},
		}
	}
	v.Frames = true
	return v.Render(http.StatusOK, p.Head.Title, formShown(p))
}

// formFacts returns what the page of a form lists.
func (v *visit) formFacts(f link.Form) []parts.Fact {
	var out []parts.Fact
	add := func(key string, value templ.Component) {
		out = append(out, parts.Fact{Label: v.Print.T(key), Value: value})
	}
	// Facts that a form does not have are left out, instead of being shown as empty.
	add("links.amount", parts.Text(v.formAmount(f)))
	if f.Description != "" {
		add("links.description", parts.Text(f.Description))
	}

	var fields []string
	for _, field := range f.Fields {
		fields = append(fields, v.fieldLabel(field))
	}
	if len(fields) > 0 {
		add("forms.asks", parts.Text(strings.Join(fields, ", ")))
	}
	if f.RedirectURL != "" {
		add("forms.after", parts.Text(f.RedirectURL))
	}
	add("forms.lives", parts.Text(v.lifeText(f.LifeSeconds)))
	if f.Capture == link.CaptureManual {
		add("links.capture", parts.Text(v.Print.T("links.captureManual")))
	}
	add("links.created", parts.When(f.CreatedAt))
	add("forms.changed", parts.When(f.UpdatedAt))
	add("forms.id", parts.Code(f.ID))
	return out
}

// fieldLabel returns the label of a field: the merchant's, or ours for a known field.
func (v *visit) fieldLabel(f link.Field) string {
	switch {
	case f.Label != "":
		return f.Label
	case f.Name == link.FieldName:
		return v.Print.T("form.name")
	case f.Name == link.FieldEmail:
		return v.Print.T("form.email")
	}
	return v.Print.T("form.reference")
}

// lifeText returns a link's life in words, or in seconds if it is none of those to choose
// from.
func (v *visit) lifeText(seconds int64) string {
	for _, each := range frame.Lives {
		if int64(each.After/time.Second) == seconds {
			return v.Print.T(each.Key)
		}
	}
	return v.Print.N("forms.seconds", int(seconds))
}

// previewSavedForm shows the payer's page of a stored form, in a frame of the form's page.
func (d *Pages) previewSavedForm(v *visit) error {
	f, err := v.readForm()
	if err != nil {
		return err
	}
	if wrong := v.Unread(); wrong != nil {
		return v.Refuse(wrong, v.d.Base+v.URL.EscapedPath())
	}
	d.Payer.Preview(v.Writer, v.Request, f)
	return nil
}

// askArchiveForm asks before a form is archived.
func (d *Pages) askArchiveForm(v *visit) error {
	f, err := v.readForm()
	if err != nil {
		return err
	}

	// The page has an attempt id because every such page has one. Archiving does not use
	// it.
	a := parts.Asking{Action: v.Path("forms", f.ID, "archive"), Attempt: frame.NewAttempt(), Lead: v.Print.T("forms.archiveLead"),
		Head: parts.Head{Title: v.Print.T("forms.archiveTitle"), Back: parts.Button{Text: f.Name, Href: v.Path("forms", f.ID)}},
		OK: parts.Button{
			Text: v.Print.T("forms.archiveOK"),
			Kind: "danger",
			Icon: "cross",
		}, Back: parts.Button{Text: v.Print.T("payments.back"), Href: v.Path("forms", f.ID)}}
	return v.Render(http.StatusOK, a.Head.Title, parts.AskingPage(a))
}

// archiveForm archives a form. It needs no record, because archiving again changes nothing.
func (d *Pages) archiveForm(v *visit) error {
	if _, err := v.Posted(); err != nil {
		return err
	}
	f, err := d.Forms.ArchiveForm(v.Context(), v.Account.ID, v.Mode, v.PathValue("id"))
	if err != nil {
		return err
	}
	return v.Redirect(v.Path("forms", f.ID), "good", v.Print.T("forms.said.archived"))
}

// formNumber returns a field's number as people count.
func formNumber(n int) string { return strconv.Itoa(n + 1) }
