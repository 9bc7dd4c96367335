package payments

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
)

// Bounds of what is asked, and of a page of a file.
const (
	exportPage = 100
)

// asked is what a reader wants to see of the payments, as the address says it.
type asked struct {
	Q, Status, Currency, Before string
	frame.Dates
	currency money.Currency
}

// readAsked takes the filters of the payments.
func readAsked(r *frame.Reading) (asked, error) {
	a := asked{Q: r.Text("q"), Before: r.Text("before"), currency: r.Currency("currency")}
	a.Currency = cmp.Or(string(a.currency), r.Given("currency"))
	a.Status = r.Choice("status", func(s string) bool { return slip.Known(payment.Status(s)) })
	var err error
	a.Dates, err = r.Dates("")
	return a, err
}

// filtered reports whether anything narrows the list.
func (a asked) filtered() bool {
	return a.Q != "" || a.Status != "" || a.Currency != "" || a.Dates.Set()
}

// others are the filters but for the dates.
func (a asked) others() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"q": a.Q, "status": a.Status, "currency": a.Currency} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// query is the address's question mark and what follows, with a cursor.
func (a asked) query(before string) string {
	v := a.others()
	a.Dates.Values(v)
	if before != "" {
		v.Set("before", before)
	}
	return frame.AsQuery(v)
}

// filter turns what was asked into the reader's filter. The fault says that the
// cursor is none of this list's.
func (v *visit) filter(a asked) (payment.Filter, error) {
	f := payment.Filter{
		Account:  v.Account.ID,
		Mode:     v.Mode,
		Status:   payment.Status(a.Status),
		Currency: a.currency,
		From:     a.Period.From,
		To:       a.Period.To,
	}
	if a.Before == "" {
		return f, nil
	}
	at, last, _ := strings.Cut(a.Before, ".")
	micro, err := strconv.ParseInt(at, 10, 64)
	if err != nil || !id.Valid(id.Payment, last) {
		return f, fault.Invalid("before", "cursor_invalid", "Invalid cursor: use the link to the next page.")
	}
	f.BeforeTime, f.BeforeID = time.UnixMicro(micro).UTC(), last
	return f, nil
}

// found is a page of payments. Next is the cursor of the page after it, "" on the
// last. Cut: the search looked through so many payments and goes on in the next page.
type found struct {
	Payments []payment.Payment
	Next     string
	Cut      bool
}

// findPayments reads a page of what was asked. It is the one place that knows how
// payments are found: by id, and the whole list, from the payments themselves, as
// they are now; everything else from the projection for people, which has an index
// for each question and is behind by a moment.
func (v *visit) findPayments(a asked, limit int) (found, error) {
	if id.Valid(id.Payment, a.Q) {
		p, err := v.d.Payments.GetPayment(v.Context(), v.Account.ID, a.Q)
		if err != nil && fault.KindOf(err) != fault.KindNotFound {
			return found{}, err
		}
		if err != nil || p.Mode != v.Mode {
			return found{}, nil
		}
		return found{Payments: []payment.Payment{p}}, nil
	}
	if a.Q == "" && a.Status == "" && a.currency == "" {
		f, err := v.filter(a)
		if err != nil {
			return found{}, err
		}
		f.Limit = limit + 1
		items, err := v.d.Payments.ListPayments(v.Context(), f)
		return pageOf(items, limit), err
	}
	q := report.Query{
		Account:  v.Account.ID,
		Mode:     v.Mode,
		Text:     a.Q,
		Status:   payment.Status(a.Status),
		Currency: a.currency,
		From:     a.Period.From,
		To:       a.Period.To,
		Before:   a.Before,
		Limit:    limit,
	}
	page, err := v.d.Reports.Search(v.Context(), q)
	if err != nil {
		return found{}, err
	}
	out := found{Next: page.Next, Cut: page.Next != "" && len(page.Payments) < min(limit, report.MaxPage)}
	for _, row := range page.Payments {
		out.Payments = append(out.Payments, paymentOf(row))
	}
	return out, nil
}

// paymentOf is as much of a payment as a list shows.
func paymentOf(row report.Payment) payment.Payment {
	return payment.Payment{
		ID:            row.ID,
		Account:       row.Account,
		Mode:          row.Mode,
		Link:          row.Link,
		Issuer:        row.Issuer,
		Realm:         row.Realm,
		Reference:     row.Reference,
		PayerName:     row.PayerName,
		PayerEmail:    row.PayerEmail,
		CardBrand:     row.CardBrand,
		CardLast4:     row.CardLast4,
		DeclineCode:   row.Decline,
		Status:        row.Status,
		Amount:        row.Amount,
		CapturedMinor: row.Captured,
		RefundedMinor: row.Refunded,
		CreatedAt:     row.CreatedAt,
		UpdatedAt:     row.UpdatedAt,
		Revision:      row.Seq,
	}
}

func pageOf(items []payment.Payment, limit int) found {
	if len(items) <= limit {
		return found{Payments: items}
	}
	return found{Payments: items[:limit], Next: slip.Cursor(items[limit-1])}
}

// linkOf reads the link of a payment; the zero one when it is not there any more.
func (v *visit) linkOf(p payment.Payment) (link.Link, error) {
	l, err := v.d.Links.Get(v.Context(), v.Account.ID, v.Mode, p.Link)
	if fault.KindOf(err) == fault.KindNotFound {
		return link.Link{}, nil
	}
	return l, err
}
