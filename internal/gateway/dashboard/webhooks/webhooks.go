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
		post(one+"/enabled", (*Pages).switchEndpoint), get(one+"/rotate", (*Pages).askRotateEndpoint), post(one+"/rotate", (*Pages).rotateEndpoint),
		get(one+"/delete", (*Pages).askDeleteEndpoint), post(one+"/delete", (*Pages).deleteEndpoint), post(one+"/test", (*Pages).testEndpoint),
		get(one+"/deliveries.csv", (*Pages).exportDeliveries), get(one+"/deliveries/{delivery}", (*Pages).showDelivery),
		post(one+"/deliveries/{delivery}", (*Pages).redeliver),
		get(one+"/redeliver", (*Pages).askRedeliverAll), post(one+"/redeliver", (*Pages).redeliverAll),
		get(one+"/redeliveries/{redelivery}", (*Pages).showRedelivery), post(one+"/redeliveries/{redelivery}", (*Pages).cancelRedelivery),
	}
}

// endpointForm is what is asked of an endpoint.
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

func (f endpointForm) has(event string) bool { return slices.Contains(f.Chosen, event) }

func (d *Pages) listEndpoints(v *visit) error {
	if wrong := v.Reads().Only(); wrong != nil {
		return v.Refuse(wrong, v.Path("webhooks"))
	}
	all, err := d.Webhooks.List(v.Context(), v.Account.ID, v.Mode)
	if err != nil {
		return err
	}
	p := v.Print
	add := parts.Button{Text: p.T("webhooks.add"), Href: v.Path("webhooks", "new"), Kind: "primary", Icon: "plus"}
	t := parts.Table{ID: "endpoints", Caption: p.T("webhooks.caption"), CaptionHidden: true,
		Columns: []parts.Column{{Label: p.T("webhooks.url")}, {Label: p.T("webhooks.status")}, {Label: p.T("webhooks.events")}, {Label: p.T("webhooks.created")}},
		Empty:   parts.Empty{Icon: "bell", Headline: p.T("webhooks.empty"), Lead: p.T("webhooks.emptyLead"), Actions: []parts.Button{add}}}
	for _, e := range all {
		t.Rows = append(t.Rows, parts.Row{ID: e.ID, Href: v.Path("webhooks", e.ID), Cells: []templ.Component{
			address(e.URL), parts.BadgePart(v.endpointBadge(e)), parts.Text(v.subscription(e)), parts.When(e.CreatedAt)}})
	}
	h := parts.Head{Title: p.T("webhooks.title"), Lead: p.T("webhooks.lead")}
	if len(all) > 0 {
		h.Actions = []parts.Button{add}
	}
	return v.Render(http.StatusOK, h.Title, endpointsPage(h, t))
}

func (v *visit) endpointBadge(e notify.Endpoint) parts.Badge {
	switch {
	case !e.Enabled():
		return parts.Badge{Text: v.Print.T("webhooks.disabled"), Tone: "quiet"}
	case !e.FailingSince.IsZero():
		return parts.Badge{Text: v.Print.T("webhooks.failing"), Tone: "bad"}
	}
	return parts.Badge{Text: v.Print.T("webhooks.enabled"), Tone: "good"}
}

func everyEvent(e notify.Endpoint) bool {
	return slices.Contains(e.Events, notify.All)
}

// subscription is what an endpoint hears of, in a few words.
func (v *visit) subscription(e notify.Endpoint) string {
	switch {
	case everyEvent(e):
		return v.Print.T("webhooks.allEvents")
	case len(e.Events) == 1:
		return e.Events[0]
	}
	return v.Print.N("webhooks.chosen", len(e.Events))
}

func (d *Pages) newEndpoint(v *visit) error {
	return v.endpointForm(http.StatusOK, endpointForm{All: true, Attempt: frame.NewAttempt()})
}

// endpointForm shows the form of a new endpoint.
func (v *visit) endpointForm(status int, f endpointForm) error {
	p := v.Print
	f.Head = parts.Head{Title: p.T("webhooks.new"), Back: parts.Button{Text: p.T("webhooks.back"), Href: v.Path("webhooks")}}
	f.Action, f.Back, f.Submit = v.Path("webhooks"), v.Path("webhooks"), p.T("webhooks.add")
	return v.Render(status, f.Head.Title, endpointFormPage(f))
}

// asked reads the form of an endpoint.
func (v *visit) askedEndpoint() (endpointForm, error) {
	in, err := v.Posted()
	f := endpointForm{URL: in.Get("url"), All: in.Get("which") == "every", Chosen: in["events"], Attempt: in.Get("attempt")}
	return f, err
}

// events are those that the form asks for. None ticked is none: it must not become
// all of them.
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

