package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// formColumns are the columns that scanForm reads, in its order.
const formColumns = "id, doc, doc_sum"

// scanForm reads one row of formColumns. No row is fault.NotFound.
func scanForm(row sqldb.Scanner) (f link.Form, err error) {
	var id, doc string
	var sum int64
	if err := row.Scan(&id, &doc, &sum); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			err = fault.NotFound("form")
		}
		return link.Form{}, err
	}

	if err := sqldb.Decode("form", id, doc, sum, &f); err != nil {
		return link.Form{}, err
	}
	return f, nil
}

// putForm inserts a form and returns 1, or 0 if its id exists.
func putForm(t *sqldb.Tx, f link.Form) (int64, error) {
	doc, sum, err := sqldb.Encode(f)
	if err != nil {
		return 0, err
	}
	return t.Exec(`INSERT INTO forms (id, account, mode, archived, revision, doc, doc_sum) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (id) DO NOTHING`, f.ID, f.Account, f.Mode, archived(f), f.Revision, doc, sum)
}

// archived returns the value of the column of that name, by which lists are filtered.
func archived(f link.Form) int64 {
	if f.ArchivedAt.IsZero() {
		return 0
	}
	return 1
}

// CreateForm implements link.FormStore. A form whose id exists stays unchanged, because this is a
// repetition of the same call.
func (s *Store) CreateForm(ctx context.Context, f link.Form, r *idempotency.Record) error {
	return s.db.Write(ctx, []string{f.Account}, func(t *sqldb.Tx) error {
		n, err := putForm(t, f)
		if err != nil || n == 0 {
			return err // 0: this same form is already stored
		}
		return putRecord(t, r)
	})
}

// UpdateForm implements link.FormStore. It writes f if the stored revision is expected. If the
// revision does not match, the whole document is compared, because this may be a repetition of the
// same call: the same document is success, another is link.ErrFormChanged. A form of another
// account is fault.NotFound, as one that does not exist.
func (s *Store) UpdateForm(ctx context.Context, f link.Form, expected int64) error {
	doc, sum, err := sqldb.Encode(f)
	if err != nil {
		return err
	}

	return s.db.Write(ctx, []string{f.Account}, func(t *sqldb.Tx) error {
		n, err := t.Exec(`UPDATE forms SET archived = $1, revision = $2, doc = $3, doc_sum = $4 WHERE id = $5 AND account = $6 AND revision = $7`,
			archived(f), f.Revision, doc, sum, f.ID, f.Account, expected)
		if err != nil || n == 1 {
			return err
		}

		var account, is string
		err = t.Row("SELECT account, doc FROM forms WHERE id = $1", f.ID).Scan(&account, &is)
		switch {
		case errors.Is(err, sql.ErrNoRows) || (err == nil && account != f.Account):
			return fault.NotFound("form")
		case err == nil && is != doc:
			return link.ErrFormChanged
		}
		return err
	})
}

// FindForm implements link.FormReader. It finds a form of any account, archived ones too: the page
// of a form has only its id.
func (s *Store) FindForm(ctx context.Context, id string) (link.Form, error) {
	return scanForm(s.db.Lookup(ctx, "SELECT "+formColumns+" FROM forms WHERE id = $1", id))
}

// ListForms implements link.FormStore, newest first. One damaged form fails the whole list.
func (s *Store) ListForms(ctx context.Context, f link.FormFilter) ([]link.Form, error) {
	var w sqldb.Where
	w.Add("account = ?", f.Account)
	w.Add("mode = ?", f.Mode)
	w.Add("archived = ?", map[bool]int64{true: 1}[f.Archived])
	w.AddIf(f.Before != "", "id < ?", f.Before)

	rows, err := s.db.Query(ctx, "SELECT "+formColumns+" FROM forms"+w.SQL()+" ORDER BY id DESC LIMIT "+strconv.Itoa(f.Limit), w.Args...)
	if err != nil {
		return nil, err
	}

	defer func() { _ = rows.Close() }()
	var list []link.Form
	for rows.Next() {
		form, err := scanForm(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, form)
	}

	return list, rows.Err()
}

// EachForm calls visit for every form, by id. A damaged one is passed as its error; any other error
// ends the walk.
func (s *Store) EachForm(ctx context.Context, visit func(link.Form, error) error) error {
	rows, err := s.db.Query(ctx, "SELECT "+formColumns+" FROM forms ORDER BY id")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		f, err := scanForm(rows)
		var refused *fault.Error
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		if err := visit(f, err); err != nil {
			return err
		}
	}

	return rows.Err()
}

// LoadForms implements archive.Sink. A form that exists stays unchanged, so a load that was
// interrupted can be repeated.
func (s *Store) LoadForms(ctx context.Context, list []link.Form) error {
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		for _, f := range list {
			if _, err := putForm(t, f); err != nil {
				return err
			}
		}
		return nil
	})
}
