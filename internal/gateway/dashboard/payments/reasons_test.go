package payments

import (
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// TestReasonsHaveWords: every reason has words in every language, with the amount that belongs
// to it.
func TestReasonsHaveWords(t *testing.T) {
	english, sum := i18n.For("en"), money.Of(1250, "EUR")
	all := payment.Reasons()
	for _, r := range all {
		key, ok := reasonKeys[r]
		if !ok {
			t.Errorf("%s has no message", r)
			continue
		}
		for _, l := range i18n.Languages() {
			words := i18n.For(l.Tag).T(key, "Amount", sum)
			if words == key || strings.Contains(words, "{{") || (l.Tag != "en" && words == english.T(key, "Amount", sum)) {
				t.Errorf("%s: %s is %q", l.Tag, r, words)
			}
		}
	}
	if len(reasonKeys) != len(all) {
		t.Errorf("%d reasons have messages, and there are %d", len(reasonKeys), len(all))
	}
}
