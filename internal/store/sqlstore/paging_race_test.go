//go:build race

package sqlstore_test

// paged is fewer under the race detector: it is slow, and after some thousand sees
// nothing new. The run without it pages through all.
const paged = 20_000
