package office_test

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/mail/mailtest"
	"github.com/paylink/paylink/internal/mail/office"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/receipt"
)

var receiptAt = regexp.MustCompile(`https://pay\.example/verify\?receipt=([^\s"]+)`)

// TestPayerGetsReceiptAndRefund: a receipt, then a refund, each once, however often the events come; both
// carry a statement that anyone can check against the published keys.
func TestPayerGetsReceiptAndRefund(t *testing.T) {
	w := newWorld(t)
	p := w.pay(w.link(time.Hour), "ada@shop.example")
	w.handle()
	w.handle()
	w.send()
	got := w.server.Next(t)
	if got.To != "ada@shop.example" || got.From != "pay@shop.example" || got.User != "shop" ||
		got.Subject != "Receipt from Ada’s <b>shop</b>: €12.50" {
		t.Errorf("receipt %+v", got)
	}
	for _, words := range []string{"Ada’s <b>shop</b>", "visa •••• 4242", p.ID, "order-1",
		"For: Tea & <script>alert(1)</script> Total: 0", "Test mode"} {
		if !strings.Contains(got.Text, words) {
			t.Errorf("the receipt lacks %q:\n%s", words, got.Text)
		}
	}
	if strings.Contains(got.HTML, "<script") || strings.Contains(got.HTML, "<b>shop") || !strings.Contains(got.HTML, "&lt;script&gt;") {
		t.Error("what people typed is markup in the HTML")
	}
	s := w.statement(got)
	if s.Payment != p.ID || s.Issuer != public || s.Status != "succeeded" || s.Captured.Minor != 1250 {
		t.Errorf("statement %+v", s)
	}
	if _, _, err := w.coord.Refund(t.Context(), w.account.ID, w.mode, p.ID, payment.RefundInput{Amount: "2.50"}, nil); err != nil {
		t.Fatal(err)
	}
	w.handle()
	w.handle()
	w.send()
	got = w.server.Next(t)
	if got.Subject != "Refund from Ada’s <b>shop</b>: €2.50" || w.statement(got).Refunded.Minor != 250 {
		t.Errorf("refund %+v", got)
	}
	w.send()
	if w.server.Waiting() != 0 || w.mails() != "[receipt sent:1 refund sent:1]" {
		t.Errorf("%d more letters; %s", w.server.Waiting(), w.mails())
	}
}

func (w *world) statement(l mailtest.Email) receipt.Statement {
	w.t.Helper()
	found := receiptAt.FindStringSubmatch(l.Text)
	if found == nil {
		w.t.Fatalf("no receipt in\n%s", l.Text)
	}
	token, err := url.QueryUnescape(found[1])
	w.good(err)
	keys, err := keyring.ParseJWKS(w.ring.JWKS())
	w.good(err)
	s, err := receipt.Verify(keys, token)
	w.good(err)
	return s
}

// TestPayerReadsTheirLanguage: a mail is in the language of the page on which its payer paid.
func TestPayerReadsTheirLanguage(t *testing.T) {
	w := newWorld(t)
	w.lang = "pt"
	w.pay(w.link(time.Hour), "ada@shop.example")
	w.handle()
	w.send()
	if got := w.server.Next(t); got.Header.Get("Content-Language") != "pt" || !strings.HasPrefix(got.Subject, "Recibo de ") {
		t.Errorf("receipt %+v", got)
	}
}

// TestNobodyIsWrittenToWithoutAnAddress: without an address, or after too long, an event makes
// no mail.
func TestNobodyIsWrittenToWithoutAnAddress(t *testing.T) {
	w := newWorld(t)
	w.pay(w.link(time.Hour), "")
	w.handle()
	if got := w.mails(); got != "[]" {
		t.Errorf("without an address: %s", got)
	}
	w.pay(w.link(time.Hour), "ada@shop.example")
	w.clock.Add(73 * time.Hour)
	w.handle()
	if got := w.mails(); got != "[]" {
		t.Errorf("three days later: %s", got)
	}
}

