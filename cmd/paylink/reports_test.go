package main_test

import (
	"database/sql"
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

func openReports(t *testing.T, data string) *sql.DB { return openFile(t, data, "reports.db") }

// TestReportsVerifyAndRebuild: verify holds the rows and sums for people to the
// payments; what somebody has harmed is named and made anew, also beside a server
// that works. What the projection has not come to is no error.
func TestReportsVerifyAndRebuild(t *testing.T) {
	t.Parallel()
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

// overviewPages are shown before and after there is something to tell: a year's
// overview has other charts than a day's.
func overviewPages(g *gallery) {
	g.show("/dashboard/live/overview", "overview empty")
	for i, card := range []string{"4242424242424242", "4242424242424242", "4000000000000002", "4000000000009995", "4242424242424242"} {
		g.paidBy(card, `"amount":"`+string(rune('1'+i))+`249.50"`)
	}
	g.link(`"amount":"49"`)
	reported(g.t, g.p.data)
	g.show("/dashboard/test/overview", "overview")
	g.show("/dashboard/test/overview?span=1", "overview of a day")
	g.show("/dashboard/test/overview?span=365", "overview of a year")
	g.show("/dashboard/test/overview?span=dates&from=2026-02-30&to=x", "overview wrong dates")
	g.show("/dashboard/test/payments?q=grace", "payments found")
	g.show("/dashboard/test/payments?from=30.11.2026&status=x&zone=Mars", "payments refused")
	g.show("/dashboard/test/balance?x=1", "an address refused")
	g.show("/dashboard/account/settings", "settings")
}

// TestF32BrowsersTellSteps: a page that is read leaves no trace; one that a person
// looks at counts as opened, and as started once they type. Without scripts it
// counts when the payment is submitted.
func TestF32BrowsersTellSteps(t *testing.T) {
	t.Parallel()
	p, b := serve(t), openBrowser(t)
	_, key := p.merchant(t, "ada")
	steps := func(l map[string]any, column string) (n int) {
		if err := openReports(t, p.data).QueryRowContext(t.Context(), "SELECT "+column+" FROM report_links WHERE id = $1", l["id"]).Scan(&n); err != nil {
			return -1
		}
		return n
	}
	read, looked, plain := key.link(`"amount":"7"`), key.link(`"amount":"7"`), key.link(`"amount":"7"`)
	key.as("").do("GET", tokenPath(t, read), "", "Accept", "text/html")
	b.open(p.url + tokenPath(t, looked))
	eventually(t, "the link counts as opened", func() bool { return steps(looked, "seen") == 1 })
	b.fill("4242424242424242")
	eventually(t, "the link counts as started", func() bool { return steps(looked, "seen") == 3 })
	b.scripts(false)
	b.open(p.url + tokenPath(t, plain))
	b.pay("4242424242424242")
	eventually(t, "the plain browser's link counts as submitted and paid", func() bool { return steps(plain, "steps") == 12 })
	if n := steps(read, "seen"); n != 0 {
		t.Errorf("who only read the link is counted: %d", n)
	}
	b.onlyOwnOrigin(p.url)
}
