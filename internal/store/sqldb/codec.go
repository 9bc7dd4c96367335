package sqldb

import (
	"encoding/json"
	"hash/crc32"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

// castagnoli is the table of CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode marshals v to JSON and returns the document with its checksum. The engines keep no
// checksum of their own, and a flipped bit must not turn into money.
func Encode(v any) (doc string, sum int64, err error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", 0, err
	}
	return string(raw), int64(crc32.Checksum(raw, castagnoli)), nil
}

// Decode verifies the checksum and unmarshals a document into v. It returns Damaged if either
// fails.
func Decode(object, id, doc string, sum int64, v any) error {
	raw := []byte(doc)
	if int64(crc32.Checksum(raw, castagnoli)) != sum {
		return Damaged(object, id, nil)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return Damaged(object, id, err)
	}
	return nil
}

// Damaged returns the error of a stored object that does not match its checksum or cannot be
// decoded.
func Damaged(object, id string, cause error) error {
	f := fault.New(fault.KindInternal, object+"_damaged",
		"The stored %s %s is damaged and is not served. Restore it from a backup.", object, id)
	f.Cause = cause
	return f
}

// Micros returns t in microseconds since 1970, or 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromMicros is the inverse of Micros. The result is in UTC.
func FromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Bit returns 1 for true and 0 for false.
func Bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
