package webhooks

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
)

// Routes returns the section's pages and changes.
func (d *Pages) Routes() []frame.Route {
	const base = "/dashboard/{mode}/webhooks"
	const one = base + "/{id}"
	get := func(path string, h func(*Pages, *visit) error) frame.Route {
		return frame.Get(path, "webhooks", d.on(h))
	}
	post := func(path string, h func(*Pages, *visit) error) frame.Route {
		return frame.Post(path, "webhooks", d.on(h))
	}
	return []frame.Route{
		get(base, (*Pages).listEndpoints), get(base+"/new", (*Pages).newEndpoint), post(base, (*Pages).createEndpoint),
		get(one, (*Pages).showEndpoint), get(one+"/edit", (*Pages).editEndpoint), post(one, (*Pages).changeEndpoint),
		post(
			one+"/enabled",
			(*Pages).switchEndpoint,
		), get(one+"/rotate", (*Pages).askRotateEndpoint), post(one+"/rotate", (*Pages).rotateEndpoint),
		get(one+"/delete", (*Pages).askDeleteEndpoint), post(one+"/delete", (*Pages).deleteEndpoint), post(one+"/test", (*Pages).testEndpoint),
		get(one+"/deliveries.csv", (*Pages).exportDeliveries), get(one+"/deliveries/{delivery}", (*Pages).showDelivery),
		post(one+"/deliveries/{delivery}", (*Pages).redeliver),
		get(one+"/redeliver", (*Pages).askRedeliverAll), post(one+"/redeliver", (*Pages).redeliverAll),
		get(one+"/redeliveries/{redelivery}", (*Pages).showRedelivery), post(one+"/redeliveries/{redelivery}", (*Pages).cancelRedelivery),
	}
}

// endpointForm is the form of an endpoint.
type endpointForm struct {
	Head     parts.Head
	Action   string
	Attempt  string // "" where the change needs none
	URL      string
	All      bool
	Chosen   []string
	Back     string
	Submit   string
	Problems parts.Problems
}

// has reports whether an event type is chosen.
func (f endpointForm) has(event string) bool { return slices.Contains(f.Chosen, event) }

// listEndpoints shows the mode's endpoints, of which there are few.
func (d *Pages) listEndpoints(v *visit) error {
	if wrong := v.Reads().Only(); wrong != nil {
		return v.Refuse(wrong, v.Path("webhooks"))
	}

	// At most notify.MaxEndpoints, so the list needs no pages.
	all, err := d.Webhooks.List(v.Context(), v.Account.ID, v.Mode)
	if err != nil {
		return err
	}

	p := v.Print
	add := parts.Button{Text: p.T("webhooks.add"), Href: v.Path("webhooks", "new"), Kind: "primary", Icon: "plus"}
	t := parts.Table{ID: "endpoints", Caption: p.T("webhooks.caption"), CaptionHidden: true,
		Columns: []parts.Column{
			{Label: p.T("webhooks.url")},
			{Label: p.T("webhooks.status")},
			{Label: p.T("webhooks.events")},
			{Label: p.T("webhooks.created")},
		},
		Empty: parts.Empty{Icon: "bell", Headline: p.T("webhooks.empty"), Lead: p.T("webhooks.emptyLead"), Actions: []parts.Button{add}}}
	for _, e := range all {
		t.Rows = append(t.Rows, parts.Row{ID: e.ID, Href: v.Path("webhooks", e.ID), Cells: []templ.Component{
			address(e.URL), parts.BadgePart(v.endpointBadge(e)), parts.Text(v.subscription(e)), parts.When(e.CreatedAt)}})
	}

	h := parts.Head{Title: p.T("webhooks.title"), Lead: p.T("webhooks.lead")}
	// The empty list has this button itself.
	if len(all) > 0 {
		h.Actions = []parts.Button{add}
	}
	return v.Render(http.StatusOK, h.Title, endpointsPage(h, t))
}

// endpointBadge returns the state of an endpoint.
func (v *visit) endpointBadge(e notify.Endpoint) parts.Badge {
	switch {
	case !e.Enabled():
		return parts.Badge{Text: v.Print.T("webhooks.disabled"), Tone: "quiet"}
	// Still enabled: events are sent, and the last ones failed.
	case !e.FailingSince.IsZero():
		return parts.Badge{Text: v.Print.T("webhooks.failing"), Tone: "bad"}
	}
	return parts.Badge{Text: v.Print.T("webhooks.enabled"), Tone: "good"}
}

// everyEvent reports whether the endpoint receives every type.
func everyEvent(e notify.Endpoint) bool {
	return slices.Contains(e.Events, notify.All)
}

// subscription returns which events an endpoint receives, in a few words.
func (v *visit) subscription(e notify.Endpoint) string {
	switch {
	case everyEvent(e):
		return v.Print.T("webhooks.allEvents")
	case len(e.Events) == 1:
		return e.Events[0]
	}
	return v.Print.N("webhooks.chosen", len(e.Events))
}

