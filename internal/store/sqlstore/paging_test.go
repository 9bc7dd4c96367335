//go:build !race

package sqlstore_test

import "testing"

// paged is how many payments are paged through.
const paged = 200_000

// unhurried lets tests of a million rows run side by side: what they measure is the best
// of several tries.
func unhurried(t *testing.T) { t.Helper(); t.Parallel() }
