package score

import "math"

// Logistic is a logistic regression over the squeezed and standardized features.
type Logistic struct {
	Mean   [Width]float64 `json:"mean"`
	Scale  [Width]float64 `json:"scale"` // 0: the feature does not vary, and has no weight
	Weight [Width]float64 `json:"weight"`
	Bias   float64        `json:"bias"`
}

// squeeze compresses amounts and counts, whose tails would dominate otherwise.
func squeeze(x float32) float64 {
	if x < 0 {
		return -math.Log1p(-float64(x))
	}
	return math.Log1p(float64(x))
}

// Parameters of the training.
const (
	logisticRounds  = 25
	logisticPenalty = 1.0
)

// FitLogistic trains by coordinate-wise Newton steps with an L2 penalty. The loss is convex, so
// every step descends. Features that do not vary are left out. The same input gives the same model.
func FitLogistic(rows []Vector, fraud []bool) *Logistic {
	m := &Logistic{}
	var columns [][]float64
	var features []int
	for f := range Width {
		column := make([]float64, len(rows))
		var sum, squares float64
		for i := range rows {
			x := squeeze(rows[i][f])
			column[i] = x
			sum += x
			squares += x * x
		}
		n := float64(len(rows))
		m.Mean[f] = sum / n
		variance := squares/n - m.Mean[f]*m.Mean[f]
		if variance < 1e-9 {
			continue
		}
		m.Scale[f] = 1 / math.Sqrt(variance)
		for i := range column {
			column[i] = (column[i] - m.Mean[f]) * m.Scale[f]
		}
		columns, features = append(columns, column), append(features, f)
	}

	logits, positive := make([]float64, len(rows)), 0.0
	for _, f := range fraud {
		if f {
			positive++
		}
	}

	m.Bias = math.Log((positive + 1) / (float64(len(rows)) - positive + 1))
	for i := range logits {
		logits[i] = m.Bias
	}

	for range logisticRounds {
		m.Bias += step(logits, nil, fraud, 0)
		for c, f := range features {
			m.Weight[f] += step(logits, columns[c], fraud, m.Weight[f])
		}
	}

	return m
}

// step makes one damped Newton step on one weight, whose column may be nil for ones, and updates
// the logits.
func step(logits, column []float64, fraud []bool, weight float64) float64 {
	g, h := 0.0, 0.0
	if column != nil {
		g, h = logisticPenalty*weight, logisticPenalty
	}
	for i, l := range logits {
		x := 1.0
		if column != nil {
			x = column[i]
		}

		p := 1 / (1 + math.Exp(-l))
		d := p
		if fraud[i] {
			d--
		}
		g += d * x
		h += max(p*(1-p), 1e-4) * x * x
	}

	by := max(min(-g/h, 1), -1)
	for i := range logits {
		if column == nil {
			logits[i] += by
		} else {
			logits[i] += by * column[i]
		}
	}

	return by
}

// Logit returns the logit of one vector: the log odds of fraud.
func (m *Logistic) Logit(v *Vector) float64 {
	sum := m.Bias
	for f := range v {
		if m.Weight[f] != 0 {
			sum += m.Weight[f] * (squeeze(v[f]) - m.Mean[f]) * m.Scale[f]
		}
	}
	return sum
}

// Explain adds to each feature its contribution to the logit.
func (m *Logistic) Explain(v *Vector, shares *[Width]float64) {
	for f := range v {
		if m.Weight[f] != 0 {
			shares[f] += m.Weight[f] * (squeeze(v[f]) - m.Mean[f]) * m.Scale[f]
		}
	}
}
