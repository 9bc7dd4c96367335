package dynamo

import (
	"bytes"
	"context"

	"github.com/paylink/paylink/internal/idempotency"
)

var _ idempotency.Store = (*Store)(nil)

// Attributes of an idempotency record. It has its own partition, so that no account's keys crowd
// into one place, and is kept as long as its answer is valid.
const (
	recordPrefix    = "I#"
	attrFingerprint = "f"
	attrStatus      = "s"
	attrAnswer      = "a"
	attrCreated     = "t"
)

// recordKey returns the key of a record. The scope contains no #, so the key can be split again.
func recordKey(scope, name string) key { return key{recordPrefix + scope + "#" + name, "I"} }

// putRecord returns the write of a record, on the condition that there is none under its key.
func putRecord(r idempotency.Record) write {
	i := itemBuilder(recordKey(r.Scope, r.Key).item())
	i[attrFingerprint], i[attrAnswer] = bin(r.Fingerprint), bin(r.Answer)
	i.setNum(attrStatus, int64(r.Status))
	i.setNum(attrCreated, micros(r.CreatedAt))
	return write{put: item(i), condition: ifNew}
}

// GetIdempotency implements idempotency.Store with one consistent read. It returns nil without an
// error if the key is new.
func (s *Store) GetIdempotency(ctx context.Context, scope, name string) (*idempotency.Record, error) {
	i, err := s.getItem(ctx, recordKey(scope, name), true)
	if err != nil || i == nil {
		return nil, err
	}
	r := recordOf(scope, name, i)
	return &r, nil
}

// recordOf returns the record of an item.
func recordOf(scope, name string, i item) idempotency.Record {
	return idempotency.Record{Scope: scope, Key: name, Fingerprint: bytesOf(i, attrFingerprint), Status: int(number(i, attrStatus)),
		Answer: bytesOf(i, attrAnswer), CreatedAt: fromMicros(number(i, attrCreated))}
}

// PutIdempotency implements idempotency.Store. It returns idempotency.ErrRaced if another request
// recorded the key first.
func (s *Store) PutIdempotency(ctx context.Context, r idempotency.Record) error {
	return s.commit(ctx, "", []write{putRecord(r)}, func(_ int, found item, again bool) error {
		// The answer is sealed with a nonce: only this same call can have written these bytes.
		if again && bytes.Equal(bytesOf(found, attrAnswer), r.Answer) {
			return nil
		}
		return idempotency.ErrRaced
	})
}
