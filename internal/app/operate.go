package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/notify/webhook"
	"github.com/paylink/paylink/internal/postgres"
	"github.com/paylink/paylink/internal/progress"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// Migrate brings the store to this binary's schema, the queue too if it is in the same database,
// and the table of links and payments. It prints the versions. With roles, the role roles+SERVICE
// of each service gets its rights on the tables. Then it replaces what an earlier version kept of
// cards. Several processes may run it at once, and it may be repeated after a crash.
func Migrate(ctx context.Context, cfg Config, roles string, out io.Writer) error {
	url, err := cfg.storeURL()
	if err != nil {
		return err
	}

	from, to, err := sqlstore.Migrate(ctx, url)
	if err != nil {
		return err
	}

	if postgres.Is(url) {
		if err := webhook.Migrate(ctx, cfg.queueURL()); err != nil {
			return err
		}
	}
	if _, err = fmt.Fprintf(out, "%s: schema %d, was %d\n", cfg.storeName(), to, from); err != nil {
		return err
	}
	if roles != "" {
		if err := cfg.applyGrants(ctx, roles, out); err != nil {
			return err
		}
	}
	if cfg.PaymentsStore != "" {
		if err := dynamo.Migrate(ctx, cfg.PaymentsStore); err != nil {
			return fmt.Errorf("--payments-store: %w", err)
		}
		table, _, err := dynamo.Parse(cfg.PaymentsStore)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "table %s: up to date\n", table); err != nil {
			return err
		}
	}
	return migrateCards(ctx, cfg, out)
}

// migrateCards destroys the key of the fingerprints that an earlier version made of cards, and
// replaces these fingerprints in all stores. It prints what it changed, if anything.
func migrateCards(ctx context.Context, cfg Config, out io.Writer) (err error) {
	folder, err := cfg.keys()
	if err != nil {
		return err
	}
	switch destroyed, failed := folder.Destroy(); {
	case failed != nil: // it is not used, and a folder of keys may be read-only
		_, err = fmt.Fprintf(out, "keys: card-mac is not destroyed: %v\n", failed)
	case destroyed:
		_, err = fmt.Fprintln(out, "keys: destroyed card-mac; earlier backups still contain it")
	}
	if err != nil {
		return err
	}

	var done sqlstore.Coarse
	err = withStore(ctx, cfg, out, func(store *sqlstore.Store, log *slog.Logger) (err error) {
		var table *dynamo.Store
		if cfg.PaymentsStore != "" {
			if table, err = cfg.openTable(ctx); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, table.Close()) }()
		}
		// With SQLite the analytics store is a file of its own, which its opening migrates.
		if _, missing := os.Stat(cfg.analyticsPath()); missing == nil {
			analytics, err := projection.OpenAnalytics(ctx, store.Feed, store.Pages(), cfg.analyticsPath(), log)
			if err != nil {
				return err
			}
			if err := analytics.Close(); err != nil {
				return err
			}
		}
		done, err = coarsen(ctx, cfg, store, table)
		return err
	})
	if err != nil || done == (sqlstore.Coarse{}) {
		return err
	}
	_, err = fmt.Fprintf(out, "fingerprints of cards made coarse: %d events, %d payments, %d list entries\n",
		done.Events, done.Payments, done.Entries)
	if err == nil && done.Unknown > 0 {
		_, err = fmt.Fprintf(out, "%d list entries are for cards that no payment shows: they match nothing; remove them\n", done.Unknown)
	}
	return err
}

// coarsen replaces the fingerprints that an earlier version made of cards, in the SQL store and in
// the table, if there is one.
func coarsen(ctx context.Context, cfg Config, store *sqlstore.Store, table *dynamo.Store) (sqlstore.Coarse, error) {
	done, err := store.Coarsen(ctx, cfg.Progress)
	if err != nil {
		return done, err
	}
	if table != nil {
		n, err := table.Coarsen(ctx, cfg.Progress)
		if done.Payments += n; err != nil {
			return done, err
		}
	}
	return done, store.MarkCoarsened(ctx)
}

