package score_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/score"
)

const week = 7 * 24 * time.Hour

func protocol(s sample) score.Protocol {
	day := func(n int) time.Time { return s.start().AddDate(0, 0, n) }
	return score.Protocol{Train: score.Range{From: day(30), To: day(44)}, Test: score.Range{From: day(51), To: day(58)}, Delay: week}
}

// TestLearnsWhatIsThere trains and tests on generated payments with frauds that can be found:
// most of them must be found, by the trees better than by the regression, and by both far better
// than by chance.
func TestLearnsWhatIsThere(t *testing.T) {
	s := sample{cards: 600, payees: 60, days: 58, seed: 1}
	t.Logf("seed %d", s.seed)
	p := protocol(s)
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	train, test, err := score.Prepare(each(s.payments()), p)
	if err != nil {
		t.Fatal(err)
	}
	m, err := score.Fit(train, p.Train, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]score.Figures{}
	for _, f := range score.Evaluate(m, test) {
		t.Logf("%+v", f)
		figures[f.Model] = f
	}
	if f := figures["both, as used"]; f.AUCROC < 0.85 || f.AveragePrecision < 0.75 {
		t.Errorf("too little was learned: %+v", f)
	}
	if f := figures["perfect scores"]; f.AUCROC != 1 || f.AveragePrecision != 1 {
		t.Errorf("the truth itself does not score perfectly: %+v", f)
	}
	var best score.Assessment
	for i := range test.Rows {
		if a := m.Assess(&test.Rows[i]); a.Score > best.Score {
			best = a
		}
	}
	if best.Score < 80 || best.Basis != score.Known || len(best.Reasons) == 0 || best.Reasons[0].Share <= 0 {
		t.Errorf("the surest fraud has no convincing assessment: %+v", best)
	}
	again, err := score.Fit(train, p.Train, m.TrainedAt)
	if err != nil {
		t.Fatal(err)
	}
	var one, two bytes.Buffer
	if err := errors.Join(score.WriteModel(&one, m), score.WriteModel(&two, again)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the same payments gave two models")
	}
	read, err := score.ReadModel(bytes.NewReader(one.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range test.Rows[:100] {
		if m.Probability(&test.Rows[i]) != read.Probability(&test.Rows[i]) {
			t.Fatal("the model scores otherwise when read back")
		}
	}
	damaged := 0
	for at := 0; at < one.Len(); at += one.Len()/50 + 1 {
		flipped := bytes.Clone(one.Bytes())
		flipped[at] ^= 1
		if _, err := score.ReadModel(bytes.NewReader(flipped)); err != nil {
			damaged++
		} else if at > 9 { // the header's time and system are not read
			t.Errorf("byte %d was flipped and nobody noticed", at)
		}
	}
	if damaged == 0 {
		t.Error("no damage was tried")
	}
}

// TestTrainingSeesNoTest checks that what happens after the training's end does not change the
// model, and that a protocol whose test begins too early is refused.
func TestTrainingSeesNoTest(t *testing.T) {
	s := sample{cards: 300, payees: 30, days: 58, seed: 2}
	p, all := protocol(s), s.payments()
	honest, _, err := score.Prepare(each(all), p)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if !all[i].At.Before(p.Train.To) {
			all[i].Fraud = !all[i].Fraud
			all[i].Minor *= 3
		}
	}
	turned, _, err := score.Prepare(each(all), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(honest.Rows) == 0 || len(honest.Rows) != len(turned.Rows) {
		t.Fatalf("%d and %d rows", len(honest.Rows), len(turned.Rows))
	}
	for i := range honest.Rows {
		if honest.Rows[i] != turned.Rows[i] || honest.Fraud[i] != turned.Fraud[i] {
			t.Fatalf("row %d of the training knows what came later", i)
		}
	}
	p.Test.From = p.Test.From.Add(-time.Hour)
	if p.Check() == nil {
		t.Error("a test that begins before the training's labels are known was taken")
	}
}

func TestColdStart(t *testing.T) {
	var v score.Vector
	h := score.NewHistory(10)
	h.Features(&score.Attempt{At: time.Unix(1_800_000_000, 0), Card: "c", Minor: 1000}, &v)
	var none *score.Model
	if a := none.Assess(&v); a.Basis != score.NoModel || a.Score != 0 || a.Model != "" {
		t.Errorf("without a model: %+v", a)
	}
	if _, err := score.Fit(score.Set{Rows: make([]score.Vector, 1000), Fraud: make([]bool, 1000)}, score.Range{}, time.Now()); !errors.Is(
		err,
		score.ErrTooFewFrauds,
	) {
		t.Errorf("learning from no fraud: %v", err)
	}
	s := sample{cards: 300, payees: 30, days: 58, seed: 3}
	train, _, err := score.Prepare(each(s.payments()), protocol(s))
	if err != nil {
		t.Fatal(err)
	}
	m, err := score.Fit(train, protocol(s).Train, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if a := m.Assess(&v); a.Basis != score.NoHistory {
		t.Errorf("a stranger's score claims to stand on %q", a.Basis)
	}
}

// TestLogisticFindsTheWeights checks that training on outcomes drawn by known odds returns these
// odds.
func TestLogisticFindsTheWeights(t *testing.T) {
	const bias, weight = -1.0, 2.0
	random := rand.New(rand.NewPCG(7, 7))
	rows, truth := make([]score.Vector, 40_000), make([]bool, 40_000)
	for i := range rows {
		x := float32(random.Float64() * 4)
		rows[i][0] = x
		truth[i] = random.Float64() < 1/(1+math.Exp(-(bias+weight*math.Log1p(float64(x)))))
	}
	m := score.FitLogistic(rows, truth)
	for _, x := range []float32{0, 1, 3} {
		v := score.Vector{x}
		if got, want := m.Logit(&v), bias+weight*math.Log1p(float64(x)); math.Abs(got-want) > 0.1 {
			t.Errorf("logit at %v is %.3f, want %.3f", x, got, want)
		}
	}
}

// TestTreesFindTheSteps checks that a step and an "exclusive or", which no linear model
// separates, are found, and that the explanation adds up to the logit.
func TestTreesFindTheSteps(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	rows, truth := make([]score.Vector, 20_000), make([]bool, 20_000)
	for i := range rows {
		a, b := random.Float32(), random.Float32()
		rows[i][0], rows[i][1], rows[i][2] = a, b, random.Float32()
		truth[i] = (a > 0.5) != (b > 0.5)
	}
	c := score.DefaultTrees()
	c.ColumnShare = 1
	m := score.FitTrees(rows, truth, c)
	wrong := 0
	for i := range rows {
		if (m.Logit(&rows[i]) > 0) != truth[i] {
			wrong++
		}
	}
	if wrong > len(rows)/50 {
		t.Errorf("%d of %d are wrong", wrong, len(rows))
	}
	var shares [score.Width]float64
	m.Explain(&rows[0], &shares)
	sum := m.Base
	for _, s := range shares {
		sum += s
	}
	for _, tree := range m.Trees {
		sum += float64(tree.Nodes[0].Value)
	}
	if math.Abs(sum-m.Logit(&rows[0])) > 1e-3 || math.Abs(shares[2]) > math.Abs(shares[0]) {
		t.Errorf("the explanation adds up to %v, the logit is %v; shares %v", sum, m.Logit(&rows[0]), shares[:3])
	}
}

// BenchmarkAssess measures one payment: features, score, reasons, count.
func BenchmarkAssess(b *testing.B) {
	s := sample{cards: 600, payees: 60, days: 58, seed: 1}
	all := s.payments()
	train, _, err := score.Prepare(each(all), protocol(s))
	if err != nil {
		b.Fatal(err)
	}
	m, err := score.Fit(train, protocol(s).Train, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	h := score.NewHistory(score.DefaultEntities)
	for i := range all {
		h.Observe(&all[i].Attempt, all[i].Outcome)
	}
	var v score.Vector
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		a := all[len(all)-1-i%1000].Attempt
		i++
		h.Features(&a, &v)
		_ = m.Assess(&v)
		h.Observe(&a, score.Authorised)
	}
}
