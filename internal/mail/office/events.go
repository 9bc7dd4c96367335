package office

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/paylink/paylink/internal/housekeeping"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/stream"
)

// When links are mailed about.
const (
	remindBefore      = 24 * time.Hour     // the end of a link
	remindFrom        = 2 * remindBefore   // the shortest life of a link that its merchant is reminded of
	maxEventAge       = 3 * 24 * time.Hour // older events make no mail: those of an import, or of a consumer that was away
	deadLettersEvery  = 10 * time.Minute
	deadLettersWithin = 24 * time.Hour
	pruneEvery        = time.Hour
	pruneBatch        = 500
)

// batch collects the mails of one delivery of events.
type batch struct {
	office   *Local
	now      time.Time
	readers  map[string][]mail.Reader // by account
	mails    []mail.Message
	withdraw map[string][]string // by account
	full     map[string]bool     // readers who had their share of a kind within the hour
	together map[string]bool     // ids of mails about several objects, written by this batch
}

// Handle is the stream's consumer. Most events cost a check of their type: a link that
// lives shorter than remindFrom, and a payer without an address, make no mail. All mails of
// the batch are stored before it returns nil; after an error the batch comes again and
// writes nothing twice.
func (l *Local) Handle(ctx context.Context, events []stream.Event) error {
	b := &batch{office: l, now: l.Now().UTC(), readers: map[string][]mail.Reader{}, withdraw: map[string][]string{},
		full: map[string]bool{}, together: map[string]bool{}}
	for i := range events {
		e := &events[i]
		if b.now.Sub(e.CreatedAt) > maxEventAge {
			continue
		}
		if err := b.event(ctx, e); err != nil {
			// A mail that can never be written must not stop the feed.
			var bad *unsealed
			if errors.As(err, &bad) {
				return &stream.Unreadable{Event: e.ID, Cause: err}
			}
			return fmt.Errorf("mails about event %s: %w", e.ID, err)
		}
	}

	if len(b.mails) > 0 {
		if err := l.Outbox.PutMails(ctx, b.mails); err != nil {
			return err
		}
		l.signal()
	}

	for account, keys := range b.withdraw {
		if err := l.Outbox.WithdrawMails(ctx, account, keys, b.now); err != nil {
			return err
		}
	}

	return nil
}

// event collects the mails about one event, and the withdrawals that it causes. The text of
// a mail is written only when it is sent, from what is true then.
func (b *batch) event(ctx context.Context, e *stream.Event) error {
	switch e.Type {
	case "payment.succeeded":
		// This looks for the payer's address as text first: most events have none.
		if bytes.Contains(e.Data, []byte(`"email"`)) {
			return b.put(mail.Message{ID: mail.NewID(e.Object, mail.Receipt, ""), Account: e.Account, Mode: e.Mode, To: e.Object,
				Kind: mail.Receipt})
		}
	case "refund.succeeded":
		var refund struct{ ID string }
		if json.Unmarshal(e.Data, &refund) == nil && id.Valid(id.Refund, refund.ID) {
			return b.put(mail.Message{ID: mail.NewID(refund.ID, mail.Refund, ""), Account: e.Account, Mode: e.Mode, To: e.Object, Kind: mail.Refund,
				Data: map[string]string{"refund": refund.ID}})
		}
	case link.EventCreated:
		if ends, ok := reminded(e); ok {
			return b.toReaders(ctx, e.Account, mail.Message{Mode: e.Mode, Kind: mail.Expiring, DueAt: ends.Add(-remindBefore), EndsAt: ends,
				Withdraw: e.Object, Data: map[string]string{"link": e.Object}}, e.Object)
		}
	// The reminder of a link that has ended is withdrawn, if there ever was one.
	case link.EventPaid, link.EventCanceled:
		if _, ok := reminded(e); ok {
			b.withdraw[e.Account] = append(b.withdraw[e.Account], e.Object)
		}
	case "fraud.flagged":
		return b.held(ctx, e)
	case "dispute.created":
		return b.disputed(ctx, e)
	// The event contains the endpoint as it was then; it may be enabled again when the mail
	// is sent.
	case notify.EndpointDisabled:
		var endpoint struct{ URL, DisabledReason string }
		if err := json.Unmarshal(e.Data, &endpoint); err != nil {
			return nil //nolint:nilerr // it is ours; what cannot be read can't be written about
		}
		return b.toReaders(ctx, e.Account, mail.Message{Mode: e.Mode, Kind: mail.EndpointDisabled,
			Data: map[string]string{"url": endpoint.URL, "reason": endpoint.DisabledReason, "at": e.CreatedAt.UTC().Format(time.RFC3339)}}, e.ID)
	}

	return nil
}

