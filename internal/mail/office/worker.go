package office

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/receipt"
	"github.com/paylink/paylink/internal/spelling"
)

// Limits of sending.
const (
	workers   = 4 // mails at once, as many as a carrier has connections
	dueBatch  = 100
	pollEvery = time.Second
	claimLife = 3 * time.Minute  // longer than a try takes; after that another process may try
	tryLimit  = 90 * time.Second // of one try
	stopLimit = 10 * time.Second // for running tries at shutdown
	maxError  = 500              // bytes that are kept of an error
)

// pauses are the delays before the next tries: the last is two days after the first. Each
// varies by up to a fifth, so that many mails to one server do not come at the same moment.
var pauses = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 8 * time.Hour,
	12 * time.Hour, 24 * time.Hour}

// MaxAttempts is the number of tries after which a mail is parked.
var MaxAttempts = len(pauses) + 1

// Run sends what is due, until ctx ends (nil); then running tries have stopLimit. Several
// processes may run it: each mail is claimed by one. A process that dies leaves a claim that
// expires.
func (l *Local) Run(ctx context.Context) error {
	under, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopLimit, cancel) })()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		// A full batch is followed by the next one at once.
		n, err := l.send(ctx, under)
		if err != nil && ctx.Err() == nil {
			l.Log.WarnContext(ctx, "due emails could not be read; trying again", "error", err)
		}
		if n == dueBatch && err == nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-tick.C:
		}
	}
}

// Send is one round of Run: it sends what is due now and returns how many mails it took.
func (l *Local) Send(ctx context.Context) (int, error) { return l.send(ctx, ctx) }

// send takes mails until ctx ends, and waits for those that it took; running tries end with
// under. It returns how many mails were due.
func (l *Local) send(ctx, under context.Context) (int, error) {
	due, err := l.Outbox.DueMails(ctx, l.Now().UTC(), dueBatch)
	if err != nil || len(due) == 0 {
		return 0, err
	}

	var wg sync.WaitGroup
	// Unbuffered: a mail is handed over only to a worker that is free, so none waits
	// claimed.
	work := make(chan mail.Message)
	for range min(workers, len(due)) {
		wg.Go(func() {
			for m := range work {
				l.try(under, m)
			}
		})
	}

	for _, m := range due {
		if ctx.Err() != nil {
			break
		}
		work <- m
	}

	close(work)
	wg.Wait()
	return len(due), nil
}

// try claims a mail, sends it, and records the outcome. If that cannot be recorded, the claim
// expires, and the mail is sent again.
func (l *Local) try(ctx context.Context, m mail.Message) {
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	// The claim is taken right before the try, not for the whole batch: it must outlast one
	// try only.
	claimed, err := l.Outbox.ClaimMails(ctx, []mail.Message{m}, l.Now().UTC().Add(claimLife))
	if err != nil {
		l.Log.WarnContext(ctx, "an email could not be claimed; trying again", "mail", m.ID, "error", err)
		return
	}
	if len(claimed) == 0 {
		return // another process has it, or it was withdrawn
	}

	m = claimed[0]
	o := l.judge(m, l.deliver(ctx, m))
	l.Observe(m.Kind, o.Status)
	if o.Status == mail.DeadLetterStatus {
		l.Log.ErrorContext(
			ctx,
			"an email failed and is no longer retried",
			"mail",
			m.ID,
			"kind",
			m.Kind,
			"account",
			m.Account,
			"attempt",
			m.Attempt,
			"error",
			o.Error,
		)
	}
	// Recorded even if the process is being stopped, because the mail was sent.
	if err := l.Outbox.SettleMails(context.WithoutCancel(ctx), []mail.Outcome{o}); err != nil {
		l.Log.ErrorContext(ctx, "the outcome of an email could not be recorded; it may be sent again", "mail", m.ID,
			"outcome", string(o.Status), "error", err)
	}
}

// unwanted is the reason why a mail is not sent after all.
type unwanted string

// Error returns the reason, as "code: sentence".
func (u unwanted) Error() string { return string(u) }

// judge returns the outcome for the error of a try: sent, dropped as unwanted, parked if no
// further try can help or none is left, and otherwise waiting for the next one. A mail
// whose domain rests waits without counting the try.
func (l *Local) judge(m mail.Message, err error) mail.Outcome {
	now := l.Now().UTC()
	o := mail.Outcome{ID: m.ID, Status: mail.Sent, At: now}
	if err == nil {
		return o
	}

	var no unwanted
	var rests resting
	if o.Error = err.Error(); len(o.Error) > maxError {
		o.Error = strings.ToValidUTF8(o.Error[:maxError], "")
	}

	switch {
	case errors.As(err, &no):
		o.Status = mail.Dropped
	case errors.As(err, &rests):
		o.Status, o.Unsent = mail.Waiting, true
		o.NextAt = time.Time(rests).Add(rand.N(restFirst))
	case errors.Is(err, mail.ErrPermanent), errors.Is(err, mail.ErrSealed), m.Attempt >= MaxAttempts:
		o.Status = mail.DeadLetterStatus
	default:
		// Spread over two fifths of the pause, around it.
		pause := pauses[max(m.Attempt, 1)-1]
		o.Status, o.NextAt = mail.Waiting, now.Add(pause-pause/5+rand.N(pause*2/5))
	}

	return o
}

