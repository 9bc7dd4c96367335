package dynamo

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/obs"
)

// item is a row of the table.
type item = map[string]types.AttributeValue

// values are the named values of a condition or an update.
type values = map[string]types.AttributeValue

// spent reports a call that succeeded, with the units that it consumed. The units of a write to the
// table itself, without its indexes, count as heat of the partition.
func (s *Store) spent(operation string, start time.Time, partition string, write bool, used ...types.ConsumedCapacity) {
	c := Call{Operation: operation, Took: time.Since(start)}
	for _, u := range used {
		units := aws.ToFloat64(u.CapacityUnits)
		if u.WriteCapacityUnits != nil || u.ReadCapacityUnits != nil {
			c.Write += aws.ToFloat64(u.WriteCapacityUnits)
			c.Read += aws.ToFloat64(u.ReadCapacityUnits)
		} else if write {
			c.Write += units
		} else {
			c.Read += units
		}

		if write && partition != "" && u.Table != nil {
			s.heat.add(partition, aws.ToFloat64(u.Table.CapacityUnits))
		}
	}

	s.observe(c)
}

// one returns the list of one capacity, or of none if DynamoDB reported none.
func one(u *types.ConsumedCapacity) []types.ConsumedCapacity {
	if u == nil {
		return nil
	}
	return []types.ConsumedCapacity{*u}
}

// getItem reads one item, or returns nil if there is none. A consistent read costs twice the units
// and sees every write that was confirmed before it.
func (s *Store) getItem(ctx context.Context, k key, consistent bool) (found item, err error) {
	err = s.call(ctx, "GetItem", "", func(ctx context.Context, _ bool) error {
		start := time.Now()
		out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: k.item(), ConsistentRead: &consistent,
			ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
		if err != nil {
			return err
		}
		s.spent("GetItem", start, "", false, one(out.ConsumedCapacity)...)

		found = out.Item
		return nil
	})
	return found, err
}

// getItems reads many items consistently, in no particular order. Missing ones are left out. The
// keys must differ: DynamoDB refuses a batch with duplicates.
func (s *Store) getItems(ctx context.Context, keys []key) ([]item, error) {
	var all []item
	for len(keys) > 0 {
		n := min(len(keys), batchItems)
		batch := make([]map[string]types.AttributeValue, n)
		for i, k := range keys[:n] {
			batch[i] = k.item()
		}
		keys = keys[n:]

		found, err := s.getBatch(ctx, batch)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}

	return all, nil
}

// getBatch reads at most batchItems items. What DynamoDB leaves unprocessed is read by the next try
// of the call, as if it had been throttled.
func (s *Store) getBatch(ctx context.Context, batch []map[string]types.AttributeValue) (all []item, err error) {
	err = s.call(ctx, "BatchGetItem", "", func(ctx context.Context, _ bool) error {
		start := time.Now()
		out, err := s.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
			RequestItems: map[string]types.KeysAndAttributes{s.table: {Keys: batch, ConsistentRead: aws.Bool(true)}}})
		if err != nil {
			return err
		}
		s.spent("BatchGetItem", start, "", false, out.ConsumedCapacity...)
		all = append(all, out.Responses[s.table]...)

		if batch = out.UnprocessedKeys[s.table].Keys; len(batch) > 0 {
			return &types.ProvisionedThroughputExceededException{Message: aws.String("a part of the batch was not read")}
		}
		return nil
	})
	return all, err
}

// query reads one page and returns its rows, the start of the next page (nil at the end), and the
// number of rows, which a count returns alone.
func (s *Store) query(ctx context.Context, q dynamodb.QueryInput) (page []item, next item, count int, err error) {
	q.TableName, q.ReturnConsumedCapacity = &s.table, types.ReturnConsumedCapacityTotal
	err = s.call(ctx, "Query", "", func(ctx context.Context, _ bool) error {
		start := time.Now()
		out, err := s.db.Query(ctx, &q)
		if err != nil {
			return err
		}

		s.spent("Query", start, "", false, one(out.ConsumedCapacity)...)
		page, next, count = out.Items, out.LastEvaluatedKey, int(out.Count)
		return nil
	})
	return page, next, count, err
}

// write is one item of a commit: a put of an item, or an update of a key. key and update belong to
// an update; a put has its key in the item. The condition is what makes a repeated write
// recognizable; only a put that may be repeated has none.
type write struct {
	put       item
	key       key
	update    string
	condition string
	values    values
}

// when returns the condition of a put, or nil if it has none.
func (w write) when() *string {
	if w.condition == "" {
		return nil
	}
	return &w.condition
}

