package app

import "context"

// openFraud: the box that looks at attempts, from what it reads to what it says.
func (s *services) openFraud(ctx context.Context) error {
	for _, part := range []func(context.Context) error{s.openAnalytics, s.openRulebook, s.openModels, s.openAssessor, s.openLake} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}
