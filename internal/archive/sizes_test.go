package archive

import (
	"bufio"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// The largest link and payment, and all their events, fit a line in every alphabet.
func TestTheLargestObjectsFitALine(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for name, from := range storetest.Alphabets {
		request := storetest.LargestRequest(r, "acct_1", from)
		l := storetest.NewLink("acct_1", 1)
		l.Payee, l.Realm, l.Description, l.Reference, l.Metadata, l.RedirectURL = request.Payee, request.Realm, request.Description,
			request.Reference, request.Metadata, request.RedirectURL
		w := &writer{out: bufio.NewWriter(io.Discard), hash: sha256.New(), counts: Counts{}}
		var events []stream.Event
		p := storetest.LargestPayment(
			t,
			r,
			l,
			"https://pay.example/l/t",
			from,
			func(c payment.Change) { events = append(append(events, c.Events...), c.WhenLinkPaid...) },
		)
		lines := []line{{Link: &linkLine{Link: l, State: link.State{}}}, {Payment: &paymentLine{Payment: p}}}
		for _, e := range events {
			lines = append(lines, line{Event: &eventLine{Event: e, Transfers: e.Transfers}})
		}
		for _, one := range lines {
			if err := w.put(one); err != nil {
				t.Fatalf("%s: a line of %s: %v", name, one.kind(), err)
			}
		}
	}
}
