package simulator

import (
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
)

// TestF21UnwritableBook: if the book takes no more lines, no answer is given that is not in it.
func TestF21UnwritableBook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book")
	s, err := New(Config{BookPath: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	card, err := issuer.NewCard("4242424242424242", 12, time.Now().Year()+1, "123", "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a := issuer.Authorization{Reference: "r", Amount: money.Of(100, "EUR"), Card: card}
	op := issuer.Operation{ID: "o", Authorization: "r", Amount: a.Amount}

	writable := s.journal.file
	if s.journal.file, err = os.Open(path); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for name, got := range map[string]issuer.Answer{
			"authorise": s.Authorize(t.Context(), a), "capture": s.Capture(t.Context(), op), "reverse": s.Reverse(t.Context(), op),
		} {
			if got.Outcome != issuer.NotSent {
				t.Fatalf("%s: %v", name, got.Outcome)
			}
		}
	}
	if s.journal.bad == nil {
		t.Fatal("a line that may be torn was not noticed")
	}
	if got := s.Lookup(t.Context(), "r"); got.Outcome != issuer.NotFound {
		t.Fatalf("lookup: %v", got.Outcome)
	}
	_ = s.journal.file.Close()
	s.journal.file, s.journal.bad = writable, nil
	if got := s.Authorize(t.Context(), a); got.Outcome != issuer.Approved {
		t.Fatalf("with room again: %v", got.Outcome)
	}
	if n := len(s.Book()); n != 1 {
		t.Fatalf("%d entries", n)
	}
}

// TestIndexEntriesAreSmall: the index holds millions of entries, so they stay small and free of
// pointers.
func TestIndexEntriesAreSmall(t *testing.T) {
	if n := unsafe.Sizeof(authorisation{}); n > 48 {
		t.Errorf("an authorisation takes %d bytes", n)
	}
	if n := unsafe.Sizeof(operation{}); n > 48 {
		t.Errorf("an operation takes %d bytes", n)
	}
}

func TestNamesInTheJournalAreUnique(t *testing.T) {
	for i := range reasons {
		if w, ok := reasonOf(reasons[i].name); !ok || int(w) != i || i > 0 && (reasons[i].code == "" || reasons[i].message == "") {
			t.Errorf("reason %d %q", i, reasons[i].name)
		}
	}
	for i, n := range behaviourNames {
		if b, ok := behaviourOf(n); !ok || int(b) != i {
			t.Errorf("behaviour %d %q", i, n)
		}
	}
}
