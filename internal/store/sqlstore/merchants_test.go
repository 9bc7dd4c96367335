package sqlstore_test

import (
	"testing"

	"github.com/paylink/paylink/internal/store/storetest"
)

func TestSQLiteMerchants(t *testing.T) {
	storetest.RunMerchants(t, func(t *testing.T) storetest.Merchants { return open(t) })
}