// TestMerchantIsReminded: a day before the end of a link that lives long enough and is not
// paid.
func TestMerchantIsReminded(t *testing.T) {
	w := newWorld(t)
	long, paid, canceled := w.link(72*time.Hour), w.link(72*time.Hour), w.link(72*time.Hour)
	w.link(47 * time.Hour)
	w.handle()
	if got := w.mails(); got != "[expiring waiting:3]" {
		t.Fatalf("planned: %s", got)
	}
	w.pay(paid, "")
	_, err := w.links.Cancel(t.Context(), w.account.ID, w.mode, canceled.ID, nil)
	w.good(err)
	w.handle()
	if got := w.mails(); got != "[expiring dropped:2 expiring waiting:1]" {
		t.Fatalf("after two of them ended: %s", got)
	}
	w.clock.Add(48*time.Hour - time.Second)
	w.send()
	w.clock.Add(time.Second)
	w.send()
	got := w.server.Next(t)
	if got.To != "ada@shop.example" || got.Subject != "A payment link expires soon" ||
		!strings.Contains(got.Text, public+"/dashboard/test/links/"+long.ID) {
		t.Errorf("reminder %+v", got)
	}
	if w.server.Waiting() != 0 || w.mails() != "[expiring dropped:2 expiring sent:1]" {
		t.Errorf("%d more; %s", w.server.Waiting(), w.mails())
	}
}

// TestWhatEndedMeanwhileIsNotWrittenAbout: the link is checked on sending, even if the
// withdrawal has not come yet; a mail that comes too late is dropped.
func TestWhatEndedMeanwhileIsNotWrittenAbout(t *testing.T) {
	w := newWorld(t)
	l := w.link(72 * time.Hour)
	w.link(72 * time.Hour)
	w.handle()
	w.pay(l, "")
	w.clock.Add(48 * time.Hour)
	w.good(w.store.PutPreferences(t.Context(), mail.Preferences{User: w.user.ID, Off: []string{mail.Expiring}}))
	w.send()
	if w.server.Waiting() != 0 || w.mails() != "[expiring dropped:2]" {
		t.Errorf("one was paid, and nobody wants the other: %s", w.mails())
	}
	w.good(w.store.PutPreferences(t.Context(), mail.Preferences{User: w.user.ID}))
	w.link(72 * time.Hour)
	w.handle()
	w.clock.Add(72 * time.Hour)
	w.send()
	if w.server.Waiting() != 0 || w.mails() != "[expiring dropped:3]" {
		t.Errorf("after the link's end: %s", w.mails())
	}
}

// TestMerchantHearsOfWebhooks: merchants are notified of failing webhooks, in the language of
// choice, and can end those mails with one click.
func TestMerchantHearsOfWebhooks(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.good(w.office.SetPreferences(ctx, mail.Preferences{User: w.user.ID, Lang: "ar", Off: []string{mail.Expiring}}))
	e := notify.Endpoint{ID: id.New(id.Endpoint), Account: w.account.ID, Mode: w.mode, URL: "https://shop.example/hooks",
		CreatedAt: w.clock.Now()}
	w.good(w.store.CreateEndpoint(ctx, e, nil))
	w.good(w.store.RecordDelivery(ctx, notify.Delivery{ID: id.New(id.Delivery), Account: w.account.ID, Mode: w.mode, Endpoint: e.ID,
		Event: "evt_1", EventType: "link.paid",
		Status: notify.DeadLetter, At: w.clock.Now()}, nil))
	w.good(w.office.NotifyDeadLetters(ctx))
	w.good(w.office.NotifyDeadLetters(ctx))
	w.send()
	got := w.server.Next(t)
	if got.To != "ada@shop.example" || got.Header.Get("Content-Language") != "ar" || !strings.Contains(got.HTML, `dir="rtl"`) ||
		!strings.Contains(got.Text, "https://shop.example/hooks") {
		t.Errorf("parked %+v", got)
	}
	w.good(notify.Disable(ctx, w.store, w.account.ID, e.ID, notify.ReasonGone, w.clock.Now()))
	w.handle()
	w.handle()
	w.send()
	if got = w.server.Next(t); !strings.Contains(got.Text, "410") || w.mails() != "[endpoint_disabled sent:1 parked sent:1]" {
		t.Errorf("disabled %+v; %s", got, w.mails())
	}
	// One click (RFC 8058): the address in the header, first read, then posted.
	if got.Header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		t.Fatal("no one-click link")
	}
	token := strings.TrimSuffix(strings.TrimPrefix(got.Header.Get("List-Unsubscribe"), "<"+public+"/mail/"), ">")
	for _, c := range []struct {
		do    func(context.Context, string) (mail.Subscription, error)
		ended bool
	}{{w.office.Subscription, false}, {w.office.Subscription, false}, {w.office.Unsubscribe, true}, {w.office.Unsubscribe, true},
		{w.office.Subscription, true}} {
		s, err := c.do(ctx, token)
		if err != nil || s.Ended != c.ended || s.Kind != mail.EndpointDisabled || s.Lang != "ar" {
			t.Errorf("subscription %+v, %v", s, err)
		}
	}
	p, err := w.office.Preferences(ctx, w.user.ID)
	if err != nil || p.Wants(mail.EndpointDisabled) || p.Wants(mail.Expiring) || !p.Wants(mail.DeadLetter) || p.Lang != "ar" {
		t.Errorf("preferences %+v, %v", p, err)
	}
	for i := range len(token) {
		bad := token[:i] + map[bool]string{true: "B", false: "A"}[token[i] == 'A'] + token[i+1:]
		if _, err := w.office.Unsubscribe(ctx, bad); fault.Code(err) != "token_invalid" {
			t.Fatalf("an altered link: %v", err)
		}
	}
}

