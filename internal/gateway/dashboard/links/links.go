package links

import (
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// shapeLink is the shape of a recorded response, as the API names it.
const shapeLink = "link"

// Routes returns the section's pages and changes.
func (d *Pages) Routes() []frame.Route {
	return []frame.Route{
		frame.Get("/dashboard/{mode}/links", "links", d.on((*Pages).listLinks)),
		frame.Post("/dashboard/{mode}/links", "links", d.on((*Pages).createLink)),
		frame.Get("/dashboard/{mode}/links.csv", "links", d.on((*Pages).exportLinks)),
		frame.Get("/dashboard/{mode}/links/new", "links", d.on((*Pages).newLink)),
		frame.Post("/dashboard/{mode}/links/preview", "links", d.on((*Pages).previewLink)),
		frame.Get("/dashboard/{mode}/links/{id}", "links", d.on((*Pages).showLink)),
		frame.Get("/dashboard/{mode}/links/{id}/qr.svg", "links", d.on((*Pages).linkQRSVG)),
		frame.Get("/dashboard/{mode}/links/{id}/qr.png", "links", d.on((*Pages).linkQRPNG)),
		frame.Get("/dashboard/{mode}/links/{id}/send", "links", d.on((*Pages).askSendLink)),
		frame.Post("/dashboard/{mode}/links/{id}/send", "links", d.on((*Pages).sendLink)),
		frame.Get("/dashboard/{mode}/links/{id}/cancel", "links", d.on((*Pages).askCancelLink)),
		frame.Post("/dashboard/{mode}/links/{id}/cancel", "links", d.on((*Pages).cancelLink)),
	}
}

// linkURL returns the address that the payer opens.
func (d *Pages) linkURL(l link.Link) string { return d.Public + "/l/" + l.Token }

// linkWords has the words and the tone of each status.
var linkWords = map[string]struct{ key, tone string }{
	link.Open:     {"links.status.open", "accent"},
	link.Paying:   {"links.status.paying", "wait"},
	link.Paid:     {"links.status.paid", "good"},
	link.Expired:  {"links.status.expired", "quiet"},
	link.Canceled: {"links.status.canceled", "quiet"},
}

// linkBadge returns the present status of a link.
func (v *visit) linkBadge(l link.Link) parts.Badge {
	w := linkWords[l.Status(v.d.Now())]
	return parts.Badge{Text: v.Print.T(w.key), Tone: w.tone}
}

// linkName returns the name of a link in one line: its description, its reference, or the
// end of its id.
func linkName(l link.Link) string {
	switch {
	case l.Description != "":
		return l.Description
	case l.Reference != "":
		return l.Reference
	}
	// The word joiner keeps the ellipsis on the line of the id.
	return "…\u2060" + l.ID[max(len(l.ID)-8, 0):]
}

// linksView is the list of links with what narrows it.
type linksView struct {
	Problems  parts.Problems
	Head      parts.Head
	Action    string
	Status    string
	Reference string
	Statuses  []parts.Option
	Clear     string
	Table     parts.Table
}

// linkFilter reads the query of the list and the file.
func (v *visit) linkFilter() (link.Filter, parts.Problems) {
	r := v.Reads()
	f := link.Filter{Account: v.Account.ID, Mode: v.Mode, Now: v.d.Now(), Reference: r.Text("reference"), Before: r.ID("before", id.Link)}
	// Only statuses that the page offers: another one is a problem of the query.
	f.Status = r.Choice("status", func(s string) bool { _, known := linkWords[s]; return known })
	return f, r.End()
}

// linkQuery returns the query of the list, with its filter and where it begins.
func linkQuery(f link.Filter, before string) string {
	v := url.Values{}
	// Empty parameters are left out, so that the plain list has a plain address.
	for name, value := range map[string]string{"status": f.Status, "reference": f.Reference, "before": before} {
		if value != "" {
			v.Set(name, value)
		}
	}

	if len(v) == 0 {
		return ""
	}

	return "?" + v.Encode()
}

// listLinks shows a page of links. A search for the id of a link leads to its page. With an
// invalid filter the list shows the problem and no rows.
func (d *Pages) listLinks(v *visit) error {
	f, wrong := v.linkFilter()
	// People paste an id from a log or an email where they can type something.
	if id.Valid(id.Link, f.Reference) && len(wrong) == 0 {
		return v.Redirect(v.Path("links", f.Reference), "", "")
	}

	// One more than a page, to know whether there is an older one.
	f.Limit = frame.PageSize + 1
	var items []link.Link
	if len(wrong) == 0 {
		var err error
		if items, err = d.Links.List(v.Context(), f); err != nil {
			return err
		}
	}

	create := parts.Button{Text: v.Print.T("links.new"), Href: v.Path("links", "new"), Kind: "primary", Icon: "plus"}
	p := linksView{
		Problems:  wrong,
		Action:    v.Path("links"),
		Clear:     v.Path("links"),
		Status:    f.Status,
		Reference: f.Reference,
		Statuses:  v.linkStatuses(),
		Head:      parts.Head{Title: v.Print.T("links.title"), Lead: v.Print.T("links.lead"), Actions: []parts.Button{create}},
	}
	p.Table = v.linkTable(items, f)
	// An account without any link is shown how to make one. With a filter, the table says
	// that nothing matches instead.
	if f.Status == "" && f.Reference == "" && f.Before == "" {
		p.Table.Empty = parts.Empty{
			Icon:     "link",
			Headline: v.Print.T("links.none"),
			Lead:     v.Print.T("links.noneLead"),
			Actions:  []parts.Button{create},
		}
	}
	// No rows were read, which must not look as if there were none.
	if len(wrong) > 0 {
		p.Table.Empty, p.Table.Pager = v.Unshown(p.Clear), parts.Pager{}
	}
	return v.Render(frame.StatusFor(wrong), p.Head.Title, linksPage(p))
}

// linkStatuses returns the statuses to filter by.
func (v *visit) linkStatuses() []parts.Option {
	out := []parts.Option{{Value: "", Text: v.Print.T("payments.all")}}
	for _, s := range []string{link.Open, link.Paid, link.Paying, link.Expired, link.Canceled} {
		out = append(out, parts.Option{Value: s, Text: v.Print.T(linkWords[s].key)})
	}
	return out
}

// linkTable returns the rows of a page. items may have one more than a page, which shows
// that there is a next one.
func (v *visit) linkTable(items []link.Link, f link.Filter) parts.Table {
	t := parts.Table{ID: "link-table", Caption: v.Print.T("links.title"), CaptionHidden: true, CSV: v.Path("links.csv") + linkQuery(f, ""),
		Columns: []parts.Column{
			{Label: v.Print.T("links.what")},
			{Label: v.Print.T("links.amount"), Number: true},
			{Label: v.Print.T("links.statusHead")},
			{Label: v.Print.T("links.paidTimes"), Number: true},
			{Label: v.Print.T("links.ends"), Number: true},
		},
		Empty: parts.Empty{Icon: "search", Headline: v.Print.T("links.noHit"), Lead: v.Print.T("links.noHitLead"), Actions: []parts.Button{
			{Text: v.Print.T("links.clear"), Href: v.Path("links")}}}}
	// The list is read in one direction only: there is a way to the newest and to the next
	// older page.
	if f.Before != "" {
		t.Pager.Newest = v.Path("links") + linkQuery(f, "")
	}
	if len(items) > frame.PageSize {
		items = items[:frame.PageSize]
		t.Pager.Older = v.Path("links") + linkQuery(f, items[frame.PageSize-1].ID)
	}
	for _, l := range items {
		t.Rows = append(t.Rows, parts.Row{ID: l.ID, Href: v.Path("links", l.ID),
			Cells: []templ.Component{
				linkCell(l),
				linkAmount(l),
				parts.BadgePart(v.linkBadge(l)),
				parts.Unbroken(v.usesText(l)),
				parts.When(l.ExpiresAt),
			}})
	}

	return t
}

// usesText returns how often a link was paid, and of how many times if that is limited.
func (v *visit) usesText(l link.Link) string {
	if l.MaxUses == 0 {
		return v.Print.Number(l.Uses)
	}
	return v.Print.Number(l.Uses) + " / " + v.Print.Number(l.MaxUses)
}

// linkColumns are the columns of the file of links.
var linkColumns = []string{
	"id",
	"createdAt",
	"status",
	"amount",
	"minAmount",
	"maxAmount",
	"currency",
	"description",
	"reference",
	"realm",
	"uses",
	"maxUses",
	"expiresAt",
	"url",
}

// exportLinks streams the links that match the filter as CSV.
func (d *Pages) exportLinks(v *visit) error {
	f, wrong := v.linkFilter()
	if wrong != nil {
		return v.Refuse(wrong, v.Path("links"))
	}
	return v.CSV("links", linkColumns, v.everyLink(f))
}

// everyLink yields the links of a filter as lines of the file, a page at a time.
func (v *visit) everyLink(f link.Filter) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		// The file begins with the newest link, whichever page the reader was on.
		f.Before, f.Limit = "", link.MaxPage
		for {
			items, err := v.d.Links.List(v.Context(), f)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, l := range items {
				if !yield(v.d.linkRow(l), nil) {
					return
				}
			}
			// A page that is not full is the last one.
			if len(items) < f.Limit {
				return
			}
			f.Before = items[len(items)-1].ID
		}
	}
}

