package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/mail"
)

func notificationRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/account/notifications", room: "notifications", handle: (*Dashboard).showNotifications},
		{method: http.MethodPost, path: "/dashboard/account/notifications", room: "notifications", handle: (*Dashboard).setNotifications},
	}
}

// notificationsView is which mails the user gets, and what became of the account's.
type notificationsView struct {
	Head     head
	Action   string
	Off      bool // mail is not set up
	Problems problems
	Kinds    []check
	Lang     field
	Mails    table
}

func (d *Dashboard) showNotifications(v *visit) error {
	r := v.reads()
	r.id("before", id.Mail)
	if wrong := r.end(); wrong != nil {
		return v.refuse(wrong, v.accountPath("notifications"))
	}
	p, err := d.Mail.Preferences(v.Context(), v.user.ID)
	if err != nil {
		return err
	}
	return v.showNotifications(http.StatusOK, p, nil)
}

func (v *visit) showNotifications(status int, p mail.Preferences, wrong problems) error {
	ready, err := v.d.Mail.Ready(v.Context())
	if err != nil {
		return err
	}
	view := notificationsView{Head: head{Title: v.print.T("mail.page.title"), Lead: v.print.T("mail.page.lead", "Address", v.user.Email)},
		Action: v.accountPath("notifications"), Off: !ready, Problems: wrong}
	for _, kind := range mail.Optional {
		view.Kinds = append(view.Kinds, check{ID: "on." + kind, Name: "on", Value: kind, Label: mail.KindName(v.print, kind), Hint: v.kindHint(kind), Checked: p.Wants(kind)})
	}
	lang := p.Lang
	if lang == "" {
		lang = "en"
	}
	view.Lang = field{ID: "lang", Label: v.print.T("mail.page.lang"), Value: lang, Error: wrong.of("lang")}
	for _, l := range i18n.Languages() {
		view.Lang.Options = append(view.Lang.Options, option{l.Tag, l.Name})
	}
	if view.Mails, err = v.mailTable(); err != nil {
		return err
	}
	return v.render(status, view.Head.Title, notificationsPage(view))
}

func (v *visit) kindHint(kind string) string {
	switch kind {
	case mail.PaymentHeld:
		return v.print.T("mail.page.hint.held")
	case mail.DisputeOpened:
		return v.print.T("mail.page.hint.dispute")
	case mail.Expiring:
		return v.print.T("mail.page.hint.expiring")
	case mail.EndpointDisabled:
		return v.print.T("mail.page.hint.disabled")
	case mail.Parked:
		return v.print.T("mail.page.hint.parked")
	}
	return ""
}

// mailTable is what was written for the account and what became of it.
func (v *visit) mailTable() (table, error) {
	t := table{ID: "mails", Caption: v.print.T("mail.page.sent"), Empty: empty{Icon: "mail", Headline: v.print.T("mail.page.none"), Lead: v.print.T("mail.page.none.lead")},
		Columns: []column{{Label: v.print.T("mail.page.kind")}, {Label: v.print.T("mail.page.to")}, {Label: v.print.T("mail.row.status")},
			{Label: v.print.T("mail.page.when")}, {Label: v.print.T("mail.page.answer")}}}
	before := v.URL.Query().Get("before")
	all, err := v.d.Mail.Mails(v.Context(), v.account.ID, before, pageSize+1)
	if err != nil {
		return t, err
	}
	if before != "" {
		t.Pager.Newest = v.accountPath("notifications")
	}
	if len(all) > pageSize {
		all = all[:pageSize]
		t.Pager.Older = v.accountPath("notifications") + "?before=" + url.QueryEscape(all[pageSize-1].ID)
	}
	for _, m := range all {
		at := m.EndedAt
		if at.IsZero() {
			at = m.DueAt
		}
		t.Rows = append(t.Rows, tableRow{ID: m.ID, Cells: []templ.Component{text(mail.KindName(v.print, m.Kind)), text(v.mailReader(m)),
			badgePart(v.mailBadge(m.Status)), when(at), text(v.mailAnswer(m.Error))}})
	}
	return t, nil
}

// mailReader is to whom a mail goes, as a person knows them.
func (v *visit) mailReader(m mail.Message) string {
	switch {
	case m.To == v.user.ID:
		return v.user.Email
	case id.Valid(id.User, m.To):
		return v.print.T("mail.page.user")
	case id.Valid(id.Payment, m.To):
		return v.print.T("mail.page.payer")
	}
	return m.To
}

// mailAnswer says why a mail was not sent. What a mail server said stays as it is.
func (v *visit) mailAnswer(said string) string {
	for code, key := range map[string]string{
		"test_mode_stranger": "mail.answer.testMode", "account_unconfirmed": "mail.answer.unconfirmed", "address_unconfirmed": "mail.answer.unconfirmed",
		"too_many_mails": "mail.answer.tooMany", "smtputf8_missing": "mail.answer.utf8",
	} {
		if strings.Contains(said, code+": ") {
			return v.print.T(key)
		}
	}
	return said
}

func (v *visit) mailBadge(s mail.Status) badge {
	switch s {
	case mail.Sent:
		return badge{v.print.T("mail.mailed.sent"), "good"}
	case mail.ParkedS:
		return badge{v.print.T("mail.mailed.parked"), "bad"}
	case mail.Dropped:
		return badge{v.print.T("mail.mailed.dropped"), "quiet"}
	}
	return badge{v.print.T("mail.mailed.waiting"), "wait"}
}

// setNotifications keeps the choices. Saying the same twice is no change, so the
// form needs no attempt.
func (d *Dashboard) setNotifications(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	p := mail.Preferences{User: v.user.ID, Lang: form.Get("lang")}
	for _, kind := range mail.Optional {
		if !slices.Contains(form["on"], kind) {
			p.Off = append(p.Off, kind)
		}
	}
	if err := d.Mail.SetPreferences(v.Context(), p); err != nil {
		if wrong := v.problems(err); wrong != nil {
			return v.showNotifications(http.StatusUnprocessableEntity, p, wrong)
		}
		return err
	}
	return v.redirect(v.accountPath("notifications"), "good", v.print.T("mail.page.saved"))
}
