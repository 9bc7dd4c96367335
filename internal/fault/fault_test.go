package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/paylink/paylink/internal/fault"
)

// TestKindOf: nil has no kind, and an error that is not a fault is internal.
func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind fault.Kind
		code string
	}{
		{nil, fault.KindNone, ""},
		{errors.New("disk"), fault.KindInternal, "internal"},
		{fault.NotFound("link"), fault.KindNotFound, "not_found"},
		{fmt.Errorf("read: %w", fault.New(fault.KindConflict, "link_paid", "Paid.")), fault.KindConflict, "link_paid"},
	} {
		if kind, code := fault.KindOf(c.err), fault.Code(c.err); kind != c.kind || code != c.code {
			t.Errorf("%v: kind %d, code %q", c.err, kind, code)
		}
	}
}
