package webhooks

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
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
)

// maxExported bounds the lines of a file of deliveries.
const maxExported = 100_000

// deliveryFilter is the filter of a list of deliveries.
type deliveryFilter struct {
	Status, Type string
	frame.Dates
}

// set reports whether anything is filtered.
func (f deliveryFilter) set() bool { return f.Status != "" || f.Type != "" || f.Dates.Set() }

// others returns the filters except the dates, as query parameters.
func (f deliveryFilter) others() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"status": f.Status, "type": f.Type} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// values returns all filters as query parameters.
func (f deliveryFilter) values() url.Values {
	q := f.others()
	f.Dates.Values(q)
	return q
}

// readDeliveries reads the filters from the query. Invalid ones become problems of r; an
// error is a failed read of the test clock.
func readDeliveries(r *frame.Reading) (deliveryFilter, error) {
	f := deliveryFilter{Status: r.Choice("status", func(s string) bool { _, known := deliveryWords[notify.Status(s)]; return known }),
		Type: r.Choice("type", func(s string) bool { return s == notify.TestPing || slices.Contains(notify.EventTypes(), s) })}
	// No preset: without dates the list shows deliveries of any age.
	var err error
	f.Dates, err = r.Dates("")
	return f, err
}

// query returns the filter as the service takes it.
func (f deliveryFilter) query() notify.DeliveryQuery {
	return notify.DeliveryQuery{Status: notify.Status(f.Status), EventType: f.Type, From: f.Period.From, To: f.Period.To}
}

// endpointView is one endpoint with a page of its deliveries.
type endpointView struct {
	Head        parts.Head
	Badge       parts.Badge
	Why         string
	Facts       []parts.Fact
	Events      []string // "" is every one
	Enabled     bool
	Switch      string // where enabling and disabling are sent
	Test        string
	Attempt     string
	Types       []parts.Option
	Filter      deliveryFilter
	Problems    parts.Problems
	Dates       frame.DatesView
	FilterTo    string
	Statuses    []parts.Option
	FilterTypes []parts.Option
	Table       parts.Table
	Bulk        []bulkView
	BulkHref    string
}

// showEndpoint shows an endpoint, its deliveries, and its latest bulk redeliveries. With an
// invalid filter the list shows the problem and no rows.
func (d *Pages) showEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}

	r := v.Reads()
	asked, err := readDeliveries(r)
	if err != nil {
		return err
	}

	q := asked.query()
	// One more than a page, to know whether there is an older one.
	q.Before, q.Limit = r.ID("before", id.Delivery), frame.PageSize+1
	wrong := r.End()
	var found []notify.Delivery
	if len(wrong) == 0 {
		if found, err = d.Webhooks.Deliveries(v.Context(), v.Account.ID, v.Mode, e.ID, q); err != nil {
			return err
		}
	}

	// The three latest are enough to follow one that was just begun.
	bulks, err := d.Webhooks.Redeliveries(v.Context(), v.Account.ID, v.Mode, e.ID, "", 3)
	if err != nil {
		return err
	}

	p := v.Print
	view := endpointView{
		Problems: wrong,
		Dates:    v.DatesView(asked.Dates, v.Path("webhooks", e.ID), asked.others(), wrong, frame.Presets[:6]...),
		Head:     v.endpointHead(e),
		Badge:    v.endpointBadge(e),
		Enabled:  e.Enabled(),
		Switch:   v.Path("webhooks", e.ID, "enabled"),
		Test: v.Path(
			"webhooks",
			e.ID,
			"test",
		),
		Attempt:  frame.NewAttempt(),
		Filter:   asked,
		FilterTo: v.Path("webhooks", e.ID),
		BulkHref: v.Path("webhooks", e.ID, "redeliver"),
		Types: v.eventOptions(
			parts.Option{Value: notify.TestPing, Text: p.T("webhooks.testPing")},
		),
		FilterTypes: v.eventOptions(parts.Option{Value: "", Text: p.T("webhooks.any")}),
		Statuses: v.deliveryOptions(
			parts.Option{Value: "", Text: p.T("webhooks.any")},
			notify.Pending,
			notify.Succeeded,
			notify.Failed,
			notify.DeadLetter,
		),
	}
	// A disabled endpoint says why. An enabled one that fails says since when, because it
	// will be disabled if that goes on.
	if !e.Enabled() {
		view.Why = v.why(e)
		view.Facts = append(view.Facts, parts.Fact{Label: p.T("webhooks.disabled"), Value: parts.When(e.DisabledAt)})
	} else if !e.FailingSince.IsZero() {
		view.Why = p.T("webhooks.failingLead")
		view.Facts = append(view.Facts, parts.Fact{Label: p.T("webhooks.failingSince"), Value: parts.When(e.FailingSince)})
	}
	view.Facts = append(
		view.Facts,
		parts.Fact{Label: p.T("webhooks.created"), Value: parts.When(e.CreatedAt)},
		parts.Fact{Label: p.T("webhooks.id"), Value: parts.Code(e.ID)},
	)
	if !everyEvent(e) {
		view.Events = e.Events
	}

	view.Table = v.deliveryTable(e, asked, q.Before, found)
	if len(wrong) > 0 {
		view.Table.Empty = v.Unshown(view.FilterTo)
	}
	for _, r := range bulks {
		view.Bulk = append(view.Bulk, v.bulk(r))
	}
	return v.Render(frame.StatusFor(wrong), e.URL, endpointPage(view))
}

