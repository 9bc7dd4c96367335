// Package receipt makes signed statements about payments: a payer's receipt, and the result
// that a form passes to the merchant's page. Anyone can check one offline against the published
// keys.
//
// A statement says what was true when it was made. A later refund makes another statement and
// does not undo this one. It holds nothing that is not on the payer's own page: no name, no
// address, and of the card only the brand and the last four digits.
//
// It is a JSON Web Signature in compact form (RFC 7515): EdDSA under the purpose receipt-sign,
// of type paylink-receipt+jwt, so that no other signature of ours passes for one.
package receipt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// MaxChars bounds a receipt that is read.
const MaxChars = 4096

const (
	algorithm = "EdDSA"
	tokenType = "paylink-receipt+jwt"
)

// ErrReceipt is the only error for everything that is not a receipt of ours, or was changed.
var ErrReceipt error = fault.New(fault.KindNotFound, "receipt_unknown", "This receipt is invalid or was altered.")

// Statement is what a receipt says about a payment.
type Statement struct {
	Issuer    string // the public URL of the installation that made it
	Audience  string // origin of the page that it is for; "" for anyone
	Payment   string
	Link      string
	Form      string       // "" if the link was not made by a form
	Payee     string       // who is paid
	Status    string       // as callers see it
	Amount    money.Amount // the amount due
	Captured  money.Amount
	Refunded  money.Amount
	Reference string // the merchant's
	Card      string // such as "visa 4242"; "" if no card was charged
	Mode      string
	CreatedAt time.Time // of the payment
	At        time.Time // of the statement
	KeyID     string    // set by Verify: the key that signed, 8 hex digits
}

// Of returns the statement about a payment with its link, at the payment's last change.
func Of(p payment.Payment, l link.Link) Statement {
	s := Statement{Payment: p.ID, Link: p.Link, Form: l.Form, Payee: l.Payee, Status: string(p.Status.Public()), Amount: p.Amount,
		Captured: p.Captured(), Refunded: p.Refunded(), Reference: p.Reference, Mode: p.Mode,
		CreatedAt: p.CreatedAt.UTC().Truncate(time.Second), At: p.UpdatedAt.UTC().Truncate(time.Second), Audience: origin(l.RedirectURL)}
	if s.Form = l.Form; s.Audience == "" && l.Shown != nil && len(l.Shown.Origins) == 1 {
		s.Audience = l.Shown.Origins[0] // the one page that a form is on
	}
	if p.CardLast4 != "" {
		s.Card = strings.TrimSpace(p.CardBrand + " " + p.CardLast4)
	}
	return s
}

// Paid reports whether money was taken.
func (s Statement) Paid() bool { return s.Captured.Minor > 0 }

// origin returns the origin of an absolute URL; "" for anything else.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// header and claims are the two JSON documents of the token.
type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`
}

type claims struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"` // the payment
	Audience  string         `json:"aud,omitempty"`
	IssuedAt  int64          `json:"iat"`
	Link      string         `json:"link"`
	Form      string         `json:"form,omitempty"`
	Payee     string         `json:"payee"`
	Status    string         `json:"status"`
	Currency  money.Currency `json:"currency"`
	Amount    string         `json:"amount"` // decimal, as the API writes it
	Captured  string         `json:"capturedAmount"`
	Refunded  string         `json:"refundedAmount"`
	Reference string         `json:"reference,omitempty"`
	Card      string         `json:"card,omitempty"`
	Mode      string         `json:"mode"`
	CreatedAt int64          `json:"createdAt"`
}

var spelling = base64.RawURLEncoding.Strict()

// Sign returns the receipt of a statement.
func Sign(ring *keyring.Ring, s Statement) (string, error) {
	signer := ring.Signer(keyring.ReceiptSign)
	head, err := document(header{algorithm, keyring.FormatKeyID(signer.KeyID()), tokenType})
	if err != nil {
		return "", err
	}
	body, err := document(claims{Issuer: s.Issuer, Subject: s.Payment, Audience: s.Audience, IssuedAt: s.At.Unix(), Link: s.Link, Form: s.Form,
		Payee: s.Payee, Status: s.Status, Currency: s.Amount.Currency, Amount: s.Amount.Decimal(), Captured: s.Captured.Decimal(),
		Refunded: s.Refunded.Decimal(), Reference: s.Reference, Card: s.Card, Mode: s.Mode, CreatedAt: s.CreatedAt.Unix()})
	if err != nil {
		return "", err
	}
	signed := head + "." + body
	return signed + "." + spelling.EncodeToString(signer.SignMessage([]byte(signed))), nil
}

// document encodes a part of the token.
func document(v any) (string, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return spelling.EncodeToString(bytes.TrimSpace(out.Bytes())), nil
}

// Keys verifies signatures: a keyring.Ring, or the keyring.Public of a published key set.
type Keys interface {
	Verify(p keyring.Purpose, kid uint32, msg, sig []byte) bool
}

// Verify returns the statement of a receipt. The error is always ErrReceipt. It uses nothing of
// the token before its signature is verified.
func Verify(keys Keys, token string) (Statement, error) {
	head, body, sig, ok := split(token)
	if !ok {
		return Statement{}, ErrReceipt
	}
	var h header
	if !decode(head, &h) || h.Algorithm != algorithm || h.Type != tokenType {
		return Statement{}, ErrReceipt
	}
	kid, ok := keyring.ParseKeyID(h.KeyID)
	raw, err := spelling.DecodeString(sig)
	if !ok || err != nil || !keys.Verify(keyring.ReceiptSign, kid, []byte(head+"."+body), raw) {
		return Statement{}, ErrReceipt
	}
	var c claims
	if !decode(body, &c) {
		return Statement{}, ErrReceipt
	}
	s, err := c.statement()
	if err != nil {
		return Statement{}, ErrReceipt
	}
	s.KeyID = h.KeyID
	return s, nil
}

// Looks reports whether a text has the form of a receipt: three parts, of which the first is
// one of our headers. It verifies nothing.
func Looks(token string) bool {
	head, _, _, ok := split(token)
	var h header
	return ok && decode(head, &h) && h.Type == tokenType
}

func split(token string) (head, body, sig string, ok bool) {
	if len(token) > MaxChars {
		return "", "", "", false
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

// decode decodes a part. It ignores members that a later version adds.
func decode(part string, into any) bool {
	raw, err := spelling.DecodeString(part)
	return err == nil && json.Unmarshal(raw, into) == nil
}

func (c claims) statement() (Statement, error) {
	s := Statement{Issuer: c.Issuer, Audience: c.Audience, Payment: c.Subject, Link: c.Link, Form: c.Form, Payee: c.Payee, Status: c.Status,
		Reference: c.Reference, Card: c.Card, Mode: c.Mode, CreatedAt: time.Unix(c.CreatedAt, 0).UTC(), At: time.Unix(c.IssuedAt, 0).UTC()}
	for _, a := range []struct {
		text string
		into *money.Amount
	}{{c.Amount, &s.Amount}, {c.Captured, &s.Captured}, {c.Refunded, &s.Refunded}} {
		var err error
		if *a.into, err = money.Parse(a.text, c.Currency); err != nil {
			return Statement{}, err
		}
	}
	return s, nil
}
