package dynamo_test

import (
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/store/storetest"
)

// TestNeededKeys: the table remembers the keys under which its data is sealed. They make no table
// that is in use: an import into a table that a server was started on is still allowed.
func TestNeededKeys(t *testing.T) {
	s := open(t)
	is := func(want []keyring.Name) {
		t.Helper()
		got, err := s.NeededKeys(t.Context())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
		if empty, err := s.Empty(t.Context()); err != nil || !empty {
			t.Errorf("empty: %v, %v", empty, err)
		}
	}
	is(nil)
	a, b := keyring.Name{ID: "00000001", Purpose: keyring.AnswerSeal}, keyring.Name{ID: "00000002", Purpose: keyring.StoreSeal}
	for _, add := range [][]keyring.Name{{b}, {a, b}} {
		if err := s.NeedKeys(t.Context(), add, storetest.Epoch); err != nil {
			t.Fatal(err)
		}
	}
	is([]keyring.Name{a, b})
	if err := s.PutClock(t.Context(), "acc_1", time.Hour); err != nil {
		t.Fatal(err)
	}
	if empty, err := s.Empty(t.Context()); err != nil || empty {
		t.Errorf("empty beside a clock: %v, %v", empty, err)
	}
}
