package dynamo_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/dynamotest"
)

// raw is the plain driver beside a store.
func raw(t *testing.T, url, endpoint string) (*dynamodb.Client, string) {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("eu-central-1"),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("local", "local", "")))
	if err != nil {
		t.Fatal(err)
	}
	cfg.BaseEndpoint = aws.String(endpoint)
	table, _, _ := strings.Cut(strings.TrimPrefix(url, "dynamodb://"), "?")
	return dynamodb.NewFromConfig(cfg), table
}

// TestMigrate checks that the table is created once, whichever process does it, and can be
// checked again.
func TestMigrate(t *testing.T) {
	url := dynamotest.URL(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := dynamo.Migrate(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	complete(t, url, dynamotest.Endpoint(t))
}

// TestMigrateCompletes checks that a table without indexes, stream and time to live gets them.
func TestMigrateCompletes(t *testing.T) {
	url, endpoint := dynamotest.FreshURL(t)
	db, table := raw(t, url, endpoint)
	if _, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange}}}); err != nil {
		t.Fatal(err)
	}
	if err := dynamo.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	complete(t, url, endpoint)
}

func complete(t *testing.T, url, endpoint string) {
	t.Helper()
	db, table := raw(t, url, endpoint)
	out, err := db.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		t.Fatal(err)
	}
	d := out.Table
	if len(d.GlobalSecondaryIndexes) != 3 || d.StreamSpecification == nil ||
		d.StreamSpecification.StreamViewType != types.StreamViewTypeNewAndOldImages ||
		d.BillingModeSummary == nil ||
		d.BillingModeSummary.BillingMode != types.BillingModePayPerRequest {
		t.Fatalf("%+v", d)
	}
	ttl, err := db.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &table})
	if err != nil || ttl.TimeToLiveDescription.TimeToLiveStatus != types.TimeToLiveStatusEnabled {
		t.Fatalf("%+v %v", ttl, err)
	}
}

// TestMigrateRefusesAStrangersTable checks that a table with other keys is left unchanged.
func TestMigrateRefusesAStrangersTable(t *testing.T) {
	url := dynamotest.URL(t)
	db, table := raw(t, url, dynamotest.Endpoint(t))
	if _, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}}}); err != nil {
		t.Fatal(err)
	}
	if err := dynamo.Migrate(t.Context(), url); err == nil || !strings.Contains(err.Error(), "not a paylink table") {
		t.Fatalf("got %v", err)
	}
}

func TestAddresses(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	for url, word := range map[string]string{
		"dynamodb://paylink?region=eu-central-1":                  "",
		"dynamodb://paylink?region=x&endpoint=http://127.0.0.1:1": "",
		"dynamodb://paylink":                                      "region",
		"dynamodb://?region=x":                                    "table's name",
		"dynamodb://a?region=x":                                   "table's name",
		"dynamodb://paylink/more?region=x":                        "table's name",
		"postgres://paylink?region=x":                             "dynamodb://",
		"dynamodb://paylink?region=x&secret=hush":                 "unknown parameter",
		"dynamodb://pay%zz?secretKey=hush":                        "not a URL",
	} {
		_, err := dynamo.Open(t.Context(), url)
		if (word == "" && err != nil) || (word != "" && (err == nil || !strings.Contains(err.Error(), word))) {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error tells a secret", url)
		}
	}
}

// TestWalk checks that every payment and link is visited, equal to its single read.
func TestWalk(t *testing.T) {
	s := open(t)
	w := newWorld(t, dynamotest.Distributed{Store: s, Feed: dynamotest.OpenFeed(t)})
	traffic(t, w, 10)
	links, payments, paid := 0, 0, 0
	err := errors.Join(s.EachLink(t.Context(), func(l link.Link, err error) error {
		links++
		is, rerr := s.GetLink(t.Context(), l.Account, l.ID)
		if err != nil || rerr != nil || is.Uses != l.Uses || is.Reserved != l.Reserved || !is.PaidAt.Equal(l.PaidAt) {
			t.Errorf("%+v is %+v, %v %v", l, is, err, rerr)
		}
		if l.Status(w.clock.Now()) == link.Paid {
			paid++
		}
		return nil
	}), s.EachPayment(t.Context(), func(p payment.Payment, err error) error {
		payments++
		if err != nil || len(p.Verify()) > 0 {
			t.Errorf("%s: %v %v", p.ID, p.Verify(), err)
		}
		return nil
	}))
	if err != nil || links != 10 || payments < 10 || paid == 0 {
		t.Fatalf("%d links, %d payments, %d paid, %v", links, payments, paid, err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
