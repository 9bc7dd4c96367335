//go:build race

package sqlstore_test

import "testing"

// paged is smaller under the race detector, which is slow and finds nothing new after some
// thousand. The run without it pages through all.
const paged = 20_000

// unhurried does nothing under the race detector.
func unhurried(*testing.T) {}
