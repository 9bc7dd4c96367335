//go:build race

package dynamo_test

// paged is smaller under the race detector, which is slow and finds nothing new after some
// hundred. The run without it pages through all.
const paged = 1_000
