package pages

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/paylink/paylink/internal/gateway/connection"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// observed is a listener that keeps what its connections were asked to read into.
type observed struct {
	net.Listener
	mu      sync.Mutex
	buffers [][]byte
}

func (o *observed) Accept() (net.Conn, error) {
	c, err := o.Listener.Accept()
	return &observedConn{c, o}, err
}

type observedConn struct {
	net.Conn
	o *observed
}

func (c *observedConn) Read(p []byte) (int, error) {
	c.o.mu.Lock()
	c.o.buffers = append(c.o.buffers, p)
	c.o.mu.Unlock()
	return c.Conn.Read(p)
}

// TestI15_SubmitLeavesNoCard pays by form and by JSON, over a real connection, with bodies shorter and
// longer than the server's buffer: when the answer is there, whatever it is, the card is cleared and
// no buffer of the connection has the number.
func TestI15_SubmitLeavesNoCard(t *testing.T) {
	w := newWorld(t)
	w.link("open", func(l *link.Link) { l.MaxUses = 0 })
	mux := http.NewServeMux()
	w.pages.Register(mux)
	long := strings.Repeat("n", 9000)
	attempt := 0
	for name, decide := range map[string]func(payment.Submit) (payment.Payment, error){
		"paid": nil,
		"failed": func(payment.Submit) (payment.Payment, error) {
			return payment.Payment{}, errors.New("the store is gone")
		},
		"panic": func(payment.Submit) (payment.Payment, error) { panic(http.ErrAbortHandler) },
	} {
		for _, body := range []string{"form", "json", "long form", "long json"} {
			attempt++
			server := httptest.NewUnstartedServer(mux)
			seen := &observed{Listener: server.Listener}
			server.Listener, server.Config.ConnContext = connection.Listen(seen), connection.Context
			server.Start()
			w.mu.Lock()
			w.decide, w.card, w.last = decide, paidCard{}, payment.Submit{}
			w.mu.Unlock()
			id := "attempt-" + strings.Repeat("0", 12) + string(rune('a'+attempt))
			text, media := `{"attempt":"`+id+`","card":{"number":"4000 0000 0000 9995","expMonth":12,"expYear":2030,"cvc":"739"}`, "application/json"
			if strings.HasSuffix(body, "form") {
				text, media = "attempt="+id+"&number=4000+0000+0000+9995&exp=12%2F30&cvc=739", "application/x-www-form-urlencoded"
			}
			switch body {
			case "long form":
				text = "proof=" + long + "&" + text
			case "long json":
				text = `{"proof":"` + long + `",` + text[1:]
			}
			if media == "application/json" {
				text += "}"
			}
			req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL+"/l/open/payments", strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", media)
			if resp, err := http.DefaultTransport.RoundTrip(req); err == nil { // a panic has no answer
				_ = resp.Body.Close()
			}
			server.Close() // the handler has ended
			card, last := w.card, w.last
			if card.number != "4000000000009995" || card.cvc != "739" {
				t.Fatalf("%s, %s: paid with %+v", name, body, card)
			}
			if err := last.Card.Reveal(func(issuer.Secret) error { return nil }); !errors.Is(err, issuer.ErrNoCard) {
				t.Errorf("%s, %s: the card is still there: %v", name, body, err)
			}
			for _, b := range seen.buffers {
				if bytes.Contains(b, []byte("4000 0000 0000 9995")) || bytes.Contains(b, []byte("4000+0000+0000+9995")) {
					t.Errorf("%s, %s: a buffer of %d bytes has the number", name, body, len(b))
				}
			}
		}
	}
}

// TestTakeField checks the decoded field, and that the form has it no longer.
func TestTakeField(t *testing.T) {
	for _, c := range []struct{ raw, value, left string }{
		{"a=1&number=42+4%32&b=2", "42 42", "a=1&number=xxxxxxx&b=2"},
		{"number=4242", "4242", "number=xxxx"},
		{"n%75mber=4242&number=17", "4242", "n%75mber=xxxx&number=xx"},
		{"number=&number=17", "", "number=&number=xx"},
		{"numbers=4242&cvc=1", "", "numbers=4242&cvc=1"},
		{"number", "", "number"}, {"", "", ""},
		{"number=42%4", "42", "number=%xxx"}, {"number=42;42", "42", "number=%xxxx"}, {"number=%zz", "", "number=%xx"},
	} {
		raw := []byte(c.raw)
		value := takeField(raw, "number")
		if string(value) != c.value || string(raw) != c.left {
			t.Errorf("%q: %q, and %q is left", c.raw, value, raw)
		}
	}
}
