package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"
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

// Spoil damages the documents of an account's items of a kind, behind the store's back.
func (s *Store) Spoil(ctx context.Context, account, kind string) error {
	p := s.newPages(dynamodb.QueryInput{ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :p AND begins_with(sk, :kind)"),
		ExpressionAttributeValues: values{":p": str(partition(account, 0)), ":kind": str(kind)}})
	for {
		if err := p.fill(ctx); err != nil || len(p.rows) == 0 {
			return err
		}
		var group errgroup.Group
		group.SetLimit(parallelReads)
		for _, row := range p.rows {
			group.Go(func() error {
				return s.commit(ctx, "", []write{{key: keyOf(row), update: "SET b = :b", condition: "attribute_exists(pk)", values: values{":b": bin([]byte("spoiled"))}}},
					func(int, item, bool) error { return nil })
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		p.rows = nil
	}
}
