package cli

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
)

func openAnalytics(t *testing.T, data string) *sql.DB {
	return harness.OpenFile(t, data, "analytics.db")
}

// analysed waits until the analytics store is complete and has reached the feed's end.
func analysed(t *testing.T, data string) {
	t.Helper()
	db, feed := openAnalytics(t, data), harness.OpenStore(t, data)
	await.Until(t, "the analytics store has followed the feed", func() bool {
		var last, at int64
		err := feed.QueryRowContext(t.Context(), "SELECT MAX(position) FROM events").Scan(&last)
		if err == nil {
			err = db.QueryRowContext(t.Context(), "SELECT position FROM analytics_state WHERE whole = 1").Scan(&at)
		}
		return err == nil && at == last
	})
}

// analyticsRows returns the rows and sums of the store, as text, by table. It omits sums of zero
// and the number of a dispute's last event, which differs after a rebuild.
func analyticsRows(t *testing.T, data string) map[string][]string {
	t.Helper()
	db, all := openAnalytics(t, data), map[string][]string{}
	for table, columns := range map[string]string{"payments": "*", "links": "*", "refunds": "*", "labels": "*",
		"disputes": "id, owner, payment, currency, amount, reason, state, reference, evidence_due_at, created_at, closed_at", "days": "*",
		"scores": "*", "rules": "*"} {
		where := map[string]string{"days": " WHERE attempts > 0", "scores": " WHERE scored > 0", "rules": " WHERE hits > 0"}[table]
		found, err := db.QueryContext(t.Context(), "SELECT "+columns+" FROM analytics_"+table+where)
		if err != nil {
			t.Fatal(err)
		}
		names, err := found.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for found.Next() {
			values, places := make([]any, len(names)), make([]any, len(names))
			for i := range values {
				places[i] = &values[i]
			}
			if err := found.Scan(places...); err != nil {
				t.Fatal(err)
			}
			all[table] = append(all[table], fmt.Sprint(values...))
		}
		if err := found.Err(); err != nil {
			t.Fatal(err)
		}
		_ = found.Close()
		slices.Sort(all[table])
	}
	return all
}

func sameRows(t *testing.T, what string, got, want map[string][]string) {
	t.Helper()
	for table := range want {
		if !slices.Equal(got[table], want[table]) {
			t.Errorf("%s, %s:\n%s\nwas\n%s", what, table, strings.Join(got[table], "\n"), strings.Join(want[table], "\n"))
		}
	}
}

// suspicious pays links of an account in each way that the analytics store distinguishes.
func suspicious(t *testing.T, key *harness.Client) {
	t.Helper()
	const good = "4242424242424242"
	key.OK("POST", "/api/fraud/rules", `{"name":"Large","action":"review","when":"amount > 500","state":"on"}`)
	key.OK("POST", "/api/fraud/rules", `{"name":"Huge","action":"block","when":"amount > 5000","state":"on"}`)
	key.OK("POST", "/api/fraud/rules", `{"name":"Any","action":"block","when":"amount > 1","state":"shadow"}`)
	attempt := 0
	pay := func(amount, card, status string) string {
		t.Helper()
		attempt++
		l := key.Link(`"amount":"` + amount + `"`)
		key.PayJSON(l, fmt.Sprintf("attempt-%010d", attempt), card)
		return harness.OnePayment(key, l, status)
	}
	refunded := pay("7.00", good, "succeeded")
	key.OK("POST", "/api/payments/"+refunded+"/refunds", `{"amount":"2"}`)
	pay("8.00", "4000000000000002", "declined")
	pay("9000", good, "declined") // blocked
	for verdict, status := range map[string]string{"approve": "succeeded", "decline": "canceled", "refund": "canceled"} {
		held := pay("600", good, "authorized")
		key.OK("POST", "/api/payments/"+held+"/review", `{"verdict":"`+verdict+`"}`)
		await.Until(
			t,
			"the verdict "+verdict+" is carried out",
			func() bool { return key.OK("GET", "/api/payments/"+held, "")["status"] == status },
		)
	}
	pay("700", good, "authorized") // its review is open
	honest := pay("10.00", good, "succeeded")
	key.OK("POST", "/api/payments/"+honest+"/mark", `{"label":"fraud"}`)
	key.OK("POST", "/api/payments/"+honest+"/mark", `{"label":"legitimate"}`)
	disputed := pay("11.00", good, "succeeded")
	d := key.OK(
		"POST",
		"/api/payments/"+disputed+"/disputes",
		`{"reason":"fraudulent","reference":"CB-1","evidenceDueAt":"2036-03-01T23:59:59Z"}`,
	)
	key.OK("POST", "/api/payments/"+disputed+"/disputes/"+harness.Str(t, d, "id"), `{"state":"under_review"}`)
	key.OK("POST", "/api/payments/"+disputed+"/disputes", `{"reason":"duplicate","amount":"3","reference":"CB-2"}`)
	given := pay("12.00", good, "succeeded")
	key.OK("POST", "/api/payments/"+given+"/review", `{"verdict":"refund"}`)
	await.Until(t, "all of it is given back", func() bool { return key.OK("GET", "/api/payments/"+given, "")["status"] == "refunded" })
	key.OK("POST", "/api/links/"+harness.Str(t, key.Link(`"amount":"1"`), "id")+"/cancel", "")
}