func (d *Pages) createEndpoint(v *visit) error {
	f, err := v.askedEndpoint()
	if err != nil {
		return err
	}
	events, err := f.events()
	var made notify.Revealed
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

// endpointSecret shows the secret of a change; of one that was made before, the
// recorded answer tells it.
func (v *visit) endpointSecret(made notify.Revealed, replayed []byte, note string) error {
	p := v.Print
	if replayed != nil {
		var again struct{ ID, URL, Secret string }
		if err := json.Unmarshal(replayed, &again); err != nil {
			return err
		}
		made.Endpoint.ID, made.Endpoint.URL, made.Secret = again.ID, again.URL, again.Secret
	}
	s := parts.SecretView{Head: parts.Head{Title: p.T("webhooks.secretTitle"), Lead: made.Endpoint.URL}, Label: p.T("webhooks.secret"), Secret: made.Secret,
		Lead: p.T("webhooks.secretLead"), Note: note, Next: parts.Button{Text: p.T("webhooks.toEndpoint"), Href: v.Path("webhooks", made.Endpoint.ID), Kind: "primary"}}
	return v.Render(http.StatusOK, s.Head.Title, parts.SecretPage(s))
}

// endpoint is the one of the path.
func (v *visit) endpoint() (notify.Endpoint, error) {
	name := v.PathValue("id")
	if !id.Valid(id.Endpoint, name) {
		return notify.Endpoint{}, fault.NotFound("webhook endpoint")
	}
	return v.d.Webhooks.Get(v.Context(), v.Account.ID, v.Mode, name)
}

func (d *Pages) editEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	return v.endpointEdit(http.StatusOK, e.ID, endpointForm{URL: e.URL, All: everyEvent(e), Chosen: e.Events})
}

func (v *visit) endpointEdit(status int, endpoint string, f endpointForm) error {
	p := v.Print
	f.Back = v.Path("webhooks", endpoint)
	f.Head = parts.Head{Title: p.T("webhooks.editTitle"), Back: parts.Button{Text: p.T("webhooks.toDeliveries"), Href: f.Back}}
	f.Action, f.Submit = f.Back, p.T("webhooks.save")
	return v.Render(status, f.Head.Title, endpointFormPage(f))
}

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

// switchEndpoint enables or disables; doing either again changes nothing.
func (d *Pages) switchEndpoint(v *visit) error {
	in, err := v.Posted()
	if err != nil {
		return err
	}
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	on := in.Get("enabled") == "yes"
	if _, err := d.Webhooks.Update(v.Context(), notify.Change{Account: v.Account.ID, Mode: v.Mode, ID: e.ID, Enabled: &on}); err != nil {
		return err
	}
	if on {
		return v.Redirect(v.Path("webhooks", e.ID), "good", v.Print.T("webhooks.enabledNow"))
	}
	return v.Redirect(v.Path("webhooks", e.ID), "wait", v.Print.T("webhooks.disabledNow"))
}

func (d *Pages) askRotateEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	p, back := v.Print, v.Path("webhooks", e.ID)
	return v.Ask(parts.Question{Head: parts.Head{Title: p.T("webhooks.rotate"), Back: parts.Button{Text: p.T("webhooks.toDeliveries"), Href: back}},
		Lead: p.T("webhooks.rotateLead"), Detail: e.URL, Action: v.Path("webhooks", e.ID, "rotate"),
		OK: parts.Button{Text: p.T("webhooks.rotate"), Kind: "primary"}, Back: parts.Button{Text: p.T("webhooks.cancel"), Href: back}})
}

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
	return v.endpointSecret(made, replayed, v.Print.T("webhooks.secretOverlap"))
}

func (d *Pages) askDeleteEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	p, back := v.Print, v.Path("webhooks", e.ID)
	return v.Ask(parts.Question{Head: parts.Head{Title: p.T("webhooks.deleteTitle"), Back: parts.Button{Text: p.T("webhooks.toDeliveries"), Href: back}},
		Lead: p.T("webhooks.deleteLead"), Detail: e.URL, Action: v.Path("webhooks", e.ID, "delete"),
		OK: parts.Button{Text: p.T("webhooks.delete"), Kind: "danger"}, Back: parts.Button{Text: p.T("webhooks.cancel"), Href: back}})
}

// deleteEndpoint: one that is gone already is what was asked for.
func (d *Pages) deleteEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err == nil {
		err = d.Webhooks.Delete(v.Context(), v.Account.ID, v.Mode, e.ID)
	}
	if err != nil && fault.KindOf(err) != fault.KindNotFound {
		return err
	}
	return v.Redirect(v.Path("webhooks"), "good", v.Print.T("webhooks.deleted"))
}

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
