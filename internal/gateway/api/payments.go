package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// list is one page of objects.
type list[T any] struct {
	Object     string  `json:"object"`
	Data       []T     `json:"data"`
	HasMore    bool    `json:"hasMore"`
	NextCursor *string `json:"nextCursor"`
}

// page makes a list of up to limit items from the items of a store, which was asked for
// one more: the extra item shows that there is a next page.
func page[S, T any](items []S, limit int, show func(S) T, at func(S) cursor) list[T] {
	l := list[T]{Object: "list", Data: make([]T, 0, min(len(items), limit))}
	if len(items) > limit {
		items = items[:limit]
		next := at(items[limit-1]).String()
		l.HasMore, l.NextCursor = true, &next
	}
	for _, item := range items {
		l.Data = append(l.Data, show(item))
	}
	return l
}

// publicStatuses are the statuses that callers see.
var publicStatuses = []string{
	string(payment.Created), string(payment.RequiresAction), string(payment.Processing), string(payment.Unknown),
	string(payment.Authorized), string(payment.Succeeded), string(payment.Declined), string(payment.Canceled),
	string(payment.Refunded), string(payment.PartiallyRefunded), string(payment.Late), string(payment.Review),
}

// paymentFilter reads the filters of the list and the export. Each value is checked before
// the store is queried. From and to may be dates of the account's time zone.
func (a *API) paymentFilter(q *request) (payment.Filter, error) {
	f := payment.Filter{Account: q.caller.account, Mode: q.caller.mode}
	status, err := q.query.oneOf("status", publicStatuses...)
	if err != nil {
		return f, err
	}

	f.Status = payment.Status(status)
	if f.Realm, err = q.query.text("realm"); err != nil {
		return f, err
	}

	if s, given := q.query["currency"]; given {
		if f.Currency, err = money.ParseCurrency(s); err != nil {
			return f, fault.Invalid("currency", "parameter_invalid", "currency must be an ISO 4217 code in upper case.")
		}
	}

	if f.Link, err = q.query.id("link", id.Link); err != nil {
		return f, err
	}

	within, err := a.within(q)
	f.From, f.To = within.From, within.To
	return f, err
}

// paymentCursor returns the cursor of a payment. The list sorts by time and then by id, so
// it needs both.
func paymentCursor(p payment.Payment) cursor {
	return cursor{ID: p.ID, At: p.CreatedAt.UnixMicro()}
}

// listPayments answers with the account's payments, newest first.
func (a *API) listPayments(q *request) (any, error) {
	f, err := a.paymentFilter(q)
	if err != nil {
		return nil, err
	}

	limit, err := q.query.limit()
	if err != nil {
		return nil, err
	}

	after, err := q.query.after(id.Payment, true)
	if err != nil {
		return nil, err
	}

	if after.ID != "" {
		f.BeforeTime, f.BeforeID = time.UnixMicro(after.At).UTC(), after.ID
	}
	f.Limit = limit + 1
	items, err := a.Payments.ListPayments(q.Context(), f)
	if err != nil {
		return nil, err
	}

	return page(items, limit, payment.Object, paymentCursor), nil
}

// findPayment reads the payment that the path names. A payment of another account, or of
// the other mode, is not found.
func (a *API) findPayment(ctx context.Context, q *request) (payment.Payment, error) {
	p, err := a.Payments.GetPayment(ctx, q.caller.account, q.PathValue("id"))
	if err == nil && p.Mode != q.caller.mode {
		return p, fault.NotFound(nouns[id.Payment])
	}
	return p, err
}

// getPayment answers with a payment in detail. For a stuck payment it first asks the
// issuer, so this read may change the payment.
func (a *API) getPayment(q *request) (any, error) {
	p, err := a.findPayment(q.Context(), q)
	if err != nil {
		return nil, err
	}
	// Reading a stuck payment starts an inquiry to the issuer.
	return payment.DetailObject(a.Transactions.Repair(q.Context(), p)), nil
}

// amountBody is the body of a capture.
type amountBody struct {
	Amount field[decimal] `json:"amount"`
}

// refundBody is the body of a refund. RefundableAmount is the value that the caller saw.
type refundBody struct {
	Amount           field[decimal] `json:"amount"`
	RefundableAmount field[decimal] `json:"refundableAmount"`
	AllowDisputed    field[bool]    `json:"allowDisputed" default:"false"`
}

