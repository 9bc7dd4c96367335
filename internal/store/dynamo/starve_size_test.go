//go:build !race

package dynamo_test

import "testing"

// TestSizeF53QueuesGoOn is the same with a thousand, which is what DynamoDB Local, a file
// behind one process, takes within a minute: the walk behind the oldest takes
// a few sweeps.
func TestSizeF53QueuesGoOn(t *testing.T) { starved(t, 1000) }
