package mail_test

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/money"
)

var kinds = []string{mail.Confirm, mail.Reset, mail.Invite, mail.PasswordChanged, mail.NewSignIn, mail.Receipt, mail.Refund,
	mail.Link, mail.Expiring,
	mail.EndpointDisabled, mail.DeadLetter, mail.PaymentHeld, mail.DisputeOpened}

const hostile = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{.Lead}}\r\nBcc: eve@example.com"

func facts(text string) mail.Facts {
	return mail.Facts{Site: "pay.example", Payee: text, Inviter: text, Agent: text, Card: "visa •••• 4242", Reference: text, Description: text,
		Payment: "pay_01h455vb4pex5vsknk084sn02q", Endpoint: "https://shop.example/hooks?x=" + text, Amount: money.Of(1234567, "EUR"),
		At: time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC), Minutes: 60, Count: 3, URL: "https://pay.example/l/token?a=1&b=2",
		Preferences: "https://pay.example/dashboard/account/notifications", Unsubscribe: "https://pay.example/mail/token", Test: true}
}

func several() mail.Facts {
	f := facts("Ada’s shop")
	f.Several = true
	return f
}

var remote = regexp.MustCompile(`(?i)<img|<link|<script|<iframe|<object|@import|url\(|<[^>]* src=|background="|javascript:`)

// TestEveryMailInEveryLanguage: all kinds are written, as text and as HTML that says
// the same, and load nothing from anywhere.
func TestEveryMailInEveryLanguage(t *testing.T) {
	for _, l := range i18n.Languages() {
		for _, kind := range kinds {
			for name, f := range map[string]mail.Facts{"plain": facts("Ada’s shop"), "several": several(),
				"long": facts(strings.Repeat("Donaudampfschifffahrtsgesellschaft", 20)), "hostile": facts(hostile)} {
				got, err := mail.Compose(i18n.For(l.Tag), kind, f)
				if err != nil {
					t.Fatalf("%s %s %s: %v", l.Tag, kind, name, err)
				}
				where := l.Tag + " " + kind + " " + name
				if got.Lang != l.Tag || got.Subject == "" || strings.ContainsAny(got.Subject, "\r\n") || strings.Contains(got.Subject, "mail.") {
					t.Errorf("%s: subject %q", where, got.Subject)
				}
				if strings.Contains(got.Text, "mail.confirm") || strings.Contains(got.HTML, ">mail.") || strings.Contains(got.HTML, "&lt;nil") {
					t.Errorf("%s: a text is missing", where)
				}
				for _, part := range []string{f.URL, f.Unsubscribe, f.Preferences} {
					if !strings.Contains(got.Text, part) || !strings.Contains(got.HTML, strings.ReplaceAll(part, "&", "&amp;")) {
						t.Errorf("%s: %s is not in it", where, part)
					}
				}
				if found := remote.FindString(got.HTML); found != "" {
					t.Errorf("%s: the HTML has %q in it", where, found)
				}
				if !strings.Contains(got.HTML, `dir="`+l.Dir+`"`) || !strings.Contains(got.HTML, "prefers-color-scheme: dark") ||
					len(got.HTML) > 40<<10 {
					t.Errorf("%s: %d bytes of HTML, not in the direction of the language, or without a dark form", where, len(got.HTML))
				}
				if strings.Contains(got.Text, "\nBcc:") {
					t.Errorf("%s: what somebody typed begins a line:\n%s", where, got.Text)
				}
				balanced(t, where, got.HTML)
			}
		}
	}
	if _, err := mail.Compose(i18n.For("en"), "odd", mail.Facts{}); err == nil {
		t.Error("a kind that there is not")
	}
}

// TestTimesInAZone: a mail writes its time in the zone that it is given, and names it.
func TestTimesInAZone(t *testing.T) {
	for name, want := range map[string]string{"Europe/Berlin": "09:08 CEST", "Asia/Kathmandu": "12:53 UTC+05:45", "UTC": "07:08 UTC"} {
		f := facts("Ada’s shop")
		var err error
		if f.Zone, err = time.LoadLocation(name); err != nil {
			t.Fatal(err)
		}
		got, err := mail.Compose(i18n.For("de"), mail.Receipt, f)
		if err != nil || !strings.Contains(got.Text, want) {
			t.Errorf("in %s: %v\n%s", name, err, got.Text)
		}
	}
}

// balanced reads the HTML as browsers do, tag by tag.
func balanced(t *testing.T, where, html string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(html))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			open = append(open, e.Name.Local)
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != e.Name.Local {
				t.Fatalf("%s: </%s> closes %v", where, e.Name.Local, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%s: open at the end: %v", where, open)
	}
}

// TestASealedMailSaysNothing: a sealed mail reveals nothing without the key, or under another
// mail's id.
func TestASealedMailSaysNothing(t *testing.T) {
	ring := keyring.NewMemory(time.Now())
	m := mail.Message{ID: id.New(id.Mail), Data: map[string]string{"url": "https://secret"}}
	sealed, err := m.Seal(ring)
	if err != nil || sealed.Data != nil || strings.Contains(string(sealed.Sealed), "secret") {
		t.Fatalf("%+v, %v", sealed, err)
	}
	if opened, err := sealed.Open(ring); err != nil || opened.Data["url"] != "https://secret" {
		t.Errorf("%+v, %v", opened, err)
	}
	moved := sealed
	moved.ID = id.New(id.Mail)
	for name, open := range map[string]func() error{
		"another mail's":  func() error { _, err := moved.Open(ring); return err },
		"without the key": func() error { _, err := sealed.Open(keyring.NewMemory(time.Now())); return err },
		"erased":          func() error { _, err := m.Open(ring); return err },
	} {
		if err := open(); !errors.Is(err, mail.ErrSealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.Data = map[string]string{"x": strings.Repeat("x", mail.MaxDataBytes)}
	if _, err := m.Seal(ring); err == nil {
		t.Error("a mail of any size is sealed")
	}
	if slices.Contains(mail.Optional, mail.Receipt) || slices.Contains(mail.Optional, mail.Reset) {
		t.Error("a receipt or a way in can be turned off")
	}
}
