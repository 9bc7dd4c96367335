package dynamo

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/payment"
)

// findTries limits the reads of an index that may lag a moment.
const findTries = 4

// GetPayment implements payment.Store with one consistent read. The id shows the payment's bucket;
// one of bucket 0 may by chance look like one of another, so bucket 0 is tried second. A missing
// payment is fault.NotFound.
func (s *Store) GetPayment(ctx context.Context, account, paymentID string) (payment.Payment, error) {
	buckets := []uint16{id.Bucket(paymentID), 0}
	for _, b := range slices.Compact(buckets) {
		found, err := s.getItem(ctx, key{partition(account, b), paymentPrefix + paymentID}, true)
		if err != nil {
			return payment.Payment{}, err
		}
		if found == nil {
			continue
		}
		is, err := decodePayment(found)
		if err != nil {
			return payment.Payment{}, err
		}
		s.recent.keep(is.Payment, is.beside)
		is.Payment.Ahead = s.Ahead(is.Payment.Account, is.Payment.Mode)
		return is.Payment, nil
	}

	return payment.Payment{}, fault.NotFound("payment")
}

// FindPayment implements payment.Store. The id contains the tag of its account, and the few
// accounts of a tag are read. Only an id from another store needs an index, which may lag a moment
// behind an import; it is read up to findTries times.
func (s *Store) FindPayment(ctx context.Context, paymentID string) (payment.Payment, error) {
	if !id.Valid(id.Payment, paymentID) {
		return payment.Payment{}, fault.NotFound("payment")
	}
	if tag, _, ok := id.Placed(paymentID); ok {
		p, err := s.findTagged(ctx, tag, paymentID)
		if fault.Code(err) != "not_found" {
			return p, err
		}
	}

	for i := range findTries {
		rows, _, _, err := s.query(ctx, dynamodb.QueryInput{IndexName: aws.String(indexPayment), KeyConditionExpression: aws.String("sk = :s"),
			ExpressionAttributeValues: values{":s": str(paymentPrefix + paymentID)}})
		if err != nil {
			return payment.Payment{}, err
		}
		for _, row := range rows {
			return s.GetPayment(ctx, accountOf(text(row, attrPartition)), paymentID)
		}
		if i < findTries-1 && !pause(ctx, i) {
			break
		}
	}

	return payment.Payment{}, fault.NotFound("payment")
}

// findTagged looks for the payment in each account with the tag. It returns fault.NotFound if none
// has it.
func (s *Store) findTagged(ctx context.Context, tag uint32, paymentID string) (payment.Payment, error) {
	accounts := s.newPages(dynamodb.QueryInput{ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :p"),
		ExpressionAttributeValues: values{":p": str(tagPartition(tag))}})
	for {
		if err := accounts.fill(ctx); err != nil {
			return payment.Payment{}, err
		}
		if len(accounts.rows) == 0 {
			return payment.Payment{}, fault.NotFound("payment")
		}

		account := text(accounts.rows[0], attrSort)
		accounts.rows = accounts.rows[1:]
		p, err := s.GetPayment(ctx, account, paymentID)
		if fault.Code(err) != "not_found" {
			return p, err
		}
	}
}

// ListPayments implements payment.Store, newest first. The history index gives the order within
// each bucket. The items are read beside it, and what the index does not contain is filtered here.
// A payment that was committed a moment ago may be missing, because the index lags.
func (s *Store) ListPayments(ctx context.Context, f payment.Filter) ([]payment.Payment, error) {
	buckets, err := s.bucketsOf(ctx, f)
	if err != nil {
		return nil, err
	}
	first, last, any := historyRange(f)
	if !any {
		return nil, nil
	}

	var all []*pages
	for _, b := range buckets {
		all = append(
			all,
			s.newPages(dynamodb.QueryInput{IndexName: aws.String(indexHistory), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(batchItems),
				KeyConditionExpression:    aws.String("pk = :p AND h BETWEEN :a AND :z"),
				ExpressionAttributeValues: values{":p": str(partition(f.Account, b)), ":a": bin(first), ":z": bin(last)}}),
		)
	}

	newest := func(a, b item) int { return bytes.Compare(bytesOf(b, attrHistory), bytesOf(a, attrHistory)) }

	var list []payment.Payment
	for len(list) < f.Limit {
		rows, err := merge(ctx, all, newest, min(batchItems, max(f.Limit-len(list), 10)))
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			break
		}
		found, err := s.readPayments(ctx, rows)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if matches(f, p) {
				list = append(list, p)
			}
		}
	}

	return list[:min(len(list), f.Limit)], nil
}

