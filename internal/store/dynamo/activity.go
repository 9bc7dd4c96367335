package dynamo

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/activity"
)

// Who did what to a payment: an item in the transaction of the change, which the relay copies to the
// activity in the SQL store. It is kept until the relay has surely seen it.
const (
	activityPrefix = "Y#"
	activityLife   = 30 * 24 * time.Hour
)

// putActivity returns the writes of the pending events of ctx. They have no condition: a repetition
// writes the same.
func putActivity(ctx context.Context) (writes []write, err error) {
	for _, e := range activity.Pending(ctx) {
		doc, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		row := key{activityPrefix + e.Account, e.ID}.item()
		row[attrBlob], row[attrEndsAt] = bin(doc), num(e.At.Add(activityLife).Unix())
		writes = append(writes, write{put: row})
	}
	return writes, nil
}

// activityOf returns the event of an item, or false if the item is something else.
func activityOf(i item) (e activity.Event, ok bool, err error) {
	if !strings.HasPrefix(text(i, attrPartition), activityPrefix) {
		return e, false, nil
	}
	return e, true, json.Unmarshal(bytesOf(i, attrBlob), &e)
}
