package api

import (
	"net/http"
	"strconv"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
)

// createLinkBody is the body of POST /api/payment and POST /api/links.
type createLinkBody struct {
	Amount           field[decimal]           `json:"amount"`
	Currency         field[string]            `json:"currency"`
	Date             field[stamp]             `json:"date"`
	PaymentMethod    field[string]            `json:"paymentMethod"`
	Realm            field[string]            `json:"realm" default:"\"\""`
	Description      field[string]            `json:"description" default:"\"\""`
	Reference        field[string]            `json:"reference" default:"\"\""`
	Metadata         field[map[string]string] `json:"metadata" default:"{}"`
	ExpiresAt        field[stamp]             `json:"expiresAt"`
	ExpiresInSeconds field[int64]             `json:"expiresInSeconds" default:"86400"`
	MaxUses          nullable[int64]          `json:"maxUses" default:"1"`
	MinAmount        field[decimal]           `json:"minAmount"`
	MaxAmount        field[decimal]           `json:"maxAmount"`
	RedirectURL      field[string]            `json:"redirectUrl"`
	Capture          field[string]            `json:"capture" default:"\"automatic\""`
	LatePolicy       field[string]            `json:"latePolicy" default:"\"accept\""`
}

// check refuses values that the service could not distinguish from an absent member.
func (b *createLinkBody) check() error {
	if !b.Amount.Set && !b.MaxAmount.Set {
		if b.MinAmount.Set {
			return need(false, "maxAmount")
		}
		return need(false, "amount")
	}
	if err := need(b.Currency.Set, "currency"); err != nil {
		return err
	}
	for _, given := range []struct {
		name string
		field[string]
	}{
		{"date", text(b.Date)}, {"paymentMethod", b.PaymentMethod}, {"expiresAt", text(b.ExpiresAt)},
		{"redirectUrl", b.RedirectURL}, {"capture", b.Capture}, {"latePolicy", b.LatePolicy},
	} {
		if err := notEmpty(given.name, given.field); err != nil {
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
	return nil
}

func checkAmount(param string, f field[decimal]) error {
	if f.Set && (len(f.Value) > maxAmountDigits || !plainDecimal(string(f.Value))) {
		return fault.Invalid(param, "amount_invalid", `Must be a plain decimal such as "12.50", without sign or exponent.`)
	}
	return nil
}

func optional[T any](f field[T]) *T {
	if !f.Set {
		return nil
	}
	return &f.Value
}

func (a *API) createLink(q *request) (any, error) {
	var in createLinkBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	payee, methods, err := a.payee(q)
	if err != nil {
		return nil, err
	}
	wish := link.CreateRequest{
		Account: q.caller.account, Mode: q.caller.mode, Payee: payee, Methods: methods,
		Amount: string(in.Amount.Value), MinAmount: string(in.MinAmount.Value), MaxAmount: string(in.MaxAmount.Value),
		Currency: in.Currency.Value, Date: string(in.Date.Value), PaymentMethod: in.PaymentMethod.Value, Realm: in.Realm.Value,
		Description: in.Description.Value, Reference: in.Reference.Value, Metadata: in.Metadata.Value,
		ExpiresAt: string(in.ExpiresAt.Value), ExpiresInSeconds: optional(in.ExpiresInSeconds), MaxUsesNull: in.MaxUses.Null,
		RedirectURL: in.RedirectURL.Value, Capture: in.Capture.Value, LatePolicy: in.LatePolicy.Value, Ticket: q.ticket,
	}
	if in.MaxUses.Set && !in.MaxUses.Null {
		wish.MaxUses = &in.MaxUses.Value
	}
	l, err := a.Links.Create(q.Context(), wish)
	if err != nil {
		return nil, err
	}
	return a.showLink(l), nil
}

func (a *API) showLink(l link.Link) any { return a.renderer.link(l) }

func (a *API) listLinks(q *request) (any, error) {
	limit, err := q.query.limit()
	if err != nil {
		return nil, err
	}
	after, err := q.query.after(id.Link, false)
	if err != nil {
		return nil, err
	}
	f := link.Filter{Account: q.caller.account, Mode: q.caller.mode, Before: after.ID, Limit: limit + 1, Now: a.Now()}
	if f.Status, err = q.query.oneOf("status", link.Open, link.Paying, link.Paid, link.Expired, link.Canceled); err != nil {
		return nil, err
	}
	if f.Realm, err = q.query.text("realm"); err != nil {
		return nil, err
	}
	if f.Reference, err = q.query.text("reference"); err != nil {
		return nil, err
	}
	items, err := a.Links.List(q.Context(), f)
	if err != nil {
		return nil, err
	}
	return page(items, limit, a.showLink, func(l link.Link) cursor { return cursor{ID: l.ID} }), nil
}

func (a *API) getLink(q *request) (any, error) {
	l, err := a.Links.Get(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return a.showLink(l), nil
}

func (a *API) cancelLink(q *request) (any, error) {
	l, err := a.Links.Cancel(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), q.ticket)
	if err != nil {
		return nil, err
	}
	return a.showLink(l), nil
}

// linkQR draws the link's URL.
func (a *API) linkQR(q *request) {
	l, err := a.Links.Get(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"))
	if err != nil {
		a.fail(q.w, q.Request, err)
		return
	}
	svg, err := link.QRSVG(a.renderer.linkURL(l))
	if err != nil {
		a.fail(q.w, q.Request, err)
		return
	}
	h := q.w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(svg)))
	if q.Method != http.MethodHead {
		_, _ = q.w.Write([]byte(svg))
	}
}
