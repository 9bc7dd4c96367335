package dynamo

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// ForgetRest lets an account's buckets grow again at once.
func (s *Store) ForgetRest(account string) {
	s.heat.mu.Lock()
	defer s.heat.mu.Unlock()
	s.heat.account(account).grownAt = time.Time{}
}

// Heat counts units of the account's first partition, all in one second.
func (s *Store) Heat(account string, units float64) {
	s.heat.addAt(partition(account, 0), units, time.Unix(1, 0))
}

// putBatch is the most items that DynamoDB writes in one request.
const putBatch = 25

// Load puts missing payments or links, many in one request. It is faster than LoadPayments and
// LoadLinks, which set a condition on each.
func (s *Store) Load(ctx context.Context, payments []payment.Payment, links []link.Link) error {
	var rows []item
	for _, p := range payments {
		row, _, err := encodePayment(p, beside{}, nil)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	for _, l := range links {
		row, err := encodeLink(l, nil)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return s.putAll(ctx, rows)
}

// InFirstShard reports whether a payment is due in the first shard of the index.
func InFirstShard(id string) bool { return dueShard(paymentPrefix, id) == dueNames(paymentPrefix)[0] }

// Spoil damages the documents of an account's items of a kind, without the store's knowledge.
func (s *Store) Spoil(ctx context.Context, account, kind string) error {
	p := s.newPages(
		dynamodb.QueryInput{ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :p AND begins_with(sk, :kind)"),
			ExpressionAttributeValues: values{":p": str(partition(account, 0)), ":kind": str(kind)}},
	)
	for {
		if err := p.fill(ctx); err != nil || len(p.rows) == 0 {
			return err
		}
		for _, row := range p.rows {
			row["b"] = bin([]byte("spoiled"))
		}
		if err := s.putAll(ctx, p.rows); err != nil {
			return err
		}
		p.rows = nil
	}
}

func (s *Store) putAll(ctx context.Context, rows []item) error {
	var group errgroup.Group
	group.SetLimit(parallelLoads)
	for batch := range slices.Chunk(rows, putBatch) {
		group.Go(func() error {
			requests := make([]types.WriteRequest, len(batch))
			for i, row := range batch {
				requests[i].PutRequest = &types.PutRequest{Item: row}
			}
			for len(requests) > 0 {
				out, err := s.db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{s.table: requests}})
				if err != nil {
					return err
				}
				requests = out.UnprocessedItems[s.table]
			}
			return nil
		})
	}
	return group.Wait()
}

// Texts returns the documents and events of all payments as they are stored, without compression.
func (s *Store) Texts(ctx context.Context) (texts []string, err error) {
	err = s.scan(ctx, func(rows []item) error {
		for _, row := range rows {
			if !isPayment(row) {
				continue
			}
			plain, err := unpack(bytesOf(row, attrBlob))
			if err != nil {
				return err
			}
			texts = append(texts, string(plain))
		}
		return nil
	})
	return texts, err
}
