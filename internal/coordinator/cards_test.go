package coordinator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/storetest"
)

// TestEveryCard checks, for every card of the simulator, the answer to the submit, the final
// status, and the status of the link.
func TestEveryCard(t *testing.T) { onEach(t, testEveryCard) }

func testEveryCard(t *testing.T, e engine) {
	for _, c := range []struct {
		number     string
		at, end    payment.Status
		code, link string
	}{
		{good, payment.Succeeded, payment.Succeeded, "", link.Paid},
		{"5555555555554444", payment.Succeeded, payment.Succeeded, "", link.Paid},
		{"4000000000000002", payment.Declined, payment.Declined, issuer.CodeDeclined, link.Open},
		{"4000000000009995", payment.Declined, payment.Declined, issuer.CodeInsufficientFunds, link.Open},
		{"4000000000009987", payment.Declined, payment.Declined, issuer.CodeLost, link.Open},
		{"4000000000009979", payment.Declined, payment.Declined, issuer.CodeStolen, link.Open},
		{"4000000000000069", payment.Declined, payment.Declined, issuer.CodeExpired, link.Open},
		{"4000000000000127", payment.Declined, payment.Declined, issuer.CodeIncorrectCVC, link.Open},
		{"4000000000000119", payment.Declined, payment.Declined, issuer.CodeProcessing, link.Open},
		{challenged, payment.RequiresAction, payment.Canceled, "", link.Open},
		{lostAnswer, payment.Unknown, payment.Succeeded, "", link.Paid},
		{neverArrives, payment.Unknown, payment.Canceled, "", link.Open},
		{lateCard, payment.Unknown, payment.Succeeded, "", link.Paid},
		{twiceCard, payment.Succeeded, payment.Succeeded, "", link.Paid},
		{otherAmount, payment.Review, payment.Review, "", link.Paying},
		{downCard, payment.Unknown, payment.Succeeded, "", link.Paid},
	} {
		t.Run(c.number[len(c.number)-4:], func(t *testing.T) {
			w := newWorld(t, e)
			l := w.link(lives(48 * 3600))
			if p := w.submit(l, c.number); p.Status != c.at || p.DeclineCode != c.code || p.CardLast4 != c.number[12:] {
				t.Fatalf("%s %q %s, want %s %q", p.Status, p.DeclineCode, p.CardLast4, c.at, c.code)
			}
			p := payment.Payment{Account: w.account, ID: payment.IDFor(l.ID, attempt(1))}
			for range 12 {
				w.later(10 * time.Hour)
			}
			if c.end == payment.Succeeded || c.end == payment.Review {
				w.want(p, c.end)
				if s := w.linkStatus(l); s != c.link {
					t.Fatalf("the link is %s, want %s", s, c.link)
				}
				return
			}
			w.want(p, c.end)
			if l := w.reload(l); l.Reserved != 0 || l.Uses != 0 {
				t.Fatalf("the use was not given back: %d %d", l.Reserved, l.Uses)
			}
		})
	}
}

func TestChallenge(t *testing.T) { onEach(t, testChallenge) }

func testChallenge(t *testing.T, e engine) {
	t.Run("passed", func(t *testing.T) {
		w := newWorld(t, e)
		l := w.link()
		p := w.submit(l, challenged)
		w.want(p, payment.RequiresAction)
		w.answer(p, "approve")
		w.want(p, payment.Succeeded)
		w.answer(p, "fail") // the first decision stands
		w.want(p, payment.Succeeded)
		if s := w.linkStatus(l); s != link.Paid {
			t.Fatal(s)
		}
	})
	t.Run("failed", func(t *testing.T) {
		w := newWorld(t, e)
		l := w.link()
		p := w.submit(l, challenged)
		w.answer(p, "fail")
		if q := w.want(p, payment.Declined); q.DeclineCode != issuer.CodeAuthentication {
			t.Fatal(q.DeclineCode)
		}
		if s := w.linkStatus(l); s != link.Open {
			t.Fatal(s)
		}
	})
	t.Run("unanswered", func(t *testing.T) {
		w := newWorld(t, e)
		l := w.link()
		p := w.submit(l, challenged)
		w.later(payment.ChallengeLife - time.Microsecond)
		w.want(p, payment.RequiresAction)
		w.later(time.Microsecond)
		w.want(p, payment.Canceled)
		if s := w.linkStatus(l); s != link.Open {
			t.Fatal(s)
		}
	})
	t.Run("passed, and the notice is lost", func(t *testing.T) {
		w := newWorld(t, e)
		p := w.submit(w.link(), challenged)
		w.sim.OnNotice(nil)
		w.answer(p, "approve")
		w.restart()
		w.later(payment.ChallengeLife)
		w.want(p, payment.Succeeded)
	})
}

