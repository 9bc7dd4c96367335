// Package learning learns from past payments: it trains models, compares and promotes them,
// follows the active ones (Holder), and answers what a rule would have done (Backtester). It
// never uses more about a payment than was known at the time.
package learning

import (
	"context"
	"time"
)

// The states of a model. At most one of the installation is active, and one in shadow.
const (
	Running = "running"
	Shadow  = "shadow" // scores beside the active one, and decides nothing
	Retired = "retired"
	Trained = "trained" // waits for a person's decision
)

// Info is a trained model, without its trees.
type Info struct {
	Version          string
	State            string
	TrainedAt        time.Time
	From, To         time.Time // the payments that it learned from
	Payments, Frauds int
	// From a test on the days after the training's labels were known.
	AUC, AveragePrecision float64
	CardPrecision         float64
	TestedFrom, TestedTo  time.Time
	TestedPayments        int
	PromotedAt            time.Time
}

// Comparison compares a model with the active one on the same payments.
type Comparison struct {
	Running, Candidate Info
	From, To           time.Time
	Payments, Frauds   int
	// Measures of both on those payments.
	RunningAUC, CandidateAUC                           float64
	RunningAveragePrecision, CandidateAveragePrecision float64
	RunningCardPrecision, CandidateCardPrecision       float64
}

// Catalog lists the trained models, newest first.
type Catalog interface {
	Models(context.Context) ([]Info, error)
}

// Models stores trained models. They belong to the installation: they learn from every account's
// labels, and show none of them.
type Models interface {
	Catalog
	// Model returns the file of a version, as package score writes it.
	Model(ctx context.Context, version string) ([]byte, error)
	// AddModel stores a trained model, in state trained.
	AddModel(ctx context.Context, info Info, file []byte) error
	// SetModel moves a model to running, shadow or retired. The previously active model is
	// retired in the same commit, so a roll-back is the promotion of the previous one.
	SetModel(ctx context.Context, version, state string) error
}
