package webhooks

import (
	"net/http"
	"time"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
)

// bulkForm is the form that selects what is sent again.
type bulkForm struct {
	Head     parts.Head
	Action   string
	Attempt  string
	Filter   deliveryFilter
	Statuses []parts.Option
	Types    []parts.Option
	Back     string
	Problems parts.Problems
}

// askRedeliverAll shows the form with the filter of the list, or with parked deliveries if
// it has none.
func (d *Pages) askRedeliverAll(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}

	r := v.Reads()
	f, err := readDeliveries(r)
	if err != nil {
		return err
	}
	if wrong := r.End(); wrong != nil {
		return v.Refuse(wrong, v.Path("webhooks", e.ID, "redeliver"))
	}
	// Parked deliveries are those that nothing sends again by itself.
	if f.Status == "" {
		f.Status = string(notify.DeadLetter)
	}
	return v.bulkForm(http.StatusOK, e, bulkForm{Filter: f, Attempt: frame.NewAttempt()})
}

// bulkForm renders the form, as it was filled in.
func (v *visit) bulkForm(status int, e notify.Endpoint, f bulkForm) error {
	p := v.Print
	f.Back = v.Path("webhooks", e.ID)
	f.Head = parts.Head{
		Title: p.T("webhooks.bulk"),
		Lead:  p.T("webhooks.bulkLead"),
		Back:  parts.Button{Text: p.T("webhooks.toDeliveries"), Href: f.Back},
	}
	f.Action = v.Path("webhooks", e.ID, "redeliver")
	// Pending deliveries cannot be chosen: they are about to be sent anyway.
	f.Statuses = v.deliveryOptions(parts.Option{}, notify.DeadLetter, notify.Failed, notify.Succeeded)
	f.Types = v.eventOptions(parts.Option{Value: "", Text: p.T("webhooks.any")})
	return v.Render(status, f.Head.Title, bulkFormPage(f))
}

// redeliverAll begins a bulk redelivery, once, and shows its progress.
func (d *Pages) redeliverAll(v *visit) error {
	in, err := v.Posted()
	if err != nil {
		return err
	}

	e, err := v.endpoint()
	if err != nil {
		return err
	}

	f := deliveryFilter{Status: in.Get("status"), Type: in.Get("type"), Dates: frame.Dates{From: in.Get("from"), To: in.Get("to")}}
	// The days are days of the account's time zone, as in the list.
	within, err := calendar.ParsePeriod(f.From, f.To, v.Account.Zone())
	if err != nil {
		return v.bulkForm(
			http.StatusUnprocessableEntity,
			e,
			bulkForm{Filter: f, Attempt: frame.NewAttempt(), Problems: parts.Problems{v.DayProblem(err, f.From, f.To)}},
		)
	}

	want := notify.Filter{Status: notify.Status(f.Status), EventType: f.Type, From: within.From, To: within.To}

	// The record is part of the commit that begins the redelivery, so a form that is sent
	// twice begins one.
	var r notify.Redelivery
	replayed, err := v.Once(d.Records, "redelivery", func(t *idempotency.Ticket) (err error) {
		r, err = d.Webhooks.RedeliverAll(v.Context(), v.Account.ID, v.Mode, e.ID, want, t)
		return err
	})
	if err != nil {
		if wrong := v.Problems(err); wrong != nil {
			return v.bulkForm(http.StatusUnprocessableEntity, e, bulkForm{Filter: f, Attempt: frame.NewAttempt(), Problems: wrong})
		}
		return err
	}
	if replayed != nil {
		if r.ID, err = frame.RecordedID(replayed); err != nil {
			return err
		}
	}

	return v.Redirect(v.Path("webhooks", e.ID, "redeliveries", r.ID), "", "")
}

// bulkView is the progress of a bulk redelivery.
type bulkView struct {
	Head     parts.Head
	Href     string
	Live     string // where a newer state is fetched; "" when it has ended
	Badge    parts.Badge
	Why      string
	Progress parts.Progress
	Facts    []parts.Fact
	Cancel   string // "" when it has ended
	At       time.Time
	Running  bool
}

