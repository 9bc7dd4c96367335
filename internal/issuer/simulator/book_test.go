package simulator_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/money"
)

// written returns a closed book with a few entries, as bytes.
func written(t testing.TB) (*world, []byte) {
	t.Helper()
	w := start(t)
	for i, last4 := range []string{"0002", "6108", "3220", "6124", "6140"} {
		w.Authorize(t.Context(), w.authorisation("r"+strconv.Itoa(i), ending(t, last4)))
	}
	want(t, w.Refund(t.Context(), issuer.Operation{ID: "f", Authorization: "r1", Amount: money.Of(50, "EUR")}), issuer.Approved)
	want(t, w.Reverse(t.Context(), issuer.Operation{ID: "v", Authorization: "ahead"}), issuer.Reversed)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(w.config.BookPath)
	if err != nil {
		t.Fatal(err)
	}
	return w, raw
}

func TestBookEntries(t *testing.T) {
	w, _ := written(t)
	book, err := simulator.OpenBook(w.config.BookPath)
	if err != nil {
		t.Fatal(err)
	}
	at := w.clock.Now().UTC()
	entry := func(ref string, k simulator.Kind, id string, minor int64, last4 string, o issuer.Outcome, captured bool) simulator.BookEntry {
		e := simulator.BookEntry{Reference: ref, Kind: k, ID: id, Minor: minor, Currency: "EUR", Last4: last4, At: at, Outcome: o,
			Captured: captured}
		if k == simulator.KindTombstone {
			e.Currency = ""
		}
		return e
	}
	expected := []simulator.BookEntry{
		entry("r0", simulator.KindAuthorize, "", 1250, "0002", issuer.Declined, false),
		entry("r1", simulator.KindAuthorize, "", 1250, "6108", issuer.Approved, true),
		entry("r2", simulator.KindAuthorize, "", 1250, "3220", issuer.ActionRequired, true),
		entry("r3", simulator.KindAuthorize, "", 1250, "6124", issuer.Pending, true),
		entry("r4", simulator.KindAuthorize, "", 1251, "6140", issuer.Approved, true),
		entry("r1", simulator.KindRefund, "f", 50, "6108", issuer.Approved, false),
		entry("ahead", simulator.KindTombstone, "v", 0, "", issuer.Reversed, false),
	}
	if fmt.Sprint(book) != fmt.Sprint(expected) {
		t.Fatalf("the book is\n%v, want\n%v", book, expected)
	}
}

