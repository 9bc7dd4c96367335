package api

import (
	"fmt"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
)

// formRoutes returns the calls for forms.
func formRoutes() []Route {
	read, write := "forms:read", "forms:write"
	const base = "/api/forms"
	return []Route{
		{
			Method: "POST",
			Path:   base,
			Auth:   authBoth,
			Scope:  write,
			body:   bodyRequired,
			in:     formBody{},
			handle: (*API).createForm,
			shape:  shapeForm,
		},
		{Method: "GET", Path: base, Auth: authBoth, Scope: read, Query: with(pageQuery, "archived"), handle: (*API).listForms},
		{Method: "GET", Path: base + "/{id}", Auth: authBoth, Scope: read, ids: one(id.Form), handle: (*API).getForm},
		{Method: "PUT", Path: base + "/{id}", Auth: authBoth, Scope: write, body: bodyRequired, ids: one(id.Form), handle: (*API).updateForm},
		{Method: "DELETE", Path: base + "/{id}", Auth: authBoth, Scope: write, ids: one(id.Form), handle: (*API).archiveForm},
	}
}

// formBody is the body of POST and PUT.
type formBody struct {
	Name            field[string]      `json:"name"`
	Amount          field[decimal]     `json:"amount"`
	Amounts         field[[]decimal]   `json:"amounts"`
	MinAmount       field[decimal]     `json:"minAmount"`
	MaxAmount       field[decimal]     `json:"maxAmount"`
	Currency        field[string]      `json:"currency"`
	PaymentMethod   field[string]      `json:"paymentMethod"`
	Realm           field[string]      `json:"realm" default:"\"\""`
	Description     field[string]      `json:"description" default:"\"\""`
	Fields          field[[]fieldBody] `json:"fields" default:"[]"`
	Button          field[string]      `json:"button"`
	Look            field[lookBody]    `json:"look"`
	Origins         field[[]string]    `json:"origins" default:"[]"`
	RedirectURL     field[string]      `json:"redirectUrl"`
	LinkLifeSeconds field[int64]       `json:"linkLifeSeconds"`
	Capture         field[string]      `json:"capture" default:"\"automatic\""`
	LatePolicy      field[string]      `json:"latePolicy" default:"\"accept\""`
	Disabled        field[bool]        `json:"disabled" default:"false"`
}

// formUpdateBody adds the revision that the caller has read.
type formUpdateBody struct {
	formBody
	Revision field[int64] `json:"revision"`
}

// fieldBody is a field that visitors fill in.
type fieldBody struct {
	Name     field[string] `json:"name"`
	Label    field[string] `json:"label"`
	Required field[bool]   `json:"required" default:"false"`
}

// lookBody is how a form looks: its colors in light and dark mode, and its corners.
type lookBody struct {
	Accent     field[string] `json:"accent"`
	AccentDark field[string] `json:"accentDark"`
	Corners    field[string] `json:"corners"`
}

// check refuses values that the service could not distinguish from an absent member.
func (b *formBody) check() error {
	if err := required(b.Name.Set, "name"); err != nil {
		return err
	}

	// One of the three ways to choose the amount is required: fixed, a list, or a range.
	if !b.Amount.Set && !b.Amounts.Set && !b.MaxAmount.Set {
		return required(false, "amount")
	}
	if err := required(b.Currency.Set, "currency"); err != nil {
		return err
	}

	for _, text := range []struct {
		name string
		field[string]
	}{{"paymentMethod", b.PaymentMethod}, {"redirectUrl", b.RedirectURL}, {"capture", b.Capture}, {"latePolicy", b.LatePolicy}} {
		if err := notEmpty(text.name, text.field); err != nil {
			return err
		}
	}

	for _, amount := range []struct {
		name string
		field[decimal]
	}{{"amount", b.Amount}, {"minAmount", b.MinAmount}, {"maxAmount", b.MaxAmount}} {
		if err := checkAmount(amount.name, amount.field); err != nil {
			return err
		}
	}

	if b.Amounts.Set && len(b.Amounts.Value) == 0 {
		return fault.Invalid("amounts", "amount_invalid", "amounts must have 2 to %d entries.", link.MaxFormAmounts)
	}

	for i, amount := range b.Amounts.Value {
		if err := checkAmount(fmt.Sprintf("amounts[%d]", i), field[decimal]{Set: true, Value: amount}); err != nil {
			return err
		}
	}

	return nil
}

