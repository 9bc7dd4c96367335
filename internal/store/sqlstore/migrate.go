package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Migrations are one text, in migrations/. On PostgreSQL a few words of it are
// replaced (postgresWords), and a file of the same number in migrations/postgres,
// if there is one, runs in the same transaction after it.
//
//go:embed migrations
var migrations embed.FS

// Bounds of the wait for another replica that migrates, in seconds and tries.
const (
	migrationLockSeconds = 1
	migrationLockTries   = 300
)

// postgresWords turn the shared text into PostgreSQL's. Texts compare by byte, as
// SQLite's do, so that ids list in the order in which they were made.
var postgresWords = strings.NewReplacer("INTEGER PRIMARY KEY", "BIGINT PRIMARY KEY", " TEXT ", ` TEXT COLLATE "C" `)

func sharedMigrations() fs.FS { return migrationsIn("migrations") }

func migrationsIn(folder string) fs.FS {
	dir, err := fs.Sub(migrations, folder)
	if err != nil {
		panic(err) // it is embedded
	}
	return dir
}

// afterMigration is what SQL alone cannot do, in the transaction of the migration whose
// number it has.
var afterMigration = map[int64]func(context.Context, *sql.Tx) error{spellingMigration: respell}

// sqliteProvider runs the shared text; a migration with a part in Go runs as one.
func sqliteProvider(db *sql.DB) (*goose.Provider, error) {
	shared := sharedMigrations()
	var list []*goose.Migration
	var names []string
	for version, more := range afterMigration {
		found, err := fs.Glob(shared, fmt.Sprintf("%04d_*.sql", version))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("migration %d: %d files, %w", version, len(found), err)
		}
		text, err := fs.ReadFile(shared, found[0])
		if err != nil {
			return nil, err
		}
		names = append(names, found[0])
		list = append(list, goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return err
			}
			return more(ctx, tx)
		}}, nil))
	}
	return goose.NewProvider(goose.DialectSQLite3, db, shared, goose.WithGoMigrations(list...), goose.WithExcludeNames(names), goose.WithDisableGlobalRegistry(true))
}

func postgresProvider(db *sql.DB) (*goose.Provider, error) {
	shared := sharedMigrations()
	names, err := fs.Glob(shared, "*.sql")
	if err != nil {
		return nil, err
	}
	var list []*goose.Migration
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		text, err := fs.ReadFile(shared, name)
		if err != nil {
			return nil, err
		}
		statements := postgresWords.Replace(string(text))
		own, err := fs.Glob(shared, path.Join("postgres", number+"_*.sql"))
		if err != nil {
			return nil, err
		}
		for _, name := range own {
			more, err := fs.ReadFile(shared, name)
			if err != nil {
				return nil, err
			}
			statements += "\n" + string(more)
		}
		list = append(list, goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, statements); err != nil {
				return err
			}
			if more := afterMigration[version]; more != nil {
				return more(ctx, tx)
			}
			return nil
		}}, nil))
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(migrationLockSeconds, migrationLockTries))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, nil, goose.WithGoMigrations(list...), goose.WithDisableGlobalRegistry(true),
		goose.WithSessionLocker(locker))
}

// Migrate brings the schema of the store to this binary's version. It is safe to
// call from several processes: one migrates, the others wait for it.
func Migrate(ctx context.Context, url string) (from, to int64, err error) {
	d, err := dialectOf(url)
	if err != nil {
		return 0, 0, err
	}
	return migrate(ctx, d)
}

func migrate(ctx context.Context, d dialect) (from, to int64, err error) {
	db, err := d.open(false, 1)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := d.provider(db)
	if err != nil {
		return 0, 0, err
	}
	from, to, err = p.GetVersions(ctx)
	if err != nil || from >= to { // nothing to wait for
		return from, from, err
	}
	if _, err = p.Up(ctx); err != nil {
		return from, from, err
	}
	return from, to, nil
}

func checkSchema(ctx context.Context, d dialect, db *sql.DB) error {
	p, err := d.provider(db)
	if err != nil {
		return err
	}
	pending, err := p.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version of %s: %w", d.name(), err)
	}
	if pending {
		return fmt.Errorf("the schema of %s is older than this binary: run paylink migrate", d.name())
	}
	return nil
}
