//go:build race

package dynamo_test

// paged is fewer under the race detector: it is slow, and after some hundred sees
// nothing new. The run without it pages through all.
const paged = 1_000