// deliver composes the mail from the current state, and passes it to the carrier. Its error
// is unwanted if the mail is of no use anymore, resting if its domain is not tried now,
// and otherwise that of a read or of the carrier.
func (l *Local) deliver(ctx context.Context, m mail.Message) error {
	if !m.EndsAt.IsZero() && !l.Now().Before(m.EndsAt) {
		return unwanted("too_late: it was of no use any more")
	}

	m, err := m.Open(l.Ring)
	if err != nil {
		return err
	}

	d := &draft{office: l, m: m, lang: m.Lang, facts: mail.Facts{Site: l.site, Test: m.Mode == link.Test}}
	if err := d.fill(ctx); err != nil {
		return err
	}

	zone, err := l.Readers.TimeZone(ctx, m.Account)
	if err != nil {
		return err
	}
	if d.facts.Zone, err = calendar.Zone("timeZone", zone); err != nil {
		// The text then says UTC, which is right, if less convenient.
		d.facts.Zone = time.UTC // this release lacks the zone's name
	}
	email, err := mail.Compose(i18n.For(d.lang), m.Kind, d.facts)
	if err != nil {
		return err
	}

	email.ID, email.From, email.To, email.At, email.Unsubscribe = m.ID, l.From, d.to, l.Now(), d.facts.Unsubscribe
	if until := l.domains.resting(d.to, l.Now().UTC()); !until.IsZero() {
		return resting(until)
	}

	err = l.Carrier.Carry(ctx, email)
	if _, ours := errors.AsType[mail.ServerError](err); !ours { // a domain rests for failures of its own
		// A refusal for good shows that the domain can be reached.
		l.domains.ended(d.to, err == nil || errors.Is(err, mail.ErrPermanent), l.Now().UTC())
	}
	return err
}

// resting is the error of a mail whose domain rests after failures.
type resting time.Time

// Error returns what the outbox shows until the domain is tried again.
func (r resting) Error() string {
	return "domain_resting: the mail server takes nothing for this domain now"
}

// draft is a mail while it is composed.
type draft struct {
	office *Local
	m      mail.Message
	to     string
	lang   string
	facts  mail.Facts
	// network is that of the payer whose payment the mail is about; "" if it is unknown.
	network string
}

// fill reads what the mail is about, and decides whether it is still wanted. After it, the
// draft has an address, a language and facts.
func (d *draft) fill(ctx context.Context) error {
	if err := d.reader(ctx); err != nil {
		return err
	}

	data, public := d.m.Data, d.office.PublicURL
	d.facts.URL, d.facts.Inviter, d.facts.Agent = data["url"], data["inviter"], data["agent"]
	d.facts.Minutes, d.facts.Count = number(data["minutes"]), number(data["count"])
	d.facts.At, _ = time.Parse(time.RFC3339, data["at"])
	if d.facts.At.IsZero() {
		d.facts.At = d.m.CreatedAt
	}
	switch d.m.Kind {
	case mail.PasswordChanged, mail.NewSignIn:
		d.facts.URL = public + "/dashboard/forgotten"
	case mail.Receipt, mail.Refund:
		if err := d.payment(ctx); err != nil {
			return err
		}
		return d.payer(ctx)
	case mail.Link:
		if err := d.link(ctx); err != nil {
			return err
		}
		return d.payer(ctx)
	case mail.Expiring:
		return d.link(ctx)
	case mail.PaymentHeld:
		return d.held(ctx)
	case mail.DisputeOpened:
		return d.dispute(ctx)
	case mail.EndpointDisabled, mail.DeadLetter:
		d.facts.Endpoint, d.facts.Gone = data["url"], data["reason"] == "gone"
		d.facts.URL = public + "/dashboard/" + d.m.Mode + "/webhooks"
	}

	return nil
}

