package pages

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// typedRow is a field as people fill it in. The page's script leaves Shown in it, or
// what was typed; the browser's tests hold it to the same table.
type typedRow struct {
	Field, Typed, Shown string
	Read                string // what it means; "" is refused
}

func typedRows(t *testing.T) []typedRow {
	t.Helper()
	raw, err := os.ReadFile("testdata/typed.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []typedRow
	if err := json.Unmarshal(raw, &rows); err != nil || len(rows) < 100 {
		t.Fatal(err, len(rows))
	}
	return rows
}

// read is what a submission has in a field.
func (w *world) read(field string) string {
	switch field {
	case "number":
		return w.card.number
	case "exp":
		return fmt.Sprintf("%d/%d", w.card.month, w.card.year)
	case "cvc":
		return w.card.cvc
	case "amount":
		return w.last.Amount.Decimal()
	}
	if w.card.name != w.last.PayerName {
		return "two names: " + w.card.name + ", " + w.last.PayerName
	}
	return w.card.name
}

// What somebody types, and what the page's script makes of it, are the same to the
// server: by the form, and by the page's JSON where it has the field.
func TestFieldsAsPeopleFillThemIn(t *testing.T) {
	w := newWorld(t)
	w.link("choose", func(l *link.Link) { l.Amount, l.MaxUses = money.Of(0, "EUR"), 0 })
	attempts := 0
	for _, row := range typedRows(t) {
		for _, typed := range []string{row.Typed, row.Shown} {
			if typed == "" && row.Typed != "" {
				continue // the script leaves it as it is
			}
			attempts++
			form := goodForm()
			form.Set("attempt", "attempt-0123456789-"+strconv.Itoa(attempts))
			form.Set("amount", "5")
			form.Set(row.Field, typed)
			w.last, w.card = payment.Submit{}, paidCard{}
			a := w.postForm("choose", form, nil)
			wantStatus := 303
			if row.Read == "" {
				wantStatus = 400
			}
			if a.status != wantStatus || row.Read != "" && w.read(row.Field) != row.Read {
				t.Errorf("form, %s %q: %d, %q; want %q", row.Field, typed, a.status, w.read(row.Field), row.Read)
			}
			if row.Field == "exp" || row.Field == "amount" { // the JSON has a month and a year, and a plain number
				continue
			}
			body := map[string]any{"attempt": form.Get("attempt") + "-json", "amount": "5", "payer": map[string]string{"name": form.Get("name")},
				"card": map[string]any{"number": form.Get("number"), "expMonth": 12, "expYear": 2031, "cvc": form.Get("cvc"), "name": form.Get("name")}}
			raw, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			w.last, w.card = payment.Submit{}, paidCard{}
			if a := w.postJSON("choose", string(raw)); a.status == 200 != (row.Read != "") || row.Read != "" && w.read(row.Field) != row.Read {
				t.Errorf("JSON, %s %q: %d, %q; want %q", row.Field, typed, a.status, w.read(row.Field), row.Read)
			}
		}
	}
}

// An amount that has two meanings is asked back in the reader's writing, and examples
// are in the currency's own decimals.
func TestAmountsAreAskedBack(t *testing.T) {
	w := newWorld(t)
	for _, row := range []struct {
		lang     string
		currency money.Currency
		typed    string
		words    []string
	}{
		{"de", "KWD", "1.500", []string{"Meinen Sie 1.500,000 oder 1,500?", `value="1.500"`}},
		{"de", "KWD", "1,500", []string{"Meinen Sie 1.500,000 oder 1,500?"}},
		{"en", "EUR", "1,234", []string{"Do you mean 1,234.00 or 1.234?"}},
		{"en", "EUR", "$12.50", []string{"The amount is in EUR, and $ stands for another currency."}},
		{"de", "EUR", "viel", []string{"zum Beispiel 12,50"}},
		{"ja", "JPY", "x", []string{"1250"}},
		{"fr", "KWD", "x", []string{"1250,500"}},
	} {
		w.link("choose", func(l *link.Link) { l.Amount, l.MaxUses = money.Of(0, row.currency), 0 })
		form := goodForm()
		form.Set("amount", row.typed)
		a := w.postForm("choose", form, map[string]string{"Accept-Language": row.lang})
		if a.status != 400 {
			t.Errorf("%s %s %q: %d", row.lang, row.currency, row.typed, a.status)
		}
		contains(t, row.lang+" "+row.typed, a.body, row.words...)
	}
	if w.changes != 0 {
		t.Errorf("%d payments", w.changes)
	}
	for typed, want := range map[string]int64{"1.5": 1500, "1,5000": 1500, "1.234,567": 1234567, "١٫٥٠٠": 1500, "1.50 KD": 1500} {
		form := goodForm()
		form.Set("amount", typed)
		form.Set("attempt", newAttempt())
		if a := w.postForm("choose", form, nil); a.status != 303 || w.last.Amount != money.Of(want, "KWD") {
			t.Errorf("%q: %d %v", typed, a.status, w.last.Amount)
		}
	}
}

// The JSON takes plain decimal numbers alone.
func TestJSONAmountsAreStrict(t *testing.T) {
	l := link.Link{Amount: money.Of(0, "EUR")}
	for _, s := range []string{"12.50", "\u200e12.50", " 12.5 ", "١٢.٥٠", "１２．５０"} {
		if a, err := jsonAmount(s, l); err != nil || a.Minor != 1250 {
			t.Errorf("%q: %v, %v", s, a, err)
		}
	}
	for _, s := range []string{"12,50", "€12.50", "1,234.56", "12 50", "1 234.50", "12.", ".50", "١٢٫٥٠", "1e2", "-1", "EUR 12"} {
		if a, err := jsonAmount(s, l); err == nil {
			t.Errorf("%q is %v", s, a)
		}
	}
}

func TestExpiryYearsOutOfReach(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	for _, exp := range []string{"12/99", "12/2099", "12/2077", "1/1999"} {
		form := goodForm()
		form.Set("exp", exp)
		a := w.postForm("open", form, nil)
		if a.status != 400 {
			t.Errorf("%s: %d", exp, a.status)
		}
		contains(t, exp, a.body, "between 2026 and 2076")
	}
	form := goodForm()
	form.Set("exp", "12/76")
	if a := w.postForm("open", form, nil); a.status != 303 {
		t.Errorf("the last year: %d", a.status)
	}
}

// TestAddressesThatMailCannotReach: unseen characters are removed, and what cannot
// be sent to is refused, by form and JSON; a host is kept as mail needs it.
func TestAddressesThatMailCannotReach(t *testing.T) {
	for typed, want := range map[string]string{
		"a@example.com\u200b": "a@example.com", "\ufeffa@example.com": "a@example.com", "\u200ea@example.com": "a@example.com",
		"a\u202e@example.com": "a@example.com",
		" a@example.com ":     "a@example.com", "user@münchen.example": "user@xn--mnchen-3ya.example", "": "",
		"a\u00a0@example.com": "!", "a@example.com\u3002": "!", "a@exa_mple.com": "!", "a@-example.com": "!",
		"a@" + strings.Repeat("x", 64) + ".com": "!", "Ada <a@example.com>": "!",
	} {
		w := newWorld(t)
		w.link("open", nil)
		form := goodForm()
		form.Set("email", typed)
		form.Set("attempt", newAttempt())
		byForm := w.postForm("open", form, nil)
		if refused := byForm.status == 400; refused != (want == "!") || !refused && w.last.PayerEmail != want {
			t.Errorf("form, %q: %d, %q", typed, byForm.status, w.last.PayerEmail)
		}
		quoted, err := json.Marshal(typed)
		if err != nil {
			t.Fatal(err)
		}
		byJSON := w.postJSON("open", with(`"ada@example.com"`, string(quoted)))
		if refused := byJSON.status == 400; refused != (want == "!") || !refused && w.last.PayerEmail != want ||
			refused && !strings.Contains(byJSON.body, "email_invalid") {
			t.Errorf("JSON, %q: %d %s", typed, byJSON.status, byJSON.body)
		}
	}
}