// TestPreferencesAreChecked: what belongs to an account or a payment can't be turned off.
func TestPreferencesAreChecked(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		p    mail.Preferences
		code string
	}{{mail.Preferences{User: w.user.ID, Off: []string{mail.Reset}}, "mail_kind_unknown"},
		{mail.Preferences{User: w.user.ID, Lang: "tlh"}, "language_unknown"},
		{mail.Preferences{User: id.New(id.User)}, "not_found"}} {
		if err := w.office.SetPreferences(t.Context(), c.p); fault.Code(err) != c.code {
			t.Errorf("%+v: %v", c.p, err)
		}
	}
}

// TestLinkIsSentToItsPayer: once a day to an address, within limits, and not to a reader who
// unsubscribed.
func TestLinkIsSentToItsPayer(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	l := w.link(time.Hour)
	if err := w.office.SendLink(ctx, w.account.ID, w.mode, l.ID, "grace@example.com", "de"); fault.Code(err) != "mail_test_mode" {
		t.Errorf("a stranger in test mode: %v", err)
	}
	for range 2 {
		w.good(w.office.SendLink(ctx, w.account.ID, w.mode, l.ID, "Ada@shop.example", "de"))
	}
	w.send()
	got := w.server.Next(t)
	if got.To != "ada@shop.example" || got.Header.Get("Content-Language") != "de" ||
		!strings.Contains(got.Text, public+"/l/"+l.Token) || !strings.Contains(got.Text, "Testmodus") {
		t.Errorf("link %+v", got)
	}
	token := strings.TrimSuffix(strings.TrimPrefix(got.Header.Get("List-Unsubscribe"), "<"+public+"/mail/"), ">")
	if s, err := w.office.Unsubscribe(ctx, token); err != nil || s.Address != "ada@shop.example" || s.Kind != mail.Link {
		t.Errorf("unsubscribed %+v, %v", s, err)
	}
	for name, c := range map[string]struct{ mode, link, to, code string }{
		"who wants none": {w.mode, l.ID, "ada@shop.example", "mail_refused"}, "another mode": {link.Live, l.ID, "a@example.com", "not_found"},
		"no such link":  {w.mode, id.New(id.Link), "a@example.com", "not_found"},
		"two addresses": {w.mode, l.ID, "a@example.com, b@example.com", "email_invalid"},
		"a line break":  {w.mode, l.ID, "a@example.com\r\nBcc: b@example.com", "email_invalid"},
		"with a name":   {w.mode, l.ID, "A <a@example.com>", "email_invalid"},
	} {
		if err := w.office.SendLink(ctx, w.account.ID, c.mode, c.link, c.to, "en"); fault.Code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.pay(l, "")
	if err := w.office.SendLink(ctx, w.account.ID, w.mode, l.ID, "b@example.com", ""); fault.Code(err) != "link_paid" {
		t.Errorf("a paid link: %v", err)
	}
	if w.server.Waiting() != 0 || w.mails() != "[link sent:1]" {
		t.Errorf("%d more; %s", w.server.Waiting(), w.mails())
	}
	off := office.New(office.Config{Now: w.clock.Now})
	if err := off.SendLink(ctx, w.account.ID, w.mode, l.ID, "a@example.com", ""); fault.Code(err) != "mail_unavailable" {
		t.Errorf("without a mail server: %v", err)
	}
}

// TestLimitsOnStrangers: an address gets few links a day, whichever account sends them.
func TestLimitsOnStrangers(t *testing.T) {
	w := newWorld(t)
	links := make([]link.Link, 0, 7)
	for range 7 {
		links = append(links, w.link(time.Hour))
	}
	var codes []string
	for _, l := range links {
		codes = append(codes, fault.Code(w.office.SendLink(t.Context(), w.account.ID, w.mode, l.ID, w.user.Email, "")))
	}
	if got := strings.Join(codes, ","); got != ",,,,,too_many_mails,too_many_mails" {
		t.Errorf("answers %s", got)
	}
	w.clock.Add(25 * time.Hour)
	w.good(w.office.SendLink(t.Context(), w.account.ID, w.mode, w.link(time.Hour).ID, w.user.Email, ""))
}
