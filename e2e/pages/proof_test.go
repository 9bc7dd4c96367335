package pages

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// testers try stolen cards on a link until its page requires a proof of work. They stop at once
// then: further attempts without a proof are counted, and the next payer without one would find
// the rate limit used up.
func testers(t testing.TB, key *harness.Client, l map[string]any) {
	t.Helper()
	tried := 0
	await.Until(t, "the link asks for work", func() bool {
		a := key.As("").Do("GET", harness.TokenPath(t, l)+"/challenge?attempt=some-attempt-0001", "")
		bits, ok := a.JSON["bits"].(float64)
		if !ok || a.Status != 200 {
			t.Fatalf("no challenge: %s", a.Body)
		}
		if bits > 0 {
			return true
		}
		key.PayJSON(l, fmt.Sprintf("tester-attempt-%04d", tried), harness.StolenCard(tried))
		tried++
		return false
	})
	if tried == 0 {
		t.Fatal("a quiet link asks for work")
	}
}

// solvedWithin is how long a payer waits for the proof, as docs/operate/shield.md says
// of a phone. What a payer's own machine has to work out is a matter of chance, so it
// is the mean of proofRounds that is held to it.
const (
	solvedWithin = time.Second
	proofRounds  = 16
)

// solving solves that many puzzles of the page's own link, one after the other, with the page's
// own worker, and returns the mean time.
func solving(b *harness.Browser, rounds int) time.Duration {
	b.T.Helper()
	took := harness.Ask[float64](b, fmt.Sprintf(`(async () => {
  const told = document.getElementById("proof"), form = document.getElementById("pay");
  let took = 0;
  for (let i = 0; i < %d; i++) {
    const puzzle = await (await fetch(form.action.replace(/payments$/, "challenge?attempt=") + "measured-attempt-" + i)).json();
    if (!puzzle.bits) throw new Error("no puzzle");
    const start = performance.now();
    const proof = await new Promise((done, fail) => {
      const worker = new Worker(told.dataset.solve);
      worker.onerror = fail;
      worker.onmessage = ({ data }) => { if (data.proof) { worker.terminate(); done(data.proof); } };
      worker.postMessage(puzzle);
    });
    took += performance.now() - start;
    if (!proof.startsWith(puzzle.seed + ".")) throw new Error(proof);
  }
  return took / %d;
})()`, rounds, rounds))
	return time.Duration(took * float64(time.Millisecond))
}

// asPhone makes the tab emulate a phone: its screen, touch, and a processor four times slower
// than ours.
func asPhone(b *harness.Browser) {
	b.T.Helper()
	b.Run(
		chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait, chromedp.EmulateScale(3)),
	)
	if _, err := chromedp.Call(b.Ctx, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: 4}); err != nil {
		b.T.Fatal(err)
	}
}

// TestProofOfWorkIsQuick checks that a payer's page waits for a puzzle no longer than promised,
// on a desktop and on a phone.
func TestProofOfWorkIsQuick(t *testing.T) {
	p, b := harness.Start(t), harness.OpenBrowser(t)
	_, key := p.Merchant(t, harness.Payee)
	l := key.Link(`"amount":"12.50","maxUses":null`)
	testers(t, key, l)
	phone := b.Tab()
	asPhone(phone)
	for where, b := range map[string]*harness.Browser{"at a desk": b, "on a phone": phone} {
		b.Open(harness.Str(t, l, "url"))
		mean := solving(b, proofRounds)
		t.Logf("%s: a puzzle takes %s in the mean", where, mean.Round(time.Millisecond))
		if mean > solvedWithin {
			t.Errorf("%s: a puzzle takes %s", where, mean)
		}
	}
}

// TestProofOfWorkInTheBrowser checks that, on a link under a card-testing attack, a payer's page
// solves a puzzle in the background and pays as usual, on a desktop and on a phone. Without
// JavaScript the bank challenges the payer, and if too many come without a proof, the page says
// what to do. Other links require nothing.
func TestProofOfWorkInTheBrowser(t *testing.T) {
	p, b := harness.Start(t, slowLane...), harness.OpenBrowser(t)
	_, key := p.Merchant(t, harness.Payee)
	l, quiet := key.Link(`"amount":"12.50","maxUses":null,"description":"A bell"`), key.Link(`"amount":"3"`)
	address := harness.Str(t, l, "url")
	testers(t, key, l)

	pays := func(b *harness.Browser, where string) {
		t.Helper()
		b.Open(address)
		b.Pay("4242424242424242")
		b.Sees("Payment received")
		b.OnlyOwnOrigin(p.URL)
		pay := harness.PaymentsOf(key, l)[0]
		if risk, _ := pay["risk"].(map[string]any); pay["status"] != "succeeded" || risk["challenge"] == true || risk["action"] != "allow" {
			t.Errorf("%s: %v", where, pay)
		}
	}
	pays(b, "at a desk")
	phone := b.Tab()
	asPhone(phone)
	pays(phone, "on a phone")

	if a := key.As("").Do("GET", harness.TokenPath(t, quiet)+"/challenge?attempt=some-attempt-0001", ""); a.JSON["bits"] != 0.0 {
		t.Errorf("another link of the merchant asks for work: %s", a.Body)
	}
	b.Open(harness.Str(t, quiet, "url"))
	b.Pay("4242424242424242")
	b.Sees("Payment received")
	harness.OnePayment(key, quiet, "succeeded")

	b.Scripts(false)
	b.Open(address)
	b.Pay("4242424242424242")
	b.Sees("Your bank wants to confirm it is you")
	unproved(t, key, l)
	b.Open(address)
	b.Pay("4242424242424242")
	b.Sees("Too many attempts on this link")
	b.Text("Nothing was charged.")
	if back := harness.Ask[string](b, `document.querySelector("main a.button").href`); back != address {
		t.Errorf("the way back leads to %s", back)
	}
}

// slowLane keeps the rate limit used up long enough to read the page that says so: one a minute,
// where the default allows another within ten seconds.
var slowLane = []string{"--shield", "unproved=1"}

// unproved attempts use up the rate limit of those without a proof.
func unproved(t testing.TB, key *harness.Client, l map[string]any) {
	t.Helper()
	for i := range 12 {
		if a := key.PayJSON(l, fmt.Sprintf("unproved-attempt-%04d", i), "4242424242424242"); a.Status == http.StatusTooManyRequests {
			return
		}
	}
	t.Fatal("payers without a proof are as many as they like")
}
