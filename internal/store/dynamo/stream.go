package dynamo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/paylink/paylink/internal/stream"
)

var (
	_ stream.Sharded = (*Store)(nil)
	_ stream.Source  = (*Store)(nil)
)

// Limits of the feed. A shard allows five reads a second and 1000 records in each.
const (
	listEvery    = 10 * time.Second
	maxReaders   = 1024
	pollFirst    = 50 * time.Millisecond // after an answer without records; doubles
	pollLongest  = time.Second
	pollPause    = 200 * time.Millisecond // a shard answers five times a second
	recordsBatch = 1000
)

// errGap starts a rebuild from the table.
var errGap = errors.New("the stream no longer has records that were not read")

// Follow implements stream.Sharded on the table's stream. It lists the shards, reads each after its
// parent, and delivers every change's events. If the stream has dropped unread records (they live
// 24 hours), the table is read again: every item contains all its events. from has the checkpoints
// by shard. An error of handle ends it; the batch then counts as not delivered. It returns nil when
// ctx ends.
func (s *Store) Follow(ctx context.Context, from map[string]string, handle func(context.Context, stream.Batch) error) error {
	t, err := s.describe(ctx)
	if err != nil {
		return quiet(ctx, err)
	}
	if t.LatestStreamArn == nil {
		return fmt.Errorf("the table %s has no stream: run paylink migrate", s.table)
	}

	w := &walker{s: s, arn: *t.LatestStreamArn, known: maps.Clone(from), handle: handle}
	return quiet(ctx, w.walk(ctx))
}

// quiet returns nil if ctx has ended, because the error only says so then.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// walker is one run of Follow. Only its own goroutine calls handle and changes its state. known has
// the checkpoints by shard; none means that the table must be read first.
type walker struct {
	s      *Store
	arn    string
	known  map[string]string
	handle func(context.Context, stream.Batch) error
}

// portion is what a reader got from a shard. The reader continues when it is taken. A portion with
// an error is the reader's last.
type portion struct {
	stream.Batch

	shard      string
	checkpoint string // empty: unchanged
	err        error
}

// walk reads the shards, after a rebuild if there is no checkpoint or records were lost. It returns
// nil when ctx ends, and any error but errGap.
func (w *walker) walk(ctx context.Context) error {
	for ctx.Err() == nil {
		listed, err := w.list(ctx)
		if err != nil {
			return err
		}
		// A gap means that some change may never be seen in the stream. Every item contains all its
		// events, so the table has what the stream lost.
		if len(w.known) == 0 || chart(listed, w.known, time.Now()).gap {
			if err := w.rebuild(ctx, listed); err != nil {
				return err
			}
		}
		if err := w.read(ctx); !errors.Is(err, errGap) {
			return err
		}
		// The readers have ended. Begin again with the table.
		w.known = nil
	}

	return nil
}

// take hands a batch over and records its checkpoints in known, once handle has stored them. An
// empty batch is not handed over.
func (w *walker) take(ctx context.Context, b stream.Batch) error {
	if len(b.Events) == 0 && len(b.Activity) == 0 && len(b.Checkpoints) == 0 && len(b.Aside) == 0 {
		return nil
	}
	if err := w.handle(ctx, b); err != nil {
		return err
	}

	if b.Fresh {
		w.known = map[string]string{}
	}
	for id, at := range b.Checkpoints {
		if at == "" {
			delete(w.known, id)
		} else {
			w.known[id] = at
		}
	}

	return nil
}

// rebuild delivers every event in the table. The shards were listed before, so later changes are in
// them or in their children. A crash before the last batch leaves the old checkpoints, and the
// rebuild starts again. The consumer drops the events that it has.
func (w *walker) rebuild(ctx context.Context, listed []shard) error {
	now := trimAt(time.Now())
	w.known = map[string]string{}
	err := w.s.scan(ctx, func(rows []item) error {
		var b stream.Batch
		for _, row := range rows {
			gatherChanges(&b, row, nil)
		}
		if err := w.s.complete(ctx, &b); err != nil {
			return err
		}
		return w.take(ctx, b)
	})
	if err != nil {
		return err
	}

	// Only this last batch moves the checkpoints. The shards are read from here on at their oldest
	// record; what the table showed already is recognized.
	b := stream.Batch{Fresh: true, Checkpoints: map[string]string{}}
	for _, s := range listed {
		b.Checkpoints[s.id] = now
	}

	return w.take(ctx, b)
}

