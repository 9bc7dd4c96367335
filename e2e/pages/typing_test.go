package pages

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
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
	raw, err := os.ReadFile(filepath.Join(harness.ModuleRoot(t), "internal", "gateway", "pages", "testdata", "typed.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// fillAll puts every row into its field, in ways that fire the events of an autofill or a
// password manager ("set"), and of a paste, and returns what remains there.
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

// TestScriptLeavesWhatTheServerTakes checks that whatever is typed, filled in or pasted into the
// payment page remains in its field as the table says, with the page's script and without, and
// that unusual spellings pay.
func TestScriptLeavesWhatTheServerTakes(t *testing.T) {
	t.Parallel()
	p, b := harness.Start(t), harness.OpenBrowser(t)
	_, key := p.Merchant(t, harness.Payee)
	l := key.Link(`"maxAmount":"100000","maxUses":5`)
	rows := typedRows(t)
	table, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range []bool{true, false} {
		b.Scripts(script)
		b.Open(harness.Str(t, l, "url"))
		for _, way := range []string{"set", "paste"} {
			left := harness.Ask[[]string](b, "("+fillAll+")("+string(table)+", "+harness.Quoted(way)+")")
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
		b.Open(harness.Str(t, l, "url"))
		b.Run(
			chromedp.SendKeys(harness.CSS("#amount"), "€ 1.234,50"),
			chromedp.SendKeys(harness.CSS("#number"), "4242-4242-4242-4242"),
			chromedp.SendKeys(
				harness.CSS("#exp"),
				"1/34",
			),
			chromedp.SendKeys(harness.CSS("#cvc"), "123"),
			chromedp.Click(harness.CSS(harness.PayButton)),
		)
		b.Sees("Payment received")
		b.Text("€1,234.50")
	}
}

// keys presses them one by one in the field that has the focus.
func keys(b *harness.Browser, s string) {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, await.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(s)); err != nil {
		b.T.Fatal(err)
	}
}

// now evaluates an expression on a page that is there already.
func now[T any](b *harness.Browser, expression string) T {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, await.Patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.T.Fatal(err)
	}
	return v
}

// emptied empties a field and puts the caret into it.
func emptied(b *harness.Browser, field string) {
	b.T.Helper()
	now[bool](b, `(i => { i.focus(); i.value = ""; return true; })(document.getElementById(`+harness.Quoted(field)+`))`)
}

func left(b *harness.Browser, field string) string {
	b.T.Helper()
	return now[string](b, `document.getElementById(`+harness.Quoted(field)+`).value`)
}

// typeRows types the expiry dates, which the script may change, key by key.
func typeRows(b *harness.Browser, rows []typedRow) {
	b.T.Helper()
	bare := strings.NewReplacer(" ", "", "/", "")
	for _, row := range rows {
		if row.Field != "exp" || strings.ContainsFunc(row.Typed, func(c rune) bool { return c < ' ' || c > '~' }) {
			continue
		}
		emptied(b, row.Field)
		keys(b, row.Typed)
		got := left(b, row.Field)
		if row.Read == "" && bare.Replace(got) == bare.Replace(row.Typed) {
			continue // refused either way; nothing of it is lost
		}
		if got != row.want() {
			b.T.Errorf("typed into %s: %q leaves %q, want %q", row.Field, row.Typed, got, row.want())
		}
	}
}

// editFields edits existing content: the caret stays with its digit, and the payer edits what
// they see.
func editFields(b *harness.Browser) {
	b.T.Helper()
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
		emptied(b, c.field)
		keys(b, c.keys)
		if got := left(b, c.field); got != c.want {
			b.T.Errorf("%s after %q has %q, want %q", c.field, c.keys, got, c.want)
		}
		if got := now[int](b, `document.activeElement.selectionStart`); got != c.caret {
			b.T.Errorf("%s after %q: the caret is at %d, want %d", c.field, c.keys, got, c.caret)
		}
	}
}

// compose types with an input method, which shows text before it is committed: the script must
// not remove it meanwhile.
func compose(b *harness.Browser) {
	b.T.Helper()
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
		emptied(b, c.field)
		for _, text := range c.steps {
			end := int64(len([]rune(text)))
			if _, err := chromedp.Call(b.Ctx, input.ImeSetComposition,
				input.ImeSetCompositionParams{Text: text, SelectionStart: end, SelectionEnd: end}); err != nil {
				b.T.Fatal(err)
			}
			if got := left(b, c.field); got != text {
				b.T.Errorf("%s while %q is composed has %q", c.field, text, got)
			}
		}
		if _, err := chromedp.Call(b.Ctx, input.InsertText, input.InsertTextParams{Text: c.steps[len(c.steps)-1]}); err != nil {
			b.T.Fatal(err)
		}
		if got := left(b, c.field); got != c.want[0] && got != c.want[len(c.want)-1] {
			b.T.Errorf("%s after composing has %q, want %q", c.field, got, c.want)
		}
	}
}
