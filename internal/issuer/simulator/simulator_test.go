package simulator_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/issuertest"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/store/storetest"
)

// writerVariable makes the test binary the process that is killed in
// TestI10KillNine: it holds the path of the book.
const writerVariable = "PAYLINK_TEST_SIMULATOR_BOOK"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerVariable); path != "" {
		writeUntilKilled(path)
		return
	}
	goleak.VerifyTestMain(m)
}

func newClock() *storetest.Clock {
	return storetest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
}

func card(t testing.TB, number string) issuer.Card {
	t.Helper()
	c, err := issuer.NewCard(number, 12, 2030, "123", "Ada Byron", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatalf("%s: %v", number, err)
	}
	return c
}

func ending(t testing.TB, last4 string) issuer.Card {
	t.Helper()
	return card(t, "400000000000"+last4)
}

type world struct {
	*simulator.Simulator
	config simulator.Config
	clock  *storetest.Clock
}

func start(t testing.TB) *world {
	t.Helper()
	w := &world{clock: newClock()}
	w.config = simulator.Config{BookPath: filepath.Join(t.TempDir(), "issuer", "book.jsonl"), Seed: 7, Now: w.clock.Now}
	w.open(t)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func (w *world) open(t testing.TB) {
	t.Helper()
	s, err := simulator.New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	w.Simulator = s
}

func (w *world) reopen(t testing.TB) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(t)
}

func (w *world) authorisation(reference string, c issuer.Card) issuer.Authorization {
	return issuer.Authorization{Reference: reference, Amount: money.Of(1250, "EUR"), Card: c, Capture: true,
		Statement: "Ada's Shop <&>", ReturnURL: "/l/token/done", ExpiresAt: w.clock.Now().Add(time.Hour)}
}

func want(t testing.TB, got issuer.Answer, outcome issuer.Outcome) issuer.Answer {
	t.Helper()
	if got.Outcome != outcome {
		t.Fatalf("%v (%s %s), want %v", got.Outcome, got.Code, got.Message, outcome)
	}
	return got
}

func TestConnector(t *testing.T) {
	issuertest.Run(t, func(t *testing.T) (issuer.Connector, issuertest.Cards) {
		w := start(t)
		return w, issuertest.Cards{
			Approve: card(t, "4242424242424242"),
			Declined: map[string]issuer.Card{
				issuer.CodeDeclined: ending(t, "0002"), issuer.CodeInsufficientFunds: ending(t, "9995"), issuer.CodeLost: ending(t, "9987"),
				issuer.CodeStolen: ending(t, "9979"), issuer.CodeExpired: ending(t, "0069"), issuer.CodeIncorrectCVC: ending(t, "0127"),
				issuer.CodeProcessing: ending(t, "0119"),
			},
			Lost: ending(t, "6108"), Unsent: ending(t, "6116"), Twice: ending(t, "6132"), Action: ending(t, "3220"),
			Decide: func(t *testing.T, url string, pass bool) { w.decide(t, url, pass) },
			Crash: func(t *testing.T) issuer.Connector {
				w.reopen(t)
				return w
			},
		}
	})
}

func TestCards(t *testing.T) {
	w := start(t)
	for _, number := range []string{"4242 4242 4242 4242", "5555 5555 5555 4444", "378282246310005", "6011111111111117"} {
		got := want(t, w.Authorize(t.Context(), w.authorisation("ok-"+number, card(t, number))), issuer.Approved)
		if got.Amount != money.Of(1250, "EUR") || !got.Captured {
			t.Errorf("%s: %+v", number, got)
		}
	}
	got := want(t, w.Authorize(t.Context(), w.authorisation("more", ending(t, "6140"))), issuer.Approved)
	if got.Amount != money.Of(1251, "EUR") {
		t.Errorf("6140 answers %v", got.Amount)
	}
	if looked := w.Lookup(t.Context(), "more"); looked != got {
		t.Errorf("lookup %+v, want %+v", looked, got)
	}
}

func TestF9ApprovesAfterTheLinkExpired(t *testing.T) {
	w := start(t)
	a := w.authorisation("late", ending(t, "6124"))
	a.ExpiresAt = a.ExpiresAt.Add(333 * time.Nanosecond)
	want(t, w.Authorize(t.Context(), a), issuer.Ambiguous)
	want(t, w.Lookup(t.Context(), a.Reference), issuer.Pending)
	w.clock.Add(time.Hour)
	want(t, w.Lookup(t.Context(), a.Reference), issuer.Pending)
	w.reopen(t)
	w.clock.Add(2 * time.Hour)
	got := want(t, w.Lookup(t.Context(), a.Reference), issuer.Approved)
	if late := got.At.Sub(a.ExpiresAt); late <= 0 || late > time.Millisecond || !got.Captured {
		t.Fatalf("decided %v after the end: %+v", late, got)
	}
	want(t, w.Authorize(t.Context(), a), issuer.Ambiguous)
	if n := approvals(w.Book()); n["late"] != 1 {
		t.Fatalf("the book has %d approvals", n["late"])
	}
	b := w.authorisation("late-2", ending(t, "6124"))
	want(t, w.Authorize(t.Context(), b), issuer.Ambiguous)
	want(t, w.Reverse(t.Context(), issuer.Operation{ID: "r", Authorization: "late-2"}), issuer.Reversed)
	w.clock.Add(3 * time.Hour)
	want(t, w.Lookup(t.Context(), "late-2"), issuer.Reversed)
}