// reminded returns when a new link ends, and whether it lives long enough for a reminder.
func reminded(e *stream.Event) (ends time.Time, ok bool) {
	var l struct{ CreatedAt, ExpiresAt time.Time }
	if json.Unmarshal(e.Data, &l) != nil || l.ExpiresAt.Sub(l.CreatedAt) < remindFrom {
		return time.Time{}, false
	}
	return l.ExpiresAt, true
}

// put seals a mail and adds it to the batch.
func (b *batch) put(m mail.Message) error {
	m.CreatedAt = b.now
	sealed, err := m.Seal(b.office.Ring)
	if err != nil { // it is larger than a mail may be, and always will be
		return &unsealed{err}
	}
	b.mails = append(b.mails, sealed)
	return nil
}

// unsealed is the reason why a mail cannot be written.
type unsealed struct{ error }

// toReaders writes to each user of the account who wants the kind now. Whether they still do is
// checked again on sending.
func (b *batch) toReaders(ctx context.Context, account string, m mail.Message, thing string) error {
	readers, err := b.readersOf(ctx, account)
	if err != nil {
		return err
	}

	for _, r := range readers {
		if !r.Wants(m.Kind) {
			continue
		}
		m.ID, m.Account, m.To = mail.NewID(thing, m.Kind, r.User), account, r.User
		if err := b.put(m); err != nil {
			return err
		}
	}

	return nil
}

// readersOf returns an account's readers, read once for a batch.
func (b *batch) readersOf(ctx context.Context, account string) ([]mail.Reader, error) {
	if readers, known := b.readers[account]; known {
		return readers, nil
	}
	readers, err := b.office.Readers.Readers(ctx, account)
	if err != nil {
		return nil, err
	}
	b.readers[account] = readers
	return readers, nil
}

// DeadLetterReader finds the endpoints whose webhooks were parked since a time.
type DeadLetterReader interface {
	DeadLetterEndpoints(ctx context.Context, since time.Time) ([]mail.DeadLetterEndpoint, error)
}

// RunDeadLetters notifies merchants of parked webhooks, until ctx ends (nil): at most once a day per
// endpoint, because the mail's id derives from both.
func (l *Local) RunDeadLetters(ctx context.Context) error {
	return housekeeping.Run(ctx, deadLettersEvery, l.Log, "the emails about parked webhooks could not be queued", l.NotifyDeadLetters)
}

// NotifyDeadLetters is one round of RunDeadLetters.
func (l *Local) NotifyDeadLetters(ctx context.Context) error {
	b := &batch{office: l, now: l.Now().UTC(), readers: map[string][]mail.Reader{}}
	// An overlapping window is harmless, because the id of a mail contains the day.
	endpoints, err := l.DeadLetters.DeadLetterEndpoints(ctx, b.now.Add(-deadLettersWithin))
	if err != nil {
		return err
	}

	for _, p := range endpoints {
		m := mail.Message{Mode: p.Mode, Kind: mail.DeadLetter, Data: map[string]string{"url": p.URL, "count": fmt.Sprint(p.Count)}}
		if err := b.toReaders(ctx, p.Account, m, p.Endpoint+" "+b.now.Format(time.DateOnly)); err != nil {
			return err
		}
	}

	if len(b.mails) == 0 {
		return nil
	}

	l.signal()
	return l.Outbox.PutMails(ctx, b.mails)
}

// RunPrune removes mails that ended long ago, until ctx ends (nil). Each batch is a commit of
// its own, so a crash between two loses nothing.
func (l *Local) RunPrune(ctx context.Context) error {
	return housekeeping.Run(ctx, pruneEvery, l.Log, "old mails could not be removed", func(ctx context.Context) error {
		_, err := housekeeping.Remove(ctx, l.Now().Add(-mail.Life), pruneBatch, l.Outbox.PruneMails)
		return err
	})
}
