package link

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/stream"
)

// Event types, and the position of each in a link's own order. An expiry is recorded when no
// payment holds a use of the link. A success that comes after its payment was abandoned may
// still pay the link, so paid comes after expired. A reader keeps the highest position it has
// seen.
const (
	EventCreated  = "link.created"
	EventExpired  = "link.expired"
	EventCanceled = "link.canceled"
	EventPaid     = "link.paid"

	seqCreated = 1
	seqEnded   = 2 // expired or canceled
	seqPaid    = 3
)

// FormatTime formats a time as the API does: RFC 3339, UTC, milliseconds.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// object is a link as callers see it. Members that are null when empty are pointers; the
// others are always there.
type object struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	URL            string            `json:"url"`
	Status         string            `json:"status"`
	UnpayableCause string            `json:"unpayableReason,omitempty"`
	Amount         *string           `json:"amount"` // null: the payer chooses
	MinAmount      *string           `json:"minAmount,omitempty"`
	MaxAmount      *string           `json:"maxAmount,omitempty"`
	Currency       money.Currency    `json:"currency"`
	Realm          *string           `json:"realm"`
	PaymentMethod  string            `json:"paymentMethod"`
	Description    *string           `json:"description"`
	Reference      *string           `json:"reference"`
	Metadata       map[string]string `json:"metadata"`
	MaxUses        *int64            `json:"maxUses"` // null: unlimited
	Uses           int64             `json:"uses"`
	ExpiresAt      string            `json:"expiresAt"`
	Date           string            `json:"date"`
	RedirectURL    *string           `json:"redirectUrl"`
	Capture        string            `json:"capture"`
	LatePolicy     string            `json:"latePolicy"`
	Mode           string            `json:"mode"`
	Form           string            `json:"form,omitempty"` // the form that made it
	CreatedAt      string            `json:"createdAt"`
	Links          objectLinks       `json:"links"`
}

// objectLinks are the addresses of a link: in the API, for the payer, and as a QR code.
type objectLinks struct {
	Self string `json:"self"`
	URL  string `json:"url"`
	QR   string `json:"qr"`
}

// Object returns the link as the API and the events show it, with its status at that real
// time.
func Object(l Link, url string, now time.Time) any {
	o := object{
		ID: l.ID, Object: "link", URL: url, Status: l.Status(now),
		Currency: l.Amount.Currency, Realm: nullable(l.Realm), PaymentMethod: l.PaymentMethod,
		Description: nullable(l.Description), Reference: nullable(l.Reference), Metadata: l.Metadata,
		Uses: l.Uses, ExpiresAt: FormatTime(l.ExpiresAt), Date: FormatTime(l.Date),
		RedirectURL: nullable(l.RedirectURL), Capture: l.Capture, LatePolicy: l.LatePolicy,
		Mode: l.Mode, Form: l.Form, CreatedAt: FormatTime(l.CreatedAt),
		Links: objectLinks{Self: "/api/links/" + l.ID, URL: url, QR: "/api/links/" + l.ID + "/qr.svg"},
	}
	o.UnpayableCause = UnpayableReason(o.Status)
	if o.Metadata == nil {
		o.Metadata = map[string]string{}
	}
	if l.MaxUses > 0 {
		o.MaxUses = &l.MaxUses
	}
	if l.PayerChooses() {
		o.MinAmount = decimal(l.MinMinor, l.Amount.Currency)
		o.MaxAmount = decimal(l.MaxMinor, l.Amount.Currency)
	} else {
		o.Amount = decimal(l.Amount.Minor, l.Amount.Currency)
	}
	return o
}

