package payment_test

import (
	"slices"
	"testing"

	"github.com/paylink/paylink/internal/payment"
)

func TestInTurn(t *testing.T) {
	for _, c := range []struct{ list, want []string }{
		{nil, []string{}},
		{[]string{"a1", "a2", "a3"}, []string{"a1", "a2", "a3"}},
		{[]string{"a1", "a2", "b1", "a3", "c1", "b2"}, []string{"a1", "b1", "c1", "a2", "b2", "a3"}},
	} {
		if got := payment.InTurn(c.list, func(s string) string { return s[:1] }); !slices.Equal(got, c.want) {
			t.Errorf("%v in turn is %v, want %v", c.list, got, c.want)
		}
	}
}
