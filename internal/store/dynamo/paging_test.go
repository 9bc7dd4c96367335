//go:build !race

package dynamo_test

// paged is how many payments are paged through: as many as the emulator takes in a
// reasonable time.
const paged = 10_000
