package answer_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
)

// charge is what the calls of this test make.
type charge struct {
	ID    string
	Minor int64
}

// jsonFace is the face without a name.
func jsonFace() *answer.Face {
	return &answer.Face{
		Shapes: answer.Shapes{"charge": answer.Of(func(c charge) any { return map[string]any{"id": c.ID, "amountMinor": c.Minor} })},
		Write:  write("application/json"), Fail: fail("application/problem+json"),
		Decline: func(_ *http.Request, err error) (int, []byte, error) {
			return 402, []byte(`{"code":"` + fault.Code(err) + `"}`), nil
		},
	}
}

// v1Face is another look of the API: other addresses, other names, other errors.
func v1Face() *answer.Face {
	return &answer.Face{Name: "v1",
		Shapes: answer.Shapes{"charge": answer.Of(func(c charge) any {
			return map[string]any{"object": "charge", "id": "ch_" + c.ID, "amount": c.Minor}
		})},
		Write: write("application/vnd.v1+json"), Fail: fail("application/vnd.v1.error+json"),
		Decline: func(_ *http.Request, err error) (int, []byte, error) {
			return 402, []byte(`{"error":{"type":"card_error","code":"` + fault.Code(err) + `"}}`), nil
		},
	}
}

func write(contentType string) func(http.ResponseWriter, *http.Request, int, []byte) {
	return func(w http.ResponseWriter, _ *http.Request, status int, body []byte) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
}

func fail(contentType string) func(http.ResponseWriter, *http.Request, error) {
	return func(w http.ResponseWriter, _ *http.Request, err error) {
		write(contentType)(w, nil, problem.Status(fault.KindOf(err)), []byte(fault.Code(err)))
	}
}

// counter is a service with one call on each face, and counts what took effect.
type counter struct {
	*sqlstore.Store
	t     *testing.T
	guard *answer.Guard
	made  int
	// ticketless makes the service one that takes no ticket.
	ticketless bool
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	store := sqltest.Open(t, sqltest.File(t))
	ring := keyring.NewMemory(time.Now())
	return &counter{Store: store, t: t, guard: answer.NewGuard(answer.GuardConfig{
		Seal:   func(b, with []byte) ([]byte, error) { return ring.Seal(keyring.AnswerSeal, b, with), nil },
		Unseal: func(b, with []byte) ([]byte, error) { return ring.Unseal(keyring.AnswerSeal, b, with) },
		MAC:    ring.Authenticator(keyring.MACKey),
		Now:    time.Now, Log: slog.New(slog.DiscardHandler)})}
}

// charge is the service's call: the record is written with the effect.
func (c *counter) charge(r *http.Request, decline bool, t *idempotency.Ticket) (any, error) {
	made := charge{ID: string(rune('a' + c.made)), Minor: 1250}
	if decline {
		c.made++
		return nil, fault.New(fault.KindDeclined, "card_declined", "No.")
	}
	record, err := t.Fill(made, time.Now())
	if err != nil {
		return nil, err
	}
	if record != nil {
		if err := c.PutIdempotency(r.Context(), *record); err != nil {
			return nil, err
		}
	}
	c.made++
	return made, nil
}

// post asks a face. An amount that is no JSON has no meaning but its bytes.
func (c *counter) post(face *answer.Face, key, body string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(c.t.Context(), http.MethodPost, "/charges", strings.NewReader(body))
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	var meaning []byte
	var decoded map[string]any
	if json.Unmarshal([]byte(body), &decoded) == nil {
		meaning, _ = json.Marshal(decoded)
	}
	shape := "charge"
	if c.ticketless {
		shape = ""
	}
	c.guard.Serve(answer.Call{Face: face, W: w, R: r, Scope: "acct_1/test", Records: c, Shape: shape, Body: []byte(body), Meaning: meaning,
		Do: func(t *idempotency.Ticket) (any, error) { return c.charge(r, decoded["decline"] == true, t) }})
	return w
}

// expect holds an answer to its status, type and body.
func (c *counter) expect(w *httptest.ResponseRecorder, status int, contentType, body string, replayed bool) {
	c.t.Helper()
	got, again := w.Header().Get("Content-Type"), w.Header().Get("Idempotent-Replayed") == "true"
	if w.Code != status || got != contentType || w.Body.String() != body || again != replayed {
		c.t.Errorf("answered %d %s %s, replayed %t\nwant %d %s %s, replayed %t", w.Code, got, w.Body, again, status, contentType, body, replayed)
	}
}