// endpointHead returns the heading of an endpoint, with what can be done.
func (v *visit) endpointHead(e notify.Endpoint) parts.Head {
	p := v.Print
	return parts.Head{Title: e.URL, Back: parts.Button{Text: p.T("webhooks.back"), Href: v.Path("webhooks")}, Actions: []parts.Button{
		{Text: p.T("webhooks.edit"), Href: v.Path("webhooks", e.ID, "edit")},
		{Text: p.T("webhooks.rotate"), Href: v.Path("webhooks", e.ID, "rotate"), Icon: "key"},
		{Text: p.T("webhooks.delete"), Href: v.Path("webhooks", e.ID, "delete"), Kind: "danger"},
	}}
}

// why returns why an endpoint is disabled.
func (v *visit) why(e notify.Endpoint) string {
	key := map[string]string{notify.ReasonGone: "webhooks.whyGone", notify.ReasonFailing: "webhooks.whyFailing",
		notify.ReasonManual: "webhooks.whyManual"}[e.DisabledReason]
	// A reason of a newer version of the program, as it is.
	if key == "" {
		return e.DisabledReason
	}
	return v.Print.T(key)
}

// eventOptions returns the event types as options, after first.
func (v *visit) eventOptions(first parts.Option) []parts.Option {
	all := []parts.Option{first}
	for _, t := range notify.EventTypes() {
		all = append(all, parts.Option{Value: t, Text: t})
	}
	return all
}

// deliveryWords has the words and the tone of each status.
var deliveryWords = map[notify.Status]struct{ key, tone string }{
	notify.Pending: {"webhooks.waiting", "wait"}, notify.Succeeded: {"webhooks.delivered", "good"},
	notify.Failed: {"webhooks.failed", "wait"}, notify.DeadLetter: {"webhooks.parked", "bad"},
}

// deliveryOptions returns statuses as options, after first unless that is zero.
func (v *visit) deliveryOptions(first parts.Option, all ...notify.Status) []parts.Option {
	list := []parts.Option{first}
	// Zero means that one of the statuses must be chosen.
	if first == (parts.Option{}) {
		list = nil
	}
	for _, s := range all {
		list = append(list, parts.Option{Value: string(s), Text: v.Print.T(deliveryWords[s].key)})
	}
	return list
}

// deliveryBadge returns the status of a delivery. A failed test is not tried again, so it
// has words of its own.
func (v *visit) deliveryBadge(d notify.Delivery) parts.Badge {
	if d.Test && d.Status == notify.Failed {
		return parts.Badge{Text: v.Print.T("webhooks.testFailed"), Tone: "bad"}
	}
	w := deliveryWords[d.Status]
	return parts.Badge{Text: v.Print.T(w.key), Tone: w.tone}
}

// answerText returns the HTTP status of the response, or the code of the problem.
func (v *visit) answerText(d notify.Delivery) string {
	switch {
	case d.HTTPStatus > 0:
		return strconv.Itoa(d.HTTPStatus)
	case d.Error != "":
		return problemCode(d.Error)
	}
	return "–"
}

