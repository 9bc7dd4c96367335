package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

func paymentRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/{mode}/payments", room: "payments", handle: (*Dashboard).listPayments},
		{method: http.MethodGet, path: "/dashboard/{mode}/payments.csv", room: "payments", handle: (*Dashboard).exportPayments},
		{method: http.MethodGet, path: "/dashboard/{mode}/payments/{id}", room: "payments", handle: (*Dashboard).showPayment},
		{method: http.MethodGet, path: "/dashboard/{mode}/payments/{id}/refund", room: "payments", handle: (*Dashboard).askRefund},
		{method: http.MethodPost, path: "/dashboard/{mode}/payments/{id}/refund", room: "payments", handle: (*Dashboard).refund},
		{method: http.MethodGet, path: "/dashboard/{mode}/payments/{id}/capture", room: "payments", handle: (*Dashboard).askCapture},
		{method: http.MethodPost, path: "/dashboard/{mode}/payments/{id}/capture", room: "payments", handle: (*Dashboard).capture},
		{method: http.MethodGet, path: "/dashboard/{mode}/payments/{id}/void", room: "payments", handle: (*Dashboard).askVoid},
		{method: http.MethodPost, path: "/dashboard/{mode}/payments/{id}/void", room: "payments", handle: (*Dashboard).void},
	}
}

// paymentsView is the list with what narrows it.
type paymentsView struct {
	Head     head
	Action   string // of the filters' form
	Asked    asked
	Problems problems
	Dates    datesView
	Statuses []option
	Moneys   []option
	Clear    string
	Cut      bool
	Live     string // where the script asks what is new; "" on older pages
	News     string // what a screen reader hears when there is something new
	Table    table
}

// listPayments shows a page of payments. The first page follows what is new: the
// script asks again with a digest of what it shows, and hears nothing (204) while
// that is still so.
func (d *Dashboard) listPayments(v *visit) error {
	r := v.reads()
	a, err := readAsked(r)
	if err != nil {
		return err
	}
	seen, since := r.text("seen"), r.text("since")
	wrong := r.end()
	var items found
	if len(wrong) == 0 {
		items, err = v.findPayments(a, pageSize)
		switch {
		case fault.Code(err) == "cursor_invalid":
			r.wrong("", "common.query.page")
			wrong = r.problems
		case err != nil:
			return err
		}
	}
	now := digest(items.Payments)
	if v.partial() && seen == now && len(wrong) == 0 {
		v.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	p := paymentsView{Problems: wrong, Dates: v.datesView(a.dates, v.path("payments"), a.others(), wrong, presets[:6]...), Cut: items.Cut, Action: v.path("payments"), Asked: a, Clear: v.path("payments"), Statuses: v.statusOptions(), Moneys: v.currencyOptions(),
		Head: head{Title: v.print.T("payments.title"), Lead: v.print.T("payments.lead"), Actions: []button{
			{Text: v.print.T("links.new"), Href: v.path("links", "new"), Kind: "primary", Icon: "plus"}}}}
	p.Table = v.paymentTable(items, a, since)
	if len(wrong) > 0 {
		p.Table.Empty = v.unshown(p.Clear)
	} else if a.Before == "" {
		p.Live = v.path("payments") + liveQuery(a, now, a.now)
		if fresh := freshOnes(items.Payments, since); fresh > 0 {
			p.News = v.print.N("payments.news", fresh)
		}
	}
	if v.partial() {
		return v.render(statusFor(wrong), p.Head.Title, paymentsLive(p))
	}
	return v.render(statusFor(wrong), p.Head.Title, paymentsPage(p))
}

func liveQuery(a asked, seen string, now time.Time) string {
	q := a.query("")
	if q == "" {
		q = "?"
	} else {
		q += "&"
	}
	return fmt.Sprintf("%sseen=%s&since=%d", q, seen, now.UnixMilli())
}

// digest names what a list shows, to the revision.
func digest(items []payment.Payment) string {
	h := sha256.New()
	for _, p := range items {
		_, _ = fmt.Fprintf(h, "%s %d %d\n", p.ID, p.Revision, p.UpdatedAt.UnixMilli())
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func freshOnes(items []payment.Payment, since string) int {
	n := 0
	for _, p := range items {
		if isFresh(p, since) {
			n++
		}
	}
	return n
}

func (v *visit) paymentTable(items found, a asked, since string) table {
	t := paymentRows(v, items.Payments, since)
	t.Caption, t.CaptionHidden, t.CSV = v.print.T("payments.title"), true, v.path("payments.csv")+a.query("")
	t.Empty = empty{Icon: "card", Headline: v.print.T("payments.none"), Lead: v.print.T("payments.noneLead"), Actions: []button{
		{Text: v.print.T("links.new"), Href: v.path("links", "new"), Kind: "primary", Icon: "plus"}}}
	if a.filtered() || a.Before != "" {
		t.Empty = empty{Icon: "search", Headline: v.print.T("payments.noHit"), Lead: v.print.T("payments.noHitLead"), Actions: []button{
			{Text: v.print.T("payments.clear"), Href: v.path("payments")}}}
	}
	if a.Before != "" {
		t.Pager.Newest = v.path("payments") + a.query("")
	}
	if items.Next != "" {
		t.Pager.Older = v.path("payments") + a.query(items.Next)
	}
	return t
}

// statusOptions are the statuses to filter by, those that are met most first.
func (v *visit) statusOptions() []option {
	out := []option{{"", v.print.T("payments.all")}}
	for _, s := range []payment.Status{payment.Succeeded, payment.Authorized, payment.Declined, payment.Refunded, payment.PartiallyRefunded, payment.Processing,
		payment.RequiresAction, payment.Unknown, payment.Late, payment.Review, payment.CanceledS, payment.Created} {
		out = append(out, option{string(s), statusBadge(v, s).Text})
	}
	return out
}

// currencyOptions are those of the account's payment methods.
func (v *visit) currencyOptions() []option {
	out := []option{{"", v.print.T("payments.all")}}
	for _, c := range v.currencies() {
		out = append(out, option{string(c), string(c)})
	}
	return out
}

// currencies of the account's payment methods, each once, in their order.
func (v *visit) currencies() []money.Currency {
	seen := map[money.Currency]bool{}
	var out []money.Currency
	for _, m := range v.account.Methods {
		for _, c := range m.Currencies {
			if !seen[c] {
				seen[c] = true
				out = append(out, c)
			}
		}
	}
	return out
}

// exportPayments is the list that is asked for, whole, as a table for a spreadsheet.
func (d *Dashboard) exportPayments(v *visit) error {
	r := v.reads()
	a, err := readAsked(r)
	if err != nil {
		return err
	}
	if wrong := r.end(); wrong != nil {
		return v.refuse(wrong, v.path("payments"))
	}
	a.Before = ""
	return v.csv("payments", payment.CSVHeader, v.everyPayment(a))
}

// everyPayment goes through all that was asked, a page in memory at a time. A row of
// the reports lacks some columns: its payment is read.
func (v *visit) everyPayment(a asked) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		for {
			items, err := v.findPayments(a, exportPage)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, p := range items.Payments {
				if p.Issuer == "" {
					if p, err = v.d.Payments.GetPayment(v.Context(), v.account.ID, p.ID); err != nil {
						yield(nil, err)
						return
					}
				}
				if !yield(payment.CSVRow(payment.Object(p)), nil) {
					return
				}
			}
			if items.Next == "" {
				return
			}
			a.Before = items.Next
		}
	}
}
