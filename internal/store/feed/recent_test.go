package feed_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// TestFeedFromMemory checks that consumers get the same events from memory as from the file, to
// the last field, also when other commits fail, another process writes in between, or the feed is
// emptied.
func TestFeedFromMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paylink.db")
	ours, other := open(t, "sqlite:"+path), open(t, "sqlite:"+path)
	account := id.New(id.Account)
	same := func(from int64, want int) {
		t.Helper()
		memory := ours.FromMemory(from)
		file, err := ours.FromFile(t.Context(), from)
		if err != nil || len(memory) != want || !reflect.DeepEqual(memory, file) {
			t.Fatalf("after %d memory has %d events, want %d, and the file %d, %v", from, len(memory), want, len(file), err)
		}
	}
	write := func(s *sqlstore.Store, events ...stream.Event) {
		t.Helper()
		if err := s.AppendEvents(t.Context(), []string{account}, events); err != nil {
			t.Fatal(err)
		}
	}
	moved := happened(account, "pay_1")
	moved.CreatedAt = time.Date(2030, 5, 6, 7, 8, 9, 123456789, time.FixedZone("", 3600))
	moved.Transfers = []ledger.Transfer{{ID: "tr_1", Kind: "capture", Phase: "posted", Held: 7, Currency: "EUR",
		Entries: []ledger.Entry{{Account: ledger.Receivable("simulator"), Minor: 1250}, {Account: ledger.Funds(account), Minor: -1250}}}}
	write(ours, happened(account, "link_1"), moved)
	same(0, 2)
	same(1, 1)

	var wg sync.WaitGroup
	for n := range 40 { // groups in which some commits are refused
		wg.Go(func() {
			events := []stream.Event{happened(account, "link_2")}
			if n%2 == 1 {
				events = append(events, happened(id.New(id.Account), "link_2")) // not declared
			}
			err := ours.AppendEvents(t.Context(), []string{account}, events)
			if (err != nil) != (n%2 == 1) {
				t.Error(n, err)
			}
		})
	}
	wg.Wait()
	same(0, 22)

	write(other, happened(account, "link_3"))
	if got := ours.FromMemory(22); got != nil {
		t.Fatalf("memory knows what another process wrote: %v", got)
	}
	write(ours, happened(account, "link_4"), happened(account, "link_5"))
	if got := ours.FromMemory(0); got != nil {
		t.Fatalf("memory leaves out what another process wrote: %v", got)
	}
	same(23, 2)
	var read []int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := ours.Consume(ctx, "test", func(_ context.Context, events []stream.Event) error {
		for _, e := range events {
			if read = append(read, e.Position); e.Position == 25 {
				cancel()
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i, p := range read {
		if p != int64(i)+1 {
			t.Fatalf("a consumer read %v", read)
		}
	}

	file, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if _, err := file.ExecContext(t.Context(), "DELETE FROM events"); err != nil {
		t.Fatal(err)
	}
	write(ours, happened(account, "link_6"))
	same(0, 1)
}

// TestFeedFromMemoryIsBounded checks that only the last events are in memory, by number and by
// size, and that a consumer further back reads the file.
func TestFeedFromMemoryIsBounded(t *testing.T) {
	s := open(t, engines["SQLite"](t))
	account := id.New(id.Account)
	large := happened(account, "link_1")
	large.Data = []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	for range 20 {
		if err := s.AppendEvents(t.Context(), []string{account}, []stream.Event{large}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.FromMemory(0); got != nil {
		t.Errorf("20 MiB are kept: %d events", len(got))
	}
	if got := s.FromMemory(19); len(got) != 1 {
		t.Errorf("the last one is not kept: %d events", len(got))
	}
}
