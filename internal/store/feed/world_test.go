package feed_test

import (
	"github.com/paylink/paylink/internal/store/sqltest"
)

var engines, open, happened = sqltest.Engines, sqltest.Open, sqltest.Happened
