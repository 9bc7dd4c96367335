package app

import (
	"context"
	"time"
)

// Limits of the time for assessing an attempt. Below the first no service can be reached in time;
// above the second payers wait.
const (
	minFraudBudget = time.Millisecond
	maxFraudBudget = time.Second
)

// checkFraud validates the time for an assessment.
func (c Config) checkFraud(say func(format string, args ...any)) {
	if c.FraudBudget < minFraudBudget || c.FraudBudget > maxFraudBudget {
		say("--fraud-budget %s: want %s to %s", c.FraudBudget, minFraudBudget, maxFraudBudget)
	}
}

// openFraud opens the fraud service, from what it reads to its verdicts. The order matters: the
// assessor uses the parts before it.
func (s *services) openFraud(ctx context.Context) error {
	for _, part := range []func(context.Context) error{s.openAnalytics, s.openRulebook, s.openModels, s.openAssessor, s.openLake} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}
