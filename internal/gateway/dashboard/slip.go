package dashboard

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/a-h/templ"

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
	payment.CanceledS:         {"payments.status.canceled", "quiet"},
	payment.Late:              {"payments.status.late", "wait"},
	payment.Review:            {"payments.status.review", "bad"},
}

// statusBadge is a status in words; one that is not known is shown by its name.
func statusBadge(v *visit, s payment.Status) badge {
	w, ok := statusWords[s.Public()]
	if !ok {
		return badge{string(s), "quiet"}
	}
	return badge{v.print.T(w.key), w.tone}
}

// statusKnown reports whether callers may see a status.
func statusKnown(s payment.Status) bool {
	_, ok := statusWords[s]
	return ok
}

// cardName is how a card's brand is written.
func cardName(brand string) string {
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

// issuerName is how an issuer is called here.
func issuerName(name string) string {
	if name == "simulator" {
		return "Simulator"
	}
	return name
}

// isFresh reports whether a payment came after the list was shown before.
func isFresh(p payment.Payment, since string) bool {
	var ms int64
	if _, err := fmt.Sscanf(since, "%d", &ms); err != nil || ms <= 0 {
		return false
	}
	return p.CreatedAt.UnixMilli() > ms
}

// cursorOf is where the list goes on after a payment.
func cursorOf(p payment.Payment) string {
	return fmt.Sprintf("%d.%s", p.CreatedAt.UnixMicro(), p.ID)
}

// paymentRows is a table of payments, which the page gives its caption, its pages and
// what it says without rows. A row that came after since, in milliseconds, is marked.
func paymentRows(v *visit, items []payment.Payment, since string) table {
	t := table{ID: "payment-table", Columns: []column{{Label: v.print.T("payments.amount")}, {Label: v.print.T("payments.status")}, {Label: v.print.T("payments.payer")},
		{Label: v.print.T("payments.reference")}, {Label: v.print.T("payments.date"), Number: true}}}
	for _, p := range items {
		row := tableRow{ID: p.ID, Href: v.path("payments", p.ID), Fresh: isFresh(p, since),
			Cells: []templ.Component{sum(p.Amount), badgePart(statusBadge(v, p.Status)), payerCell(p), text(p.Reference), when(p.CreatedAt)}}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// transferCells tells a transfer by what it does to the merchant's funds.
func transferCells(v *visit, account string, t ledger.Transfer, at time.Time) []templ.Component {
	available, pending := t.Effect(account)
	return []templ.Component{text(transferWords(v, t)), moved(money.Of(available, t.Currency)), moved(money.Of(pending, t.Currency)), when(at)}
}

func transferWords(v *visit, t ledger.Transfer) string {
	switch t.Kind {
	case ledger.KindAuthorise:
		return v.print.T("balance.authorise")
	case ledger.KindCapture:
		return v.print.T("balance.capture")
	case ledger.KindRelease:
		return v.print.T("balance.release")
	case ledger.KindRefund:
		switch t.Phase {
		case ledger.Pending:
			return v.print.T("balance.refundHeld")
		case ledger.Posted:
			return v.print.T("balance.refund")
		}
		return v.print.T("balance.refundBack")
	}
	return fmt.Sprint(t.Kind)
}

// signed is a change of a balance.
func signed(ctx context.Context, a money.Amount) string {
	if a.Minor > 0 {
		return "+" + amountText(ctx, a)
	}
	return amountText(ctx, a)
}
