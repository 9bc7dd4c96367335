package payment

import (
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// The types below are the shapes of the API; events carry them too.

// PaymentObject is a payment as the API shows it.
type PaymentObject struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	Link           string            `json:"link"`
	Amount         string            `json:"amount"`
	Currency       money.Currency    `json:"currency"`
	CapturedAmount string            `json:"capturedAmount"`
	RefundedAmount string            `json:"refundedAmount"`
	Refundable     string            `json:"refundableAmount"` // undisputed
	Status         Status            `json:"status"`
	Decline        *DeclineObject    `json:"decline,omitempty"`
	ReviewReason   string            `json:"reviewReason,omitempty"`
	Card           *CardObject       `json:"card,omitempty"`
	Payer          *PayerObject      `json:"payer,omitempty"`
	Issuer         string            `json:"issuer"`
	Realm          string            `json:"realm,omitempty"`
	Reference      string            `json:"reference,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	Risk           *RiskObject       `json:"risk,omitempty"`
	Disputes       []DisputeObject   `json:"disputes,omitempty"`
	Mode           string            `json:"mode"`
	CreatedAt      string            `json:"createdAt"`
	UpdatedAt      string            `json:"updatedAt"`
	Links          map[string]string `json:"links"`
	Log            []EntryObject     `json:"log,omitempty"`
	Refunds        []RefundView      `json:"refunds,omitzero"`
}

// DeclineObject is the reason of a decline.
type DeclineObject struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// CardObject is the part of a card that may be shown.
type CardObject struct {
	Brand       string `json:"brand"`
	Last4       string `json:"last4"`
	BIN         string `json:"bin,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"` // equal for the same card; many cards share it
}

// PayerObject is the person who pays.
type PayerObject struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// EntryObject is one transition of the log.
type EntryObject struct {
	Seq             int64          `json:"seq"`
	At              string         `json:"at"`
	From            Status         `json:"from"`
	To              Status         `json:"to"`
	Actor           string         `json:"actor"`
	Reason          Reason         `json:"reason"`
	Code            string         `json:"code,omitempty"`
	By              string         `json:"by,omitempty"`
	Amount          string         `json:"amount,omitempty"`
	Currency        money.Currency `json:"currency,omitempty"` // of Amount; after a mismatch maybe not the payment's
	IssuerReference string         `json:"issuerReference,omitempty"`
	Refund          string         `json:"refund,omitempty"`
	Hash            string         `json:"hash"`
}

// RefundView is a refund as the API shows it.
type RefundView struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Payment   string            `json:"payment"`
	Amount    string            `json:"amount"`
	Currency  money.Currency    `json:"currency"`
	Status    RefundStatus      `json:"status"`
	Code      string            `json:"code,omitempty"`
	AllowedBy string            `json:"allowedBy,omitempty"`
	CreatedAt string            `json:"createdAt"`
	Links     map[string]string `json:"links"`
}

// Object returns the payment without its log.
func Object(p Payment) PaymentObject {
	c := p.Amount.Currency
	o := PaymentObject{ID: p.ID, Object: "payment", Link: p.Link, Amount: p.Amount.Decimal(), Currency: c,
		CapturedAmount: p.Captured().Decimal(), RefundedAmount: p.Refunded().Decimal(),
		Refundable: p.Undisputed().Decimal(),
		Status:     p.Status.Public(), ReviewReason: p.ReviewReason, Issuer: p.Issuer, Realm: p.Realm, Reference: p.Reference,
		Metadata: p.Metadata, Mode: p.Mode, CreatedAt: link.FormatTime(p.CreatedAt), UpdatedAt: link.FormatTime(p.UpdatedAt),
		Links: map[string]string{"self": "/api/payments/" + p.ID, "link": "/api/links/" + p.Link}}
	if p.DeclineCode != "" {
		o.Decline = &DeclineObject{Code: p.DeclineCode, Message: p.DeclineMessage}
	}
	if p.CardLast4 != "" {
		o.Card = &CardObject{Brand: p.CardBrand, Last4: p.CardLast4, BIN: p.Risk.BIN, Fingerprint: p.Risk.Fingerprint}
	}
	if p.PayerName != "" || p.PayerEmail != "" {
		o.Payer = &PayerObject{Name: p.PayerName, Email: p.PayerEmail}
	}
	o.Risk = riskObject(p.Risk)
	for _, d := range p.Disputes {
		o.Disputes = append(o.Disputes, NewDisputeObject(p, d))
	}
	return o
}

// DetailObject returns the payment with its log and refunds.
func DetailObject(p Payment) PaymentObject {
	o := Object(p)
	for _, e := range p.Log {
		line := EntryObject{Seq: e.Seq, At: link.FormatTime(e.At), From: e.From, To: e.To, Actor: e.Actor,
			Reason: e.Reason, Code: e.Code, By: e.By, IssuerReference: e.IssuerReference, Refund: e.Refund, Hash: e.Hash}
		if c := e.Amount.Currency; c != "" {
			line.Amount, line.Currency = e.Amount.Decimal(), c
		}
		o.Log = append(o.Log, line)
	}
	o.Refunds = []RefundView{}
	for _, r := range p.Refunds {
		o.Refunds = append(o.Refunds, RefundObject(p, r))
	}
	return o
}

// RefundObject returns a refund of the payment.
func RefundObject(p Payment, r Refund) RefundView {
	return RefundView{ID: r.ID, Object: "refund", Payment: p.ID, Amount: money.Of(r.Minor, p.Amount.Currency).Decimal(),
		Currency: p.Amount.Currency, Status: r.Status, Code: r.Code, AllowedBy: r.AllowedBy, CreatedAt: link.FormatTime(r.CreatedAt),
		Links: map[string]string{"self": "/api/payments/" + p.ID, "payment": "/api/payments/" + p.ID}}
}
