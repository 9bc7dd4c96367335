package rpc

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
)

// Cards carries a card between our processes, sealed under card-seal, which only the gateway,
// transactions and an issuer's connector hold, independent of the connection's encryption.
// Besides a connector, this file is the only place that may see a card's number, for as long as
// it takes to seal it. Whatever it decrypts it clears.
type Cards struct{ Ring *keyring.Ring }

var errCard = errors.New("the card cannot be opened: it was sealed by another ring, or for another payment")

// cardForm is the sealed content. Number and CVC are JSON strings of digits, in memory that can be
// cleared.
type cardForm struct {
	Number   json.RawMessage `json:"n"`
	ExpMonth int             `json:"m"`
	ExpYear  int             `json:"y"`
	CVC      json.RawMessage `json:"c"`
	Name     string          `json:"h,omitempty"`
}

// maxCardBytes is more than a sealed card has beside its name, so that its buffer never grows and
// leaves a copy behind.
const maxCardBytes = 128

// seal encrypts the card and binds it to what about names: it opens for nothing else. An empty
// card is sealed as nil.
func (c Cards) seal(card issuer.Card, about string) ([]byte, error) {
	if card.Empty() {
		return nil, nil
	}
	var sealed []byte
	err := card.Reveal(func(s issuer.Secret) error {
		name, err := json.Marshal(s.Name)
		if err != nil {
			return errCard
		}
		plain := make([]byte, 0, maxCardBytes+len(name))
		defer func() { clear(plain) }()
		plain = append(append(append(plain, `{"n":"`...), s.Number...), `","m":`...)
		plain = append(strconv.AppendInt(plain, int64(s.ExpMonth), 10), `,"y":`...)
		plain = append(strconv.AppendInt(plain, int64(s.ExpYear), 10), `,"c":"`...)
		plain = append(append(append(plain, s.CVC...), `","h":`...), name...)
		sealed = c.Ring.Seal(keyring.CardSeal, append(plain, '}'), []byte("card\x00"+about))
		return nil
	})
	return sealed, err
}

// open is the inverse of seal. It returns a type that cannot be printed or encoded. Every
// failure is errCard, without a cause that might quote the card.
func (c Cards) open(sealed []byte, about string) (issuer.Card, error) {
	if len(sealed) == 0 {
		return issuer.Card{}, nil
	}
	plain, err := c.Ring.Unseal(keyring.CardSeal, sealed, []byte("card\x00"+about))
	if err != nil {
		return issuer.Card{}, errCard
	}
	defer clear(plain)
	var f cardForm
	defer func() { clear(f.Number); clear(f.CVC) }()
	if json.Unmarshal(plain, &f) != nil || len(f.Number) < 2 || len(f.CVC) < 2 {
		return issuer.Card{}, errCard
	}
	return issuer.NewCard([]byte(f.Number[1:len(f.Number)-1]), f.ExpMonth, f.ExpYear, []byte(f.CVC[1:len(f.CVC)-1]), f.Name, time.Now())
}
