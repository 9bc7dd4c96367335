package main_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// testers try stolen cards on a link until the page of whoever pays it is asked for a
// proof of work. They stop at once then: what goes on without a proof is counted, and
// whoever comes next without one would find the narrow rate used up.
func testers(t testing.TB, key *client, l map[string]any) {
	t.Helper()
	tried := 0
	eventually(t, "the link asks for work", func() bool {
		a := key.as("").do("GET", tokenPath(t, l)+"/challenge?attempt=some-attempt-0001", "")
		bits, ok := a.json["bits"].(float64)
		if !ok || a.status != 200 {
			t.Fatalf("no challenge: %s", a.body)
		}
		if bits > 0 {
			return true
		}
		key.payJSON(l, fmt.Sprintf("tester-attempt-%04d", tried), stolenCard(tried))
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

// solving works out so many puzzles of the page's own link, one after the other, with
// the page's own worker, and gives the mean time.
func (b *browser) solving(rounds int) time.Duration {
	b.t.Helper()
	took := ask[float64](b, fmt.Sprintf(`(async () => {
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

// phone makes the tab one of a phone: its screen, its fingers, and a processor of a
// quarter of ours.
func (b *browser) phone() {
	b.t.Helper()
	b.run(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait, chromedp.EmulateScale(3)))
	if _, err := chromedp.Call(b.ctx, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: 4}); err != nil {
		b.t.Fatal(err)
	}
}

// TestProofOfWorkInTheBrowser: on a link whose cards are tested, a payer's page works
// out a puzzle beside itself and pays as usual, at a desk and on a phone, and no
// longer than is promised. Without JavaScript the bank asks the payer, and when too
// many come without a proof, the page says what to do. Other links ask for nothing.
func TestProofOfWorkInTheBrowser(t *testing.T) {
	p, b := serveWith(t, filepath.Join(t.TempDir(), "data"), freeAddress(t), slowLane...), openBrowser(t)
	_, key := p.merchant(t, payee)
	l, quiet := key.link(`"amount":"12.50","maxUses":null,"description":"A bell"`), key.link(`"amount":"3"`)
	address := str(t, l, "url")
	testers(t, key, l)

	pays := func(b *browser, where string) {
		t.Helper()
		b.open(address)
		mean := b.solving(proofRounds)
		if mean > solvedWithin {
			t.Errorf("%s: a puzzle takes %s", where, mean)
		}
		b.fill("4242424242424242")
		start := time.Now()
		b.click(payButton)
		b.sees("Payment received")
		t.Logf("%s: a puzzle takes %s in the mean; paid %s after the button was pressed", where, mean.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
		b.onlyOwnOrigin(p.url)
		pay := paymentsOf(key, l)[0]
		if risk, _ := pay["risk"].(map[string]any); pay["status"] != "succeeded" || risk["challenge"] == true || risk["action"] != "allow" {
			t.Errorf("%s: %v", where, pay)
		}
	}
	pays(b, "at a desk")
	phone := b.tab()
	phone.phone()
	pays(phone, "on a phone")

	if a := key.as("").do("GET", tokenPath(t, quiet)+"/challenge?attempt=some-attempt-0001", ""); a.json["bits"] != 0.0 {
		t.Errorf("another link of the merchant asks for work: %s", a.body)
	}
	b.open(str(t, quiet, "url"))
	b.pay("4242424242424242")
	b.sees("Payment received")
	onePayment(key, quiet, "succeeded")

	b.scripts(false)
	b.open(address)
	b.pay("4242424242424242")
	b.sees("Your bank wants to confirm it is you")
	unproved(t, key, l)
	b.open(address)
	b.pay("4242424242424242")
	b.sees("Too many attempts on this link")
	b.text("Nothing was charged.")
	if back := ask[string](b, `document.querySelector("main a.button").href`); back != address {
		t.Errorf("the way back leads to %s", back)
	}
}

// slowLane keeps the narrow rate used up for long enough to look at the page that says
// so: one a minute, where by default there would be another within ten seconds.
var slowLane = []string{"--shield", "unproved=1"}

// unproved attempts use up the narrow rate of those who come without a proof.
func unproved(t testing.TB, key *client, l map[string]any) {
	t.Helper()
	for i := range 12 {
		if a := key.payJSON(l, fmt.Sprintf("unproved-attempt-%04d", i), "4242424242424242"); a.status == http.StatusTooManyRequests {
			return
		}
	}
	t.Fatal("payers without a proof are as many as they like")
}
