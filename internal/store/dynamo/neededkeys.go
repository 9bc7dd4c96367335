package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/paylink/paylink/internal/keyring"
)

// The keys under which data in the table may be sealed: one item each, all in one partition.
const (
	keysPartition = "K#"
	attrPurpose   = "y"
)

// NeededKeys returns the keys under which data in this table may be sealed. A table from before they
// were recorded names none.
func (s *Store) NeededKeys(ctx context.Context) (keys []keyring.Name, err error) {
	rows := s.newPages(dynamodb.QueryInput{ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :p"),
		ExpressionAttributeValues: values{":p": str(keysPartition)}})
	for {
		if err := rows.fill(ctx); err != nil || len(rows.rows) == 0 {
			return keys, err
		}
		for _, row := range rows.rows {
			keys = append(keys, keyring.Name{ID: text(row, attrSort), Purpose: keyring.Purpose(text(row, attrPurpose))})
		}
		rows.rows = nil
	}
}

// NeedKeys records keys that will seal data in this table, one commit each. One that is recorded
// already stays.
func (s *Store) NeedKeys(ctx context.Context, keys []keyring.Name, now time.Time) error {
	there := func(int, item, bool) error { return nil }
	for _, k := range keys {
		row := key{keysPartition, k.ID}.item()
		row[attrPurpose], row[attrCreated] = str(string(k.Purpose)), num(micros(now))
		if err := s.commit(ctx, "", []write{{put: row, condition: ifNew}}, there); err != nil {
			return err
		}
	}
	return nil
}
