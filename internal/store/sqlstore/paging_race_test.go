//go:build race

package sqlstore_test

import "testing"

// paged is fewer under the race detector: it is slow, and after some thousand sees
// nothing new. The run without it pages through all.
const paged = 20_000

// unhurried changes nothing under the race detector.
func unhurried(*testing.T) {}
