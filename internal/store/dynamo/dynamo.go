// Package dynamo keeps links, payments with their logs and transfers, and
// idempotency records in one DynamoDB table, and gives the table's stream as the
// change feed. Beside the lake it is the only package that knows AWS.
//
// Everything of an account lies in partitions A#<account>#<bucket>; a link's id
// says in which, and a payment lies beside its link. A payment is one item, and
// so is a link; each carries its events, so that an object and what is told of
// it change in one conditional write. Only where link and payment must agree is
// a transaction used. What an item costs is counted: docs/dynamodb.md.
//
// Throttling, conflicts and lost answers are retried with full jitter inside the
// caller's deadline, then told as unavailable; a change that is sent again is
// recognised. The store looks at no clock: expiry is a condition on the time
// that the caller gives.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/smithy-go/logging"

	"github.com/paylink/paylink/internal/obs"
	"github.com/paylink/paylink/internal/testclock"
)

// Bounds.
const (
	connections   = 256 // to the endpoint, at once
	dueShards     = 16  // of the due index, for payments and for links each
	batchItems    = 100 // that DynamoDB gives in one batch
	parallelReads = 16
	maxRebuilds   = 20 // of a change whose link moved on meanwhile
)

// Options beyond the URL.
type Options struct {
	HTTP    aws.HTTPClient // nil: a pooled client
	Observe func(Call)     // is told of every call to DynamoDB; may be nil
}

// Call to DynamoDB, as it was answered.
type Call struct {
	Operation   string
	Write, Read float64 // units consumed, with the indexes'
	Took        time.Duration
	Err         error
}

// Store implements link.Store, idempotency.Store, stream.Source and, but for
// Balances and Events, payment.Store.
type Store struct {
	table   string
	db      *dynamodb.Client
	feed    *dynamodbstreams.Client
	observe func(Call)
	heat    heat
	recent  recent
	clocks  testclock.Set
	walks   walks
	writes  *obs.Writes

	callBudget, tryTimeout time.Duration
}

// Open reads a URL of the form dynamodb://TABLE?region=R&endpoint=URL. Without
// region or endpoint, and always for the credentials unless accessKey and
// secretKey are given, the standard chain of AWS decides. The table is not
// looked at: call Migrate first.
func Open(ctx context.Context, rawURL string, options ...func(*Options)) (*Store, error) {
	o := Options{Observe: func(Call) {}}
	for _, set := range options {
		set(&o)
	}
	table, cfg, err := configure(ctx, rawURL, o.HTTP)
	if err != nil {
		return nil, err
	}
	return &Store{table: table, db: dynamodb.NewFromConfig(cfg), feed: dynamodbstreams.NewFromConfig(cfg), observe: o.Observe, writes: obs.NewWrites(time.Now),
		callBudget: callBudget, tryTimeout: tryTimeout}, nil
}

var tableName = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)

// Parse reads the store's URL; the error says what is wrong with it, without secrets.
func Parse(rawURL string) (table string, settings url.Values, err error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", nil, errors.New("the store's address is not a URL") // the error would quote it
	}
	if u.Scheme != "dynamodb" || !tableName.MatchString(u.Host) || (u.Path != "" && u.Path != "/") {
		return "", nil, errors.New("the store's address must be dynamodb://TABLE?region=REGION, with a table's name of 3 to 255 characters A-Z a-z 0-9 _ . -")
	}
	q := u.Query()
	for key := range q {
		switch key {
		case "region", "endpoint", "accessKey", "secretKey":
		default:
			return "", nil, fmt.Errorf("the store's address has an unknown parameter %q", key)
		}
	}
	return u.Host, q, nil
}

func configure(ctx context.Context, rawURL string, client aws.HTTPClient) (table string, cfg aws.Config, err error) {
	table, q, err := Parse(rawURL)
	if err != nil {
		return "", cfg, err
	}
	pooled := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost, t.MaxConnsPerHost = connections, connections, connections
	})
	load := []func(*config.LoadOptions) error{
		config.WithHTTPClient(pooled),
		config.WithLogger(logging.Nop{}), // what goes wrong comes back as an error
		// We retry ourselves: a transaction's conflict too, and within one deadline.
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
	}
	if region := q.Get("region"); region != "" {
		load = append(load, config.WithRegion(region))
	}
	if key := q.Get("accessKey"); key != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(key, q.Get("secretKey"), "")))
	}
	if cfg, err = config.LoadDefaultConfig(ctx, load...); err != nil {
		return "", cfg, fmt.Errorf("configure DynamoDB: %w", err)
	}
	if client != nil {
		cfg.HTTPClient = client
	}
	if endpoint := q.Get("endpoint"); endpoint != "" {
		cfg.BaseEndpoint = aws.String(endpoint)
	}
	if cfg.Region == "" {
		return "", cfg, errors.New("DynamoDB needs a region: dynamodb://TABLE?region=REGION, or AWS_REGION")
	}
	return table, cfg, nil
}

// Ping answers whether the table can be read; for readiness.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.getItem(ctx, key{pk: "PING", sk: "PING"}, false)
	return err
}

// Close is there for symmetry: the store holds nothing but idle connections.
func (s *Store) Close() error { return nil }
