package rpc

import (
	"context"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
)

// NotifierService is the name of the notifier service.
const NotifierService = "notifier"

// Notifier is the client of notify.Service, with the service's idempotency records. Answers omit
// sealed secrets and bodies, which stay in the service.
type Notifier struct {
	records
	peer *Peer
}

var _ notify.Service = (*Notifier)(nil)

// NewNotifier returns the client.
func NewNotifier(p *Peer) *Notifier { return &Notifier{records: records{p}, peer: p} }

// deliveriesForm is a page of an endpoint's deliveries.
type deliveriesForm struct {
	owned
	Query notify.DeliveryQuery
}

// childForm names an endpoint's delivery or bulk redelivery.
type childForm struct {
	owned
	Child string
}

// testForm asks for a test event of a type.
type testForm struct {
	owned
	EventType string
}

// redeliverAllForm begins a bulk redelivery.
type redeliverAllForm struct {
	owned
	Filter notify.Filter
}

// redeliveriesForm is a page of an endpoint's bulk redeliveries.
type redeliveriesForm struct {
	owned
	Before string
	Limit  int
}

// redeliverForm names the delivery to send again.
type redeliverForm struct {
	owned
	Delivery string
}

// Create implements notify.Service.
func (n *Notifier) Create(ctx context.Context, d notify.Draft, t *idempotency.Ticket) (notify.Revealed, error) {
	return callTicketed[notify.Draft, notify.Revealed](ctx, n.peer, "Create", d, t)
}

// Get implements notify.Service.
func (n *Notifier) Get(ctx context.Context, account, mode, id string) (notify.Endpoint, error) {
	return value(call[owned, notify.Endpoint](ctx, n.peer, "Get", read, &owned{account, mode, id}))
}

// List implements notify.Service.
func (n *Notifier) List(ctx context.Context, account, mode string) ([]notify.Endpoint, error) {
	return value(call[owned, []notify.Endpoint](ctx, n.peer, "List", read, &owned{Account: account, Mode: mode}))
}

// Delete implements notify.Service. A repetition is a 404, so it is not repeated.
func (n *Notifier) Delete(ctx context.Context, account, mode, id string) error {
	_, err := call[owned, struct{}](ctx, n.peer, "Delete", once, &owned{account, mode, id})
	return err
}

// Rotate implements notify.Service.
func (n *Notifier) Rotate(ctx context.Context, account, mode, id string, t *idempotency.Ticket) (notify.Revealed, error) {
	return callTicketed[owned, notify.Revealed](ctx, n.peer, "Rotate", owned{account, mode, id}, t)
}

// Update implements notify.Service. A repetition finds nothing left to change.
func (n *Notifier) Update(ctx context.Context, c notify.Change) (notify.Endpoint, error) {
	return value(call[notify.Change, notify.Endpoint](ctx, n.peer, "Update", harmless, &c))
}

// Deliveries implements notify.Service.
func (n *Notifier) Deliveries(ctx context.Context, account, mode, endpoint string, q notify.DeliveryQuery) ([]notify.Delivery, error) {
	return value(call[deliveriesForm, []notify.Delivery](ctx, n.peer, "Deliveries", read, &deliveriesForm{owned{account, mode, endpoint}, q}))
}

// Delivery implements notify.Service.
func (n *Notifier) Delivery(ctx context.Context, account, mode, endpoint, id string) (notify.Shown, error) {
	return value(call[childForm, notify.Shown](ctx, n.peer, "Delivery", read, &childForm{owned{account, mode, endpoint}, id}))
}

// Test implements notify.Service.
func (n *Notifier) Test(ctx context.Context, account, mode, endpoint, eventType string, t *idempotency.Ticket) (notify.Delivery, error) {
	return callTicketed[testForm, notify.Delivery](ctx, n.peer, "Test", testForm{owned{account, mode, endpoint}, eventType}, t)
}

// RedeliverAll implements notify.Service.
func (n *Notifier) RedeliverAll(
	ctx context.Context,
	account, mode, endpoint string,
	f notify.Filter,
	t *idempotency.Ticket,
) (notify.Redelivery, error) {
	return callTicketed[redeliverAllForm, notify.Redelivery](
		ctx,
		n.peer,
		"RedeliverAll",
		redeliverAllForm{owned{account, mode, endpoint}, f},
		t,
	)
}

// Redelivery implements notify.Service.
func (n *Notifier) Redelivery(ctx context.Context, account, mode, endpoint, id string) (notify.Redelivery, error) {
	return value(call[childForm, notify.Redelivery](ctx, n.peer, "Redelivery", read, &childForm{owned{account, mode, endpoint}, id}))
}

// Redeliveries implements notify.Service.
func (n *Notifier) Redeliveries(ctx context.Context, account, mode, endpoint, before string, limit int) ([]notify.Redelivery, error) {
	return value(
		call[redeliveriesForm, []notify.Redelivery](
			ctx,
			n.peer,
			"Redeliveries",
			read,
			&redeliveriesForm{owned{account, mode, endpoint}, before, limit},
		),
	)
}

// CancelRedelivery implements notify.Service. An ended redelivery stays unchanged.
func (n *Notifier) CancelRedelivery(ctx context.Context, account, mode, endpoint, id string) (notify.Redelivery, error) {
	return value(call[childForm, notify.Redelivery](ctx, n.peer, "CancelRedelivery", harmless, &childForm{owned{account, mode, endpoint}, id}))
}

