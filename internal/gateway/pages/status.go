package pages

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// statusAnswer is the JSON of the status, and the data of each live event.
type statusAnswer struct {
	Link    linkState     `json:"link"`
	Payment *paymentState `json:"payment"` // null: none yet, or not the reader's to see
}

// linkState is what a payer's program sees of the link.
type linkState struct {
	ID              string `json:"id"`
	Status          string `json:"status"`
	ExpiresAt       string `json:"expiresAt"`
	UnpayableReason string `json:"unpayableReason,omitempty"`
}

// paymentState is what a payer's program sees of the payment. ActionURL is absolute, and
// present only while the payer must act.
type paymentState struct {
	ID        string        `json:"id"`
	Status    string        `json:"status"`
	Final     bool          `json:"final"` // nothing more to wait for
	Amount    string        `json:"amount"`
	Currency  string        `json:"currency"`
	Decline   *declineState `json:"decline,omitempty"`
	ActionURL string        `json:"actionUrl,omitempty"`
	UpdatedAt string        `json:"updatedAt"`
}

// declineState is why a payment was declined, as a payer may know it.
type declineState struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// answer returns the status as JSON shows it. Without a payment, found is false.
func (p *Pages) answer(l link.Link, pay payment.Payment, found bool) statusAnswer {
	state := l.Status(p.now())
	a := statusAnswer{
		Link: linkState{ID: l.ID, Status: state, ExpiresAt: link.FormatTime(l.ExpiresAt), UnpayableReason: link.UnpayableReason(state)},
	}
	if !found {
		return a
	}

	a.Payment = &paymentState{
		ID: pay.ID, Status: string(pay.Status.Public()), Final: final(pay),
		Amount: pay.Amount.Decimal(), Currency: string(pay.Amount.Currency),
		ActionURL: p.actionURL(pay), UpdatedAt: link.FormatTime(pay.UpdatedAt),
	}
	if pay.Status == payment.Declined {
		a.Payment.Decline = &declineState{Code: publicDeclineCode(pay), Message: declineWords(i18n.For("en"), publicDeclineCode(pay))}
	}
	return a
}

// find returns the payment that the reader asks about: that of the attempt, or on a link
// that is paid once, the latest. On a link with several uses nobody sees another payer's
// payment.
func (p *Pages) find(ctx context.Context, l link.Link, attempt string) (payment.Payment, bool, error) {
	switch {
	case attempt != "":
		return p.payments.ByAttempt(ctx, l, attempt)
	case l.MaxUses == 1:
		return p.payments.Latest(ctx, l)
	}
	return payment.Payment{}, false, nil
}

// status serves the status of a payment as a page, as JSON, or as a stream of JSON,
// whichever the reader accepts. It changes nothing.
func (p *Pages) status(w http.ResponseWriter, r *http.Request) {
	kind := accepts(r, "application/json", "text/html", "text/event-stream")
	w.Header().Add("Vary", "Accept")
	attempt := r.URL.Query().Get("attempt")
	// An invalid attempt is refused before the link is opened, so it costs no read.
	if attempt != "" {
		if err := checkAttempt(attempt); err != nil {
			if kind == "text/html" {
				p.failPage(w, r, err)
			} else {
				p.fail(w, r, err)
			}
			return
		}
	}

	l, ok := p.open(w, r, kind == "text/html")
	if !ok {
		return
	}
	if kind == "text/event-stream" {
		p.stream(w, r, l, attempt)
		return
	}

	pay, found, err := p.find(r.Context(), l, attempt)
	switch {
	case err != nil && kind == "text/html":
		p.failPage(w, r, err)
	case err != nil:
		p.fail(w, r, err)
	case kind == "text/html" && found:
		p.html(w, r, http.StatusOK, statusPage(p.paymentView(r, l, pay, attempt)))
	case kind == "text/html":
		p.html(w, r, http.StatusOK, statusPage(p.linkView(r, l, l.Status(p.now()), nil)))
	default:
		p.json(w, r, p.answer(l, pay, found))
	}
}

// conflictView returns the page of a refusal whose reason the link itself does not show
// yet.
func (p *Pages) conflictView(r *http.Request, l link.Link, f *fault.Error) statusView {
	state := strings.TrimPrefix(f.Code, "link_")
	switch state {
	case link.Paid, link.Paying, link.Canceled, link.Expired:
		return p.linkView(r, l, state, nil)
	}

	v := p.linkView(r, l, link.Open, nil)
	say := printer(r)
	v.Headline, v.Lead, v.Tone = say.T("pay.failed"), detailOr(say, f, say.T("pay.failed.lead")), "bad"
	v.Title, v.Primary.Text = v.Headline, say.T("pay.failed.again")
	return v
}

// accepts returns the kind that the Accept header prefers, or the first of kinds if it
// prefers none.
func accepts(r *http.Request, kinds ...string) string {
	best, bestQ := kinds[0], 0.0
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		media, params, _ := strings.Cut(part, ";")
		media = strings.ToLower(strings.TrimSpace(media))
		q := 1.0
		for param := range strings.SplitSeq(params, ";") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(param), "q="); ok {
				if f, err := strconv.ParseFloat(v, 64); err == nil {
					q = f
				}
			}
		}
		for _, k := range kinds {
			if media == k && q > bestQ {
				best, bestQ = k, q
			}
		}
	}

	return best
}
