package app

import (
	"strings"
	"testing"
)

// TestGrants checks the SQL for services that keep nothing in the database, and the names that a
// prefix may have.
func TestGrants(t *testing.T) {
	for store, kept := range map[string]string{
		"":                    "fraud links notifier payments transactions users verifier",
		"dynamodb://payments": "fraud notifier payments users",
	} {
		text, err := Config{PaymentsStore: store}.grantsFor("shop_")
		if err != nil {
			t.Fatal(err)
		}
		for service := range grants {
			has := strings.Contains(text, "GRANT SELECT ON goose_db_version TO shop_"+service+";")
			if has != strings.Contains(kept, service) || !strings.Contains(text, "FROM shop_"+service+"'") {
				t.Errorf("with payments in %q, %s has rights: %t", store, service, has)
			}
		}
		for service, spec := range targetSpecs {
			if _, ok := grants[service]; ok != (spec.sql || spec.payments) {
				t.Errorf("%s has a role: %t", service, ok)
			}
		}
	}
	for _, prefix := range []string{"", "Paylink_", "x'; DROP", "1x", strings.Repeat("x", 60)} {
		if _, err := (Config{}).grantsFor(prefix); err == nil {
			t.Errorf("the prefix %q was accepted", prefix)
		}
	}
}
