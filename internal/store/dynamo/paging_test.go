//go:build !race

package dynamo_test

// paged is the number of payments that are paged through: as many as the emulator handles in a
// reasonable time.
const paged = 10_000