// partition returns the partition of the item that is written.
func (w write) partition() string {
	if w.put != nil {
		return text(w.put, attrPartition)
	}
	return w.key.pk
}

// commit carries out all of the writes or none. On a refusal it calls settled with the write whose
// condition failed, the item stored there (nil: none), and whether an earlier try of this call may
// have been carried out. settled returns nil if the refusal means success, because this same change
// is stored, or the error that decides the call. Other errors are those of call. token names a
// transaction; a single write needs none.
func (s *Store) commit(ctx context.Context, token string, writes []write, settled func(place int, found item, again bool) error) error {
	name := map[bool]string{true: "TransactWriteItems", false: "PutItem"}[len(writes) > 1]
	if len(writes) == 1 && writes[0].put == nil {
		name = "UpdateItem"
	}

	err := s.call(ctx, name, writes[0].partition(), func(ctx context.Context, again bool) error {
		err := s.send(ctx, token, writes)
		place, found, refused := refusal(err)
		if !refused || judge(err) != final {
			return err
		}
		if err := settled(place, found, again); err != nil {
			return decided{err}
		}
		return nil
	})

	var decision decided
	if errors.As(err, &decision) {
		return decision.error
	}
	s.noted(err)
	return err
}

// noted records the outcome of a write for readiness. Contention on one account (store_busy) and
// a caller that gave up say nothing about the table.
func (s *Store) noted(err error) {
	switch {
	case err == nil:
		s.writes.Confirmed()
	case fault.Code(err) != "store_busy" && !errors.Is(err, context.Canceled):
		s.writes.Refused(err)
	}
}

// Writable returns why the table accepts no writes, or nil. It is for readiness. The probe is a
// write whose condition fails: DynamoDB checks permission, capacity and the item as for any other,
// and stores nothing.
func (s *Store) Writable(ctx context.Context) error {
	return s.writes.Ready(ctx, func(ctx context.Context) error {
		err := s.send(ctx, "", []write{{put: key{pk: "PING", sk: "PING"}.item(), condition: "attribute_exists(" + attrPartition + ")"}})
		var failed *types.ConditionalCheckFailedException
		if errors.As(err, &failed) {
			return nil
		}
		return err
	})
}

// Writes returns the state of recent writes, for metrics.
func (s *Store) Writes() *obs.Writes { return s.writes }

// decided is the final error after a refusal: the call is not tried again.
type decided struct{ error }

// send makes one try of the writes, as a transaction if there are several. Every failed condition
// returns the item that it found, so that no further read is needed to judge a refusal.
func (s *Store) send(ctx context.Context, token string, writes []write) error {
	start, partition := time.Now(), writes[0].partition()
	old, units := types.ReturnValuesOnConditionCheckFailureAllOld, types.ReturnConsumedCapacityIndexes
	if len(writes) > 1 {
		in := &dynamodb.TransactWriteItemsInput{ReturnConsumedCapacity: units, ClientRequestToken: &token}
		for _, w := range writes {
			var t types.TransactWriteItem
			if w.put != nil {
				t.Put = &types.Put{TableName: &s.table, Item: w.put, ConditionExpression: w.when(), ExpressionAttributeValues: w.values,
					ReturnValuesOnConditionCheckFailure: old}
			} else {
				t.Update = &types.Update{TableName: &s.table, Key: w.key.item(), UpdateExpression: &w.update, ConditionExpression: &w.condition,
					ExpressionAttributeValues: w.values, ReturnValuesOnConditionCheckFailure: old}
			}
			in.TransactItems = append(in.TransactItems, t)
		}
		out, err := s.db.TransactWriteItems(ctx, in)
		if err == nil {
			s.spent("TransactWriteItems", start, partition, true, out.ConsumedCapacity...)
		}
		return err
	}

	w := writes[0]
	if w.put != nil {
		out, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: w.put, ConditionExpression: w.when(),
			ExpressionAttributeValues: w.values, ReturnValuesOnConditionCheckFailure: old, ReturnConsumedCapacity: units})
		if err == nil {
			s.spent("PutItem", start, partition, true, one(out.ConsumedCapacity)...)
		}
		return err
	}

	out, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: &s.table, Key: w.key.item(), UpdateExpression: &w.update,
		ConditionExpression: &w.condition, ExpressionAttributeValues: w.values, ReturnValuesOnConditionCheckFailure: old,
		ReturnConsumedCapacity: units})
	if err == nil {
		s.spent("UpdateItem", start, partition, true, one(out.ConsumedCapacity)...)
	}
	return err
}
