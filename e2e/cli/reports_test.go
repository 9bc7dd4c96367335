package cli

import (
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
)

// TestReportsVerifyAndRebuild checks that verify compares the reports' rows and sums with the
// payments, and that damage is reported and repaired by a rebuild, also beside a working server.
// What the projection has not reached is not a problem.
func TestReportsVerifyAndRebuild(t *testing.T) {
	t.Parallel()
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	for i, card := range []string{"4242424242424242", "4000000000000002", "4242424242424242"} {
		key.PayJSON(key.Link(`"amount":"7"`), "attempt-000000000"+string(rune('1'+i)), card)
	}
	l := key.Link(`"amount":"9"`)
	key.PayJSON(l, "attempt-0000000009", "4242424242424242")
	key.OK("POST", "/api/payments/"+harness.OnePayment(key, l, "succeeded")+"/refunds", `{"amount":"2"}`)
	harness.Reported(t, p.Data)
	harness.Worked(t, "the reports were rebuilt", "reports", "rebuild", "--data", p.Data) // the server keeps working
	harness.Reported(t, p.Data)
	p.Stop()
	harness.Verified(t, p.Data)
	for _, harm := range []string{"UPDATE report_payments SET captured = captured + 1 WHERE status = 'succeeded'",
		"UPDATE report_payments SET status = 'late'",
		"UPDATE report_payments SET seq = seq + 1", "DELETE FROM report_payments WHERE status = 'declined'",
		"UPDATE report_sums SET volume = volume + 1",
		"UPDATE report_sums SET links_paid = 0", "DELETE FROM report_sums WHERE unit = 24", "UPDATE report_declines SET n = 9",
		"UPDATE report_links SET steps = 0",
		"UPDATE report_payments SET id = 'pay_00000000000000000000000000' WHERE status = 'declined'"} {
		n, err := harness.OpenReports(t, p.Data).ExecContext(t.Context(), harm)
		if err != nil {
			t.Fatal(err)
		}
		if hit, err := n.RowsAffected(); err != nil || hit == 0 {
			t.Fatalf("%s: %d rows, %v", harm, hit, err)
		}
		out, _, status := harness.Command(t, "verify", "--data", p.Data)
		if status == 0 || !strings.Contains(out, "BROKEN I8 reports") {
			t.Errorf("%s: status %d\n%s", harm, status, out)
		}
		harness.Worked(t, "the reports were rebuilt", "reports", "rebuild", "--data", p.Data)
		harness.Verified(t, p.Data)
	}
	if _, err := harness.OpenReports(t, p.Data).ExecContext(t.Context(), `DELETE FROM report_payments; DELETE FROM report_sums; DELETE FROM report_declines;
		DELETE FROM report_links; UPDATE checkpoints SET position = 0`); err != nil {
		t.Fatal(err)
	}
	harness.Verified(t, p.Data)
}
