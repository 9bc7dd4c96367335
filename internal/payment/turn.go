package payment

import (
	"cmp"
	"slices"
)

// InTurn orders a list so that its groups take turns: the first of every group comes before the
// second of any. Within a group, and within a turn, the order stays.
func InTurn[T any](list []T, group func(T) string) []T {
	type placed struct {
		one  T
		turn int
	}
	taken, all := map[string]int{}, make([]placed, len(list))
	for i, one := range list {
		g := group(one)
		all[i] = placed{one, taken[g]}
		taken[g]++
	}
	slices.SortStableFunc(all, func(a, b placed) int { return cmp.Compare(a.turn, b.turn) })
	ordered := make([]T, len(all))
	for i, p := range all {
		ordered[i] = p.one
	}
	return ordered
}