// linkRow returns a link as a line of the file. Amounts are decimal text.
func (d *Pages) linkRow(l link.Link) []string {
	// The indices below are those of linkColumns.
	c := l.Amount.Currency
	row := []string{
		l.ID,
		link.FormatTime(l.CreatedAt),
		l.Status(d.Now()),
		l.Amount.Decimal(),
		"",
		"",
		string(c),
		l.Description,
		l.Reference,
		l.Realm,
		strconv.FormatInt(l.Uses, 10),
		"",
		link.FormatTime(l.ExpiresAt),
		d.linkURL(l),
	}
	if l.PayerChooses() {
		row[3], row[4], row[5] = "", money.Of(l.MinMinor, c).Decimal(), money.Of(l.MaxMinor, c).Decimal()
	}
	if l.MaxUses > 0 {
		row[11] = strconv.FormatInt(l.MaxUses, 10)
	}
	return row
}

// linkView is one link with its payments.
type linkView struct {
	Head     parts.Head
	Badge    parts.Badge
	URL      string
	QR       string
	Mailto   string
	Payable  bool
	Facts    []parts.Fact
	Payments parts.Table
	Send     parts.Button // by our own mail; no Href where mail is not set up
}

// readLink returns the link that the path names, or not found.
func (v *visit) readLink() (link.Link, error) {
	return v.d.Links.Get(v.Context(), v.Account.ID, v.Mode, v.PathValue("id"))
}

