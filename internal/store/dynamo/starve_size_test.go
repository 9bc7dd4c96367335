//go:build !race

package dynamo_test

import (
	"flag"
	"testing"
)

var starvedBy = flag.Int("starve.size", 1000, "payments and links that stand before those of another account")

// TestSizeF53QueuesGoOn runs the same test with a thousand, all due at one instant: the walk
// behind the oldest takes a few sweeps. With ten thousand (-starve.size 10000) it takes more than
// ten minutes, because DynamoDB Local is one file behind one lock.
func TestSizeF53QueuesGoOn(t *testing.T) { starved(t, *starvedBy) }
