package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/client"
)

// triggerPatience is how long trigger waits for its event: the slowest needs a link to expire,
// which takes a minute.
const triggerPatience = 3 * time.Minute

// trigger really causes an event in test mode: it creates a link and pays, cancels, captures or
// refunds as that event needs, with the suitable card.
type trigger struct {
	remote
	Event       string `arg:"" help:"Event type, such as payment.succeeded; \"list\" lists them."`
	Amount      string `help:"Amount." default:"12.50"`
	Currency    string `help:"Currency." default:"EUR"`
	Reference   string `help:"The link's reference." default:"trigger"`
	EndpointURL string `help:"For endpoint.disabled: a URL that answers 410; by default the command listens itself." placeholder:"URL"`
}

// happening causes an event and returns the id of its object.
type happening struct {
	about string
	does  func(*trigger, context.Context, *console) (string, error)
}

// causes maps every event type that can be caused.
var causes = map[string]happening{
	"link.created": {
		"creates a link",
		func(t *trigger, ctx context.Context, c *console) (string, error) { return linkID(t.link(ctx, c, nil)) },
	},
	"link.paid":     {"pays a link", paidLink},
	"link.canceled": {"cancels a link", canceledLink},
	"link.expired":  {"creates a link that expires in a minute, and advances the test clock past it", expiredLink},

	"payment.created":         {"pays", paying(client.CardApproved)},
	"payment.processing":      {"pays", paying(client.CardApproved)},
	"payment.succeeded":       {"pays", paying(client.CardApproved)},
	"payment.declined":        {"pays with a card that is declined", paying(client.CardDeclined)},
	"payment.requires_action": {"pays with a card that asks for 3-D Secure", paying(client.CardChallenge)},
	"payment.unknown":         {"pays with a card whose answer is lost", paying(client.CardLostAnswer)},
	"payment.review":          {"pays with a card for which the issuer approves another amount", paying(client.CardOtherAmount)},
	"payment.authorized":      {"pays, with manual capture", authorized},
	"payment.canceled":        {"pays, with manual capture, and voids", voided},
	"payment.late":            {"pays with a card that approves after the link has expired; takes a minute", late},

	"refund.created":   {"pays and refunds", refunded(client.CardApproved)},
	"refund.succeeded": {"pays and refunds", refunded(client.CardApproved)},
	"refund.failed":    {"pays with a card that refuses refunds, and refunds", refunded(client.CardRefundRefused)},

	"fraud.flagged":   {"lists an email address, pays with it and is blocked, and removes the entry", flagged},
	"fraud.reviewed":  {"lists an email address, pays with it and is held, approves the payment, and removes the entry", reviewed},
	"dispute.created": {"pays, and records a dispute", disputed("")},
	"dispute.updated": {"pays, records a dispute, and moves it to under_review", disputed(client.DisputeUnderReview)},
	"dispute.closed":  {"pays, records a dispute, and loses it", disputed(client.DisputeLost)},

	"endpoint.disabled": {"creates a webhook endpoint that answers 410", disabledEndpoint},
}

func (t *trigger) call(ctx context.Context, c *console) error {
	if t.Event == "list" {
		table := c.table("EVENT", "WHAT TRIGGER DOES")
		for _, name := range slices.Sorted(maps.Keys(causes)) {
			if err := table.row(map[string]string{"event": name, "does": causes[name].about}, name, causes[name].about); err != nil {
				return err
			}
		}
		return table.end()
	}
	how, known := causes[t.Event]
	if !known {
		return fmt.Errorf("unknown event %q; the events are %s", t.Event, strings.Join(slices.Sorted(maps.Keys(causes)), ", "))
	}
	return t.waitFor(ctx, c, how)
}

// waitFor causes the event once the stream of events is open, and prints it when it arrives.
func (t *trigger) waitFor(ctx context.Context, c *console, how happening) error {
	ctx, end := context.WithTimeoutCause(ctx, triggerPatience, fmt.Errorf("%s did not come within %s", t.Event, triggerPatience))
	defer end()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var object string
	o := client.StreamOptions{FromNow: true, Types: []string{t.Event}}
	o.Opened = func(int64) {
		if object != "" {
			return
		}
		c.say("%s: %s", t.Event, how.about)
		var err error
		if object, err = how.does(t, ctx, c); err != nil {
			stop(err)
		}
	}
	for e, err := range c.Events.Stream(ctx, o) {
		if why := context.Cause(ctx); why != nil {
			return why
		}
		if err != nil {
			return err
		}
		if about(e) == object {
			return c.print(e, "%s  %s  seq %d  %s", e.Type, object, e.Seq, e.ID)
		}
	}
	return context.Cause(ctx)
}