// newEndpoint shows the form, with every event chosen.
func (d *Pages) newEndpoint(v *visit) error {
	return v.endpointForm(http.StatusOK, endpointForm{All: true, Attempt: frame.NewAttempt()})
}

// endpointForm renders the form of a new endpoint, as it was filled in.
func (v *visit) endpointForm(status int, f endpointForm) error {
	p := v.Print
	f.Head = parts.Head{Title: p.T("webhooks.new"), Back: parts.Button{Text: p.T("webhooks.back"), Href: v.Path("webhooks")}}
	f.Action, f.Back, f.Submit = v.Path("webhooks"), v.Path("webhooks"), p.T("webhooks.add")
	return v.Render(status, f.Head.Title, endpointFormPage(f))
}

// askedEndpoint reads the form of an endpoint.
func (v *visit) askedEndpoint() (endpointForm, error) {
	in, err := v.Posted()
	// The single types stay checked even if "every" is chosen, so that a form that is shown
	// once more looks as it was sent.
	f := endpointForm{URL: in.Get("url"), All: in.Get("which") == "every", Chosen: in["events"], Attempt: in.Get("attempt")}
	return f, err
}

// events returns the types that the form chooses. If no type is checked it returns
// events_missing: it must not become all of them.
func (f endpointForm) events() ([]string, error) {
	switch {
	case f.URL == "":
		return nil, fault.Invalid("url", "url_invalid", "url is required.")
	case f.All:
		return []string{notify.All}, nil
	case len(f.Chosen) == 0:
		return nil, fault.Invalid("events", "events_missing", "Choose at least one event type.")
	}
	return f.Chosen, nil
}

// createEndpoint makes an endpoint, once, and shows its secret. A form that is sent again
// shows the same secret, from the sealed record.
func (d *Pages) createEndpoint(v *visit) error {
	f, err := v.askedEndpoint()
	if err != nil {
		return err
	}

	events, err := f.events()
	var made notify.Revealed
	// made is set if the endpoint is made now. replayed is the recorded response if the
	// form was processed before.
	var replayed []byte
	if err == nil {
		replayed, err = v.Once(d.Records, "webhook_endpoint", func(t *idempotency.Ticket) (err error) {
			made, err = d.Webhooks.Create(v.Context(), notify.Draft{Account: v.Account.ID, Mode: v.Mode, URL: f.URL, Events: events}, t)
			return err
		})
	}

	if err != nil {
		if f.Problems = v.Problems(err); f.Problems == nil {
			return err
		}
		return v.endpointForm(http.StatusUnprocessableEntity, f)
	}

	return v.endpointSecret(made, replayed, "")
}

// endpointSecret shows the secret that was made now, or that of the recorded response.
func (v *visit) endpointSecret(made notify.Revealed, replayed []byte, note string) error {
	p := v.Print
	if replayed != nil {
		// The record is the response of the API, which is stored sealed because of the
		// secret.
		var again struct{ ID, URL, Secret string }
		if err := json.Unmarshal(replayed, &again); err != nil {
			return err
		}
		made.Endpoint.ID, made.Endpoint.URL, made.Secret = again.ID, again.URL, again.Secret
	}
	s := parts.SecretView{
		Head:   parts.Head{Title: p.T("webhooks.secretTitle"), Lead: made.Endpoint.URL},
		Label:  p.T("webhooks.secret"),
		Secret: made.Secret,
		Lead: p.T(
			"webhooks.secretLead",
		),
		Note: note,
		Next: parts.Button{Text: p.T("webhooks.toEndpoint"), Href: v.Path("webhooks", made.Endpoint.ID), Kind: "primary"},
	}
	return v.Render(http.StatusOK, s.Head.Title, parts.SecretPage(s))
}

// endpoint returns the endpoint that the path names, or not found.
func (v *visit) endpoint() (notify.Endpoint, error) {
	name := v.PathValue("id")
	// An address that cannot be an id is not looked up.
	if !id.Valid(id.Endpoint, name) {
		return notify.Endpoint{}, fault.NotFound("webhook endpoint")
	}
	return v.d.Webhooks.Get(v.Context(), v.Account.ID, v.Mode, name)
}

// editEndpoint shows the form of an endpoint as it is stored.
func (d *Pages) editEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	return v.endpointEdit(http.StatusOK, e.ID, endpointForm{URL: e.URL, All: everyEvent(e), Chosen: e.Events})
}

// endpointEdit renders the form of a stored endpoint. Its change needs no attempt id,
// because repeating it changes nothing.
func (v *visit) endpointEdit(status int, endpoint string, f endpointForm) error {
	p := v.Print
	f.Back = v.Path("webhooks", endpoint)
	f.Head = parts.Head{Title: p.T("webhooks.editTitle"), Back: parts.Button{Text: p.T("webhooks.toDeliveries"), Href: f.Back}}
	f.Action, f.Submit = f.Back, p.T("webhooks.save")
	return v.Render(status, f.Head.Title, endpointFormPage(f))
}

