package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/store/sqldb"
)

var _ learning.Models = (*Store)(nil)

// modelLock orders the changes of models across processes.
var modelLock = []string{"fraud:models"}

// modelDoc is the immutable part of a model, covered by a checksum. The state and the time of
// promotion are columns beside it.
type modelDoc struct {
	Info     learning.Info
	Checksum string // SHA-256 of the file
}

// Models implements learning.Models, newest first. It leaves out the files. One damaged model fails
// the whole list.
func (s *Store) Models(ctx context.Context) ([]learning.Info, error) {
	rows, err := s.db.Query(ctx, "SELECT version, state, promoted_at, doc, doc_sum FROM fraud_models ORDER BY trained_at DESC, version")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()

	var list []learning.Info
	for rows.Next() {
		var version, state, doc string
		var promoted, sum int64
		if err := rows.Scan(&version, &state, &promoted, &doc, &sum); err != nil {
			return nil, err
		}
		var d modelDoc
		if err := sqldb.Decode("model", version, doc, sum, &d); err != nil {
			return nil, err
		}

		d.Info.State = state
		if promoted != 0 {
			d.Info.PromotedAt = sqldb.FromMicros(promoted)
		}
		list = append(list, d.Info)
	}

	return list, rows.Err()
}

// Model implements learning.Models. It returns the model's file. A file whose checksum does not
// match is not served (model_damaged); an unknown version is fault.NotFound.
func (s *Store) Model(ctx context.Context, version string) ([]byte, error) {
	var doc, text string
	var sum int64
	err := s.db.Lookup(ctx, "SELECT doc, doc_sum, file FROM fraud_models WHERE version = $1", version).Scan(&doc, &sum, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.NotFound("model")
	}
	if err != nil {
		return nil, err
	}

	var d modelDoc
	if err := sqldb.Decode("model", version, doc, sum, &d); err != nil {
		return nil, err
	}

	file, err := base64.StdEncoding.DecodeString(text)
	if err != nil || checksum(file) != d.Checksum {
		return nil, sqldb.Damaged("model", version, err)
	}
	return file, nil
}

// checksum returns the SHA-256 of a file in hexadecimal.
func checksum(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

// AddModel implements learning.Models. The model starts in the state learning.Trained, whatever
// info says. An existing model stays unchanged.
func (s *Store) AddModel(ctx context.Context, info learning.Info, file []byte) error {
	info.State, info.PromotedAt = "", time.Time{}
	doc, sum, err := sqldb.Encode(modelDoc{Info: info, Checksum: checksum(file)})
	if err != nil {
		return err
	}

	return s.db.Write(ctx, modelLock, func(t *sqldb.Tx) error {
		_, err := t.Exec(
			`INSERT INTO fraud_models (version, state, trained_at, promoted_at, doc, doc_sum, file) VALUES ($1, $2, $3, 0, $4, $5, $6)
			ON CONFLICT (version) DO NOTHING`,
			info.Version,
			learning.Trained,
			sqldb.Micros(info.TrainedAt),
			doc,
			sum,
			base64.StdEncoding.EncodeToString(file),
		)
		return err
	})
}

// SetModel implements learning.Models. The model that was in that state leaves it in the same
// commit, so at most one is running and one in shadow. A model that is in the state already keeps
// its time of promotion. The errors are value_invalid and fault.NotFound.
func (s *Store) SetModel(ctx context.Context, version, state string) error {
	switch state {
	case learning.Running, learning.Shadow, learning.Retired:
	default:
		return fault.Invalid("state", "value_invalid", "state must be running, shadow or retired.")
	}

	return s.db.Write(ctx, modelLock, func(t *sqldb.Tx) error {
		var is string
		err := t.Row("SELECT state FROM fraud_models WHERE version = $1", version).Scan(&is)
		if errors.Is(err, sql.ErrNoRows) {
			return fault.NotFound("model")
		}
		if err != nil || is == state {
			return err
		}

		if state != learning.Retired {
			if _, err := t.Exec("UPDATE fraud_models SET state = $1 WHERE state = $2", learning.Retired, state); err != nil {
				return err
			}
		}

		if state == learning.Running {
			_, err = t.Exec("UPDATE fraud_models SET state = $1, promoted_at = $2 WHERE version = $3", state, sqldb.Micros(time.Now()), version)
			return err
		}
		_, err = t.Exec("UPDATE fraud_models SET state = $1 WHERE version = $2", state, version)
		return err
	})
}
