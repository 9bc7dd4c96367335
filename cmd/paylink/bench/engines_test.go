//go:build linux

package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx", to read a sample
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

const (
	rawWriters = 64
	sampleScan = 200 // items read to find a payment and a link
)

// sample is a payment of the product, with its events, as rows.
type sample struct {
	payment []any   // id comes first
	events  [][]any // position, id and seq come first
}

const (
	insertPayment = `INSERT INTO payments (id, account, mode, link, status, currency, realm, created_at, due_at, revision, doc, doc_sum)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	insertEvent = `INSERT INTO events (position, id, seq, type, account, mode, object, object_seq, created_at, data, transfers)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
)

// sampled reads one settled payment of the store under load.
func sampled(b *testing.B, driver, source string) (s sample) {
	b.Helper()
	db, err := sql.Open(driver, source)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	read := func(query string, args ...any) (all [][]any) {
		b.Helper()
		rows, err := db.QueryContext(b.Context(), query, args...)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		columns, _ := rows.Columns()
		for rows.Next() {
			row, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range row {
				into[i] = &row[i]
			}
			if err := rows.Scan(into...); err != nil {
				b.Fatal(err)
			}
			all = append(all, row)
		}
		if err := rows.Err(); err != nil || len(all) == 0 {
			b.Fatalf("%s: %d rows, %v", query, len(all), err)
		}
		return all
	}
	s.payment = read(`SELECT id, account, mode, link, status, currency, realm, created_at, due_at, revision, doc, doc_sum FROM payments WHERE status = 'succeeded' LIMIT 1`)[0]
	s.events = read(
		`SELECT position, id, seq, type, account, mode, object, object_seq, created_at, data, transfers FROM events WHERE object = $1`,
		s.payment[0],
	)
	return s
}

// insert writes the rows of one commit, with new ids.
func (s sample) insert(n *atomic.Int64, exec func(query string, args ...any) error) error {
	if err := exec(insertPayment, append([]any{fresh("pay_")}, s.payment[1:]...)...); err != nil {
		return err
	}
	for _, e := range s.events {
		i := n.Add(1)
		if err := exec(insertEvent, append([]any{i, fresh("evt_"), i}, e[3:]...)...); err != nil {
			return err
		}
	}
	return nil
}

func fresh(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}

