package dynamo

import (
	"maps"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)

func TestChart(t *testing.T) {
	type at = map[string]string
	young, old := trimAt(noon.Add(-time.Hour)), trimAt(noon.Add(-21*time.Hour))
	tree := []shard{{"a", "", "1"}, {"b", "a", "10"}, {"c", "a", "11"}, {"d", "b", "20"}}
	for name, c := range map[string]struct {
		listed []shard
		known  at
		gap    bool
		ready  []string
		begin  []string
		forget []string
	}{
		"children wait for their parent": {tree, at{"a": "after 5"}, false, []string{"a"}, []string{"b", "c", "d"}, nil},
		"both children follow it":        {tree, at{"a": checkpointDone}, false, []string{"b", "c"}, []string{"b", "c", "d"}, nil},
		"a grandchild waits for its own": {tree, at{"a": checkpointDone, "b": "after 12", "c": checkpointDone, "d": "at 20"}, false,
			[]string{"b"}, nil, nil},
		"and follows it": {tree, at{"a": checkpointDone, "b": checkpointDone, "c": "after 13", "d": "at 20"}, false,
			[]string{"c", "d"}, nil, nil},
		"the parent has left, read": {tree[1:], at{"a": checkpointDone, "b": "after 12", "c": "at 11", "d": "at 20"}, false,
			[]string{"b", "c"}, nil, []string{"a"}},
		"the parent has left, read, before we saw": {tree[1:3], at{"a": checkpointDone}, false, []string{"b", "c"}, []string{"b", "c"}, nil},
		"it left unread": {tree[1:], at{"a": "after 5", "b": "at 10", "c": "at 11", "d": "at 20"}, true, []string{},
			nil, []string{}},
		"it left before its first record was read": {tree[1:], at{"a": "at 1"}, true, nil, nil, nil},
		"a generation is missing":                  {[]shard{{"z", "y", "90"}}, at{"a": checkpointDone}, true, nil, nil, nil},
		"another stream":                           {[]shard{{"z", "", "1"}}, at{"a": checkpointDone}, true, nil, nil, nil},
		"the table was just read":                  {tree[:1], at{"a": young}, false, []string{"a"}, nil, nil},
		"the table was read too long ago":          {tree[:1], at{"a": old}, true, nil, nil, nil},
		"all is read":                              {tree[:1], at{"a": checkpointDone}, false, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := chart(c.listed, c.known, noon)
			if got.gap != c.gap {
				t.Fatalf("gap is %v", got.gap)
			}
			if c.gap {
				return
			}
			begun := slices.Sorted(maps.Keys(got.begin))
			if !slices.Equal(got.ready, c.ready) || !slices.Equal(begun, c.begin) || !slices.Equal(got.forget, c.forget) {
				t.Errorf("ready %v, begin %v, forget %v", got.ready, begun, got.forget)
			}
		})
	}
}

// TestChartWalksAnyTree checks that, however shards split, every one is read once, after its
// parent, however often the walk stops and starts.
func TestChartWalksAnyTree(t *testing.T) {
	listed := []shard{{"s0", "", "0"}}
	for i := 1; i < 60; i++ {
		listed = append(listed, shard{id: "s" + string(rune('0'+i%10)) + string(rune('a'+i/10)), parent: listed[(i-1)/2].id, first: "1"})
	}
	known := map[string]string{"s0": "at 0"}
	read := map[string]bool{}
	parent := map[string]string{}
	for _, s := range listed {
		parent[s.id] = s.parent
	}
	for range 200 {
		c := chart(listed, known, noon)
		if c.gap {
			t.Fatal("a gap where none is")
		}
		maps.Copy(known, c.begin)
		if len(c.ready) == 0 {
			break
		}
		next := c.ready[len(c.ready)/2]
		if read[next] || (parent[next] != "" && !read[parent[next]]) {
			t.Fatalf("%s is read again or before its parent", next)
		}
		read[next] = true
		known[next] = checkpointDone
	}
	if len(read) != len(listed) {
		t.Fatalf("%d of %d shards were read", len(read), len(listed))
	}
}
