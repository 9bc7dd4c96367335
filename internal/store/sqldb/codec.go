package sqldb

import (
	"encoding/json"
	"hash/crc32"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns a document and its checksum. The checksum is there because the
// engine has none of its own: a flipped bit must not turn into money.
func Encode(v any) (doc string, sum int64, err error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", 0, err
	}
	return string(raw), int64(crc32.Checksum(raw, castagnoli)), nil
}

// Decode reads a document into v. One that is not what was written is Damaged.
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

// Damaged is the error of an object that is not what was written.
func Damaged(object, id string, cause error) error {
	f := fault.New(fault.KindInternal, object+"_damaged",
		"The stored %s %s is damaged and is not served. Restore it from a backup.", object, id)
	f.Cause = cause
	return f
}

// Micros are the microseconds since 1970; 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromMicros is the time that Micros made a number of.
func FromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Bit is 1 for true.
func Bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
