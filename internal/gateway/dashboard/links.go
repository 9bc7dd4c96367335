package dashboard

import (
	"encoding/json"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

func linkRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/{mode}/links", room: "links", handle: (*Dashboard).listLinks},
		{method: http.MethodPost, path: "/dashboard/{mode}/links", room: "links", handle: (*Dashboard).createLink},
		{method: http.MethodGet, path: "/dashboard/{mode}/links.csv", room: "links", handle: (*Dashboard).exportLinks},
		{method: http.MethodGet, path: "/dashboard/{mode}/links/new", room: "links", handle: (*Dashboard).newLink},
		{method: http.MethodPost, path: "/dashboard/{mode}/links/preview", room: "links", handle: (*Dashboard).previewLink},
		{method: http.MethodGet, path: "/dashboard/{mode}/links/{id}", room: "links", handle: (*Dashboard).showLink},
		{method: http.MethodGet, path: "/dashboard/{mode}/links/{id}/qr.svg", room: "links", handle: (*Dashboard).linkQRSVG},
		{method: http.MethodGet, path: "/dashboard/{mode}/links/{id}/qr.png", room: "links", handle: (*Dashboard).linkQRPNG},
		{method: http.MethodGet, path: "/dashboard/{mode}/links/{id}/send", room: "links", handle: (*Dashboard).askSendLink},
		{method: http.MethodPost, path: "/dashboard/{mode}/links/{id}/send", room: "links", handle: (*Dashboard).sendLink},
		{method: http.MethodGet, path: "/dashboard/{mode}/links/{id}/cancel", room: "links", handle: (*Dashboard).askCancelLink},
		{method: http.MethodPost, path: "/dashboard/{mode}/links/{id}/cancel", room: "links", handle: (*Dashboard).cancelLink},
	}
}

// linkURL is what the payer opens.
func (d *Dashboard) linkURL(l link.Link) string { return d.public + "/l/" + l.Token }

var linkWords = map[string]struct{ key, tone string }{
	link.Open:     {"links.status.open", "accent"},
	link.Paying:   {"links.status.paying", "wait"},
	link.Paid:     {"links.status.paid", "good"},
	link.ExpiredS: {"links.status.expired", "quiet"},
	link.Canceled: {"links.status.canceled", "quiet"},
}

func (v *visit) linkBadge(l link.Link) badge {
	w := linkWords[l.Status(v.d.Now())]
	return badge{Text: v.print.T(w.key), Tone: w.tone}
}

// linkName is how a link is called where there is room for one line.
func linkName(l link.Link) string {
	switch {
	case l.Description != "":
		return l.Description
	case l.Reference != "":
		return l.Reference
	}
	return "…\u2060" + l.ID[max(len(l.ID)-8, 0):]
}

// linksView is the list of links with what narrows it.
type linksView struct {
	Problems  problems
	Head      head
	Action    string
	Status    string
	Reference string
	Statuses  []option
	Clear     string
	Table     table
}

func (v *visit) linkFilter() (link.Filter, problems) {
	r := v.reads()
	f := link.Filter{Account: v.account.ID, Mode: v.mode, Now: v.d.Now(), Reference: r.text("reference"), Before: r.id("before", id.Link)}
	f.Status = r.choice("status", func(s string) bool { _, known := linkWords[s]; return known })
	return f, r.end()
}

