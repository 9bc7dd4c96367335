package app

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/rpc"
)

// openAssessor: the path: what to do with an attempt.
func (s *services) openAssessor(context.Context) error {
	switch p := s.peer("fraud"); {
	case s.cfg.runs("fraud"):
		local := fraud.NewLocal(fraud.LocalConfig{Feed: s.stores.sql, Models: s.models, Now: time.Now, Log: s.log, Observe: s.assessments()})
		s.fraud.Assessor, s.background["fraud"] = local, local.Run
		s.metrics.Gauge("paylink_fraud_lag_seconds", "Age of the last event when the box counted it; 0 at the feed's end.", nil, func() float64 { return local.Lag().Seconds() })
		s.serve(func(r *rpc.Server) { rpc.ServeAssessor(r, local) })
	case p != nil:
		s.fraud.Assessor = rpc.NewAssessor(p)
	}
	return nil
}

// assessments shows what the box says; for a process that runs it.
func (s *services) assessments() func(fraud.Verdict, time.Duration) {
	s.metrics.Assessments()
	return func(v fraud.Verdict, took time.Duration) {
		action := string(v.Risk.Action)
		if v.Risk.Challenge && action == "allow" {
			action = "request_3ds"
		}
		s.metrics.Assessed(action, v.Risk.Why, took)
	}
}