// rawSQLite returns how many commits per second SQLite makes durable if every transaction
// contains those of 64 writers, as the store groups them under load.
func rawSQLite(b *testing.B, s sample, took time.Duration) float64 {
	b.Helper()
	path := b.TempDir() + "/raw.db"
	if _, _, err := sqlstore.Migrate(b.Context(), "sqlite:"+path); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-32768)")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	prepared := map[string]*sql.Stmt{}
	for _, query := range []string{insertPayment, insertEvent} {
		if prepared[query], err = db.PrepareContext(b.Context(), query); err != nil {
			b.Fatal(err)
		}
	}
	var n atomic.Int64
	rate, err := repeat(took, func() error {
		tx, err := db.BeginTx(b.Context(), nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		for range rawWriters {
			if err := s.insert(&n, func(q string, args ...any) error {
				_, err := tx.StmtContext(b.Context(), prepared[q]).ExecContext(b.Context(), args...)
				return err
			}); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
	if err != nil {
		b.Fatal(err)
	}
	return rate * rawWriters
}

// many counts the commits per second of 64 writers, each with its own step.
func many(b *testing.B, took time.Duration, writer func(ctx context.Context) (step func() error, end func(), err error)) float64 {
	b.Helper()
	var done atomic.Int64
	var running sync.WaitGroup
	failed := make(chan error, rawWriters)
	steps := make([]func() error, rawWriters)
	for i := range steps {
		step, end, err := writer(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		defer end()
		steps[i] = step
	}
	begin := time.Now()
	for _, step := range steps {
		running.Go(func() {
			for time.Since(begin) < took {
				if err := step(); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	running.Wait()
	elapsed := time.Since(begin)
	close(failed)
	for err := range failed {
		b.Error(err)
	}
	return float64(done.Load()) / elapsed.Seconds()
}

// rawPostgres returns how many commits per second 64 connections make, one transaction each.
func rawPostgres(b *testing.B, database string, s sample, took time.Duration) float64 {
	b.Helper()
	if _, _, err := sqlstore.Migrate(b.Context(), database); err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	return many(b, took, func(ctx context.Context) (func() error, func(), error) {
		conn, err := pgx.Connect(ctx, database)
		if err != nil {
			return nil, nil, err
		}
		step := func() error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				batch := &pgx.Batch{} // one round trip for all rows
				_ = s.insert(&n, func(q string, args ...any) error { batch.Queue(q, args...); return nil })
				return tx.SendBatch(ctx, batch).Close()
			})
		}
		return step, func() { _ = conn.Close(context.Background()) }, nil
	})
}

// rows holds a table's rows, and the client that writes them.
type rows struct {
	db    *dynamodb.Client
	table string
}

func openRows(b *testing.B, raw string) rows {
	b.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		b.Fatal(err)
	}
	q := u.Query()
	pooled := awshttp.NewBuildableClient().WithTransportOptions(
		func(t *http.Transport) { t.MaxIdleConns, t.MaxIdleConnsPerHost = rawWriters, rawWriters },
	)
	return rows{
		table: u.Host,
		db: dynamodb.New(dynamodb.Options{Region: q.Get("region"), BaseEndpoint: aws.String(q.Get("endpoint")), HTTPClient: pooled,
			Credentials: credentials.NewStaticCredentialsProvider(q.Get("accessKey"), q.Get("secretKey"), "")}),
	}
}

// pair finds a payment and a link that the product wrote.
func (r rows) pair(b *testing.B) (payment, link map[string]types.AttributeValue) {
	b.Helper()
	var from map[string]types.AttributeValue
	for payment == nil || link == nil {
		page, err := r.db.Scan(b.Context(), &dynamodb.ScanInput{TableName: &r.table, Limit: aws.Int32(sampleScan), ExclusiveStartKey: from})
		if err != nil {
			b.Fatal(err)
		}
		for _, i := range page.Items {
			sort, _ := i["sk"].(*types.AttributeValueMemberS)
			switch {
			case strings.HasPrefix(sort.Value, "P#"):
				payment = i
			case strings.HasPrefix(sort.Value, "L#"):
				link = i
			}
		}
		if from = page.LastEvaluatedKey; from == nil && (payment == nil || link == nil) {
			b.Fatal("the table has no payment and link")
		}
	}
	return payment, link
}

// rawDynamo returns how many commits per second 64 writers make in a table with the same indexes
// and stream, in the proportion of a payment's three: one of a link alone and two of a payment
// with its link.
func rawDynamo(b *testing.B, from, to string, took time.Duration) float64 {
	b.Helper()
	if err := dynamo.Migrate(b.Context(), to); err != nil {
		b.Fatal(err)
	}
	payment, link := openRows(b, from).pair(b)
	r := openRows(b, to)
	put := func(i map[string]types.AttributeValue, partition, sort string) types.TransactWriteItem {
		own := make(map[string]types.AttributeValue, len(i))
		for k, v := range i {
			own[k] = v
		}
		own["pk"], own["sk"] = &types.AttributeValueMemberS{Value: partition}, &types.AttributeValueMemberS{Value: sort}
		return types.TransactWriteItem{Put: &types.Put{TableName: &r.table, Item: own}}
	}
	return many(b, took, func(ctx context.Context) (func() error, func(), error) {
		turn, partition, name := 0, "", ""
		return func() (err error) {
			if turn++; turn%3 == 1 {
				partition, name = fresh("A#"), fresh("")
				_, err = r.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &r.table, Item: put(link, partition, "L#"+name).Put.Item})
			} else {
				_, err = r.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
					TransactItems: []types.TransactWriteItem{put(payment, partition, "P#"+name), put(link, partition, "L#"+name)}})
			}
			if err != nil {
				err = fmt.Errorf("commit %d: %w", turn, err)
			}
			return err
		}, func() {}, nil
	})
}
