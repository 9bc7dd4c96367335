package score

import (
	"math"
	"math/rand/v2"
	"slices"
)

// TreesConfig configures the training of boosted trees.
type TreesConfig struct {
	Rounds      int
	Depth       int
	Rate        float64
	Lambda      float64 // penalty on a leaf's value
	MinWeight   float64 // least sum of second derivatives in a leaf
	RowShare    float64 // of rows, drawn for each tree
	ColumnShare float64 // of features, drawn for each tree
	Seed        uint64
}

// DefaultTrees returns the configuration that was chosen on weeks before those that docs/fraud.md
// reports.
func DefaultTrees() TreesConfig {
	return TreesConfig{Rounds: 200, Depth: 5, Rate: 0.05, Lambda: 5, MinWeight: 3, RowShare: 0.7, ColumnShare: 0.5, Seed: 1}
}

// Trees is a sum of regression trees for the log odds of fraud.
type Trees struct {
	Base  float64 `json:"base"`
	Trees []Tree  `json:"trees"`
}

// Tree is nodes in an array, the root first.
type Tree struct {
	Nodes []Node `json:"nodes"`
}

// Node is a split, or a leaf if Left is 0.
type Node struct {
	Feature   int32   `json:"f,omitempty"`
	Threshold float32 `json:"t,omitempty"` // at or below goes left
	Left      int32   `json:"l,omitempty"` // the right child follows it
	Value     float32 `json:"v"`           // the value of a payment that ends, or passes, here
}

// Logit returns the logit of one vector.
func (m *Trees) Logit(v *Vector) float64 {
	sum := m.Base
	for i := range m.Trees {
		nodes := m.Trees[i].Nodes
		at := int32(0)
		for nodes[at].Left != 0 {
			n := &nodes[at]
			at = n.Left
			if v[n.Feature] > n.Threshold {
				at++
			}
		}
		sum += float64(nodes[at].Value)
	}

	return sum
}

// Explain adds to each feature what its splits changed on the vector's way through the trees.
func (m *Trees) Explain(v *Vector, shares *[Width]float64) {
	for i := range m.Trees {
		nodes := m.Trees[i].Nodes
		at := int32(0)
		for nodes[at].Left != 0 {
			n := &nodes[at]
			next := n.Left
			if v[n.Feature] > n.Threshold {
				next++
			}
			shares[n.Feature] += float64(nodes[next].Value - n.Value)
			at = next
		}
	}
}

// maxBins is the number of bins of a feature; a bin fits into a byte.
const maxBins = 255

// binned holds the training rows, a column per feature that varies.
type binned struct {
	feature []int32     // of each column
	cuts    [][]float32 // thresholds of each column, ascending
	columns [][]uint8   // bin of each row: the number of cuts below the value
}

// bin sorts the values of each feature into bins of about equal size, by a sample of some 100,000
// rows. A feature that does not vary in the sample has no column.
func bin(rows []Vector) binned {
	var out binned
	sample := make([]float32, 0, len(rows))
	stride := max(1, len(rows)/100_000)
	for f := range Width {
		sample = sample[:0]
		for i := 0; i < len(rows); i += stride {
			sample = append(sample, rows[i][f])
		}
		slices.Sort(sample)
		var cuts []float32
		for b := 1; b < maxBins; b++ {
			c := sample[len(sample)*b/maxBins]
			if c < sample[len(sample)-1] && (len(cuts) == 0 || c > cuts[len(cuts)-1]) {
				cuts = append(cuts, c)
			}
		}
		if len(cuts) == 0 {
			continue
		}

		column := make([]uint8, len(rows))
		for i := range rows {
			at, _ := slices.BinarySearch(cuts, rows[i][f])
			column[i] = uint8(at) // at most 254 cuts
		}
		out.feature, out.cuts, out.columns = append(out.feature, int32(f)), append(out.cuts, cuts), append(out.columns, column) // Width is small
	}

	return out
}

// slot holds the sums of one bin.
type slot struct{ g, h float64 }

// grower trains one tree after the other, and reuses its memory.
type grower struct {
	TreesConfig
	data    binned
	g, h    []float64 // first and second derivatives of the loss, by row
	rows    []int32   // drawn for this tree; nodes hold ranges of it
	columns []int
	scratch []int32
}

