package pages

import (
	"context"
	"net/http"
	"net/url"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/mail"
)

// Mails ends what a one-click link in a mail is about.
type Mails interface {
	// Subscription tells what a one-click link is about and changes nothing;
	// Unsubscribe ends it, and is repeatable. Fault token_invalid.
	Subscription(ctx context.Context, token string) (mail.Subscription, error)
	Unsubscribe(ctx context.Context, token string) (mail.Subscription, error)
}

// mailView asks before something ends, or tells that it has.
type mailView struct {
	page
	Tone, Headline, Lead string
	Action, Button       string // of the form that asks; "" when it is done
}

// unsubscribe is where a one-click link leads (RFC 8058). A GET shows what it would
// end, because programs follow links; a POST ends it, whoever sends it: a mail
// program has no session with us, and the token, which only the reader's mail holds,
// is what it proves.
func (p *Pages) unsubscribe(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	do := p.mails.Subscription
	if r.Method == http.MethodPost {
		do = p.mails.Unsubscribe
		if _, err := body(w, r); err != nil { // it says nothing that we need
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

func unsubscribing(say *i18n.Printer, s mail.Subscription) string {
	if s.User == "" {
		return say.T("mail.unsub.ask.links", "Address", s.Address)
	}
	return say.T("mail.unsub.ask.kind", "Kind", mail.KindName(say, s.Kind))
}

func unsubscribed(say *i18n.Printer, s mail.Subscription) string {
	if s.User == "" {
		return say.T("mail.unsub.done.links", "Address", s.Address)
	}
	return say.T("mail.unsub.done.kind", "Kind", mail.KindName(say, s.Kind))
}
