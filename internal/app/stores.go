package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/obs"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// stores holds the data. Users, webhooks, the feed and balances are in SQL; links and payments
// with their idempotency records may be in a DynamoDB table. Stores that no service of this
// process needs are nil.
type stores struct {
	sql   *sqlstore.Store
	table *dynamo.Store

	links          link.Store
	payments       payment.Store
	linkRecords    idempotency.Store
	paymentRecords idempotency.Store
	counts         counter
}

// counter is what the gauges read from the store of payments.
type counter interface {
	CountPayments(ctx context.Context, status string) (int64, error)
	CountDue(ctx context.Context, now time.Time) (int64, error)
	CountAside(ctx context.Context, kind string) (int64, error)
	OldestDue(ctx context.Context) (time.Time, error)
}

// openStores opens what the services of this process need, and exports their gauges. A single
// process migrates all schemas by itself; so does every process with the SQL store, where one
// migrates and the others wait. The table of a split deployment is created by the migrate command,
// because most services may not alter it.
func (s *services) openStores(ctx context.Context) error {
	if s.cfg.needsSQL() {
		// Migrate before Open, which refuses a schema that is not current.
		url, err := s.cfg.storeURL()
		if err != nil {
			return err
		}
		if _, _, err = sqlstore.Migrate(ctx, url); err != nil {
			return err
		}

		store, err := sqlstore.Open(ctx, url)
		if err != nil {
			return err
		}

		store.LogTo(s.log)
		s.closers = append(s.closers, store.Close)
		s.stores = stores{sql: store, links: store, payments: store, linkRecords: store, paymentRecords: store, counts: store}
	}

	if s.cfg.PaymentsStore != "" && s.cfg.needsPayments() {
		if !s.cfg.split() {
			if err := dynamo.Migrate(ctx, s.cfg.PaymentsStore); err != nil {
				return fmt.Errorf("--payments-store: %w", err)
			}
		}

		// From here on the table, and not SQL, is the store of links and payments.
		table, err := s.cfg.openTable(ctx)
		if err != nil {
			return err
		}

		s.closers = append(s.closers, table.Close)
		s.stores = stores{
			sql:            s.stores.sql,
			table:          table,
			links:          table,
			payments:       apart{table, s.stores.sql},
			linkRecords:    table,
			paymentRecords: table,
			counts:         table,
		}
	}
	if err := s.coarsenOnce(ctx); err != nil {
		return err
	}
	s.gauges()
	return nil
}

// coarsenOnce replaces what an earlier version kept of cards, at the first start of a single
// process; the migrate command does it in a split deployment.
func (s *services) coarsenOnce(ctx context.Context) error {
	if s.cfg.split() || s.stores.sql == nil {
		return nil
	}
	if was, err := s.stores.sql.WasCoarsened(ctx); err != nil || was {
		return err
	}
	done, err := coarsen(ctx, s.cfg, s.stores.sql, s.stores.table)
	if err == nil && done != (sqlstore.Coarse{}) {
		s.log.InfoContext(ctx, "the fingerprints of cards are coarse now", "events", done.Events, "payments", done.Payments,
			"list_entries", done.Entries, "entries_without_payment", done.Unknown)
	}
	return err
}

// openTable opens the configured table of links and payments. It does not contact DynamoDB.
func (c Config) openTable(ctx context.Context) (*dynamo.Store, error) {
	table, err := dynamo.Open(ctx, c.PaymentsStore)
	if err != nil {
		return nil, fmt.Errorf("--payments-store: %w", err)
	}
	return table, nil
}

// apart is the store of payments in a table. It reads their events, and the balances derived from
// them, where the relay writes them. Everything else comes from the table.
type apart struct {
	*dynamo.Store
	feed *sqlstore.Store // nil if no service reads those
}

// errNoFeed is the error of a process that has no SQL store; no service of such a process reads the
// feed.
var errNoFeed = errors.New("this process does not read the feed")

// Balances implements payment.Store. It lags by what the relay has not carried yet.
func (a apart) Balances(ctx context.Context, account, mode string) (map[money.Currency]ledger.Balance, error) {
	if a.feed == nil {
		return nil, errNoFeed
	}
	return a.feed.Balances(ctx, account, mode)
}

// Events implements payment.Store. It lags by what the relay has not carried yet.
func (a apart) Events(ctx context.Context, account, mode string, afterSeq int64, limit int) ([]stream.Event, error) {
	if a.feed == nil {
		return nil, errNoFeed
	}
	return a.feed.Events(ctx, account, mode, afterSeq, limit)
}

// Moves implements payment.Store. It lags by what the relay has not carried yet.
func (a apart) Moves(ctx context.Context, account, mode string, beforeSeq int64, limit int) ([]stream.Event, error) {
	if a.feed == nil {
		return nil, errNoFeed
	}
	return a.feed.Moves(ctx, account, mode, beforeSeq, limit)
}

