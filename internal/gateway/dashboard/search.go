package dashboard

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
)

// Bounds of what is asked, and of a page of a file.
const (
	maxQueryBytes = 200
	exportPage    = 100
	movesPage     = 500 // entries in memory at once
)

// asked is what a reader wants to see of the payments, as the address says it.
type asked struct {
	Q, Status, Currency, From, To, Before string
}

func readAsked(q url.Values) asked {
	clip := func(s string) string { return strings.TrimSpace(s[:min(len(s), maxQueryBytes)]) }
	return asked{clip(q.Get("q")), clip(q.Get("status")), clip(q.Get("currency")), clip(q.Get("from")), clip(q.Get("to")), clip(q.Get("before"))}
}

// filtered reports whether anything narrows the list.
func (a asked) filtered() bool {
	return a.Q != "" || a.Status != "" || a.Currency != "" || a.From != "" || a.To != ""
}

// query is the address's question mark and what follows, with a cursor.
func (a asked) query(before string) string {
	v := url.Values{}
	for name, value := range map[string]string{"q": a.Q, "status": a.Status, "currency": a.Currency, "from": a.From, "to": a.To, "before": before} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}

// filter turns what was asked into the reader's filter. What makes no sense, such
// as a day that is none, does not filter: the form shows it as it was written.
func (v *visit) filter(a asked) payment.Filter {
	f := payment.Filter{Account: v.account.ID, Mode: v.mode}
	if _, known := statusWords[payment.Status(a.Status)]; known {
		f.Status = payment.Status(a.Status)
	}
	if c, err := money.ParseCurrency(strings.ToUpper(a.Currency)); err == nil {
		f.Currency = c
	}
	if t, err := time.Parse(time.DateOnly, a.From); err == nil {
		f.From = t
	}
	if t, err := time.Parse(time.DateOnly, a.To); err == nil {
		f.To = t.AddDate(0, 0, 1) // the day itself is meant too
	}
	if at, last, ok := strings.Cut(a.Before, "."); ok && id.Valid(id.Payment, last) {
		if micro, err := strconv.ParseInt(at, 10, 64); err == nil {
			f.BeforeTime, f.BeforeID = time.UnixMicro(micro).UTC(), last
		}
	}
	return f
}

// cursorOf is where the list goes on after a payment.
func cursorOf(p payment.Payment) string {
	return fmt.Sprintf("%d.%s", p.CreatedAt.UnixMicro(), p.ID)
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
	f := v.filter(a)
	if id.Valid(id.Payment, a.Q) {
		p, err := v.d.Payments.GetPayment(v.Context(), v.account.ID, a.Q)
		if err != nil && fault.KindOf(err) != fault.KindNotFound {
			return found{}, err
		}
		if err != nil || p.Mode != v.mode {
			return found{}, nil
		}
		return found{Payments: []payment.Payment{p}}, nil
	}
	if a.Q == "" && f.Status == "" && f.Currency == "" {
		f.Limit = limit + 1
		items, err := v.d.Payments.ListPayments(v.Context(), f)
		return pageOf(items, limit), err
	}
	q := report.Query{Account: f.Account, Mode: f.Mode, Text: a.Q, Status: f.Status, Currency: f.Currency, From: f.From, To: f.To, Before: a.Before, Limit: limit}
	page, err := v.d.Reports.Search(v.Context(), q)
	if fault.Code(err) == "cursor_invalid" { // as with all that makes no sense here
		q.Before = ""
		page, err = v.d.Reports.Search(v.Context(), q)
	}
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
	return payment.Payment{ID: row.ID, Account: row.Account, Mode: row.Mode, Link: row.Link, Issuer: row.Issuer, Realm: row.Realm, Reference: row.Reference,
		PayerName: row.PayerName, PayerEmail: row.PayerEmail, CardBrand: row.CardBrand, CardLast4: row.CardLast4, DeclineCode: row.Decline, Status: row.Status,
		Amount: row.Amount, CapturedMinor: row.Captured, RefundedMinor: row.Refunded, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, Revision: row.Seq}
}

func pageOf(items []payment.Payment, limit int) found {
	if len(items) <= limit {
		return found{Payments: items}
	}
	return found{Payments: items[:limit], Next: cursorOf(items[limit-1])}
}

// linkOf reads the link of a payment; the zero one when it is not there any more.
func (v *visit) linkOf(p payment.Payment) (link.Link, error) {
	l, err := v.d.Links.Get(v.Context(), v.account.ID, v.mode, p.Link)
	if err != nil && fault.KindOf(err) == fault.KindNotFound {
		return link.Link{}, nil
	}
	return l, err
}
