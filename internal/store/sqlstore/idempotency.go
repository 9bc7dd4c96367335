package sqlstore

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/store/sqldb"
)

var _ idempotency.Store = (*Store)(nil)

// GetIdempotency implements idempotency.Store. It returns nil without an error if the key is new.
func (s *Store) GetIdempotency(ctx context.Context, scope, key string) (*idempotency.Record, error) {
	r, err := scanRecord(s.db.Lookup(ctx, "SELECT "+recordColumns+" FROM idempotency WHERE scope = $1 AND key = $2", scope, key))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// recordColumns are the columns that scanRecord reads, in its order.
const recordColumns = "scope, key, fingerprint, status, answer, created_at"

// scanRecord reads one row of recordColumns. A record that cannot be decoded is a fault: answering
// the request again could repeat its effect.
func scanRecord(row sqldb.Scanner) (r idempotency.Record, err error) {
	var fingerprint, answer string
	var at int64
	if err := row.Scan(&r.Scope, &r.Key, &fingerprint, &r.Status, &answer, &at); err != nil {
		return r, err
	}
	if r.Fingerprint, err = base64.StdEncoding.DecodeString(fingerprint); err == nil {
		r.Answer, err = base64.StdEncoding.DecodeString(answer)
	}
	if err != nil {
		return idempotency.Record{}, sqldb.Damaged("idempotency record", r.Key, err)
	}
	r.CreatedAt = sqldb.FromMicros(at)
	return r, nil
}

// PutIdempotency implements idempotency.Store. It is for answers that no commit carried, such as
// refusals.
func (s *Store) PutIdempotency(ctx context.Context, r idempotency.Record) error {
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error { return putRecord(t, &r) })
}

// putRecord writes the first answer in the commit of its effect. It returns idempotency.ErrRaced if
// another request with the same key was first; the error undoes the whole commit, so the effect
// does not happen twice. A nil record means that the caller sent no key.
func putRecord(t *sqldb.Tx, r *idempotency.Record) error {
	if r == nil {
		return nil
	}
	n, err := t.Exec(`INSERT INTO idempotency (`+recordColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (scope, key) DO NOTHING`, r.Scope, r.Key, base64.StdEncoding.EncodeToString(r.Fingerprint), r.Status,
		base64.StdEncoding.EncodeToString(r.Answer), sqldb.Micros(r.CreatedAt))
	if err != nil {
		return err
	}
	if n == 0 {
		return idempotency.ErrRaced
	}
	return nil
}
