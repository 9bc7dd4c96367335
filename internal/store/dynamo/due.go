package dynamo

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// Limits of one search for due items, in each shard of the index: the oldest rows, and as many
// more in a second search that moves on behind them, so that an account with a long queue, or one
// that cannot be processed, hides no other.
const (
	dueHead  = 100
	dueWalk  = 300
	asideRow = 10 // of those set aside

	// setAside is the shard of what was taken AsideAfter times without success.
	setAside   = "A"
	attrMisses = "f" // how often it was taken since its last change
)

// walks remembers, by shard, where the last search ended (nil: at the end, so the next one starts
// over). It is only in memory, and each process has its own.
type walks struct {
	mu sync.Mutex
	at map[string]item
}

// get returns where the last search of a shard ended.
func (w *walks) get(shard string) item {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at[shard]
}

// set records where a search of a shard ended.
func (w *walks) set(shard string, at item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at == nil {
		w.at = map[string]item{}
	}
	w.at[shard] = at
}

// dueNow returns the keys of up to limit items that are due by real time or by an account's clock,
// each once: the index lags, so an item may be in both lists, and a read of a batch that names a key
// twice is refused.
func (s *Store) dueNow(ctx context.Context, kind string, now time.Time, limit int) ([]key, error) {
	keys, err := s.inTurn(ctx, kind, now, limit)
	if err != nil {
		return nil, err
	}

	more, err := s.dueByClocks(ctx, kind, now)
	if err != nil {
		return nil, err
	}

	known := map[key]bool{}
	keys = slices.DeleteFunc(append(keys, more...), func(k key) bool {
		twice := known[k]
		known[k] = true
		return twice
	})
	return keys[:min(len(keys), limit)], nil
}