// matches reports whether the payment meets the conditions that the index does not check.
func matches(f payment.Filter, p payment.Payment) bool {
	return (f.Status == "" || p.Status.Public() == f.Status) && (f.Currency == "" || p.Amount.Currency == f.Currency) &&
		(f.Realm == "" || p.Realm == f.Realm) && (f.Link == "" || p.Link == f.Link)
}

// bucketsOf returns the buckets of the account in which payments of the filter can be.
func (s *Store) bucketsOf(ctx context.Context, f payment.Filter) ([]uint16, error) {
	if f.Link != "" { // a payment is beside its link
		return []uint16{id.Bucket(f.Link)}, nil
	}
	n, err := s.buckets(ctx, f.Account)
	if err != nil {
		return nil, err
	}
	var list []uint16
	for b := range n {
		list = append(list, b)
	}

	return list, nil
}

// historyRange returns the first and the last history key that the filter allows; any is false if
// it allows none. To and the cursor are exclusive, the bounds of a BETWEEN inclusive.
func historyRange(f payment.Filter) (first, last []byte, any bool) {
	if f.Mode == "" {
		return nil, nil, false
	}
	first = historyKey(f.Mode, time.UnixMicro(0), "")
	if !f.From.IsZero() {
		first = historyKey(f.Mode, f.From, "")
	}

	end := historyKey(f.Mode, time.UnixMicro(1<<62), "")
	if !f.To.IsZero() {
		end = historyKey(f.Mode, f.To, "")
	}
	if !f.BeforeTime.IsZero() {
		if cursor := historyKey(f.Mode, f.BeforeTime, f.BeforeID); bytes.Compare(cursor, end) < 0 {
			end = cursor
		}
	}

	last = justBefore(end)
	return first, last, bytes.Compare(first, last) <= 0
}

// justBefore returns the greatest smaller key of the same length. The key must not be all zeros.
func justBefore(b []byte) []byte {
	b = bytes.Clone(b)
	for i := len(b) - 1; i >= 0; i-- {
		b[i]--
		if b[i] != 0xff {
			break
		}
	}
	return b
}

// readPayments reads the items of index rows, in order. It returns the readable ones, with an
// error that names the others.
func (s *Store) readPayments(ctx context.Context, rows []item) ([]payment.Payment, error) {
	keys := make([]key, len(rows))
	for i, row := range rows {
		keys[i] = keyOf(row)
	}
	return s.paymentsAt(ctx, keys)
}

// paymentsAt reads payments by key, in order, and leaves out missing ones. It returns the readable
// ones, with an error that names the others.
func (s *Store) paymentsAt(ctx context.Context, keys []key) ([]payment.Payment, error) {
	found, err := s.getItems(ctx, keys)
	if err != nil {
		return nil, err
	}

	at := map[string]item{}
	for _, i := range found {
		at[text(i, attrSort)] = i
	}

	var list []payment.Payment
	var broken error
	for _, k := range keys {
		i, ok := at[k.sk]
		if !ok {
			continue
		}
		is, err := decodePayment(i)
		if err != nil {
			broken = errors.Join(broken, err)
			continue
		}
		is.Payment.Ahead = s.Ahead(is.Payment.Account, is.Payment.Mode)
		list = append(list, is.Payment)
	}

	return list, broken
}

