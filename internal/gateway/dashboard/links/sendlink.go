package links

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
)

// sendView is the form by which a link is mailed to its payer.
type sendView struct {
	Head      parts.Head
	Action    string
	Lead      string
	Problems  parts.Problems
	To, Lang  string
	Languages []parts.Option
	Back      parts.Button
}

// askSendLink shows the form by which a link is mailed.
func (d *Pages) askSendLink(v *visit) error {
	l, err := v.readLink()
	if err != nil {
		return err
	}
	// The reader's own language is the best guess for the payer's.
	values := url.Values{"lang": {v.Print.Tag()}}
	if v.Mode == link.Test {
		values.Set("to", v.User.Email) // test mode writes to nobody else
	}
	return v.showSend(http.StatusOK, l, values, nil)
}

// showSend renders the form, or fails with mail_unavailable if mail is not set up.
func (v *visit) showSend(status int, l link.Link, values url.Values, wrong parts.Problems) error {
	// Also asked when the form was filled in: mail may have been switched off meanwhile.
	ready, err := v.d.Mail.Ready(v.Context())
	if err != nil {
		return err
	}
	if !ready {
		return mail.Unavailable()
	}

	p := sendView{
		Action:   v.Path("links", l.ID, "send"),
		Problems: wrong,
		To:       values.Get("to"),
		Lang:     values.Get("lang"),
		Lead:     v.Print.T("links.sendLead", "Payee", l.Payee),
		Head:     parts.Head{Title: v.Print.T("links.sendTitle"), Back: parts.Button{Text: linkName(l), Href: v.Path("links", l.ID)}},
		Back:     parts.Button{Text: v.Print.T("payments.back"), Href: v.Path("links", l.ID)},
	}
	for _, lang := range i18n.Languages() {
		p.Languages = append(p.Languages, parts.Option{Value: lang.Tag, Text: lang.Name})
	}
	return v.Render(status, p.Head.Title, sendPage(p))
}

// sendLink mails the link. The same link to the same address is one email a day, so a form
// that is sent twice needs no attempt id.
func (d *Pages) sendLink(v *visit) error {
	values, err := v.Posted()
	if err != nil {
		return err
	}

	l, err := v.readLink()
	if err != nil {
		return err
	}

	to := strings.TrimSpace(values.Get("to"))
	err = d.Mail.SendLink(v.Context(), v.Account.ID, v.Mode, l.ID, to, values.Get("lang"))
	if err == nil {
		return v.Redirect(v.Path("links", l.ID), "good", v.Print.T("links.said.sent", "Address", to))
	}

	// Nil means that the reader cannot fix it, for example because the link can no longer
	// be paid.
	wrong := v.Problems(err)
	if wrong == nil {
		return err
	}

	return v.showSend(http.StatusUnprocessableEntity, l, values, wrong)
}

// toField returns the field for the payer's address.
func (p sendView) toField(label string) parts.Field {
	return parts.Field{
		ID:           "to",
		Label:        label,
		Value:        p.To,
		Type:         "email",
		Max:          254,
		Autocomplete: "off",
		Error:        p.Problems.Of("to"),
		Focus:        true,
		Attrs:        templ.Attributes{"required": true},
	}
}
