package payments

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Routes returns the section's pages and changes.
func (d *Pages) Routes() []frame.Route {
	return []frame.Route{
		frame.Get("/dashboard/{mode}/payments", "payments", d.on((*Pages).listPayments)),
		frame.Get("/dashboard/{mode}/payments.csv", "payments", d.on((*Pages).exportPayments)),
		frame.Get("/dashboard/{mode}/payments/{id}", "payments", d.on((*Pages).showPayment)),
		frame.Get("/dashboard/{mode}/payments/{id}/refund", "payments", d.on((*Pages).askRefund)),
		frame.Post("/dashboard/{mode}/payments/{id}/refund", "payments", d.on((*Pages).refund)),
		frame.Get("/dashboard/{mode}/payments/{id}/capture", "payments", d.on((*Pages).askCapture)),
		frame.Post("/dashboard/{mode}/payments/{id}/capture", "payments", d.on((*Pages).capture)),
		frame.Get("/dashboard/{mode}/payments/{id}/void", "payments", d.on((*Pages).askVoid)),
		frame.Post("/dashboard/{mode}/payments/{id}/void", "payments", d.on((*Pages).void)),
	}
}

// paymentsView is the list with what narrows it.
type paymentsView struct {
	Head     parts.Head
	Action   string // of the filters' form
	Asked    asked
	Problems parts.Problems
	Dates    frame.DatesView
	Statuses []parts.Option
	Moneys   []parts.Option
	Clear    string
	Cut      bool
	Live     string // where the script asks what is new; "" on older pages
	News     string // what a screen reader hears when there is something new
	Table    parts.Table
}

// listPayments shows a page of payments. The first page follows what is new: the
// script asks again with a digest of what it shows, and hears nothing (204) while
// that is still so.
func (d *Pages) listPayments(v *visit) error {
	r := v.Reads()
	a, err := readAsked(r)
	if err != nil {
		return err
	}
	seen, since := r.Text("seen"), r.Text("since")
	wrong := r.End()
	var items found
	if len(wrong) == 0 {
		items, err = v.findPayments(a, frame.PageSize)
		switch {
		case fault.Code(err) == "cursor_invalid":
			r.Wrong("", "common.query.page")
			wrong = r.Problems
		case err != nil:
			return err
		}
	}
	now := digest(items.Payments)
	if v.Partial() && seen == now && len(wrong) == 0 {
		v.Writer.WriteHeader(http.StatusNoContent)
		return nil
	}
	p := paymentsView{
		Problems: wrong,
		Dates:    v.DatesView(a.Dates, v.Path("payments"), a.others(), wrong, frame.Presets[:6]...),
		Cut:      items.Cut,
		Action:   v.Path("payments"),
		Asked:    a,
		Clear:    v.Path("payments"),
		Statuses: v.statusOptions(),
		Moneys:   v.currencyOptions(),
		Head: parts.Head{Title: v.Print.T("payments.title"), Lead: v.Print.T("payments.lead"), Actions: []parts.Button{
			{Text: v.Print.T("links.new"), Href: v.Path("links", "new"), Kind: "primary", Icon: "plus"}}},
	}
	p.Table = v.paymentTable(items, a, since)
	if len(wrong) > 0 {
		p.Table.Empty = v.Unshown(p.Clear)
	} else if a.Before == "" {
		p.Live = v.Path("payments") + liveQuery(a, now, a.Now)
		if fresh := freshOnes(items.Payments, since); fresh > 0 {
			p.News = v.Print.N("payments.news", fresh)
		}
	}
	if v.Partial() {
		return v.Render(frame.StatusFor(wrong), p.Head.Title, paymentsLive(p))
	}
	return v.Render(frame.StatusFor(wrong), p.Head.Title, paymentsPage(p))
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
		if slip.Fresh(p, since) {
			n++
		}
	}
	return n
}

func (v *visit) paymentTable(items found, a asked, since string) parts.Table {
	t := slip.Table(v.Visit, items.Payments, since)
	t.Caption, t.CaptionHidden, t.CSV = v.Print.T("payments.title"), true, v.Path("payments.csv")+a.query("")
	t.Empty = parts.Empty{Icon: "card", Headline: v.Print.T("payments.none"), Lead: v.Print.T("payments.noneLead"), Actions: []parts.Button{
		{Text: v.Print.T("links.new"), Href: v.Path("links", "new"), Kind: "primary", Icon: "plus"}}}
	if a.filtered() || a.Before != "" {
		t.Empty = parts.Empty{
			Icon:     "search",
			Headline: v.Print.T("payments.noHit"),
			Lead:     v.Print.T("payments.noHitLead"),
			Actions: []parts.Button{
				{Text: v.Print.T("payments.clear"), Href: v.Path("payments")}},
		}
	}
	if a.Before != "" {
		t.Pager.Newest = v.Path("payments") + a.query("")
	}
	if items.Next != "" {
		t.Pager.Older = v.Path("payments") + a.query(items.Next)
	}
	return t
}

// statusOptions are the statuses to filter by, those that are met most first.
func (v *visit) statusOptions() []parts.Option {
	out := []parts.Option{{Value: "", Text: v.Print.T("payments.all")}}
	for _, s := range []payment.Status{payment.Succeeded, payment.Authorized, payment.Declined, payment.Refunded,
		payment.PartiallyRefunded, payment.Processing,
		payment.RequiresAction, payment.Unknown, payment.Late, payment.Review, payment.Canceled, payment.Created} {
		out = append(out, parts.Option{Value: string(s), Text: slip.Badge(v.Visit, s).Text})
	}
	return out
}

// currencyOptions are those of the account's payment methods.
func (v *visit) currencyOptions() []parts.Option {
	out := []parts.Option{{Value: "", Text: v.Print.T("payments.all")}}
	for _, c := range v.currencies() {
		out = append(out, parts.Option{Value: string(c), Text: string(c)})
	}
	return out
}

// currencies of the account's payment methods, each once, in their order.
func (v *visit) currencies() []money.Currency {
	seen := map[money.Currency]bool{}
	var out []money.Currency
	for _, m := range v.Account.Methods {
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
func (d *Pages) exportPayments(v *visit) error {
	r := v.Reads()
	a, err := readAsked(r)
	if err != nil {
		return err
	}
	if wrong := r.End(); wrong != nil {
		return v.Refuse(wrong, v.Path("payments"))
	}
	a.Before = ""
	return v.CSV("payments", payment.CSVHeader, v.everyPayment(a))
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
					if p, err = v.d.Payments.GetPayment(v.Context(), v.Account.ID, p.ID); err != nil {
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