// number returns a number in a mail's data, or 0.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// reader finds the mail's address and language, and whether the reader wants it. A
// payment's payer is found with the payment. For a user, the preferences decide, and mails
// about business go to confirmed addresses only.
func (d *draft) reader(ctx context.Context) error {
	o := d.office
	switch {
	case id.Valid(id.Payment, d.m.To):
		return nil
	case !id.Valid(id.User, d.m.To):
		d.to = d.m.To
		return d.stranger(ctx)
	}

	r, err := o.Readers.Reader(ctx, d.m.To)
	if notFound(err) {
		return unwanted("reader_gone: the user is no more")
	}
	if err != nil {
		return err
	}
	if d.m.Mode != "" && !r.Confirmed { // about business: it repeats what strangers wrote
		return addressUnconfirmed
	}
	if !r.Wants(d.m.Kind) {
		return unwanted("unsubscribed: the reader does not want mails of this kind")
	}

	d.to = r.Address
	if d.lang == "" {
		d.lang = r.Lang
	}
	for _, kind := range mail.Optional {
		if kind == d.m.Kind {
			d.facts.Preferences = o.PublicURL + "/dashboard/account/notifications"
			d.facts.Unsubscribe, err = o.unsubscribe(ticket{User: r.User, Kind: kind, Lang: d.lang})
		}
	}

	return err
}

// stranger fills in a reader who is not one of our users.
func (d *draft) stranger(ctx context.Context) error {
	if d.m.Kind != mail.Link {
		return nil
	}
	return d.subscribed(ctx, mail.Link)
}

// subscribed gives a mail to a payer its one-click link, or is unwanted if the payer used such a
// link of the account before: one about links, or one about receipts and refunds.
func (d *draft) subscribed(ctx context.Context, kind string) error {
	address := spelling.EmailKey(d.to)
	refused, err := d.office.Readers.Refuses(ctx, d.m.Account, address, kind)
	if err != nil {
		return err
	}
	if refused {
		return unwanted("unsubscribed: the reader does not want emails of this kind from this account")
	}
	d.facts.Unsubscribe, err = d.office.unsubscribe(ticket{Account: d.m.Account, Address: address, Kind: kind, Lang: d.lang})
	return err
}

// payment fills in a receipt, or what a refund returned. The button leads to a statement
// that is signed here, with the payment's state of now.
func (d *draft) payment(ctx context.Context) error {
	o := d.office
	p, err := o.Payments.GetPayment(ctx, d.m.Account, d.m.To)
	if err != nil {
		return skipMissing(err)
	}
	if p.PayerEmail == "" {
		return unwanted("no_address: the payer gave no address")
	}

	to, err := spelling.Email(p.PayerEmail)
	if err != nil { // accepted before addresses were checked as they are now
		return fmt.Errorf("%w: address_invalid: the payer's address cannot be written to", mail.ErrPermanent)
	}

	l, err := o.Links.GetLink(ctx, p.Account, p.Link)
	if err != nil {
		return skipMissing(err)
	}

	if d.lang == "" {
		d.lang = p.PayerLang
	}
	d.to, d.facts.Payee, d.facts.Description, d.facts.Reference, d.facts.Payment = to, l.Payee, l.Description, p.Reference, p.ID
	d.facts.Card, d.facts.Amount, d.facts.At, d.network = card(p), p.Captured(), p.CreatedAt, p.Risk.Address
	if err := d.subscribed(ctx, mail.Receipt); err != nil {
		return err
	}
	if d.m.Kind == mail.Refund {
		r, ok := p.RefundByID(d.m.Data["refund"])
		if !ok {
			return unwanted("refund_unknown: the payment has no such refund")
		}
		d.facts.Amount, d.facts.At = money.Of(r.Minor, p.Amount.Currency), r.CreatedAt
	}

	// Signed on sending, so that the statement shows refunds that came in between.
	s := receipt.Of(p, l)
	s.Issuer = o.PublicURL
	token, err := receipt.Sign(o.Ring, s)
	d.facts.URL = o.PublicURL + "/verify?receipt=" + url.QueryEscape(token)
	return err
}

// card returns a card as mails show it: its brand and last four digits.
func card(p payment.Payment) string {
	if p.CardLast4 == "" {
		return ""
	}
	return strings.TrimSpace(p.CardBrand + " •••• " + p.CardLast4)
}

// link fills in a link that is still to be paid.
func (d *draft) link(ctx context.Context) error {
	o := d.office
	l, err := o.Links.GetLink(ctx, d.m.Account, d.m.Data["link"])
	if err != nil {
		return skipMissing(err)
	}
	if err := l.Unpayable(o.Now()); err != nil {
		return unwanted(fault.Code(err) + ": the link cannot be paid any more")
	}
	d.facts.Payee, d.facts.Description, d.facts.Reference, d.facts.Amount, d.facts.At = l.Payee, l.Description, l.Reference, l.Amount,
		l.ExpiresAt
	if d.facts.URL = o.PublicURL + "/l/" + l.Token; d.m.Kind == mail.Expiring {
		d.facts.URL = o.PublicURL + "/dashboard/" + l.Mode + "/links/" + l.ID
	}
	return nil
}

// skipMissing drops a mail about an object that does not exist; after any other error the mail is
// tried again.
func skipMissing(err error) error {
	if notFound(err) {
		return unwanted("gone: its subject no longer exists")
	}
	return err
}
