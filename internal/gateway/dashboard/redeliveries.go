package dashboard

import (
	"net/http"
	"time"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
)

// bulkForm asks what is sent again.
type bulkForm struct {
	Head     head
	Action   string
	Attempt  string
	Filter   deliveryFilter
	Statuses []option
	Types    []option
	Back     string
	Problems problems
}

func (d *Dashboard) askRedeliverAll(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	r := v.reads()
	f, err := readDeliveries(r)
	if err != nil {
		return err
	}
	if wrong := r.end(); wrong != nil {
		return v.refuse(wrong, v.path("webhooks", e.ID, "redeliver"))
	}
	if f.Status == "" {
		f.Status = string(notify.Parked)
	}
	return v.bulkForm(http.StatusOK, e, bulkForm{Filter: f, Attempt: newAttempt()})
}

func (v *visit) bulkForm(status int, e notify.Endpoint, f bulkForm) error {
	p := v.print
	f.Back = v.path("webhooks", e.ID)
	f.Head = head{Title: p.T("webhooks.bulk"), Lead: p.T("webhooks.bulkLead"), Back: button{Text: p.T("webhooks.toDeliveries"), Href: f.Back}}
	f.Action = v.path("webhooks", e.ID, "redeliver")
	f.Statuses = v.deliveryOptions(option{}, notify.Parked, notify.Failed, notify.Succeeded)
	f.Types = v.eventOptions(option{"", p.T("webhooks.any")})
	return v.render(status, f.Head.Title, bulkFormPage(f))
}

func (d *Dashboard) redeliverAll(v *visit) error {
	in, err := v.form()
	if err != nil {
		return err
	}
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	f := deliveryFilter{Status: in.Get("status"), Type: in.Get("type"), dates: dates{From: in.Get("from"), To: in.Get("to")}}
	within, err := calendar.ParsePeriod(f.From, f.To, v.account.Zone())
	if err != nil {
		return v.bulkForm(http.StatusUnprocessableEntity, e, bulkForm{Filter: f, Attempt: newAttempt(), Problems: problems{v.dayProblem(err, f.From, f.To)}})
	}
	want := notify.Filter{Status: notify.Status(f.Status), EventType: f.Type, From: within.From, To: within.To}
	var r notify.Redelivery
	replayed, err := v.once(d.Records.Webhooks, "redelivery", func(t *idempotency.Ticket) (err error) {
		r, err = d.Webhooks.RedeliverAll(v.Context(), v.account.ID, v.mode, e.ID, want, t)
		return err
	})
	if err != nil {
		if wrong := v.problems(err); wrong != nil {
			return v.bulkForm(http.StatusUnprocessableEntity, e, bulkForm{Filter: f, Attempt: newAttempt(), Problems: wrong})
		}
		return err
	}
	if replayed != nil {
		if r.ID, err = recordedID(replayed); err != nil {
			return err
		}
	}
	return v.redirect(v.path("webhooks", e.ID, "redeliveries", r.ID), "", "")
}

// bulkView is how far a bulk redelivery is.
type bulkView struct {
	Head     head
	Href     string
	Live     string // where a newer state is fetched; "" when it has ended
	Badge    badge
	Why      string
	Progress progress
	Facts    []fact
	Cancel   string // "" when it has ended
	At       time.Time
	Running  bool
}

var bulkWords = map[notify.RedeliveryState]struct{ key, tone string }{
	notify.Running: {"webhooks.bulkRunning", "wait"}, notify.Done: {"webhooks.bulkDone", "good"},
	notify.Canceled: {"webhooks.bulkCanceled", "quiet"}, notify.Stopped: {"webhooks.bulkStopped", "bad"},
}

func (v *visit) bulk(r notify.Redelivery) bulkView {
	p := v.print
	self := v.path("webhooks", r.Endpoint, "redeliveries", r.ID)
	w := bulkWords[r.State]
	sent := r.Succeeded + r.Failed
	b := bulkView{Head: head{Title: p.T("webhooks.bulkTitle"), Back: button{Text: p.T("webhooks.toDeliveries"), Href: v.path("webhooks", r.Endpoint)}},
		Href: self, Badge: badge{p.T(w.key), w.tone}, At: r.CreatedAt, Running: r.State == notify.Running,
		Progress: progress{ID: "progress-" + r.ID, Label: p.T("webhooks.bulkProgress"), Done: sent, Total: max(r.Total, 1)},
		Facts: []fact{{p.T("webhooks.bulkTotal"), text(p.Number(r.Total))}, {p.T("webhooks.bulkSucceeded"), text(p.Number(r.Succeeded))},
			{p.T("webhooks.bulkFailed"), text(p.Number(r.Failed))}, {p.T("webhooks.waiting"), text(p.Number(r.Pending))},
			{p.T("webhooks.bulkStatus"), text(p.T(deliveryWords[r.Filter.Status].key))}, {p.T("webhooks.at"), when(r.CreatedAt)}}}
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
	if r.Total == 0 {
		b.Why = p.T("webhooks.bulkNothing")
	}
	return b
}

func (v *visit) redelivery() (notify.Redelivery, error) {
	endpoint, name := v.PathValue("id"), v.PathValue("redelivery")
	if !id.Valid(id.Endpoint, endpoint) || !id.Valid(id.Redelivery, name) {
		return notify.Redelivery{}, fault.NotFound("redelivery")
	}
	return v.d.Webhooks.Redelivery(v.Context(), v.account.ID, v.mode, endpoint, name)
}

func (d *Dashboard) showRedelivery(v *visit) error {
	r, err := v.redelivery()
	if err != nil {
		return err
	}
	b := v.bulk(r)
	if v.partial() {
		return v.render(http.StatusOK, b.Head.Title, bulkLive(b))
	}
	return v.render(http.StatusOK, b.Head.Title, bulkPage(b))
}

func (d *Dashboard) cancelRedelivery(v *visit) error {
	if _, err := v.form(); err != nil {
		return err
	}
	r, err := v.redelivery()
	if err != nil {
		return err
	}
	if _, err := d.Webhooks.CancelRedelivery(v.Context(), v.account.ID, v.mode, r.Endpoint, r.ID); err != nil {
		return err
	}
	return v.redirect(v.path("webhooks", r.Endpoint, "redeliveries", r.ID), "", "")
}