// analyticsHarms are ways to damage the analytics store.
var analyticsHarms = []string{
	"UPDATE analytics_payments SET captured = captured + 1 WHERE status = 'succeeded'",
	"UPDATE analytics_payments SET status = 'late' WHERE status = 'declined'",
	"UPDATE analytics_payments SET seq = seq + 1",
	"UPDATE analytics_payments SET seq = seq - 1 WHERE status = 'refunded'",
	"UPDATE analytics_payments SET answered_at = answered_at + 1 WHERE answered_at > 0",
	"UPDATE analytics_payments SET risk = replace(risk, '\"action\":\"block\"', '\"action\":\"allow\"') WHERE action = 'block'",
	"UPDATE analytics_payments SET fraud = 1 - fraud WHERE fraud >= 0",
	"UPDATE analytics_payments SET review = 'approved' WHERE review = 'open'",
	"UPDATE analytics_payments SET fingerprint = 'another'",
	"UPDATE analytics_payments SET disputes = '' WHERE disputes <> ''",
	"UPDATE analytics_payments SET id = 'pay_00000000000000000000000000' WHERE status = 'refunded'",
	"DELETE FROM analytics_payments WHERE status = 'declined'",
	"DELETE FROM analytics_payments",
	"UPDATE analytics_disputes SET state = 'lost' WHERE reference = 'CB-1'",
	"UPDATE analytics_disputes SET amount = amount + 1",
	"DELETE FROM analytics_disputes WHERE reference = 'CB-2'",
	"UPDATE analytics_refunds SET amount = amount + 1",
	"UPDATE analytics_refunds SET status = 'pending'",
	"UPDATE analytics_refunds SET id = 're_00000000000000000000000000' WHERE amount = 200",
	"DELETE FROM analytics_refunds WHERE amount = 200",
	"UPDATE analytics_links SET state = 'open' WHERE state = 'canceled'",
	"UPDATE analytics_links SET amount = 1",
	"DELETE FROM analytics_links WHERE state = 'paid'",
	"UPDATE analytics_days SET fraud_minor = fraud_minor + 1",
	"DELETE FROM analytics_days",
	"UPDATE analytics_rules SET hits = hits - 1 WHERE shadow = 1",
	"DELETE FROM analytics_rules WHERE action = 'review'",
	"INSERT INTO analytics_scores (owner, day, band, scored, blocked, passed, passed_fraud, passed_legitimate) VALUES (1, 1, 1, 1, 0, 0, 0, 0)",
}

