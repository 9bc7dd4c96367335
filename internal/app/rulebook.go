package app

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/rpc"
)

// openRulebook opens rules, lists and policies. The service keeps all that are in force in memory,
// and reads changes every second. Without them it cannot decide, so an error here stops the start.
// The process that serves a change reads it at once.
func (s *services) openRulebook(ctx context.Context) error {
	switch p := s.peer("fraud"); {
	case s.cfg.runs("fraud"):
		// The rulesets are what decides; the rulebook is what changes them.
		s.rules = fraud.NewRulesets(s.stores.sql, time.Now, s.log)
		if err := s.rules.Load(ctx); err != nil {
			return err
		}

		past, _ := s.fraud.Analyst.(history.Replayer) // the analytics store implements both
		local := rulebook.New(rulebook.Config{Store: s.stores.sql, Reload: s.rules.Load, Now: time.Now, Log: s.log})
		tests := learning.NewLocalBacktester(past, time.Now)
		s.fraud.Rulebook, s.fraud.Backtester, s.records.Fraud = local, tests, s.stores.sql
		s.background["rules"] = s.rules.Run
		s.serve(func(r *rpc.Server) { rpc.ServeRulebook(r, local, tests, s.stores.sql) })
	case p != nil:
		far := rpc.NewRulebook(p)
		s.fraud.Rulebook, s.fraud.Backtester, s.records.Fraud = far, far, far
	}

	return nil
}
