package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/paylink/paylink/internal/archive"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/notify/webhook"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/progress"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// Export writes everything in the stores into a new file, and prints how much. It does not contain
// the keys: copy them separately. The servers must be stopped, or the parts may not fit together.
// If it fails, the file is removed; it never overwrites one.
func Export(ctx context.Context, cfg Config, path string, out io.Writer) (err error) {
	url, err := cfg.storeURL()
	if err != nil {
		return err
	}
	// A snapshot, so that the export is of one moment even if a server still runs by mistake.
	sql, err := sqlstore.OpenSnapshot(ctx, url)
	if err != nil {
		return fmt.Errorf("open %s: %w", cfg.storeName(), err)
	}
	defer func() { err = errors.Join(err, sql.Close()) }()

	queue, err := webhook.Open(ctx, webhook.Config{URL: cfg.queueURL(), Store: sql})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()

	from := source{Store: sql, walker: sql, queue: queue}
	if cfg.PaymentsStore != "" {
		table, err := cfg.openTable(ctx)
		if err != nil {
			return err
		}
		from.walker, from.table = table, table
	}

	// It holds hashes of secrets and sealed data, so only the owner may read it.

	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}

	sizes, err := exported(ctx, from)
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(path))
	}
	from.meter = cfg.Progress.Start("export", "objects", sizes)
	counts, err := archive.Export(ctx, from, file)
	from.meter.End()
	// A file that is not completely on disk is no archive.
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return printCounts(out, "exported", counts)
}

// Import fills empty stores from a file that Export wrote, and prints how much. It brings the
// schemas up to date first. With again, it continues an interrupted import: what exists stays
// unchanged. A damaged or incomplete file is refused before anything is loaded.
func Import(ctx context.Context, cfg Config, path string, again bool, out io.Writer) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := Migrate(ctx, cfg, "", out); err != nil {
		return err
	}

	url, err := cfg.storeURL()
	if err != nil {
		return err
	}
	sql, err := sqlstore.Open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sql.Close()) }()

	queue, err := webhook.Open(ctx, webhook.Config{URL: cfg.queueURL(), Store: sql})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()

	// Links, forms and payments go to the table, if there is one.
	to := sink{Store: sql, loader: sql, queue: queue}
	if cfg.PaymentsStore != "" {
		table, err := cfg.openTable(ctx)
		if err != nil {
			return err
		}
		to.loader, to.table = table, table
	}

	info, err := file.Stat()
	if err != nil {
		return err
	}
	// The file is read twice, and both count.
	meter := cfg.Progress.Start("import", progress.Bytes, importReads*info.Size())
	counts, err := archive.Import(ctx, watched{file, meter}, to, again)
	meter.End()
	if err != nil {
		return err
	}
	return printCounts(out, "imported", counts)
}

// importReads is 2: an archive is read to its end before anything is loaded, and then again.
const importReads = 2

// watched is a file that reports how far it was read.
type watched struct {
	*os.File
	meter *progress.Meter
}

// Read implements io.Reader. It counts the bytes at the meter.
func (w watched) Read(b []byte) (int, error) {
	n, err := w.File.Read(b)
	w.meter.Add(int64(n))
	return n, err
}

// exported estimates how many objects an export writes, or returns 0 if unknown: counting a table
// would read all of it.
func exported(ctx context.Context, from source) (total int64, err error) {
	if from.table != nil {
		return 0, nil
	}
	sizes, err := from.Sizes(ctx)
	for _, n := range sizes {
		total += n
	}
	return total, err
}

// printCounts prints a line for each kind of object, sorted.
func printCounts(out io.Writer, done string, counts archive.Counts) error {
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		if _, err := fmt.Fprintf(out, "%s %d %s\n", done, counts[kind], kind); err != nil {
			return err
		}
	}
	return nil
}

// walker visits all links, forms and payments of a store.
type walker interface {
	EachForm(context.Context, func(link.Form, error) error) error
	EachLink(context.Context, func(link.Link, error) error) error
	EachPayment(context.Context, func(payment.Payment, error) error) error
}

// loader loads links, forms and payments into a store.
type loader interface {
	LoadForms(context.Context, []link.Form) error
	LoadLinks(context.Context, []link.Link) error
	LoadPayments(context.Context, []payment.Payment) error
}

