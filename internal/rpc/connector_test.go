package rpc_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/issuertest"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/rpc"
)

// far is a simulator that is called over loopback; its notices come directly.
type far struct {
	*rpc.Connector
	sim *simulator.Simulator
}

func (f far) OnNotice(handle func(context.Context, issuer.Notice) error) { f.sim.OnNotice(handle) }

// TestConnector runs the suite of all issuers on an issuer in another process. Its challenges
// pass through the gateway's proxy.
func TestConnector(t *testing.T) {
	decline := map[string]issuer.Card{}
	for code, number := range map[string]string{issuer.CodeDeclined: "4000000000000002", issuer.CodeInsufficientFunds: "4000000000009995",
		issuer.CodeLost: "4000000000009987", issuer.CodeStolen: "4000000000009979", issuer.CodeExpired: "4000000000000069",
		issuer.CodeIncorrectCVC: "4000000000000127", issuer.CodeProcessing: "4000000000000119"} {
		decline[code] = card(t, number)
	}
	issuertest.Run(t, func(t *testing.T) (issuer.Connector, issuertest.Cards) {
		w := newWorld(t)
		book := filepath.Join(t.TempDir(), "book")
		open := func() far {
			sim, err := simulator.New(simulator.Config{BookPath: book, Now: time.Now})
			good(t, err)
			t.Cleanup(func() { _ = sim.Close() })
			w.sim = sim
			c := credentials(t, keysFile(t), "")
			address, _ := listen(t, w.serve(c), nil)
			pool := w.pool("simulator", c, address)
			pages := httptest.NewServer(rpc.Pages(pool))
			t.Cleanup(pages.Close)
			pagesURL = pages.URL
			return far{rpc.NewConnector(rpc.NewPeer("simulator", pool, nil), simulator.Name, simulator.Capabilities(), w.cards()), sim}
		}
		k := open()
		return k, issuertest.Cards{Approve: card(t, "4242424242424242"), Declined: decline,
			Lost: card(t, "4000000000006108"), Unsent: card(t, "4000000000006116"),
			Twice: card(t, "4000000000006132"), Action: card(t, "4000000000003220"),
			Decide: decide,
			Crash: func(t *testing.T) issuer.Connector {
				good(t, w.sim.Close())
				return open()
			}}
	})
}

// pagesURL is the address of the challenge pages of the connector opened last.
var pagesURL string

func decide(t *testing.T, path string, pass bool) {
	t.Helper()
	asked, err := http.Get(pagesURL + path)
	good(t, err)
	if _ = asked.Body.Close(); asked.StatusCode != http.StatusOK ||
		!strings.Contains(asked.Header.Get("Content-Security-Policy"), "form-action") {
		t.Fatalf("the challenge's page: %d %v", asked.StatusCode, asked.Header)
	}
	action := map[bool]string{true: "approve", false: "fail"}[pass]
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.PostForm(pagesURL+path, url.Values{"action": {action}})
	good(t, err)
	if _ = answer.Body.Close(); answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("the decision was answered %d", answer.StatusCode)
	}
}

// TestConnectorAway checks that NotSent is returned for calls that were not sent, and never for
// one that may have been.
func TestConnectorAway(t *testing.T) {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	address, stop := listen(t, w.serve(c), nil)
	connector := func(c *rpc.Credentials) *rpc.Connector {
		return rpc.NewConnector(
			rpc.NewPeer("simulator", w.pool("simulator", c, address), nil),
			simulator.Name,
			simulator.Capabilities(),
			w.cards(),
		)
	}
	ask := issuer.Authorization{
		Reference: "pay_1-1",
		Amount:    testAmount,
		Card:      card(t, "4242424242424242"),
		Statement: "Ada",
		ExpiresAt: time.Now().Add(time.Hour),
	}
	if a := connector(credentials(t, keysFile(t), "")).Authorize(t.Context(), ask); a.Outcome != issuer.NotSent {
		t.Errorf("with another secret: %v", a.Outcome)
	}
	k := connector(c)
	if a := k.Authorize(t.Context(), ask); a.Outcome != issuer.Approved {
		t.Errorf("before: %+v", a)
	}
	stop()
	if a := k.Authorize(t.Context(), ask); a.Outcome != issuer.NotSent {
		t.Errorf("with nobody there: %v", a.Outcome)
	}
}
