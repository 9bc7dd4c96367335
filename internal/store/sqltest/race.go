//go:build race

package sqltest

import "testing"

// Unhurried does nothing under the race detector.
func Unhurried(*testing.T) {}
