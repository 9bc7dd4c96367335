package mail

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"

	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
)

// Facts are the values in a mail's texts. Each kind uses some of them.
type Facts struct {
	Site        string // our own host, as a reader knows it
	Payee       string
	Inviter     string
	Agent       string // browser
	Card        string
	Reference   string
	Description string
	Payment     string // number
	Endpoint    string // URL
	Gone        bool   // the endpoint answered 410; otherwise it failed for days
	Several     bool   // several payments or disputes together, so the mail names none
	Reason      string // of a dispute, as payment.Dispute has it
	Amount      money.Amount
	At          time.Time
	Zone        *time.Location // the zone of At in the text; nil is At's own
	Minutes     int
	Count       int
	URL         string // target of the button
	Preferences string // page of the mail preferences; "" if there is none
	Unsubscribe string // page of the one-click link; "" if there is none
	Test        bool
}

// content is a mail before it becomes text and HTML.
type content struct {
	Lang, Dir   string
	Subject     string
	Lead        string
	Rows        []row
	WordsHead   string // above Words, which the merchant wrote
	Words       []row
	Button      string
	URL         string
	Copy        string
	Note        string
	Test        string
	Why         string // the reader gets it
	Unsubscribe action
	Preferences action
}

// row is one line of a mail's table.
type row struct{ Label, Value string }

// action is a link below the text.
type action struct{ Label, URL string }

//go:embed texts
var texts embed.FS

var (
	htmlLayout = htmltemplate.Must(htmltemplate.ParseFS(texts, "texts/mail.html"))
	textLayout = texttemplate.Must(texttemplate.ParseFS(texts, "texts/mail.txt"))
)

// Compose returns a mail in a language, as text and as HTML with the same content. Text
// that people entered is escaped in the HTML, and takes one line. It fails for an unknown
// kind.
func Compose(p *i18n.Printer, kind string, f Facts) (Email, error) {
	for _, name := range []*string{&f.Payee, &f.Inviter, &f.Agent, &f.Card} {
		*name = plain(*name, isDomain)
	}
	for _, text := range []*string{&f.Reference, &f.Description} {
		*text = plain(*text, mayBeDomain)
	}
	f.Endpoint = oneLine(f.Endpoint)
	if f.Zone != nil && !f.At.IsZero() {
		f.At = f.At.In(f.Zone)
	}
	c, ok := write(p, kind, f)
	if !ok {
		return Email{}, fmt.Errorf("there is no mail of the kind %q", kind)
	}

	c.Lang, c.Dir, c.URL = p.Tag(), p.Dir(), f.URL
	if c.Button != "" {
		c.Copy = p.T("mail.copy")
	}
	if f.Test {
		c.Test = p.T("mail.test")
	}
	if f.Unsubscribe != "" {
		c.Unsubscribe = action{p.T("mail.unsubscribe"), f.Unsubscribe}
	}
	if f.Preferences != "" {
		c.Preferences = action{p.T("mail.preferences"), f.Preferences}
	}

	var html, text bytes.Buffer
	if err := htmlLayout.Execute(&html, c); err != nil {
		return Email{}, err
	}
	if err := textLayout.Execute(&text, c); err != nil {
		return Email{}, err
	}

	return Email{Subject: c.Subject, Text: text.String(), HTML: html.String(), Lang: c.Lang}, nil
}

// maxTypedChars bounds how much of one text that a person typed a mail repeats.
const maxTypedChars = 200

// oneLine returns a text on one line, so that it can't pass for lines of ours.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// plain returns what a person typed in a form that a mail may repeat: on one line, bounded, and
// without anything that a mail program turns into a link. Otherwise a stranger could use our
// name to lead readers to a site.
func plain(s string, domain func(string) bool) string {
	s = oneLine(s)
	if issuer.HasNumber(s) { // stored by a version that did not refuse it
		return "…"
	}
	if r := []rune(s); len(r) > maxTypedChars {
		s = string(r[:maxTypedChars]) + "…"
	}

	words := strings.Split(s, " ")
	for i, w := range words {
		words[i] = unlinked(w, domain)
	}
	return strings.Join(words, " ")
}

