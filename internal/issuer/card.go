package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/fault"
)

// Card is the payer's card. It lives in the memory of the page handler, the coordinator and a
// connector, and nowhere else: it prints, logs and marshals as "[card]", and refuses to be
// encoded or scanned. Its owner clears it when the connector has returned.
//
// The pointer is to a pointer because fmt follows one: in an unexported field of a printed
// struct no method of Card is called, and %s would print what a single pointer points at.
type Card struct{ secret **cardSecret }

// cardSecret is the content of a card. Its number passes the Luhn check. The first four texts
// derive from the number. They may be stored and shown, and Clear leaves them.
type cardSecret struct {
	brand, bin, last4, fingerprint string

	mu      sync.RWMutex // Clear waits for readers
	cleared bool
	number  [maxDigits]byte
	digits  int
	cvc     [maxCVC]byte
	cvcLen  int

	name              string
	expMonth, expYear int
}

// Secret is a card's data. Number and CVC are ASCII digits in the card's own memory: they are
// valid until the function that received them returns, and a copy outlives Clear.
type Secret struct {
	Number, CVC       []byte
	ExpMonth, ExpYear int
	Name              string
}

// ErrNoCard is returned for the data of a card that was cleared, and of an empty one.
var ErrNoCard = errors.New("there is no card, or it was cleared after its one use")

// redacted is what a card prints as.
const redacted = "[card]"

// Limits of a card.
const (
	MaxNameChars  = 100 // of the name on it
	MaxYearsAhead = 50  // of its expiry

	minDigits, maxDigits = 12, 19
	minCVC, maxCVC       = 3, 4
)

// NewCard returns a card. It checks what can be checked locally, and returns a fault that names
// the parameter: the number's length and Luhn digit (ISO/IEC 7812-1), the expiry, the length of
// the code. Spaces and hyphens in the number are skipped. It copies number and cvc, so a caller
// can clear its own bytes.
func NewCard[T string | []byte](number T, expMonth, expYear int, cvc T, name string, now time.Time) (Card, error) {
	if expYear >= 0 && expYear < 100 {
		expYear += 2000
	}
	s := &cardSecret{name: name, expMonth: expMonth, expYear: expYear}
	fits := true
	for i := range len(number) {
		switch c := number[i]; {
		case c == ' ', c == '-':
		case c < '0' || c > '9' || s.digits == maxDigits:
			fits = false
		default:
			s.number[s.digits] = c
			s.digits++
		}
	}
	for i := range min(len(cvc), maxCVC) {
		s.cvc[i] = cvc[i]
	}
	s.cvcLen = len(cvc)

	if err := s.check(fits, now); err != nil {
		s.clear()
		return Card{}, err
	}
	s.derive()
	return Card{&s}, nil
}

// check returns the fault of the first part that is wrong. fits is false if the number has other
// characters than digits, or too many.
func (s *cardSecret) check(fits bool, now time.Time) error {
	switch {
	case !fits || s.digits < minDigits:
		return fault.Invalid("card.number", "card_number_invalid", "The card number must have 12 to 19 digits.")
	case !luhn(s.number[:s.digits]):
		return fault.Invalid("card.number", "card_number_invalid", "The card number is mistyped: its check digit does not match.")
	case s.expMonth < 1 || s.expMonth > 12:
		return fault.Invalid("card.expMonth", "card_expiry_invalid", "The expiry month must be 1 to 12.")
	case s.expYear < 2000 || s.expYear > now.Year()+MaxYearsAhead:
		return fault.Invalid("card.expYear", "card_expiry_invalid",
			"The expiry year must be 2000 or later and at most %d years from now. Check the year on the card.", MaxYearsAhead)
	}
	// A card is valid to the end of its month in the last time zone.
	if end := time.Date(s.expYear, time.Month(s.expMonth)+1, 1, 12, 0, 0, 0, time.UTC); !now.Before(end) {
		return fault.Invalid("card.expYear", "card_expired", "The card has expired.")
	}
	if s.cvcLen < minCVC || s.cvcLen > maxCVC || !allDigits(s.cvc[:s.cvcLen]) {
		return fault.Invalid("card.cvc", "card_cvc_invalid", "The security code must have 3 or 4 digits.")
	}
	if utf8.RuneCountInString(s.name) > MaxNameChars {
		return fault.Invalid("card.name", "too_long", "The name on the card must be at most %d characters.", MaxNameChars)
	}
	return nil
}

// Empty reports whether there is no card. A card that was cleared is not empty.
func (c Card) Empty() bool { return c.secret == nil }

// Reveal calls use with the card's data. Only connectors call it. It returns ErrNoCard, and does
// not call use, if the card was cleared or is empty; otherwise it returns what use returns.
func (c Card) Reveal(use func(Secret) error) error {
	if c.secret == nil {
		return ErrNoCard
	}
	s := *c.secret
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.cleared {
		return ErrNoCard
	}
	return use(Secret{Number: s.number[:s.digits], CVC: s.cvc[:s.cvcLen], ExpMonth: s.expMonth, ExpYear: s.expYear, Name: s.name})
}

// Clear overwrites the number and the security code, in this and all copies of the Card. It waits
// until no Reveal is running. What may be stored of the card stays.
func (c Card) Clear() {
	if c.secret != nil {
		(*c.secret).clear()
	}
}

// clear implements Clear.
func (s *cardSecret) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleared = true
	clear(s.number[:])
	clear(s.cvc[:])
}

// Last4 returns the last four digits, which may be stored and shown (PCI DSS 3.4.1).
func (c Card) Last4() string {
	if c.secret == nil {
		return ""
	}
	return (*c.secret).last4
}

// BIN returns the first digits, which name the issuer (ISO/IEC 7812-1) and may be stored and shown
// beside the last four (PCI DSS 3.4.1): six, or fewer of a number with less than 15 digits.
func (c Card) BIN() string {
	if c.secret == nil {
		return ""
	}
	return (*c.secret).bin
}

// Brand returns the brand by the issuer identification number (ISO/IEC 7812-1), or "card"
// if the range belongs to none that we know.
func (c Card) Brand() string {
	if c.secret == nil {
		return ""
	}
	return (*c.secret).brand
}

// Fingerprint returns the text by which a card is recognized: BIN, last four digits and bucket
// (see FingerprintOf). At least 10,000 numbers share it.
func (c Card) Fingerprint() string {
	if c.secret == nil {
		return ""
	}
	return (*c.secret).fingerprint
}

// derive sets the texts of the number that may be stored.
func (s *cardSecret) derive() {
	n := s.number[:s.digits]
	s.brand = brandOf(n)
	s.bin = string(n[:min(binDigits, len(n)-last4Digits-hiddenDigits)])
	s.last4 = string(n[len(n)-last4Digits:])
	s.fingerprint = FingerprintOf(s.bin, s.last4)
	if len(n) >= bucketDigits {
		s.fingerprint += "_" + string(bucketOf(n))
	}
}

// brandOf returns the brand of a number; see Card.Brand.
func brandOf(n []byte) string {
	two, four := string(n[:2]), string(n[:4])
	switch {
	case n[0] == '4':
		return "visa"
	case two >= "51" && two <= "55", four >= "2221" && four <= "2720":
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
func allDigits(s []byte) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0
}

// luhn reports whether the last digit fits the others.
func luhn[T string | []byte](n T) bool {
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
