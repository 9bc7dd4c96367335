package limit

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	redisrate "github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
)

// Limits of counting.
const (
	maxKeys      = 200_000 // kept in this process; the least recently used are dropped first
	redisTimeout = 100 * time.Millisecond
	redisPause   = time.Second // after a failure, before Redis is tried again
	redisPrefix  = "paylink:"
)

// verdict is the result of counting one request under one policy.
type verdict struct {
	policy    Policy
	limited   bool
	remaining int
	reset     time.Duration // until the whole burst is available again
	retry     time.Duration // until one more is allowed; only when limited
}

// counter counts the keys of one policy. It is safe for concurrent use.
type counter interface {
	take(ctx context.Context, key string) (verdict, error)
}

// local is a counter in this process.
type local struct {
	policy  Policy
	limiter *throttled.GCRARateLimiterCtx
}

// newLocal returns a counter of the policy in memory, for at most maxKeys.
func newLocal(p Policy, now func() time.Time) (*local, error) {
	store, err := memstore.New(maxKeys)
	if err != nil {
		return nil, err
	}

	store.SetTimeNow(now)
	// The burst of throttled does not include the first request.
	limiter, err := throttled.NewGCRARateLimiterCtx(
		throttled.WrapStoreWithContext(store),
		throttled.RateQuota{MaxRate: throttled.PerDuration(p.Count, p.Per), MaxBurst: p.Burst - 1},
	)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", p.Name, err)
	}

	// Each lost race is the success of another request, so the loop ends.
	limiter.SetMaxCASAttemptsLimit(maxAttempts)
	return &local{p, limiter}, nil
}

// maxAttempts bounds the tries of one count against concurrent ones.
const maxAttempts = 1000

// take implements counter.
func (l *local) take(ctx context.Context, key string) (verdict, error) {
	limited, r, err := l.limiter.RateLimitCtx(ctx, key, 1)
	return verdict{l.policy, limited, r.Remaining, r.ResetAfter, max(r.RetryAfter, 0)}, err
}

// shared is a counter in Redis, and in this process while Redis does not answer. A request
// then waits for at most redisTimeout, once in redisPause.
type shared struct {
	policy  Policy
	limiter *redisrate.Limiter
	local   *local
	down    *atomic.Int64 // until when Redis is not tried; shared by all policies
	log     *slog.Logger
	now     func() time.Time
}

// take implements counter. It fails only if the local counter does.
func (s *shared) take(ctx context.Context, key string) (verdict, error) {
	if s.now().UnixNano() < s.down.Load() {
		return s.local.take(ctx, key)
	}

	bounded, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	r, err := s.limiter.Allow(
		bounded,
		redisPrefix+s.policy.Name+":"+key,
		redisrate.Limit{Rate: s.policy.Count, Burst: s.policy.Burst, Period: s.policy.Per},
	)
	if err != nil {
		if ctx.Err() == nil {
			s.down.Store(s.now().Add(redisPause).UnixNano())
			s.log.WarnContext(ctx, "Redis cannot count requests; this process counts its own", "error", err.Error())
		}
		return s.local.take(ctx, key)
	}

	return verdict{s.policy, r.Allowed == 0, r.Remaining, r.ResetAfter, max(r.RetryAfter, 0)}, nil
}

// OpenRedis reads a Redis URL: redis://user:password@host:port/database, or rediss. It does
// not connect. The error never contains the URL.
func OpenRedis(url string) (*redis.Client, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		// The error of the parser may contain the password.
		return nil, fmt.Errorf("want redis://HOST:PORT/DATABASE or rediss://…")
	}
	return redis.NewClient(o), nil
}
