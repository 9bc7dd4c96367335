//go:build !race

package sqltest

import "testing"

// Unhurried lets tests of a million rows run in parallel: they measure the best of several tries.
func Unhurried(t *testing.T) { t.Helper(); t.Parallel() }
