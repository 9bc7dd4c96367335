package app

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/rpc"
)

// openRulebook: rules, lists and policies. The box keeps all that are in force in
// memory, and reads what changed every second.
func (s *services) openRulebook(ctx context.Context) error {
	switch p := s.peer("fraud"); {
	case s.cfg.runs("fraud"):
		s.rules = fraud.NewRules(s.stores.sql, time.Now, s.log)
		if err := s.rules.Load(ctx); err != nil {
			return err
		}
		history, _ := s.fraud.Analyst.(fraud.History) // the analytics store is both
		local := fraud.NewLocalRules(fraud.LocalRulesConfig{Store: s.stores.sql, History: history, Source: s.rules, Now: time.Now, Log: s.log})
		s.fraud.Rulebook, s.records.Fraud = local, s.stores.sql
		s.background["rules"] = s.rules.Run
		s.serve(func(r *rpc.Server) { rpc.ServeRulebook(r, local, s.stores.sql) })
	case p != nil:
		far := rpc.NewRulebook(p)
		s.fraud.Rulebook, s.records.Fraud = far, far
	}
	return nil
}
