package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/testclock"
)

// Test clocks: an item each, all in one partition, so that reading all of them is
// one small query. They are few: most tables have none.
const (
	clocksPartition = "C#"
	attrAhead       = "o" // microseconds
)

var _ link.Clocked = (*Store)(nil)

// Clocks of the accounts, as this process knows them.
func (s *Store) Clocks() *testclock.Set { return &s.clocks }

// Ahead is how far ahead of real time the account's data of the mode lives.
func (s *Store) Ahead(account, mode string) time.Duration { return s.clocks.Ahead(account, mode) }

// ClockMoved is closed when a clock moves: what is due may have changed.
func (s *Store) ClockMoved() <-chan struct{} { return s.clocks.Moved() }

// RunClocks reads the clocks again and again, until ctx ends (nil).
func (s *Store) RunClocks(ctx context.Context) error { return s.clocks.Run(ctx, s.TestClocks) }

// LearnClocks reads them once: before anything is served.
func (s *Store) LearnClocks(ctx context.Context) error {
	all, err := s.TestClocks(ctx)
	if err == nil {
		s.clocks.Learn(all)
	}
	return err
}

// TestClocks reads all clocks.
func (s *Store) TestClocks(ctx context.Context) (map[string]time.Duration, error) {
	all := map[string]time.Duration{}
	rows := s.newPages(dynamodb.QueryInput{ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :p"),
		ExpressionAttributeValues: values{":p": str(clocksPartition)}})
	for {
		if err := rows.fill(ctx); err != nil {
			return nil, err
		}
		if len(rows.rows) == 0 {
			return all, nil
		}
		for _, row := range rows.rows {
			all[text(row, attrSort)] = time.Duration(number(row, attrAhead)) * time.Microsecond
		}
		rows.rows = nil
	}
}

// PutClock moves an account's clock to where it is elsewhere. A clock never goes
// back: an older word changes nothing.
func (s *Store) PutClock(ctx context.Context, account string, ahead time.Duration) error {
	row := key{clocksPartition, account}.item()
	row[attrAhead] = num(ahead.Microseconds())
	err := s.commit(ctx, "", []write{{put: row, condition: "attribute_not_exists(pk) OR o < :ahead", values: values{":ahead": num(ahead.Microseconds())}}},
		func(int, item, bool) error { return nil })
	if err == nil {
		s.clocks.Put(account, ahead)
	}
	return err
}

// dueByClocks are the keys of what is due by the clocks of accounts that live
// ahead, and not by the real time, which the index finds.
func (s *Store) dueByClocks(ctx context.Context, kind string, now time.Time) ([]key, error) {
	var keys []key
	err := s.clocks.Round(kind, func(account string, ahead time.Duration) error {
		n, err := s.buckets(ctx, account)
		if err != nil {
			return err
		}
		for b := range n {
			rows := s.newPages(dynamodb.QueryInput{ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :p AND begins_with(sk, :kind)"),
				FilterExpression: aws.String("attribute_exists(d) AND d <> :review AND e <= :until AND e > :now"),
				ExpressionAttributeValues: values{":p": str(partition(account, b)), ":kind": str(kind), ":review": str(inReview),
					":until": num(now.Add(ahead).UnixMicro()), ":now": num(now.UnixMicro())}})
			for {
				if err := rows.fill(ctx); err != nil {
					return err
				}
				if len(rows.rows) == 0 {
					break
				}
				for _, row := range rows.rows {
					keys = append(keys, keyOf(row))
				}
				rows.rows = nil
			}
		}
		return nil
	})
	return keys, err
}
