package dashboard

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
)

func webhookRoutes() []route {
	const base = "/dashboard/{mode}/webhooks"
	const one = base + "/{id}"
	get := func(path string, h func(*Dashboard, *visit) error) route {
		return route{method: http.MethodGet, path: path, room: "webhooks", handle: h}
	}
	post := func(path string, h func(*Dashboard, *visit) error) route {
		return route{method: http.MethodPost, path: path, room: "webhooks", handle: h}
	}
	return []route{
		get(base, (*Dashboard).listEndpoints), get(base+"/new", (*Dashboard).newEndpoint), post(base, (*Dashboard).createEndpoint),
		get(one, (*Dashboard).showEndpoint), get(one+"/edit", (*Dashboard).editEndpoint), post(one, (*Dashboard).changeEndpoint),
		post(one+"/enabled", (*Dashboard).switchEndpoint), get(one+"/rotate", (*Dashboard).askRotateEndpoint), post(one+"/rotate", (*Dashboard).rotateEndpoint),
		get(one+"/delete", (*Dashboard).askDeleteEndpoint), post(one+"/delete", (*Dashboard).deleteEndpoint), post(one+"/test", (*Dashboard).testEndpoint),
		get(one+"/deliveries.csv", (*Dashboard).exportDeliveries), get(one+"/deliveries/{delivery}", (*Dashboard).showDelivery),
		post(one+"/deliveries/{delivery}", (*Dashboard).redeliver),
		get(one+"/redeliver", (*Dashboard).askRedeliverAll), post(one+"/redeliver", (*Dashboard).redeliverAll),
		get(one+"/redeliveries/{redelivery}", (*Dashboard).showRedelivery), post(one+"/redeliveries/{redelivery}", (*Dashboard).cancelRedelivery),
	}
}

// endpointForm is what is asked of an endpoint.
type endpointForm struct {
	Head     head
	Action   string
	Attempt  string // "" where the change needs none
	URL      string
	All      bool
	Chosen   []string
	Back     string
	Submit   string
	Problems problems
}

func (f endpointForm) has(event string) bool { return slices.Contains(f.Chosen, event) }

func (d *Dashboard) listEndpoints(v *visit) error {
	if wrong := v.reads().only(); wrong != nil {
		return v.refuse(wrong, v.path("webhooks"))
	}
	all, err := d.Webhooks.List(v.Context(), v.account.ID, v.mode)
	if err != nil {
		return err
	}
	p := v.print
	add := button{Text: p.T("webhooks.add"), Href: v.path("webhooks", "new"), Kind: "primary", Icon: "plus"}
	t := table{ID: "endpoints", Caption: p.T("webhooks.caption"), CaptionHidden: true,
		Columns: []column{{Label: p.T("webhooks.url")}, {Label: p.T("webhooks.status")}, {Label: p.T("webhooks.events")}, {Label: p.T("webhooks.created")}},
		Empty:   empty{Icon: "bell", Headline: p.T("webhooks.empty"), Lead: p.T("webhooks.emptyLead"), Actions: []button{add}}}
	for _, e := range all {
		t.Rows = append(t.Rows, tableRow{ID: e.ID, Href: v.path("webhooks", e.ID), Cells: []templ.Component{
			address(e.URL), badgePart(v.endpointBadge(e)), text(v.subscription(e)), when(e.CreatedAt)}})
	}
	h := head{Title: p.T("webhooks.title"), Lead: p.T("webhooks.lead")}
	if len(all) > 0 {
		h.Actions = []button{add}
	}
	return v.render(http.StatusOK, h.Title, endpointsPage(h, t))
}

func (v *visit) endpointBadge(e notify.Endpoint) badge {
	switch {
	case !e.Enabled():
		return badge{v.print.T("webhooks.disabled"), "quiet"}
	case !e.FailingSince.IsZero():
		return badge{v.print.T("webhooks.failing"), "bad"}
	}
	return badge{v.print.T("webhooks.enabled"), "good"}
}

func everyEvent(e notify.Endpoint) bool {
	return slices.Contains(e.Events, notify.All)
}

