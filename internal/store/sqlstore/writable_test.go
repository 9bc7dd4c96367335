package sqlstore_test

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
)

// takes waits until the store reports that it accepts writes, or that it does not for this
// reason. Nothing is reopened meanwhile.
func takes(t *testing.T, s *sqlstore.Store, reason string) {
	t.Helper()
	var err error
	await.Until(t, "ready: "+reason, func() bool {
		err = s.Writable(t.Context())
		return (reason == "" && err == nil) || (reason != "" && err != nil && strings.Contains(err.Error(), reason))
	})
	if (s.Writes().Failing() == nil) != (reason == "") {
		t.Errorf("the metric says %v", s.Writes().Failing())
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("it can't be read: %v", err)
	}
}

// A disk that is too full for real changes sometimes has space for the probe: the refusal of the
// change counts.
func TestSQLiteIsNotReadyOnAFullDisk(t *testing.T) {
	s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "paylink.db"))
	account := id.New(id.Account)
	p := begun(t, s, account)
	if err := s.LimitPages(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c := storetest.Answered(t, p, issuer.Approved)
	c.Events[0].Data = []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	wantCode(t, s.CommitPayment(t.Context(), c), "store_unavailable")
	takes(t, s, "full")
	if err := s.LimitPages(t.Context(), 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := s.CommitPayment(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	takes(t, s, "")
	if s.Writes().Refusals() != 1 {
		t.Errorf("%d refusals, with one change refused", s.Writes().Refusals())
	}
}

func TestPostgreSQLIsNotReadyWhileItIsReadOnly(t *testing.T) {
	address, elsewhere := pgtest.Database(t), pgtest.Database(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	again := "; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + name + "'"
	s := open(t, address)
	takes(t, s, "")
	pgtest.Exec(t, elsewhere, `ALTER DATABASE "`+name+`" SET default_transaction_read_only = on`+again)
	wantCode(t, s.CreateLink(t.Context(), storetest.NewLink(id.New(id.Account), 1), nil, nil), "store_unavailable")
	takes(t, s, "read-only transaction")
	pgtest.Exec(t, elsewhere, `ALTER DATABASE "`+name+`" RESET default_transaction_read_only`+again)
	takes(t, s, "")
}
