package desktest

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
)

// Held makes a payment of 12.50 EUR that waits in review, and fails the test if it does
// not.
func (w *World) Held(change func(*link.CreateRequest)) payment.Payment {
	w.T.Helper()
	p := w.Pay(w.Link(change), Good, func(s *payment.Submit) {
		s.PayerEmail, s.Client = "hold@example.com", netip.MustParseAddr("203.0.113.7")
	})
	if p.Risk.Review != payment.ReviewOpen {
		w.T.Fatalf("it is not held: %+v", p)
	}
	return p
}

// Tickets returns the fields of a form with a list of amounts, which the page of a new form
// accepts.
func Tickets() url.Values {
	return url.Values{
		"name":      {"Tickets"},
		"kind":      {"list"},
		"amounts":   {"5\n12,50"},
		"currency":  {"EUR"},
		"ask-email": {"required"},
		"own-0":     {"T-shirt size"},
		"own-ask-0": {
			"optional",
		},
		"accent":  {"#0b6e4f"},
		"corners": {"soft"},
		"origins": {"https://shop.example\nhttp://localhost:4000"},
		"life":    {"3600"},
		"capture": {"automatic"},
	}
}

// FormMade sends the page of a new form and returns the id of the form that it made.
func (w *World) FormMade(values url.Values) string {
	w.T.Helper()
	// The attempt id is that of a page that was really served.
	values.Set("attempt", w.Attempt(w.Get("/dashboard/test/forms/new")))
	p := w.Post("/dashboard/test/forms", values)
	id := strings.TrimPrefix(p.Path, "/dashboard/test/forms/")
	if p.Status != http.StatusOK || !strings.HasPrefix(id, "frm_") {
		w.T.Fatalf("%s (%d): %s", p.Path, p.Status, p.Body)
	}
	return id
}

// Try records a delivery to the endpoint of the path: a third, failed try, unless change
// says otherwise.
func (w *World) Try(path string, status notify.Status, change func(*notify.Delivery)) notify.Delivery {
	w.T.Helper()
	endpoint := strings.TrimPrefix(path, "/dashboard/test/webhooks/")
	d := notify.Delivery{
		ID:         id.New(id.Delivery),
		Account:    w.Account,
		Mode:       link.Test,
		Endpoint:   endpoint,
		Event:      id.New(id.Event),
		EventType:  "payment.succeeded",
		Attempt:    3,
		Status:     status,
		HTTPStatus: 500,
		Answer:     "no",
		Error:      "http_status: the endpoint answered 500; only 2xx is success",
		DurationMs: 1234,
		At:         time.Now(),
		SealedBody: w.Seal([]byte(`{"id":"evt_1","data":{}}`)),
		Request: notify.Request{
			URL:     "https://shop.example/hooks",
			Headers: []notify.Header{{Name: "webhook-id", Value: "evt_1"}, {Name: "webhook-signature", Value: "v1,abc v1a,def"}},
		},
	}
	if change != nil {
		change(&d)
	}
	// Straight into the store, since nothing sends webhooks here.
	if err := w.Store.RecordDelivery(w.T.Context(), d, nil); err != nil {
		w.T.Fatal(err)
	}
	return d
}