// subscription is what an endpoint hears of, in a few words.
func (v *visit) subscription(e notify.Endpoint) string {
	switch {
	case everyEvent(e):
		return v.print.T("webhooks.allEvents")
	case len(e.Events) == 1:
		return e.Events[0]
	}
	return v.print.N("webhooks.chosen", len(e.Events))
}

func (d *Dashboard) newEndpoint(v *visit) error {
	return v.endpointForm(http.StatusOK, endpointForm{All: true, Attempt: newAttempt()})
}

// endpointForm shows the form of a new endpoint.
func (v *visit) endpointForm(status int, f endpointForm) error {
	p := v.print
	f.Head = head{Title: p.T("webhooks.new"), Back: button{Text: p.T("webhooks.back"), Href: v.path("webhooks")}}
	f.Action, f.Back, f.Submit = v.path("webhooks"), v.path("webhooks"), p.T("webhooks.add")
	return v.render(status, f.Head.Title, endpointFormPage(f))
}

// asked reads the form of an endpoint.
func (v *visit) askedEndpoint() (endpointForm, error) {
	in, err := v.form()
	f := endpointForm{URL: in.Get("url"), All: in.Get("which") == "every", Chosen: in["events"], Attempt: in.Get("attempt")}
	return f, err
}

// events are those that the form asks for. None ticked is none: it must not become
// all of them.
func (f endpointForm) events() ([]string, error) {
	switch {
	case f.URL == "":
		return nil, fault.Invalid("url", "url_invalid", "An endpoint needs a URL.")
	case f.All:
		return []string{notify.All}, nil
	case len(f.Chosen) == 0:
		return nil, fault.Invalid("events", "events_missing", "Choose at least one type of event.")
	}
	return f.Chosen, nil
}

func (d *Dashboard) createEndpoint(v *visit) error {
	f, err := v.askedEndpoint()
	if err != nil {
		return err
	}
	events, err := f.events()
	var made notify.Revealed
	var replayed []byte
	if err == nil {
		replayed, err = v.once(d.Records.Webhooks, "webhook_endpoint", func(t *idempotency.Ticket) (err error) {
			made, err = d.Webhooks.Create(v.Context(), notify.Draft{Account: v.account.ID, Mode: v.mode, URL: f.URL, Events: events}, t)
			return err
		})
	}
	if err != nil {
		if f.Problems = v.problems(err); f.Problems == nil {
			return err
		}
		return v.endpointForm(http.StatusUnprocessableEntity, f)
	}
	return v.endpointSecret(made, replayed, "")
}

// endpointSecret shows the secret of a change; of one that was made before, the
// recorded answer tells it.
func (v *visit) endpointSecret(made notify.Revealed, replayed []byte, note string) error {
	p := v.print
	if replayed != nil {
		var again struct{ ID, URL, Secret string }
		if err := json.Unmarshal(replayed, &again); err != nil {
			return err
		}
		made.Endpoint.ID, made.Endpoint.URL, made.Secret = again.ID, again.URL, again.Secret
	}
	s := secretView{Head: head{Title: p.T("webhooks.secretTitle"), Lead: made.Endpoint.URL}, Label: p.T("webhooks.secret"), Secret: made.Secret,
		Lead: p.T("webhooks.secretLead"), Note: note, Next: button{Text: p.T("webhooks.toEndpoint"), Href: v.path("webhooks", made.Endpoint.ID), Kind: "primary"}}
	return v.render(http.StatusOK, s.Head.Title, secretPage(s))
}

// endpoint is the one of the path.
func (v *visit) endpoint() (notify.Endpoint, error) {
	name := v.PathValue("id")
	if !id.Valid(id.Endpoint, name) {
		return notify.Endpoint{}, fault.NotFound("webhook endpoint")
	}
	return v.d.Webhooks.Get(v.Context(), v.account.ID, v.mode, name)
}

func (d *Dashboard) editEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	return v.endpointEdit(http.StatusOK, e.ID, endpointForm{URL: e.URL, All: everyEvent(e), Chosen: e.Events})
}

func (v *visit) endpointEdit(status int, endpoint string, f endpointForm) error {
	p := v.print
	f.Back = v.path("webhooks", endpoint)
	f.Head = head{Title: p.T("webhooks.editTitle"), Back: button{Text: p.T("webhooks.toDeliveries"), Href: f.Back}}
	f.Action, f.Submit = f.Back, p.T("webhooks.save")
	return v.render(status, f.Head.Title, endpointFormPage(f))
}