// inTurn returns the keys of up to limit due items, every account's oldest before any account's
// second. kind is linkPrefix or paymentPrefix. The rows come from the index, which may lag, so the
// caller must check each item.
func (s *Store) inTurn(ctx context.Context, kind string, now time.Time, limit int) ([]key, error) {
	shards := append(dueNames(kind), kind+setAside)
	found := make([][]item, len(shards))
	var group errgroup.Group
	group.SetLimit(parallelReads)
	for i, shard := range shards {
		group.Go(func() (err error) {
			found[i], err = s.lookInto(ctx, shard, now)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}

	// The shards in the order of time, each item once: the walk and the head may both have found
	// it.
	rows := slices.Concat(found...)
	slices.SortStableFunc(rows, func(a, b item) int { return cmp.Compare(number(a, attrDueAt), number(b, attrDueAt)) })
	seen, keys := map[key]bool{}, make([]key, 0, len(rows))
	for _, row := range rows {
		if k := keyOf(row); !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}

	keys = payment.InTurn(keys, func(k key) string { return accountOf(k.pk) })
	return keys[:min(len(keys), limit)], nil
}

// lookInto returns the oldest rows of a shard and, if there are more, the next ones of the walk
// through it. The shard of what was set aside is read in small portions and without a walk, because
// its items move behind each other by themselves.
func (s *Store) lookInto(ctx context.Context, shard string, now time.Time) ([]item, error) {
	most := int32(dueHead)
	if strings.HasSuffix(shard, setAside) {
		most = asideRow
	}
	q := dynamodb.QueryInput{
		IndexName:                 aws.String(indexDue),
		Limit:                     aws.Int32(most),
		KeyConditionExpression:    aws.String("d = :d AND e <= :now"),
		ExpressionAttributeValues: values{":d": str(shard), ":now": num(now.UnixMicro())},
	}

	rows, next, _, err := s.query(ctx, q)
	if err != nil || next == nil || most == asideRow {
		return rows, err
	}
	// Continue the walk unless the oldest rows have caught up with it.
	if at := s.walks.get(shard); number(at, attrDueAt) >= number(next, attrDueAt) && number(at, attrDueAt) <= now.UnixMicro() {
		next = at
	}
	q.ExclusiveStartKey, q.Limit = next, aws.Int32(dueWalk)
	more, next, _, err := s.query(ctx, q)
	if err == nil {
		s.walks.set(shard, next) // nil: from the start again
	}
	return append(rows, more...), err
}

// TakeDue implements payment.Store. The index may lag a moment: the condition on moving an item's
// time leaves out what is no longer due. Each payment is a write of its own, so one that fails does
// not hold up the others; the error names those.
func (s *Store) TakeDue(ctx context.Context, t payment.Take) ([]payment.Payment, error) {
	keys, err := s.dueNow(ctx, paymentPrefix, t.Now, t.Limit)
	if err != nil {
		return nil, err
	}

	rows, err := s.getItems(ctx, keys)
	if err != nil {
		return nil, err
	}

	taken := make([]*payment.Payment, len(rows))
	failed := make([]error, len(rows))
	var group errgroup.Group
	group.SetLimit(parallelReads)
	for i, row := range rows {
		group.Go(func() error {
			taken[i], failed[i] = s.take(ctx, row, t)
			return nil
		})
	}

	_ = group.Wait() // each error is in its place

	var list []payment.Payment
	for _, p := range taken {
		if p != nil {
			list = append(list, *p)
		}
	}

	slices.SortStableFunc(list, func(a, b payment.Payment) int { return a.DueAt().Compare(b.DueAt()) })
	return list, errors.Join(failed...)
}

// take moves the time of a payment, whether or not its document can be read. It returns nil if the
// payment is no longer due, another process was faster, or its issuer is busy. After AsideAfter
// takes without progress the payment goes to the shard of what is set aside; a commit of the
// payment brings it back.
func (s *Store) take(ctx context.Context, row item, t payment.Take) (*payment.Payment, error) {
	at, misses := number(row, attrDueAt), number(row, attrMisses)
	shard := text(row, attrDue)
	now := t.Now.Add(s.aheadOf(row))
	if shard == "" || shard == inReview || at > now.UnixMicro() {
		return nil, nil
	}

	is, broken := decodePayment(row)
	busy := broken == nil && slices.Contains(t.Busy, is.Issuer)
	if misses+1 >= payment.AsideAfter && !busy {
		shard = paymentPrefix + setAside
	}

	// Move the time before anything else: if this process crashes now, or the document cannot be
	// read, the payment still comes back later than the others.
	later := now.Add(payment.Backoff(misses)).UnixMicro()
	w := write{key: keyOf(row), update: "SET e = :later, d = :d ADD f :one", condition: "e = :at",
		values: values{":later": num(later), ":d": str(shard), ":one": num(1), ":at": num(at)}}
	if busy { // not the payment's own failure
		w.update = "SET e = :later, d = :d"
		delete(w.values, ":one")
	}

	moved := true
	err := s.commit(ctx, "", []write{w}, func(_ int, found item, again bool) error {
		moved = again && number(found, attrDueAt) == later // our earlier try may have succeeded; otherwise another process was faster
		return nil
	})
	if err != nil || !moved || busy {
		return nil, err
	}

	if broken != nil {
		return nil, broken
	}
	// The document decides: its due time may be later than the attribute's.
	is.Payment.Ahead = s.Ahead(is.Payment.Account, is.Payment.Mode)
	if due := is.Payment.DueAt(); due.IsZero() || due.After(is.Payment.At(t.Now)) {
		return nil, nil
	}

	return &is.Payment, nil
}

// aheadOf returns how far the item's account is ahead of real time, without reading its document,
// which may be damaged. The history key of a payment begins with the first letter of its mode.
func (s *Store) aheadOf(row item) time.Duration {
	mode := bytesOf(row, attrHistory)
	if len(mode) == 0 || mode[0] != link.Test[0] {
		return 0
	}
	return s.Ahead(accountOf(text(row, attrPartition)), link.Test)
}

// EachAside calls visit for each payment and link that is set aside, with the number of failed
// tries and the time of the next one. It reads the items, because the index has only their keys.
func (s *Store) EachAside(ctx context.Context, visit func(id, account string, misses int64, next time.Time) error) error {
	for _, kind := range []string{paymentPrefix, linkPrefix} {
		p := s.asidePages(kind)
		for {
			if err := p.fill(ctx); err != nil {
				return err
			}
			if len(p.rows) == 0 {
				break
			}
			keys := make([]key, len(p.rows))
			for i, row := range p.rows {
				keys[i] = keyOf(row)
			}

			p.rows = nil
			found, err := s.getItems(ctx, keys)
			if err != nil {
				return err
			}

			for _, row := range found {
				k := keyOf(row)
				if err := visit(strings.TrimPrefix(k.sk, kind), accountOf(k.pk), number(row, attrMisses),
					fromMicros(number(row, attrDueAt))); err != nil {
					return err
				}
			}
		}
	}

	return nil
}

// asidePages returns the index rows of what is set aside.
func (s *Store) asidePages(kind string) *pages {
	return s.newPages(dynamodb.QueryInput{IndexName: aws.String(indexDue), KeyConditionExpression: aws.String("d = :d"),
		ExpressionAttributeValues: values{":d": str(kind + setAside)}})
}

// RetryAside makes every payment and link that is set aside due now, and returns how many. One that
// a sweep takes at the same moment is left alone.
func (s *Store) RetryAside(ctx context.Context, now time.Time) (n int64, err error) {
	for _, kind := range []string{paymentPrefix, linkPrefix} {
		p := s.asidePages(kind)
		for {
			if err := p.fill(ctx); err != nil {
				return n, err
			}
			if len(p.rows) == 0 {
				break
			}
			for _, row := range p.rows {
				k := keyOf(row)
				w := write{key: k, update: "SET e = :now, d = :d REMOVE f", condition: "d = :aside",
					values: values{
						":now":   num(now.UnixMicro()),
						":d":     str(dueShard(kind, strings.TrimPrefix(k.sk, kind))),
						":aside": str(kind + setAside),
					}}
				moved := int64(1)
				if err := s.commit(ctx, "", []write{w}, func(int, item, bool) error { moved = 0; return nil }); err != nil {
					return n, err
				}
				n += moved
			}
			p.rows = nil
		}
	}

	return n, nil
}
