package dynamo

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/paylink/paylink/internal/fault"
)

// Limits of a call.
const (
	callBudget = 10 * time.Second // all tries together, or the caller's deadline if that is sooner
	tryTimeout = 3 * time.Second
	// A migration's limits are wider: no payer waits, and an endpoint that has just started may
	// be slow.
	migrationCallBudget = 2 * time.Minute
	migrationTryTimeout = 30 * time.Second
	maxTries            = 10
	firstPause          = 25 * time.Millisecond
	longestPause        = time.Second
	retryAfter          = time.Second
)

// effect is what a failed try left behind.
type effect uint8

// Effects of a failed try.
const (
	final   effect = iota // DynamoDB decided: another try changes nothing
	notDone               // refused for now: throttled, or in conflict with another transaction
	unknown               // it may have been carried out
)

// try is one attempt of a call. again means that an earlier attempt may have been carried out:
// what looks like another process's write may be ours.
type try func(ctx context.Context, again bool) error

// call tries until DynamoDB decides, with pauses of full jitter. A call without a decision is a
// fault of kind Unavailable: store_busy if nothing can have been done, store_unavailable if that is
// unknown. What is sent again is recognized. partition is the one that is written, for the count of
// its heat; "" for a read.
func (s *Store) call(ctx context.Context, operation, partition string, do try) error {
	ctx, cancel := context.WithTimeout(ctx, s.callBudget)
	defer cancel()

	again := false
	for i := 0; ; i++ {
		err := s.once(ctx, operation, again, do)
		if err == nil {
			return nil
		}

		what := judge(err)
		if what == final {
			return err
		}

		again = again || what == unknown
		if throttledKey(err) {
			s.heat.throttle(partition)
		}

		if i == maxTries-1 || !pause(ctx, i) {
			return unavailable(err, again)
		}
	}
}

// once makes one try within its own timeout. Only failures are observed here; a success is observed
// with its units by spent.
func (s *Store) once(ctx context.Context, operation string, again bool, do try) error {
	ctx, cancel := context.WithTimeout(ctx, s.tryTimeout)
	defer cancel()

	start := time.Now()
	err := do(ctx, again)
	if err != nil {
		s.observe(Call{Operation: operation, Took: time.Since(start), Err: err})
	}
	return err
}

// pause waits before the next try, for a random time of up to 25 ms, doubled for each try up to a
// second. It returns false if the deadline comes sooner.
func pause(ctx context.Context, i int) bool {
	longest := min(longestPause, firstPause<<i)
	wait := rand.N(longest) + time.Millisecond
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
		return false
	}

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// unavailable returns the fault of a call without a decision. again means that a try may have been
// carried out.
func unavailable(err error, again bool) error {
	if !again {
		return fault.Unavailable("store_busy", retryAfter, err, "Too many concurrent changes to this account; retry.")
	}
	return fault.Unavailable("store_unavailable", retryAfter, err, "The change could not be confirmed; retry.")
}

// judge returns what a failed try left behind. An error that is not known to be harmless counts as
// unknown, and one that DynamoDB answered with a status below 500 as final.
func judge(err error) effect {
	var decision decided
	if errors.As(err, &decision) {
		return final
	}

	var canceled *types.TransactionCanceledException
	if errors.As(err, &canceled) {
		return judgeReasons(canceled.CancellationReasons)
	}

	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "ThrottledException", "Throttling",
			"TooManyRequestsException", "LimitExceededException", "TransactionConflictException", "ReplicatedWriteConflictException":
			return notDone
		case "TransactionInProgressException",
			"InternalServerError",
			"InternalFailure",
			"ServiceUnavailable",
			"IdempotentParameterMismatchException":
			return unknown
		}

		var answer *smithyhttp.ResponseError
		if errors.As(err, &answer) && answer.HTTPStatusCode() >= 500 {
			return unknown
		}
		return final
	}
	return unknown // no answer of DynamoDB: the connection failed, or the time ran out
}

// judgeReasons evaluates why a transaction was canceled. A failed condition is a decision, unless
// the first item, whose own condition shows whether this same change is already stored, could not
// be checked.
func judgeReasons(reasons []types.CancellationReason) effect {
	for i, r := range reasons {
		switch aws.ToString(r.Code) {
		case "ConditionalCheckFailed", "ValidationError", "ItemCollectionSizeLimitExceeded", "DuplicateItem":
			return final
		case "", "None":
		default: // TransactionConflict, ThrottlingError, ProvisionedThroughputExceeded
			if i == 0 {
				return notDone
			}
		}
	}

	return notDone
}

// throttledKey reports whether one partition, rather than the whole table's capacity, was
// exhausted. An endpoint that gives no reasons is taken to mean the partition.
func throttledKey(err error) bool {
	var reasons []types.ThrottlingReason
	var exceeded *types.ProvisionedThroughputExceededException
	var throttled *types.ThrottlingException
	var canceled *types.TransactionCanceledException
	switch {
	case errors.As(err, &exceeded):
		reasons = exceeded.ThrottlingReasons
	case errors.As(err, &throttled):
		reasons = throttled.ThrottlingReasons
	case errors.As(err, &canceled):
		for _, r := range canceled.CancellationReasons {
			if c := aws.ToString(r.Code); c == "ThrottlingError" || c == "ProvisionedThroughputExceeded" {
				return true
			}
		}
		return false
	default:
		return false
	}

	for _, r := range reasons {
		if strings.Contains(aws.ToString(r.Reason), "KeyRange") {
			return true
		}
	}

	return len(reasons) == 0
}

// refusal returns the item that a failed condition found; ok is false if err is no such refusal.
// In a transaction it is that of the first item that failed.
func refusal(err error) (place int, found item, ok bool) {
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return 0, failed.Item, true
	}

	var canceled *types.TransactionCanceledException
	if errors.As(err, &canceled) {
		for i, r := range canceled.CancellationReasons {
			if aws.ToString(r.Code) == "ConditionalCheckFailed" {
				return i, r.Item, true
			}
		}
	}
	return 0, nil, false
}
