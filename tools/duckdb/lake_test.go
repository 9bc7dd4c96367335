//go:build duckdb

// Package duckdb_test reads the lake with another engine. It is a module of its own, behind a
// build tag, because DuckDB needs cgo and the product does not.
package duckdb_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
)

const (
	payments = 60
	kills    = 3
	patience = 90 * time.Second
)

// server is the built binary, on a data folder and a lake.
type server struct {
	t                    *testing.T
	data, lake           string
	url, admin, key, pwd string
	cmd                  *exec.Cmd
}

func (s *server) start() {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.data, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.Command(os.Getenv("PAYLINK_BINARY"), "serve", "--demo", "--data", s.data, "--listen", strings.TrimPrefix(s.url, "http://"),
		"--admin-listen", strings.TrimPrefix(s.admin, "http://"), "--lake", s.lake, "--lake-age", "1s")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.until("the server is ready", func() bool {
		status, _ := s.call("GET", s.url+"/readyz", nil)
		return status == http.StatusOK
	})
	s.until("the demo's key is there", func() bool {
		raw, err := os.ReadFile(filepath.Join(s.data, "demo.json"))
		var demo struct{ KeyID, Secret string }
		if err != nil || json.Unmarshal(raw, &demo) != nil {
			return false
		}
		s.key, s.pwd = demo.KeyID, demo.Secret
		return true
	})
}

// end stops it as a power cut does.
func (s *server) end() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (s *server) until(what string, is func() bool) {
	s.t.Helper()
	late := time.Now().Add(patience)
	for look := time.NewTicker(50 * time.Millisecond); !is(); <-look.C {
		if time.Now().After(late) {
			log, _ := os.ReadFile(filepath.Join(s.data, "log"))
			s.t.Fatalf("%s: never\n%s", what, log[max(0, len(log)-4000):])
		}
	}
}

// call sends a request with the demo's key, and returns its answer.
func (s *server) call(method, url string, body any) (int, map[string]any) {
	s.t.Helper()
	var sent io.Reader // nothing with a GET
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		sent = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, sent)
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth(s.key, s.pwd)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if method == "POST" {
		r.Header.Set("Idempotency-Key", fmt.Sprintf("duckdb-%016x", rand.Uint64()))
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = answer.Body.Close() }()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil
	}
	var out map[string]any
	_ = json.Unmarshal(all, &out) // pages and metrics are no JSON
	return answer.StatusCode, out
}

// pay makes a link, pays it with a card that the issuer approves, declines or holds, refunds part
// of it, and records a dispute.
func (s *server) pay(i int) {
	s.t.Helper()
	currency, amount := "EUR", fmt.Sprintf("%d.%02d", 5+i, i)
	if i%4 == 0 {
		currency, amount = "JPY", strconv.Itoa(500+i)
	}
	capture := "automatic"
	if i%5 == 0 {
		capture = "manual"
	}
	status, link := s.call("POST", s.url+"/api/payment", map[string]any{"amount": amount, "currency": currency, "capture": capture})
	if status != http.StatusOK {
		s.t.Fatalf("link: %d %v", status, link)
	}
	card := []string{"4242424242424242", "5555555555554444", "4000000000000002", "4242424242424242"}[i%4]
	status, paid := s.call("POST", link["url"].(string)+"/payments", map[string]any{"attempt": fmt.Sprintf("attempt-%012d", i),
		"card": map[string]any{"number": card, "expMonth": 12, "expYear": 2039, "cvc": "123"}})
	if status != http.StatusOK && status != http.StatusPaymentRequired {
		s.t.Fatalf("payment: %d %v", status, paid)
	}
	if id, _ := paid["id"].(string); id != "" && i%3 == 0 && capture == "automatic" {
		s.call("POST", s.url+"/api/payments/"+id+"/refunds", map[string]any{"amount": map[string]string{"EUR": "1.25", "JPY": "100"}[currency]})
		s.object(id, i, map[string]string{"EUR": "2.75", "JPY": "120"}[currency])
	}
}

// object records disputes of a captured payment, and advances the first one.
func (s *server) object(id string, i int, amount string) {
	s.t.Helper()
	at := s.url + "/api/payments/" + id + "/disputes"
	status, d := s.call(
		"POST",
		at,
		map[string]any{"reason": "fraudulent", "amount": amount, "reference": "CB-1", "evidenceDueAt": "2039-03-01T23:59:59Z"},
	)
	if status != http.StatusOK {
		return // it was declined, or its outcome is unknown
	}
	if status, answer := s.call("POST", at+"/"+d["id"].(string),
		map[string]any{"state": []string{"under_review", "lost", "won"}[i%9/3]}); status != http.StatusOK {
		s.t.Fatalf("dispute: %d %v", status, answer)
	}
	if status, answer := s.call("POST", at, map[string]any{"reason": "duplicate", "reference": "CB-2"}); status != http.StatusOK {
		s.t.Fatalf("dispute: %d %v", status, answer)
	}
}

