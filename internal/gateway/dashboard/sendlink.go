package dashboard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
)

// sendView is the form by which a link is mailed to its payer.
type sendView struct {
	Head      head
	Action    string
	Lead      string
	Problems  problems
	To, Lang  string
	Languages []option
	Back      button
}

func (d *Dashboard) askSendLink(v *visit) error {
	l, err := v.readLink()
	if err != nil {
		return err
	}
	values := url.Values{"lang": {v.print.Tag()}}
	if v.mode == link.Test {
		values.Set("to", v.user.Email) // test mode writes to nobody else
	}
	return v.showSend(http.StatusOK, l, values, nil)
}

func (v *visit) showSend(status int, l link.Link, values url.Values, wrong problems) error {
	ready, err := v.d.Mail.Ready(v.Context())
	if err != nil {
		return err
	}
	if !ready {
		return mail.Unavailable()
	}
	p := sendView{Action: v.path("links", l.ID, "send"), Problems: wrong, To: values.Get("to"), Lang: values.Get("lang"), Lead: v.print.T("links.sendLead", "Payee", l.Payee),
		Head: head{Title: v.print.T("links.sendTitle"), Back: button{Text: linkName(l), Href: v.path("links", l.ID)}},
		Back: button{Text: v.print.T("payments.back"), Href: v.path("links", l.ID)}}
	for _, lang := range i18n.Languages() {
		p.Languages = append(p.Languages, option{lang.Tag, lang.Name})
	}
	return v.render(status, p.Head.Title, sendPage(p))
}

// sendLink hands the mail over. The same link to the same address is one mail a
// day, so a form that is sent twice needs no attempt.
func (d *Dashboard) sendLink(v *visit) error {
	values, err := v.form()
	if err != nil {
		return err
	}
	l, err := v.readLink()
	if err != nil {
		return err
	}
	to := strings.TrimSpace(values.Get("to"))
	err = d.Mail.SendLink(v.Context(), v.account.ID, v.mode, l.ID, to, values.Get("lang"))
	if err == nil {
		return v.redirect(v.path("links", l.ID), "good", v.print.T("links.said.sent", "Address", to))
	}
	wrong := v.problems(err)
	if wrong == nil {
		return err
	}
	return v.showSend(http.StatusUnprocessableEntity, l, values, wrong)
}

// toField is the payer's address.
func (p sendView) toField(label string) field {
	return field{ID: "to", Label: label, Value: p.To, Type: "email", Max: 254, Autocomplete: "off", Error: p.Problems.of("to"), Focus: true, Attrs: templ.Attributes{"required": true}}
}