func (t *trigger) link(ctx context.Context, c *console, change func(*client.CreateLink)) (client.Link, error) {
	request := client.CreateLink{Amount: t.Amount, Currency: t.Currency, Reference: t.Reference, Description: "paylink trigger " + t.Event}
	if change != nil {
		change(&request)
	}
	return c.Links.Create(ctx, request)
}

func linkID(l client.Link, err error) (string, error) { return l.ID, err }

// pay pays a link; a decline also returns a payment.
func pay(ctx context.Context, c *console, l client.Link, card string) (string, error) {
	p, err := c.Test.Pay(ctx, l, client.TestPayment{Card: card})
	var e *client.Error
	if errors.As(err, &e) && e.Payment != "" {
		return e.Payment, nil
	}
	return p.ID, err
}

func paying(card string) func(*trigger, context.Context, *console) (string, error) {
	return func(t *trigger, ctx context.Context, c *console) (string, error) {
		l, err := t.link(ctx, c, nil)
		if err != nil {
			return "", err
		}
		return pay(ctx, c, l, card)
	}
}

func paidLink(t *trigger, ctx context.Context, c *console) (string, error) {
	l, err := t.link(ctx, c, nil)
	if err == nil {
		_, err = pay(ctx, c, l, client.CardApproved)
	}
	return l.ID, err
}

func canceledLink(t *trigger, ctx context.Context, c *console) (string, error) {
	l, err := t.link(ctx, c, nil)
	if err != nil {
		return "", err
	}
	return linkID(c.Links.Cancel(ctx, l.ID))
}

const shortestLife = time.Minute // of a link

func lastingAMinute(l *client.CreateLink) { l.ExpiresInSeconds = int64(shortestLife / time.Second) }

func expiredLink(t *trigger, ctx context.Context, c *console) (string, error) {
	l, err := t.link(ctx, c, lastingAMinute)
	if err != nil {
		return "", err
	}
	k, err := c.Clock.Advance(ctx, shortestLife+time.Second)
	if err == nil {
		c.say("the test clock was advanced to %s", stamp(k.Now))
	}
	return l.ID, err
}

func authorized(t *trigger, ctx context.Context, c *console) (string, error) {
	l, err := t.link(ctx, c, func(l *client.CreateLink) { l.Capture = "manual" })
	if err != nil {
		return "", err
	}
	return pay(ctx, c, l, client.CardApproved)
}

func voided(t *trigger, ctx context.Context, c *console) (string, error) {
	id, err := authorized(t, ctx, c)
	if err != nil {
		return "", err
	}
	_, err = c.Payments.Void(ctx, id)
	return id, err
}

// late reads the payment until it is late: each read makes the server ask the issuer.
func late(t *trigger, ctx context.Context, c *console) (string, error) {
	l, err := t.link(ctx, c, lastingAMinute)
	if err != nil {
		return "", err
	}
	id, err := pay(ctx, c, l, client.CardLate)
	if err != nil {
		return "", err
	}
	look := time.NewTicker(5 * time.Second)
	defer look.Stop()
	for {
		p, err := c.Payments.Get(ctx, id)
		if err != nil || p.Status != client.PaymentUnknown {
			return id, err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

func refunded(card string) func(*trigger, context.Context, *console) (string, error) {
	return func(t *trigger, ctx context.Context, c *console) (string, error) {
		id, err := paying(card)(t, ctx, c)
		if err != nil {
			return "", err
		}
		r, err := c.Payments.Refund(ctx, id, client.All)
		return r.ID, err
	}
}

// disabledEndpoint creates an endpoint that answers gone, and an event for it.
func disabledEndpoint(t *trigger, ctx context.Context, c *console) (string, error) {
	url := t.EndpointURL
	if url == "" {
		on, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		gone := &http.Server{
			ReadHeaderTimeout: 5 * time.Second,
			Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }),
		}
		go func() { _ = gone.Serve(on) }() // ends with Close
		context.AfterFunc(ctx, func() { _ = gone.Close() })
		url = "http://" + on.Addr().String()
	}
	e, err := c.Endpoints.Create(ctx, client.CreateEndpoint{URL: url, Events: []string{"link.created"}})
	if client.Code(err) != "" && t.EndpointURL == "" {
		return "", fmt.Errorf(
			"%w; this requires a server with --allow-private-webhooks on this machine, or --endpoint-url of a URL that answers 410",
			err,
		)
	}
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() {
		after, end := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer end()
		_ = c.Endpoints.Delete(after, e.ID) // of no further use, and harmless
	})
	_, err = t.link(ctx, c, nil)
	return e.ID, err
}
