package dynamo

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// A checkpoint says how far a shard was read:
//
//	done      to its end
//	after N   up to and with the record of sequence number N
//	at N      not at all; its first record is N
//	trim T    not at all; what it held at the unix time T, when the table was read
//
// The first three lead to an error when records were trimmed that were not read.
// The fourth cannot, so it is trusted only while it is young.
const (
	checkpointDone  = "done"
	checkpointAfter = "after "
	checkpointAt    = "at "
	checkpointTrim  = "trim "

	retention     = 24 * time.Hour // of a stream, by DynamoDB
	trimTrusted   = retention - 4*time.Hour
	trimRefreshed = time.Hour
)

func trimAt(now time.Time) string { return checkpointTrim + strconv.FormatInt(now.Unix(), 10) }

func trimTime(checkpoint string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(checkpoint, checkpointTrim)
	if !ok {
		return time.Time{}, false
	}
	sec, err := strconv.ParseInt(rest, 10, 64)
	return time.Unix(sec, 0), err == nil
}

// shard of a stream, as DynamoDB lists it.
type shard struct{ id, parent, first string }

// course is what to do next with the shards of a stream.
type course struct {
	gap    bool     // records were lost to retention: read the table again
	ready  []string // may be read now: their parents were read to the end
	begin  map[string]string
	forget []string
}

// chart compares the stream's shards with how far they were read. A shard is read after its
// parent, because an item's changes move from parent to child when a shard splits or ends.
func chart(listed []shard, known map[string]string, now time.Time) course {
	c := course{begin: map[string]string{}}
	parents := map[string]string{}
	for _, s := range listed {
		parents[s.id] = s.parent
	}
	hasKnownChild := map[string]bool{}
	for _, s := range listed {
		if _, ok := known[s.id]; ok {
			hasKnownChild[s.parent] = true
		}
	}

	for id, at := range known {
		_, there := parents[id]
		switch taken, trim := trimTime(at); {
		case !there && at != checkpointDone:
			c.gap = true // it disappeared with unread records
		case !there && hasKnownChild[id]:
			c.forget = append(c.forget, id)
		case there && trim && now.Sub(taken) > trimTrusted:
			c.gap = true
		}
	}

	for _, s := range listed {
		at, ok := known[s.id]
		_, parentListed := parents[s.parent]
		parentAt, parentKnown := known[s.parent]
		if !ok {
			if !parentListed && !parentKnown {
				c.gap = true // what was between it and what was read is gone
			}
			at = checkpointAt + s.first
			c.begin[s.id] = at
		}
		waits := (parentListed || parentKnown) && parentAt != checkpointDone
		if at != checkpointDone && !waits {
			c.ready = append(c.ready, s.id)
		}
	}

	slices.Sort(c.ready)
	slices.Sort(c.forget)
	return c
}
