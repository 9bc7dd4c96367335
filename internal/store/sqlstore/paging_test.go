//go:build !race

package sqlstore_test

// paged is how many payments are paged through.
const paged = 200_000
