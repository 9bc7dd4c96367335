package main

import (
	"context"
	"fmt"
	"time"

	"github.com/paylink/paylink/client"
	"github.com/paylink/paylink/internal/progress"
)

// redeliveryLook is how often the progress of a bulk redelivery is read.
const redeliveryLook = 300 * time.Millisecond

type webhookCommands struct {
	Redeliver redeliver        `cmd:"" help:"Redeliver events to an endpoint, and show the progress."`
	Cancel    cancelRedelivery `cmd:"" help:"Cancel a bulk redelivery; what is already queued is still sent."`
}

// redeliver starts a bulk redelivery and follows it to its end. If it is interrupted, the
// redelivery continues by itself.
type redeliver struct {
	remote
	Endpoint  string `arg:"" help:"Webhook endpoint, whe_…."`
	Status    string `help:"Only events whose last delivery is parked (no more retries), failed or succeeded." enum:"parked,failed,succeeded" default:"parked"`
	EventType string `help:"Only events of this type." placeholder:"TYPE"`
	From      string `help:"Only deliveries from this time on; a date begins at midnight in the account's time zone." placeholder:"TIME"`
	To        string `help:"Only deliveries before this time; a date includes its whole day in the account's time zone." placeholder:"TIME"`
	Quiet     bool   `help:"Do not print progress."`
}

func (r *redeliver) call(ctx context.Context, c *console) error {
	bulk, err := c.Endpoints.RedeliverAll(ctx, r.Endpoint, client.Redeliver{Status: r.Status, EventType: r.EventType, From: r.From, To: r.To})
	if err != nil {
		return err
	}
	meter := progress.To{Out: c.errs, Quiet: r.Quiet}.Start("redeliver", "events", bulk.Total)
	tick := time.NewTicker(redeliveryLook)
	defer tick.Stop()
	for bulk.Status == "running" && err == nil {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-tick.C:
			bulk, err = c.Endpoints.Redelivery(ctx, r.Endpoint, bulk.ID)
			meter.Set(bulk.Succeeded + bulk.Failed)
		}
	}
	if bulk.Status == "done" {
		meter.Total(bulk.Succeeded + bulk.Failed) // the others have ended differently in the meantime
	}
	meter.End()
	if err != nil {
		c.say("%s continues in the background; paylink webhooks cancel %s %s stops it", bulk.ID, r.Endpoint, bulk.ID)
		return err
	}
	if err := c.print(bulk, "%s %s: %d of %d sent again, %d of them successfully", bulk.ID, bulk.Status, bulk.Succeeded+bulk.Failed,
		bulk.Total, bulk.Succeeded); err != nil {
		return err
	}
	if bulk.Status == "stopped" {
		return fmt.Errorf("the redelivery was stopped: %s", bulk.Reason)
	}
	return nil
}

type cancelRedelivery struct {
	remote
	Endpoint   string `arg:"" help:"Webhook endpoint, whe_…."`
	Redelivery string `arg:"" help:"Bulk redelivery, rdv_…."`
}

func (r *cancelRedelivery) call(ctx context.Context, c *console) error {
	bulk, err := c.Endpoints.CancelRedelivery(ctx, r.Endpoint, r.Redelivery)
	if err != nil {
		return err
	}
	return c.print(bulk, "%s %s: %d of %d sent again", bulk.ID, bulk.Status, bulk.Succeeded+bulk.Failed, bulk.Total)
}
