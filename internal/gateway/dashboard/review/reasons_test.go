package review_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/gateway/dashboard/review"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/payment"
)

var featureName = regexp.MustCompile(`^[a-z_]+(\.[a-z0-9_]+)+$`)

// TestEveryFeatureHasWords: every reason of a score has a text in every language,
// whatever its value.
func TestEveryFeatureHasWords(t *testing.T) {
	for _, l := range i18n.Languages() {
		p := i18n.For(l.Tag)
		for _, name := range score.Names {
			for _, value := range []float64{-1, 0, 0.4, 1, 2, 14, 1e9} {
				words := review.ReasonText(p, payment.RiskReason{Feature: name, Value: value}, "EUR")
				if words == name || words == "" || strings.Contains(words, "review.") || strings.Contains(words, "{{") ||
					featureName.MatchString(words) {
					t.Errorf("%s: %s of %v is %q", l.Tag, name, value, words)
				}
			}
		}
	}
	for name, want := range map[string]string{"card.attempted.1h": "This card: 14 attempts in the last hour",
		"email.mean.30d":   "This email: €0.14 on average in the last 30 days",
		"bin.amount_ratio": "Cards of this kind (first six digits): the amount is 1,400% of the usual one", "new.thing": "new.thing"} {
		if got := review.ReasonText(i18n.For("en"), payment.RiskReason{Feature: name, Value: 14}, "EUR"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
