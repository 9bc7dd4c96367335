package app

import (
	"context"
	"time"
)

// Bounds of how long a look at an attempt may take: below them no box is reached in
// time, above them payers wait.
const (
	minFraudBudget = time.Millisecond
	maxFraudBudget = time.Second
)

func (c Config) checkFraud(say func(format string, args ...any)) {
	if c.FraudBudget < minFraudBudget || c.FraudBudget > maxFraudBudget {
		say("--fraud-budget %s: want %s to %s", c.FraudBudget, minFraudBudget, maxFraudBudget)
	}
}

// openFraud: the box that looks at attempts, from what it reads to what it says.
func (s *services) openFraud(ctx context.Context) error {
	for _, part := range []func(context.Context) error{s.openAnalytics, s.openRulebook, s.openModels, s.openAssessor, s.openLake} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}
