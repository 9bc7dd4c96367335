package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
)

// Alphabets are characters with different encoded lengths: one byte, four bytes, two bytes in
// JSON, six bytes in JSON escaped for HTML.
var Alphabets = map[string][]rune{
	"plain":      []rune("abcdefghijklmnopqrstuvwxyz0123456789"),
	"four bytes": []rune("😀😁😂😃😄😅😆😇😈😉😊😋😌😍😎😏"),
	"escaped":    []rune(`"\`),
	"markup":     []rune("<>&"),
}

// text returns n random characters.
func text(r *rand.Rand, from []rune, n int) string {
	out := make([]rune, n)
	for i := range out {
		out[i] = from[r.IntN(len(from))]
	}
	return string(out)
}

// within returns text of at most n characters and at most that many bytes.
func within(r *rand.Rand, from []rune, n, bytes int) string {
	return text(r, from, min(n, bytes/utf8.RuneLen(from[0])))
}

// LargestMetadata returns as much metadata as a link may have.
func LargestMetadata(r *rand.Rand, from []rune) map[string]string {
	m, left := map[string]string{}, link.MaxMetadataBytes
	for entries := link.MaxMetadata; entries > 0; entries-- {
		share := left / entries
		key := fmt.Sprintf("%02d", entries) + within(r, from, link.MaxMetadataKeyChars-2, share/8)
		m[key] = within(r, from, link.MaxMetadataValueChars, share-len(key))
		left -= len(key) + len(m[key])
	}
	return m
}

// LargestRequest returns the largest link request that is accepted.
func LargestRequest(r *rand.Rand, account string, from []rune) link.CreateRequest {
	const path = "https://shop.example/?"
	redirect := path + text(r, from, (link.MaxRedirectBytes-len(path))/utf8.RuneLen(from[0]))
	return link.CreateRequest{Account: account, Mode: link.Test, Payee: text(r, from, 100), Amount: "999999.99", Currency: "EUR",
		Methods: []link.Method{
			{ID: id.New(id.Method), Type: "card", Issuer: "simulator", Currencies: []money.Currency{"EUR"}, Enabled: true, Test: true},
		},
		Realm: within(r, from, 64, 64), Description: text(r, from, link.MaxDescriptionChars), Reference: text(r, from, link.MaxReferenceChars),
		Metadata: LargestMetadata(r, from), RedirectURL: redirect}
}

// LargestRisk returns the largest assessment of an attempt.
func LargestRisk(r *rand.Rand, from []rune) payment.Risk {
	risk := assessed
	risk.Values, risk.Shadow = nil, nil
	for range 32 {
		risk.Values = append(risk.Values, payment.RiskValue{Name: text(r, Alphabets["plain"], 40), Value: within(r, from, 100, 100)})
	}
	for range 100 {
		risk.Shadow = append(risk.Shadow, payment.ShadowHit{Rule: id.New(id.FraudRule), Version: 1 << 30, Action: payment.Block})
	}
	return risk
}

// LargestPayment makes a payment with everything that it may accumulate: a payer, an assessment,
// disputes, labels, and refunds. It passes each change to commit.
func LargestPayment(t testing.TB, r *rand.Rand, l link.Link, url string, from []rune, commit func(payment.Change)) payment.Payment {
	t.Helper()
	attempt := text(r, Alphabets["plain"], 64)
	p := payment.Payment{
		ID:         payment.IDFor(l.ID, attempt),
		Account:    l.Account,
		Mode:       l.Mode,
		Link:       l.ID,
		Attempt:    attempt,
		Issuer:     l.Issuer,
		Amount:     l.Amount,
		Capture:    l.Capture,
		LatePolicy: l.LatePolicy,
		LinkEndsAt: l.ExpiresAt,
		LinkUses:   l.MaxUses,
		CardBrand:  "mastercard",
		CardLast4:  "4242",
		PayerName: text(
			r,
			from,
			100,
		),
		PayerEmail: text(r, Alphabets["plain"], 254),
		PayerLang:  "pt",
		Realm:      l.Realm,
		Reference:  l.Reference,
		Metadata:   l.Metadata,
		CreatedAt:  Epoch,
		UpdatedAt:  Epoch,
	}
	step := func(in payment.Input) {
		in.URL = url
		c := next(t, p, in)
		if c.Use == payment.UseComplete && len(c.WhenLinkPaid) == 0 {
			paid, err := link.PaidEvent(l, url, Epoch)
			if err != nil {
				t.Fatal(err)
			}
			c.WhenLinkPaid = append(c.WhenLinkPaid, paid)
		}
		commit(c)
		p = c.Payment
	}
	step(payment.Input{Kind: payment.Begin, Actor: "payer", Owner: text(r, Alphabets["plain"], 40), Link: l, Risk: LargestRisk(r, from)})
	step(
		payment.Input{
			Kind:  payment.Sync,
			Actor: "issuer",
			Link:  l,
			Answer: issuer.Answer{
				Outcome:         issuer.Approved,
				Amount:          p.Amount,
				Captured:        true,
				IssuerReference: text(r, Alphabets["plain"], 64),
				At:              Epoch,
			},
		},
	)
	for range payment.MaxDisputes {
		step(payment.Input{Kind: payment.Disputed, Actor: "issuer", DisputeID: id.New(id.Dispute), Dispute: payment.DisputeInput{
			Reference: within(r, from, payment.MaxDisputeReferenceBytes, payment.MaxDisputeReferenceBytes),
			Reason:    "product_not_received", EvidenceDueAt: Epoch.Add(time.Hour)}})
	}
	step(payment.Input{Kind: payment.Marked, Actor: "merchant", Label: payment.LabelLegitimate, By: id.New(id.User)})
	for range payment.MaxRefunds {
		refund := id.New(id.Refund)
		step(
			payment.Input{
				Kind:          payment.RefundAsked,
				Actor:         "merchant",
				Refund:        refund,
				Amount:        money.Of(1, p.Amount.Currency),
				Owner:         "w",
				AllowDisputed: true,
				By:            id.New(id.User),
			},
		)
		step(
			payment.Input{
				Kind:   payment.RefundAnswer,
				Actor:  "issuer",
				Refund: refund,
				Answer: issuer.Answer{Outcome: issuer.Approved, Amount: money.Of(1, "EUR"), At: Epoch},
			},
		)
	}
	return p
}

// sizes checks that the largest accepted link, and its largest payment, are stored, read back,
// and sent as webhooks, in every alphabet.
func sizes(t *testing.T, s suite) {
	r := rand.New(rand.NewPCG(1, 2))
	local := link.NewLocal(
		link.LocalConfig{
			Ring:      keyring.NewMemory(Epoch),
			Store:     s.Store,
			PublicURL: "https://pay.example",
			Now:       func() time.Time { return Epoch },
		},
	)
	events := 0
	for name, from := range Alphabets {
		l, err := local.Create(s.ctx, LargestRequest(r, s.account, from))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := s.GetLink(s.ctx, s.account, l.ID)
		if err != nil || !maps.Equal(got.Metadata, l.Metadata) || got.Description != l.Description {
			t.Fatalf("%s: the link came back otherwise: %v", name, err)
		}
		events++
		if name != "four bytes" && name != "escaped" { // the most bytes per character, and per character of JSON
			continue
		}
		p := LargestPayment(t, r, l, local.URL(l), from, func(c payment.Change) { s.commit(t, c); events += len(c.Events) })
		s.same(t, p)
		events++ // of the link: it is paid
	}
	seen, after := 0, int64(0)
	for {
		page, err := s.Events(s.ctx, s.account, link.Test, after, 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			body, err := notify.Body(e)
			if err != nil || len(body) > notify.MaxPayloadBytes-payloadReserve {
				t.Fatalf("%s: a body of %d bytes, %v", e.Type, len(body), err)
			}
			var sent struct{ Data json.RawMessage }
			if err := json.Unmarshal(body, &sent); err != nil || !sameJSON(sent.Data, e.Data) {
				t.Fatalf("%s: the body says something else than the event: %v", e.Type, err)
			}
			after = e.Seq
		}
		if seen += len(page); len(page) == 0 {
			break
		}
	}
	if seen != events {
		t.Errorf("%d events, and %d were told", events, seen)
	}
}

// payloadReserve is what a webhook's body keeps free for realms, names and public addresses
// longer than those of this suite.
const payloadReserve = 4 << 10

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	one, errOne := json.Marshal(x)
	two, errTwo := json.Marshal(y)
	return errOne == nil && errTwo == nil && bytes.Equal(one, two)
}