// refundAsked returns the requested refund. Without an amount the service refunds all that
// is left. RefundableAmount, if given, must still be true when the refund is committed.
func refundAsked(q *request) (payment.RefundInput, error) {
	var in refundBody
	if err := q.decode(&in); err != nil {
		return payment.RefundInput{}, err
	}
	if err := checkAmount("amount", in.Amount); err != nil {
		return payment.RefundInput{}, err
	}
	return payment.RefundInput{
			Amount:        string(in.Amount.Value),
			Refundable:    string(in.RefundableAmount.Value),
			AllowDisputed: in.AllowDisputed.Value,
			By:            q.caller.by(),
		}, checkAmount(
			"refundableAmount",
			in.RefundableAmount,
		)
}

// amount returns the amount of a capture. Without one the service captures all that is
// left.
func (a *API) amount(q *request) (string, error) {
	var in amountBody
	if err := q.decode(&in); err != nil {
		return "", err
	}
	return string(in.Amount.Value), checkAmount("amount", in.Amount)
}

// refund returns captured money to the payer and answers with the refund. The idempotency
// key determines its id, so a repetition after a crash continues the same refund.
func (a *API) refund(q *request) (any, error) {
	in, err := refundAsked(q)
	if err != nil {
		return nil, err
	}
	p, r, err := a.Transactions.Refund(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), in, q.ticket)
	if err != nil {
		return nil, err
	}
	return payment.RefundObject(p, r), nil
}

// capture takes money that was authorized and answers with the payment.
func (a *API) capture(q *request) (any, error) {
	amount, err := a.amount(q)
	if err != nil {
		return nil, err
	}
	p, err := a.Transactions.Capture(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), amount, q.ticket)
	if err != nil {
		return nil, err
	}
	return payment.Object(p), nil
}

// void releases an authorization and answers with the payment.
func (a *API) void(q *request) (any, error) {
	p, err := a.Transactions.Void(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"), q.ticket)
	if err != nil {
		return nil, err
	}
	return payment.Object(p), nil
}

// balanceLine is the balance in one currency, as decimal text.
type balanceLine struct {
	Currency  money.Currency `json:"currency"`
	Available string         `json:"available"`
	Pending   string         `json:"pending"`
}

// balanceObject has one line for each currency that the account has used in this mode.
type balanceObject struct {
	Object   string        `json:"object"`
	Mode     string        `json:"mode"`
	Balances []balanceLine `json:"balances"`
}

// balance answers with the sums over the ledger, sorted by currency. They follow the feed,
// so a commit of the last second may be missing.
func (a *API) balance(q *request) (any, error) {
	balances, err := a.Payments.Balances(q.Context(), q.caller.account, q.caller.mode)
	if err != nil {
		return nil, err
	}
	o := balanceObject{Object: "balance", Mode: q.caller.mode, Balances: make([]balanceLine, 0, len(balances))}
	for c, b := range balances {
		o.Balances = append(o.Balances, balanceLine{
			Currency: c, Available: money.Of(b.Available.Minor, c).Decimal(), Pending: money.Of(b.Pending.Minor, c).Decimal(),
		})
	}
	slices.SortFunc(o.Balances, func(x, y balanceLine) int { return cmp.Compare(x.Currency, y.Currency) })
	return o, nil
}

// issuerAmount is the range of amounts that a connector accepts in one currency.
type issuerAmount struct {
	Currency  money.Currency `json:"currency"`
	MinAmount string         `json:"minAmount"`
	MaxAmount string         `json:"maxAmount"`
}

// issuerObject is a connector as callers see it.
type issuerObject struct {
	ID         string           `json:"id"`
	Object     string           `json:"object"`
	Mode       string           `json:"mode"`
	Types      []string         `json:"types"`
	Currencies []money.Currency `json:"currencies"`
	Amounts    []issuerAmount   `json:"amounts"`
}

// listIssuers answers with every connector, whatever the mode, because a user sets up
// the payment methods of both modes at once.
func (a *API) listIssuers(*request) (any, error) {
	show := func(c merchant.Connector) issuerObject {
		can := c.Capabilities
		o := issuerObject{ID: c.Name, Object: "issuer", Mode: "live", Types: can.Types, Currencies: slices.Sorted(slices.Values(can.Currencies))}
		if can.Test {
			o.Mode = "test"
		}
		o.Amounts = make([]issuerAmount, 0, len(can.Currencies))
		for _, cur := range o.Currencies {
			o.Amounts = append(o.Amounts, issuerAmount{
				Currency: cur, MinAmount: money.Of(can.MinMinor, cur).Decimal(), MaxAmount: money.Of(can.MaxMinor, cur).Decimal(),
			})
		}
		return o
	}
	return page(a.Connectors, len(a.Connectors), show, nil), nil
}
