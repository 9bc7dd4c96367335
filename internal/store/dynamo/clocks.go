package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/testclock"
)

// Test clocks: one item each, all in one partition, so that one small query reads all of them.
// There are few, and none in most tables.
const (
	clocksPartition = "C#"
	attrAhead       = "o" // microseconds
)

var _ link.Clocked = (*Store)(nil)

// Clocks returns the test clocks of the accounts as this process knows them.
func (s *Store) Clocks() *testclock.Set { return &s.clocks }

// Ahead returns how far the account's clock for the mode is ahead of real time, as this process
// knows it.
func (s *Store) Ahead(account, mode string) time.Duration { return s.clocks.Ahead(account, mode) }

// ClockMoved returns a channel that is closed when a clock moves, because other rows may then be
// due.
func (s *Store) ClockMoved() <-chan struct{} { return s.clocks.Moved() }

// RunClocks reads the clocks periodically until ctx ends (nil).
func (s *Store) RunClocks(ctx context.Context) error { return s.clocks.Run(ctx, s.TestClocks) }

// LearnClocks reads the clocks once. Call it before anything is served: until then every account's
// clock shows real time.
func (s *Store) LearnClocks(ctx context.Context) error {
	all, err := s.TestClocks(ctx)
	if err == nil {
		s.clocks.Learn(all)
	}
	return err
}

// TestClocks reads all clocks and returns by account how far each is ahead of real time.
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

// PutClock copies an account's clock from the store of users, which is authoritative. A clock never
// moves back: an older offset changes nothing. The copy lets the processes that only use this table
// follow the clock.
func (s *Store) PutClock(ctx context.Context, account string, ahead time.Duration) error {
	row := key{clocksPartition, account}.item()
	row[attrAhead] = num(ahead.Microseconds())
	err := s.commit(
		ctx,
		"",
		[]write{{put: row, condition: "attribute_not_exists(pk) OR o < :ahead", values: values{":ahead": num(ahead.Microseconds())}}},
		func(int, item, bool) error { return nil },
	)

	if err == nil {
		s.clocks.Put(account, ahead)
	}
	return err
}

// dueByClocks returns the keys of what is due by the clocks of accounts ahead of real time, and not
// by real time, which the index finds. kind is linkPrefix or paymentPrefix. It reads all items of
// the kind in those accounts' partitions, of both modes, so the caller must check each one's clock;
// testclock.Set.Round spaces the calls by their cost.
func (s *Store) dueByClocks(ctx context.Context, kind string, now time.Time) ([]key, error) {
	var keys []key
	err := s.clocks.Round(kind, func(account string, ahead time.Duration) error {
		n, err := s.buckets(ctx, account)
		if err != nil {
			return err
		}

		for b := range n {
			rows := s.newPages(
				dynamodb.QueryInput{ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :p AND begins_with(sk, :kind)"),
					FilterExpression: aws.String("attribute_exists(d) AND d <> :review AND e <= :until AND e > :now"),
					ExpressionAttributeValues: values{":p": str(partition(account, b)), ":kind": str(kind), ":review": str(inReview),
						":until": num(now.Add(ahead).UnixMicro()), ":now": num(now.UnixMicro())}},
			)
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
