package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/paylink/paylink/internal/archive"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/notify/webhook"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// Export writes everything that the stores hold into a new file, and says how much.
// The keys are not in it; they are copied beside it.
func Export(ctx context.Context, cfg Config, path string, out io.Writer) (err error) {
	url, err := cfg.storeURL()
	if err != nil {
		return err
	}
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
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	counts, err := archive.Export(ctx, source{Store: sql, queue: queue}, file)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return tell(out, "exported", counts)
}

// Import fills empty stores from a file that Export wrote. Again goes on with an
// import that was cut short.
func Import(ctx context.Context, cfg Config, path string, again bool, out io.Writer) (err error) {
	file, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := Migrate(ctx, cfg, out); err != nil {
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
	counts, err := archive.Import(ctx, file, sink{Store: sql, queue: queue}, again)
	if err != nil {
		return err
	}
	return tell(out, "imported", counts)
}

func tell(out io.Writer, done string, counts archive.Counts) error {
	var kinds []string
	for kind := range counts {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		if _, err := fmt.Fprintf(out, "%s %d %s\n", done, counts[kind], kind); err != nil {
			return err
		}
	}
	return nil
}

// source is the stores and the queue, as an archive reads them.
type source struct {
	*sqlstore.Store
	queue *webhook.Queue
}

func (s source) EachJob(ctx context.Context, visit func(notify.Job) error) error {
	return s.queue.EachJob(ctx, visit)
}

// sink is the stores and the queue, as an archive fills them.
type sink struct {
	*sqlstore.Store
	queue *webhook.Queue
}

func (s sink) LoadJobs(ctx context.Context, jobs []notify.Job) error {
	return s.queue.Enqueue(ctx, jobs)
}
