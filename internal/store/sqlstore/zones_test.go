package sqlstore_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// TestAccountsFromBeforeZones checks that an account without a zone, as earlier versions stored
// it, uses UTC and may choose one.
func TestAccountsFromBeforeZones(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		if _, _, err := sqlstore.Migrate(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		account := id.New(id.Account)
		statements := []string{"ALTER TABLE accounts DROP COLUMN time_zone",
			"DROP INDEX mails_payers_by_network", "ALTER TABLE mails DROP COLUMN network",
			"ALTER TABLE mail_refusals DROP COLUMN links", "ALTER TABLE mail_refusals DROP COLUMN receipts",
			"DROP TABLE needed_keys", "DROP TABLE activity",
			"DELETE FROM goose_db_version WHERE version_id >= 25",
			"INSERT INTO accounts (id, name, methods, revision, created_at, confirmed_at) VALUES ('" + account + "', 'Ada', '[]', 1, 1000000, 0)"}
		if path, isFile := strings.CutPrefix(url, "sqlite:"); isFile {
			db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range statements {
				_, next := db.ExecContext(t.Context(), s)
				err = errors.Join(err, next)
			}
			if err = errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
		} else {
			pgtest.Exec(t, url, strings.Join(append(statements, "DROP INDEX report_links_by_time"), "; "))
		}
		s := open(t, url)
		a, err := s.GetAccount(t.Context(), account)
		if err != nil || a.TimeZone != "" || a.Zone().String() != "UTC" || a.Name != "Ada" {
			t.Fatalf("%+v in %s, %v", a, a.Zone(), err)
		}
		err = s.PutTimeZone(t.Context(), account, "Asia/Kathmandu", true)
		if a, next := s.GetAccount(t.Context(), account); errors.Join(err, next) != nil || a.Zone().String() != "Asia/Kathmandu" {
			t.Errorf("%+v, %v, %v", a, err, next)
		}
	})
}