func linkQuery(f link.Filter, before string) string {
	v := url.Values{}
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

func (d *Dashboard) listLinks(v *visit) error {
	f, wrong := v.linkFilter()
	if id.Valid(id.Link, f.Reference) && len(wrong) == 0 {
		return v.redirect(v.path("links", f.Reference), "", "")
	}
	f.Limit = pageSize + 1
	var items []link.Link
	if len(wrong) == 0 {
		var err error
		if items, err = d.Links.List(v.Context(), f); err != nil {
			return err
		}
	}
	create := button{Text: v.print.T("links.new"), Href: v.path("links", "new"), Kind: "primary", Icon: "plus"}
	p := linksView{Problems: wrong, Action: v.path("links"), Clear: v.path("links"), Status: f.Status, Reference: f.Reference, Statuses: v.linkStatuses(),
		Head: head{Title: v.print.T("links.title"), Lead: v.print.T("links.lead"), Actions: []button{create}}}
	p.Table = v.linkTable(items, f)
	if f.Status == "" && f.Reference == "" && f.Before == "" {
		p.Table.Empty = empty{Icon: "link", Headline: v.print.T("links.none"), Lead: v.print.T("links.noneLead"), Actions: []button{create}}
	}
	if len(wrong) > 0 {
		p.Table.Empty, p.Table.Pager = v.unshown(p.Clear), pager{}
	}
	return v.render(statusFor(wrong), p.Head.Title, linksPage(p))
}

func (v *visit) linkStatuses() []option {
	out := []option{{"", v.print.T("payments.all")}}
	for _, s := range []string{link.Open, link.Paid, link.Paying, link.ExpiredS, link.Canceled} {
		out = append(out, option{s, v.print.T(linkWords[s].key)})
	}
	return out
}

func (v *visit) linkTable(items []link.Link, f link.Filter) table {
	t := table{ID: "link-table", Caption: v.print.T("links.title"), CaptionHidden: true, CSV: v.path("links.csv") + linkQuery(f, ""),
		Columns: []column{{Label: v.print.T("links.what")}, {Label: v.print.T("links.amount"), Number: true}, {Label: v.print.T("links.statusHead")},
			{Label: v.print.T("links.paidTimes"), Number: true}, {Label: v.print.T("links.ends"), Number: true}},
		Empty: empty{Icon: "search", Headline: v.print.T("links.noHit"), Lead: v.print.T("links.noHitLead"), Actions: []button{
			{Text: v.print.T("links.clear"), Href: v.path("links")}}}}
	if f.Before != "" {
		t.Pager.Newest = v.path("links") + linkQuery(f, "")
	}
	if len(items) > pageSize {
		items = items[:pageSize]
		t.Pager.Older = v.path("links") + linkQuery(f, items[pageSize-1].ID)
	}
	for _, l := range items {
		t.Rows = append(t.Rows, tableRow{ID: l.ID, Href: v.path("links", l.ID),
			Cells: []templ.Component{linkCell(l), linkAmount(l), badgePart(v.linkBadge(l)), unbroken(v.usesText(l)), when(l.ExpiresAt)}})
	}
	return t
}

// usesText is how often a link was paid, of how often it may be.
func (v *visit) usesText(l link.Link) string {
	if l.MaxUses == 0 {
		return v.print.Number(l.Uses)
	}
	return v.print.Number(l.Uses) + " / " + v.print.Number(l.MaxUses)
}

var linkColumns = []string{"id", "createdAt", "status", "amount", "minAmount", "maxAmount", "currency", "description", "reference", "realm", "uses", "maxUses", "expiresAt", "url"}

func (d *Dashboard) exportLinks(v *visit) error {
	f, wrong := v.linkFilter()
	if wrong != nil {
		return v.refuse(wrong, v.path("links"))
	}
	return v.csv("links", linkColumns, v.everyLink(f))
}

func (v *visit) everyLink(f link.Filter) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
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
			if len(items) < f.Limit {
				return
			}
			f.Before = items[len(items)-1].ID
		}
	}
}

func (d *Dashboard) linkRow(l link.Link) []string {
	c := l.Amount.Currency
	row := []string{l.ID, link.FormatTime(l.CreatedAt), l.Status(d.Now()), l.Amount.Decimal(), "", "", string(c), l.Description, l.Reference, l.Realm,
		strconv.FormatInt(l.Uses, 10), "", link.FormatTime(l.ExpiresAt), d.linkURL(l)}
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
	Head     head
	Badge    badge
	URL      string
	QR       string
	Mailto   string
	Payable  bool
	Facts    []fact
	Payments table
	Send     button // by our own mail; no Href where mail is not set up
}

func (v *visit) readLink() (link.Link, error) {
	return v.d.Links.Get(v.Context(), v.account.ID, v.mode, v.PathValue("id"))
}

func (d *Dashboard) showLink(v *visit) error {
	l, err := v.readLink()
	if err != nil {
		return err
	}
	f := payment.Filter{Account: v.account.ID, Mode: v.mode, Link: l.ID, Limit: pageSize + 1}
	items, err := d.Payments.ListPayments(v.Context(), f)
	if err != nil {
		return err
	}
	open := l.Status(d.Now()) == link.Open
	p := linkView{Badge: v.linkBadge(l), URL: d.linkURL(l), QR: v.path("links", l.ID, "qr.svg"), Payable: open, Facts: v.linkFacts(l),
		Head: head{Title: linkName(l), Back: button{Text: v.print.T("links.title"), Href: v.path("links")}}}
	p.Mailto = "mailto:?" + strings.ReplaceAll(url.Values{"subject": {v.print.T("links.mailSubject", "Payee", l.Payee)}, "body": {p.URL}}.Encode(), "+", "%20")
	p.Head.Actions = []button{{Text: v.print.T("links.duplicate"), Href: v.path("links", "new") + "?from=" + url.QueryEscape(l.ID), Icon: "copy"}}
	if open {
		p.Head.Actions = append(p.Head.Actions, button{Text: v.print.T("links.cancel"), Href: v.path("links", l.ID, "cancel"), Kind: "danger", Icon: "cross"})
	}
	p.Payments = v.paymentTable(pageOf(items, pageSize), asked{Q: l.ID}, "")
	p.Payments.Caption, p.Payments.CaptionHidden = v.print.T("links.payments"), false
	p.Payments.Empty = empty{Icon: "card", Headline: v.print.T("links.unpaid"), Lead: v.print.T("links.unpaidLead")}
	if ready, err := d.Mail.Ready(v.Context()); err != nil {
		return err
	} else if ready && open {
		p.Send = button{Text: v.print.T("links.send"), Href: v.path("links", l.ID, "send"), Kind: "primary", Icon: "mail"}
	}
	return v.render(http.StatusOK, p.Head.Title, linkPage(p))
}

