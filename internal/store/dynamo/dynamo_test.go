package dynamo_test

import (
	"os"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(dynamotest.Main(m)) }

func TestDynamoDB(t *testing.T) {
	d := dynamotest.OpenDistributed(t)
	storetest.Run(t, func(*testing.T) storetest.Store { return d }, storetest.Options{CatchUp: d.CatchUp})
}

// open returns a store on a new table.
func open(t testing.TB, options ...func(*dynamo.Options)) *dynamo.Store {
	t.Helper()
	s, _ := dynamotest.Open(t, options...)
	return s
}

// within polls until ok, or fails the test.
func within(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for !ok() {
		select {
		case <-end:
			t.Fatalf("after %s still not: %s", limit, what)
		case <-tick.C:
		}
	}
}

func TestF29PagingWhileNewOnesArrive(t *testing.T) {
	storetest.RunPaging(t, dynamotest.Distributed{Store: open(t)}, paged)
}
