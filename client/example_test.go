package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/paylink/paylink/client"
)

// Make a link, and read the payment that was made with it.
func Example() {
	ctx := context.Background()
	c, err := client.New(server.url, client.WithKey(server.keyID, server.secret))
	if err != nil {
		log.Fatal(err)
	}
	link, err := c.Links.Create(ctx, client.CreateLink{
		Amount: "12.50", Currency: "EUR", Description: "Two coffees", Reference: "example-1",
	})
	if err != nil {
		log.Fatal(err)
	}
	// Send link.URL to the payer. In test mode we may be the payer ourselves:
	if _, err := c.Test.Pay(ctx, link, client.TestPayment{}); err != nil {
		log.Fatal(err)
	}
	for payment, err := range c.Payments.All(ctx, client.PaymentFilter{Link: link.ID}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(payment.Status, payment.Amount, payment.Currency, payment.Card.Last4)
	}
	// Output: succeeded 12.50 EUR 4242
}

// The key of the call is yours: however often the program runs, it is one link.
func ExampleIdempotencyKey() {
	ctx := context.Background()
	c, err := client.New(server.url, client.WithSecret(server.secret))
	if err != nil {
		log.Fatal(err)
	}
	order := client.CreateLink{Amount: "40.00", Currency: "EUR", Reference: "order-1842"}
	first, err := c.Links.Create(ctx, order, client.IdempotencyKey("order-1842"))
	if err != nil {
		log.Fatal(err)
	}
	second, err := c.Links.Create(ctx, order, client.IdempotencyKey("order-1842"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(first.ID == second.ID)
	// Output: true
}

// What the server refuses has a stable code, and names what is wrong.
func ExampleError() {
	ctx := context.Background()
	c, err := client.New(server.url, client.WithSecret(server.secret))
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Links.Create(ctx, client.CreateLink{Amount: "12.505", Currency: "EUR"})
	var e *client.Error
	if errors.As(err, &e) {
		fmt.Println(e.Status, e.Code, e.Param)
	}
	// Output: 400 amount_too_many_decimals amount
}

// A decline is an error that names the payment.
func ExampleTestAPI_Pay() {
	ctx := context.Background()
	c, err := client.New(server.url, client.WithSecret(server.secret))
	if err != nil {
		log.Fatal(err)
	}
	link, err := c.Links.Create(ctx, client.CreateLink{Amount: "12.50", Currency: "EUR"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Test.Pay(ctx, link, client.TestPayment{Card: client.CardDeclined})
	var e *client.Error
	if !errors.As(err, &e) {
		log.Fatal(err)
	}
	payment, err := c.Payments.Get(ctx, e.Payment)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Code(e), payment.Status)
	// Output: card_declined declined
}

// Give back a part, then the rest.
func ExamplePaymentsAPI_Refund() {
	ctx := context.Background()
	c, err := client.New(server.url, client.WithSecret(server.secret))
	if err != nil {
		log.Fatal(err)
	}
	link, err := c.Links.Create(ctx, client.CreateLink{Amount: "12.50", Currency: "EUR"})
	if err != nil {
		log.Fatal(err)
	}
	paid, err := c.Test.Pay(ctx, link, client.TestPayment{})
	if err != nil {
		log.Fatal(err)
	}
	for _, amount := range []string{"2.50", client.All} {
		refund, err := c.Payments.Refund(ctx, paid.ID, amount)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(refund.Amount, refund.Status)
	}
	payment, err := c.Payments.Get(ctx, paid.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(payment.Status)
	// Output:
	// 2.50 succeeded
	// 10.00 succeeded
	// refunded
}

// Hear of what happens as it happens.
func ExampleEventsAPI_Stream() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := client.New(server.url, client.WithSecret(server.secret))
	if err != nil {
		log.Fatal(err)
	}
	pay := func(int64) { // the stream is open: from now on nothing is missed
		link, err := c.Links.Create(ctx, client.CreateLink{Amount: "12.50", Currency: "EUR", Reference: "streamed"})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := c.Test.Pay(ctx, link, client.TestPayment{}); err != nil {
			log.Fatal(err)
		}
	}
	wanted := client.StreamOptions{FromNow: true, Types: []string{"payment.succeeded"}, Opened: pay}
	for event, err := range c.Events.Stream(ctx, wanted) {
		if err != nil {
			log.Fatal(err)
		}
		payment, err := event.Payment()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Type, payment.Reference)
		break
	}
	// Output: payment.succeeded streamed
}

// Verify a webhook before you believe it. While a secret is being rotated, give both.
func ExampleWebhookVerifier() {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	verifier := client.NewWebhookVerifier(secret)
	receiver := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := verifier.Request(r)
		if err != nil {
			http.Error(w, "not from paylink", http.StatusBadRequest)
			return
		}
		payment, err := event.Payment()
		if err != nil {
			http.Error(w, "not a payment", http.StatusBadRequest)
			return
		}
		fmt.Println(event.Type, payment.ID)
		w.WriteHeader(http.StatusNoContent)
	})
	// Your own test signs one as paylink does:
	body := `{"id":"evt_1","type":"payment.succeeded","seq":1,"objectSeq":3,"data":{"id":"pay_1"}}`
	headers, err := client.SignWebhook(secret, "evt_1", time.Now(), []byte(body))
	if err != nil {
		log.Fatal(err)
	}
	for _, sent := range []string{body, strings.Replace(body, "pay_1", "pay_2", 1)} {
		r := httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(sent))
		r.Header = headers.Clone()
		answer := httptest.NewRecorder()
		receiver.ServeHTTP(answer, r)
		fmt.Println(answer.Code)
	}
	// Output:
	// payment.succeeded pay_1
	// 204
	// 400
}