// formObject is a form as callers see it.
type formObject struct {
	ID              string            `json:"id"`
	Object          string            `json:"object"`
	URL             string            `json:"url"`
	Name            string            `json:"name"`
	Status          string            `json:"status"`
	Amount          *string           `json:"amount"`            // null: the payer picks or types it
	Amounts         []string          `json:"amounts,omitempty"` // to pick from
	MinAmount       *string           `json:"minAmount,omitempty"`
	MaxAmount       *string           `json:"maxAmount,omitempty"`
	Currency        money.Currency    `json:"currency"`
	PaymentMethod   *string           `json:"paymentMethod"`
	Realm           *string           `json:"realm"`
	Description     *string           `json:"description"`
	Fields          []formField       `json:"fields"`
	Button          *string           `json:"button"`
	Look            Look              `json:"look"`
	Origins         []string          `json:"origins"`
	RedirectURL     *string           `json:"redirectUrl"`
	LinkLifeSeconds int64             `json:"linkLifeSeconds"`
	Capture         string            `json:"capture"`
	LatePolicy      string            `json:"latePolicy"`
	Disabled        bool              `json:"disabled"`
	Mode            string            `json:"mode"`
	Revision        int64             `json:"revision"`
	CreatedAt       string            `json:"createdAt"`
	UpdatedAt       string            `json:"updatedAt"`
	ArchivedAt      string            `json:"archivedAt,omitempty"`
	Links           map[string]string `json:"links"`
}

// formField is a field as callers see it; required is always there.
type formField struct {
	Name     string `json:"name"`
	Label    string `json:"label,omitempty"`
	Required bool   `json:"required"`
}

// Statuses of a form.
const (
	FormActive   = "active"
	FormDisabled = "disabled"
	FormArchived = "archived"
)

// Status returns the form's status: archived comes before disabled.
func (f Form) Status() string {
	switch {
	case !f.ArchivedAt.IsZero():
		return FormArchived
	case f.Disabled:
		return FormDisabled
	}
	return FormActive
}

// FormObject returns the form as the API shows it. url is the address of its page.
func FormObject(f Form, url string) any {
	o := formObject{ID: f.ID, Object: "form", URL: url, Name: f.Name, Status: f.Status(), Currency: f.Currency,
		PaymentMethod: nullable(f.PaymentMethod),
		Realm:         nullable(f.Realm), Description: nullable(f.Description), Fields: []formField{}, Button: nullable(f.Button), Look: f.Look,
		Origins: append([]string{}, f.Origins...), RedirectURL: nullable(f.RedirectURL), LinkLifeSeconds: f.LifeSeconds, Capture: f.Capture,
		LatePolicy: f.LatePolicy, Disabled: f.Disabled, Mode: f.Mode, Revision: f.Revision, CreatedAt: FormatTime(f.CreatedAt),
		UpdatedAt: FormatTime(f.UpdatedAt), Links: map[string]string{"self": "/api/forms/" + f.ID, "url": url}}
	for _, field := range f.Fields {
		o.Fields = append(o.Fields, formField(field))
	}

	switch {
	case f.Typed():
		o.MinAmount, o.MaxAmount = decimal(f.MinMinor, f.Currency), decimal(f.MaxMinor, f.Currency)
	case f.Fixed():
		o.Amount = decimal(f.Amounts[0], f.Currency)
	default:
		for _, minor := range f.Amounts {
			o.Amounts = append(o.Amounts, *decimal(minor, f.Currency))
		}
	}

	if !f.ArchivedAt.IsZero() {
		o.ArchivedAt = FormatTime(f.ArchivedAt)
	}
	return o
}

// UnpayableReason returns the code with which paying a link of this status is refused; "" for
// an open link.
func UnpayableReason(status string) string {
	if status == Open {
		return ""
	}
	return "link_" + status
}

// nullable returns nil, which renders as null, for an empty text.
func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// decimal returns an amount as decimal text.
func decimal(minor int64, c money.Currency) *string {
	s := money.Of(minor, c).Decimal()
	return &s
}

// PaidEvent returns the event that the link's last use was completed, with the link as it is
// then. It is part of the commit of the payment that completes the use.
func PaidEvent(l Link, url string, now time.Time) (stream.Event, error) {
	l.Uses, l.Reserved, l.PaidAt = l.MaxUses, 0, now
	return newEvent(EventPaid, seqPaid, l, url, now)
}

// newEvent returns an event of the link, at the link's own time, which now already is:
// Ahead is cleared so that it is not added twice. Data shows the link as the commit leaves
// it.
func newEvent(kind string, seq int64, l Link, url string, now time.Time) (stream.Event, error) {
	l.Ahead = 0
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(Object(l, url, now)); err != nil {
		return stream.Event{}, err
	}
	return stream.Event{
		ID: id.New(id.Event), Type: kind, Account: l.Account, Mode: l.Mode, Object: l.ID,
		ObjectSeq: seq, CreatedAt: now, Data: bytes.TrimSpace(data.Bytes()),
	}, nil
}
