package dashboard

import (
	"bytes"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
)

// maxExported bounds a file of deliveries.
const maxExported = 100_000

// deliveryFilter is what the list of deliveries was asked for.
type deliveryFilter struct {
	Status, Type string
	dates
}

func (f deliveryFilter) set() bool { return f.Status != "" || f.Type != "" || f.dates.set() }

// others are the filters but for the dates.
func (f deliveryFilter) others() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"status": f.Status, "type": f.Type} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

func (f deliveryFilter) values() url.Values {
	q := f.others()
	f.dates.values(q)
	return q
}

// readDeliveries takes the filters of the deliveries.
func readDeliveries(r *reading) (deliveryFilter, error) {
	f := deliveryFilter{Status: r.choice("status", func(s string) bool { _, known := deliveryWords[notify.Status(s)]; return known }),
		Type: r.choice("type", func(s string) bool { return s == notify.TestPing || slices.Contains(notify.EventTypes(), s) })}
	var err error
	f.dates, err = r.dates("")
	return f, err
}

// query turns the filters into a question.
func (f deliveryFilter) query() notify.DeliveryQuery {
	return notify.DeliveryQuery{Status: notify.Status(f.Status), EventType: f.Type, From: f.period.From, To: f.period.To}
}

// endpointView is one endpoint with its deliveries.
type endpointView struct {
	Head        head
	Badge       badge
	Why         string
	Facts       []fact
	Events      []string // "" is every one
	Enabled     bool
	Switch      string // where enabling and disabling are sent
	Test        string
	Attempt     string
	Types       []option
	Filter      deliveryFilter
	Problems    problems
	Dates       datesView
	FilterTo    string
	Statuses    []option
	FilterTypes []option
	Table       table
	Bulk        []bulkView
	BulkHref    string
}

func (d *Dashboard) showEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	r := v.reads()
	asked, err := readDeliveries(r)
	if err != nil {
		return err
	}
	q := asked.query()
	q.Before, q.Limit = r.id("before", id.Delivery), pageSize+1
	wrong := r.end()
	var found []notify.Delivery
	if len(wrong) == 0 {
		if found, err = d.Webhooks.Deliveries(v.Context(), v.account.ID, v.mode, e.ID, q); err != nil {
			return err
		}
	}
	bulks, err := d.Webhooks.Redeliveries(v.Context(), v.account.ID, v.mode, e.ID, "", 3)
	if err != nil {
		return err
	}
	p := v.print
	view := endpointView{Problems: wrong, Dates: v.datesView(asked.dates, v.path("webhooks", e.ID), asked.others(), wrong, presets[:6]...), Head: v.endpointHead(e), Badge: v.endpointBadge(e), Enabled: e.Enabled(), Switch: v.path("webhooks", e.ID, "enabled"),
		Test: v.path("webhooks", e.ID, "test"), Attempt: newAttempt(), Filter: asked, FilterTo: v.path("webhooks", e.ID), BulkHref: v.path("webhooks", e.ID, "redeliver"),
		Types: v.eventOptions(option{notify.TestPing, p.T("webhooks.testPing")}), FilterTypes: v.eventOptions(option{"", p.T("webhooks.any")}),
		Statuses: v.deliveryOptions(option{"", p.T("webhooks.any")}, notify.Pending, notify.Succeeded, notify.Failed, notify.Parked)}
	if !e.Enabled() {
		view.Why = v.why(e)
		view.Facts = append(view.Facts, fact{p.T("webhooks.disabled"), when(e.DisabledAt)})
	} else if !e.FailingSince.IsZero() {
		view.Why = p.T("webhooks.failingLead")
		view.Facts = append(view.Facts, fact{p.T("webhooks.failingSince"), when(e.FailingSince)})
	}
	view.Facts = append(view.Facts, fact{p.T("webhooks.created"), when(e.CreatedAt)}, fact{p.T("webhooks.id"), code(e.ID)})
	if !everyEvent(e) {
		view.Events = e.Events
	}
	view.Table = v.deliveryTable(e, asked, q.Before, found)
	if len(wrong) > 0 {
		view.Table.Empty = v.unshown(view.FilterTo)
	}
	for _, r := range bulks {
		view.Bulk = append(view.Bulk, v.bulk(r))
	}
	return v.render(statusFor(wrong), e.URL, endpointPage(view))
}