// showLink shows a link, how it is shared, and its latest payments.
func (d *Pages) showLink(v *visit) error {
	l, err := v.readLink()
	if err != nil {
		return err
	}

	// One more than a page, which shows that there are older payments.
	f := payment.Filter{Account: v.Account.ID, Mode: v.Mode, Link: l.ID, Limit: frame.PageSize + 1}
	items, err := d.Payments.ListPayments(v.Context(), f)
	if err != nil {
		return err
	}

	// Only an open link has a code and an address to share, and can be sent or canceled.
	open := l.Status(d.Now()) == link.Open
	p := linkView{Badge: v.linkBadge(l), URL: d.linkURL(l), QR: v.Path("links", l.ID, "qr.svg"), Payable: open, Facts: v.linkFacts(l),
		Head: parts.Head{Title: linkName(l), Back: parts.Button{Text: v.Print.T("links.title"), Href: v.Path("links")}}}
	// In such an address a plus is a plus: spaces must be encoded as %20.
	p.Mailto = "mailto:?" + strings.ReplaceAll(
		url.Values{"subject": {v.Print.T("links.mailSubject", "Payee", l.Payee)}, "body": {p.URL}}.Encode(),
		"+",
		"%20",
	)
	p.Head.Actions = []parts.Button{
		{Text: v.Print.T("links.duplicate"), Href: v.Path("links", "new") + "?from=" + url.QueryEscape(l.ID), Icon: "copy"},
	}
	if open {
		p.Head.Actions = append(
			p.Head.Actions,
			parts.Button{Text: v.Print.T("links.cancel"), Href: v.Path("links", l.ID, "cancel"), Kind: "danger", Icon: "cross"},
		)
	}

	p.Payments = v.linkPayments(l, items)
	// Where no mail is set up, the page offers only the reader's own mail program.
	if ready, err := d.Mail.Ready(v.Context()); err != nil {
		return err
	} else if ready && open {
		p.Send = parts.Button{Text: v.Print.T("links.send"), Href: v.Path("links", l.ID, "send"), Kind: "primary", Icon: "mail"}
	}
	return v.Render(http.StatusOK, p.Head.Title, linkPage(p))
}

// linkPayments are the payments of a link. The list of all payments has the file and the
// further pages, by the link's id.
func (v *visit) linkPayments(l link.Link, items []payment.Payment) parts.Table {
	// The search for the id of a link finds its payments.
	of := url.Values{"q": {l.ID}}
	file, older := v.Path("payments.csv")+frame.AsQuery(of), ""
	if len(items) > frame.PageSize {
		items = items[:frame.PageSize]
		of.Set("before", slip.Cursor(items[frame.PageSize-1]))
		older = v.Path("payments") + frame.AsQuery(of)
	}

	t := slip.Table(v.Visit, items, "")
	t.Caption, t.CSV, t.Pager.Older = v.Print.T("links.payments"), file, older
	t.Empty = parts.Empty{Icon: "card", Headline: v.Print.T("links.unpaid"), Lead: v.Print.T("links.unpaidLead")}
	return t
}

