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
	formAttemptAhead = time.Minute    // that another process's clock may be ahead
)

// The names of the fields that a form knows by itself. Every other field is the
// merchant's own.
const (
	FieldName      = "name"
	FieldEmail     = "email"
	FieldReference = "reference"
)

// Corners of what a form shows.
const (
	CornersRound  = "round"
	CornersSoft   = "soft"
	CornersSquare = "square"
)

// Form is a machine that makes links: whoever fills it in on the merchant's
// website gets a link of one use, and pays that.
type Form struct {
	ID            string         `json:"id"`
	Account       string         `json:"account"`
	Mode          string         `json:"mode"`
	Name          string         `json:"name"`  // by which the merchant knows it
	Payee         string         `json:"payee"` // who is paid, as the payer reads it
	Currency      money.Currency `json:"currency"`
	Amounts       []int64        `json:"amounts,omitempty"`  // one: fixed; several: the payer picks; none: the payer types
	MinMinor      int64          `json:"minMinor,omitempty"` // typed: at least
	MaxMinor      int64          `json:"maxMinor,omitempty"` // typed: at most
	PaymentMethod string         `json:"paymentMethod,omitempty"`
	Realm         string         `json:"realm,omitempty"`
	Description   string         `json:"description,omitempty"`
	Fields        []Field        `json:"fields,omitempty"`
	Button        string         `json:"button,omitempty"` // "": the page's own words
	Look          Look           `json:"look"`
	Origins       []string       `json:"origins,omitempty"` // that may show it in a frame
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

// Field is something that the payer is asked for.
type Field struct {
	Name     string `json:"name"`
	Label    string `json:"label,omitempty"` // needed for the merchant's own fields
	Required bool   `json:"required,omitempty"`
}

// Custom reports whether the field is the merchant's own.
func (f Field) Custom() bool {
	return f.Name != FieldName && f.Name != FieldEmail && f.Name != FieldReference
}

// Shown is how the pages of a link are shown that a form made: the form's own
// origins and look at that moment, and what the payer has typed already. It is
// part of the link, so that nobody but the merchant decides who may frame it.
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

// Custom are the merchant's own fields.
func (f Form) Custom() (own []Field) {
	for _, field := range f.Fields {
		if field.Custom() {
			own = append(own, field)
		}
	}
	return own
}

// ErrFormChanged says that the form is not at the expected revision.
var ErrFormChanged = errors.New("the form was changed meanwhile")

// FormFilter of a list. Zero values do not filter.
type FormFilter struct {
	Account, Mode string
	Archived      bool   // the archived ones instead of the others
	Before        string // the last id of the page before; newest first
	Limit         int
}

// FormStore keeps forms. All of a call, or none.
type FormStore interface {
	FormReader
	// CreateForm is repeatable: the same form id succeeds again.
	// idempotency.ErrRaced when another request recorded the same key first.
	CreateForm(context.Context, Form, *idempotency.Record) error
	// UpdateForm replaces the form that is at the revision expected, or is
	// ErrFormChanged; f carries the next one. The same call again succeeds.
	UpdateForm(ctx context.Context, f Form, expected int64) error
	ListForms(context.Context, FormFilter) ([]Form, error)
}

// FormReader is the one keyed read of the public side; a FormStore is one.
type FormReader interface {
	// FindForm reads by id; an unknown id is fault.NotFound.
	FindForm(ctx context.Context, id string) (Form, error)
}

// FormRequest is what a merchant asks for, as it was written: a fault names the
// field. Account, Mode, Payee and Methods come from the credentials.
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

	Ticket *idempotency.Ticket // of a create; Render is given the Form
}

// FormLinkRequest is what a payer has filled in.
type FormLinkRequest struct {
	Form    string
	Attempt string // minted by the page (NewAttempt); the same, with the same content, is the same link
	Amount  string // decimal; "" where the form fixes it
	Values  map[string]string
	Lang    string // that the payer picked; "" is the browser's
	Payee   string
	Methods []Method // of the form's account, as they are now
}

// FormService is the part of the box links that makes and keeps forms, and makes
// their links. Local is the real thing.
type FormService interface {
	// CreateForm makes a form. idempotency.ErrRaced: read the record that won.
	CreateForm(context.Context, FormRequest) (Form, error)
	// GetForm finds a form of the account and mode, archived or not, or is fault.NotFound.
	GetForm(ctx context.Context, account, mode, id string) (Form, error)
	// ListForms is newest first; up to MaxPage+1 forms.
	ListForms(context.Context, FormFilter) ([]Form, error)
	// UpdateForm replaces all that the request says. A revision other than 0 must
	// be the form's own, or it is a 409 (changed_meanwhile).
	UpdateForm(ctx context.Context, id string, revision int64, r FormRequest) (Form, error)
	// ArchiveForm ends a form for good: it makes no more links. Again it changes nothing.
	ArchiveForm(ctx context.Context, account, mode, id string) (Form, error)
	// FormLink makes the link of an attempt, or finds it.
	FormLink(context.Context, FormLinkRequest) (Link, error)
}

// PublicForms is the form's read for the public side.
type PublicForms interface {
	// Form finds a form by its public id, or is fault.NotFound.
	Form(ctx context.Context, id string) (Form, error)
}

// NewAttempt names one showing of a form's page, and carries its time.
func NewAttempt() string {
	_, body, _ := cutID(id.New(id.Form))
	return body
}