func (d *Dashboard) changeEndpoint(v *visit) error {
	f, err := v.askedEndpoint()
	if err != nil {
		return err
	}
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	events, err := f.events()
	if err == nil {
		_, err = d.Webhooks.Update(v.Context(), notify.Change{Account: v.account.ID, Mode: v.mode, ID: e.ID, URL: &f.URL, Events: &events})
	}
	if err != nil {
		if f.Problems = v.problems(err); f.Problems == nil {
			return err
		}
		return v.endpointEdit(http.StatusUnprocessableEntity, e.ID, f)
	}
	return v.redirect(v.path("webhooks", e.ID), "good", v.print.T("webhooks.saved"))
}

// switchEndpoint enables or disables; doing either again changes nothing.
func (d *Dashboard) switchEndpoint(v *visit) error {
	in, err := v.form()
	if err != nil {
		return err
	}
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	on := in.Get("enabled") == "yes"
	if _, err := d.Webhooks.Update(v.Context(), notify.Change{Account: v.account.ID, Mode: v.mode, ID: e.ID, Enabled: &on}); err != nil {
		return err
	}
	if on {
		return v.redirect(v.path("webhooks", e.ID), "good", v.print.T("webhooks.enabledNow"))
	}
	return v.redirect(v.path("webhooks", e.ID), "wait", v.print.T("webhooks.disabledNow"))
}

func (d *Dashboard) askRotateEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	p, back := v.print, v.path("webhooks", e.ID)
	return v.ask(question{Head: head{Title: p.T("webhooks.rotate"), Back: button{Text: p.T("webhooks.toDeliveries"), Href: back}},
		Lead: p.T("webhooks.rotateLead"), Detail: e.URL, Action: v.path("webhooks", e.ID, "rotate"),
		OK: button{Text: p.T("webhooks.rotate"), Kind: "primary"}, Back: button{Text: p.T("webhooks.cancel"), Href: back}})
}

func (d *Dashboard) rotateEndpoint(v *visit) error {
	if _, err := v.form(); err != nil {
		return err
	}
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	var made notify.Revealed
	replayed, err := v.once(d.Records.Webhooks, "webhook_endpoint", func(t *idempotency.Ticket) (err error) {
		made, err = d.Webhooks.Rotate(v.Context(), v.account.ID, v.mode, e.ID, t)
		return err
	})
	if err != nil {
		return err
	}
	return v.endpointSecret(made, replayed, v.print.T("webhooks.secretOverlap"))
}

func (d *Dashboard) askDeleteEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	p, back := v.print, v.path("webhooks", e.ID)
	return v.ask(question{Head: head{Title: p.T("webhooks.deleteTitle"), Back: button{Text: p.T("webhooks.toDeliveries"), Href: back}},
		Lead: p.T("webhooks.deleteLead"), Detail: e.URL, Action: v.path("webhooks", e.ID, "delete"),
		OK: button{Text: p.T("webhooks.delete"), Kind: "danger"}, Back: button{Text: p.T("webhooks.cancel"), Href: back}})
}

// deleteEndpoint: one that is gone already is what was asked for.
func (d *Dashboard) deleteEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err == nil {
		err = d.Webhooks.Delete(v.Context(), v.account.ID, v.mode, e.ID)
	}
	if err != nil && fault.KindOf(err) != fault.KindNotFound {
		return err
	}
	return v.redirect(v.path("webhooks"), "good", v.print.T("webhooks.deleted"))
}

func (d *Dashboard) testEndpoint(v *visit) error {
	in, err := v.form()
	if err != nil {
		return err
	}
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	var sent notify.Delivery
	replayed, err := v.once(d.Records.Webhooks, "delivery", func(t *idempotency.Ticket) (err error) {
		sent, err = d.Webhooks.Test(v.Context(), v.account.ID, v.mode, e.ID, in.Get("type"), t)
		return err
	})
	if err != nil {
		return err
	}
	if replayed != nil {
		if sent.ID, err = recordedID(replayed); err != nil {
			return err
		}
	}
	return v.redirect(v.path("webhooks", e.ID, "deliveries", sent.ID), "", "")
}
