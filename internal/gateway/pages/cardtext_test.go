package pages

import (
	"net/http"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
)

// TestI15NoCardWhereTextBelongs: a payer who types a card number into another field of the page gets
// the form back without it. Nothing is paid, and no answer and no log repeats the number.
func TestI15NoCardWhereTextBelongs(t *testing.T) {
	const typed = "4111 1111 1111 1111"
	w := newWorld(t)
	w.link("open", func(l *link.Link) { l.MaxUses = 0 })
	check := func(where string, a response) {
		t.Helper()
		a.body = strings.ReplaceAll(a.body, goodCard, "") // which the page in test mode suggests
		if issuer.HasNumber(a.body) || issuer.HasNumber(a.header.Get("Location")) || issuer.HasNumber(w.logged.String()) {
			t.Errorf("%s: the answer, its address or the log repeats the number:\n%s", where, a.body)
		}
		if w.changes != 0 {
			t.Fatalf("%s: the payment was taken: %+v", where, w.last)
		}
	}

	for field, value := range map[string]string{"name": "Ada " + typed, "email": "4111111111111111@example.com", "exp": typed, "amount": typed,
		"cvc": typed, "attempt": "4111111111111111"} {
		form := goodForm()
		form.Set(field, value)
		a := w.postForm("open", form, nil)
		check("form, "+field, a)
		if a.status != http.StatusBadRequest {
			t.Errorf("form, %s: %d", field, a.status)
		}
		if field == "name" || field == "email" {
			contains(t, field, a.body, "Leave out the card number here.", `aria-invalid="true"`)
		}
		if field != "name" {
			contains(t, field, a.body, `value="Ada Payer"`) // the other fields stay
		}
	}

	body := func(old, with string) string {
		return strings.Replace(`{"attempt":"`+attempt+`","card":{"number":"`+goodCard+
			`","expMonth":12,"expYear":2030,"cvc":"123","name":"Ada"},"payer":{"name":"Ada","email":"ada@example.com"}}`, old, with, 1)
	}
	for name, c := range map[string]struct{ body, code, param string }{
		"name on the card": {body(`"name":"Ada"},"payer"`, `"name":"４１１１１１１１１１１１１１１１"},"payer"`), issuer.NumberInText, "card.name"},
		"payer's name":     {body(`{"name":"Ada","email"`, `{"name":"`+typed+`","email"`), issuer.NumberInText, "payer.name"},
		"payer's email":    {body(`ada@example.com`, `ada+4111111111111111@example.com`), issuer.NumberInText, "payer.email"},
		"attempt":          {body(attempt, `4111-1111-1111-1111`), "attempt_invalid", "attempt"},
		"unknown member":   {body(`"attempt"`, `"`+typed+`"`), issuer.NumberInText, ""},
		"member twice":     {body(`{"attempt"`, `{"`+typed+`":1,"`+typed+`":1,"attempt"`), issuer.NumberInText, ""},
	} {
		a := w.postJSON("open", c.body)
		check("JSON, "+name, a)
		contains(t, name, a.body, `"code":"`+c.code+`"`)
		if c.param != "" {
			contains(t, name, a.body, `"param":"`+c.param+`"`)
		}
	}

	for _, address := range []string{"/verify?link=", "/verify?receipt=", "/l/open?ref=", "/l/open/status?attempt=", "/?q=", "/f/none?x="} {
		for _, s := range []string{typed, "%D9%A4%D9%A1%D9%A1%D9%A1 1111 1111 1111", "x&4111-1111-1111-1111=1"} {
			check("GET "+address, w.get(address+strings.ReplaceAll(s, " ", "%20")))
		}
	}
	if a := w.postForm("open", goodForm(), nil); a.status != http.StatusSeeOther || w.changes != 1 {
		t.Errorf("a good form: %d %s", a.status, a.body)
	}
}