// unlinked returns a word with the dots of its host in brackets, and without a scheme before
// it.
func unlinked(word string, domain func(string) bool) string {
	scheme := false
	for {
		before, after, found := strings.Cut(word, "://")
		if !found {
			break
		}
		word, scheme = strings.TrimRightFunc(before, unicode.IsLetter)+after, true
	}

	at := strings.IndexFunc(word, func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) })
	if at < 0 {
		return word
	}
	if i := strings.IndexByte(word[at:], ':'); i >= 0 && !strings.ContainsAny(word[at:at+i], "./@") { // mailto:, Note:
		at += i + 1
	}

	head, host := word[:at], word[at:]
	host, _, path := strings.Cut(host, "/")
	host, _, _ = strings.Cut(host, ":")
	host = strings.TrimRightFunc(host, unicode.IsPunct)
	if !scheme && (!strings.Contains(host, ".") || !(path || strings.Contains(host, "@") || domain(host))) {
		return word
	}

	rest := word[at+len(host):] // its last dot ends the sentence
	return head + strings.ReplaceAll(host, ".", "[.]") + strings.ReplaceAll(strings.TrimSuffix(rest, "."), ".",
		"[.]") + rest[len(strings.TrimSuffix(rest, ".")):]
}

// mayBeDomain reports whether a word may be the name of a host: its last part is letters. The
// brackets do not hurt free text, but would hurt names such as ada.lovelace.
func mayBeDomain(word string) bool {
	last := word[strings.LastIndexByte(word, '.')+1:]
	return utf8.RuneCountInString(last) > 1 && !strings.ContainsFunc(last,
		func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsMark(c) && c != '-' })
}

// isDomain reports whether a word ends as the names of public hosts do, or begins with www.
func isDomain(word string) bool {
	word = strings.ToLower(word)
	suffix, icann := publicsuffix.PublicSuffix(word)
	return strings.HasPrefix(word, "www.") || (icann && suffix != word)
}

// write returns the content of a kind, and whether the kind is known. The groups are those
// of the preferences: security, payers, business, decisions.
func write(p *i18n.Printer, kind string, f Facts) (content, bool) {
	switch kind {
	case Confirm, Reset, Invite, PasswordChanged, NewSignIn:
		return writeAccount(p, kind, f), true
	case Receipt, Refund, Link:
		return writePayer(p, kind, f), true
	case Expiring, EndpointDisabled, DeadLetter:
		return writeMerchant(p, kind, f), true
	case PaymentHeld, DisputeOpened:
		return writeDesk(p, kind, f), true
	}

	return content{}, false
}

// writeAccount writes what a user needs to sign in, and security notices.
func writeAccount(p *i18n.Printer, kind string, f Facts) content {
	c := content{Why: p.T("mail.why.user", "Site", f.Site)}
	switch kind {
	case Confirm:
		c.Subject, c.Lead, c.Button = p.T("mail.confirm.subject"), p.T("mail.confirm.lead", "Site", f.Site), p.T("mail.confirm.button")
		c.Note, c.Why = p.T("mail.confirm.note"), p.T("mail.why.address", "Site", f.Site)
	case Reset:
		c.Subject, c.Lead, c.Button = p.T("mail.reset.subject"), p.T("mail.reset.lead", "Site", f.Site), p.T("mail.reset.button")
		c.Note = p.N("mail.reset.note", f.Minutes)
	case Invite:
		c.Subject, c.Lead = p.T("mail.invite.subject", "Inviter", f.Inviter), p.T("mail.invite.lead", "Inviter", f.Inviter, "Site", f.Site)
		c.Button, c.Note, c.Why = p.T("mail.invite.button"), p.T("mail.invite.note"), p.T("mail.why.address", "Site", f.Site)
	case PasswordChanged:
		c.Subject, c.Lead = p.T("mail.changed.subject"), p.T("mail.changed.lead", "At", f.At)
		c.Button, c.Note = p.T("mail.reset.button"), p.T("mail.notyou")
	case NewSignIn:
		c.Subject, c.Lead = p.T("mail.signin.subject"), p.T("mail.signin.lead", "Site", f.Site)
		c.Rows = rows(row{p.T("mail.row.date"), p.DateTime(f.At)}, row{p.T("mail.row.agent"), f.Agent})
		c.Button, c.Note = p.T("mail.reset.button"), p.T("mail.notyou")
	}

	return c
}