// source is the stores and the queue as an archive reads them.
type source struct {
	*sqlstore.Store
	walker
	table *dynamo.Store // nil: everything is in SQL
	queue *webhook.Queue
	meter *progress.Meter // counts every object
}

// EachMerchant implements archive.Source. Like the walks below, it counts each object at the meter.
func (s source) EachMerchant(ctx context.Context, visit func(archive.Merchant) error) error {
	return s.Store.EachMerchant(ctx, counted(s.meter, visit))
}

// EachFraud implements archive.Source.
func (s source) EachFraud(ctx context.Context, visit func(archive.Fraud) error) error {
	return s.Store.EachFraud(ctx, counted(s.meter, visit))
}

// EachModel implements archive.Source.
func (s source) EachModel(ctx context.Context, visit func(archive.Model) error) error {
	return s.Store.EachModel(ctx, counted(s.meter, visit))
}

// EachEvent implements archive.Source. The events are in SQL even if their objects are in a table.
func (s source) EachEvent(ctx context.Context, visit func(stream.Event) error) error {
	return s.Store.EachEvent(ctx, counted(s.meter, visit))
}

// The walks of the store of links and payments, counted.
func (s source) EachLink(ctx context.Context, visit func(link.Link, error) error) error {
	return s.walker.EachLink(ctx, counted2(s.meter, visit))
}

// EachForm implements archive.Source.
func (s source) EachForm(ctx context.Context, visit func(link.Form, error) error) error {
	return s.walker.EachForm(ctx, counted2(s.meter, visit))
}

// EachPayment implements archive.Source.
func (s source) EachPayment(ctx context.Context, visit func(payment.Payment, error) error) error {
	return s.walker.EachPayment(ctx, counted2(s.meter, visit))
}

// counted counts each visited object at the meter.
func counted[T any](m *progress.Meter, visit func(T) error) func(T) error {
	return func(v T) error {
		m.Add(1)
		return visit(v)
	}
}

// counted2 is counted for a visit that also takes the damage of an object.
func counted2[T any](m *progress.Meter, visit func(T, error) error) func(T, error) error {
	return func(v T, damage error) error {
		m.Add(1)
		return visit(v, damage)
	}
}

// EachRecord visits the records of both stores: each keeps the records of its effects.
func (s source) EachRecord(ctx context.Context, visit func(idempotency.Record) error) error {
	visit = counted(s.meter, visit)
	if err := s.Store.EachRecord(ctx, visit); err != nil || s.table == nil {
		return err
	}
	return s.table.EachRecord(ctx, visit)
}

// EachJob implements archive.Source with the webhook queue. Jobs are not counted.
func (s source) EachJob(ctx context.Context, visit func(notify.Job) error) error {
	return s.queue.EachJob(ctx, visit)
}

// sink is the stores and the queue as an archive fills them.
type sink struct {
	*sqlstore.Store
	loader
	table *dynamo.Store // nil: everything is in SQL
	queue *webhook.Queue
}

// Empty implements archive.Sink: both stores must be empty.
func (s sink) Empty(ctx context.Context) (bool, error) {
	empty, err := s.Store.Empty(ctx)
	if err != nil || !empty || s.table == nil {
		return empty, err
	}
	return s.table.Empty(ctx)
}

// The objects that a table may hold go there, if there is one.
func (s sink) LoadLinks(ctx context.Context, list []link.Link) error {
	return s.loader.LoadLinks(ctx, list)
}

// LoadForms implements archive.Sink.
func (s sink) LoadForms(ctx context.Context, list []link.Form) error {
	return s.loader.LoadForms(ctx, list)
}

// LoadPayments implements archive.Sink.
func (s sink) LoadPayments(ctx context.Context, list []payment.Payment) error {
	return s.loader.LoadPayments(ctx, list)
}

// LoadRecords stores each record in both stores. A record does not say to which effect it
// belongs, and an extra one does no harm.
func (s sink) LoadRecords(ctx context.Context, list []idempotency.Record) error {
	if err := s.Store.LoadRecords(ctx, list); err != nil || s.table == nil {
		return err
	}
	return s.table.LoadRecords(ctx, list)
}

// LoadJobs implements archive.Sink with the webhook queue, which drops jobs that it already has.
func (s sink) LoadJobs(ctx context.Context, jobs []notify.Job) error {
	return s.queue.Enqueue(ctx, jobs)
}
