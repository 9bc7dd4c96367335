package dashboard

import (
	"net/http"

	"github.com/paylink/paylink/internal/payment"
)

func paymentRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/dashboard/{mode}/payments", room: "payments", handle: (*Dashboard).listPayments},
	}
}

func (d *Dashboard) listPayments(v *visit) error {
	_, err := d.Payments.ListPayments(v.Context(), payment.Filter{Account: v.account.ID, Mode: v.mode, Limit: pageSize + 1})
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, v.print.T("payments.title"), pageHeader(head{Title: v.print.T("payments.title")}))
}