func TestCaptureVoidRefund(t *testing.T) { onEach(t, testCaptureVoidRefund) }

func testCaptureVoidRefund(t *testing.T, e engine) {
	w := newWorld(t, e)
	ctx := t.Context()
	held := func() payment.Payment {
		p := w.submit(w.link(manual), good)
		return w.want(p, payment.Authorized)
	}
	t.Run("capture all", func(t *testing.T) {
		p := must(w.c.Capture(ctx, w.account, link.Test, held().ID, "", nil))(t)
		if q := w.want(p, payment.Succeeded); q.CapturedMinor != 1250 {
			t.Fatal(q.CapturedMinor)
		}
		_, err := w.c.Capture(ctx, w.account, link.Test, p.ID, "", nil)
		w.code(err, "payment_not_capturable")
	})
	t.Run("capture a part", func(t *testing.T) {
		p := held()
		_, err := w.c.Capture(ctx, w.account, link.Test, p.ID, "12.51", nil)
		w.code(err, "amount_too_large")
		_, err = w.c.Capture(ctx, w.account, link.Test, p.ID, "0", nil)
		w.code(err, "amount_too_small")
		_, err = w.c.Capture(ctx, w.account, link.Test, p.ID, "1.234", nil)
		w.code(err, "amount_too_many_decimals")
		must(w.c.Capture(ctx, w.account, link.Test, p.ID, "7.25", nil))(t)
		if q := w.want(p, payment.Succeeded); q.CapturedMinor != 725 || q.Refundable().Minor != 725 {
			t.Fatal(q.CapturedMinor, q.Refundable().Minor)
		}
	})
	t.Run("void", func(t *testing.T) {
		p := held()
		must(w.c.Void(ctx, w.account, link.Test, p.ID, nil))(t)
		w.want(p, payment.Canceled)
		_, err := w.c.Void(ctx, w.account, link.Test, p.ID, nil)
		w.code(err, "payment_not_voidable")
	})
	t.Run("a hold is voided in the end", func(t *testing.T) {
		p := held()
		w.later(payment.HoldLife)
		w.want(p, payment.Canceled)
	})
	t.Run("refunds", func(t *testing.T) {
		p := w.submit(w.link(), good)
		_, _, err := w.c.Refund(ctx, w.account, link.Test, p.ID, payment.RefundInput{Amount: "12.51"}, nil)
		w.code(err, "amount_too_large")
		_, r, err := w.c.Refund(ctx, w.account, link.Test, p.ID, payment.RefundInput{Amount: "2.50"}, nil)
		if err != nil || r.Status != payment.RefundSucceeded || r.Minor != 250 {
			t.Fatal(r, err)
		}
		w.want(p, payment.PartiallyRefunded)
		_, _, err = w.c.Refund(ctx, w.account, link.Test, p.ID, payment.RefundInput{Amount: "10.01"}, nil)
		w.code(err, "amount_too_large")
		if _, r, err = w.c.Refund(ctx, w.account, link.Test, p.ID, payment.RefundInput{Amount: ""}, nil); err != nil || r.Minor != 1000 {
			t.Fatal(r, err)
		}
		w.want(p, payment.Refunded)
		_, _, err = w.c.Refund(ctx, w.account, link.Test, p.ID, payment.RefundInput{Amount: ""}, nil)
		w.code(err, "payment_not_refundable")
	})
	t.Run("another tenant's payment is not found", func(t *testing.T) {
		p := held()
		_, err := w.c.Void(ctx, "acct_other", link.Test, p.ID, nil)
		w.code(err, "not_found")
		_, err = w.c.Void(ctx, w.account, link.Live, p.ID, nil)
		w.code(err, "not_found")
	})
}

// TestLostAnswersOfOperations loses the issuer's answers to capture, void and refund: the sweep
// finds the outcomes, and nothing happens twice.
func TestLostAnswersOfOperations(t *testing.T) { onEach(t, testLostAnswersOfOperations) }

func testLostAnswersOfOperations(t *testing.T, e engine) {
	for _, drop := range []string{"before", "after"} {
		for _, call := range []string{"capture", "reverse", "refund"} {
			t.Run(call+" "+drop, func(t *testing.T) {
				w := newWorld(t, e)
				options := []linkOption{manual}
				if call == "refund" {
					options = nil
				}
				p := w.submit(w.link(options...), good)
				w.wire.set(func(c, _ string, send func() issuer.Answer) issuer.Answer {
					if c == call {
						if drop == "after" {
							send()
						}
						return issuer.Answer{Outcome: issuer.Ambiguous}
					}
					return send()
				})
				end := payment.Succeeded
				var err error
				switch call {
				case "capture":
					_, err = w.c.Capture(t.Context(), w.account, link.Test, p.ID, "5.00", nil)
				case "reverse":
					end = payment.Canceled
					_, err = w.c.Void(t.Context(), w.account, link.Test, p.ID, nil)
				case "refund":
					end = payment.PartiallyRefunded
					_, _, err = w.c.Refund(t.Context(), w.account, link.Test, p.ID, payment.RefundInput{Amount: "5.00"}, nil)
				}
				if err != nil {
					t.Fatal(err)
				}
				w.wire.set(nil)
				w.later(2 * time.Minute)
				w.want(p, end)
			})
		}
	}
}