func (v *visit) endpointHead(e notify.Endpoint) head {
	p := v.print
	return head{Title: e.URL, Back: button{Text: p.T("webhooks.back"), Href: v.path("webhooks")}, Actions: []button{
		{Text: p.T("webhooks.edit"), Href: v.path("webhooks", e.ID, "edit")},
		{Text: p.T("webhooks.rotate"), Href: v.path("webhooks", e.ID, "rotate"), Icon: "key"},
		{Text: p.T("webhooks.delete"), Href: v.path("webhooks", e.ID, "delete"), Kind: "danger"},
	}}
}

// why an endpoint is disabled.
func (v *visit) why(e notify.Endpoint) string {
	key := map[string]string{notify.ReasonGone: "webhooks.whyGone", notify.ReasonFailing: "webhooks.whyFailing", notify.ReasonManual: "webhooks.whyManual"}[e.DisabledReason]
	if key == "" {
		return e.DisabledReason
	}
	return v.print.T(key)
}

func (v *visit) eventOptions(first option) []option {
	all := []option{first}
	for _, t := range notify.EventTypes() {
		all = append(all, option{t, t})
	}
	return all
}

var deliveryWords = map[notify.Status]struct{ key, tone string }{
	notify.Pending: {"webhooks.waiting", "wait"}, notify.Succeeded: {"webhooks.delivered", "good"},
	notify.Failed: {"webhooks.failed", "wait"}, notify.Parked: {"webhooks.parked", "bad"},
}

func (v *visit) deliveryOptions(first option, all ...notify.Status) []option {
	list := []option{first}
	if first == (option{}) {
		list = nil
	}
	for _, s := range all {
		list = append(list, option{string(s), v.print.T(deliveryWords[s].key)})
	}
	return list
}

func (v *visit) deliveryBadge(d notify.Delivery) badge {
	if d.Test && d.Status == notify.Failed {
		return badge{v.print.T("webhooks.testFailed"), "bad"}
	}
	w := deliveryWords[d.Status]
	return badge{v.print.T(w.key), w.tone}
}

func (v *visit) answerText(d notify.Delivery) string {
	switch {
	case d.HTTPStatus > 0:
		return strconv.Itoa(d.HTTPStatus)
	case d.Error != "":
		return problemCode(d.Error)
	}
	return "–"
}

// problemCode is the part of a delivery's error that is for machines.
func problemCode(s string) string {
	before, _, _ := bytes.Cut([]byte(s), []byte(":"))
	return string(before)
}

func (v *visit) millis(n int64) string { return v.print.Number(n) + " ms" }

func (v *visit) deliveryTable(e notify.Endpoint, asked deliveryFilter, before string, found []notify.Delivery) table {
	p := v.print
	q := asked.values()
	at := func(path string) string {
		if len(q) > 0 {
			return path + "?" + q.Encode()
		}
		return path
	}
	t := table{ID: "deliveries", Caption: p.T("webhooks.deliveries"), CaptionHidden: true,
		Columns: []column{{Label: p.T("webhooks.event")}, {Label: p.T("webhooks.status")}, {Label: p.T("webhooks.answer")},
			{Label: p.T("webhooks.took"), Number: true}, {Label: p.T("webhooks.attempt"), Number: true}},
		Empty: empty{Icon: "bell", Headline: p.T("webhooks.deliveriesEmpty"), Lead: p.T("webhooks.deliveriesEmptyLead")}}
	if asked.set() || before != "" {
		t.Empty = empty{Icon: "search", Headline: p.T("webhooks.noneFound"), Lead: p.T("webhooks.noneFoundLead"),
			Actions: []button{{Text: p.T("webhooks.clear"), Href: v.path("webhooks", e.ID)}}}
	} else if len(found) > 0 {
		t.CSV = at(v.path("webhooks", e.ID, "deliveries.csv"))
	}
	if asked.set() && len(found) > 0 {
		t.CSV = at(v.path("webhooks", e.ID, "deliveries.csv"))
	}
	if before != "" {
		t.Pager.Newest = at(v.path("webhooks", e.ID))
	}
	if len(found) > pageSize {
		found = found[:pageSize]
		q.Set("before", found[len(found)-1].ID)
		t.Pager.Older = at(v.path("webhooks", e.ID))
	}
	for _, d := range found {
		t.Rows = append(t.Rows, tableRow{ID: d.ID, Href: v.path("webhooks", e.ID, "deliveries", d.ID), Cells: []templ.Component{
			eventCell(d), badgePart(v.deliveryBadge(d)), answerCell(v.answerText(d)), text(v.millis(d.DurationMs)), text(p.Number(int64(d.Attempt)))}})
	}
	return t
}

