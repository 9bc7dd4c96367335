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

// check refuses a body without a required member, and values that the service could not
// distinguish from an absent member.
func (b *createLinkBody) check() error {
	if !b.Amount.Set && !b.MaxAmount.Set {
		if b.MinAmount.Set {
			return required(false, "maxAmount")
		}
		return required(false, "amount")
	}
	if err := required(b.Currency.Set, "currency"); err != nil {
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

// checkAmount returns amount_invalid for text that is not a plain decimal. The service
// checks size and decimals, which depend on the currency.
func checkAmount(param string, f field[decimal]) error {
	if f.Set && (len(f.Value) > maxAmountDigits || !plainDecimal(string(f.Value))) {
		return fault.Invalid(param, "amount_invalid", `%s must be a plain decimal such as "12.50", without sign or exponent.`, param)
	}
	return nil
}

// optional returns the member's value, or nil if it is absent.
func optional[T any](f field[T]) *T {
	if !f.Set {
		return nil
	}
	return &f.Value
}

// createLink makes a payment link and answers with it. Link, event and idempotency record
// are one commit, so a repetition under the same key gets the same link.
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

	request := link.CreateRequest{
		Account: q.caller.account, Mode: q.caller.mode, Payee: payee, Methods: methods,
		Amount: string(in.Amount.Value), MinAmount: string(in.MinAmount.Value), MaxAmount: string(in.MaxAmount.Value),
		Currency: in.Currency.Value, Date: string(in.Date.Value), PaymentMethod: in.PaymentMethod.Value, Realm: in.Realm.Value,
		Description: in.Description.Value, Reference: in.Reference.Value, Metadata: in.Metadata.Value,
		ExpiresAt: string(in.ExpiresAt.Value), ExpiresInSeconds: optional(in.ExpiresInSeconds), MaxUsesNull: in.MaxUses.Null,
		RedirectURL: in.RedirectURL.Value, Capture: in.Capture.Value, LatePolicy: in.LatePolicy.Value, Ticket: q.ticket,
	}

	if in.MaxUses.Set && !in.MaxUses.Null {
		request.MaxUses = &in.MaxUses.Value
	}

	l, err := a.Links.Create(q.Context(), request)
	if err != nil {
		return nil, err
	}

	return a.showLink(l), nil
}

// showLink renders a link as the API shows it, with its present status.
func (a *API) showLink(l link.Link) any { return a.renderer.link(l) }

// listLinks answers with the account's links, newest first. Filtering by status uses the
// time of the gateway, because open links expire without a write.
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

// getLink answers with one link.
func (a *API) getLink(q *request) (any, error) {
	l, err := a.Links.Get(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return a.showLink(l), nil
}

// cancelLink ends an open link, so that nobody can pay it anymore. In any other status it
// is refused.
func (a *API) cancelLink(q *request) (any, error) {
	l, err := a.Links.Cancel(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), q.ticket)
	if err != nil {
		return nil, err
	}
	return a.showLink(l), nil
}

// linkQR draws the link's URL as an SVG. The policy in its headers keeps scripts out even
// if somebody opens the image as a document.
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
