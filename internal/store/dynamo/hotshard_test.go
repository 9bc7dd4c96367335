//go:build !race

package dynamo

import (
	"container/heap"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var hotMinutes = flag.Int("hotshard.minutes", 3, "simulated minutes of each scenario of the hot shard")

// The hot shard: a small model of DynamoDB's limits, under the store's own retries and growth of
// buckets, on a simulated clock. A partition accepts 1,000 write units a second, and saves up to
// 300 seconds of unused units for a burst. DynamoDB may also split a partition that stays hot. It
// does not promise when, so here it never does.

const (
	burstSeconds = 300
	processes    = 4 // of the store, each with a view of its own
	payAfter     = 20 * time.Second
	issuerTakes  = 300 * time.Millisecond
	callTakes    = 5 * time.Millisecond
)

// The units that a payment's steps write to its partition, and to the same key of the history
// index: what TestWriteUnits counts, without the due index, which is spread over its own shards.
var steps = [...]struct{ table, history float64 }{{1, 0}, {4, 2}, {1, 0}} // create, begin, settle

type bucketOfTokens struct {
	tokens float64
	at     time.Duration
}

// take uses the units, or refuses.
func (b *bucketOfTokens) take(units float64, now time.Duration) bool {
	b.tokens = min(b.tokens+(now-b.at).Seconds()*PartitionUnits, burstSeconds*PartitionUnits)
	b.at = now
	if b.tokens < units {
		return false
	}
	b.tokens -= units
	return true
}

type sale struct {
	account string
	process int
	where   string // partition
	step    int
	tries   int
	since   time.Duration // when the step was first tried
}

type due struct {
	at time.Duration
	*sale
}

type agenda []due

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at < a[j].at }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(due)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

type hotShard struct {
	r          *rand.Rand
	grows      bool
	n          map[string]uint16 // the accounts' meta items
	heats      [processes]heat
	partitions map[string]*bucketOfTokens
	agenda     agenda

	requests, throttled, sales, settled, refused int
	took                                         []time.Duration
}

func (h *hotShard) clock(now time.Duration) time.Time { return time.Unix(1_900_000_000, 0).Add(now) }

// bucket returns the bucket of a new link of the account, as Store.Buckets does.
func (h *hotShard) bucket(s *sale, now time.Duration) uint16 {
	if !h.grows {
		return 0
	}
	view, t := &h.heats[s.process], h.clock(now)
	known, want, fresh := view.want(s.account, t)
	if !fresh {
		view.learn(s.account, max(1, h.n[s.account]), false, t)
		known, want, _ = view.want(s.account, t)
	}
	if want > known {
		if max(1, h.n[s.account]) == known { // the condition of the write
			h.n[s.account] = want
		}
		view.learn(s.account, h.n[s.account], true, t)
		known = h.n[s.account]
	}
	return uint16(h.r.IntN(int(known))) // a link's id is random too, but not the same in every run
}

func (h *hotShard) partition(name string) *bucketOfTokens {
	p := h.partitions[name]
	if p == nil {
		p = &bucketOfTokens{tokens: PartitionUnits} // the time before was not quiet
		h.partitions[name] = p
	}
	return p
}

// try is one request. The store's own rules decide what follows from its answer.
func (h *hotShard) try(d due) {
	s, now := d.sale, d.at
	if s.tries == 0 {
		s.since = now
		if s.step == 0 {
			s.where = partition(s.account, h.bucket(s, now))
		}
	}
	h.requests++
	want := steps[s.step]
	table, history := h.partition(s.where), h.partition("history "+s.where)
	if history.tokens+PartitionUnits < want.history || !table.take(want.table, now) || !history.take(want.history, now) {
		h.throttled++
		h.heats[s.process].throttle(s.where)
		wait := time.Duration(h.r.Int64N(int64(min(longestPause, firstPause<<s.tries)))) + time.Millisecond
		if s.tries++; s.tries == maxTries || now+wait-s.since > callBudget {
			h.refused++
			return
		}
		heap.Push(&h.agenda, due{now + callTakes + wait, s})
		return
	}
	h.heats[s.process].addAt(s.where, want.table, h.clock(now))
	h.took = append(h.took, now+callTakes-s.since)
	s.tries = 0
	s.step++
	switch s.step {
	case 1:
		heap.Push(&h.agenda, due{now + time.Duration(h.r.ExpFloat64()*float64(payAfter)), s})
	case 2:
		heap.Push(&h.agenda, due{now + issuerTakes, s})
	case 3:
		h.settled++
	}
}

// run sells that many a second, to accounts that pick selects.
func (h *hotShard) run(perSecond float64, minutes int, pick func() string) {
	end := time.Duration(minutes) * time.Minute
	next := time.Duration(0)
	for {
		for len(h.agenda) > 0 && h.agenda[0].at <= next {
			h.try(heap.Pop(&h.agenda).(due))
		}
		if next >= end {
			break
		}
		h.sales++
		heap.Push(&h.agenda, due{next, &sale{account: pick(), process: h.r.IntN(processes)}})
		next += time.Duration(h.r.ExpFloat64() / perSecond * float64(time.Second))
	}
}

func (h *hotShard) String() string {
	slices.Sort(h.took)
	at := func(p float64) time.Duration {
		return h.took[min(len(h.took)-1, int(p*float64(len(h.took))))].Round(time.Millisecond)
	}
	buckets := uint16(1)
	for _, n := range h.n {
		buckets = max(buckets, n)
	}
	return fmt.Sprintf(
		"%7d payments, requests throttled %5.2f %%, steps refused %5.2f %%, a step takes p50 %s p99 %s p99.9 %s, at most %d buckets",
		h.sales,
		100*float64(h.throttled)/float64(h.requests),
		100*float64(h.refused)/float64(len(h.took)+h.refused),
		at(.5),
		at(.99),
		at(.999),
		buckets,
	)
}

// TestHotShard prints the effect of the limits on 10 M payments a day, at ten times the mean,
// spread over accounts by Zipf's law, and on one account with 1,000 payments a second; each with
// one fixed bucket, and with buckets that grow.
func TestHotShard(t *testing.T) {
	const accounts, peak, hot = 10_000, 1160, 1000
	ids := make([]string, accounts)
	for i := range ids {
		ids[i] = fmt.Sprintf("acct_%05d", i)
	}
	refused := map[string]float64{}
	for _, c := range []struct {
		name  string
		grows bool
		rate  float64
		one   bool
	}{{"10 M a day at its peak, one bucket", false, peak, false}, {"10 M a day at its peak, growing", true, peak, false},
		{"one account, 1,000/s, one bucket", false, hot, true}, {"one account, 1,000/s, growing", true, hot, true}} {
		r := rand.New(rand.NewPCG(7, 7))
		zipf := rand.NewZipf(r, 1.1, 1, accounts-1)
		h := &hotShard{r: r, grows: c.grows, n: map[string]uint16{}, partitions: map[string]*bucketOfTokens{}}
		h.run(c.rate, *hotMinutes, func() string {
			if c.one {
				return ids[0]
			}
			return ids[zipf.Uint64()]
		})
		t.Logf("%-36s %s", c.name, h)
		refused[c.name] = float64(h.refused) / float64(h.refused+len(h.took))
	}
	if refused["one account, 1,000/s, one bucket"] < .05 {
		t.Error("one bucket carries what it cannot: the model is too kind")
	}
	if refused["one account, 1,000/s, growing"] > .01 || refused["10 M a day at its peak, growing"] > 0 {
		t.Errorf("growing buckets refuse %v", refused)
	}
}
