package payment

import (
	"net/netip"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// Submit is a payer's request to pay a link. Its card is used for one call to the issuer and
// then discarded.
type Submit struct {
	Link       link.Link
	Attempt    string // minted by the page, 16 to 64 characters; the same attempt is the same payment
	Card       issuer.Card
	PayerName  string
	PayerEmail string
	PayerLang  string       // of the page that was shown; "" if unknown
	Amount     money.Amount // the payer's choice; ignored when the link fixes the amount
	ReturnURL  string       // where the issuer sends the payer after a challenge
	Client     netip.Addr   // of the payer; zero if unknown
	Country    string       // of that address, as a trusted proxy reported it; "" if unknown
	Proof      string       // the page's proof of work, if one was required (package shield)
}