// TestARecordStaysWithItsFace: a record is replayed on the face that made it, in any
// spelling, and refused on the other one, where nothing takes effect.
func TestARecordStaysWithItsFace(t *testing.T) {
	const jsonType, v1Type = "application/json", "application/vnd.v1+json"
	const jsonError, v1Error = "application/problem+json", "application/vnd.v1.error+json"
	for _, first := range []struct {
		body         string
		ticketless   bool
		status       int
		onJSON, onV1 string // what the face answers that is asked first
	}{
		{`{"amount":1,"to":"x"}`, false, 200, `{"amountMinor":1250,"id":"a"}`, `{"amount":1250,"id":"ch_a","object":"charge"}`},
		{`{"amount":1,"decline":true}`, false, 402, `{"code":"card_declined"}`, `{"error":{"type":"card_error","code":"card_declined"}}`},
		{`{"amount":1,"to":"x"}`, true, 200, `{"ID":"a","Minor":1250}`, `{"ID":"a","Minor":1250}`},
		{`amount=1`, false, 200, `{"amountMinor":1250,"id":"a"}`, `{"amount":1250,"id":"ch_a","object":"charge"}`},
	} {
		respelled := first.body
		if strings.HasPrefix(first.body, "{") {
			respelled = strings.Replace(first.body, `"amount":1`, `"amount": 1.0`, 1)
		}
		c := newCounter(t)
		c.ticketless = first.ticketless
		c.expect(c.post(jsonFace(), "k", first.body), first.status, jsonType, first.onJSON, false)
		c.expect(c.post(jsonFace(), "k", respelled), first.status, jsonType, first.onJSON, true)
		c.expect(c.post(v1Face(), "k", first.body), 422, v1Error, "idempotency_key_reused", false)

		d := newCounter(t)
		d.ticketless = first.ticketless
		d.expect(d.post(v1Face(), "k", first.body), first.status, v1Type, first.onV1, false)
		d.expect(d.post(v1Face(), "k", respelled), first.status, v1Type, first.onV1, true)
		d.expect(d.post(jsonFace(), "k", first.body), 422, jsonError, "idempotency_key_reused", false)
		if c.made != 1 || d.made != 1 {
			t.Errorf("%s took effect %d and %d times", first.body, c.made, d.made)
		}
	}
}

// TestRecordsWithoutAFace: what a version without faces recorded, over the decoded
// request or over its bytes, is the JSON API's.
func TestRecordsWithoutAFace(t *testing.T) {
	const body = `{"amount":1}`
	for name, of := range map[string]string{"decoded": "decoded request\nPOST\n/charges\n" + body, "bytes": "POST\n/charges\n" + body} {
		c := newCounter(t)
		record := idempotency.Record{Scope: "acct_1/test", Key: "then", Status: 200, CreatedAt: time.Now(), Fingerprint: c.guard.MAC.Tag([]byte(of))}
		var err error
		if record.Answer, err = c.guard.Seal([]byte(`{"was":"then"}`), record.Associated()); err != nil {
			t.Fatal(err)
		}
		if err := c.PutIdempotency(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		c.expect(c.post(jsonFace(), "then", body), 200, "application/json", `{"was":"then"}`, true)
		c.expect(c.post(v1Face(), "then", body), 422, "application/vnd.v1.error+json", "idempotency_key_reused", false)
		if c.made != 0 {
			t.Errorf("%s: the repetition took effect", name)
		}
	}
}

// TestOneFlightForAllFaces: while a request is under way, its key is in use on every
// face of the process.
func TestOneFlightForAllFaces(t *testing.T) {
	c := newCounter(t)
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/charges", http.NoBody)
	r.Header.Set("Idempotency-Key", "k")
	c.guard.Serve(answer.Call{Face: jsonFace(), W: w, R: r, Scope: "acct_1/test", Records: c, Do: func(*idempotency.Ticket) (any, error) {
		c.expect(c.post(v1Face(), "k", "{}"), 409, "application/vnd.v1.error+json", "idempotency_key_in_use", false)
		return charge{ID: "z"}, nil
	}})
	c.expect(w, 200, "application/json", `{"ID":"z","Minor":0}`, false)
}

// TestRender: a shape of a ticket names its face; what is unknown here, or is made for
// another object, is an error.
func TestRender(t *testing.T) {
	faces := answer.Faces{"": jsonFace().Shapes, "v1": v1Face().Shapes}
	for shape, want := range map[string]string{
		"charge": `{"amountMinor":5,"id":"x"}`, "v1/charge": `{"amount":5,"id":"ch_x","object":"charge"}`,
		"v2/charge": "", "v1/": "", "refund": "",
	} {
		got, err := faces.Render(shape, charge{"x", 5})
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s gives %s, %v", shape, got, err)
		}
	}
	if _, err := faces.Render("charge", "another object"); err == nil {
		t.Error("a shape took an object that it is not made for")
	}
}
