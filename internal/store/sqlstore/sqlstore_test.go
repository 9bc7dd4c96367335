package sqlstore_test

import (
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
)

var engines, onEach, open, happened = sqltest.Engines, sqltest.OnEach, sqltest.Open, sqltest.Happened

func TestStore(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, url) })
	})
}

func TestMerchants(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		storetest.RunMerchants(t, func(t *testing.T) storetest.Merchants { return open(t, url) })
	})
}

func TestMails(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		storetest.RunMails(t, func(t *testing.T) storetest.MailStore { return open(t, url) })
	})
}

// TestF29_PagingWhileNewOnesArrive checks that a reader who pages while new payments arrive sees
// each payment that was there once.
func TestF29_PagingWhileNewOnesArrive(t *testing.T) {
	unhurried(t)
	onEach(t, func(t *testing.T, url string) { storetest.RunPaging(t, open(t, url), paged) })
}

// TestBackgroundQueriesUseTheirIndex checks that the queries of metrics and pruning do not read
// the whole table, which may be large.
func TestBackgroundQueriesUseTheirIndex(t *testing.T) {
	plan, err := open(t, engines["SQLite"](t)).Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []string{"webhook_deliveries_unresolved", "webhook_deliveries_by_time", "sessions_by_expiry", "mails_ended",
		"mails_due", "mails_parked"} {
		if !strings.Contains(plan, "INDEX "+index) {
			t.Errorf("%s is not used:\n%s", index, plan)
		}
	}
	for line := range strings.Lines(plan) {
		if strings.HasPrefix(line, "SCAN ") && !strings.Contains(line, "INDEX webhook_deliveries_unresolved") &&
			!strings.Contains(line, "INDEX mails_parked") &&
			line != "SCAN due\n" {
			t.Errorf("reads a whole table: %s", line)
		}
	}
}

func TestFraudRules(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		storetest.RunRules(t, func(t *testing.T) storetest.RuleStore { return open(t, url) })
	})
}