func (d *Dashboard) exportDeliveries(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	r := v.reads()
	asked, err := readDeliveries(r)
	if err != nil {
		return err
	}
	if wrong := r.end(); wrong != nil {
		return v.refuse(wrong, v.path("webhooks", e.ID))
	}
	q := asked.query()
	q.Limit = notify.MaxPage
	var rows iter.Seq2[[]string, error] = func(yield func([]string, error) bool) {
		for n := 0; n < maxExported; {
			found, err := d.Webhooks.Deliveries(v.Context(), v.account.ID, v.mode, e.ID, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, o := range found {
				row := []string{o.ID, stamp(o.At), o.Event, o.EventType, string(o.Status), strconv.Itoa(o.Attempt), strconv.Itoa(o.HTTPStatus),
					strconv.FormatInt(o.DurationMs, 10), o.Error, strconv.FormatBool(o.Test)}
				if !yield(row, nil) {
					return
				}
			}
			if len(found) < q.Limit {
				return
			}
			n, q.Before = n+len(found), found[len(found)-1].ID
		}
	}
	return v.csv("deliveries-"+e.ID, []string{"id", "createdAt", "event", "eventType", "status", "attempt", "httpStatus", "durationMs", "error", "test"}, rows)
}

// deliveryView is one try, with what was sent and what came back.
type deliveryView struct {
	Head    head
	Live    string // where a newer state is fetched; "" when it has ended
	Badge   badge
	Problem string
	Facts   []fact
	Headers []notify.Header
	URL     string
	Body    string
	Answer  string
	Tried   bool
	Again   string // where it is sent again; "" cannot
	Attempt string
}

func (v *visit) delivery() (notify.Endpoint, notify.Shown, error) {
	e, err := v.endpoint()
	if err != nil {
		return e, notify.Shown{}, err
	}
	name := v.PathValue("delivery")
	if !id.Valid(id.Delivery, name) {
		return e, notify.Shown{}, fault.NotFound("delivery")
	}
	shown, err := v.d.Webhooks.Delivery(v.Context(), v.account.ID, v.mode, e.ID, name)
	return e, shown, err
}

func (d *Dashboard) showDelivery(v *visit) error {
	e, o, err := v.delivery()
	if err != nil {
		return err
	}
	p, self := v.print, v.path("webhooks", e.ID, "deliveries", o.ID)
	view := deliveryView{Head: head{Title: o.EventType, Back: button{Text: p.T("webhooks.toDeliveries"), Href: v.path("webhooks", e.ID)}},
		Badge: v.deliveryBadge(o.Delivery), Problem: o.Error, Headers: o.Request.Headers, URL: o.Request.URL, Body: indented(o.Body), Answer: o.Answer,
		Tried: o.HTTPStatus > 0 || o.Error != "", Attempt: newAttempt()}
	if o.Status == notify.Pending {
		view.Live = self
	}
	if e.Enabled() && !o.Test && len(o.Body) > 0 && o.Status != notify.Pending {
		view.Again = self
	}
	if o.HTTPStatus > 0 {
		view.Facts = append(view.Facts, fact{p.T("webhooks.httpStatus"), text(strconv.Itoa(o.HTTPStatus))})
	}
	view.Facts = append(view.Facts, fact{p.T("webhooks.took"), text(v.millis(o.DurationMs))}, fact{p.T("webhooks.attempt"), text(p.Number(int64(o.Attempt)))},
		fact{p.T("webhooks.at"), when(o.At)})
	if !o.NextAt.IsZero() && o.Status == notify.Failed {
		view.Facts = append(view.Facts, fact{p.T("webhooks.nextAt"), when(o.NextAt)})
	}
	view.Facts = append(view.Facts, fact{p.T("webhooks.event"), code(o.Event)}, fact{p.T("webhooks.id"), code(o.ID)})
	if v.partial() {
		return v.render(http.StatusOK, o.EventType, deliveryLive(view))
	}
	return v.render(http.StatusOK, o.EventType, deliveryPage(view))
}

// indented makes JSON readable; what is none stays as it is.
func indented(raw []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, raw, "", "  ") != nil {
		return string(raw)
	}
	return out.String()
}

func (d *Dashboard) redeliver(v *visit) error {
	if _, err := v.form(); err != nil {
		return err
	}
	e, o, err := v.delivery()
	if err != nil {
		return err
	}
	var sent notify.Delivery
	replayed, err := v.once(d.Records.Webhooks, "delivery", func(t *idempotency.Ticket) (err error) {
		sent, err = d.Webhooks.Redeliver(v.Context(), v.account.ID, v.mode, e.ID, o.ID, t)
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
	return v.redirect(v.path("webhooks", e.ID, "deliveries", sent.ID), "good", v.print.T("webhooks.againDone"))
}