// read follows the shards until ctx ends, something fails, or records turn out to be lost (errGap).
// It lists the shards every listEvery, and at once when one was read to its end. All its readers
// have ended when it returns.
func (w *walker) read(ctx context.Context) error {
	reading, stop := context.WithCancel(ctx)
	var readers sync.WaitGroup
	portions := make(chan portion)
	defer func() { stop(); readers.Wait() }()

	running := map[string]bool{}
	tick := time.NewTicker(listEvery)
	defer tick.Stop()
	for {
		listed, err := w.list(ctx)
		if err != nil {
			return err
		}
		// Shards split and end all the time. The list is compared with what was read on each round,
		// so a gap is noticed while readers run.
		c := chart(listed, w.known, time.Now())
		if c.gap {
			return errGap
		}

		b := stream.Batch{Checkpoints: c.begin}
		for _, id := range c.forget {
			b.Checkpoints[id] = ""
		}
		if err := w.take(ctx, b); err != nil {
			return err
		}

		// A reader belongs to a shard until the shard's end. Those beyond the limit wait for the
		// next round.
		for _, id := range c.ready {
			if !running[id] && len(running) < maxReaders {
				running[id] = true
				at := w.known[id]
				readers.Go(func() { w.s.readShard(reading, w.arn, id, at, portions) })
			}
		}

		if err := w.gather(ctx, tick.C, portions, running); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// gather takes the readers' portions until it is time to list the shards again, which is when tick
// fires or a shard has been read to its end.
func (w *walker) gather(ctx context.Context, tick <-chan time.Time, portions <-chan portion, running map[string]bool) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
			return nil
		// The reader waits until its portion is taken, so one shard cannot fill the memory.
		case p := <-portions:
			if p.err != nil {
				return p.err
			}

			b := p.Batch
			b.Checkpoints = map[string]string{}
			if p.checkpoint != "" {
				b.Checkpoints[p.shard] = p.checkpoint
			}
			if err := w.take(ctx, b); err != nil {
				return err
			}

			if p.checkpoint == checkpointDone {
				delete(running, p.shard)
				return nil // its children may be read now
			}
		}
	}
}

// list returns all shards of the stream that still exist.
func (w *walker) list(ctx context.Context) ([]shard, error) {
	var all []shard
	in := &dynamodbstreams.DescribeStreamInput{StreamArn: &w.arn}
	for {
		var out *dynamodbstreams.DescribeStreamOutput
		err := w.s.call(ctx, "DescribeStream", "", func(ctx context.Context, _ bool) (err error) {
			out, err = w.s.feed.DescribeStream(ctx, in)
			return err
		})
		if err != nil {
			return nil, err
		}

		for _, s := range out.StreamDescription.Shards {
			one := shard{id: aws.ToString(s.ShardId), parent: aws.ToString(s.ParentShardId)}
			if s.SequenceNumberRange != nil {
				one.first = aws.ToString(s.SequenceNumberRange.StartingSequenceNumber)
			}
			all = append(all, one)
		}
		if in.ExclusiveStartShardId = out.StreamDescription.LastEvaluatedShardId; in.ExclusiveStartShardId == nil {
			return all, nil
		}
	}
}

