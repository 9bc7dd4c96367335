package mail_test

import (
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/money"
)

// TestNothingTypedIsALink: a mail repeats what a merchant typed, bounded, and no mail
// program makes a link of it.
func TestNothingTypedIsALink(t *testing.T) {
	for typed, want := range map[string]string{
		"Pay at https://evil.example/login.php now": "Pay at evil[.]example/login[.]php now",
		"HTTP://evil.com":                     "evil[.]com",
		"www.evil.example.":                   "www[.]evil[.]example.",
		"(evil.com/x)":                        "(evil[.]com/x)",
		"evil.com:8080":                       "evil[.]com:8080",
		"write to help@evil.com":              "write to help@evil[.]com",
		"mailto:help@evil.com":                "mailto:help@evil[.]com",
		"javascript://evil.com":               "evil[.]com",
		"münchen.example":                     "münchen[.]example",
		"Invoice No.5, 12.50 for 3.5 h. Fin.": "Invoice No.5, 12.50 for 3.5 h. Fin.",
		"and/or 1/2.5":                        "and/or 1/2.5",
		"first\nTotal: 0":                     "first Total: 0",
		strings.Repeat("é", 500):              strings.Repeat("é", 200) + "…",
	} {
		for _, kind := range []string{mail.Receipt, mail.Refund, mail.Link} {
			l, err := mail.Compose(i18n.For("en"), kind, mail.Facts{Site: "pay.example", Payee: "ada.lovelace", Description: typed,
				Amount: money.Of(1250, "EUR"), URL: "https://pay.example/l/x"})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(l.Text, "For: "+want+"\n") || !strings.Contains(l.Text, "ada.lovelace") {
				t.Errorf("%s of %q:\n%s", kind, typed, l.Text)
			}
		}
	}
	l, err := mail.Compose(i18n.For("en"), mail.Invite, mail.Facts{Site: "pay.example", Inviter: "login.bank.com",
		URL: "https://pay.example/x"})
	if err != nil || strings.Contains(l.Text+l.Subject, "bank.com") {
		t.Errorf("an invitation: %v %s", err, l.Text)
	}
}