// lag returns how many events are in no file yet, or -1 if that is unknown.
func (s *server) lag() int {
	answer, err := http.Get(s.admin + "/metrics")
	if err != nil {
		return -1
	}
	defer func() { _ = answer.Body.Close() }()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), `paylink_stream_lag{consumer="lake"} `); ok {
			f, err := strconv.ParseFloat(n, 64)
			if err != nil {
				return -1
			}
			return int(f)
		}
	}
	return -1
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

// documented returns the SQL block in docs/operate/lake.md that contains the words.
func documented(t *testing.T, words string) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/operate/lake.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		if strings.Contains(block[1], words) {
			return block[1]
		}
	}
	t.Fatalf("docs/operate/lake.md has no SQL with %q", words)
	return ""
}

// TestLakeByDuckDB checks that DuckDB reads the files of a server that was killed in between, by
// the document's own queries, and that the sums equal the ledger's.
func TestLakeByDuckDB(t *testing.T) {
	if os.Getenv("PAYLINK_BINARY") == "" {
		t.Fatal("PAYLINK_BINARY names no binary: use make lake")
	}
	s := &server{t: t, data: t.TempDir(), lake: t.TempDir(), url: freeAddress(t), admin: freeAddress(t)}
	s.start()
	defer func() { s.end() }()
	for i := range payments {
		s.pay(i)
		if i%(payments/kills) == payments/kills-1 {
			s.until("some of it is in the lake", func() bool { return s.lag() >= 0 && s.lag() < 20 })
			s.end()
			s.start()
		}
	}
	s.until("all of it is in the lake", func() bool { return s.lag() == 0 })
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	view := strings.ReplaceAll(documented(t, "read_parquet('/var/lib"), "/var/lib/paylink-lake", s.lake)
	for _, table := range []string{"payments", "refunds", "disputes", "transfers", "links"} {
		run(t, db, strings.ReplaceAll(strings.ReplaceAll(view, "VIEW payments", "VIEW "+table), "table=payments", "table="+table))
	}
	run(t, db, documented(t, "payments_now"))
	run(t, db, documented(t, "disputes_now"))
	s.checkBalances(db)
	s.checkPayments(db)
	s.checkDisputes(db)
	for what, query := range map[string]string{
		"a leg of a transfer is there twice":        "SELECT COUNT(*) - COUNT(DISTINCT (transfer, leg)) FROM transfers",
		"an event of a payment is twice":            "SELECT COUNT(*) - COUNT(DISTINCT event_id) FROM payments",
		"the legs do not sum to zero":               "SELECT COUNT(*) FROM (SELECT 1 FROM transfers GROUP BY transfer HAVING SUM(minor) <> 0)",
		"a day is not its partition's":              "SELECT COUNT(*) FROM payments WHERE CAST(day AS DATE) <> CAST(timezone('UTC', \"at\") AS DATE)",
		"refunds are not what the ledger gave back": "SELECT (SELECT SUM(amount_minor) FROM refunds WHERE status = 'succeeded') - (SELECT SUM(minor) FROM transfers WHERE kind = 'refund' AND phase = 'posted' AND minor > 0)",
		"an event says twice what a dispute is":     "SELECT COUNT(*) - COUNT(DISTINCT (event_id, id)) FROM disputes",
		"a dispute has no payment":                  "SELECT COUNT(*) FROM disputes d ANTI JOIN payments p ON p.id = d.payment",
		"a payment has no link":                     "SELECT COUNT(*) FROM payments p ANTI JOIN links l ON l.id = p.link",
	} {
		if n := number(t, db, query); n != 0 {
			t.Errorf("%s: %d", what, n)
		}
	}
	if n := number(t, db, "SELECT COUNT(*) FROM payments_now"); n != payments {
		t.Errorf("%d payments, want %d", n, payments)
	}
}

