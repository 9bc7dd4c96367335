package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// Limits of a migration, and the attribute of the time to live.
const (
	tableTimeout = 10 * time.Minute // until a new table or index is ready
	tablePoll    = 500 * time.Millisecond
	attrEndsAt   = "ttl" // seconds; deletes what a condition has already ended, never money
)

// Migrate creates the table, or checks an existing one and adds what it lacks: the indexes, the
// stream with both images, the time to live and, if the endpoint supports it, point-in-time
// recovery. It may run several times concurrently, and again after a crash.
func Migrate(ctx context.Context, rawURL string, options ...func(*Options)) error {
	s, err := Open(ctx, rawURL, options...)
	if err != nil {
		return err
	}
	s.callBudget, s.tryTimeout = migrationCallBudget, migrationTryTimeout
	ctx, cancel := context.WithTimeout(ctx, tableTimeout)
	defer cancel()

	if _, err := s.describe(ctx); err != nil {
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			return err
		}
		if err := s.createTable(ctx); err != nil {
			return err
		}
	}

	t, err := s.waitActive(ctx)
	if err != nil {
		return err
	}
	if err := checkKeys(t); err != nil {
		return err
	}
	if err := s.addIndexes(ctx, t); err != nil {
		return err
	}
	if err := s.addStream(ctx, t); err != nil {
		return err
	}
	if err := s.addTidying(ctx); err != nil {
		return err
	}
	return s.addRecovery(ctx)
}

// describe returns the table's description. A missing table is a ResourceNotFoundException.
func (s *Store) describe(ctx context.Context) (*types.TableDescription, error) {
	var table *types.TableDescription
	err := s.call(ctx, "DescribeTable", "", func(ctx context.Context, _ bool) error {
		out, err := s.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &s.table})
		if err == nil {
			table = out.Table
		}
		return err
	})
	return table, err
}

// schema returns a primary key of a partition key and a sort key.
func schema(hash, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: aws.String(hash), KeyType: types.KeyTypeHash},
		{AttributeName: aws.String(sort), KeyType: types.KeyTypeRange},
	}
}

// attributes are the types of all attributes that are part of a key.
var attributes = []types.AttributeDefinition{
	{AttributeName: aws.String(attrPartition), AttributeType: types.ScalarAttributeTypeS},
	{AttributeName: aws.String(attrSort), AttributeType: types.ScalarAttributeTypeS},
	{AttributeName: aws.String(attrDue), AttributeType: types.ScalarAttributeTypeS},
	{AttributeName: aws.String(attrDueAt), AttributeType: types.ScalarAttributeTypeN},
	{AttributeName: aws.String(attrHistory), AttributeType: types.ScalarAttributeTypeB},
	{AttributeName: aws.String(attrNamed), AttributeType: types.ScalarAttributeTypeS},
}

// indexes contain keys only, and only of items that have both attributes. A settled payment is in
// no due index, the history contains payments only, and only a payment whose id does not show its
// partition (created by another store and imported) is indexed by its id.
var indexes = map[string][2]string{
	indexDue:     {attrDue, attrDueAt},
	indexHistory: {attrPartition, attrHistory},
	indexPayment: {attrSort, attrNamed},
}

// bothImages is the stream that the relay needs: it compares the item before and after a change.
var bothImages = &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages}

// createTable requests the table with its indexes and stream, billed by request. It does not wait
// until the table is ready; waitActive does. A table that another process is creating is success.
func (s *Store) createTable(ctx context.Context) error {
	in := &dynamodb.CreateTableInput{TableName: &s.table, KeySchema: schema(attrPartition, attrSort), AttributeDefinitions: attributes,
		BillingMode: types.BillingModePayPerRequest, StreamSpecification: bothImages}
	for _, name := range []string{indexDue, indexHistory, indexPayment} {
		k := indexes[name]
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{IndexName: aws.String(name),
			KeySchema: schema(k[0], k[1]), Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}})
	}

	_, err := s.db.CreateTable(ctx, in)
	var inUse *types.ResourceInUseException
	if errors.As(err, &inUse) { // another process is creating it
		return nil
	}

	return err
}

// waitActive waits until the table and all its indexes can be used, and returns the description. It
// gives up when ctx ends.
func (s *Store) waitActive(ctx context.Context) (*types.TableDescription, error) {
	tick := time.NewTicker(tablePoll)
	defer tick.Stop()
	for {
		t, err := s.describe(ctx)
		if err != nil {
			return nil, err
		}
		ready := t.TableStatus == types.TableStatusActive
		for _, i := range t.GlobalSecondaryIndexes {
			ready = ready && i.IndexStatus == types.IndexStatusActive
		}

		if ready {
			return t, nil
		}

		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the table %s does not become ready: %w", s.table, ctx.Err())
		case <-tick.C:
		}
	}
}

// sameKeys reports whether two key schemas are equal.
func sameKeys(got, want []types.KeySchemaElement) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if aws.ToString(got[i].AttributeName) != aws.ToString(want[i].AttributeName) || got[i].KeyType != want[i].KeyType {
			return false
		}
	}
	return true
}