// Backup copies everything that a restore needs into a new folder, also while a server runs. It
// copies the store first, so that the queue and the simulator's book, copied later, know at least
// as much. It does not copy a PostgreSQL database or a DynamoDB table: use those engines' tools, as
// the command's output says. A backup that fails leaves an incomplete folder.
//
// The keys are copied only if there are recipients, to whom they are encrypted (keysFile). A
// stolen backup must not contain what opens it.
func Backup(ctx context.Context, cfg Config, dir string, recipients []string, out io.Writer) error {
	url, err := cfg.storeURL()
	if err != nil {
		return err
	}
	readers, err := ageRecipients(recipients)
	if err != nil {
		return err
	}
	// A new folder, so that an earlier backup is never overwritten.
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("the backup folder must not exist yet: %w", err)
	}

	path, embedded := strings.CutPrefix(url, "sqlite:")
	if embedded {
		err = copyDatabases(ctx, cfg.Progress, path, cfg.queuePath(), dir)
	}
	if err != nil {
		return err
	}

	// The book is only where the simulator runs.
	if err := copyFile(cfg.bookPath(), filepath.Join(dir, filepath.Base(cfg.bookPath()))); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}

	if len(readers) > 0 {
		if err := encryptKeys(cfg.keysDir(), filepath.Join(dir, keysFile), readers); err != nil {
			return err
		}
	}

	if err := durable(dir); err != nil {
		return err
	}

	// Say what the folder does not contain, so that nobody relies on it alone.
	if cfg.PaymentsStore != "" {
		if _, err := fmt.Fprintln(out, "NOT COPIED: the table of links and payments. Back it up with DynamoDB's point-in-time recovery, which migrate has turned on."); err != nil {
			return err
		}
	}

	if !embedded {
		if _, err := fmt.Fprintf(out, "NOT COPIED: the database %s. Back it up with pg_dump, or continuously by archiving its log; "+
			"take that backup before this one.\n", cfg.storeName()); err != nil {
			return err
		}
	}
	if len(readers) == 0 {
		if _, err := fmt.Fprintf(out, "NOT COPIED: the keys in %s, without which nothing in a backup can be opened. Keep a copy of them elsewhere, "+
			"or have them encrypted with --keys-for.\n", cfg.keysDir()); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "copied to %s\n", dir)
	return err
}

// backupLook is how often the copy's size is read.
const backupLook = 100 * time.Millisecond

// copyDatabases copies the store and the queue, each as it is at one moment. A queue that does not
// exist is left out.
func copyDatabases(ctx context.Context, to progress.To, store, queue, dir string) error {
	for _, db := range []struct{ from, to string }{{store, "paylink.db"}, {queue, "webhooks.db"}} {
		// A queue in PostgreSQL, or one that was never used, has no file.
		info, err := os.Stat(db.from)
		if errors.Is(err, os.ErrNotExist) && db.to != "paylink.db" {
			continue
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", db.from, err)
		}

		meter := to.Start("copy "+db.to, progress.Bytes, info.Size())
		end := watchSize(meter, filepath.Join(dir, db.to))
		err = sqldb.Copy(ctx, db.from, filepath.Join(dir, db.to))
		end()
		if err != nil {
			return fmt.Errorf("copy %s: %w", db.from, err)
		}
	}

	return nil
}

// watchSize reports a file's size until the returned function is called. The copy leaves free pages
// out, so it may end smaller than its source; then the reported total is the final size.
func watchSize(m *progress.Meter, path string) (end func()) {
	stop, ended := make(chan struct{}), make(chan struct{})
	look := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		m.Set(info.Size())
		return info.Size()
	}

	go func() {
		defer close(ended)
		tick := time.NewTicker(backupLook)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				look()
			}
		}
	}()

	// Wait for the goroutine, so that the total is reported after its last size.
	return func() {
		close(stop)
		<-ended
		m.Total(look())
		m.End()
	}
}

// copyFile copies a file to a new one, which only the owner can read. It
// returns os.ErrNotExist if there is none to copy.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()

	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// durable makes the folder, all that is in it, and its name durable: a backup that was reported as
// done survives a power cut.
func durable(dir string) error {
	flush := func(path string) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error { return errors.Join(err, flush(path)) })
	return errors.Join(err, flush(filepath.Dir(dir)))
}
