package client

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"
)

// TestAPI simulates payers and time in test mode.
type TestAPI struct{ c *Client }

// Cards of the simulated issuer, by behavior.
const (
	CardApproved          = "4242424242424242"
	CardDeclined          = "4000000000000002"
	CardInsufficientFunds = "4000000000009995"
	CardChallenge         = "4000000000003220" // requires 3-D Secure first
	CardLostAnswer        = "4000000000006108" // approves, and the answer is lost
	CardLate              = "4000000000006124" // approves once the link has expired
	CardOtherAmount       = "4000000000006140" // approves a different amount
	CardRefundRefused     = "4000000000006173" // approves, and declines every refund
	CardDisputed          = "4000000000006181" // approves, and is disputed as fraud soon after its capture
)

// TestPayment configures Pay.
type TestPayment struct {
	Card   string // its number; CardApproved by default
	Amount string // where the payer chooses
	Payer  Payer
}

// PayerPayment is a payment as its payer sees it.
type PayerPayment struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Status    PaymentStatus     `json:"status"`
	Final     bool              `json:"final"`
	Amount    string            `json:"amount"`
	Currency  string            `json:"currency"`
	Link      string            `json:"link"`
	Card      *PayerCard        `json:"card"`
	Decline   *Decline          `json:"decline"`
	ActionURL string            `json:"actionUrl"` // where the payer completes the challenge
	CreatedAt time.Time         `json:"createdAt"`
	UpdatedAt time.Time         `json:"updatedAt"`
	Links     map[string]string `json:"links"`
}

// PayerCard is the part of the card that a payer sees.
type PayerCard struct {
	Brand string `json:"brand"`
	Last4 string `json:"last4"`
}

// Pay pays a test-mode link as a payer would, through its address and without credentials. A
// decline is an *Error of status 402 that names the payment.
func (a *TestAPI) Pay(ctx context.Context, l Link, p TestPayment) (PayerPayment, error) {
	if p.Card == "" {
		p.Card = CardApproved
	}
	_, token, _ := strings.Cut(l.URL, "/l/")
	body := map[string]any{
		"attempt": rand.Text(), // the same in every try: it is one payment
		"card":    map[string]any{"number": p.Card, "expMonth": 12, "expYear": time.Now().Year() + 4, "cvc": "123"},
	}
	if p.Amount != "" {
		body["amount"] = p.Amount
	}
	if p.Payer != (Payer{}) {
		body["payer"] = p.Payer
	}
	var out PayerPayment
	err := a.c.do(ctx, call{method: http.MethodPost, path: "/l/" + token + "/payments", body: body, out: &out, open: true}, nil)
	return out, err
}