// problemCode returns the part of a delivery's error before the colon, which is for
// programs.
func problemCode(s string) string {
	// What follows the colon is English, for a log.
	before, _, _ := bytes.Cut([]byte(s), []byte(":"))
	return string(before)
}

// millis returns a duration in milliseconds.
func (v *visit) millis(n int64) string { return v.Print.Number(n) + " ms" }

// deliveryTable returns the rows of a page. found may have one more than a page, which
// shows that there is a next one.
func (v *visit) deliveryTable(e notify.Endpoint, asked deliveryFilter, before string, found []notify.Delivery) parts.Table {
	p := v.Print
	q := asked.values()
	at := func(path string) string {
		if len(q) > 0 {
			return path + "?" + q.Encode()
		}
		return path
	}
	t := parts.Table{ID: "deliveries", Caption: p.T("webhooks.deliveries"), CaptionHidden: true,
		Columns: []parts.Column{{Label: p.T("webhooks.event")}, {Label: p.T("webhooks.status")}, {Label: p.T("webhooks.answer")},
			{Label: p.T("webhooks.took"), Number: true}, {Label: p.T("webhooks.attempt"), Number: true}},
		Empty: parts.Empty{Icon: "bell", Headline: p.T("webhooks.deliveriesEmpty"), Lead: p.T("webhooks.deliveriesEmptyLead")}}
	// Nothing matches, which is not the same as nothing was ever sent.
	if asked.set() || before != "" {
		t.Empty = parts.Empty{Icon: "search", Headline: p.T("webhooks.noneFound"), Lead: p.T("webhooks.noneFoundLead"),
			Actions: []parts.Button{{Text: p.T("webhooks.clear"), Href: v.Path("webhooks", e.ID)}}}
	} else if len(found) > 0 {
		t.CSV = at(v.Path("webhooks", e.ID, "deliveries.csv"))
	}
	if asked.set() && len(found) > 0 {
		t.CSV = at(v.Path("webhooks", e.ID, "deliveries.csv"))
	}
	if before != "" {
		t.Pager.Newest = at(v.Path("webhooks", e.ID))
	}
	if len(found) > frame.PageSize {
		found = found[:frame.PageSize]
		q.Set("before", found[len(found)-1].ID)
		t.Pager.Older = at(v.Path("webhooks", e.ID))
	}

	for _, d := range found {
		// An answer is short here; its page has the headers and the body.
		t.Rows = append(t.Rows, parts.Row{ID: d.ID, Href: v.Path("webhooks", e.ID, "deliveries", d.ID), Cells: []templ.Component{
			eventCell(
				d,
			), parts.BadgePart(v.deliveryBadge(d)), answerCell(v.answerText(d)), parts.Text(v.millis(d.DurationMs)),
			parts.Text(p.Number(int64(d.Attempt)))}})
	}

	return t
}