// relay copies the table's events into the feed that all consumers follow. One notifier at a time
// runs it; when that one ends, another continues from the checkpoints.
func (s *services) relay() {
	if s.stores.table == nil {
		return
	}
	table, feed := s.stores.table, s.stores.sql
	s.metrics.Relays()
	s.background["relay"] = func(ctx context.Context) error {
		return feed.Alone(ctx, "relay", func(ctx context.Context) error {
			return stream.Relay(ctx, "dynamodb", table, timed{feed, s.metrics})
		})
	}
}

// timed measures the age of events when they reach the feed.
type timed struct {
	stream.Feed
	metrics *obs.Metrics
}

// AppendBatch implements stream.Feed. It measures the events after they are durable.
func (t timed) AppendBatch(ctx context.Context, source string, b stream.Batch) error {
	if err := t.Feed.AppendBatch(ctx, source, b); err != nil {
		return err
	}
	now := time.Now()
	for _, e := range b.Events {
		t.metrics.Relayed(max(0, now.Sub(e.CreatedAt)))
	}
	return nil
}

// gauge returns what reads a number when metrics are scraped, within 2 s, or -1 if it could not.
func gauge(f func(context.Context) (int64, error)) func() float64 {
	return func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		n, err := f(ctx)
		if err != nil {
			return -1
		}
		return float64(n)
	}
}

// secondsSince returns what reads the seconds since a time, or 0 for the zero time. A time in the future, as
// by a test clock, is 0.
func secondsSince(f func(context.Context) (time.Time, error)) func(context.Context) (int64, error) {
	return func(ctx context.Context) (int64, error) {

		at, err := f(ctx)
		if err != nil || at.IsZero() {
			return 0, err
		}
		return max(0, int64(time.Since(at).Seconds())), nil
	}
}

// asideGauges export the counts of what was set aside, each from the process whose service deals
// with it.
func (s *services) asideGauges() {
	const name, help = "paylink_set_aside", "Items that failed repeatedly and were set aside; paylink aside lists them."
	if s.cfg.runs("notifier") && s.stores.sql != nil {
		s.metrics.Gauge(name, help, map[string]string{"kind": "events"},
			gauge(func(ctx context.Context) (int64, error) { return s.stores.sql.CountAside(ctx, "events") }))
	}

	for kind, target := range map[string]string{"payments": "transactions", "links": "links"} {
		if s.cfg.runs(target) && s.stores.counts != nil {
			s.metrics.Gauge(name, help, map[string]string{"kind": kind},
				gauge(func(ctx context.Context) (int64, error) { return s.stores.counts.CountAside(ctx, kind) }))
		}
	}
}

// gauges registers what reads the stores when the metrics are scraped.
func (s *services) gauges() {
	s.writeGauges()
	s.asideGauges()
	// How far each consumer is behind, from the process that runs it.
	for target, consumer := range map[string]string{"notifier": sqlstore.NotifyConsumer, "payments": "balances"} {
		if s.cfg.runs(target) {
			s.metrics.Gauge("paylink_stream_lag", "Events that the consumer has not handled.", map[string]string{"consumer": consumer},
				gauge(func(ctx context.Context) (int64, error) { return s.stores.sql.Lag(ctx, consumer) }))
			s.metrics.Gauge(
				"paylink_stream_age_seconds",
				"How old the oldest event is that the consumer has not handled.",
				map[string]string{"consumer": consumer},
				gauge(secondsSince(func(ctx context.Context) (time.Time, error) { return s.stores.sql.OldestUnhandled(ctx, consumer) })),
			)
		}
	}

	if s.cfg.runs("notifier") {
		s.metrics.Gauge(
			"paylink_webhook_deliveries_parked",
			"Webhooks that are no longer retried and were not redelivered or discarded.",
			nil,
			gauge(s.stores.sql.CountDeadLetters),
		)
	}
	if !s.cfg.runs("transactions") {
		return
	}

	// Payments whose outcome is open, and those that the sweep has not reached.
	for _, status := range []string{"unknown", "processing", "review"} {
		s.metrics.Gauge("paylink_payments", "Payments that are not settled.", map[string]string{"status": status},
			gauge(func(ctx context.Context) (int64, error) { return s.stores.counts.CountPayments(ctx, status) }))
	}
	s.metrics.Gauge("paylink_due_payments", "Payments that are due and that the sweep has not taken yet.", nil,
		gauge(func(ctx context.Context) (int64, error) { return s.stores.counts.CountDue(ctx, time.Now()) }))
	s.metrics.Gauge("paylink_due_age_seconds", "How long the payment that has waited longest for the sweep has been due.", nil,
		gauge(secondsSince(s.stores.counts.OldestDue)))
}

// withStore opens the store for a command that works beside running servers, runs work, and closes
// it. The schema must be current. The log goes to out.
func withStore(ctx context.Context, cfg Config, out io.Writer, work func(*sqlstore.Store, *slog.Logger) error) (err error) {
	url, err := cfg.storeURL()
	if err != nil {
		return err
	}
	level, err := cfg.level()
	if err != nil {
		return err
	}

	store, err := sqlstore.Open(ctx, url)
	if err != nil {
		return fmt.Errorf("open %s: %w", cfg.storeName(), err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return work(store, obs.NewLogger(out, level))
}
