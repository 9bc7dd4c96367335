package main_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
)

// reported waits until the projection for people has come to the feed's end.
func reported(t *testing.T, data string) {
	t.Helper()
	db := openReports(t, data)
	eventually(t, "the reports have followed the feed", func() bool {
		var last, at int64
		err := openStore(t, data).QueryRowContext(t.Context(), "SELECT MAX(position) FROM events").Scan(&last)
		if err == nil {
			err = db.QueryRowContext(t.Context(), "SELECT position FROM checkpoints WHERE consumer = 'reports'").Scan(&at)
		}
		return err == nil && at == last
	})
}

func openReports(t *testing.T, data string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "reports.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestReportsVerifyAndRebuild: verify holds the rows and sums for people to the
// payments; what somebody has harmed is named and made anew, also beside a server
// that works. What the projection has not come to is no error.
func TestReportsVerifyAndRebuild(t *testing.T) {
	p := serve(t)
	_, key := p.merchant(t, "ada")
	for i, card := range []string{"4242424242424242", "4000000000000002", "4242424242424242"} {
		key.payJSON(key.link(`"amount":"7"`), "attempt-000000000"+string(rune('1'+i)), card)
	}
	l := key.link(`"amount":"9"`)
	key.payJSON(l, "attempt-0000000009", "4242424242424242")
	key.ok("POST", "/api/payments/"+onePayment(key, l, "succeeded")+"/refunds", `{"amount":"2"}`)
	reported(t, p.data)
	worked(t, "the reports are made anew", "reports", "rebuild", "--data", p.data) // the server works on
	reported(t, p.data)
	p.stop()
	verified(t, p.data)
	for _, harm := range []string{"UPDATE report_payments SET captured = captured + 1 WHERE status = 'succeeded'", "UPDATE report_payments SET status = 'late'",
		"UPDATE report_payments SET seq = seq + 1", "DELETE FROM report_payments WHERE status = 'declined'", "UPDATE report_sums SET volume = volume + 1",
		"UPDATE report_sums SET links_paid = 0", "DELETE FROM report_sums WHERE unit = 24", "UPDATE report_declines SET n = 9", "UPDATE report_links SET steps = 0",
		"UPDATE report_payments SET id = 'pay_00000000000000000000000000' WHERE status = 'declined'"} {
		n, err := openReports(t, p.data).ExecContext(t.Context(), harm)
		if err != nil {
			t.Fatal(err)
		}
		if hit, err := n.RowsAffected(); err != nil || hit == 0 {
			t.Fatalf("%s: %d rows, %v", harm, hit, err)
		}
		out, _, status := command(t, "verify", "--data", p.data)
		if status == 0 || !strings.Contains(out, "BROKEN I8 reports") {
			t.Errorf("%s: status %d\n%s", harm, status, out)
		}
		worked(t, "the reports are made anew", "reports", "rebuild", "--data", p.data)
		verified(t, p.data)
	}
	if _, err := openReports(t, p.data).ExecContext(t.Context(), `DELETE FROM report_payments; DELETE FROM report_sums; DELETE FROM report_declines;
		DELETE FROM report_links; UPDATE checkpoints SET position = 0`); err != nil {
		t.Fatal(err)
	}
	verified(t, p.data)
}
