package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/fault"
)

// Card is the payer's card. It lives in the memory of the page handler, the coordinator and a
// connector, and nowhere else: it prints, logs and marshals as "[card]", and refuses to be
// encoded or scanned.
//
// The pointer is to a pointer because fmt follows one: in an unexported field of a printed
// struct no method of Card is called, and %s would print what a single pointer points at.
type Card struct{ secret **cardSecret }

// cardSecret is the content of a card. Its number passes the Luhn check.
type cardSecret struct {
	number, cvc, name string
	expMonth, expYear int
}

// redacted is what a card prints as.
const redacted = "[card]"

// separators are what people type between the digits.
var separators = strings.NewReplacer(" ", "", "-", "")

// Limits of a card.
const (
	MaxNameChars  = 100 // of the name on it
	MaxYearsAhead = 50  // of its expiry
)

// NewCard returns a card. It checks what can be checked locally, and returns a fault that names
// the parameter: the number's length and Luhn digit (ISO/IEC 7812-1), the expiry, the length of
// the code.
func NewCard(number string, expMonth, expYear int, cvc, name string, now time.Time) (Card, error) {
	n := separators.Replace(number)
	switch {
	case len(n) < 12 || len(n) > 19 || !allDigits(n):
		return Card{}, fault.Invalid("card.number", "card_number_invalid", "The card number must have 12 to 19 digits.")
	case !luhn(n):
		return Card{}, fault.Invalid("card.number", "card_number_invalid", "The card number is mistyped: its check digit does not match.")
	case expMonth < 1 || expMonth > 12:
		return Card{}, fault.Invalid("card.expMonth", "card_expiry_invalid", "The expiry month must be 1 to 12.")
	}
	if expYear >= 0 && expYear < 100 {
		expYear += 2000
	}
	if expYear < 2000 || expYear > now.Year()+MaxYearsAhead {
		return Card{}, fault.Invalid("card.expYear", "card_expiry_invalid",
			"The expiry year must be 2000 or later and at most %d years from now. Check the year on the card.", MaxYearsAhead)
	}
	// A card is valid to the end of its month in the last time zone.
	if end := time.Date(expYear, time.Month(expMonth)+1, 1, 12, 0, 0, 0, time.UTC); !now.Before(end) {
		return Card{}, fault.Invalid("card.expYear", "card_expired", "The card has expired.")
	}
	if len(cvc) < 3 || len(cvc) > 4 || !allDigits(cvc) {
		return Card{}, fault.Invalid("card.cvc", "card_cvc_invalid", "The security code must have 3 or 4 digits.")
	}
	if utf8.RuneCountInString(name) > MaxNameChars {
		return Card{}, fault.Invalid("card.name", "too_long", "The name on the card must be at most %d characters.", MaxNameChars)
	}
	secret := &cardSecret{number: n, cvc: cvc, name: name, expMonth: expMonth, expYear: expYear}
	return Card{&secret}, nil
}

// Empty reports whether there is no card.
func (c Card) Empty() bool { return c.secret == nil }

// Reveal returns the card's data. Only connectors call it.
func (c Card) Reveal() (number string, expMonth, expYear int, cvc, name string) {
	if c.secret == nil {
		return "", 0, 0, "", ""
	}
	s := *c.secret
	return s.number, s.expMonth, s.expYear, s.cvc, s.name
}

// Last4 returns the last four digits, which may be stored and shown (PCI DSS 3.4.1).
func (c Card) Last4() string {
	if c.secret == nil {
		return ""
	}
	n := (*c.secret).number
	return n[len(n)-4:]
}

// binDigits is the length of the BIN, which may be stored and shown beside the last four digits
// (PCI DSS 3.4.1).
const binDigits = 6

// BIN returns the first six digits, which name the issuer (ISO/IEC 7812-1).
func (c Card) BIN() string {
	if c.secret == nil {
		return ""
	}
	return (*c.secret).number[:binDigits]
}

// MAC returns a keyed hash of the number and of what it is bound to, which recognizes a card
// without its number. It returns nil for an empty card.
func (c Card) MAC(hash func([]byte) []byte, bound string) []byte {
	if c.secret == nil {
		return nil
	}
	message := []byte(bound + "\x00" + (*c.secret).number)
	defer clear(message)
	return hash(message)
}

// Brand returns the brand by the issuer identification number (ISO/IEC 7812-1), or "card"
// if the range belongs to none that we know.
func (c Card) Brand() string {
	if c.secret == nil {
		return ""
	}
	n := (*c.secret).number
	two := n[:2]
	switch {
	case n[0] == '4':
		return "visa"
	case two >= "51" && two <= "55", n[:4] >= "2221" && n[:4] <= "2720":
		return "mastercard"
	case two == "34" || two == "37":
		return "amex"
	case two == "60" || two == "65" || two == "64":
		return "discover"
	case two == "35":
		return "jcb"
	case two == "62":
		return "unionpay"
	case two == "36" || two == "38" || two == "30":
		return "diners"
	}
	return "card"
}

// allDigits reports whether a text has only digits, and at least one.
func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// luhn reports whether the last digit fits the others.
func luhn(n string) bool {
	sum := 0
	for i := range len(n) {
		d := int(n[len(n)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

var errCard = errors.New("a card cannot be encoded or decoded")

// The methods below keep a card from leaking by accident.

func (Card) String() string { return redacted }

// GoString returns "[card]".
func (Card) GoString() string { return redacted }

// LogValue returns "[card]".
func (Card) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText always fails.
func (Card) MarshalText() ([]byte, error) { return nil, errCard }

// MarshalJSON always fails.
func (Card) MarshalJSON() ([]byte, error) { return nil, errCard }

// GobEncode always fails.
func (Card) GobEncode() ([]byte, error) { return nil, errCard }

// Format writes "[card]" for every verb.
func (Card) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

var _ json.Marshaler = Card{}
