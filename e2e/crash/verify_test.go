package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// forged rewrites a payment's document and its checksum, as an attacker who knows the format
// would.
func forged(t *testing.T, data, id string, change func(doc map[string]any)) {
	t.Helper()
	var doc string
	if err := harness.OpenStore(t, data).QueryRowContext(t.Context(), "SELECT doc FROM payments WHERE id = $1", id).Scan(&doc); err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	decoder := json.NewDecoder(strings.NewReader(doc))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	change(object)
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	harness.Harm(t, data, "UPDATE payments SET doc = $1, doc_sum = $2 WHERE id = $3",
		string(raw), int64(crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli))), id)
}

func logEntry(doc map[string]any, i int) map[string]any {
	return doc["log"].([]any)[i].(map[string]any)
}

// storeHarm is one way to damage a store, with verify's expected report.
type storeHarm struct {
	name, says string
	do         func(t *testing.T, data string)
}

// harms damage a link, its payment that was paid and refunded in part, and a payment with an open
// outcome.
func harms(linkID, paid, open string) []storeHarm {
	forge := func(id string, change func(map[string]any)) func(*testing.T, string) {
		return func(t *testing.T, data string) { forged(t, data, id, change) }
	}
	harm := func(statement string, args ...any) func(*testing.T, string) {
		return func(t *testing.T, data string) { harness.Harm(t, data, statement, args...) }
	}
	return []storeHarm{
		{
			"F21 a document is not what was written",
			"BROKEN F21",
			harm(`UPDATE payments SET doc = replace(doc, '"capturedMinor":700', '"capturedMinor":701') WHERE id = $1`, paid),
		},
		{"F21 a link is not what was written", "BROKEN F21", harm(`UPDATE links SET doc = doc || ' ' WHERE id = $1`, linkID)},
		{"I1 a balance is made up", "BROKEN I1", harm("UPDATE balances SET available = available + 1")},
		{"I2 more is captured than was authorised", "BROKEN I2", forge(paid, func(d map[string]any) { d["authorizedMinor"] = 699 })},
		{"I3 more is refunded than was captured", "BROKEN I3", forge(paid, func(d map[string]any) { d["refundedMinor"] = 701 })},
		{"I4 the ledger has other funds than the payment", "BROKEN I4", forge(paid, func(d map[string]any) { d["capturedMinor"] = 600 })},
		{"I5 a transfer is resolved twice", "BROKEN I1/I5", forge(paid, func(d map[string]any) {
			last := logEntry(d, len(d["log"].([]any))-1)
			last["transfers"] = append(last["transfers"].([]any), last["transfers"].([]any)...)
		})},
		{"I6 the link's count is wrong", "BROKEN I6", harm("UPDATE links SET uses = 0 WHERE id = $1", linkID)},
		{"I6 a use is reserved by nobody", "BROKEN I6", harm("UPDATE links SET reserved = 1 WHERE id = $1", linkID)},
		{"I6 the issuer knows of no such payment", "BROKEN I6", func(t *testing.T, data string) {
			book, err := os.ReadFile(filepath.Join(data, "simulator.book"))
			if err != nil {
				t.Fatal(err)
			}
			header := book[:bytes.IndexByte(book, '\n')+1]
			if err := os.WriteFile(filepath.Join(data, "simulator.book"), header, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"I7 the log is rewritten", "BROKEN I7", forge(paid, func(d map[string]any) { logEntry(d, 0)["reason"] = "x" })},
		{
			"I7 an entry is gone",
			"BROKEN I7",
			forge(paid, func(d map[string]any) { d["log"] = append(d["log"].([]any)[:1], d["log"].([]any)[2:]...) }),
		},
		{"I8 the status is not the log's", "BROKEN I8", forge(paid, func(d map[string]any) { d["status"] = "refunded" })},
		{"I11 a payment is forgotten", "BROKEN I11", forge(open, func(d map[string]any) {
			d["work"].(map[string]any)["nextAt"] = time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)
		})},
		{"I12 an event is gone", "BROKEN I12", harm("DELETE FROM events WHERE object = $1 AND object_seq = 1", paid)},
		{"I12 an event is told twice", "BROKEN I12", harm("UPDATE events SET object_seq = 1 WHERE object = $1 AND object_seq = 2", paid)},
	}
}

// TestVerifyNamesWhatIsBroken damages a store in one way at a time: verify reports the invariant
// and what breaks it, and exits with a status for scripts.
func TestVerifyNamesWhatIsBroken(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	l, waiting := key.Link(`"amount":"7"`), key.Link(`"amount":"8"`)
	key.PayJSON(l, "attempt-0000000001", "4242424242424242")
	key.PayJSON(waiting, "attempt-0000000001", "4000000000006157")
	paid, open := harness.OnePayment(key, l, "succeeded"), harness.OnePayment(key, waiting, "unknown")
	key.OK("POST", "/api/payments/"+paid+"/refunds", `{"amount":"2"}`)
	await.Until(t, "the balance is written down", func() bool {
		var available int64
		err := harness.OpenStore(t, p.Data).QueryRowContext(t.Context(), "SELECT available FROM balances").Scan(&available)
		return err == nil && available == 500
	})
	p.Stop()
	harness.Verified(t, p.Data)
	// Rewriting a document does no damage by itself.
	control := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(control, os.DirFS(p.Data)); err != nil {
		t.Fatal(err)
	}
	forged(t, control, paid, func(map[string]any) {})
	harness.Verified(t, control)
	for _, c := range harms(harness.Str(t, l, "id"), paid, open) {
		t.Run(c.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(data, os.DirFS(p.Data)); err != nil {
				t.Fatal(err)
			}
			c.do(t, data)
			out, errs, status := harness.Command(t, "verify", "--data", data)
			if status == 0 || !strings.Contains(out, c.says) || strings.Contains(errs, "goroutine ") {
				t.Errorf("status %d, want %q in\n%s%s", status, c.says, out, errs)
			}
			if strings.Contains(out, " 0 broken") {
				t.Error("it says that nothing is broken")
			}
		})
	}
}

