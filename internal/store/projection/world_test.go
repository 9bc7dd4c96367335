package projection_test

import (
	"github.com/paylink/paylink/internal/store/sqltest"
)

var engines, onEach, open, happened = sqltest.Engines, sqltest.OnEach, sqltest.Open, sqltest.Happened