// exportDeliveries streams the deliveries that match the filter as CSV, newest first, at
// most maxExported.
func (d *Pages) exportDeliveries(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}

	r := v.Reads()
	asked, err := readDeliveries(r)
	if err != nil {
		return err
	}
	if wrong := r.End(); wrong != nil {
		return v.Refuse(wrong, v.Path("webhooks", e.ID))
	}

	q := asked.query()
	q.Limit = notify.MaxPage
	var rows iter.Seq2[[]string, error] = func(yield func([]string, error) bool) {
		// The bound is checked once a page, not in every line.
		for n := 0; n < maxExported; {
			found, err := d.Webhooks.Deliveries(v.Context(), v.Account.ID, v.Mode, e.ID, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, o := range found {
				row := []string{o.ID, parts.Stamp(o.At), o.Event, o.EventType, string(o.Status), strconv.Itoa(o.Attempt), strconv.Itoa(o.HTTPStatus),
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
	return v.CSV(
		"deliveries-"+e.ID,
		[]string{"id", "createdAt", "event", "eventType", "status", "attempt", "httpStatus", "durationMs", "error", "test"},
		rows,
	)
}

// deliveryView is one try, with what was sent and what came back.
type deliveryView struct {
	Head    parts.Head
	Live    string // where a newer state is fetched; "" when it has ended
	Badge   parts.Badge
	Problem string
	Facts   []parts.Fact
	Headers []notify.Header
	URL     string
	Body    string
	Answer  string
	Tried   bool
	Again   string // where it is sent again; "" cannot
	Attempt string
}

// delivery returns the endpoint and the delivery that the path names, or not found.
func (v *visit) delivery() (notify.Endpoint, notify.Shown, error) {
	e, err := v.endpoint()
	if err != nil {
		return e, notify.Shown{}, err
	}
	name := v.PathValue("delivery")
	if !id.Valid(id.Delivery, name) {
		// An address that cannot be an id is not looked up.
		return e, notify.Shown{}, fault.NotFound("delivery")
	}
	shown, err := v.d.Webhooks.Delivery(v.Context(), v.Account.ID, v.Mode, e.ID, name)
	return e, shown, err
}

// showDelivery shows a try. While it is pending, the page's script asks for a newer state.
func (d *Pages) showDelivery(v *visit) error {
	e, o, err := v.delivery()
	if err != nil {
		return err
	}

	p, self := v.Print, v.Path("webhooks", e.ID, "deliveries", o.ID)
	view := deliveryView{
		Head: parts.Head{Title: o.EventType, Back: parts.Button{Text: p.T("webhooks.toDeliveries"), Href: v.Path("webhooks", e.ID)}},
		Badge: v.deliveryBadge(
			o.Delivery,
		),
		Problem: o.Error,
		Headers: o.Request.Headers,
		URL:     o.Request.URL,
		Body:    indented(o.Body),
		Answer:  o.Answer,
		Tried:   o.HTTPStatus > 0 || o.Error != "",
		Attempt: frame.NewAttempt(),
	}
	// The script asks again until the try has ended.
	if o.Status == notify.Pending {
		view.Live = self
	}
	// A test is not sent again, nor what has lost its body in the meantime.
	if e.Enabled() && !o.Test && len(o.Body) > 0 && o.Status != notify.Pending {
		view.Again = self
	}
	if o.HTTPStatus > 0 {
		view.Facts = append(view.Facts, parts.Fact{Label: p.T("webhooks.httpStatus"), Value: parts.Text(strconv.Itoa(o.HTTPStatus))})
	}
	view.Facts = append(
		view.Facts,
		parts.Fact{Label: p.T("webhooks.took"), Value: parts.Text(v.millis(o.DurationMs))},
		parts.Fact{Label: p.T("webhooks.attempt"), Value: parts.Text(p.Number(int64(o.Attempt)))},
		parts.Fact{Label: p.T("webhooks.at"), Value: parts.When(o.At)},
	)
	// A failed try says when the next one is due. A parked delivery has none.
	if !o.NextAt.IsZero() && o.Status == notify.Failed {
		view.Facts = append(view.Facts, parts.Fact{Label: p.T("webhooks.nextAt"), Value: parts.When(o.NextAt)})
	}
	view.Facts = append(
		view.Facts,
		parts.Fact{Label: p.T("webhooks.event"), Value: parts.Code(o.Event)},
		parts.Fact{Label: p.T("webhooks.id"), Value: parts.Code(o.ID)},
	)
	if v.Partial() {
		return v.Render(http.StatusOK, o.EventType, deliveryLive(view))
	}

	return v.Render(http.StatusOK, o.EventType, deliveryPage(view))
}

// indented returns JSON with line breaks, and any other text as it is.
func indented(raw []byte) string {
	var out bytes.Buffer
	// Indenting keeps every value as it is written, so a number is shown as it was signed.
	if json.Indent(&out, raw, "", "  ") != nil {
		return string(raw)
	}
	return out.String()
}

// redeliver sends the event of a delivery again, once, and shows the new delivery.
func (d *Pages) redeliver(v *visit) error {
	if _, err := v.Posted(); err != nil {
		return err
	}

	e, o, err := v.delivery()
	if err != nil {
		return err
	}

	var sent notify.Delivery
	replayed, err := v.Once(d.Records, "delivery", func(t *idempotency.Ticket) (err error) {
		sent, err = d.Webhooks.Redeliver(v.Context(), v.Account.ID, v.Mode, e.ID, o.ID, t)
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

	return v.Redirect(v.Path("webhooks", e.ID, "deliveries", sent.ID), "good", v.Print.T("webhooks.againDone"))
}