// request returns the service's request for a body that check has accepted. Amounts stay
// text, because only the service knows the decimals of the currency.
func (b *formBody) request(q *request, payee string, methods []link.Method) link.FormRequest {
	r := link.FormRequest{
		Account: q.caller.account, Mode: q.caller.mode, Payee: payee, Methods: methods, Name: b.Name.Value, Amount: string(b.Amount.Value),
		MinAmount: string(b.MinAmount.Value), MaxAmount: string(b.MaxAmount.Value),
		Currency: b.Currency.Value, PaymentMethod: b.PaymentMethod.Value,
		Realm: b.Realm.Value, Description: b.Description.Value, Button: b.Button.Value, Origins: b.Origins.Value,
		RedirectURL: b.RedirectURL.Value,
		Look: link.Look{
			Accent:     b.Look.Value.Accent.Value,
			AccentDark: b.Look.Value.AccentDark.Value,
			Corners:    b.Look.Value.Corners.Value,
		},
		LinkLifeSeconds: optional(b.LinkLifeSeconds), Capture: b.Capture.Value, LatePolicy: b.LatePolicy.Value,
		Disabled: b.Disabled.Value, Ticket: q.ticket,
	}

	for _, amount := range b.Amounts.Value {
		r.Amounts = append(r.Amounts, string(amount))
	}
	for _, f := range b.Fields.Value {
		r.Fields = append(r.Fields, link.Field{Name: f.Name.Value, Label: f.Label.Value, Required: f.Required.Value})
	}
	return r
}

// formRequest checks a body and returns the service's request, with the payee and the
// payment methods of the caller's account. Live mode needs a confirmed account (see payee).
func (a *API) formRequest(q *request, in *formBody) (link.FormRequest, error) {
	if err := in.check(); err != nil {
		return link.FormRequest{}, err
	}
	payee, methods, err := a.payee(q)
	return in.request(q, payee, methods), err
}

// createForm makes a form and answers with it.
func (a *API) createForm(q *request) (any, error) {
	var in formBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	r, err := a.formRequest(q, &in)
	if err != nil {
		return nil, err
	}
	f, err := a.Forms.CreateForm(q.Context(), r)
	if err != nil {
		return nil, err
	}
	return a.renderer.form(f), nil
}

// listForms answers with the account's forms, newest first: the active ones, or with
// archived=true the archived ones.
func (a *API) listForms(q *request) (any, error) {
	limit, err := q.query.limit()
	if err != nil {
		return nil, err
	}

	after, err := q.query.after(id.Form, false)
	if err != nil {
		return nil, err
	}

	archived, err := q.query.oneOf("archived", "true", "false")
	if err != nil {
		return nil, err
	}

	items, err := a.Forms.ListForms(q.Context(), link.FormFilter{Account: q.caller.account, Mode: q.caller.mode, Archived: archived == "true",
		Before: after.ID, Limit: limit + 1})
	if err != nil {
		return nil, err
	}

	return page(items, limit, a.renderer.form, func(f link.Form) cursor { return cursor{ID: f.ID} }), nil
}

// getForm answers with one form, archived or not.
func (a *API) getForm(q *request) (any, error) {
	f, err := a.Forms.GetForm(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return a.renderer.form(f), nil
}

// updateForm replaces a form. With a revision it fails if the form has changed since that
// revision; without one the last write wins. The call takes no idempotency key, because
// repeating it has the same result.
func (a *API) updateForm(q *request) (any, error) {
	var in formUpdateBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if in.Revision.Set && in.Revision.Value < 1 {
		return nil, fault.Invalid("revision", "parameter_invalid", "revision must be the form's revision when you read it.")
	}

	r, err := a.formRequest(q, &in.formBody)
	if err != nil {
		return nil, err
	}
	f, err := a.Forms.UpdateForm(q.Context(), q.PathValue("id"), in.Revision.Value, r)
	if err != nil {
		return nil, err
	}
	return a.renderer.form(f), nil
}

// archiveForm takes a form out of use. Its links stay.
func (a *API) archiveForm(q *request) (any, error) {
	f, err := a.Forms.ArchiveForm(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return a.renderer.form(f), nil
}
