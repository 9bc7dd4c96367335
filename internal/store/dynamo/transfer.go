package dynamo

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// The functions below move links and payments into the table, or out of it; package archive
// defines the order. Loaded objects bring no events along: the feed already has them.

// parallelLoads is how many items are put concurrently.
const parallelLoads = 16

// EachRecord implements archive.Source. It scans the whole table, in no particular order.
func (s *Store) EachRecord(ctx context.Context, visit func(idempotency.Record) error) error {
	return s.scan(ctx, func(rows []item) error {
		for _, row := range rows {
			name, ok := strings.CutPrefix(text(row, attrPartition), recordPrefix)
			if !ok {
				continue
			}

			scope, key, _ := strings.Cut(name, "#")
			if err := visit(recordOf(scope, key, row)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Empty reports whether the table contains nothing at all, not even what no archive could load. The
// names of keys do not count: a server records them before it has any data.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	var rows []item
	in := dynamodb.ScanInput{TableName: &s.table, ConsistentRead: aws.Bool(true), Limit: aws.Int32(100),
		FilterExpression: aws.String("pk <> :keys"), ExpressionAttributeValues: values{":keys": str(keysPartition)}}
	for {
		err := s.call(ctx, "Scan", "", func(ctx context.Context, _ bool) error {
			out, err := s.db.Scan(ctx, &in)
			if err == nil {
				rows, in.ExclusiveStartKey = out.Items, out.LastEvaluatedKey
			}
			return err
		})
		if err != nil || len(rows) > 0 || in.ExclusiveStartKey == nil {
			return len(rows) == 0, err
		}
	}
}

// LoadLinks puts missing links, and introduces their accounts. What exists stays unchanged, so a
// load that was interrupted can be repeated.
func (s *Store) LoadLinks(ctx context.Context, list []link.Link) error {
	introduced := map[string]bool{}
	for _, l := range list {
		if introduced[l.Account] {
			continue
		}
		if _, err := s.introduce(ctx, l.Account); err != nil {
			return err
		}
		introduced[l.Account] = true
	}
	return load(ctx, s, list, func(l link.Link) (item, error) { return encodeLink(l, nil) })
}

// LoadPayments puts missing payments, without events. Their accounts must have been introduced by
// their links.
func (s *Store) LoadPayments(ctx context.Context, list []payment.Payment) error {
	return load(ctx, s, list, func(p payment.Payment) (item, error) {
		row, _, err := encodePayment(p, beside{}, nil)
		return row, err
	})
}

// LoadRecords puts missing records.
func (s *Store) LoadRecords(ctx context.Context, list []idempotency.Record) error {
	return load(ctx, s, list, func(r idempotency.Record) (item, error) { return putRecord(r).put, nil })
}

// load puts the items that are missing, several at once. It is not atomic: the first error ends it,
// and a repetition puts the rest.
func load[T any](ctx context.Context, s *Store, list []T, encode func(T) (item, error)) error {
	var group errgroup.Group
	group.SetLimit(parallelLoads)
	for _, one := range list {
		group.Go(func() error {
			row, err := encode(one)
			if err != nil {
				return err
			}
			there := func(int, item, bool) error { return nil } // it was loaded before
			return s.commit(ctx, "", []write{{put: row, condition: ifNew}}, there)
		})
	}

	return group.Wait()
}
