// Package dynamo keeps links, payments with their logs and transfers, and idempotency records in
// one DynamoDB table, and serves the table's stream as the change feed. Besides the lake it is
// the only package that knows AWS.
//
// An account's items are in partitions A#<account>#<bucket>. A link's id contains its bucket, and
// a payment is beside its link. A payment is one item, and so is a link; each contains its
// events, so that an object and its events change in one conditional write. A transaction is used
// only where link and payment must agree. docs/dynamodb.md lists the cost of each item.
//
// Throttling, conflicts and lost answers are retried with full jitter within the caller's
// deadline, and then returned as unavailable. A change that is sent again is recognized. The
// store reads no clock: expiry is a condition on the time that the caller passes.
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

// Limits of the store.
const (
	connections   = 256 // to the endpoint, concurrent
	dueShards     = 16  // of the due index, for payments and for links each
	batchItems    = 100 // that DynamoDB returns in one batch
	parallelReads = 16
	maxRebuilds   = 20 // of a change whose link changed in the meantime
)

// Options are settings beyond the URL.
type Options struct {
	HTTP    aws.HTTPClient // nil: a pooled client
	Observe func(Call)     // called after every call to DynamoDB; may be nil
}

// Call is a completed call to DynamoDB, or one failed try of it.
type Call struct {
	Operation   string
	Write, Read float64 // units consumed, including indexes
	Took        time.Duration
	Err         error
}

// Store implements link.Store, idempotency.Store, stream.Source and, except for Balances and
// Events, payment.Store. It is safe for concurrent use. What it keeps in memory (heat, recent,
// clocks, walks) only saves work and can be lost.
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

// Open opens the store of a URL dynamodb://TABLE?region=R&endpoint=URL. Without region or
// endpoint, and for the credentials unless accessKey and secretKey are given, AWS's standard
// chain decides. Open does not access the table: call Migrate first.
func Open(ctx context.Context, rawURL string, options ...func(*Options)) (*Store, error) {
	o := Options{Observe: func(Call) {}}
	for _, set := range options {
		set(&o)
	}

	table, cfg, err := configure(ctx, rawURL, o.HTTP)
	if err != nil {
		return nil, err
	}

	return &Store{
		table:      table,
		db:         dynamodb.NewFromConfig(cfg),
		feed:       dynamodbstreams.NewFromConfig(cfg),
		observe:    o.Observe,
		writes:     obs.NewWrites(time.Now),
		callBudget: callBudget,
		tryTimeout: tryTimeout,
	}, nil
}

// tableName matches the names that DynamoDB allows.
var tableName = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)

// Parse parses the store's URL and returns the table's name and the parameters. The error says what
// is wrong with it, without secrets. An unknown parameter is an error, because a misspelled one
// would otherwise be ignored.
func Parse(rawURL string) (table string, settings url.Values, err error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", nil, errors.New("the store's address is not a URL") // the original error would quote it
	}

	if u.Scheme != "dynamodb" || !tableName.MatchString(u.Host) || (u.Path != "" && u.Path != "/") {
		return "", nil, errors.New(
			"the store's address must be dynamodb://TABLE?region=REGION, with a table's name of 3 to 255 characters A-Z a-z 0-9 _ . -",
		)
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

// configure returns the table's name and the AWS configuration of a store's URL. client replaces
// the pooled HTTP client if it is not nil. It contacts no server, except for credentials if AWS's
// chain needs one.
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
		config.WithLogger(logging.Nop{}), // failures are returned as errors
		// The store retries by itself: also a transaction's conflict, and within one deadline.
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

// Ping reads from the table, for readiness. A missing item is success.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.getItem(ctx, key{pk: "PING", sk: "PING"}, false)
	return err
}

// Close does nothing: the store holds only idle connections. It exists for symmetry.
func (s *Store) Close() error { return nil }
