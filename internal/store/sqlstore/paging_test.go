//go:build !race

package sqlstore_test

import "testing"

// paged is the number of payments that are paged through.
const paged = 200_000

// unhurried lets tests of a million rows run in parallel: they measure the best of several tries.
func unhurried(t *testing.T) { t.Helper(); t.Parallel() }
