package api

import (
	"encoding/csv"
	"net/http"

	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// exportPage is the number of payments in memory at a time.
const exportPage = 500

// exportPayments streams the history page by page. After the first page the status can
// no longer change, so an error aborts the connection: a file that ends normally is
// complete.
func (a *API) exportPayments(q *request) {
	f, err := a.paymentFilter(q)
	if err != nil {
		a.fail(q.w, q.Request, err)
		return
	}

	f.Limit = exportPage
	items, err := a.Payments.ListPayments(q.Context(), f)
	if err != nil {
		a.fail(q.w, q.Request, err)
		return
	}

	if q.Method != http.MethodHead {
		if err := a.Merchants.Exported(q.Context(), q.caller.account, "payments"); err != nil {
			a.fail(q.w, q.Request, err)
			return
		}
	}

	h := q.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", `attachment; filename="payments.csv"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if q.Method == http.MethodHead {
		return
	}

	// From here on the status is 200, whatever happens.
	out := csv.NewWriter(q.w)
	out.UseCRLF = true // RFC 4180
	flush := http.NewResponseController(q.w)
	err = out.Write(payment.CSVHeader)
	for err == nil {
		for _, p := range items {
			if err = out.Write(csvRow(payment.Object(p))); err != nil {
				break
			}
		}
		out.Flush()
		if err = out.Error(); err != nil || len(items) < exportPage {
			break
		}
		_ = flush.Flush() // a writer that cannot flush sends when its buffer is full
		last := items[len(items)-1]
		f.BeforeTime, f.BeforeID = last.CreatedAt, last.ID
		items, err = a.Payments.ListPayments(q.Context(), f)
	}

	if err != nil {
		a.Log.WarnContext(q.Context(), "an export was cut off", "requestId", problem.RequestID(q.Context()), "error", err.Error())
		panic(http.ErrAbortHandler)
	}
}

// csvRow returns the cells of a payment, each safe to open in a spreadsheet, because payers
// choose their names.
func csvRow(o payment.PaymentObject) []string {
	row := payment.CSVRow(o)
	for i, cell := range row {
		row[i] = spelling.Cell(cell)
	}
	return row
}