func TestF8DownForAMinute(t *testing.T) {
	w := start(t)
	a := w.authorisation("down", ending(t, "6157"))
	a.Capture = false
	op := issuer.Operation{ID: "op", Authorization: "down", Amount: a.Amount}
	for range 2 {
		want(t, w.Authorize(t.Context(), a), issuer.Ambiguous)
		want(t, w.Lookup(t.Context(), "down"), issuer.Ambiguous)
		want(t, w.Capture(t.Context(), op), issuer.Ambiguous)
		want(t, w.Refund(t.Context(), op), issuer.Ambiguous)
		want(t, w.Reverse(t.Context(), op), issuer.Ambiguous)
		w.clock.Add(simulator.DefaultDowntime - time.Microsecond)
		w.reopen(t)
	}
	want(t, w.Lookup(t.Context(), "op"), issuer.NotFound)
	want(t, w.Authorize(t.Context(), a), issuer.Approved)
	want(t, w.Lookup(t.Context(), "down"), issuer.Approved)
	want(t, w.Reverse(t.Context(), op), issuer.Reversed)
	want(t, w.Lookup(t.Context(), "down"), issuer.Reversed)
	if n := len(w.Book()); n != 2 {
		t.Fatalf("%d entries", n)
	}
}

// TestSlowAnswer: the decision is in the book, and can be looked up, long before it is
// answered. A caller that gives up, or a simulator that closes, gets no answer.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		answer := make(chan issuer.Answer, 1)
		authorise := func(ctx context.Context, reference string) {
			go func() { answer <- w.Authorize(ctx, w.authorisation(reference, ending(t, "6165"))) }()
			synctest.Wait()
			if len(answer) != 0 {
				t.Fatalf("%s is answered at once", reference)
			}
			want(t, w.Lookup(t.Context(), reference), issuer.Approved)
		}
		began := time.Now()
		authorise(t.Context(), "waits")
		want(t, <-answer, issuer.Approved)
		if took := time.Since(began); took != simulator.DefaultSlowness {
			t.Errorf("answered after %s", took)
		}
		want(t, w.Authorize(t.Context(), w.authorisation("waits", ending(t, "6165"))), issuer.Approved)
		if took := time.Since(began); took != simulator.DefaultSlowness {
			t.Errorf("the repetition is answered after %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		authorise(ctx, "gives up")
		want(t, <-answer, issuer.Ambiguous)
		authorise(t.Context(), "closes")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		want(t, <-answer, issuer.Ambiguous)
	})
}

func TestF5NoticeIsRepeatedUntilTaken(t *testing.T) {
	w := start(t)
	heard := make(chan issuer.Notice, 8)
	var times atomic.Int64
	w.OnNotice(func(_ context.Context, n issuer.Notice) error {
		if times.Add(1) == 1 {
			return context.DeadlineExceeded
		}
		heard <- n
		return nil
	})
	first := want(t, w.Authorize(t.Context(), w.authorisation("twice", ending(t, "6132"))), issuer.Approved)
	if n := <-heard; n.Reference != "twice" || n.Answer != first {
		t.Fatalf("%+v", n)
	}
	want(t, w.Authorize(t.Context(), w.authorisation("twice", ending(t, "6132"))), issuer.Approved)
	if err := w.Close(); err != nil { // waits for the calls that are running
		t.Fatal(err)
	}
	if times.Load() != 2 || len(heard) != 0 {
		t.Fatalf("sent %d times", times.Load())
	}
}

func TestCloseEndsNotices(t *testing.T) {
	w := start(t)
	entered := make(chan struct{})
	w.OnNotice(func(ctx context.Context, _ issuer.Notice) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	})
	a := w.authorisation("twice", ending(t, "6132"))
	want(t, w.Authorize(t.Context(), a), issuer.Approved)
	<-entered
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want(t, w.Authorize(t.Context(), a), issuer.NotSent)
	want(t, w.Lookup(t.Context(), "twice"), issuer.NotSent)
	want(t, w.Capture(t.Context(), issuer.Operation{ID: "c", Authorization: "twice"}), issuer.NotSent)
	if n := len(w.Book()); n != 1 {
		t.Fatalf("%d entries after Close", n)
	}
}