// checkBalances compares the document's balances with those of the API, which are the ledger's.
func (s *server) checkBalances(db *sql.DB) {
	s.t.Helper()
	status, answer := s.call("GET", s.url+"/api/balance", nil)
	if status != http.StatusOK {
		s.t.Fatalf("balance: %d %v", status, answer)
	}
	want := map[string][2]int64{}
	list, _ := answer["balances"].([]any)
	for _, one := range list {
		b := one.(map[string]any)
		c := b["currency"].(string)
		want[c] = [2]int64{minor(s.t, b["available"], c), minor(s.t, b["pending"], c)}
	}
	got := map[string][2]int64{}
	rows, err := db.Query(documented(s.t, "GROUP BY ALL"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var account, mode, currency string
		var available, pending int64
		if err := rows.Scan(&account, &mode, &currency, &available, &pending); err != nil {
			s.t.Fatal(err)
		}
		got[currency] = [2]int64{available, pending}
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	if len(want) != 2 || want["EUR"][0] == 0 || want["EUR"][1] == 0 || !maps.Equal(got, want) {
		s.t.Errorf("balances by DuckDB %v, by the ledger %v", got, want)
	}
	s.t.Logf("balances by DuckDB and by the ledger: %v", got)
}

// checkPayments compares every payment's present state with the API's.
func (s *server) checkPayments(db *sql.DB) {
	s.t.Helper()
	rows, err := db.Query("SELECT id, currency, amount_minor, captured_minor, refunded_now_minor FROM payments_now")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var refunded int64
	for rows.Next() {
		var id, currency string
		var amount, captured, back int64
		if err := rows.Scan(&id, &currency, &amount, &captured, &back); err != nil {
			s.t.Fatal(err)
		}
		_, p := s.call("GET", s.url+"/api/payments/"+id, nil)
		if minor(s.t, p["amount"], currency) != amount || minor(s.t, p["capturedAmount"], currency) != captured ||
			minor(s.t, p["refundedAmount"], currency) != back {
			s.t.Errorf("%s: %d, captured %d, refunded %d; by the API %v", id, amount, captured, back, p)
		}
		refunded += back
	}
	if err := rows.Err(); err != nil || refunded == 0 {
		s.t.Errorf("refunded %d, %v", refunded, err)
	}
}

// checkDisputes compares the last row of every dispute with the API's, and their sums.
func (s *server) checkDisputes(db *sql.DB) {
	s.t.Helper()
	rows, err := db.Query(
		"SELECT payment, id, currency, amount_minor, state, reason, reference, evidence_due_at IS NOT NULL, closed_at IS NOT NULL FROM disputes_now",
	)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	got := map[string]map[string]string{} // by payment and dispute
	sums := map[string]int64{}
	for rows.Next() {
		var payment, id, currency, state, reason, reference string
		var amount int64
		var due, closed bool
		if err := rows.Scan(&payment, &id, &currency, &amount, &state, &reason, &reference, &due, &closed); err != nil {
			s.t.Fatal(err)
		}
		if got[payment] == nil {
			got[payment] = map[string]string{}
		}
		got[payment][id] = fmt.Sprint(currency, amount, state, reason, reference, due, closed)
		sums[currency] += amount
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	want := map[string]int64{}
	for payment, found := range got {
		_, p := s.call("GET", s.url+"/api/payments/"+payment, nil)
		all, _ := p["disputes"].([]any)
		if len(all) != len(found) {
			s.t.Errorf("%s: %d disputes in the lake, by the API %v", payment, len(found), all)
		}
		for _, one := range all {
			d := one.(map[string]any)
			currency := d["currency"].(string)
			amount := minor(s.t, d["amount"], currency)
			want[currency] += amount
			if is := fmt.Sprint(currency, amount, d["state"], d["reason"], d["reference"], d["evidenceDueAt"] != nil,
				d["closedAt"] != nil); is != found[d["id"].(string)] {
				s.t.Errorf("dispute %v of %s: %s, by the API %s", d["id"], payment, found[d["id"].(string)], is)
			}
		}
	}
	_, all := s.call("GET", s.url+"/api/disputes?limit=100", nil)
	list, _ := all["data"].([]any)
	if len(sums) != 2 || !maps.Equal(sums, want) || len(list) != 2*len(got) {
		s.t.Errorf("disputed by DuckDB %v, by the API %v; the API lists %d of %d payments", sums, want, len(list), len(got))
	}
	s.t.Logf("disputed by DuckDB and by the API: %v", sums)
}

func minor(t *testing.T, decimal any, currency string) int64 {
	t.Helper()
	f, err := strconv.ParseFloat(fmt.Sprint(decimal), 64)
	if err != nil {
		t.Fatal(err)
	}
	if currency == "JPY" {
		return int64(math.Round(f))
	}
	return int64(math.Round(100 * f))
}

func run(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%v\n%s", err, statement)
	}
}

func number(t *testing.T, db *sql.DB, query string) (n int64) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
	return n
}
