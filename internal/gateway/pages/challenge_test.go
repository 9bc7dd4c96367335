package pages

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

func TestChallengeTellsWhatToWorkOut(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	w.link("over", func(l *link.Link) { l.ExpiresAt = noon.Add(-time.Minute) })
	var asked []string
	var broken error
	w.pages.asks = func(_ context.Context, l link.Link, attempt, address string) (fraud.Puzzle, error) {
		asked = append(asked, l.ID+" "+attempt+" "+address)
		return fraud.Puzzle{Seed: "seed", Bits: 16}, broken
	}
	for _, c := range []struct {
		name, path string
		broken     error
		status     int
		want       string
	}{
		{"a link under attack", "/l/open/challenge?attempt=" + attempt, nil, 200, `{"seed":"seed","bits":16}`},
		{"one that can't be paid", "/l/over/challenge?attempt=" + attempt, nil, 200, `{"bits":0}`},
		{"nobody to ask", "/l/open/challenge?attempt=" + attempt, errors.New("away"), 200, `{"bits":0}`},
		{"no attempt", "/l/open/challenge", nil, 400, "attempt_invalid"},
		{"not ours", "/l/none/challenge?attempt=" + attempt, nil, 404, "link_unknown"},
	} {
		broken = c.broken
		a := w.get(c.path)
		if a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
	}
	if len(asked) != 2 || asked[0] != "lnk_open "+attempt+" 192.0.2.0/24" {
		t.Errorf("asked %q", asked)
	}
	if w.changes != 0 {
		t.Error("a GET changed something")
	}
}

// TestAProofRidesWithThePayment: the form's and the JSON's.
func TestAProofRidesWithThePayment(t *testing.T) {
	w := newWorld(t)
	w.link("form", nil)
	w.link("json", nil)
	form := goodForm()
	form.Set("proof", "seed.7")
	if a := w.postForm("form", form, nil); a.status != 303 || w.last.Proof != "seed.7" {
		t.Errorf("%d, proof %q", a.status, w.last.Proof)
	}
	if a := w.postJSON("json", with(`"payer"`, `"proof":"seed.8","payer"`)); a.status != 200 || w.last.Proof != "seed.8" {
		t.Errorf("%d, proof %q", a.status, w.last.Proof)
	}
}

// TestRefusedAttemptsReadNeutral: what the shield refuses says nothing of the card,
// in every language, and shows the way back.
func TestRefusedAttemptsReadNeutral(t *testing.T) {
	w := newWorld(t)
	l := w.link("open", nil)
	w.decide = func(payment.Submit) (payment.Payment, error) {
		return payment.Payment{}, &fault.Error{
			Kind:       fault.KindRateLimited,
			Code:       attemptsExceeded,
			Detail:     "Too many attempts.",
			RetryAfter: 7 * time.Second,
		}
	}
	for _, lang := range i18n.Languages() {
		a := w.do(
			"POST",
			"/l/open/payments?lang="+lang.Tag,
			goodForm().Encode(),
			map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
		)
		if a.status != 429 || a.header.Get("Retry-After") != "7" || !strings.Contains(a.body, `href="/l/open"`) ||
			!strings.Contains(a.body, i18n.For(lang.Tag).T("pay.attempts")) {
			t.Errorf("%s: %d %s", lang.Tag, a.status, a.body)
		}
	}
	if a := w.postJSON("open", goodJSON); a.status != 429 || !strings.Contains(a.body, attemptsExceeded) {
		t.Errorf("%d %s", a.status, a.body)
	}
	// A decline on a link under attack sounds like every other.
	for _, code := range []string{issuer.CodeInsufficientFunds, issuer.CodeIncorrectCVC, issuer.CodeExpired} {
		w.pay(l, attempt, payment.Declined, func(p *payment.Payment) { p.DeclineCode, p.Risk.Why = code, whyShield })
		a := w.do("GET", "/l/open/status?attempt="+attempt, "", map[string]string{"Accept": "application/json"})
		if strings.Contains(a.body, code) || !strings.Contains(a.body, issuer.CodeDeclined) {
			t.Errorf("%s is told: %s", code, a.body)
		}
	}
}