// linkFacts returns what the page of a link lists, with its metadata in the order of the
// keys.
func (v *visit) linkFacts(l link.Link) []parts.Fact {
	var out []parts.Fact
	add := func(key string, value templ.Component) {
		out = append(out, parts.Fact{Label: v.Print.T(key), Value: value})
	}
	// Facts that a link does not have are left out.
	add("links.amount", linkAmount(l))
	if l.Description != "" {
		add("links.description", parts.Text(l.Description))
	}
	if l.Reference != "" {
		add("links.reference", parts.Text(l.Reference))
	}
	if l.Realm != "" {
		add("payments.realm", parts.Text(l.Realm))
	}
	add("links.paidTimes", parts.Unbroken(v.usesText(l)))
	add("links.ends", parts.When(l.ExpiresAt))
	if !l.CanceledAt.IsZero() {
		add("links.canceledAt", parts.When(l.CanceledAt))
	}
	if l.RedirectURL != "" {
		add("links.redirect", parts.Text(l.RedirectURL))
	}
	if l.Capture == link.CaptureManual {
		add("links.capture", parts.Text(v.Print.T("links.captureManual")))
	}
	// The keys are the merchant's own words and are not translated.
	for _, k := range slices.Sorted(maps.Keys(l.Metadata)) {
		out = append(out, parts.Fact{Label: k, Value: parts.Text(l.Metadata[k])})
	}
	add("payments.issuer", parts.Text(slip.IssuerName(l.Issuer)))
	add("links.created", parts.When(l.CreatedAt))
	add("links.id", parts.Code(l.ID))
	return out
}

// linkQRSVG answers with the QR code of the link as SVG.
func (d *Pages) linkQRSVG(v *visit) error {
	l, err := v.readLink()
	if err != nil {
		return err
	}

	// The code has the address alone, so that any camera opens it.
	svg, err := link.QRSVG(d.linkURL(l))
	if err != nil {
		return err
	}

	return v.picture("image/svg+xml", "payment-link.svg", []byte(svg))
}

// linkQRPNG answers with the QR code of the link as PNG.
func (d *Pages) linkQRPNG(v *visit) error {
	l, err := v.readLink()
	if err != nil {
		return err
	}

	png, err := link.QRPNG(d.linkURL(l))
	if err != nil {
		return err
	}

	return v.picture("image/png", "payment-link.png", png)
}

// picture answers with a file, which the browser saves instead of showing if the query has
// download.
func (v *visit) picture(contentType, name string, body []byte) error {
	// Reading the parameter marks it as known; Unread refuses all others.
	v.Param("download")
	if wrong := v.Unread(); wrong != nil {
		return v.Refuse(wrong, v.d.Base+v.URL.EscapedPath())
	}

	h := v.Writer.Header()
	// A picture loads nothing. Opened on its own, an SVG file is a document and could.
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if v.URL.Query().Has("download") {
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	}
	// A HEAD request gets the same headers without the picture.
	if v.Method != http.MethodHead {
		_, _ = v.Writer.Write(body) // a failed write means that the browser is gone
	}
	return nil
}

// askCancelLink asks before a link is canceled. A link that cannot be canceled anymore
// leads back to its page.
func (d *Pages) askCancelLink(v *visit) error {
	l, err := v.readLink()
	if err != nil {
		return err
	}
	// It was paid, or it expired, since the page with the button was shown.
	if s := l.Status(d.Now()); s != link.Open {
		return v.Redirect(v.Path("links", l.ID), "wait", v.Explain(link.UnpayableReason(s), ""))
	}

	a := parts.Asking{Action: v.Path("links", l.ID, "cancel"), Attempt: frame.NewAttempt(), Lead: v.Print.T("links.cancelLead"),
		Head: parts.Head{Title: v.Print.T("links.cancelTitle"), Back: parts.Button{Text: linkName(l), Href: v.Path("links", l.ID)}},
		OK: parts.Button{
			Text: v.Print.T("links.cancelOK"),
			Kind: "danger",
			Icon: "cross",
		}, Back: parts.Button{Text: v.Print.T("payments.back"), Href: v.Path("links", l.ID)}}
	return v.Render(http.StatusOK, a.Head.Title, parts.AskingPage(a))
}

// cancelLink cancels a link, once, and shows it. If a payment was faster, the page says so.
func (d *Pages) cancelLink(v *visit) error {
	if _, err := v.Posted(); err != nil {
		return err
	}

	// The link is not read first: cancel decides at once whether it is still open, and a
	// payment may come at any moment.
	linkID := v.PathValue("id")
	_, err := v.Once(d.Records, shapeLink, func(t *idempotency.Ticket) error {
		_, err := d.Links.Cancel(v.Context(), v.Account.ID, v.Mode, linkID, t)
		return err
	})
	// The page of the link shows what happened instead.
	if fault.KindOf(err) == fault.KindConflict {
		return v.Redirect(v.Path("links", linkID), "bad", v.Explain(fault.Code(err), fault.From(err).Detail))
	}
	if err != nil {
		return err
	}

	return v.Redirect(v.Path("links", linkID), "good", v.Print.T("links.said.canceled"))
}
