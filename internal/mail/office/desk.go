package office

import (
	"context"
	"encoding/json"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// Limits of the mails to a reader about what waits for a merchant's decision. Past them, the
// rest of the hour is one mail at its end.
const (
	heldPerHour     = 1
	disputesPerHour = 10
	countPage       = 100 // payments read at once to count the waiting ones
	countPages      = 10  // of them at most
)

// held writes about a payment that waits in review. An event of a blocked attempt makes no
// mail. The mail is about the payment, so a second event of it writes nothing.
func (b *batch) held(ctx context.Context, e *stream.Event) error {
	var p struct {
		ID   string
		Risk struct{ Review string }
	}
	if json.Unmarshal(e.Data, &p) != nil || p.Risk.Review != payment.ReviewOpen {
		return nil // blocked: nothing waits
	}
	return b.bounded(ctx, e, mail.Message{Kind: mail.PaymentHeld, Data: map[string]string{"payment": p.ID}}, p.ID, heldPerHour)
}

// disputed writes about a dispute that was opened, once for each dispute.
func (b *batch) disputed(ctx context.Context, e *stream.Event) error {
	var p struct {
		ID       string
		Disputes []struct{ ID string }
	}
	if json.Unmarshal(e.Data, &p) != nil || len(p.Disputes) == 0 {
		return nil
	}
	d := p.Disputes[len(p.Disputes)-1] // the event's own is the newest
	return b.bounded(ctx, e, mail.Message{Kind: mail.DisputeOpened, Data: map[string]string{"payment": p.ID, "dispute": d.ID}}, d.ID,
		disputesPerHour)
}

// bounded writes to each user of the account who wants the mail. A reader who got the limit of
// the kind within the hour gets one about all the rest when the hour of the clock ends, so a
// flood of held payments makes two mails an hour at most, and none is forgotten. Both ids
// derive from the event, so a batch that comes again writes nothing twice.
func (b *batch) bounded(ctx context.Context, e *stream.Event, m mail.Message, thing string, most int) error {
	readers, err := b.readersOf(ctx, e.Account)
	if err != nil {
		return err
	}

	m.Account, m.Mode, m.CreatedAt = e.Account, e.Mode, b.now
	for _, r := range readers {
		if !r.Wants(m.Kind) {
			continue
		}
		m.To = r.User
		// Within a batch, the outbox is asked only once for a reader who has had enough.
		had := m.Kind + e.Mode + r.User
		if !b.full[had] {
			m.ID = mail.NewID(thing, m.Kind, r.User)
			sealed, err := m.Seal(b.office.Ring)
			if err == nil {
				err = b.office.Outbox.PutMailWithin(ctx, sealed, []mail.Limit{{Kind: m.Kind, Account: e.Account, Mode: e.Mode, To: r.User,
					Since: b.now.Add(-time.Hour), Most: most}})
			}
			if err == nil {
				b.office.signal()
				continue
			}
			if fault.KindOf(err) != fault.KindRateLimited {
				return err
			}
			b.full[had] = true
		}

		// Past the limit: one mail at the end of the hour stands for all that come until
		// then.
		rest := m
		rest.ID = mail.NewID(e.Account+e.Mode+e.CreatedAt.UTC().Truncate(time.Hour).Format(time.RFC3339), m.Kind, r.User)
		rest.DueAt, rest.Data = b.now.Truncate(time.Hour).Add(time.Hour), map[string]string{"since": e.CreatedAt.UTC().Format(time.RFC3339Nano)}
		if b.together[rest.ID] {
			continue
		}
		b.together[rest.ID] = true
		if err := b.put(rest); err != nil {
			return err
		}
	}

	return nil
}

// held fills in the payment that waits, or how many do. It is unwanted if a person has
// decided in the meantime.
func (d *draft) held(ctx context.Context) error {
	if d.m.Data["since"] != "" {
		return d.waiting(ctx)
	}
	p, err := d.deskPayment(ctx)
	if err != nil {
		return err
	}
	if p.Risk.Review != payment.ReviewOpen {
		return unwanted("decided: the payment does not wait any more")
	}
	d.facts.Amount, d.facts.At = p.Amount, p.HoldEnds()
	return nil
}

// waiting counts what was held since and still waits. It leaves out what was decided meanwhile;
// of very many, it returns the number that it counted.
func (d *draft) waiting(ctx context.Context) error {
	since, err := time.Parse(time.RFC3339Nano, d.m.Data["since"])
	if err != nil {
		return unwanted("since: no such time")
	}

	d.facts.Several, d.facts.Count, d.facts.At = true, 0, time.Time{}

	f := payment.Filter{Account: d.m.Account, Mode: d.m.Mode, Status: payment.Authorized, Limit: countPage}
	for range countPages {
		page, err := d.office.Payments.ListPayments(ctx, f)
		if err != nil {
			return err
		}
		for _, p := range page {
			// An earlier one had a mail of its own.
			if p.Risk.Review != payment.ReviewOpen || p.HeldSince().Before(since) {
				continue
			}
			d.facts.Count++
			// The mail names the hold that ends first: until then somebody must decide.
			if ends := p.HoldEnds(); d.facts.At.IsZero() || ends.Before(d.facts.At) {
				d.facts.At = ends
			}
		}
		if len(page) < countPage {
			break
		}
		// The list is newest first; held payments may be anywhere in it.
		f.BeforeTime, f.BeforeID = page[countPage-1].CreatedAt, page[countPage-1].ID
	}

	if d.facts.Count == 0 {
		return unwanted("decided: no payment waits any more")
	}

	d.facts.URL = d.office.PublicURL + "/dashboard/" + d.m.Mode + "/review"
	return nil
}

// dispute fills in a dispute that was opened and is not over, or says that there are more.
func (d *draft) dispute(ctx context.Context) error {
	if d.m.Data["since"] != "" {
		d.facts.Several, d.facts.URL = true, d.office.PublicURL+"/dashboard/"+d.m.Mode+"/review?view=disputes"
		return nil
	}

	p, err := d.deskPayment(ctx)
	if err != nil {
		return err
	}

	// The stored dispute counts, not the event's: it may have been decided since.
	for _, x := range p.Disputes {
		if x.ID == d.m.Data["dispute"] && !x.Closed() {
			d.facts.Amount, d.facts.At, d.facts.Reason = money.Of(x.Minor, p.Amount.Currency), x.EvidenceDueAt, x.Reason
			return nil
		}
	}

	return unwanted("closed: the dispute is over")
}

// deskPayment reads the payment that a mail is about, and its link, and fills in what both
// kinds of mail show.
func (d *draft) deskPayment(ctx context.Context) (payment.Payment, error) {
	o := d.office
	p, err := o.Payments.GetPayment(ctx, d.m.Account, d.m.Data["payment"])
	if err != nil {
		return p, skipMissing(err)
	}
	// The payee's own words about the payment are on its link.
	l, err := o.Links.GetLink(ctx, p.Account, p.Link)
	if err != nil {
		return p, skipMissing(err)
	}
	d.facts.Description, d.facts.Reference, d.facts.Payment, d.facts.Card = l.Description, p.Reference, p.ID, card(p)
	d.facts.URL = o.PublicURL + "/dashboard/" + p.Mode + "/payments/" + p.ID
	return p, nil
}
