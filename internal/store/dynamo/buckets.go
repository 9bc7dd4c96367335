package dynamo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/id"
)

// Limits of an account's buckets.
const (
	// PartitionUnits is the number of write units per second that one partition accepts.
	PartitionUnits = 1000
	// MaxBuckets is the most buckets of an account.
	MaxBuckets = 256

	hotUnits     = PartitionUnits * 6 / 10 // counted by one process in a second
	metaSort     = "M"
	bucketsFresh = 5 * time.Second // how long a number is used without reading it again
	growRest     = 5 * time.Second // until a larger number shows its effect
	maxHeated    = 4096            // partitions and accounts watched; beyond them counting starts over
)

// Grow returns how many buckets an account should have that has n now, whose hottest partition used
// that many units in a second, or was throttled. It doubles the number and never lowers it.
func Grow(n uint16, units float64, throttled bool) uint16 {
	if n < 1 {
		n = 1
	}

	if units < hotUnits && !throttled {
		return n
	}
	return min(n*2, MaxBuckets)
}

// heat counts the units that this process causes in each partition, and what DynamoDB throttled.
// Other processes count for themselves; the first one to see heat raises the number for all.
type heat struct {
	mu         sync.Mutex
	partitions map[string]*warm
	accounts   map[string]*spread
}

// warm counts the write units of one partition in one second of Unix time.
type warm struct {
	second int64
	units  float64
}

// spread is what this process knows of an account's buckets. n is 0 until it has been read, at
// readAt; grownAt is when it was last seen to grow. refused means that a partition was throttled
// since then.
type spread struct {
	n        uint16
	readAt   time.Time
	grownAt  time.Time
	partsHot float64 // highest peak of a partition since the last growth
	refused  bool
}

// warm returns the counter of a partition. The caller holds mu.
func (h *heat) warm(partition string) *warm {
	if h.partitions == nil || len(h.partitions) >= maxHeated {
		h.partitions = map[string]*warm{}
	}

	w := h.partitions[partition]
	if w == nil {
		w = &warm{}
		h.partitions[partition] = w
	}
	return w
}

// account returns what is known of an account. The caller holds mu.
func (h *heat) account(account string) *spread {
	if h.accounts == nil || len(h.accounts) >= maxHeated {
		h.accounts = map[string]*spread{}
	}

	a := h.accounts[account]
	if a == nil {
		a = &spread{}
		h.accounts[account] = a
	}
	return a
}

// add counts write units used in a partition just now.
func (h *heat) add(partition string, units float64) {
	h.addAt(partition, units, time.Now())
}

// addAt counts units at a time that tests choose. Partitions that belong to no account are ignored.
func (h *heat) addAt(partition string, units float64, now time.Time) {
	account := accountOf(partition)
	if account == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()

	w := h.warm(partition)
	if second := now.Unix(); w.second != second {
		w.second, w.units = second, 0
	}
	w.units += units

	a := h.account(account)
	a.partsHot = max(a.partsHot, w.units)
}

// throttle records that DynamoDB throttled a write to a partition.
func (h *heat) throttle(partition string) {
	account := accountOf(partition)
	if account == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.account(account).refused = true
}

// want returns the known number of the account's buckets and the number that it should have. If
// fresh is false, the known number must be read again first. For growRest after a growth the number
// stays, so that the growth can show its effect.
func (h *heat) want(account string, now time.Time) (known, want uint16, fresh bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.account(account)

	want = Grow(a.n, a.partsHot, a.refused)
	if now.Sub(a.grownAt) < growRest {
		want = a.n
	}
	return a.n, want, a.n > 0 && now.Sub(a.readAt) < bucketsFresh
}

// learn records the number that the table has. A larger number than before means that this or
// another process has raised it, and the heat is counted again from zero.
func (h *heat) learn(account string, n uint16, grown bool, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.account(account)
	if grown || (a.n > 0 && n > a.n) {
		a.grownAt, a.partsHot, a.refused = now, 0, false
	}
	a.n, a.readAt = n, now
}

// Buckets implements link.Spreader: a new link goes to one of that many buckets. If a partition of
// the account runs hot, it first raises the number. Old items stay where they are, and new ones
// spread over more partitions.
func (s *Store) Buckets(ctx context.Context, account string) (uint16, error) {
	now := time.Now()
	known, want, fresh := s.heat.want(account, now)
	if !fresh {
		n, err := s.introduce(ctx, account)
		if err != nil {
			return 0, err
		}

		s.heat.learn(account, n, false, now)
		// What was just read may already be what the heat asks for.
		if known, want, _ = s.heat.want(account, now); want <= known {
			return n, nil
		}
	}

	if want <= known {
		return known, nil
	}
	return s.grow(ctx, account, known, want)
}

// buckets reads the number of the account's buckets from the table. An account without links has 1.
func (s *Store) buckets(ctx context.Context, account string) (uint16, error) {
	meta, err := s.getItem(ctx, metaKey(account), true)
	if err != nil {
		return 0, err
	}
	return bucketsIn(meta), nil
}

// bucketsIn returns the number in an account's meta item, within 1 and MaxBuckets. Nil is an
// account that is new.
func bucketsIn(meta item) uint16 { return uint16(max(1, min(number(meta, attrBuckets), MaxBuckets))) }

// introduce is buckets for an account that may be new here. Before its first link, the account is
// listed under its tag, so that its payments can be found by id alone. The listing comes first: if
// the process crashes between the two writes, the meta item is still missing and the next call
// repeats both. It is safe to run several times concurrently.
func (s *Store) introduce(ctx context.Context, account string) (uint16, error) {
	meta, err := s.getItem(ctx, metaKey(account), true)
	if err != nil || meta != nil {
		return bucketsIn(meta), err
	}

	listed := key{tagPartition(id.TagOf(account)), account}.item()
	there := func(int, item, bool) error { return nil }
	if err := s.commit(ctx, "", []write{{put: listed, condition: ifNew}}, there); err != nil {
		return 0, err
	}

	fresh := metaKey(account).item()
	fresh[attrBuckets] = num(1)
	return 1, s.commit(ctx, "", []write{{put: fresh, condition: ifNew}}, there)
}

// tagPartition returns the partition that lists the accounts with a tag.
func tagPartition(tag uint32) string { return fmt.Sprintf("%s%06x", tagPrefix, tag) }

// metaKey returns the key of the item that has the account's number of buckets.
func metaKey(account string) key { return key{"A#" + account, metaSort} }

// grow raises the number from one value to another, or adopts a number that another process has
// raised, and returns the number that is stored.
func (s *Store) grow(ctx context.Context, account string, from, to uint16) (uint16, error) {
	n := to
	err := s.commit(ctx, "", []write{{key: metaKey(account), update: "SET z = :to", condition: "z = :from",
		values: values{":from": num(int64(from)), ":to": num(int64(to))}}}, func(_ int, found item, _ bool) error {
		n = uint16(max(1, number(found, attrBuckets)))
		return nil
	})

	if err != nil {
		return 0, err
	}

	s.heat.learn(account, n, true, time.Now())
	return n, nil
}
