package dynamo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"
)

// pages reads a query as far as its rows are needed. A consumer takes rows from the front of rows,
// and calls fill when it is empty.
type pages struct {
	read func(ctx context.Context, start item) (rows []item, next item, err error)
	rows []item
	next item
	done bool
}

// newPages returns the pages of a query. Nothing is read before the first fill.
func (s *Store) newPages(q dynamodb.QueryInput) *pages {
	return &pages{read: func(ctx context.Context, start item) ([]item, item, error) {
		q.ExclusiveStartKey = start
		rows, next, _, err := s.query(ctx, q)
		return rows, next, err
	}}
}

// fill ensures that a row is available, unless there is none left.
func (p *pages) fill(ctx context.Context) error {
	for len(p.rows) == 0 && !p.done {
		rows, next, err := p.read(ctx, p.next)
		if err != nil {
			return err
		}
		p.rows, p.next, p.done = rows, next, next == nil
	}
	return nil
}

// merge takes up to limit rows in order, across all pages. Each page's own rows come in that order.
// Empty pages are filled in parallel.
func merge(ctx context.Context, all []*pages, order func(a, b item) int, limit int) ([]item, error) {
	var out []item
	for len(out) < limit {
		var group errgroup.Group
		group.SetLimit(parallelReads)
		for _, p := range all {
			if len(p.rows) == 0 && !p.done {
				group.Go(func() error { return p.fill(ctx) })
			}
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}

		var first *pages
		for _, p := range all {
			if len(p.rows) > 0 && (first == nil || order(p.rows[0], first.rows[0]) < 0) {
				first = p
			}
		}

		if first == nil {
			break
		}

		out = append(out, first.rows[0])
		first.rows = first.rows[1:]
	}

	return out, nil
}

// due returns the keys of up to limit objects that are due, oldest first, from all shards of the
// index. It serves metrics; the sweeps use inTurn.
func (s *Store) due(ctx context.Context, kind string, now time.Time, limit int) ([]key, error) {
	var shards []*pages
	for _, shard := range dueNames(kind) {
		shards = append(shards, s.newPages(dynamodb.QueryInput{IndexName: aws.String(indexDue), Limit: aws.Int32(int32(min(limit, 1000))),
			KeyConditionExpression:    aws.String("d = :d AND e <= :now"),
			ExpressionAttributeValues: values{":d": str(shard), ":now": num(now.UnixMicro())}}))
	}

	rows, err := merge(ctx, shards, func(a, b item) int { return int(number(a, attrDueAt) - number(b, attrDueAt)) }, limit)
	if err != nil {
		return nil, err
	}

	keys := make([]key, len(rows))
	for i, row := range rows {
		keys[i] = keyOf(row)
	}

	return keys, nil
}

// keyOf returns the key of a row.
func keyOf(row item) key { return key{text(row, attrPartition), text(row, attrSort)} }

// token returns the token of a transaction, which DynamoDB remembers for ten minutes: the same
// change with the same content. Our own recognition of changes does not depend on it.
func token(change string, writes []write) string {
	h := sha256.New()
	_, _ = h.Write([]byte(change))
	for _, w := range writes {
		_, _ = h.Write([]byte("\x00" + w.update + "\x00" + w.condition + "\x00"))
		_, _ = h.Write(bytesOf(w.put, attrBlob))

		names := make([]string, 0, len(w.values))
		for name := range w.values {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			raw, _ := json.Marshal(w.values[name]) // an attribute value can always be encoded
			_, _ = h.Write(append([]byte(strings.TrimPrefix(name, ":")+"="), raw...))
		}
	}

	return hex.EncodeToString(h.Sum(nil)[:16])
}

// dueNames returns the shards of the due index for a kind, without the one of what is set aside.
func dueNames(kind string) []string {
	names := make([]string, dueShards)
	for i := range names {
		names[i] = kind + strconv.Itoa(i)
	}
	return names
}