// writePayer writes mails to payers, who read first who is paid and how much. What the merchant
// wrote stands apart from our own words, under a head that says whose it is.
func writePayer(p *i18n.Printer, kind string, f Facts) content {
	c := payerContent(p, kind, f)
	if c.Words = rows(row{p.T("mail.row.description"), f.Description}, row{p.T("mail.row.reference"), f.Reference}); len(c.Words) > 0 {
		c.WordsHead = p.T("mail.words", "Payee", f.Payee)
	}
	return c
}

// payerContent returns a mail to a payer without the merchant's text.
func payerContent(p *i18n.Printer, kind string, f Facts) content {
	switch kind {
	case Receipt:
		return content{Subject: p.T("mail.receipt.subject", "Payee", f.Payee, "Amount", f.Amount),
			Lead: p.T("mail.receipt.lead", "Payee", f.Payee),
			Rows: rows(row{p.T("mail.row.amount"), p.Amount(f.Amount)}, row{p.T("mail.row.payee"), f.Payee},
				row{p.T("mail.row.date"), p.DateTime(f.At)}, row{p.T("mail.row.card"), f.Card}, row{p.T("mail.row.payment"), f.Payment}),
			Button: p.T("mail.receipt.button"), Note: p.T("mail.receipt.note"), Why: p.T("mail.why.payer", "Payee", f.Payee)}
	case Refund:
		return content{Subject: p.T("mail.refund.subject", "Payee", f.Payee, "Amount", f.Amount),
			Lead: p.T("mail.refund.lead", "Payee", f.Payee, "Amount", f.Amount),
			Rows: rows(row{p.T("mail.row.refunded"), p.Amount(f.Amount)}, row{p.T("mail.row.date"), p.DateTime(f.At)},
				row{p.T("mail.row.card"), f.Card}, row{p.T("mail.row.payment"), f.Payment}),
			Button: p.T("mail.receipt.button"), Note: p.T("mail.receipt.note"), Why: p.T("mail.why.payer", "Payee", f.Payee)}
	}

	c := content{Lead: p.T("mail.link.lead", "Payee", f.Payee), Note: p.T("mail.link.note", "Site", f.Site),
		Why: p.T("mail.why.link", "Payee", f.Payee)}
	if f.Amount.Zero() { // the payer chooses
		c.Subject, c.Button = p.T("mail.link.subject_open", "Payee", f.Payee), p.T("mail.link.button_open")
	} else {
		c.Subject, c.Button = p.T("mail.link.subject", "Payee", f.Payee, "Amount", f.Amount), p.T("mail.link.button", "Amount", f.Amount)
		c.Rows = rows(row{p.T("mail.row.amount"), p.Amount(f.Amount)})
	}
	c.Rows = append(c.Rows, row{p.T("mail.row.until"), p.DateTime(f.At)})
	return c
}

