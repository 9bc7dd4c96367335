package link

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/stream"
	"github.com/paylink/paylink/internal/testclock"
)

// Limits of reading and sweeping.
const (
	DefaultPage = 20
	MaxPage     = 100 // plus one, which shows callers that there are more

	sweepEvery = time.Second
	sweepBatch = 200
)

// Method is the part of an account's payment method that a link needs.
type Method struct {
	ID         string // pm_…
	Type       string // "card"
	Issuer     string
	Currencies []money.Currency
	Enabled    bool
	MinMinor   int64 // smallest amount, in minor units of any currency
	MaxMinor   int64 // 0: only money's own limit
	Test       bool  // serves test mode; false serves live mode
}

// CreateRequest is a merchant's request, not yet validated: a fault names the field. Account,
// Mode, Payee and Methods come from the credentials.
type CreateRequest struct {
	Account, Mode, Payee string
	Methods              []Method

	Amount               string // decimal; "" with MaxAmount: the payer chooses
	MinAmount, MaxAmount string
	Currency             string
	Date                 string // RFC 3339 or YYYY-MM-DD; "" is now
	PaymentMethod        string // "", "card" or pm_…
	Realm                string
	Description          string
	Reference            string
	Metadata             map[string]string
	ExpiresAt            string // RFC 3339
	ExpiresInSeconds     *int64 // not with ExpiresAt
	MaxUses              *int64 // nil is 1
	MaxUsesNull          bool   // unlimited
	RedirectURL          string
	Capture              string
	LatePolicy           string

	Ticket *idempotency.Ticket // Render gets the Link
}

// Service makes and keeps links. Local implements it, and so does a client over the wire.
type Service interface {
	// Create makes a link. After idempotency.ErrRaced the caller reads the record that won.
	Create(context.Context, CreateRequest) (Link, error)
	// Get returns a link of the account and mode, or fault.NotFound.
	Get(ctx context.Context, account, mode, id string) (Link, error)
	// List returns links, newest first, up to MaxPage+1.
	List(context.Context, Filter) ([]Link, error)
	// Cancel ends an open link. It fails with a fault (409) that says why, if the link isn't
	// open. The ticket's Render gets the Link.
	Cancel(ctx context.Context, account, mode, id string, t *idempotency.Ticket) (Link, error)
}

// LocalConfig holds the dependencies of a Local. All but Log are required.
type LocalConfig struct {
	Ring      *keyring.Ring
	Store     Store
	PublicURL string // scheme and host, without a trailing slash
	Now       func() time.Time
	Log       *slog.Logger
}

// Local implements Service in this process. It opens tokens too, because it has the keys.
type Local struct {
	*LocalVerifier
	ring  *keyring.Ring
	store Store
	log   *slog.Logger
}

var _ Service = (*Local)(nil)

// NewLocal returns a Local. It does no I/O and starts nothing; RunExpiry must run beside
// it.
func NewLocal(c LocalConfig) *Local {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Local{LocalVerifier: NewVerifier(VerifierConfig{Ring: c.Ring, Store: c.Store, Forms: c.Store, PublicURL: c.PublicURL, Now: c.Now}),
		ring: c.Ring, store: c.Store, log: c.Log}
}

// URL returns the address that the payer opens.
func (l *Local) URL(k Link) string { return l.public + "/l/" + k.Token }

// Create checks the request, and commits the link with its event and the idempotency record. A
// crash leaves all of it or nothing.
func (l *Local) Create(ctx context.Context, r CreateRequest) (Link, error) {
	ahead := aheadIn(l.store, r.Account, r.Mode)
	now := l.now().Add(ahead).UTC().Truncate(time.Millisecond)
	k, err := r.link(now)
	if err != nil {
		return Link{}, err
	}
	if k.ID, err = l.placed(ctx, id.Link, k.Account); err != nil {
		return Link{}, err
	}

	// The token contains the id, so it is minted after it; event and record contain the
	// token.
	k.Bucket = id.Bucket(k.ID)
	k.Token = Mint(l.ring, Claims{Link: k.ID, Account: k.Account, Bucket: k.Bucket, ExpiresAt: k.ExpiresAt, Mode: k.Mode})
	event, err := newEvent(EventCreated, seqCreated, k, l.URL(k), now)
	if err != nil {
		return Link{}, err
	}

	k.Ahead = ahead
	record, err := r.Ticket.Fill(k, now)
	if err != nil {
		return Link{}, err
	}
	if err := l.store.CreateLink(ctx, k, []stream.Event{event}, record); err != nil {
		return Link{}, err
	}

	l.verified.add(k.Token)
	return k, nil
}

