// Package learning is what the payments of the past teach: it trains models, compares
// and promotes them, follows the ones in force (Holder), and answers what a rule would
// have done (Backtester). Nothing here sees more of a payment than was known at the time.
package learning

import (
	"context"
	"time"
)

// The states of a model. One of the installation is running at most, one in shadow.
const (
	Running = "running"
	Shadow  = "shadow" // scores beside the running one, and decides nothing
	Retired = "retired"
	Trained = "trained" // waits for somebody to look at it
)

// Info is a trained model, without its trees.
type Info struct {
	Version          string
	State            string
	TrainedAt        time.Time
	From, To         time.Time // the payments that it learned from
	Payments, Frauds int
	// By a test on the days after the training's labels were known.
	AUC, AveragePrecision float64
	CardPrecision         float64
	TestedFrom, TestedTo  time.Time
	TestedPayments        int
	PromotedAt            time.Time
}

// Comparison sets one model beside the running one on the same payments.
type Comparison struct {
	Running, Candidate Info
	From, To           time.Time
	Payments, Frauds   int
	// Measures of both on those payments.
	RunningAUC, CandidateAUC                           float64
	RunningAveragePrecision, CandidateAveragePrecision float64
	RunningCardPrecision, CandidateCardPrecision       float64
}

// Models keeps what was trained. Models are the installation's: they learn from every
// account's labels, and show none of them.
type Models interface {
	Models(context.Context) ([]Info, error)
	// Model is the file of a version, as package score writes it.
	Model(ctx context.Context, version string) ([]byte, error)
	// AddModel keeps a model that was trained; state trained.
	AddModel(ctx context.Context, info Info, file []byte) error
	// SetModel moves a model to running, shadow or retired. What was running before is
	// retired in the same commit, so a roll-back is the promotion of the one before.
	SetModel(ctx context.Context, version, state string) error
}
