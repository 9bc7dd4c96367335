package link

import (
	"context"
	"errors"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/money"
)

// Limits of a form.
const (
	MaxFormName      = 100 // characters
	MaxFormAmounts   = 12  // of a list
	MaxFormOrigins   = 20
	MaxCustomFields  = 5
	MaxFieldLabel    = 60 // characters
	MaxFieldValue    = 200
	MaxButtonChars   = 40
	MaxOriginBytes   = 255
	DefaultFormLife  = time.Hour      // of a link that a form makes
	FormAttemptLife  = 24 * time.Hour // of a page of a form, from when it was shown
	formAttemptAhead = time.Minute    // by which another process's clock may be ahead
)

// The names of the built-in fields. Every other field is the merchant's own.
const (
	FieldName      = "name"
	FieldEmail     = "email"
	FieldReference = "reference"
)

// The shapes of corners.
const (
	CornersRound  = "round"
	CornersSoft   = "soft"
	CornersSquare = "square"
)

// Form makes links: a visitor of the merchant's website fills it in, gets a link of one use,
// and pays it.
type Form struct {
	ID            string         `json:"id"`
	Account       string         `json:"account"`
	Mode          string         `json:"mode"`
	Name          string         `json:"name"`  // the merchant's own name for it
	Payee         string         `json:"payee"` // who is paid, as the payer reads it
	Currency      money.Currency `json:"currency"`
	Amounts       []int64        `json:"amounts,omitempty"`  // one: fixed; several: the payer picks; none: the payer types
	MinMinor      int64          `json:"minMinor,omitempty"` // typed: at least
	MaxMinor      int64          `json:"maxMinor,omitempty"` // typed: at most
	PaymentMethod string         `json:"paymentMethod,omitempty"`
	Realm         string         `json:"realm,omitempty"`
	Description   string         `json:"description,omitempty"`
	Fields        []Field        `json:"fields,omitempty"`
	Button        string         `json:"button,omitempty"` // "": the page's own text
	Look          Look           `json:"look"`
	Origins       []string       `json:"origins,omitempty"` // sites that may show it in a frame
	RedirectURL   string         `json:"redirectUrl,omitempty"`
	LifeSeconds   int64          `json:"lifeSeconds"` // of each link
	Capture       string         `json:"capture"`
	LatePolicy    string         `json:"latePolicy"`
	Disabled      bool           `json:"disabled,omitempty"`
	ArchivedAt    time.Time      `json:"archivedAt,omitzero"`
	Revision      int64          `json:"revision"`
	CreatedAt     time.Time      `json:"createdAt"`
	UpdatedAt     time.Time      `json:"updatedAt"`
}

// Field is a field of the form.
type Field struct {
	Name     string `json:"name"`
	Label    string `json:"label,omitempty"` // required for the merchant's own fields
	Required bool   `json:"required,omitempty"`
}

// Custom reports whether the field is the merchant's own.
func (f Field) Custom() bool {
	return f.Name != FieldName && f.Name != FieldEmail && f.Name != FieldReference
}

// Shown is how the pages of a form's link are shown: the form's origins and look when it made
// the link, and what the payer has typed already. It is part of the link, so only the merchant
// decides who may frame it.
type Shown struct {
	Origins []string `json:"origins,omitempty"`
	Look    Look     `json:"look"`
	Name    string   `json:"name,omitempty"`
	Email   string   `json:"email,omitempty"`
	Lang    string   `json:"lang,omitempty"` // that the payer picked
}

// Fixed reports whether the form asks for one amount.
func (f Form) Fixed() bool { return len(f.Amounts) == 1 }

// Typed reports whether the payer types the amount.
func (f Form) Typed() bool { return len(f.Amounts) == 0 }

// Active reports whether the form makes links.
func (f Form) Active() bool { return !f.Disabled && f.ArchivedAt.IsZero() }

