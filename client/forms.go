package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// FormsAPI manages payment forms, which create links on your website.
type FormsAPI struct{ c *Client }

// Form is a payment form. URL is its own page.
type Form struct {
	ID              string            `json:"id"`
	Object          string            `json:"object"`
	URL             string            `json:"url"`
	Name            string            `json:"name"`
	Status          string            `json:"status"` // active, disabled or archived
	Amount          string            `json:"amount,omitempty"`
	Amounts         []string          `json:"amounts,omitempty"`
	MinAmount       string            `json:"minAmount,omitempty"`
	MaxAmount       string            `json:"maxAmount,omitempty"`
	Currency        string            `json:"currency"`
	PaymentMethod   string            `json:"paymentMethod,omitempty"`
	Realm           string            `json:"realm,omitempty"`
	Description     string            `json:"description,omitempty"`
	Fields          []FormField       `json:"fields"`
	Button          string            `json:"button,omitempty"`
	Look            FormLook          `json:"look"`
	Origins         []string          `json:"origins"`
	RedirectURL     string            `json:"redirectUrl,omitempty"`
	LinkLifeSeconds int64             `json:"linkLifeSeconds"`
	Capture         string            `json:"capture"`
	LatePolicy      string            `json:"latePolicy"`
	Disabled        bool              `json:"disabled"`
	Mode            Mode              `json:"mode"`
	Revision        int64             `json:"revision"`
	CreatedAt       time.Time         `json:"createdAt,omitzero"`
	UpdatedAt       time.Time         `json:"updatedAt,omitzero"`
	ArchivedAt      time.Time         `json:"archivedAt,omitzero"`
	Links           map[string]string `json:"links"`
}

// FormField is a field that the payer fills in: name, email, reference, or your own.
type FormField struct {
	Name     string `json:"name"`
	Label    string `json:"label,omitempty"`
	Required bool   `json:"required"`
}

// FormLook is a form's appearance: colors as #rrggbb; corners round, soft or square.
type FormLook struct {
	Accent     string `json:"accent,omitempty"`
	AccentDark string `json:"accentDark,omitempty"`
	Corners    string `json:"corners,omitempty"`
}

// CreateForm requests a form: a name, a currency, and one of Amount, Amounts and MaxAmount.
type CreateForm struct {
	Name            string      `json:"name"`
	Amount          string      `json:"amount,omitempty"`
	Amounts         []string    `json:"amounts,omitempty"`
	MinAmount       string      `json:"minAmount,omitempty"`
	MaxAmount       string      `json:"maxAmount,omitempty"`
	Currency        string      `json:"currency"`
	PaymentMethod   string      `json:"paymentMethod,omitempty"`
	Realm           string      `json:"realm,omitempty"`
	Description     string      `json:"description,omitempty"`
	Fields          []FormField `json:"fields,omitempty"`
	Button          string      `json:"button,omitempty"`
	Look            *FormLook   `json:"look,omitempty"`
	Origins         []string    `json:"origins,omitempty"`
	RedirectURL     string      `json:"redirectUrl,omitempty"`
	LinkLifeSeconds int64       `json:"linkLifeSeconds,omitempty"`
	Capture         string      `json:"capture,omitempty"`
	LatePolicy      string      `json:"latePolicy,omitempty"`
	Disabled        bool        `json:"disabled,omitempty"`
}

// UpdateForm replaces all of a form. With the Revision that was read, it is refused if the form
// has changed since.
type UpdateForm struct {
	CreateForm
	Revision int64 `json:"revision,omitempty"`
}

const formsPath = "/api/forms"

func formPath(id string) string { return formsPath + "/" + url.PathEscape(id) }

// Create creates a form.
func (a *FormsAPI) Create(ctx context.Context, f CreateForm, options ...CallOption) (Form, error) {
	return post[Form](ctx, a.c, formsPath, f, options)
}

// Get returns a form.
func (a *FormsAPI) Get(ctx context.Context, id string, options ...CallOption) (Form, error) {
	return get[Form](ctx, a.c, formPath(id), nil, options)
}

// All iterates over the forms, newest first.
func (a *FormsAPI) All(ctx context.Context, options ...CallOption) iter.Seq2[Form, error] {
	return all[Form](ctx, a.c, formsPath, nil, options)
}

// Update replaces a form; its existing links stay unchanged.
func (a *FormsAPI) Update(ctx context.Context, id string, f UpdateForm, options ...CallOption) (Form, error) {
	var out Form
	err := a.c.do(ctx, call{method: http.MethodPut, path: formPath(id), body: f, out: &out}, options)
	return out, err
}

// Archive ends a form permanently.
func (a *FormsAPI) Archive(ctx context.Context, id string, options ...CallOption) error {
	return remove(ctx, a.c, formPath(id), options)
}