// readShard sends the shard's portions, from a checkpoint to its end, to out. Its last portion has
// the checkpoint checkpointDone or an error. It returns when ctx ends, and waits between two reads.
func (s *Store) readShard(ctx context.Context, arn, id, at string, out chan<- portion) {
	give := func(p portion) bool {
		p.shard = id
		select {
		case out <- p:
			return true
		case <-ctx.Done():
			return false
		}
	}

	iterator, err := s.iterator(ctx, arn, id, at)
	wait := pollFirst
	for err == nil {
		if iterator == nil {
			give(portion{checkpoint: checkpointDone})
			return
		}
		var records []streams.Record
		var next *string
		records, next, err = s.records(ctx, *iterator)
		var expired *streams.ExpiredIteratorException
		if errors.As(err, &expired) { // an iterator lives 15 minutes
			iterator, err = s.iterator(ctx, arn, id, at)
			continue
		}
		if err != nil {
			break
		}

		// Decode before the checkpoint moves: an error leaves the records to the next reader.
		iterator = next
		p := portion{}
		if p.Batch, err = s.eventsOf(ctx, records); err != nil {
			break
		}

		// An answer without records moves no checkpoint, except that a shard that was read and is
		// empty need not be trusted from an old time.
		if len(records) > 0 {
			at = checkpointAfter + aws.ToString(records[len(records)-1].Dynamodb.SequenceNumber)
			p.checkpoint, wait = at, pollFirst
		} else if taken, trim := trimTime(at); trim && time.Since(taken) > trimRefreshed {
			at = trimAt(time.Now()) // it was read, and is empty
			p.checkpoint = at
		}
		if p.checkpoint != "" && !give(p) {
			return
		}

		if iterator != nil && !sleep(ctx, max(wait, pollPause)) {
			return
		}
		wait = min(2*wait, pollLongest)
	}

	// Records that were trimmed before they were read are gone from the stream, but not from the
	// table.
	var trimmed *streams.TrimmedDataAccessException
	var gone *streams.ResourceNotFoundException
	if errors.As(err, &trimmed) || errors.As(err, &gone) {
		err = errGap
	}
	give(portion{err: err})
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// iterator returns an iterator of a shard from a checkpoint: after or at a record, or at the oldest
// one that is left.
func (s *Store) iterator(ctx context.Context, arn, id, at string) (*string, error) {
	in := &dynamodbstreams.GetShardIteratorInput{StreamArn: &arn, ShardId: &id, ShardIteratorType: streams.ShardIteratorTypeTrimHorizon}
	if n, ok := strings.CutPrefix(at, checkpointAfter); ok {
		in.ShardIteratorType, in.SequenceNumber = streams.ShardIteratorTypeAfterSequenceNumber, &n
	} else if n, ok := strings.CutPrefix(at, checkpointAt); ok && n != "" {
		in.ShardIteratorType, in.SequenceNumber = streams.ShardIteratorTypeAtSequenceNumber, &n
	}

	var iterator *string
	err := s.call(ctx, "GetShardIterator", "", func(ctx context.Context, _ bool) error {
		out, err := s.feed.GetShardIterator(ctx, in)
		if err == nil {
			iterator = out.ShardIterator
		}
		return err
	})
	return iterator, err
}

// records reads one batch of records. next is nil at the end of the shard.
func (s *Store) records(ctx context.Context, iterator string) (list []streams.Record, next *string, err error) {
	err = s.call(ctx, "GetRecords", "", func(ctx context.Context, _ bool) error {
		out, err := s.feed.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: &iterator, Limit: aws.Int32(recordsBatch)})
		if err == nil {
			list, next = out.Records, out.NextShardIterator
		}
		return err
	})
	return list, next, err
}

// eventsOf returns what records of the stream add, and the items that cannot be read.
func (s *Store) eventsOf(ctx context.Context, records []streams.Record) (b stream.Batch, err error) {
	for _, r := range records {
		if r.Dynamodb == nil || len(r.Dynamodb.NewImage) == 0 {
			continue // removed: only what has a time to live
		}
		gatherChanges(&b, image(r.Dynamodb.NewImage), image(r.Dynamodb.OldImage))
	}
	return b, s.complete(ctx, &b)
}

// gatherChanges adds the events of a change, and who made it. If the item cannot be read, it is set
// aside, because it must not hold up the events of all others.
func gatherChanges(b *stream.Batch, now, was item) {
	did, is, err := activityOf(now)
	var more []stream.Event
	if !is {
		more, err = changes(now, was)
	}
	switch {
	case err != nil:
		k := keyOf(now)
		b.Aside = append(b.Aside, stream.Aside{Item: k.sk[strings.IndexByte(k.sk, '#')+1:], Account: accountOf(k.pk), Reason: err.Error(),
			At: time.Now()})
	case is:
		b.Activity = append(b.Activity, did)
	default:
		b.Events = append(b.Events, more...)
	}
}

// changes returns the events that an item contains now and did not contain before. Events are only
// ever added, at the end, so the two counts are enough.
func changes(now, was item) ([]stream.Event, error) {
	from := int(number(was, attrEvents))
	if int(number(now, attrEvents)) <= from {
		return nil, nil
	}

	switch {
	case isPayment(now):
		p, err := decodePayment(now)
		if err != nil {
			return nil, err
		}
		return pieces{events: p.events}.decodeEvents(owner{p.ID, p.Account, p.Mode}, p.Metadata, from)
	case isLink(now):
		l, err := decodeLink(now)
		if err != nil {
			return nil, err
		}
		return l.decodeEvents(l.owner(), l.Metadata, from)
	}

	return nil, nil
}