// TestI11_RefundWithoutAnAnswerIsTold: a refund that the issuer never answers keeps its money
// held, is asked for again and again, and is reported to a person once the schedule has run
// out.
func TestI11_RefundWithoutAnAnswerIsTold(t *testing.T) {
	onEach(t, testI11_RefundWithoutAnAnswerIsTold)
}

func testI11_RefundWithoutAnAnswerIsTold(t *testing.T, e engine) {
	w := newWorld(t, e)
	p := w.submit(w.link(), good)
	w.wire.set(func(c, _ string, send func() issuer.Answer) issuer.Answer {
		if c == "refund" || c == "lookup" {
			return issuer.Answer{Outcome: issuer.Ambiguous}
		}
		return send()
	})
	if _, _, err := w.c.Refund(t.Context(), w.account, link.Test, p.ID, payment.RefundInput{Amount: "5.00"}, nil); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(payment.Schedule); i++ {
		if told := strings.Contains(w.logs.String(), "a refund needs a person"); told {
			t.Fatalf("told after %d of %d inquiries", i, len(payment.Schedule))
		}
		w.later(25 * time.Hour)
	}
	q := w.get(p)
	if !strings.Contains(w.logs.String(), "a refund needs a person") || q.Refundable().Minor != 750 ||
		q.Refunds[0].Status != payment.RefundPending {
		t.Fatalf("refundable %d, asked %d\n%s", q.Refundable().Minor, q.Refunds[0].Asked, w.logs.String())
	}
	w.wire.set(nil)
	w.later(25 * time.Hour)
	w.want(p, payment.PartiallyRefunded)
}

// TestUnsentInquiryProvesNothing: an inquiry that was not sent proves nothing about the capture
// before it.
func TestUnsentInquiryProvesNothing(t *testing.T) { onEach(t, testUnsentInquiryProvesNothing) }

func testUnsentInquiryProvesNothing(t *testing.T, e engine) {
	w := newWorld(t, e)
	p := w.submit(w.link(manual), good)
	w.wire.set(func(c, _ string, send func() issuer.Answer) issuer.Answer {
		if c == "capture" {
			send()
			return issuer.Answer{Outcome: issuer.Ambiguous}
		}
		return issuer.Answer{Outcome: issuer.NotSent}
	})
	must(w.c.Capture(t.Context(), w.account, link.Test, p.ID, "", nil))(t)
	w.later(2 * time.Minute)
	w.want(p, payment.Capturing)
	w.wire.set(nil)
	w.later(time.Hour)
	w.want(p, payment.Succeeded)
}

// TestLostCommits loses a commit, or only its answer, at every place.
func TestLostCommits(t *testing.T) { onEach(t, testLostCommits) }

func testLostCommits(t *testing.T, e engine) {
	for n := 1; n <= 4; n++ {
		for name, f := range map[string]storetest.Fault{"before": storetest.FailBefore, "after": storetest.FailAfter} {
			for _, capture := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s commit %d, manual %v", name, n, capture), func(t *testing.T) {
					w := newWorld(t, e)
					w.faulty.Fail = func(i int) storetest.Fault {
						if i == n {
							return f
						}
						return storetest.FailNot
					}
					var options []linkOption
					if capture {
						options = append(options, manual)
					}
					l := w.link(options...)
					p := w.submit(l, good)
					if capture {
						must(w.c.Capture(t.Context(), w.account, link.Test, p.ID, "", nil))(t)
					}
					w.want(p, payment.Succeeded)
					if _, r, err := w.c.Refund(t.Context(), w.account, link.Test, p.ID, payment.RefundInput{Amount: ""}, nil); err != nil ||
						r.Status != payment.RefundSucceeded {
						t.Fatal(r, err)
					}
					q := w.want(p, payment.Refunded)
					if entered(q, payment.Succeeded) != 1 || w.wire.count("authorize") != 1 || w.wire.count("refund") != 1 {
						t.Fatalf("not once: %s, %v", story(q), w.wire.calls)
					}
					if s := w.linkStatus(l); s != link.Paid {
						t.Fatal(s)
					}
				})
			}
		}
	}
}
