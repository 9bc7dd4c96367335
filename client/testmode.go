package client

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"
)

// TestAPI does in test mode what a payer and time do in real life.
type TestAPI struct{ c *Client }

// Cards of the simulated issuer, by what they do.
const (
	CardApproved          = "4242424242424242"
	CardDeclined          = "4000000000000002"
	CardInsufficientFunds = "4000000000009995"
	CardChallenge         = "4000000000003220" // asks for 3-D Secure first
	CardLostAnswer        = "4000000000006108" // approves, and the answer is lost
	CardLate              = "4000000000006124" // approves once the link has expired
	CardOtherAmount       = "4000000000006140" // approves another amount than was asked
	CardRefundRefused     = "4000000000006173" // approves, and refuses every refund
	CardDisputed          = "4000000000006181" // approves, and is disputed as fraud soon after its capture
)

// TestPayment is how Pay pays.
type TestPayment struct {
	Card   string // its number; CardApproved unless set
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
	ActionURL string            `json:"actionUrl"` // where the payer passes the challenge
	CreatedAt time.Time         `json:"createdAt"`
	UpdatedAt time.Time         `json:"updatedAt"`
	Links     map[string]string `json:"links"`
}

// PayerCard is what a payer is shown of the card.
type PayerCard struct {
	Brand string `json:"brand"`
	Last4 string `json:"last4"`
}

// Pay pays a link of test mode as a payer would, through its address and without
// credentials. A decline is an *Error of status 402 that names the payment.
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
