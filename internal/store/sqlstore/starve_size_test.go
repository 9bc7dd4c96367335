//go:build !race

package sqlstore_test

import "testing"

// TestSizeF53QueuesGoOn runs the same test with ten thousand.
func TestSizeF53QueuesGoOn(t *testing.T) { starved(t, 10_000) }
