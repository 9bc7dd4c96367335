package dynamo_test

import (
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/storetest"
)

// A missing table accepts no writes. Once it exists it does, without reopening the store. The
// probe leaves nothing behind.
func TestATableIsNotReadyWhileItRefusesChanges(t *testing.T) {
	url := dynamotest.URL(t)
	s, err := dynamo.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Writable(t.Context()); err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
		t.Errorf("no table: %v", err)
	}
	if s.Writes().Failing() == nil {
		t.Error("the metric says that it takes changes")
	}
	if err := dynamo.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	deadline, tick := time.After(time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for err = s.Writable(t.Context()); err != nil; err = s.Writable(t.Context()) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the table is there: %v", err)
		}
	}
	if err := s.CreateLink(t.Context(), storetest.NewLink(id.New(id.Account), 1), nil, nil); err != nil {
		t.Fatal(err)
	}
	if s.Writes().Failing() != nil || s.Writes().Refusals() != 0 {
		t.Errorf("%v, %d refusals", s.Writes().Failing(), s.Writes().Refusals())
	}
}
