package app

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/fraud/shield"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/rpc"
)

// openAssessor opens the decision path for payment attempts. It needs everything else that the
// service holds: the shield, the models, the rules and the history, so openFraud calls it after
// them. With --fraud-off there is no assessor, and attempts are not assessed.
func (s *services) openAssessor(context.Context) error {
	if s.cfg.FraudOff {
		return nil
	}
	switch p := s.peer("fraud"); {
	case s.cfg.runs("fraud"):
		guard, err := s.openShield()
		if err != nil {
			return err
		}

		// What is missing is left out of the assessment, and is not an error.
		config := fraud.LocalConfig{Feed: s.stores.sql, Models: s.models, Shield: guard,
			Puzzle: s.ring.Authenticator(keyring.PuzzleMAC), Now: time.Now, Log: s.log, Observe: s.assessments()}
		if a := s.analytics; a != nil {
			config.History, config.Behind, config.Refused = a, a.Lag, a.CountShield
		}
		// The policy's answer for an attempt that is not assessed in time goes with each verdict.
		if s.rules != nil {
			config.Decide = func(a *fraud.Attempt, v *score.Vector, scored *score.Assessment) (payment.Risk, bool) {
				set := s.rules.Ruleset(a.Account, a.Mode)
				return set.Decide(a, v, scored), set.Policy().FailOpen
			}
		}

		local := fraud.NewLocal(config)
		s.fraud.Assessor, s.background["fraud"] = local, local.Run
		// How current the counts are that the rules and the score use.
		s.metrics.Gauge(
			"paylink_fraud_lag_seconds",
			"Age of the last event when the service counted it; 0 at the feed's end.",
			nil,
			func() float64 { return local.Lag().Seconds() },
		)
		s.metrics.Gauge("paylink_fraud_warm", "Whether the month before the start has been counted.", nil, func() float64 {
			if local.Warm() {
				return 1
			}
			return 0
		})

		s.serve(func(r *rpc.Server) { rpc.ServeAssessor(r, local) })
	case p != nil:
		s.fraud.Assessor = rpc.NewAssessor(p)
	}

	return nil
}

// openShield creates the shield against card testing, with the links that it guards in memory. A
// change of a link's guard is logged as a warning.
func (s *services) openShield() (*shield.Shield, error) {
	policy, err := shield.Parse(s.cfg.Shield)
	if err != nil {
		return nil, err
	}
	guard := shield.New(shield.Config{Policy: policy, Changed: func(c shield.Change) {
		s.log.Warn(
			"a link's protection level changed",
			"link",
			c.Link,
			"account",
			c.Account,
			"from",
			c.From.String(),
			"to",
			c.To.String(),
			"why",
			c.Why,
		)
	}})

	for _, at := range []shield.Level{shield.Proof, shield.Guard} {
		s.metrics.Gauge(
			"paylink_shield_links",
			"Links that the shield protects, by level.",
			map[string]string{"level": at.String()},
			func() float64 {
				proof, guarded := guard.Levels(time.Now())
				if at == shield.Proof {
					return float64(proof)
				}
				return float64(guarded)
			},
		)
	}

	return guard, nil
}

// assessments returns what exports metrics of the verdicts, in a process that makes them. A refused
// attempt counts as an action of its own.
func (s *services) assessments() func(fraud.Verdict, bool, time.Duration) {
	s.metrics.Assessments()
	return func(v fraud.Verdict, refused bool, took time.Duration) {
		action, why := string(v.Risk.Action), v.Risk.Why
		switch {
		// The shield refused the attempt before any rule was evaluated.
		case refused:
			action, why = "refuse", "shield"
		case v.Risk.Challenge && action == "allow":
			action = "request_3ds"
		}
		s.metrics.Assessed(action, why, took)
	}
}