func TestSameSeedSameAnswers(t *testing.T) {
	run := func(seed int64) (refs []string) {
		w := start(t)
		_ = w.Close()
		w.config.Seed, w.config.BookPath = seed, filepath.Join(t.TempDir(), "b")
		w.open(t)
		defer func() { _ = w.Close() }()
		for i := range 20 {
			a := w.authorisation("r"+strconv.Itoa(i), card(t, "4242424242424242"))
			refs = append(refs, w.Authorize(t.Context(), a).IssuerReference,
				w.Refund(t.Context(), issuer.Operation{ID: "f" + strconv.Itoa(i), Authorization: a.Reference, Amount: a.Amount}).IssuerReference)
		}
		return refs
	}
	one, two, other := run(1), run(1), run(2)
	seen := map[string]bool{}
	for i := range one {
		if one[i] != two[i] || one[i] == other[i] || seen[one[i]] {
			t.Fatalf("%d: %s %s %s", i, one[i], two[i], other[i])
		}
		seen[one[i]] = true
	}
}

func TestI15NoCardNumberInTheBook(t *testing.T) {
	w := start(t)
	for i, last4 := range []string{"0002", "3220", "6108", "6124", "6132", "6140", "6157"} {
		w.Authorize(t.Context(), w.authorisation("r"+strconv.Itoa(i), ending(t, last4)))
	}
	raw, err := os.ReadFile(w.config.BookPath)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("40000000")) || bytes.Contains(raw, []byte("Byron")) || bytes.Contains(raw, []byte(`"123"`)) {
		t.Fatalf("the book has card data:\n%s", raw)
	}
	info, _ := os.Stat(w.config.BookPath)
	if info.Mode().Perm() != 0o600 {
		t.Fatalf("the book is %v", info.Mode())
	}
}

// TestRestoredBook: a copy that others can read is closed to them when it is opened.
func TestRestoredBook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "simulator.book")
	if err := os.WriteFile(path, nil, 0o644); err != nil { // that is the point
		t.Fatal(err)
	}
	s, err := simulator.New(simulator.Config{BookPath: path, Seed: 1, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestRefusedRequests(t *testing.T) {
	w := start(t)
	ok := card(t, "4242424242424242")
	a := w.authorisation("", ok)
	want(t, w.Authorize(t.Context(), a), issuer.NotSent)
	want(t, w.Authorize(t.Context(), w.authorisation(strings.Repeat("x", 201), ok)), issuer.NotSent)
	want(t, w.Authorize(t.Context(), w.authorisation("empty", issuer.Card{})), issuer.NotSent)
	want(t, w.Capture(t.Context(), issuer.Operation{Authorization: "x"}), issuer.NotSent)
	want(t, w.Reverse(t.Context(), issuer.Operation{ID: "x"}), issuer.NotSent)
	for i, amount := range []money.Amount{money.Of(0, "EUR"), money.Of(-5, "EUR"), money.Of(simulator.MaxMinor+1, "EUR"),
		money.Of(5, "VND"), money.Of(5, ""), money.Of(5, "EUROS")} {
		a := w.authorisation("bad"+strconv.Itoa(i), ok)
		a.Amount = amount
		if got := want(t, w.Authorize(t.Context(), a), issuer.Declined); got.Code != issuer.CodeProcessing {
			t.Errorf("%v: %q", amount, got.Code)
		}
	}
	w.reopen(t)
	want(t, w.Lookup(t.Context(), "bad5"), issuer.Declined)
	for _, c := range []simulator.Config{{}, {BookPath: "x", PublicPath: "y"}, {BookPath: "x", PublicPath: "/"},
		{BookPath: "x", PublicPath: "/a/"}, {BookPath: "x", PublicPath: "/{a}"}} {
		if _, err := simulator.New(c); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func approvals(book []simulator.BookEntry) map[string]int {
	n := map[string]int{}
	for _, e := range book {
		if e.Kind == simulator.KindAuthorize && e.Outcome == issuer.Approved {
			n[e.Reference]++
		}
	}
	return n
}

func writeUntilKilled(path string) {
	s, err := simulator.New(simulator.Config{BookPath: path})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c, err := issuer.NewCard("4242424242424242", 12, time.Now().Year()+1, "123", "", time.Now())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var print sync.Mutex
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				ref := fmt.Sprintf("w%d-%d", w, i)
				if s.Authorize(context.Background(), issuer.Authorization{Reference: ref, Amount: money.Of(100, "EUR"),
					Card: c}).Outcome == issuer.Approved {
					print.Lock()
					_, _ = os.Stdout.WriteString(ref + "\n")
					print.Unlock()
				}
			}
		}()
	}
	select {}
}

func TestI10KillNine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book")
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), writerVariable+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var answered []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		answered = append(answered, lines.Text())
		if len(answered) == 3000 {
			if err := child.Process.Kill(); err != nil { // SIGKILL
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || len(answered) < 3000 {
		t.Fatalf("the writer ended by itself after %d: %v", len(answered), answered[max(0, len(answered)-1):])
	}
	book, err := simulator.OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	n := approvals(book)
	for _, ref := range answered {
		if n[ref] != 1 {
			t.Fatalf("%s was answered and stands %d times in the book", ref, n[ref])
		}
	}
	s, err := simulator.New(simulator.Config{BookPath: path})
	if err != nil {
		t.Fatal(err)
	}
	want(t, s.Lookup(t.Context(), answered[0]), issuer.Approved)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