// writeMerchant writes business notices to merchants.
func writeMerchant(p *i18n.Printer, kind string, f Facts) content {
	c := content{Why: p.T("mail.why.user", "Site", f.Site)}
	switch kind {
	case Expiring:
		c.Subject, c.Lead, c.Button = p.T("mail.expiring.subject"), p.T("mail.expiring.lead", "At", f.At), p.T("mail.expiring.button")
		if !f.Amount.Zero() {
			c.Rows = rows(row{p.T("mail.row.amount"), p.Amount(f.Amount)})
		}
		c.Rows = append(c.Rows, rows(row{p.T("mail.row.description"), f.Description}, row{p.T("mail.row.reference"), f.Reference},
			row{p.T("mail.row.until"), p.DateTime(f.At)})...)
	case EndpointDisabled:
		c.Subject, c.Button, c.Note = p.T("mail.disabled.subject"), p.T("mail.disabled.button"), p.T("mail.disabled.note")
		if c.Lead = p.T("mail.disabled.lead_failing"); f.Gone {
			c.Lead = p.T("mail.disabled.lead_gone")
		}
		c.Rows = rows(row{p.T("mail.row.endpoint"), f.Endpoint}, row{p.T("mail.row.date"), p.DateTime(f.At)})
	case DeadLetter:
		c.Subject, c.Lead = p.N("mail.parked.subject", f.Count), p.T("mail.parked.lead")
		c.Button, c.Note = p.T("mail.parked.button"), p.T("mail.parked.note")
		c.Rows = rows(row{p.T("mail.row.endpoint"), f.Endpoint}, row{p.T("mail.row.count"), p.Number(int64(f.Count))})
	}

	return c
}

// writeDesk writes about payments and disputes that wait for a merchant's decision.
func writeDesk(p *i18n.Printer, kind string, f Facts) content {
	c := content{Why: p.T("mail.why.user", "Site", f.Site)}
	if !f.Several {
		c.Rows = rows(row{p.T("mail.row.amount"), p.Amount(f.Amount)}, row{p.T("mail.row.card"), f.Card},
			row{p.T("mail.row.description"), f.Description},
			row{p.T("mail.row.reference"), f.Reference}, row{p.T("mail.row.payment"), f.Payment})
	}

	switch {
	case kind == PaymentHeld && f.Several:
		c.Subject, c.Lead = p.N("mail.held.several", f.Count), p.T("mail.held.lead_several", "At", f.At)
		c.Button, c.Note = p.T("mail.held.button_several"), p.T("mail.held.note")
	case kind == PaymentHeld:
		c.Subject, c.Lead = p.T("mail.held.subject", "Amount", f.Amount), p.T("mail.held.lead", "At", f.At)
		c.Button, c.Note = p.T("mail.held.button"), p.T("mail.held.note")
	case f.Several:
		c.Subject, c.Lead, c.Button = p.T("mail.dispute.several"), p.T("mail.dispute.lead_several"), p.T("mail.dispute.button_several")
	default:
		c.Subject, c.Lead, c.Button = p.T("mail.dispute.subject", "Amount", f.Amount), p.T("mail.dispute.lead"), p.T("mail.dispute.button")
		c.Rows = append(rows(row{p.T("mail.row.reason"), disputeReason(p, f.Reason)}), c.Rows...)
		if !f.At.IsZero() {
			c.Note = p.T("mail.dispute.note", "At", f.At)
		}
	}

	return c
}

// disputeReason returns the reason in words; a newer one that has no text is returned as it
// is. The texts are those of the dashboard.
func disputeReason(p *i18n.Printer, reason string) string {
	switch reason {
	case "fraudulent":
		return p.T("review.dispute.reason.fraudulent")
	case "unrecognized":
		return p.T("review.dispute.reason.unrecognized")
	case "product_not_received":
		return p.T("review.dispute.reason.notReceived")
	case "duplicate":
		return p.T("review.dispute.reason.duplicate")
	case "other":
		return p.T("review.dispute.reason.other")
	}

	return reason
}

// rows returns the rows that have a value.
func rows(all ...row) []row {
	var out []row
	for _, r := range all {
		if r.Value != "" {
			out = append(out, r)
		}
	}
	return out
}