// TestAnalyticsVerifyAndRebuild rebuilds the analytics store beside a working server, with a
// progress bar, and compares it with the one that followed the feed. verify compares each row and
// sum with payments and links: damage is reported, and repaired by a rebuild. What the store has
// not reached is not a problem.
func TestAnalyticsVerifyAndRebuild(t *testing.T) {
	t.Parallel()
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	suspicious(t, key)
	analysed(t, p.Data)
	followed := analyticsRows(t, p.Data)
	for _, table := range []string{"payments", "links", "refunds", "disputes", "days", "rules", "labels"} {
		if len(followed[table]) == 0 {
			t.Errorf("no %s", table)
		}
	}
	out, screen := harness.OnTerminal(t, "fraud", "rebuild", "--data", p.Data) // the server keeps working
	bar := regexp.MustCompile(`rebuild the analytics store \[=+\] 100% (\d+)/(\d+) objects`).FindStringSubmatch(screen)
	if want := strconv.Itoa(len(followed["payments"]) + len(followed["links"])); bar == nil || bar[1] != want || bar[2] != want ||
		!strings.Contains(out, "was rebuilt from "+want+" links and payments") {
		t.Errorf("of %s objects it says %q, and the terminal shows %q", want, out, screen)
	}
	sameRows(t, "rebuilt", analyticsRows(t, p.Data), followed)
	if a := key.PayJSON(key.Link(`"amount":"5"`), "attempt-after-rebuild", "4242424242424242"); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	analysed(t, p.Data) // it continues from there
	if now := analyticsRows(t, p.Data); len(now["payments"]) != len(followed["payments"])+1 {
		t.Errorf("%d payments, had %d", len(now["payments"]), len(followed["payments"]))
	}
	p.Stop()
	harness.Verified(t, p.Data)
	whole := analyticsRows(t, p.Data)
	for _, harm := range analyticsHarms {
		n, err := openAnalytics(t, p.Data).ExecContext(t.Context(), harm)
		if err != nil {
			t.Fatalf("%s: %v", harm, err)
		}
		if hit, err := n.RowsAffected(); err != nil || hit == 0 {
			t.Fatalf("%s: %d rows, %v", harm, hit, err)
		}
		out, errs, status := harness.Command(t, "verify", "--data", p.Data)
		if status == 0 || !strings.Contains(out, "BROKEN I8 analytics") || strings.Contains(errs, "goroutine ") {
			t.Errorf("%s: status %d\n%s%s", harm, status, out, errs)
		}
		harness.Worked(t, "the analytics store was rebuilt", "fraud", "rebuild", "--data", p.Data)
		sameRows(t, "after "+harm, analyticsRows(t, p.Data), whole)
	}
	harness.Verified(t, p.Data)
	if _, err := openAnalytics(t, p.Data).ExecContext(t.Context(),
		"DELETE FROM analytics_payments; DELETE FROM analytics_links; UPDATE analytics_state SET whole = 0"); err != nil {
		t.Fatal(err)
	}
	harness.Verified(t, p.Data) // the store is marked incomplete
}

// manyLinks puts links into a stopped server's store.
func manyLinks(t *testing.T, data string, n int) {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(data, "paylink.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	account := id.New(id.Account)
	for range n / 500 {
		page := make([]link.Link, 500)
		for i := range page {
			page[i] = storetest.NewLink(account, 1)
		}
		if err := store.LoadLinks(t.Context(), page); err != nil {
			t.Fatal(err)
		}
	}
}

// TestF23AnalyticsRebuildKilledHalfWay checks that a killed rebuild leaves an incomplete store,
// about which verify reports nothing wrong, and that another rebuild completes it.
func TestF23AnalyticsRebuildKilledHalfWay(t *testing.T) {
	t.Parallel()
	const links = 20_000
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	suspicious(t, key)
	p.Stop()
	manyLinks(t, p.Data, links)
	harness.Worked(t, "the analytics store was rebuilt", "fraud", "rebuild", "--data", p.Data)
	want := analyticsRows(t, p.Data)
	if len(want["links"]) < links {
		t.Fatalf("%d links", len(want["links"]))
	}
	db := openAnalytics(t, p.Data)
	state := func() (whole, walked int64) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), "SELECT whole, walked FROM analytics_state").Scan(&whole, &walked); err != nil {
			t.Fatal(err)
		}
		return whole, walked
	}
	c := exec.CommandContext(t.Context(), harness.Binary(t), "fraud", "rebuild", "--quiet", "--data", p.Data)
	c.Env = harness.Environ(t)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "it is under way", func() bool { whole, walked := state(); return whole == 0 && walked > 0 })
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil {
		t.Fatal("it had ended before")
	}
	if whole, walked := state(); whole != 0 || walked >= links {
		t.Fatalf("whole %d after %d", whole, walked)
	}
	harness.Verified(t, p.Data)
	harness.Worked(t, "the analytics store was rebuilt", "fraud", "rebuild", "--data", p.Data)
	if whole, _ := state(); whole != 1 {
		t.Error("it is not whole")
	}
	sameRows(t, "run again", analyticsRows(t, p.Data), want)
	harness.Verified(t, p.Data)
}