func (v *visit) linkFacts(l link.Link) []fact {
	var out []fact
	add := func(key string, value templ.Component) { out = append(out, fact{v.print.T(key), value}) }
	add("links.amount", linkAmount(l))
	if l.Description != "" {
		add("links.description", text(l.Description))
	}
	if l.Reference != "" {
		add("links.reference", text(l.Reference))
	}
	if l.Realm != "" {
		add("payments.realm", text(l.Realm))
	}
	add("links.paidTimes", unbroken(v.usesText(l)))
	add("links.ends", when(l.ExpiresAt))
	if !l.CanceledAt.IsZero() {
		add("links.canceledAt", when(l.CanceledAt))
	}
	if l.RedirectURL != "" {
		add("links.redirect", text(l.RedirectURL))
	}
	if l.Capture == link.CaptureManual {
		add("links.capture", text(v.print.T("links.captureManual")))
	}
	for _, k := range slices.Sorted(maps.Keys(l.Metadata)) {
		out = append(out, fact{k, text(l.Metadata[k])})
	}
	add("payments.issuer", text(issuerName(l.Issuer)))
	add("links.created", when(l.CreatedAt))
	add("links.id", code(l.ID))
	return out
}

func (d *Dashboard) linkQRSVG(v *visit) error {
	l, err := v.readLink()
	if err != nil {
		return err
	}
	svg, err := link.QRSVG(d.linkURL(l))
	if err != nil {
		return err
	}
	return v.picture("image/svg+xml", "payment-link.svg", []byte(svg))
}

func (d *Dashboard) linkQRPNG(v *visit) error {
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

// picture answers with a file; as one to keep where ?download is asked.
func (v *visit) picture(contentType, name string, body []byte) error {
	v.param("download")
	if wrong := v.unread(); wrong != nil {
		return v.refuse(wrong, v.d.base+v.URL.EscapedPath())
	}
	h := v.w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if v.URL.Query().Has("download") {
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	}
	if v.Method != http.MethodHead {
		_, _ = v.w.Write(body) // a failed write means that the browser is gone
	}
	return nil
}

func (d *Dashboard) askCancelLink(v *visit) error {
	l, err := v.readLink()
	if err != nil {
		return err
	}
	if s := l.Status(d.Now()); s != link.Open {
		return v.redirect(v.path("links", l.ID), "wait", v.explain(link.UnpayableReason(s), ""))
	}
	a := asking{Action: v.path("links", l.ID, "cancel"), Attempt: newAttempt(), Lead: v.print.T("links.cancelLead"),
		Head: head{Title: v.print.T("links.cancelTitle"), Back: button{Text: linkName(l), Href: v.path("links", l.ID)}},
		OK:   button{Text: v.print.T("links.cancelOK"), Kind: "danger", Icon: "cross"}, Back: button{Text: v.print.T("payments.back"), Href: v.path("links", l.ID)}}
	return v.render(http.StatusOK, a.Head.Title, askingPage(a))
}

func (d *Dashboard) cancelLink(v *visit) error {
	if _, err := v.form(); err != nil {
		return err
	}
	linkID := v.PathValue("id")
	_, err := v.once(d.Records.Links, shapeLink, func(t *idempotency.Ticket) error {
		_, err := d.Links.Cancel(v.Context(), v.account.ID, v.mode, linkID, t)
		return err
	})
	if err != nil && fault.KindOf(err) == fault.KindConflict {
		return v.redirect(v.path("links", linkID), "bad", v.explain(fault.Code(err), fault.From(err).Detail))
	}
	if err != nil {
		return err
	}
	return v.redirect(v.path("links", linkID), "good", v.print.T("links.said.canceled"))
}

// madeLink is the id in a recorded answer.
func madeLink(answer []byte) (string, error) {
	var o struct {
		ID string `json:"id"`
	}
	err := json.Unmarshal(answer, &o)
	return o.ID, err
}

// methods are the account's payment methods as a link needs them.
func (v *visit) methods() []link.Method {
	out := make([]link.Method, 0, len(v.account.Methods))
	for _, m := range v.account.Methods {
		k := link.Method{ID: m.ID, Type: m.Type, Issuer: m.Issuer, Currencies: m.Currencies}
		for _, c := range v.d.Connectors {
			if c.Name == m.Issuer {
				k.Enabled, k.MinMinor, k.MaxMinor, k.Test = m.Enabled, c.Capabilities.MinMinor, c.Capabilities.MaxMinor, c.Capabilities.Test
			}
		}
		out = append(out, k)
	}
	return out
}

// life is how long a new link may be asked to live.
type life struct {
	after time.Duration
	key   string
}

var lives = []life{{time.Hour, "links.life.hour"}, {24 * time.Hour, "links.life.day"}, {7 * 24 * time.Hour, "links.life.week"},
	{30 * 24 * time.Hour, "links.life.month"}, {90 * 24 * time.Hour, "links.life.quarter"}, {link.MaxLife, "links.life.most"}}
