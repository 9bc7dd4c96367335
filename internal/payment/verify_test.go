package payment

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// stored returns payments as an older version stored them, by description.
func stored(t *testing.T) map[string]Payment {
	t.Helper()
	raw, err := os.ReadFile("testdata/stored.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]Payment
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestStoredPaymentsVerify: a payment that an older version wrote breaks no rule.
func TestStoredPaymentsVerify(t *testing.T) {
	all := stored(t)
	for name, p := range all {
		if broken := p.Verify(); len(broken) > 0 {
			t.Errorf("%s: %v", name, broken)
		}
		for i, e := range DetailObject(p).Log {
			if e.Reason != p.Log[i].Reason || e.Code+e.By+e.Amount != "" {
				t.Errorf("%s: entry %d is shown as %+v", name, e.Seq, e)
			}
		}
	}
	// What makes them older: a lease that outlived its work, and an authorized amount
	// that was released before the review; and a reason that is a sentence.
	if all["refunded by the sweep"].Work.Owner == "" || all["review after a void"].AuthorizedMinor == 0 ||
		all["declined"].Log[2].Reason != "declined: insufficient_funds" {
		t.Error("the stored payments are not those of the older version")
	}
}

// relog completes a changed log as the machine would have, so that only what was
// changed can be wrong.
func relog(p *Payment) {
	p.Log = slices.Clone(p.Log)
	for i := range p.Log {
		p.Log[i].Seq = int64(i) + 1
		p.Log[i].Hash = chain(p.ID, p.Log[:i], p.Log[i])
	}
}

func last(p *Payment) *Entry { return &p.Log[len(p.Log)-1] }

// TestVerifyNamesWhatDidNotHappen: a payment that left something undone, or did
// something twice, is broken although its log is whole.
func TestVerifyNamesWhatDidNotHappen(t *testing.T) {
	at := time.Date(2030, 1, 3, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, of, want string
		harm           func(*Payment)
	}{
		{"authorization never released", "voided", "I5", func(p *Payment) { last(p).Transfers = nil }},
		{"authorization held for nothing", "declined", "I5", func(p *Payment) {
			last(p).Transfers = []ledger.Transfer{ledger.Authorize("t", p.Account, p.Issuer, p.Amount)}
		}},
		{"authorization not held", "authorized, held", "I5", func(p *Payment) {
			for i := range p.Log {
				p.Log[i].Transfers = nil
			}
		}},
		{"authorization held in part", "authorized, held", "I5", func(p *Payment) { p.AuthorizedMinor--; last(p).Authorized-- }},
		{"hold in another currency", "authorized, held", "I13", func(p *Payment) {
			for i := range p.Log {
				for j := range p.Log[i].Transfers {
					p.Log[i].Transfers[j].Currency = "JPY"
				}
			}
		}},
		{"refund without its hold", "late, refunding", "I5", func(p *Payment) { last(p).Transfers = nil }},
		{"refund decided, hold left", "late, refunding", "I5", func(p *Payment) { p.Refunds[0].Status = RefundFailed }},
		{"refund not counted", "partially_refunded", "I3", func(p *Payment) { p.Refunds[0].Status = RefundFailed }},
		{"hold of no refund", "late, refunding", "I5", func(p *Payment) { p.Refunds = nil }},
		{"refund never due", "late, refunding", "I11", func(p *Payment) { p.Refunds[0].DueAt = time.Time{} }},
		{"captured before it was", "partially_refunded", "I8", func(p *Payment) { p.Log[1].Captured = 1000 }},
		{"use kept", "voided", "I6", func(p *Payment) { p.UseReserved = true }},
		{"use kept by a decline", "declined", "I6", func(p *Payment) { p.UseReserved = true }},
		{"use not reserved", "unknown", "I6", func(p *Payment) { p.UseReserved = false }},
		{"due although decided", "declined", "I11", func(p *Payment) { p.Work.NextAt = at }},
		{"due although captured", "held, captured, marked", "I11", func(p *Payment) { p.Work.NextAt = at }},
		{"never due", "unknown", "I11", func(p *Payment) { p.Work.NextAt = time.Time{} }},
		{"capture never due", "capturing", "I11", func(p *Payment) { p.Work = Work{} }},
		{"leased although decided", "canceled", "I11", func(p *Payment) { p.Work.Owner, p.Work.Until = "w9", at }},
	} {
		p, ok := stored(t)[c.of]
		if !ok {
			t.Fatalf("no stored payment %q", c.of)
		}
		c.harm(&p)
		relog(&p)
		broken := p.Verify()
		if !slices.ContainsFunc(broken, func(s string) bool { return strings.HasPrefix(s, c.want+" ") }) {
			t.Errorf("%s: want %s, got %q", c.name, c.want, broken)
		}
	}
}

// TestMismatchAfterAVoid: an approval of another amount after the payment was abandoned leaves
// nothing authorized.
func TestMismatchAfterAVoid(t *testing.T) {
	p := stored(t)["voided"]
	c, err := Next(p, Input{Kind: Noticed, Change: "c", At: p.UpdatedAt, Link: link.Link{ID: p.Link},
		Answer: issuer.Answer{Outcome: issuer.Approved, Amount: money.Of(1001, "EUR")}})
	if q := c.Payment; err != nil || q.Status != Review || q.AuthorizedMinor != 0 || len(q.Verify()) > 0 {
		t.Fatalf("%s, authorized %d, %v %v", q.Status, q.AuthorizedMinor, q.Verify(), err)
	}
}