// changeEndpoint stores the URL and the events.
func (d *Pages) changeEndpoint(v *visit) error {
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
		// A nil field would keep its value. This form has both.
		_, err = d.Webhooks.Update(v.Context(), notify.Change{Account: v.Account.ID, Mode: v.Mode, ID: e.ID, URL: &f.URL, Events: &events})
	}
	if err != nil {
		if f.Problems = v.Problems(err); f.Problems == nil {
			return err
		}
		return v.endpointEdit(http.StatusUnprocessableEntity, e.ID, f)
	}

	return v.Redirect(v.Path("webhooks", e.ID), "good", v.Print.T("webhooks.saved"))
}

// switchEndpoint enables or disables an endpoint. Doing either again changes nothing.
// Enabling clears its failures.
func (d *Pages) switchEndpoint(v *visit) error {
	in, err := v.Posted()
	if err != nil {
		return err
	}

	e, err := v.endpoint()
	if err != nil {
		return err
	}

	// The form says which of the two it wants, instead of switching: a form that is sent
	// twice must not undo itself.
	on := in.Get("enabled") == "yes"
	if _, err := d.Webhooks.Update(v.Context(), notify.Change{Account: v.Account.ID, Mode: v.Mode, ID: e.ID, Enabled: &on}); err != nil {
		return err
	}
	if on {
		return v.Redirect(v.Path("webhooks", e.ID), "good", v.Print.T("webhooks.enabledNow"))
	}

	return v.Redirect(v.Path("webhooks", e.ID), "wait", v.Print.T("webhooks.disabledNow"))
}

// askRotateEndpoint asks before an endpoint gets a new secret.
func (d *Pages) askRotateEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	p, back := v.Print, v.Path("webhooks", e.ID)
	return v.Ask(
		parts.Question{Head: parts.Head{Title: p.T("webhooks.rotate"), Back: parts.Button{Text: p.T("webhooks.toDeliveries"), Href: back}},
			Lead: p.T("webhooks.rotateLead"), Detail: e.URL, Action: v.Path("webhooks", e.ID, "rotate"),
			OK: parts.Button{Text: p.T("webhooks.rotate"), Kind: "primary"}, Back: parts.Button{Text: p.T("webhooks.cancel"), Href: back}},
	)
}

// rotateEndpoint gives an endpoint a new secret, once, and shows it.
func (d *Pages) rotateEndpoint(v *visit) error {
	if _, err := v.Posted(); err != nil {
		return err
	}

	e, err := v.endpoint()
	if err != nil {
		return err
	}

	var made notify.Revealed
	replayed, err := v.Once(d.Records, "webhook_endpoint", func(t *idempotency.Ticket) (err error) {
		made, err = d.Webhooks.Rotate(v.Context(), v.Account.ID, v.Mode, e.ID, t)
		return err
	})
	if err != nil {
		return err
	}

	// For a while both secrets sign, which the page says, so that the receiver can change
	// without losing an event.
	return v.endpointSecret(made, replayed, v.Print.T("webhooks.secretOverlap"))
}

// askDeleteEndpoint asks before an endpoint is deleted.
func (d *Pages) askDeleteEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	p, back := v.Print, v.Path("webhooks", e.ID)
	return v.Ask(
		parts.Question{Head: parts.Head{Title: p.T("webhooks.deleteTitle"), Back: parts.Button{Text: p.T("webhooks.toDeliveries"), Href: back}},
			Lead: p.T("webhooks.deleteLead"), Detail: e.URL, Action: v.Path("webhooks", e.ID, "delete"),
			OK: parts.Button{Text: p.T("webhooks.delete"), Kind: "danger"}, Back: parts.Button{Text: p.T("webhooks.cancel"), Href: back}},
	)
}

// deleteEndpoint deletes an endpoint.
func (d *Pages) deleteEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err == nil {
		err = d.Webhooks.Delete(v.Context(), v.Account.ID, v.Mode, e.ID)
	}
	return v.Deleted(v.Path("webhooks"), v.Print.T("webhooks.deleted"), err)
}

// testEndpoint sends a test event, once, and shows its delivery.
func (d *Pages) testEndpoint(v *visit) error {
	in, err := v.Posted()
	if err != nil {
		return err
	}

	e, err := v.endpoint()
	if err != nil {
		return err
	}

	var sent notify.Delivery
	replayed, err := v.Once(d.Records, "delivery", func(t *idempotency.Ticket) (err error) {
		// Test only queues the event: the page of the delivery then follows what becomes of
		// it.
		sent, err = d.Webhooks.Test(v.Context(), v.Account.ID, v.Mode, e.ID, in.Get("type"), t)
		return err
	})
	if err != nil {
		return err
	}
	if replayed != nil {
		if sent.ID, err = frame.RecordedID(replayed); err != nil {
			return err
		}
	}

	return v.Redirect(v.Path("webhooks", e.ID, "deliveries", sent.ID), "", "")
}
