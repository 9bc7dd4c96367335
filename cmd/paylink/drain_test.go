package main_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// slowCard is approved at once and answered ten seconds later.
const slowCard = "4000000000006165"

// heard is what a payer got; an error means no whole answer.
type heard struct {
	status int
	body   []byte
	err    error
}

// payInBackground pays a link over a connection of its own.
func (p *process) payInBackground(t *testing.T, l map[string]any, number string) <-chan heard {
	t.Helper()
	body := `{"attempt":"attempt-0000000001","card":{"number":"` + number + `","expMonth":12,"expYear":2034,"cvc":"7391"}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+tokenPath(t, l)+"/payments", strings.NewReader(body))
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

// TestDrainFinishesAPayment tells the server to stop while a payment is at the
// issuer, who has approved it and has not answered: nobody new is let in, the
// payment is finished, the payer is answered, and the process ends well.
func TestDrainFinishesAPayment(t *testing.T) {
	p := serve(t)
	_, key := p.merchant(t, "ada")
	l := key.link(`"amount":"7"`)
	answer := p.payInBackground(t, l, slowCard)
	var id string
	eventually(t, "the issuer has the payment in its book", func() bool {
		all := paymentsOf(key, l)
		if len(all) == 1 {
			id = str(t, all[0], "id")
		}
		return id != "" && authorised(t, p, id) == 1
	})
	onePayment(key, l, "processing")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server refuses new connections", func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	select {
	case a := <-answer:
		t.Fatalf("the payment was not under way any more: %+v", a)
	case <-p.done:
		t.Fatalf("the server ended before the payment: %v\n%s", p.err, p.logs)
	default: // still at the issuer, while nobody is let in
	}
	a := <-answer
	var paid struct{ ID, Status string }
	if err := errors.Join(a.err, json.Unmarshal(a.body, &paid)); err != nil || a.status != http.StatusOK || paid.Status != "succeeded" || paid.ID != id {
		t.Errorf("the payer was answered %d %s, %v", a.status, a.body, err)
	}
	<-p.done
	if p.err != nil || !strings.Contains(p.logs.String(), "finishing what is under way") || !strings.Contains(p.logs.String(), `"stopped"`) {
		t.Errorf("after SIGTERM: %v\n%s", p.err, p.logs)
	}
	verified(t, p.data)
	p = serveOn(t, p.data, strings.TrimPrefix(p.url, "http://"))
	if again := onePayment(key, l, "succeeded"); again != id || authorised(t, p, id) != 1 {
		t.Errorf("payment %s became %s, with %d authorisations", id, again, authorised(t, p, id))
	}
	verified(t, p.data)
}