// Redeliver implements notify.Service.
func (n *Notifier) Redeliver(ctx context.Context, account, mode, endpoint, id string, t *idempotency.Ticket) (notify.Delivery, error) {
	return callTicketed[redeliverForm, notify.Delivery](ctx, n.peer, "Redeliver", redeliverForm{owned{account, mode, endpoint}, id}, t)
}

// bareEndpoint, bareRevealed and bareDelivery remove what never leaves the service.
func bareEndpoint(e notify.Endpoint) notify.Endpoint {
	e.SealedSecret, e.PreviousSealedSecret = nil, nil
	return e
}

func bareRevealed(r notify.Revealed) notify.Revealed { r.Endpoint = bareEndpoint(r.Endpoint); return r }

func bareDelivery(d notify.Delivery) notify.Delivery { d.SealedBody = nil; return d }

// ServeNotifier serves the notifier, with the idempotency records that its commits write.
func ServeNotifier(s *Server, svc notify.Service, store idempotency.Store) {
	const name = NotifierService
	serveRecords(s, name, store)
	serveAhead(s, svc)
	handleTicketed(s, name, "Create", func(ctx context.Context, q notify.Draft, t *idempotency.Ticket) (notify.Revealed, error) {
		r, err := svc.Create(ctx, q, t)
		return bareRevealed(r), err
	})
	handle(s, name, "Get", func(ctx context.Context, q *owned) (*notify.Endpoint, error) {
		e, err := svc.Get(ctx, q.Account, q.Mode, q.ID)
		e = bareEndpoint(e)
		return &e, err
	})
	handle(s, name, "List", func(ctx context.Context, q *owned) (*[]notify.Endpoint, error) {
		all, err := svc.List(ctx, q.Account, q.Mode)
		all = each(all, bareEndpoint)
		return &all, err
	})
	handle(s, name, "Delete", func(ctx context.Context, q *owned) (*struct{}, error) {
		return &struct{}{}, svc.Delete(ctx, q.Account, q.Mode, q.ID)
	})
	handleTicketed(s, name, "Rotate", func(ctx context.Context, q owned, t *idempotency.Ticket) (notify.Revealed, error) {
		r, err := svc.Rotate(ctx, q.Account, q.Mode, q.ID, t)
		return bareRevealed(r), err
	})
	handle(s, name, "Deliveries", func(ctx context.Context, q *deliveriesForm) (*[]notify.Delivery, error) {
		all, err := svc.Deliveries(ctx, q.Account, q.Mode, q.ID, q.Query)
		all = each(all, bareDelivery)
		return &all, err
	})
	handleTicketed(s, name, "Redeliver", func(ctx context.Context, q redeliverForm, t *idempotency.Ticket) (notify.Delivery, error) {
		d, err := svc.Redeliver(ctx, q.Account, q.Mode, q.ID, q.Delivery, t)
		return bareDelivery(d), err
	})
	serveDeliveries(s, name, svc)
	serveRedeliveries(s, name, svc)
}

// serveDeliveries serves changes of an endpoint, its deliveries and tests.
func serveDeliveries(s *Server, name string, svc notify.Service) {
	handle(s, name, "Update", func(ctx context.Context, q *notify.Change) (*notify.Endpoint, error) {
		e, err := svc.Update(ctx, *q)
		e = bareEndpoint(e)
		return &e, err
	})
	handle(s, name, "Delivery", func(ctx context.Context, q *childForm) (*notify.Shown, error) {
		d, err := svc.Delivery(ctx, q.Account, q.Mode, q.ID, q.Child)
		d.Delivery = bareDelivery(d.Delivery)
		return &d, err
	})
	handleTicketed(s, name, "Test", func(ctx context.Context, q testForm, t *idempotency.Ticket) (notify.Delivery, error) {
		d, err := svc.Test(ctx, q.Account, q.Mode, q.ID, q.EventType, t)
		return bareDelivery(d), err
	})
}

// serveRedeliveries serves bulk redeliveries.
func serveRedeliveries(s *Server, name string, svc notify.Service) {
	handleTicketed(s, name, "RedeliverAll", func(ctx context.Context, q redeliverAllForm, t *idempotency.Ticket) (notify.Redelivery, error) {
		return svc.RedeliverAll(ctx, q.Account, q.Mode, q.ID, q.Filter, t)
	})
	handle(s, name, "Redelivery", func(ctx context.Context, q *childForm) (*notify.Redelivery, error) {
		r, err := svc.Redelivery(ctx, q.Account, q.Mode, q.ID, q.Child)
		return &r, err
	})
	handle(s, name, "Redeliveries", func(ctx context.Context, q *redeliveriesForm) (*[]notify.Redelivery, error) {
		all, err := svc.Redeliveries(ctx, q.Account, q.Mode, q.ID, q.Before, q.Limit)
		return &all, err
	})
	handle(s, name, "CancelRedelivery", func(ctx context.Context, q *childForm) (*notify.Redelivery, error) {
		r, err := svc.CancelRedelivery(ctx, q.Account, q.Mode, q.ID, q.Child)
		return &r, err
	})
}
