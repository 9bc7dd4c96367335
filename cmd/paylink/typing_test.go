package main_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// typedRow is a row of the table to which the server is held as well.
type typedRow struct{ Field, Typed, Shown, Read string }

// want is what the script may leave in the field.
func (r typedRow) want() string {
	if r.Shown != "" {
		return r.Shown
	}
	return r.Typed
}

func typedRows(t *testing.T) (rows []typedRow) {
	t.Helper()
	raw, err := os.ReadFile("../../internal/gateway/pages/testdata/typed.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// fillAll puts every row into its field, in ways that fire the events of an autofill
// or a password manager ("set"), and of a paste, and gives what is left there.
const fillAll = `(rows, way) => rows.map(({Field, Typed}) => {
  const input = document.getElementById(Field);
  input.focus();
  if (way === "set") {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, Typed);
    for (const type of ["input", "change"]) input.dispatchEvent(new Event(type, {bubbles: true}));
  } else {
    input.select();
    document.execCommand(Typed ? "insertText" : "delete", false, Typed);
  }
  input.blur();
  const left = input.value;
  input.value = "";
  return left;
})`

// TestScriptLeavesWhatTheServerTakes: whatever is typed, filled in or pasted into the
// payment page is left in its field as the table says, with the page's script and
// without, and the odd spellings pay.
func TestScriptLeavesWhatTheServerTakes(t *testing.T) {
	t.Parallel()
	p, b := serve(t), openBrowser(t)
	_, key := p.merchant(t, payee)
	l := key.link(`"maxAmount":"100000","maxUses":5`)
	rows := typedRows(t)
	table, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range []bool{true, false} {
		b.scripts(script)
		b.open(str(t, l, "url"))
		for _, way := range []string{"set", "paste"} {
			left := ask[[]string](b, "("+fillAll+")("+string(table)+", "+quoted(way)+")")
			for i, row := range rows {
				want := row.Typed
				if script {
					want = row.want()
				}
				if left[i] != want {
					t.Errorf("script %v, %s, %s %q leaves %q, want %q", script, way, row.Field, row.Typed, left[i], want)
				}
			}
		}
		if script {
			typeRows(b, rows)
			editFields(b)
			compose(b)
		}
		b.open(str(t, l, "url"))
		b.run(chromedp.SendKeys(css("#amount"), "€ 1.234,50"), chromedp.SendKeys(css("#number"), "4242-4242-4242-4242"),
			chromedp.SendKeys(css("#exp"), "1/34"), chromedp.SendKeys(css("#cvc"), "123"), chromedp.Click(css(payButton)))
		b.sees("Payment received")
		b.text("€1,234.50")
	}
}

// keys presses them one by one in the field that has the focus.
func (b *browser) keys(s string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(s)); err != nil {
		b.t.Fatal(err)
	}
}

// now evaluates an expression on a page that is there already.
func now[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// emptied empties a field and puts the caret into it.
func (b *browser) emptied(field string) {
	b.t.Helper()
	now[bool](b, `(i => { i.focus(); i.value = ""; return true; })(document.getElementById(`+quoted(field)+`))`)
}

func (b *browser) left(field string) string {
	b.t.Helper()
	return now[string](b, `document.getElementById(`+quoted(field)+`).value`)
}

// typeRows types the expiry dates, which the script may change, key by key.
func typeRows(b *browser, rows []typedRow) {
	b.t.Helper()
	bare := strings.NewReplacer(" ", "", "/", "")
	for _, row := range rows {
		if row.Field != "exp" || strings.ContainsFunc(row.Typed, func(c rune) bool { return c < ' ' || c > '~' }) {
			continue
		}
		b.emptied(row.Field)
		b.keys(row.Typed)
		got := b.left(row.Field)
		if row.Read == "" && bare.Replace(got) == bare.Replace(row.Typed) {
			continue // refused either way; nothing of it is lost
		}
		if got != row.want() {
			b.t.Errorf("typed into %s: %q leaves %q, want %q", row.Field, row.Typed, got, row.want())
		}
	}
}

// editFields changes what is there already: the caret stays with its digit, and what
// the payer sees is what they edit.
func editFields(b *browser) {
	b.t.Helper()
	for _, c := range []struct {
		field, keys, want string
		caret             int
	}{
		{"number", "4242424242424242" + strings.Repeat(kb.ArrowLeft, 5) + "9", "4242 4242 4242 9424 2", 16},
		{"number", "4242424242424242" + kb.Home + "5", "5424 2424 2424 2424 2", 1},
		{"number", "378282246310005" + kb.Backspace + "4", "3782 822463 10004", 17},
		{"exp", "1231" + strings.Repeat(kb.Backspace, 5) + "/2031", "12/2031", 7},
		{"exp", "1231" + kb.Home + kb.Delete + kb.Delete + "01", "01 / 31", 2},
		{"exp", "0131" + kb.Backspace + "2", "01 / 32", 7},
		{"exp", "12031" + kb.Backspace + "0", "1 / 2030", 8},
		{"exp", "131" + kb.Backspace + "2", "132", 3},
	} {
		b.emptied(c.field)
		b.keys(c.keys)
		if got := b.left(c.field); got != c.want {
			b.t.Errorf("%s after %q has %q, want %q", c.field, c.keys, got, c.want)
		}
		if got := now[int](b, `document.activeElement.selectionStart`); got != c.caret {
			b.t.Errorf("%s after %q: the caret is at %d, want %d", c.field, c.keys, got, c.caret)
		}
	}
}

// compose types with an input method, which shows text before it is decided: the
// script does not take it away meanwhile.
func compose(b *browser) {
	b.t.Helper()
	for _, c := range []struct {
		field string
		steps []string
		want  []string
	}{
		{"exp", []string{"1", "12", "123", "1231"}, []string{"1231", "12 / 31"}},
		{"exp", []string{"１", "１２", "１２／", "１２／３１"}, []string{"１２／３１"}},
		{"number", []string{"４２４２", "４２４２４２４２４２４２４２４２"}, []string{"４２４２４２４２４２４２４２４２"}},
		{"number", []string{"4242", "4242424242424242"}, []string{"4242424242424242", "4242 4242 4242 4242"}},
	} {
		b.emptied(c.field)
		for _, text := range c.steps {
			end := int64(len([]rune(text)))
			if _, err := chromedp.Call(b.ctx, input.ImeSetComposition, input.ImeSetCompositionParams{Text: text, SelectionStart: end, SelectionEnd: end}); err != nil {
				b.t.Fatal(err)
			}
			if got := b.left(c.field); got != text {
				b.t.Errorf("%s while %q is composed has %q", c.field, text, got)
			}
		}
		if _, err := chromedp.Call(b.ctx, input.InsertText, input.InsertTextParams{Text: c.steps[len(c.steps)-1]}); err != nil {
			b.t.Fatal(err)
		}
		if got := b.left(c.field); got != c.want[0] && got != c.want[len(c.want)-1] {
			b.t.Errorf("%s after composing has %q, want %q", c.field, got, c.want)
		}
	}
}
