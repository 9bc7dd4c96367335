//go:build !race

package dynamo_test

import "testing"

// TestSizeF53QueuesGoOn runs the same test with ten thousand, all due at one instant: the walk
// behind the oldest takes a few sweeps.
func TestSizeF53QueuesGoOn(t *testing.T) { starved(t, 10_000) }
