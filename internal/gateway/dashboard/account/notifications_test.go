package account_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/mail"
)

// TestNotifications: which mails the user gets, in which language, and what became
// of those of the account, hostile answers of mail servers too.
func TestNotifications(t *testing.T) {
	w := desktest.New(t)
	at := "/dashboard/account/notifications"
	w.Get(at).Has(t, "maria@example.com", `name="on" value="expiring" checked`, `<option value="en" selected`, "No mails yet")
	w.Get("/dashboard/test/payments").Has(t, `href="`+at+`"`)
	p := w.Post(at, url.Values{"on": {"parked"}, "lang": {"ja"}})
	p.Has(t, "Saved. This is how it will be from now on.", `<option value="ja" selected`, `name="on" value="parked" checked`)
	p.Lacks(t, `value="expiring" checked`)
	user, _, err := w.Merchants.Authenticate(t.Context(), cookie(w, "paylink"))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := w.Mails.Preferences(t.Context(), user.User)
	if err != nil || kept.Lang != "ja" ||
		!slices.Equal(kept.Off, []string{mail.PaymentHeld, mail.DisputeOpened, mail.Expiring, mail.EndpointDisabled}) {
		t.Errorf("kept %+v, %v", kept, err)
	}
	if p := w.Post(at, url.Values{"lang": {"tlh"}}); p.Status != http.StatusUnprocessableEntity ||
		!strings.Contains(p.Body, `id="lang-error"`) {
		t.Errorf("an unknown language: %d %s", p.Status, p.Body)
	}
	ring, now := keyring.NewMemory(time.Now()), time.Now().UTC()
	var list []mail.Message
	for i := range 30 {
		m, err := mail.Message{
			ID:        id.New(id.Mail),
			Account:   w.Account,
			To:        []string{"grace@example.com", user.User, id.New(id.Payment), id.New(id.User)}[i%4],
			Kind:      mail.Receipt,
			CreatedAt: now,
		}.Seal(
			ring,
		)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	if err := w.Store.PutMails(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if err := w.Store.SettleMails(t.Context(), []mail.Outcome{{ID: list[29].ID, Status: mail.DeadLetterStatus,
		Error: "smtp_550: <script>alert(1)</script>", At: now},
		{ID: list[28].ID, Status: mail.Sent, At: now}, {ID: list[27].ID, Status: mail.Dropped,
			Error: "link_paid: the link cannot be paid any more", At: now}}); err != nil {
		t.Fatal(err)
	}
	p = w.Get(at)
	p.Has(
		t,
		"Given up",
		"&lt;script&gt;alert(1)",
		"Waiting",
		"Not sent",
		"grace@example.com",
		"The payer",
		"A user of this account",
		"Receipt",
	)
	p.Lacks(t, "<script>alert(1)")
	w.Get(at+"?before="+list[5].ID).Has(t, `id="`+list[0].ID+`"`)
	w.Get(at+"?before="+list[5].ID).Lacks(t, `id="`+list[5].ID+`"`)
	if p := w.Do(w.Client, http.MethodGet, at+"?before=nonsense", nil); p.Status != http.StatusBadRequest {
		t.Errorf("a page that is none answers %d", p.Status)
	}
}

// cookie is the merchant's, by its name.
func cookie(w *desktest.World, name string) string {
	w.T.Helper()
	at, err := url.Parse(w.Server.URL)
	if err != nil {
		w.T.Fatal(err)
	}
	for _, c := range w.Client.Jar.Cookies(at) {
		if c.Name == name {
			return c.Value
		}
	}
	w.T.Fatalf("there is no cookie %s", name)
	return ""
}
