//go:build linux

package bench

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/paylink/paylink/internal/store/dynamo"
)

// plain is how many commits a second so many writers get from an engine through
// its plain driver, each of a payment's size.
type plain func(writers int, took time.Duration) (float64, error)

// The sizes of what a step of a payment writes.
const (
	documentBytes = 2500 // a payment's row; compressed in the table
	eventBytes    = 900
	itemBytes     = 1000
)

// writing counts the commits of so many writers.
func writing(writers int, took time.Duration, commit func(writer, n int) error) (float64, error) {
	var done atomic.Int64
	failed := make(chan error, writers)
	begin := time.Now()
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for n := 0; time.Since(begin) < took; n++ {
				if err := commit(w, n); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	running.Wait()
	rate := float64(done.Load()) / time.Since(begin).Seconds()
	close(failed)
	return rate, <-failed
}

const (
	makePayments = "CREATE TABLE IF NOT EXISTS plain_payments (id TEXT PRIMARY KEY, doc TEXT NOT NULL)"
	makeEvents   = "CREATE TABLE IF NOT EXISTS plain_events (id TEXT PRIMARY KEY, data TEXT NOT NULL)"
	putPayment   = "INSERT INTO plain_payments (id, doc) VALUES ($1, $2)"
	putEvent     = "INSERT INTO plain_events (id, data) VALUES ($1, $2)"
)

// plainSQLite gives the file to one writer, which puts as many commits into a
// transaction as there are writers: the best that one file does.
func plainSQLite(b *testing.B) plain {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "plain.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { _ = db.Close() })
	for _, statement := range []string{makePayments, makeEvents} {
		if _, err := db.ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
	doc, data, run := strings.Repeat("x", documentBytes), strings.Repeat("x", eventBytes), 0
	return func(writers int, took time.Duration) (float64, error) {
		run++
		groups, err := writing(1, took, func(_, n int) error {
			tx, err := db.BeginTx(b.Context(), nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }()
			for w := range writers {
				id := fmt.Sprintf("%d-%d-%d", run, w, n)
				if err := threeRows(id, doc, data, func(query, id, text string) error {
					_, err := tx.ExecContext(b.Context(), query, id, text)
					return err
				}); err != nil {
					return err
				}
			}
			return tx.Commit()
		})
		return groups * float64(writers), err
	}
}

func threeRows(id, doc, data string, put func(query, id, text string) error) error {
	if err := put(putPayment, id, doc); err != nil {
		return err
	}
	if err := put(putEvent, id+"a", data); err != nil {
		return err
	}
	return put(putEvent, id+"b", data)
}

// plainPostgres is a transaction for each commit, on a connection for each writer.
func plainPostgres(b *testing.B, url string) plain {
	b.Helper()
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	c.MaxConns = 64
	pool, err := pgxpool.NewWithConfig(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	for _, statement := range []string{makePayments, makeEvents} {
		if _, err := pool.Exec(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
	doc, data, run := strings.Repeat("x", documentBytes), strings.Repeat("x", eventBytes), 0
	return func(writers int, took time.Duration) (float64, error) {
		run++
		return writing(writers, took, func(w, n int) error {
			ctx := context.Background()
			tx, err := pool.Begin(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback(ctx) }()
			if err := threeRows(fmt.Sprintf("%d-%d-%d", run, w, n), doc, data, func(query, id, text string) error {
				_, err := tx.Exec(ctx, query, id, text)
				return err
			}); err != nil {
				return err
			}
			return tx.Commit(ctx)
		})
	}
}

// plainDynamoDB puts an item for each commit, on the condition that it is new.
func plainDynamoDB(b *testing.B, url string) plain {
	b.Helper()
	table, settings, err := dynamo.Parse(url)
	if err != nil {
		b.Fatal(err)
	}
	c, err := config.LoadDefaultConfig(b.Context(), config.WithRegion(settings.Get("region")),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(settings.Get("accessKey"), settings.Get("secretKey"), "")))
	if err != nil {
		b.Fatal(err)
	}
	c.BaseEndpoint = aws.String(settings.Get("endpoint"))
	db, run := dynamodb.NewFromConfig(c), 0
	blob := &types.AttributeValueMemberB{Value: make([]byte, itemBytes)}
	return func(writers int, took time.Duration) (float64, error) {
		run++
		return writing(writers, took, func(w, n int) error {
			name := &types.AttributeValueMemberS{Value: fmt.Sprintf("PLAIN#%d-%d-%d", run, w, n)}
			_, err := db.PutItem(context.Background(), &dynamodb.PutItemInput{TableName: &table, ConditionExpression: aws.String("attribute_not_exists(pk)"),
				Item: map[string]types.AttributeValue{"pk": name, "sk": name, "b": blob}})
			return err
		})
	}
}
