// Package slip shows a payment wherever it appears: its status, its payer, its row of a
// list, its transfers, and the pages that ask before something is done with it.
package slip

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// statusWords are the statuses that callers see, with their words and tone.
var statusWords = map[payment.Status]struct{ key, tone string }{
	payment.Created:           {"payments.status.created", "quiet"},
	payment.RequiresAction:    {"payments.status.requiresAction", "wait"},
	payment.Processing:        {"payments.status.processing", "wait"},
	payment.Unknown:           {"payments.status.unknown", "wait"},
	payment.Authorized:        {"payments.status.authorized", "accent"},
	payment.Succeeded:         {"payments.status.succeeded", "good"},
	payment.PartiallyRefunded: {"payments.status.partiallyRefunded", "accent"},
	payment.Refunded:          {"payments.status.refunded", "quiet"},
	payment.Declined:          {"payments.status.declined", "bad"},
	payment.Canceled:          {"payments.status.canceled", "quiet"},
	payment.Late:              {"payments.status.late", "wait"},
	payment.Review:            {"payments.status.review", "bad"},
}

// Badge returns a status in words; an unknown one is shown by its name.
func Badge(v *frame.Visit, s payment.Status) parts.Badge {
	w, ok := statusWords[s.Public()]
	if !ok {
		return parts.Badge{Text: string(s), Tone: "quiet"}
	}
	return parts.Badge{Text: v.Print.T(w.key), Tone: w.tone}
}

// Known reports whether callers may see a status.
func Known(s payment.Status) bool {
	_, ok := statusWords[s]
	return ok
}

// CardName returns a card's brand as the brand writes itself.
func CardName(brand string) string {
	switch brand {
	case "":
		return ""
	case "amex":
		return "American Express"
	case "jcb":
		return "JCB"
	}
	return strings.ToUpper(brand[:1]) + brand[1:]
}

// IssuerName returns the display name of an issuer.
func IssuerName(name string) string {
	if name == "simulator" {
		return "Simulator"
	}
	return name
}

// Fresh reports whether a payment was created after a time in milliseconds since 1970, at
// which the list was shown before. An invalid time reports false.
func Fresh(p payment.Payment, since string) bool {
	var ms int64
	if _, err := fmt.Sscanf(since, "%d", &ms); err != nil || ms <= 0 {
		return false
	}
	return p.CreatedAt.UnixMilli() > ms
}

// Cursor returns where the list continues after a payment.
func Cursor(p payment.Payment) string {
	return fmt.Sprintf("%d.%s", p.CreatedAt.UnixMicro(), p.ID)
}

// Table returns a table of payments. The page adds its caption, its pages and what it shows
// without rows. A row that came after since, in milliseconds since 1970, is marked.
func Table(v *frame.Visit, items []payment.Payment, since string) parts.Table {
	t := parts.Table{
		ID: "payment-table",
		Columns: []parts.Column{
			{Label: v.Print.T("payments.amount")},
			{Label: v.Print.T("payments.status")},
			{Label: v.Print.T("payments.payer")},
			{Label: v.Print.T("payments.reference")},
			{Label: v.Print.T("payments.date"), Number: true},
		},
	}
	for _, p := range items {
		row := parts.Row{ID: p.ID, Href: v.Path("payments", p.ID), Fresh: Fresh(p, since),
			Cells: []templ.Component{
				parts.Sum(p.Amount),
				parts.BadgePart(Badge(v, p.Status)),
				PayerCell(p),
				parts.Text(p.Reference),
				parts.When(p.CreatedAt),
			}}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// TransferCells returns a transfer as cells: its kind, and what it changes of the
// merchant's available and pending balance.
func TransferCells(v *frame.Visit, account string, t ledger.Transfer, at time.Time) []templ.Component {
	available, pending := t.Effect(account)
	return []templ.Component{
		parts.Text(transferWords(v, t)),
		moved(money.Of(available, t.Currency)),
		moved(money.Of(pending, t.Currency)),
		parts.When(at),
	}
}

// transferWords returns the kind of a transfer; a refund's also depends on its phase.
func transferWords(v *frame.Visit, t ledger.Transfer) string {
	switch t.Kind {
	case ledger.KindAuthorize:
		return v.Print.T("balance.authorise")
	case ledger.KindCapture:
		return v.Print.T("balance.capture")
	case ledger.KindRelease:
		return v.Print.T("balance.release")
	case ledger.KindRefund:
		switch t.Phase {
		case ledger.Pending:
			return v.Print.T("balance.refundHeld")
		case ledger.Posted:
			return v.Print.T("balance.refund")
		default: // voided or expired
			return v.Print.T("balance.refundBack")
		}
	}
	return fmt.Sprint(t.Kind)
}

// signed returns a change of a balance, with a plus sign if it is one.
func signed(ctx context.Context, a money.Amount) string {
	if a.Minor > 0 {
		return "+" + parts.AmountText(ctx, a)
	}
	return parts.AmountText(ctx, a)
}
