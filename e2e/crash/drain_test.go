package crash

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// slowCard is approved at once and answered ten seconds later.
const slowCard = "4000000000006165"

// heard is what a payer received; an error means no complete answer.
type heard struct {
	status int
	body   []byte
	err    error
}

// payInBackground pays a link over a separate connection.
func payInBackground(p *harness.Process, t *testing.T, l map[string]any, number string) <-chan heard {
	t.Helper()
	body := `{"attempt":"attempt-0000000001","card":{"number":"` + number + `","expMonth":12,"expYear":2034,"cvc":"7391"}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+harness.TokenPath(t, l)+"/payments", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer := make(chan heard, 1)
	go func() {
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			answer <- heard{err: err}
			return
		}
		raw, err := io.ReadAll(resp.Body)
		answer <- heard{resp.StatusCode, raw, errors.Join(err, resp.Body.Close())}
	}()
	return answer
}

// TestDrainFinishesAPayment shuts the server down while the issuer has approved a payment and not
// yet answered: no new request is accepted, the payment is finished, the payer is answered, and
// the process ends cleanly.
func TestDrainFinishesAPayment(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	l := key.Link(`"amount":"7"`)
	answer := payInBackground(p, t, l, slowCard)
	var id string
	await.Until(t, "the issuer has the payment in its book", func() bool {
		all := harness.PaymentsOf(key, l)
		if len(all) == 1 {
			id = harness.Str(t, all[0], "id")
		}
		return id != "" && harness.Authorized(t, p, id) == 1
	})
	harness.OnePayment(key, l, "processing")
	p.Signal(syscall.SIGTERM)
	await.Until(t, "the server refuses new connections", func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.URL, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	select {
	case a := <-answer:
		t.Fatalf("the payment was not under way any more: %+v", a)
	case <-p.Done:
		t.Fatalf("the server ended before the payment: %v\n%s", p.Err, p.Logs)
	default: // still at the issuer, while nobody is let in
	}
	a := <-answer
	var paid struct{ ID, Status string }
	if err := errors.Join(a.err, json.Unmarshal(a.body, &paid)); err != nil || a.status != http.StatusOK || paid.Status != "succeeded" ||
		paid.ID != id {
		t.Errorf("the payer was answered %d %s, %v", a.status, a.body, err)
	}
	<-p.Done
	if p.Err != nil || !strings.Contains(p.Logs.String(), "finishing requests in progress") ||
		!strings.Contains(p.Logs.String(), `"stopped"`) {
		t.Errorf("after SIGTERM: %v\n%s", p.Err, p.Logs)
	}
	harness.Verified(t, p.Data)
	p = harness.StartOn(t, p.Data, strings.TrimPrefix(p.URL, "http://"))
	if again := harness.OnePayment(key, l, "succeeded"); again != id || harness.Authorized(t, p, id) != 1 {
		t.Errorf("payment %s became %s, with %d authorisations", id, again, harness.Authorized(t, p, id))
	}
	harness.Verified(t, p.Data)
}
