package pages

import (
	"context"
	"net/http"
	"net/url"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/mail"
)

// Mails ends the subscription of a one-click link in an email.
type Mails interface {
	// Subscription returns the subscription of a one-click link and changes nothing.
	// Unsubscribe ends it, and may be repeated. Fault token_invalid.
	Subscription(ctx context.Context, token string) (mail.Subscription, error)
	Unsubscribe(ctx context.Context, token string) (mail.Subscription, error)
}

// mailView is the page that asks before a subscription ends, or says that it ended.
type mailView struct {
	page
	Tone, Headline, Lead string
	Action, Button       string // of the form that asks; "" when it is done
}

// unsubscribe serves a one-click link (RFC 8058). A GET only shows what it would end,
// because programs follow links. A POST ends it for any sender: a mail program has no
// session with us, and the token, which is only in the recipient's email, is its
// authentication.
func (p *Pages) unsubscribe(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	do := p.mails.Subscription
	if r.Method == http.MethodPost {
		do = p.mails.Unsubscribe
		if _, err := body(w, r); err != nil { // it contains nothing that we need
			p.failPage(w, r, err)
			return
		}
	}

	s, err := do(r.Context(), token)
	if fault.Code(err) == "token_invalid" && r.Method != http.MethodPost {
		if bare, ok := meant(token, p.ourMail(r)); ok {
			p.goTo(w, r, p.base+"/mail/"+url.PathEscape(bare))
			return
		}
	}

	say := printer(r)
	switch {
	case fault.Code(err) == "token_invalid":
		p.html(w, r, http.StatusNotFound, mailPage(mailView{page: page{Title: say.T("mail.unsub.bad"), Base: p.base}, Tone: "quiet",
			Headline: say.T("mail.unsub.bad"), Lead: say.T("mail.unsub.bad.lead")}))
		return
	case err != nil:
		p.failPage(w, r, err)
		return
	}

	v := mailView{page: page{Base: p.base}, Tone: "quiet", Headline: say.T("mail.unsub.title"), Lead: unsubscribing(say, s)}
	if s.Ended {
		v.Tone, v.Headline, v.Lead = "good", say.T("mail.unsub.done"), unsubscribed(say, s)
	} else {
		v.Action, v.Button = p.base+"/mail/"+token, say.T("mail.unsub.title")
	}
	v.Title = v.Headline
	p.html(w, r, http.StatusOK, mailPage(v))
}

// unsubscribing asks whether to end the emails: links to an address, receipts and refunds to one,
// or those of a kind to a user.
func unsubscribing(say *i18n.Printer, s mail.Subscription) string {
	switch {
	case s.User == "" && s.Kind == mail.Receipt:
		return say.T("mail.unsub.ask.receipts", "Address", s.Address)
	case s.User == "":
		return say.T("mail.unsub.ask.links", "Address", s.Address)
	}
	return say.T("mail.unsub.ask.kind", "Kind", mail.KindName(say, s.Kind))
}

// unsubscribed says which emails have ended.
func unsubscribed(say *i18n.Printer, s mail.Subscription) string {
	switch {
	case s.User == "" && s.Kind == mail.Receipt:
		return say.T("mail.unsub.done.receipts", "Address", s.Address)
	case s.User == "":
		return say.T("mail.unsub.done.links", "Address", s.Address)
	}
	return say.T("mail.unsub.done.kind", "Kind", mail.KindName(say, s.Kind))
}
