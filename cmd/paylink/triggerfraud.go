package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/paylink/paylink/client"
)

// The account's own rules decide on fraud, and trigger does not change them: it puts a unique
// email address on a list.

const (
	// listedFor is when an address that could not be removed expires by itself.
	listedFor = time.Hour
	// A change of lists is active in every process within two seconds.
	listedTries = 5
	listedPause = time.Second
	// takingOff limits the cleanup after the event came, or did not.
	takingOff = 10 * time.Second
)

func flagged(t *trigger, ctx context.Context, c *console) (string, error) {
	return t.listed(ctx, c, "block")
}

func reviewed(t *trigger, ctx context.Context, c *console) (string, error) {
	id, err := t.listed(ctx, c, "review")
	if err != nil {
		return "", err
	}
	_, err = c.Payments.Review(ctx, id, client.VerdictApprove)
	return id, err
}

// listed pays as a payer on a list for an action, until the list decides.
func (t *trigger) listed(ctx context.Context, c *console, action string) (string, error) {
	email := "trigger-" + strings.ToLower(rand.Text()) + "@paylink.example"
	entry, err := c.Fraud.CreateListEntry(
		ctx,
		client.CreateFraudListEntry{Kind: "email", Value: email, Action: action, Note: "paylink trigger " + t.Event,
			ExpiresAt: time.Now().Add(listedFor)},
	)
	if err != nil {
		return "", err
	}
	defer func() {
		after, end := context.WithTimeout(context.WithoutCancel(ctx), takingOff)
		defer end()
		if err := c.Fraud.DeleteListEntry(after, entry.ID); err != nil {
			c.say("%s is still on a list, until %s: %v", email, stamp(entry.ExpiresAt), err)
		}
	}()
	again := time.NewTicker(listedPause)
	defer again.Stop()
	for range listedTries {
		p, err := t.payAs(ctx, c, email)
		if err != nil {
			return "", err
		}
		if p.Risk != nil && p.Risk.Rule == entry.ID {
			return p.ID, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	return "", errors.New(
		"the payment was not stopped although its email address is on a list: a list or rule of the account allows it, or the server runs with --fraud off",
	)
}

// payAs pays a new link with an email address, and returns the payment.
func (t *trigger) payAs(ctx context.Context, c *console, email string) (client.Payment, error) {
	l, err := t.link(ctx, c, nil)
	if err != nil {
		return client.Payment{}, err
	}
	p, err := c.Test.Pay(ctx, l, client.TestPayment{Card: client.CardApproved, Payer: client.Payer{Email: email}})
	var e *client.Error
	if errors.As(err, &e) && e.Payment != "" {
		p.ID, err = e.Payment, nil
	}
	if err != nil {
		return client.Payment{}, err
	}
	read, err := c.Payments.Get(ctx, p.ID)
	return read.Payment, err
}

// disputed records a dispute of a payment, and advances it to a state.
func disputed(state string) func(*trigger, context.Context, *console) (string, error) {
	return func(t *trigger, ctx context.Context, c *console) (string, error) {
		id, err := paying(client.CardApproved)(t, ctx, c)
		if err != nil {
			return "", err
		}
		d, err := c.Disputes.Open(
			ctx,
			id,
			client.OpenDispute{Reason: "fraudulent", Reference: "trigger", EvidenceDueAt: time.Now().Add(7 * 24 * time.Hour)},
		)
		if err != nil || state == "" {
			return id, err
		}
		if _, err = c.Disputes.Move(ctx, id, d.ID, client.MoveDispute{State: state}); err != nil {
			return "", fmt.Errorf("dispute %s: %w", d.ID, err)
		}
		return id, nil
	}
}