// placed returns a new id, which names its bucket if the store is a Spreader.
func (l *Local) placed(ctx context.Context, prefix, account string) (string, error) {
	s, ok := l.store.(Spreader)
	if !ok {
		return id.New(prefix), nil
	}
	n, err := s.Buckets(ctx, account)
	return id.NewPlaced(prefix, account, n), err
}

// Get returns one link, or fault.NotFound if it belongs to another account or to the other
// mode.
func (l *Local) Get(ctx context.Context, account, mode, linkID string) (Link, error) {
	if !id.Valid(id.Link, linkID) {
		return Link{}, fault.NotFound("link")
	}
	k, err := l.store.GetLink(ctx, account, linkID)
	if err != nil {
		return Link{}, err
	}
	if k.Mode != mode || k.Account != account {
		return Link{}, fault.NotFound("link")
	}
	return k, nil
}

// List returns a page of links, newest first. A limit out of bounds is replaced by the
// default or the largest one. Filtering by status uses the account's own time.
func (l *Local) List(ctx context.Context, f Filter) ([]Link, error) {
	statuses := []string{Open, Paying, Paid, Expired, Canceled}
	if f.Status != "" && !slices.Contains(statuses, f.Status) {
		return nil, oneOf("status", statuses)
	}
	if f.Before != "" && !id.Valid(id.Link, f.Before) {
		return nil, fault.Invalid("cursor", "cursor_invalid", "Invalid cursor: pass nextCursor from a previous page.")
	}
	if f.Limit <= 0 {
		f.Limit = DefaultPage
	}
	f.Limit = min(f.Limit, MaxPage+1)
	f.Now = l.now().Add(aheadIn(l.store, f.Account, f.Mode))
	return l.store.ListLinks(ctx, f)
}

// Cancel ends an open link and returns it. The store decides: a payment that began in the
// meantime wins over the cancel, which then fails with the fault of Unpayable.
func (l *Local) Cancel(ctx context.Context, account, mode, linkID string, t *idempotency.Ticket) (Link, error) {
	k, err := l.Get(ctx, account, mode, linkID)
	if err != nil {
		return Link{}, err
	}

	real := l.now().UTC().Truncate(time.Millisecond)
	now := k.At(real)
	if s := k.Status(real); s != Open {
		return Link{}, Unpayable(k, s)
	}

	k.CanceledAt = now
	event, err := newEvent(EventCanceled, seqEnded, k, l.URL(k), now)
	if err != nil {
		return Link{}, err
	}

	record, err := t.Fill(k, now)
	if err != nil {
		return Link{}, err
	}
	if err := l.store.CancelLink(ctx, account, linkID, now, event, record); err != nil {
		return Link{}, err
	}

	return k, nil
}

// Unpayable returns the fault (409) for an operation that a link's status forbids, with the
// reason and, if there is one, the time.
func Unpayable(k Link, status string) *fault.Error {
	code := UnpayableReason(status)
	switch status {
	case Paid:
		if k.PaidAt.IsZero() {
			return fault.New(fault.KindConflict, code, "The link has been paid.")
		}
		return fault.New(fault.KindConflict, code, "The link was paid at %s.", FormatTime(k.PaidAt))
	case Canceled:
		return fault.New(fault.KindConflict, code, "The link was canceled at %s.", FormatTime(k.CanceledAt))
	case Expired:
		return fault.New(fault.KindConflict, code, "The link expired at %s.", FormatTime(k.ExpiresAt))
	}
	return fault.New(fault.KindConflict, code, "A payment for this link is in progress.")
}

// RunExpiry records expiries as they happen, and returns nil when ctx ends. Each batch is one
// commit, so a crash between two loses nothing. It retries a failing store a second later.
func (l *Local) RunExpiry(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-testclock.Moved(l.store): // the test clock moved, so others may be due
		case <-tick.C:
		}
		if _, err := l.Sweep(ctx); err != nil && ctx.Err() == nil {
			l.log.WarnContext(ctx, "expired links could not be recorded; trying again", "error", err)
		}
	}
}

// Sweep records the expiry of all links that have ended and that no payment holds. It
// returns how many links it handled, and the errors of those that could not be read, which
// are set aside.
func (l *Local) Sweep(ctx context.Context) (int, error) {
	total := 0
	var failed error
	for ctx.Err() == nil {
		now := l.now().UTC().Truncate(time.Millisecond)
		n, err := l.store.ExpireLinks(ctx, now, sweepBatch, func(k Link) (stream.Event, error) {
			k.ExpiredAt = k.At(now)
			return newEvent(EventExpired, seqEnded, k, l.URL(k), k.ExpiredAt)
		})
		total += n
		failed = errors.Join(failed, err)
		if n < sweepBatch { // 0 if the store failed; unreadable links do not stop the others
			break
		}
	}

	return total, failed
}
