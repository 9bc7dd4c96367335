package main_test

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// expiredLink is the path of a link of the same account as another's, that lived
// a minute, an hour ago. The shortest life is a minute, so it is made in the
// stopped server's own folder, by the server's own code, under a clock that is
// behind. The server runs again when it returns.
func expiredLink(t testing.TB, p *process, like map[string]any) (*process, string) {
	t.Helper()
	p.stop()
	ring, err := keyring.Open(filepath.Join(p.data, "keys"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.OpenSQLite(filepath.Join(p.data, "paylink.db"))
	if err != nil {
		t.Fatal(err)
	}
	links := link.NewLocal(link.LocalConfig{Ring: ring, Store: store, PublicURL: p.url, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	known, err := links.Open(t.Context(), strings.TrimPrefix(tokenPath(t, like), "/l/"))
	if err != nil {
		t.Fatal(err)
	}
	minute := int64(60)
	old, err := links.Create(t.Context(), link.CreateRequest{Account: known.Account, Mode: known.Mode, Payee: known.Payee,
		Methods: []link.Method{{ID: known.PaymentMethod, Type: "card", Issuer: known.Issuer, Currencies: []money.Currency{"EUR"}, Enabled: true, MinMinor: 1, Test: true}},
		Amount:  "64.00", Currency: "EUR", Description: "A place at the early table", Reference: "order-1842", ExpiresInSeconds: &minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return serveOn(t, p.data, strings.TrimPrefix(p.url, "http://")), "/l/" + old.Token
}

// TestF11ExpiredLinkTellsWhenAndWhy: the page and the answer to a payment both
// name the time.
func TestF11ExpiredLinkTellsWhenAndWhy(t *testing.T) {
	p := serve(t)
	_, key := p.merchant(t, "ada")
	l := key.link(`"amount":"7"`)
	p, path := expiredLink(t, p, l)
	status, page := p.get(t, path)
	if status != http.StatusGone || !strings.Contains(page, "This link has expired") || !strings.Contains(page, "<dt>Expired</dt>") || strings.Contains(page, `id="pay"`) {
		t.Errorf("%d %s", status, page)
	}
	a := key.as("").do("POST", path+"/payments", `{"attempt":"attempt-0000000001","card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"7391"}}`)
	if a.status != http.StatusConflict || a.json["code"] != "link_expired" || !strings.Contains(str(t, a.json, "detail"), "This link expired on ") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if n := len(list(t, key.ok("GET", "/api/payments", ""), "data")); n != 0 {
		t.Errorf("%d payments", n)
	}
	eventually(t, "the expiry is recorded", func() bool {
		for _, l := range list(t, key.ok("GET", "/api/links", ""), "data") {
			if l["status"] == "expired" {
				return true
			}
		}
		return false
	})
	verified(t, p.data)
}
