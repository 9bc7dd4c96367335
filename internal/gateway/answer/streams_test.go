package answer_test

import (
	"testing"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/answer"
)

// TestStreamsHaveShares checks that one reader cannot take every place, that a place that is
// released can be taken again, and that a refusal is not an error of ours.
func TestStreamsHaveShares(t *testing.T) {
	s := answer.NewStreams(5)
	var leave []func()
	enter := func(link, network string) error {
		l, err := s.Enter("", answer.Share{Key: link, Most: 3}, answer.Share{Key: network, Most: 2})
		if err == nil {
			leave = append(leave, l)
		} else if f := fault.From(err); f.Kind != fault.KindRateLimited || f.RetryAfter == 0 {
			t.Errorf("%v", err)
		}
		return err
	}
	for _, c := range []struct {
		link, network string
		ok            bool
	}{
		{"l1", "n1", true}, {"l1", "n1", true}, {"l2", "n1", false}, // its network has two
		{"l1", "n2", true}, {"l1", "n3", false}, // the link has three
		{"l2", "", true}, {"", "", true}, {"l3", "n4", false}, // all five are taken
	} {
		if err := enter(c.link, c.network); (err == nil) != c.ok {
			t.Errorf("%s from %s: %v", c.link, c.network, err)
		}
	}
	for _, l := range leave {
		l()
	}
	for range 2 {
		if err := enter("l1", "n1"); err != nil {
			t.Errorf("after all have left: %v", err)
		}
	}
	if enter("l1", "n1") == nil {
		t.Error("the share was lost")
	}
}
