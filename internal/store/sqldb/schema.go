package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Schema defines the tables of a database.
type Schema struct {
	// Migrations are files NNNN_name.sql, one text for both engines. On PostgreSQL, postgresWords
	// replaces a few words of it, and a file with the same number in the postgres folder, if any,
	// runs after it in the same transaction.
	Migrations fs.FS
	// After holds what SQL alone cannot do. Each function runs in the transaction of the
	// migration with its number.
	After map[int64]func(context.Context, *sql.Tx) error
	// Derived data can be rebuilt: commits do not wait for fsync, and a power failure may lose
	// the last ones.
	Derived bool
}

// Limits of the wait for another replica that is migrating, in seconds and tries.
const (
	migrationLockSeconds = 1
	migrationLockTries   = 300
)

// postgresWords translates the shared text for PostgreSQL. Text compares by byte, as in SQLite,
// so that ids sort in the order of their creation.
var postgresWords = strings.NewReplacer("INTEGER PRIMARY KEY", "BIGINT PRIMARY KEY", " TEXT ", ` TEXT COLLATE "C" `)

// migration returns a migration that runs the statements and then After, in one transaction.
func (s Schema) migration(version int64, statements string) *goose.Migration {
	return goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, statements); err != nil {
			return err
		}
		if more := s.After[version]; more != nil {
			return more(ctx, tx)
		}
		return nil
	}}, nil)
}

// sqlite returns the provider that runs the shared text. A migration with a part in Go runs as a
// Go migration.
func (s Schema) sqlite(db *sql.DB) (*goose.Provider, error) {
	var list []*goose.Migration
	var names []string
	for version := range s.After {
		found, err := fs.Glob(s.Migrations, fmt.Sprintf("%04d_*.sql", version))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("migration %d: %d files, %w", version, len(found), err)
		}
		text, err := fs.ReadFile(s.Migrations, found[0])
		if err != nil {
			return nil, err
		}
		names = append(names, found[0])
		list = append(list, s.migration(version, string(text)))
	}

	return goose.NewProvider(goose.DialectSQLite3, db, s.Migrations, goose.WithGoMigrations(list...), goose.WithExcludeNames(names),
		goose.WithDisableGlobalRegistry(true))
}

// postgres returns the provider that runs the translated text and, after it, what is only for
// PostgreSQL, in one transaction for each migration. A lock lets one process migrate while the
// others wait.
func (s Schema) postgres(db *sql.DB) (*goose.Provider, error) {
	names, err := fs.Glob(s.Migrations, "*.sql")
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
		text, err := fs.ReadFile(s.Migrations, name)
		if err != nil {
			return nil, err
		}

		statements := postgresWords.Replace(string(text))
		own, err := fs.Glob(s.Migrations, path.Join("postgres", number+"_*.sql"))
		if err != nil {
			return nil, err
		}
		for _, name := range own {
			more, err := fs.ReadFile(s.Migrations, name)
			if err != nil {
				return nil, err
			}
			statements += "\n" + string(more)
		}
		list = append(list, s.migration(version, statements))
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(migrationLockSeconds, migrationLockTries))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, nil, goose.WithGoMigrations(list...), goose.WithDisableGlobalRegistry(true),
		goose.WithSessionLocker(locker))
}

// Migrate brings the schema to this binary's version and returns the versions before and after.
// Several processes may call it: one migrates, and the others wait. It does nothing for tables
// that come with another source's schema.
func (s Source) Migrate(ctx context.Context) (from, to int64, err error) {
	if s.borrowed {
		return 0, 0, nil
	}
	db, err := s.dialect.open(false, 1)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := s.dialect.provider(db)
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

// checkSchema returns an error if migrations are pending, with the way out. A schema that is newer
// than this binary is accepted, so that processes of two versions can run during an upgrade.
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

// OpenDerived migrates and opens a source of derived data. A damaged SQLite file is reported,
// removed and recreated empty. If the process crashes between, the next start finds the file
// missing, or damaged again.
func (s Source) OpenDerived(ctx context.Context, report func(path string, damage error)) (*DB, error) {
	db, err := s.migrated(ctx)
	file, embedded := s.dialect.(sqliteFile)
	if !embedded || !isDamage(err) {
		return db, err
	}

	report(file.path, err)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if gone := os.Remove(file.path + suffix); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			return nil, errors.Join(err, gone)
		}
	}

	return s.migrated(ctx)
}

// migrated brings the schema up to date and opens the database.
func (s Source) migrated(ctx context.Context) (*DB, error) {
	if _, _, err := s.Migrate(ctx); err != nil {
		return nil, err
	}
	return s.Open(ctx)
}