// soonDue reads what is due by then without changing it, for metrics. It returns at most limit
// payments.
func (s *Store) soonDue(ctx context.Context, until time.Time, limit int) ([]payment.Payment, error) {
	keys, err := s.due(ctx, paymentPrefix, until, limit)
	if err != nil {
		return nil, err
	}
	list, err := s.paymentsAt(ctx, keys)
	return slices.DeleteFunc(list, func(p payment.Payment) bool { return p.DueAt().IsZero() }), err
}

// CountDue returns the number of payments that the sweep should have taken by now, for metrics.
// What is set aside is not counted.
func (s *Store) CountDue(ctx context.Context, now time.Time) (total int64, err error) {
	for _, shard := range dueNames(paymentPrefix) {
		n, err := s.countDue(ctx, shard, now)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// OldestDue returns the due time of the payment that has waited longest for the sweep, or the zero
// time if none waits. It is for metrics. The index is sorted by time, so it reads one row of each
// shard.
func (s *Store) OldestDue(ctx context.Context) (oldest time.Time, err error) {
	for _, shard := range dueNames(paymentPrefix) {
		rows, _, _, err := s.query(
			ctx,
			dynamodb.QueryInput{IndexName: aws.String(indexDue), Limit: aws.Int32(1), KeyConditionExpression: aws.String("d = :d"),
				ExpressionAttributeValues: values{":d": str(shard)}},
		)
		if err != nil {
			return time.Time{}, err
		}
		for _, row := range rows {
			if at := fromMicros(number(row, attrDueAt)); oldest.IsZero() || at.Before(oldest) {
				oldest = at
			}
		}
	}

	return oldest, nil
}

// CountAside returns the number of payments or links that were set aside after repeated failures,
// for metrics. kind is "payments" or "links".
func (s *Store) CountAside(ctx context.Context, kind string) (int64, error) {
	return s.countDue(ctx, map[string]string{"payments": paymentPrefix, "links": linkPrefix}[kind]+setAside, time.UnixMicro(1<<62))
}

// countDue returns the number of rows of a shard that are due until a time. DynamoDB counts;
// nothing but the number is sent.
func (s *Store) countDue(ctx context.Context, shard string, until time.Time) (total int64, err error) {
	q := dynamodb.QueryInput{
		IndexName:                 aws.String(indexDue),
		Select:                    types.SelectCount,
		KeyConditionExpression:    aws.String("d = :d AND e <= :now"),
		ExpressionAttributeValues: values{":d": str(shard), ":now": num(until.UnixMicro())},
	}
	for {
		_, next, n, err := s.query(ctx, q)
		if err != nil {
			return 0, err
		}
		total += int64(n)
		if next == nil {
			return total, nil
		}
		q.ExclusiveStartKey = next
	}
}

// soon is how far ahead CountPayments looks: the issuer of a waiting payment is asked again
// within a day.
const soon = 25 * time.Hour

// maxCounted limits what CountPayments reads.
const maxCounted = 1000

// CountPayments counts payments of a status with an open outcome, for metrics: all of those in
// review, and others among the first thousand that are due.
func (s *Store) CountPayments(ctx context.Context, status string) (n int64, err error) {
	if status == string(payment.Review) {
		if n, err = s.countDue(ctx, inReview, time.UnixMicro(1<<62)); err != nil {
			return 0, err
		}
	}

	list, err := s.soonDue(ctx, time.Now().Add(soon), maxCounted)
	for _, p := range list {
		if string(p.Status.Public()) == status {
			n++
		}
	}

	return n, err
}

// isPayment and isLink report which kind of object a row is.
func isPayment(row item) bool { return strings.HasPrefix(text(row, attrSort), paymentPrefix) }

func isLink(row item) bool { return strings.HasPrefix(text(row, attrSort), linkPrefix) }
