package rpc_test

import (
	"math/rand/v2"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/storetest"
)

// A page of the largest payments fits an answer, and the largest link fits a request.
func TestTheLargestPageFitsAnAnswer(t *testing.T) {
	const page = 101 // one more than is shown
	r := rand.New(rand.NewPCG(7, 8))
	for name, from := range storetest.Alphabets {
		request := storetest.LargestRequest(r, "acct_1", from)
		l := storetest.NewLink("acct_1", 1)
		l.Payee, l.Realm, l.Description, l.Reference, l.Metadata, l.RedirectURL = request.Payee, request.Realm, request.Description,
			request.Reference, request.Metadata, request.RedirectURL
		p := storetest.LargestPayment(t, r, l, "https://pay.example/l/t", from, func(payment.Change) {})
		raw, err := json.Marshal(p)
		if size := page * len(raw); err != nil || size > rpc.MaxAnswerBytes {
			t.Errorf("%s: %d payments of %d bytes are more than %d, %v", name, page, len(raw), rpc.MaxAnswerBytes, err)
		}
		if raw, err = json.Marshal(request); err != nil || 2*len(raw) > rpc.MaxRequestBytes {
			t.Errorf("%s: a link's request of %d bytes, %v", name, len(raw), err)
		}
	}
}