// checkKeys returns an error if the table or one of our indexes has other keys than this version
// expects. Such a table is never changed.
func checkKeys(t *types.TableDescription) error {
	if !sameKeys(t.KeySchema, schema(attrPartition, attrSort)) {
		return fmt.Errorf("the table %s does not have paylink's keys: it is not a paylink table", aws.ToString(t.TableName))
	}
	for _, i := range t.GlobalSecondaryIndexes {
		if k, ours := indexes[aws.ToString(i.IndexName)]; ours && !sameKeys(i.KeySchema, schema(k[0], k[1])) {
			return fmt.Errorf(
				"the index %s of the table %s does not have paylink's keys: remove it, and migrate again",
				aws.ToString(i.IndexName),
				aws.ToString(t.TableName),
			)
		}
	}
	return nil
}

// definitions returns the definitions of the attributes that the table and these indexes use.
// DynamoDB refuses any other.
func definitions(of map[string]bool) []types.AttributeDefinition {
	return slices.DeleteFunc(slices.Clone(attributes), func(d types.AttributeDefinition) bool {
		name := aws.ToString(d.AttributeName)
		if name == attrPartition || name == attrSort {
			return false
		}
		for index, k := range indexes {
			if of[index] && slices.Contains(k[:], name) {
				return false
			}
		}
		return true
	})
}

// addIndexes adds missing indexes one after another, as DynamoDB requires. After a crash the next
// call continues with the first one that is missing.
func (s *Store) addIndexes(ctx context.Context, t *types.TableDescription) error {
	have := map[string]bool{}
	for _, i := range t.GlobalSecondaryIndexes {
		have[aws.ToString(i.IndexName)] = true
	}
	for _, name := range []string{indexDue, indexHistory, indexPayment} {
		if have[name] {
			continue
		}

		k := indexes[name]
		create := &types.CreateGlobalSecondaryIndexAction{IndexName: aws.String(name), KeySchema: schema(k[0], k[1]),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}}
		if p := t.ProvisionedThroughput; p != nil && aws.ToInt64(p.WriteCapacityUnits) > 0 { // the operator provisions capacity
			create.ProvisionedThroughput = &types.ProvisionedThroughput{
				ReadCapacityUnits:  p.ReadCapacityUnits,
				WriteCapacityUnits: p.WriteCapacityUnits,
			}
		}

		have[name] = true
		_, err := s.db.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: &s.table, AttributeDefinitions: definitions(have),
			GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Create: create}}})
		if err != nil {
			return fmt.Errorf("add the index %s: %w", name, err)
		}
		if _, err := s.waitActive(ctx); err != nil {
			return err
		}
	}

	return nil
}

// addStream enables the stream. A stream that does not carry both images is an error, because
// switching it off would lose its unread records; the operator decides.
func (s *Store) addStream(ctx context.Context, t *types.TableDescription) error {
	if v := t.StreamSpecification; v != nil && aws.ToBool(v.StreamEnabled) {
		if v.StreamViewType != types.StreamViewTypeNewAndOldImages {
			return fmt.Errorf("the stream of the table %s carries %s, not both images: switch it off, and migrate again", s.table, v.StreamViewType)
		}
		return nil
	}

	if _, err := s.db.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: &s.table, StreamSpecification: bothImages}); err != nil {
		return fmt.Errorf("switch the stream on: %w", err)
	}
	_, err := s.waitActive(ctx)
	return err
}

// addTidying enables the time to live. Two processes may do it at once: the one that is refused
// looks whether the other has succeeded.
func (s *Store) addTidying(ctx context.Context) error {
	on, err := s.tidies(ctx)
	if err != nil || on {
		return err
	}
	_, err = s.db.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{TableName: &s.table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(attrEndsAt), Enabled: aws.Bool(true)}})
	if err != nil { // another process may have been faster
		if on, again := s.tidies(ctx); again == nil && on {
			return nil
		}
	}
	return err
}

// tidies reports whether the time to live is enabled. If it uses an attribute that is not ours, it
// returns an error: such a table would delete items that we need.
func (s *Store) tidies(ctx context.Context) (bool, error) {
	out, err := s.db.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &s.table})
	if err != nil {
		return false, err
	}

	d := out.TimeToLiveDescription
	if d == nil || d.TimeToLiveStatus == types.TimeToLiveStatusDisabled || d.TimeToLiveStatus == "" {
		return false, nil
	}
	if aws.ToString(d.AttributeName) != attrEndsAt {
		return false, fmt.Errorf(
			"the table %s deletes items by the attribute %q: that is not paylink's, switch it off",
			s.table,
			aws.ToString(d.AttributeName),
		)
	}
	return true, nil
}

// addRecovery enables point-in-time recovery where it is supported. DynamoDB Local, for example,
// does not support it, which is no error.
func (s *Store) addRecovery(ctx context.Context) error {
	out, err := s.db.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &s.table})
	if unsupported(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if d := out.ContinuousBackupsDescription; d != nil && d.PointInTimeRecoveryDescription != nil &&
		d.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus == types.PointInTimeRecoveryStatusEnabled {
		return nil
	}
	_, err = s.db.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{TableName: &s.table,
		PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)}})
	if unsupported(err) {
		return nil
	}
	return err
}

// unsupported reports whether the endpoint does not know the operation.
func unsupported(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "UnknownOperationException" || api.ErrorCode() == "UnsupportedOperationException")
}
