//go:build !race

package sqltest

import "testing"

// Unhurried lets tests of a million rows run side by side: what they measure is the best
// of several tries.
func Unhurried(t *testing.T) { t.Helper(); t.Parallel() }
