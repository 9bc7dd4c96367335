package score

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Limits of a model.
const (
	// MinFrauds is the least number of frauds in a training.
	MinFrauds     = 50
	maxModelBytes = 64 << 20
	maxReasons    = 4
	modelFormat   = 1
	// logisticShare is the weight of the logistic regression in the probability; the trees have
	// the rest. The regression extrapolates beyond what the trees have seen.
	logisticShare = 0.2
)

// ErrTooFewFrauds is returned by a training with too few frauds.
var ErrTooFewFrauds = fmt.Errorf("fewer than %d known frauds to train on", MinFrauds)

// Model is a trained model and its provenance.
type Model struct {
	Version   string    `json:"version"` // the checksum's beginning: equal models are one version
	TrainedAt time.Time `json:"trainedAt"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Payments  int       `json:"payments"`
	Frauds    int       `json:"frauds"`
	Features  []string  `json:"features"`
	Trees     *Trees    `json:"trees"`
	Logistic  *Logistic `json:"logistic"`
}

// Fit trains a model on rows with known labels from a period. It returns ErrTooFewFrauds if there
// are fewer than MinFrauds. The version is set when the model is written.
func Fit(s Set, r Range, now time.Time) (*Model, error) {
	m := &Model{TrainedAt: now.UTC(), From: r.From.UTC(), To: r.To.UTC(), Payments: len(s.Rows), Features: Names[:]}
	for _, f := range s.Fraud {
		if f {
			m.Frauds++
		}
	}
	if m.Frauds < MinFrauds {
		return nil, ErrTooFewFrauds
	}

	m.Trees = FitTrees(s.Rows, s.Fraud, DefaultTrees())
	m.Logistic = FitLogistic(s.Rows, s.Fraud)
	return m, nil
}

// sigmoid returns the probability of log odds.
func sigmoid(l float64) float64 { return 1 / (1 + math.Exp(-l)) }

// Probability returns the probability of fraud, from 0 to 1.
func (m *Model) Probability(v *Vector) float64 {
	return (1-logisticShare)*sigmoid(m.Trees.Logit(v)) + logisticShare*sigmoid(m.Logistic.Logit(v))
}

// Reason is a feature that raised the score, with its value.
type Reason struct {
	Feature string  `json:"feature"`
	Value   float32 `json:"value"`
	Share   float64 `json:"share"` // of everything that raised it, 0 to 1
}

// Basis is what a score is based on.
type Basis string

// The bases. A score without history reflects how payments of this amount and hour end, and
// nothing about this payer.
const (
	NoModel   Basis = "no_model"
	NoHistory Basis = "no_history"
	Known     Basis = "known"
)

// Assessment is a score with its basis. Without a model Score is 0 and Basis says so.
type Assessment struct {
	Score   int      `json:"score"` // 0 to 100: the probability of fraud in percent
	Basis   Basis    `json:"basis"`
	Model   string   `json:"model,omitempty"` // its version
	Reasons []Reason `json:"reasons,omitempty"`
}

// Score returns the probability of fraud in percent, rounded.
func (m *Model) Score(v *Vector) int { return int(math.Round(100 * m.Probability(v))) }

// Assess scores a vector, and names the features that raised the score most: at most maxReasons,
// each with a share of 5 % or more. With a nil model the assessment is unknown.
func (m *Model) Assess(v *Vector) Assessment {
	if m == nil {
		return Assessment{Basis: NoModel}
	}
	a := Assessment{Score: m.Score(v), Basis: NoHistory, Model: m.Version}

	// An entity that was seen before has an age, whichever it is.
	for e := range entities {
		if v[single+e*entityWidth+len(spans)*perWindow+fAge] != unknown {
			a.Basis = Known
		}
	}

	var shares, linear [Width]float64
	m.Trees.Explain(v, &shares)
	m.Logistic.Explain(v, &linear)
	var raised float64
	for f := range shares {
		shares[f] = (1-logisticShare)*shares[f] + logisticShare*linear[f]
		raised += max(shares[f], 0)
	}

	for f, s := range shares {
		if s > 0 && s/raised >= 0.05 {
			a.Reasons = append(a.Reasons, Reason{Feature: Names[f], Value: v[f], Share: s / raised})
		}
	}

	slices.SortFunc(a.Reasons, func(x, y Reason) int { return cmp.Or(cmp.Compare(y.Share, x.Share), cmp.Compare(x.Feature, y.Feature)) })
	a.Reasons = a.Reasons[:min(maxReasons, len(a.Reasons))]
	return a
}

// file is a stored model. The checksum covers the exact bytes of Model.
type file struct {
	Format   int             `json:"format"`
	Checksum string          `json:"checksum"`
	Model    json.RawMessage `json:"model"`
}

// versionDigits is the length of a version, in hexadecimal digits of the checksum.
const versionDigits = 12

// WriteModel writes the model, compressed, with a checksum, and sets its version. The same model
// has the same version.
func WriteModel(w io.Writer, m *Model) error {
	m.Version = ""
	plain, err := json.Marshal(m)
	if err != nil {
		return err
	}

	sum := sha256.Sum256(plain)
	m.Version = hex.EncodeToString(sum[:])[:versionDigits]
	z := gzip.NewWriter(w)
	if err := json.NewEncoder(z).Encode(file{Format: modelFormat, Checksum: hex.EncodeToString(sum[:]), Model: plain}); err != nil {
		return err
	}
	return z.Close()
}

// ErrDamagedModel is returned for a file that is not what was written.
var ErrDamagedModel = errors.New("the model file is damaged")

// ReadModel reads what WriteModel wrote. It returns ErrDamagedModel for a file that was altered,
// and other errors for a format or features of another version. It reads at most maxModelBytes.
func ReadModel(r io.Reader) (*Model, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamagedModel, err)
	}

	plain, err := io.ReadAll(io.LimitReader(z, maxModelBytes))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamagedModel, err)
	}
	var f file
	if err := json.Unmarshal(plain, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamagedModel, err)
	}
	if f.Format != modelFormat {
		return nil, fmt.Errorf("the model has format %d; this version reads %d: train again", f.Format, modelFormat)
	}

	sum := sha256.Sum256(bytes.TrimSpace(f.Model))
	if hex.EncodeToString(sum[:]) != f.Checksum {
		return nil, ErrDamagedModel
	}
	m := &Model{}
	if err := json.Unmarshal(f.Model, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamagedModel, err)
	}

	if !slices.Equal(m.Features, Names[:]) {
		return nil, errors.New("the model was trained on different features than those of this version: train again")
	}
	if m.Trees == nil || m.Logistic == nil || !m.Trees.sound() {
		return nil, ErrDamagedModel
	}
	m.Version = f.Checksum[:versionDigits]
	return m, nil
}

// sound reports whether walking the trees ends inside them: children come after their parent, and
// features exist.
func (m *Trees) sound() bool {
	for _, t := range m.Trees {
		if len(t.Nodes) == 0 {
			return false
		}
		for i, n := range t.Nodes {
			if n.Left != 0 && (int(n.Left) <= i || int(n.Left)+1 >= len(t.Nodes) || n.Feature < 0 || int(n.Feature) >= Width) {
				return false
			}
		}
	}
	return true
}

// WriteModelFile replaces the model's file atomically: after a crash it is the old or the new
// one.
func WriteModelFile(path string, m *Model) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	err = errors.Join(WriteModel(f, m), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