// FitTrees trains on rows and their labels by gradient boosting: each tree is fitted to what the
// ones before it leave unexplained. The same input gives the same trees.
func FitTrees(rows []Vector, fraud []bool, c TreesConfig) *Trees {
	var positive float64
	for _, f := range fraud {
		if f {
			positive++
		}
	}

	share := (positive + 1) / (float64(len(rows)) + 2)
	m := &Trees{Base: math.Log(share / (1 - share))}
	random := rand.New(rand.NewPCG(c.Seed, 0x7061796c696e6b))
	gr := grower{
		TreesConfig: c,
		data:        bin(rows),
		g:           make([]float64, len(rows)),
		h:           make([]float64, len(rows)),
		scratch:     make([]int32, len(rows)),
	}
	logits := make([]float64, len(rows))
	for i := range logits {
		logits[i] = m.Base
	}

	for range c.Rounds {
		for i, l := range logits {
			p := 1 / (1 + math.Exp(-l))
			gr.g[i], gr.h[i] = p, p*(1-p)
			if fraud[i] {
				gr.g[i]--
			}
		}

		t := gr.grow(random)
		m.Trees = append(m.Trees, t)
		for i := range rows {
			at := int32(0)
			for t.Nodes[at].Left != 0 {
				n := &t.Nodes[at]
				at = n.Left
				if rows[i][n.Feature] > n.Threshold {
					at++
				}
			}
			logits[i] += float64(t.Nodes[at].Value)
		}
	}

	return m
}

// grow returns the next tree, grown level by level on a random part of the rows and features.
func (gr *grower) grow(random *rand.Rand) Tree {
	gr.rows = gr.rows[:0]
	for i := range gr.g {
		if random.Float64() < gr.RowShare {
			gr.rows = append(gr.rows, int32(i)) // rows fit into memory
		}
	}

	gr.columns = gr.columns[:0]
	for c := range gr.data.columns {
		if random.Float64() < gr.ColumnShare {
			gr.columns = append(gr.columns, c)
		}
	}

	t := Tree{Nodes: make([]Node, 1, 64)}
	type job struct {
		node, depth int
		rows        []int32
		histogram   [][]slot
	}

	root := job{rows: gr.rows, histogram: gr.histogram(gr.rows)}
	for queue := []job{root}; len(queue) > 0; {
		j := queue[0]
		queue = queue[1:]
		total := gr.total(j.rows)
		t.Nodes[j.node].Value = float32(-total.g / (total.h + gr.Lambda) * gr.Rate)
		if j.depth == gr.Depth {
			continue
		}

		column, cut := gr.split(j.histogram, total)
		if column < 0 {
			continue
		}

		left, right := gr.partition(j.rows, gr.data.columns[column], uint8(cut)) // a bin
		at := len(t.Nodes)
		n := &t.Nodes[j.node]
		n.Feature, n.Threshold, n.Left = gr.data.feature[column], gr.data.cuts[column][cut], int32(at) // few nodes
		t.Nodes = append(t.Nodes, Node{}, Node{})

		l, r := job{node: at, depth: j.depth + 1, rows: left}, job{node: at + 1, depth: j.depth + 1, rows: right}
		if l.depth < gr.Depth {
			small, large := &l, &r
			if len(left) > len(right) {
				small, large = large, small
			}
			small.histogram = gr.histogram(small.rows)
			large.histogram = subtract(j.histogram, small.histogram)
		}

		queue = append(queue, l, r)
	}
	return t
}

// total returns the sums of some rows.
func (gr *grower) total(rows []int32) slot {
	var t slot
	for _, i := range rows {
		t.g += gr.g[i]
		t.h += gr.h[i]
	}
	return t
}

// histogram returns the sums of some rows by bin, for the columns of this tree.
func (gr *grower) histogram(rows []int32) [][]slot {
	out := make([][]slot, len(gr.data.columns))
	for _, c := range gr.columns {
		h := make([]slot, maxBins)
		column := gr.data.columns[c]
		for _, i := range rows {
			s := &h[column[i]]
			s.g += gr.g[i]
			s.h += gr.h[i]
		}
		out[c] = h
	}

	return out
}

// subtract turns the parent's histogram into that of the other child, in place. That halves the
// work of a level.
func subtract(parent, child [][]slot) [][]slot {
	for c := range parent {
		for b := range parent[c] {
			parent[c][b].g -= child[c][b].g
			parent[c][b].h -= child[c][b].h
		}
	}
	return parent
}

// split finds the split with the largest gain, whose two sides have enough weight; column is -1 if
// there is none.
func (gr *grower) split(histogram [][]slot, total slot) (column, cut int) {
	best, column := 1e-6, -1
	whole := total.g * total.g / (total.h + gr.Lambda)
	for _, c := range gr.columns {
		var l slot
		for b := range gr.data.cuts[c] {
			l.g += histogram[c][b].g
			l.h += histogram[c][b].h
			r := slot{total.g - l.g, total.h - l.h}
			if l.h < gr.MinWeight || r.h < gr.MinWeight {
				continue
			}
			gain := l.g*l.g/(l.h+gr.Lambda) + r.g*r.g/(r.h+gr.Lambda) - whole
			if gain > best {
				best, column, cut = gain, c, b
			}
		}
	}

	return column, cut
}

// partition moves the rows that go left to the front, each side in its old order.
func (gr *grower) partition(rows []int32, bins []uint8, cut uint8) (left, right []int32) {
	n, rest := 0, gr.scratch[:0]
	for _, i := range rows {
		if bins[i] <= cut {
			rows[n] = i
			n++
		} else {
			rest = append(rest, i)
		}
	}
	copy(rows[n:], rest)
	return rows[:n], rows[n:]
}
