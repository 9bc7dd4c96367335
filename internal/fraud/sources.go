package fraud

import "github.com/paylink/paylink/internal/fraud/score"

// ModelSource gives what scores, from memory; nil is no model.
type ModelSource interface {
	Running() *score.Model
	Shadow() *score.Model
}