// complete restores the tokens of links in the events of a payment's item, which it reads from the
// links' items. An event whose link cannot be read is set aside.
func (s *Store) complete(ctx context.Context, b *stream.Batch) error {
	var keys []key
	for _, e := range b.Events {
		if bytes.IndexByte(e.Data, lentToken) >= 0 {
			keys = append(keys, linkKey(e.Account, e.Object))
		}
	}

	slices.SortFunc(keys, func(a, b key) int { return strings.Compare(a.pk+a.sk, b.pk+b.sk) })
	rows, err := s.getItems(ctx, slices.Compact(keys))
	if err != nil {
		return err
	}

	tokens := map[string]string{}
	for _, row := range rows {
		if l, err := decodeLink(row); err == nil {
			tokens[l.ID] = l.Token
		}
	}

	all := b.Events
	b.Events = nil
	for _, e := range all {
		if bytes.IndexByte(e.Data, lentToken) >= 0 {
			token, ok := tokens[e.Object]
			if !ok {
				b.Aside = append(b.Aside, stream.Aside{Item: e.ID, Account: e.Account, At: time.Now(),
					Reason: damaged("link", e.Object, nil).Error()})
				continue
			}
			e.Data = bytes.ReplaceAll(e.Data, []byte{lentToken}, []byte(token))
		}
		b.Events = append(b.Events, e)
	}

	return nil
}

// image returns an item of the stream as the table has it. Other types than our attributes are left
// out.
func image(from map[string]streams.AttributeValue) item {
	to := item{}
	for name, v := range from {
		switch v := v.(type) {
		case *streams.AttributeValueMemberS:
			to[name] = str(v.Value)
		case *streams.AttributeValueMemberB:
			to[name] = bin(v.Value)
		case *streams.AttributeValueMemberN:
			to[name] = &types.AttributeValueMemberN{Value: v.Value}
		}
	}

	return to
}

// Checkpoints of consumers that are kept in the table.
const (
	checkpointPrefix = "C#"
	attrCheckpoint   = "w"
)

// Consume implements stream.Source. The checkpoints are in the table, one item for each shard. A
// consumer that was away longer than the stream's retention gets all events again.
func (s *Store) Consume(ctx context.Context, consumer string, handle func(context.Context, []stream.Event) error) error {
	from, err := s.checkpoints(ctx, consumer)
	if err != nil {
		return quiet(ctx, err)
	}
	return s.Follow(ctx, from, func(ctx context.Context, b stream.Batch) error {
		if len(b.Events) > 0 {
			if err := handle(ctx, b.Events); err != nil {
				return err
			}
		}
		return s.saveCheckpoints(context.WithoutCancel(ctx), consumer, b)
	})
}

// checkpoints returns the consumer's checkpoints by shard.
func (s *Store) checkpoints(ctx context.Context, consumer string) (map[string]string, error) {
	at := map[string]string{}
	p := s.newPages(dynamodb.QueryInput{ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :p"),
		ExpressionAttributeValues: values{":p": str(checkpointPrefix + consumer)}})
	for {
		if err := p.fill(ctx); err != nil {
			return nil, err
		}
		if len(p.rows) == 0 {
			return at, nil
		}
		for _, row := range p.rows {
			at[text(row, attrSort)] = text(row, attrCheckpoint)
		}
		p.rows = nil
	}
}

// saveCheckpoints stores the checkpoints of a batch, one item each, after the consumer has handled
// it. After a crash in between, some shards are delivered again.
func (s *Store) saveCheckpoints(ctx context.Context, consumer string, b stream.Batch) error {
	set := maps.Clone(b.Checkpoints)
	// A fresh start names every shard that counts; any other checkpoint is of an earlier stream.
	if b.Fresh {
		old, err := s.checkpoints(ctx, consumer)
		if err != nil {
			return err
		}
		for id := range old {
			if _, ok := set[id]; !ok {
				set[id] = ""
			}
		}
	}

	for id, at := range set {
		k := key{checkpointPrefix + consumer, id}
		err := s.call(ctx, "PutItem", "", func(ctx context.Context, _ bool) error {
			if at == "" {
				_, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.table, Key: k.item()})
				return err
			}
			row := k.item()
			row[attrCheckpoint] = str(at)
			_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: row})
			return err
		})
		if err != nil {
			return err
		}
	}

	return nil
}