// bulkWords has the words and the tone of each state.
var bulkWords = map[notify.RedeliveryState]struct{ key, tone string }{
	notify.Running: {"webhooks.bulkRunning", "wait"}, notify.Done: {"webhooks.bulkDone", "good"},
	notify.Canceled: {"webhooks.bulkCanceled", "quiet"}, notify.Stopped: {"webhooks.bulkStopped", "bad"},
}

// bulk returns the progress. At the end it is complete even if some deliveries changed
// their status in between and were not sent.
func (v *visit) bulk(r notify.Redelivery) bulkView {
	p := v.Print
	self := v.Path("webhooks", r.Endpoint, "redeliveries", r.ID)
	w := bulkWords[r.State]
	// A failed delivery was sent too. It is tried again on its own schedule.
	sent := r.Succeeded + r.Failed
	b := bulkView{
		Head: parts.Head{
			Title: p.T("webhooks.bulkTitle"),
			Back:  parts.Button{Text: p.T("webhooks.toDeliveries"), Href: v.Path("webhooks", r.Endpoint)},
		},
		Href:     self,
		Badge:    parts.Badge{Text: p.T(w.key), Tone: w.tone},
		At:       r.CreatedAt,
		Running:  r.State == notify.Running,
		Progress: parts.Progress{ID: "progress-" + r.ID, Label: p.T("webhooks.bulkProgress"), Done: sent, Total: max(r.Total, 1)},
		Facts: []parts.Fact{
			{Label: p.T("webhooks.bulkTotal"), Value: parts.Text(p.Number(r.Total))},
			{Label: p.T("webhooks.bulkSucceeded"), Value: parts.Text(p.Number(r.Succeeded))},
			{
				Label: p.T("webhooks.bulkFailed"),
				Value: parts.Text(p.Number(r.Failed)),
			},
			{Label: p.T("webhooks.waiting"), Value: parts.Text(p.Number(r.Pending))},
			{
				Label: p.T("webhooks.bulkStatus"),
				Value: parts.Text(p.T(deliveryWords[r.Filter.Status].key)),
			},
			{Label: p.T("webhooks.at"), Value: parts.When(r.CreatedAt)},
		},
	}
	// The page asks for news only while there can be any.
	if r.State == notify.Running {
		b.Live, b.Cancel = self, self
	}
	if r.State == notify.Done {
		b.Progress.Done = b.Progress.Total // the others changed their status meanwhile
	}
	switch r.Reason {
	case notify.ReasonNotEnabled:
		b.Why = p.T("webhooks.bulkStoppedDisabled")
	case notify.ReasonNoEndpoint:
		b.Why = p.T("webhooks.bulkStoppedDeleted")
	}

	// Nothing matched the filter, which looks like success otherwise.
	if r.Total == 0 {
		b.Why = p.T("webhooks.bulkNothing")
	}
	return b
}

// redelivery returns the bulk redelivery that the path names, or not found.
func (v *visit) redelivery() (notify.Redelivery, error) {
	endpoint, name := v.PathValue("id"), v.PathValue("redelivery")
	// An address that cannot be an id is not looked up.
	if !id.Valid(id.Endpoint, endpoint) || !id.Valid(id.Redelivery, name) {
		return notify.Redelivery{}, fault.NotFound("redelivery")
	}
	return v.d.Webhooks.Redelivery(v.Context(), v.Account.ID, v.Mode, endpoint, name)
}

// showRedelivery shows the progress, which the page's script keeps up to date.
func (d *Pages) showRedelivery(v *visit) error {
	r, err := v.redelivery()
	if err != nil {
		return err
	}
	b := v.bulk(r)
	// The script replaces only the part that changes.
	if v.Partial() {
		return v.Render(http.StatusOK, b.Head.Title, bulkLive(b))
	}
	return v.Render(http.StatusOK, b.Head.Title, bulkPage(b))
}

// cancelRedelivery ends a bulk redelivery. What is queued by then is still sent.
func (d *Pages) cancelRedelivery(v *visit) error {
	if _, err := v.Posted(); err != nil {
		return err
	}
	r, err := v.redelivery()
	if err != nil {
		return err
	}
	if _, err := d.Webhooks.CancelRedelivery(v.Context(), v.Account.ID, v.Mode, r.Endpoint, r.ID); err != nil {
		return err
	}
	return v.Redirect(v.Path("webhooks", r.Endpoint, "redeliveries", r.ID), "", "")
}
