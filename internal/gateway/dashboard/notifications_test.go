package dashboard_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/mail"
)

// TestNotifications: which mails the user gets, in which language, and what became
// of those of the account, hostile answers of mail servers too.
func TestNotifications(t *testing.T) {
	w := newWorld(t)
	at := "/dashboard/account/notifications"
	w.get(at).has(t, "maria@example.com", `name="on" value="expiring" checked`, `<option value="en" selected`, "No mails yet")
	w.get("/dashboard/test/payments").has(t, `href="`+at+`"`)
	p := w.post(at, url.Values{"on": {"parked"}, "lang": {"ja"}})
	p.has(t, "Saved. This is how it will be from now on.", `<option value="ja" selected`, `name="on" value="parked" checked`)
	p.lacks(t, `value="expiring" checked`)
	user, _, err := w.merchants.Authenticate(t.Context(), w.cookie("paylink"))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := w.mails.Preferences(t.Context(), user.User)
	if err != nil || kept.Lang != "ja" || !slices.Equal(kept.Off, []string{mail.PaymentHeld, mail.DisputeOpened, mail.Expiring, mail.EndpointDisabled}) {
		t.Errorf("kept %+v, %v", kept, err)
	}
	if p := w.post(at, url.Values{"lang": {"tlh"}}); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, `id="lang-error"`) {
		t.Errorf("an unknown language: %d %s", p.status, p.body)
	}
	ring, now := keyring.NewMemory(time.Now()), time.Now().UTC()
	var list []mail.Message
	for i := range 30 {
		m, err := mail.Message{ID: id.New(id.Mail), Account: w.account, To: []string{"grace@example.com", user.User, id.New(id.Payment), id.New(id.User)}[i%4],
			Kind: mail.Receipt, CreatedAt: now}.Seal(ring)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	if err := w.store.PutMails(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if err := w.store.SettleMails(t.Context(), []mail.Outcome{{ID: list[29].ID, Status: mail.ParkedS, Error: "smtp_550: <script>alert(1)</script>", At: now},
		{ID: list[28].ID, Status: mail.Sent, At: now}, {ID: list[27].ID, Status: mail.Dropped, Error: "link_paid: the link cannot be paid any more", At: now}}); err != nil {
		t.Fatal(err)
	}
	p = w.get(at)
	p.has(t, "Given up", "&lt;script&gt;alert(1)", "Waiting", "Not sent", "grace@example.com", "The payer", "A user of this account", "Receipt")
	p.lacks(t, "<script>alert(1)")
	w.get(at+"?before="+list[5].ID).has(t, `id="`+list[0].ID+`"`)
	w.get(at+"?before="+list[5].ID).lacks(t, `id="`+list[5].ID+`"`)
	if p := w.do(w.client, http.MethodGet, at+"?before=nonsense", nil); p.status != http.StatusBadRequest {
		t.Errorf("a page that is none answers %d", p.status)
	}
}

// cookie is the merchant's, by its name.
func (w *world) cookie(name string) string {
	w.t.Helper()
	at, err := url.Parse(w.server.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range w.client.Jar.Cookies(at) {
		if c.Name == name {
			return c.Value
		}
	}
	w.t.Fatalf("there is no cookie %s", name)
	return ""
}
