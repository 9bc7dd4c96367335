package sqlstore

import (
	"encoding/json"
	"hash/crc32"

	"github.com/paylink/paylink/internal/fault"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode gives a document and its checksum. The checksum is there because the
// engine has none of its own: a flipped bit must not turn into money.
func encode(v any) (doc string, sum int64, err error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", 0, err
	}
	return string(raw), int64(crc32.Checksum(raw, castagnoli)), nil
}

// decode refuses a document that is not what was written.
func decode(object, id, doc string, sum int64, v any) error {
	raw := []byte(doc)
	if int64(crc32.Checksum(raw, castagnoli)) != sum {
		return damaged(object, id, nil)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return damaged(object, id, err)
	}
	return nil
}

func damaged(object, id string, cause error) error {
	f := fault.New(fault.KindInternal, object+"_damaged", "The stored %s %s is damaged and is not served. Restore it from a backup.", object, id)
	f.Cause = cause
	return f
}
