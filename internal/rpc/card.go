package rpc

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
)

// Cards carries a card between our processes, sealed under card-seal, which only the gateway,
// transactions and an issuer's connector hold, independent of the connection's encryption.
// Besides a connector, this file is the only place that may see a card's number, for as long as
// it takes to seal it.
type Cards struct{ Ring *keyring.Ring }

var errCard = errors.New("the card cannot be opened: it was sealed by another ring, or for another payment")

// cardForm is the sealed content.
type cardForm struct {
	Number   string `json:"n"`
	ExpMonth int    `json:"m"`
	ExpYear  int    `json:"y"`
	CVC      string `json:"c"`
	Name     string `json:"h,omitempty"`
}

// seal encrypts the card and binds it to what about names: it opens for nothing else. An empty
// card is sealed as nil.
func (c Cards) seal(card issuer.Card, about string) ([]byte, error) {
	if card.Empty() {
		return nil, nil
	}
	var f cardForm
	f.Number, f.ExpMonth, f.ExpYear, f.CVC, f.Name = card.Reveal()
	plain, err := json.Marshal(f)
	if err != nil {
		return nil, errCard // without the cause, which may quote the card
	}
	defer clear(plain)
	return c.Ring.Seal(keyring.CardSeal, plain, []byte("card\x00"+about)), nil
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
	if json.Unmarshal(plain, &f) != nil {
		return issuer.Card{}, errCard
	}
	return issuer.NewCard(f.Number, f.ExpMonth, f.ExpYear, f.CVC, f.Name, time.Now())
}
