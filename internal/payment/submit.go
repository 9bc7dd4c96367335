package payment

import (
	"net/netip"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// Submit is a payer's wish to pay a link. The card in it is used for one call to
// the issuer and then forgotten.
type Submit struct {
	Link       link.Link
	Attempt    string // minted by the page, 16 to 64 characters; the same attempt is the same payment
	Card       issuer.Card
	PayerName  string
	PayerEmail string
	PayerLang  string       // of the page that was read; "" where it is not known
	Amount     money.Amount // the payer's choice; ignored when the link fixes the amount
	ReturnURL  string       // where a challenge sends the payer back to
	Client     netip.Addr   // of the payer; zero where it is not known
	Country    string       // of that address, by a trusted proxy; "" where it is not known
	Proof      string       // what the page worked out, where it was asked to (package shield)
}
