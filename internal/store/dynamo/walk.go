package dynamo

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// scan reads the whole table consistently, page by page, and stops at the first error of visit. It
// costs one read unit for each 4 KiB of the table.
func (s *Store) scan(ctx context.Context, visit func(rows []item) error) error {
	in := &dynamodb.ScanInput{TableName: &s.table, ConsistentRead: aws.Bool(true), ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal}
	for {
		var out *dynamodb.ScanOutput
		err := s.call(ctx, "Scan", "", func(ctx context.Context, _ bool) (err error) {
			start := time.Now()
			if out, err = s.db.Scan(ctx, in); err == nil {
				s.spent("Scan", start, "", false, one(out.ConsumedCapacity)...)
			}
			return err
		})
		if err != nil {
			return err
		}

		if err := visit(out.Items); err != nil {
			return err
		}

		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			return nil
		}
	}
}

// EachPayment calls visit for every payment. A damaged one is passed as its error. The walk is
// not a snapshot: a concurrent change is seen before or after.
func (s *Store) EachPayment(ctx context.Context, visit func(payment.Payment, error) error) error {
	return s.scan(ctx, func(rows []item) error {
		for _, row := range rows {
			if !isPayment(row) {
				continue
			}
			is, err := decodePayment(row)
			if err := visit(is.Payment, err); err != nil {
				return err
			}
		}
		return nil
	})
}

// EachLink calls visit for every link. A damaged one is passed as its error. Links whose payment
// must be read too cost one more read each; if that fails because the store is unavailable, the
// walk ends.
func (s *Store) EachLink(ctx context.Context, visit func(link.Link, error) error) error {
	return s.scan(ctx, func(rows []item) error {
		for _, row := range rows {
			if !isLink(row) {
				continue
			}

			l, err := s.whole(ctx, row)
			var f *fault.Error
			if err != nil && (!errors.As(err, &f) || f.Kind == fault.KindUnavailable) {
				return err
			}
			if err := visit(l, err); err != nil {
				return err
			}
		}
		return nil
	})
}

// whole returns the link of a row in its present state.
func (s *Store) whole(ctx context.Context, row item) (link.Link, error) {
	o, err := decodeLink(row)
	if err != nil {
		return link.Link{}, err
	}
	return s.view(ctx, o.Link)
}