// rows returns everything in a store, as text.
func rows(t *testing.T, data string) string {
	t.Helper()
	db := harness.OpenStore(t, data)
	var all strings.Builder
	for _, table := range []string{"links", "payments", "events", "event_seqs", "balances", "checkpoints", "idempotency", "accounts",
		"users", "api_keys"} {
		query := "SELECT * FROM " + table
		if table == "checkpoints" { // the store's own probe is no reader's
			query += " WHERE consumer <> 'readiness'"
		}
		found, err := db.QueryContext(t.Context(), query+" ORDER BY 1")
		if err != nil {
			t.Fatal(err)
		}
		columns, err := found.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for found.Next() {
			values, places := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				places[i] = &values[i]
			}
			if err := found.Scan(places...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&all, table, values)
		}
		if err := found.Err(); err != nil {
			t.Fatal(err)
		}
		_ = found.Close()
	}
	return all.String()
}

// TestF32ScannersConsumeNothing checks that opening a link, as a mail scanner, a prefetching
// browser or a chat's preview does, leaves the store unchanged; then the payer pays.
func TestF32ScannersConsumeNothing(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	l := key.Link(`"amount":"7"`)
	pages := []string{
		harness.TokenPath(t, l),
		harness.TokenPath(t, l) + "/status",
		harness.TokenPath(t, l) + "/status?attempt=attempt-0000000001",
		"/verify?link=" + harness.Str(t, l, "url"),
	}
	await.Until(t, "the consumers have followed the link's creation", func() bool {
		var behind int
		err := harness.OpenStore(t, p.Data).QueryRowContext(
			t.Context(),
			"SELECT 2 - count(*) FROM checkpoints WHERE consumer IN ('notify', 'balances') AND position = (SELECT max(position) FROM events)",
		).Scan(&behind)
		return err == nil && behind == 0
	})
	before := rows(t, p.Data)
	visitor := key.As("")
	for _, path := range pages {
		for range 3 {
			for _, purpose := range [][2]string{{"User-Agent", "link scanner"}, {"Sec-Purpose", "prefetch"}, {"Accept", "text/html"}} {
				get := visitor.Do("GET", path, "", purpose[0], purpose[1], "Accept", "text/html")
				head := visitor.Do("HEAD", path, "", purpose[0], purpose[1], "Accept", "text/html")
				if get.Status != http.StatusOK || head.Status != get.Status || len(head.Body) != 0 {
					t.Errorf("%s: GET %d, HEAD %d %s", path, get.Status, head.Status, head.Body)
				}
			}
		}
	}
	if after := rows(t, p.Data); after != before {
		t.Errorf("reading changed the store:\n%s\nbefore:\n%s", after, before)
	}
	if a := key.PayJSON(l, "attempt-0000000001", "4242424242424242"); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	harness.OnePayment(key, l, "succeeded")
	if rows(t, p.Data) == before {
		t.Error("a payment left the store as it was: the comparison sees nothing")
	}
}
