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

// Bounds of a search.
const (
	maxQueryBytes   = report.MaxText
	maxSearchRounds = 20 // short pages of the reports for one of ours
	exportPage      = 100
	movesPage       = 500
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
// last.
type found struct {
	Payments []payment.Payment
	Next     string
}

// findPayments reads a page of what was asked. It is the one place that knows how
// payments are searched: an id, a link and the plain list through the reader, which
// is never behind; words, statuses and currencies through the reports, which find
// them among millions, and are behind by their consumer's lag.
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
	if id.Valid(id.Link, a.Q) {
		f.Link, a.Q = a.Q, ""
	}
	if f.Link == "" && (a.Q != "" || f.Status != "" || f.Currency != "") {
		return v.searchPayments(f, a, limit)
	}
	f.Limit = limit + 1
	items, err := v.d.Payments.ListPayments(v.Context(), f)
	return pageOf(items, limit), err
}

func pageOf(items []payment.Payment, limit int) found {
	if len(items) <= limit {
		return found{Payments: items}
	}
	return found{Payments: items[:limit], Next: cursorOf(items[limit-1])}
}

// searchPayments asks the reports. A page of theirs may be short and go on: a few
// are asked for, and then the reader goes on by the button.
func (v *visit) searchPayments(f payment.Filter, a asked, limit int) (found, error) {
	q := report.Query{Account: f.Account, Mode: f.Mode, Text: a.Q, Status: f.Status, Currency: f.Currency, From: f.From, To: f.To, Before: a.Before}
	var out found
	for range maxSearchRounds {
		q.Limit = limit - len(out.Payments)
		page, err := v.d.Reports.Search(v.Context(), q)
		if fault.Code(err) == "cursor_invalid" && q.Before != "" {
			q.Before = "" // of another list: begin again
			continue
		}
		if err != nil {
			return found{}, err
		}
		for _, row := range page.Payments {
			out.Payments = append(out.Payments, rowOf(row))
		}
		if out.Next = page.Next; out.Next == "" || len(out.Payments) >= limit {
			break
		}
		q.Before = page.Next
	}
	return out, nil
}

// rowOf is what a list shows of a payment.
func rowOf(r report.Payment) payment.Payment {
	return payment.Payment{ID: r.ID, Account: r.Account, Mode: r.Mode, Link: r.Link, Realm: r.Realm, Reference: r.Reference, PayerName: r.PayerName, PayerEmail: r.PayerEmail,
		CardBrand: r.CardBrand, CardLast4: r.CardLast4, DeclineCode: r.Decline, Status: r.Status, Amount: r.Amount, CapturedMinor: r.Captured, RefundedMinor: r.Refunded,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Revision: r.Seq}
}

// linkOf reads the link of a payment; the zero one when it is not there any more.
func (v *visit) linkOf(p payment.Payment) (link.Link, error) {
	l, err := v.d.Links.Get(v.Context(), v.account.ID, v.mode, p.Link)
	if err != nil && fault.KindOf(err) == fault.KindNotFound {
		return link.Link{}, nil
	}
	return l, err
}