func TestF21TornLastLineIsDropped(t *testing.T) {
	w, raw := written(t)
	last := bytes.LastIndexByte(raw[:len(raw)-1], '\n') + 1
	for cut := last; cut < len(raw); cut++ {
		if err := os.WriteFile(w.config.BookPath, raw[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if book, err := simulator.OpenBook(w.config.BookPath); err != nil || len(book) != 6 {
			t.Fatalf("cut at %d: %d entries, %v", cut, len(book), err)
		}
	}
	w.open(t)
	want(t, w.Lookup(t.Context(), "ahead"), issuer.NotFound)
	want(t, w.Reverse(t.Context(), issuer.Operation{ID: "v", Authorization: "ahead"}), issuer.Reversed)
	w.reopen(t)
	want(t, w.Lookup(t.Context(), "ahead"), issuer.Reversed)
}

func TestF21TornHeaderStartsANewBook(t *testing.T) {
	w, raw := written(t)
	for _, cut := range []int{0, 1, 12, 60} {
		if err := os.WriteFile(w.config.BookPath, raw[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		w.open(t)
		want(t, w.Authorize(t.Context(), w.authorisation("x", ending(t, "6108"))), issuer.Ambiguous)
		w.reopen(t)
		if n := len(w.Book()); n != 1 {
			t.Fatalf("%d entries", n)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	other := []byte("somebody's notes")
	if err := os.WriteFile(w.config.BookPath, other, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := simulator.New(w.config); fault.Code(err) != simulator.CodeBookDamaged {
		t.Fatalf("another file: %v", err)
	}
	if raw, err := os.ReadFile(w.config.BookPath); err != nil || !bytes.Equal(raw, other) {
		t.Fatalf("it was changed to %q (%v)", raw, err)
	}
}

func TestF21DamageIsRefused(t *testing.T) {
	w, raw := written(t)
	lines := bytes.SplitAfter(raw, []byte("\n"))
	lines = lines[:len(lines)-1]
	cases := map[string][]byte{
		"a line is missing":      bytes.Join(append(append([][]byte{}, lines[:3]...), lines[4:]...), nil),
		"two lines are swapped":  bytes.Join([][]byte{lines[0], lines[2], lines[1], lines[3]}, nil),
		"a line stands twice":    bytes.Join([][]byte{lines[0], lines[1], lines[1]}, nil),
		"no header":              bytes.Join(lines[1:], nil),
		"an empty line":          append(append([]byte{}, lines[0]...), '\n'),
		"not JSON":               append(append([]byte{}, lines[0]...), "hello\n"...),
		"a line without an end":  append(append([]byte{}, lines[0]...), bytes.Repeat([]byte("x"), 20<<10)...),
		"an unknown version":     bytes.Replace(raw, []byte(`"version":1`), []byte(`"version":2`), 1),
		"an amount was improved": bytes.Replace(raw, []byte(`"minor":1251`), []byte(`"minor":9251`), 1),
	}
	for name, bad := range cases {
		t.Run(name, func(t *testing.T) { refused(t, w, bad) })
	}
	t.Run("any flipped bit", func(t *testing.T) {
		for at := range len(raw) - 1 {
			bad := bytes.Clone(raw)
			bad[at] ^= 1 << (at % 8)
			if err := os.WriteFile(w.config.BookPath, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := simulator.OpenBook(w.config.BookPath); fault.Code(err) != simulator.CodeBookDamaged {
				t.Fatalf("byte %d: %v", at, err)
			}
		}
	})
}

func refused(t *testing.T, w *world, bad []byte) {
	t.Helper()
	if err := os.WriteFile(w.config.BookPath, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := simulator.OpenBook(w.config.BookPath); fault.Code(err) != simulator.CodeBookDamaged {
		t.Fatalf("OpenBook: %v", err)
	}
	if s, err := simulator.New(w.config); fault.Code(err) != simulator.CodeBookDamaged {
		if s != nil {
			_ = s.Close()
		}
		t.Fatalf("New: %v", err)
	}
	if now, err := os.ReadFile(w.config.BookPath); err != nil || !bytes.Equal(now, bad) {
		t.Fatal("the damaged book was changed")
	}
}

func TestOneSimulatorPerBook(t *testing.T) {
	w := start(t)
	if s, err := simulator.New(w.config); err == nil {
		_ = s.Close()
		t.Fatal("two have the same book open")
	}
	if _, err := simulator.OpenBook(w.config.BookPath); err != nil {
		t.Fatalf("reading beside it: %v", err)
	}
	if _, err := simulator.OpenBook(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("no book: %v", err)
	}
}

// TestReplay: whatever is called, a restart finds what was answered before, and the book never
// moves more than was authorized.
func TestReplay(t *testing.T) {
	cards := []string{"4242", "0002", "3220", "6108", "6116", "6124", "6132", "6140", "6157"}
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{clock: newClock()}
		w.config = simulator.Config{BookPath: filepath.Join(t.TempDir(), "b"), Now: w.clock.Now}
		w.open(t)
		defer func() { _ = w.Close() }()
		var urls []string
		refs, ids := rapid.SampledFrom([]string{"a", "b", "c"}), rapid.SampledFrom([]string{"1", "2", "3", "4", "5"})
		amounts := rapid.Int64Range(-1, 1300)
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			op := issuer.Operation{ID: ids.Draw(rt, "id"), Authorization: refs.Draw(rt, "ref"), Amount: money.Of(amounts.Draw(rt, "minor"), "EUR")}
			switch rapid.IntRange(0, 7).Draw(rt, "step") {
			case 0, 1:
				number := "400000000000" + rapid.SampledFrom(cards).Draw(rt, "card")
				if number[12:] == "4242" {
					number = "4242424242424242"
				}
				a := w.authorisation(op.Authorization, card(t, number))
				a.Capture = rapid.Bool().Draw(rt, "capture")
				if got := w.Authorize(t.Context(), a); got.ActionURL != "" {
					urls = append(urls, got.ActionURL)
				}
			case 2:
				w.Capture(t.Context(), op)
			case 3:
				w.Refund(t.Context(), op)
			case 4:
				w.Reverse(t.Context(), op)
			case 5:
				w.clock.Add(simulator.DefaultDowntime / 2)
			case 6:
				w.clock.Add(2 * 60 * simulator.DefaultDowntime)
			case 7:
				if len(urls) > 0 {
					w.post(t, rapid.SampledFrom(urls).Draw(rt, "url"), rapid.SampledFrom([]string{"approve", "fail"}).Draw(rt, "action"))
				}
			}
		}
		names := []string{"a", "b", "c", "1", "2", "3", "4", "5"}
		var before []issuer.Answer
		for _, n := range names {
			before = append(before, w.Lookup(t.Context(), n))
		}
		w.reopen(t)
		for i, n := range names {
			if got := w.Lookup(t.Context(), n); got != before[i] {
				rt.Fatalf("%s: %+v, before the restart %+v", n, got, before[i])
			}
		}
		balanced(rt, w.Book())
	})
}

// balanced checks I2, I3 and I6 on the issuer's side.
func balanced(t *rapid.T, book []simulator.BookEntry) {
	type sums struct{ approvals, authorised, captured, refunded, reversed int64 }
	all := map[string]*sums{}
	for _, e := range book {
		s := all[e.Reference]
		if s == nil {
			s = &sums{}
			all[e.Reference] = s
		}
		switch {
		case e.Kind == simulator.KindAuthorize && e.Outcome == issuer.Approved:
			s.approvals++
			s.authorised = e.Minor
			if e.Captured {
				s.captured = e.Minor
			}
		case e.Kind == simulator.KindCapture && e.Outcome == issuer.Approved:
			s.captured += e.Minor
		case e.Kind == simulator.KindRefund && e.Outcome == issuer.Approved:
			s.refunded += e.Minor
		case e.Outcome == issuer.Reversed:
			s.reversed += e.Minor
		}
	}
	for ref, s := range all {
		if s.approvals > 1 || s.captured > s.authorised || s.refunded > s.captured || s.reversed > 0 && s.captured > 0 {
			t.Fatalf("%s: %+v in %+v", ref, *s, book)
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	w := start(b)
	ok := card(b, "4242424242424242")
	names := make([]string, b.N)
	for i := range names {
		names[i] = "pay_01arz3ndektsv4rrffq69g5fav-" + strconv.Itoa(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i >= len(names) {
			names = append(names, "pay_01arz3ndektsv4rrffq69g5fav-"+strconv.Itoa(i))
		}
		if w.Authorize(b.Context(), w.authorisation(names[i], ok)).Outcome != issuer.Approved {
			b.Fatal("not approved")
		}
	}
}
