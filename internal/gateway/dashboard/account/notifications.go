package account

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/mail"
)

// notificationRoutes returns the page of the notifications and its change.
func (d *Pages) notificationRoutes() []frame.Route {
	return []frame.Route{
		frame.Get("/dashboard/account/notifications", "notifications", d.on((*Pages).showNotifications)),
		frame.Post("/dashboard/account/notifications", "notifications", d.on((*Pages).setNotifications)),
	}
}

// notificationsView shows which emails the user gets, and the state of the account's
// emails. Kinds are those that a user may turn off.
type notificationsView struct {
	Head     parts.Head
	Action   string
	Off      bool // mail is not set up
	Problems parts.Problems
	Kinds    []parts.Check
	Lang     parts.Field
	Mails    parts.Table
}

// showNotifications shows the stored preferences, and a page of the account's emails.
func (d *Pages) showNotifications(v *visit) error {
	r := v.Reads()
	// Only checked here: mailTable reads it.
	r.ID("before", id.Mail)
	if wrong := r.End(); wrong != nil {
		return v.Refuse(wrong, v.AccountPath("notifications"))
	}
	p, err := d.Mail.Preferences(v.Context(), v.User.ID)
	if err != nil {
		return err
	}
	return v.showNotifications(http.StatusOK, p, nil)
}

// showNotifications renders the page with these preferences. Without a mail server the page
// says so and still keeps the choices.
func (v *visit) showNotifications(status int, p mail.Preferences, wrong parts.Problems) error {
	ready, err := v.d.Mail.Ready(v.Context())
	if err != nil {
		return err
	}

	view := notificationsView{
		Head:     parts.Head{Title: v.Print.T("mail.page.title"), Lead: v.Print.T("mail.page.lead", "Address", v.User.Email)},
		Action:   v.AccountPath("notifications"),
		Off:      !ready,
		Problems: wrong,
	}
	for _, kind := range mail.Optional {
		view.Kinds = append(
			view.Kinds,
			parts.Check{
				ID:      "on." + kind,
				Name:    "on",
				Value:   kind,
				Label:   mail.KindName(v.Print, kind),
				Hint:    v.kindHint(kind),
				Checked: p.Wants(kind),
			},
		)
	}

	// A user who never chose gets emails in English.
	lang := p.Lang
	if lang == "" {
		lang = "en"
	}
	view.Lang = parts.Field{ID: "lang", Label: v.Print.T("mail.page.lang"), Value: lang, Error: wrong.Of("lang")}
	for _, l := range i18n.Languages() {
		view.Lang.Options = append(view.Lang.Options, parts.Option{Value: l.Tag, Text: l.Name})
	}

	if view.Mails, err = v.mailTable(); err != nil {
		return err
	}

	return v.Render(status, view.Head.Title, notificationsPage(view))
}

// kindHint returns when an email of a kind is sent.
func (v *visit) kindHint(kind string) string {
	switch kind {
	case mail.PaymentHeld:
		return v.Print.T("mail.page.hint.held")
	case mail.DisputeOpened:
		return v.Print.T("mail.page.hint.dispute")
	case mail.Expiring:
		return v.Print.T("mail.page.hint.expiring")
	case mail.EndpointDisabled:
		return v.Print.T("mail.page.hint.disabled")
	case mail.DeadLetter:
		return v.Print.T("mail.page.hint.parked")
	}
	return ""
}

// mailTable returns the account's emails with their outcomes, newest first. Content is not
// shown; it is erased when an email has ended.
func (v *visit) mailTable() (parts.Table, error) {
	t := parts.Table{
		ID:      "mails",
		Caption: v.Print.T("mail.page.sent"),
		Empty:   parts.Empty{Icon: "mail", Headline: v.Print.T("mail.page.none"), Lead: v.Print.T("mail.page.none.lead")},
		Columns: []parts.Column{{Label: v.Print.T("mail.page.kind")}, {Label: v.Print.T("mail.page.to")}, {Label: v.Print.T("mail.row.status")},
			{Label: v.Print.T("mail.page.when")}, {Label: v.Print.T("mail.page.answer")}},
	}
	before := v.URL.Query().Get("before")
	all, err := v.d.Mail.Mails(v.Context(), v.Account.ID, before, frame.PageSize+1)
	if err != nil {
		return t, err
	}
	if before != "" {
		t.Pager.Newest = v.AccountPath("notifications")
	}
	if len(all) > frame.PageSize {
		all = all[:frame.PageSize]
		t.Pager.Older = v.AccountPath("notifications") + "?before=" + url.QueryEscape(all[frame.PageSize-1].ID)
	}

	for _, m := range all {
		// An email that is still waiting shows when it is tried next.
		at := m.EndedAt
		if at.IsZero() {
			at = m.DueAt
		}
		t.Rows = append(
			t.Rows,
			parts.Row{ID: m.ID, Cells: []templ.Component{parts.Text(mail.KindName(v.Print, m.Kind)), parts.Text(v.mailReader(m)),
				parts.BadgePart(v.mailBadge(m.Status)), parts.When(at), parts.Text(v.mailAnswer(m.Error))}},
		)
	}

	return t, nil
}

// mailReader returns the recipient of an email as the reader knows it: an address, a user, or
// a payer, whose address is not repeated here.
func (v *visit) mailReader(m mail.Message) string {
	switch {
	case m.To == v.User.ID:
		return v.User.Email
	case id.Valid(id.User, m.To):
		return v.Print.T("mail.page.user")
	case id.Valid(id.Payment, m.To):
		return v.Print.T("mail.page.payer")
	}
	return m.To
}

// mailAnswer returns why an email was not sent. A mail server's response is not translated.
func (v *visit) mailAnswer(said string) string {
	for code, key := range map[string]string{
		"test_mode_stranger": "mail.answer.testMode", "account_unconfirmed": "mail.answer.unconfirmed",
		"address_unconfirmed": "mail.answer.unconfirmed",
		"too_many_mails":      "mail.answer.tooMany", "smtputf8_missing": "mail.answer.utf8",
	} {
		// The code is followed by words for the log, which may come after other text.
		if strings.Contains(said, code+": ") {
			return v.Print.T(key)
		}
	}
	return said
}

// mailBadge returns the outcome of an email.
func (v *visit) mailBadge(s mail.Status) parts.Badge {
	switch s {
	case mail.Sent:
		return parts.Badge{Text: v.Print.T("mail.mailed.sent"), Tone: "good"}
	case mail.DeadLetterStatus:
		return parts.Badge{Text: v.Print.T("mail.mailed.parked"), Tone: "bad"}
	case mail.Dropped:
		return parts.Badge{Text: v.Print.T("mail.mailed.dropped"), Tone: "quiet"}
	default:
		return parts.Badge{Text: v.Print.T("mail.mailed.waiting"), Tone: "wait"}
	}
}

// setNotifications stores the choices of the user, not of the account. Sending the form
// twice has the same effect as once, so it needs no attempt id.
func (d *Pages) setNotifications(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}

	p := mail.Preferences{User: v.User.ID, Lang: form.Get("lang")}
	for _, kind := range mail.Optional {
		if !slices.Contains(form["on"], kind) {
			// What is stored is the kinds that are off, so a new kind of email is on for
			// everybody.
			p.Off = append(p.Off, kind)
		}
	}

	if err := d.Mail.SetPreferences(v.Context(), p); err != nil {
		if wrong := v.Problems(err); wrong != nil {
			return v.showNotifications(http.StatusUnprocessableEntity, p, wrong)
		}
		return err
	}

	return v.Redirect(v.AccountPath("notifications"), "good", v.Print.T("mail.page.saved"))
}