// Custom returns the merchant's own fields.
func (f Form) Custom() (own []Field) {
	for _, field := range f.Fields {
		if field.Custom() {
			own = append(own, field)
		}
	}
	return own
}

// ErrFormChanged means that the form is not at the expected revision.
var ErrFormChanged = errors.New("the form was changed meanwhile")

// FormFilter selects forms of a list. Zero values do not filter.
type FormFilter struct {
	Account, Mode string
	Archived      bool   // only archived ones, instead of only the others
	Before        string // the last id of the previous page; newest first
	Limit         int
}

// FormStore keeps forms. Each call is atomic. Forms are archived and never removed.
type FormStore interface {
	FormReader
	// CreateForm stores a form. Repeating it with the same form id succeeds. It fails with
	// idempotency.ErrRaced if another request recorded the same key first.
	CreateForm(context.Context, Form, *idempotency.Record) error
	// UpdateForm replaces the form at the expected revision; f carries the next one. It fails
	// with ErrFormChanged if the revision differs. Repeating the same call succeeds.
	UpdateForm(ctx context.Context, f Form, expected int64) error
	ListForms(context.Context, FormFilter) ([]Form, error)
}

// FormReader is the one keyed read of the public side. A FormStore implements it.
type FormReader interface {
	// FindForm returns a form by id, or fault.NotFound.
	FindForm(ctx context.Context, id string) (Form, error)
}

// FormRequest is a merchant's request, not yet validated: a fault names the field. Account,
// Mode, Payee and Methods come from the credentials.
type FormRequest struct {
	Account, Mode, Payee string
	Methods              []Method

	Name                 string
	Amount               string   // fixed
	Amounts              []string // or a list
	MinAmount, MaxAmount string   // or typed within limits
	Currency             string
	PaymentMethod        string
	Realm                string
	Description          string
	Fields               []Field
	Button               string
	Look                 Look
	Origins              []string
	RedirectURL          string
	LinkLifeSeconds      *int64
	Capture              string
	LatePolicy           string
	Disabled             bool

	Ticket *idempotency.Ticket // of a create; Render gets the Form
}

// FormLinkRequest is what a payer has filled in.
type FormLinkRequest struct {
	Form    string
	Attempt string // minted by the page (NewAttempt); the same, with the same content, is the same link
	Amount  string // decimal; "" if the form fixes it
	Values  map[string]string
	Lang    string // that the payer picked; "" is the browser's
	Payee   string
	Methods []Method // of the form's account, as they are now
}

// FormService keeps forms and makes their links. Local implements it.
type FormService interface {
	// CreateForm makes a form. After idempotency.ErrRaced the caller reads the record that won.
	CreateForm(context.Context, FormRequest) (Form, error)
	// GetForm returns a form of the account and mode, archived or not, or fault.NotFound.
	GetForm(ctx context.Context, account, mode, id string) (Form, error)
	// ListForms returns forms, newest first, up to MaxPage+1.
	ListForms(context.Context, FormFilter) ([]Form, error)
	// UpdateForm replaces the form's settings by the request's. A revision other than 0 must be
	// the form's own, or it fails with changed_meanwhile (409).
	UpdateForm(ctx context.Context, id string, revision int64, r FormRequest) (Form, error)
	// ArchiveForm ends a form for good: it makes no more links. Repeating it changes nothing.
	ArchiveForm(ctx context.Context, account, mode, id string) (Form, error)
	// FormLink returns the link of an attempt, and makes it if there is none.
	FormLink(context.Context, FormLinkRequest) (Link, error)
}

// PublicForms is the read of forms for the public side.
type PublicForms interface {
	// Form returns a form by its public id, or fault.NotFound.
	Form(ctx context.Context, id string) (Form, error)
}

// NewAttempt returns the id of one view of a form's page. It contains the time, so that an
// old page can be refused, and it is random, so that nobody can guess another visitor's.
func NewAttempt() string {
	_, body, _ := cutID(id.New(id.Form))
	return body
}
