// Package webhook sends what notify decided to send. It is a durable queue (River) and an HTTP
// sender that trusts no receiver. The queue is either a SQLite file of its own (WAL,
// synchronous=FULL, a single connection), which one process at a time has, or tables in a
// PostgreSQL database, which any number of processes work on.
//
// Enqueue returns when the jobs are on the disk. A try that a crash interrupted is made again,
// so a receiver may get an event twice, never zero times: a job ends only by a 2xx answer, with
// a parked delivery that an operator sees, or because its endpoint was deleted.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/postgres"
)

// Limits and defaults.
const (
	Timeout        = 15 * time.Second // one try, from the look-up to the last byte of the answer
	MaxRetryAfter  = 24 * time.Hour   // the longest wait that a receiver may ask for
	StopTimeout    = 20 * time.Second // running tries may finish for so long
	defaultWorkers = 32
	fetchCooldown  = 50 * time.Millisecond
	fetchPoll      = 100 * time.Millisecond // a webhook waits for at most about so long
	insertBatch    = 200

	// Jobs that their endpoints cannot take now wait in a queue of their own, with as many
	// workers, so that a long backlog does not delay other endpoints.
	crowdedQueue    = "crowded"
	crowdedCooldown = 100 * time.Millisecond
	crowdedPoll     = 300 * time.Millisecond

	uniqueFor  = 24 * time.Hour // how long a finished job keeps a repeated event out
	jitter     = 0.1            // of each delay, either way
	spareTries = 10             // for tries that nobody finished, so that River does not end a job that was not parked
)

// Schedule returns the delay before each further try: ten tries over three days, as Standard
// Webhooks recommends.
func Schedule() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

// Config holds the settings of a Queue. URL, Store and Keys are required; the rest has
// defaults.
type Config struct {
	URL          string // sqlite:PATH of the queue's own file, or postgres://… of a database
	Store        notify.Store
	Keys         notify.Keys // Unseal and Sign are used
	Logger       *slog.Logger
	AllowPrivate bool // development: http and private addresses
	Workers      int  // tries at the same time
	Schedule     []time.Duration
	Timeout      time.Duration
	StopTimeout  time.Duration
	Resolver     *net.Resolver // nil: the system's
	Now          func() time.Time
}

// withDefaults returns the configuration with defaults for what is zero.
func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Workers == 0 {
		c.Workers = defaultWorkers
	}
	if c.Schedule == nil {
		c.Schedule = Schedule()
	}
	if c.Timeout == 0 {
		c.Timeout = Timeout
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = StopTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// tries returns after how many failures a job is parked.
func (c Config) tries() int { return len(c.Schedule) + 1 }

// Queue implements notify.Queue.
type Queue struct {
	engine    engine
	client    riverClient
	transport *http.Transport
	config    Config
}

var _ notify.Queue = (*Queue)(nil)

// engine is where the jobs are stored.
type engine interface {
	// migrate brings River's tables up to date.
	migrate(ctx context.Context, logger *slog.Logger) error
	// client returns River's client, with the engine's changes to its configuration.
	client(*river.Config) (riverClient, error)
	// heartbeat shows, until ctx ends, that this process works, and makes tries of processes that
	// died available again; such a try does not count. It calls ready when that is first done.
	heartbeat(ctx context.Context, ready func()) error
	// crowd moves an endpoint's waiting jobs into the queue of crowded endpoints.
	crowd(ctx context.Context, endpoint string) error
	// advance moves the account's scheduled test deliveries forward by the duration.
	advance(ctx context.Context, account string, by time.Duration) error
	close() error
}

// riverClient is what the queue needs of River, whatever the type of its transactions.
type riverClient interface {
	Start(context.Context) error
	Stop(context.Context) error
	StopAndCancel(context.Context) error
	InsertMany(context.Context, []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
	JobList(context.Context, *river.JobListParams) (*river.JobListResult, error)
}

// newEngine returns the engine of a URL. It is an error if the URL is neither a file's nor
// a database's.
func newEngine(ctx context.Context, c Config) (engine, error) {
	if postgres.Is(c.URL) {
		return newDatabase(ctx, c)
	}
	path, ok := strings.CutPrefix(c.URL, "sqlite:")
	if !ok {
		return nil, errors.New("want sqlite:PATH or postgres://…")
	}
	return newFile(path)
}

// Open opens the queue, and creates or migrates it if needed. It sends nothing until Run.
// If it fails, nothing stays open.
func Open(ctx context.Context, c Config) (*Queue, error) {
	c = c.withDefaults()
	e, err := newEngine(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open the webhook queue: %w", err)
	}
	q := &Queue{engine: e, config: c, transport: transport(c)}
	if err := q.prepare(ctx, slog.New(warnings{c.Logger.Handler()})); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return q, nil
}

// Migrate brings the queue's tables up to date, for the command that migrates before
// processes start.
func Migrate(ctx context.Context, url string) error {
	c := Config{URL: url}.withDefaults()
	e, err := newEngine(ctx, c)
	if err != nil {
		return fmt.Errorf("open the webhook queue: %w", err)
	}
	if err := errors.Join(e.migrate(ctx, c.Logger), e.close()); err != nil {
		return fmt.Errorf("migrate the webhook queue: %w", err)
	}
	return nil
}

// prepare migrates, and makes the client with its workers.
func (q *Queue) prepare(ctx context.Context, logger *slog.Logger) error {
	if err := q.engine.migrate(ctx, logger); err != nil {
		return fmt.Errorf("migrate the webhook queue: %w", err)
	}

	workers := river.NewWorkers()
	sender := newSender(q.config, q.transport)
	sender.crowd = q.engine.crowd
	err := river.AddWorkerSafely(workers, sender)
	if err != nil {
		return err
	}

	q.client, err = q.engine.client(&river.Config{
		Logger:  logger,
		Workers: workers,
		Queues: map[string]river.QueueConfig{
			river.QueueDefault: {MaxWorkers: q.config.Workers},
			crowdedQueue:       {MaxWorkers: q.config.Workers, FetchCooldown: crowdedCooldown, FetchPollInterval: crowdedPoll},
		},
		FetchCooldown:               fetchCooldown,
		FetchPollInterval:           fetchPoll,
		MaxAttempts:                 q.config.tries() + spareTries,
		CompletedJobRetentionPeriod: uniqueFor,
		CancelledJobRetentionPeriod: uniqueFor,
		DiscardedJobRetentionPeriod: uniqueFor, // the parked delivery is what stays
		JobTimeout:                  2*q.config.Timeout + recordTimeout,
		RescueStuckJobsAfter:        4*q.config.Timeout + 2*recordTimeout,
	})
	return err
}

// Run works on the queue until ctx ends, lets running tries finish for StopTimeout, and returns
// nil. A try that is cut off then is made again after the next start.
func (q *Queue) Run(ctx context.Context) error {
	base := context.WithoutCancel(ctx)
	living, die := context.WithCancel(base) // outlives ctx: other processes must not take tries that are finishing
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- q.engine.heartbeat(living, sync.OnceFunc(func() { close(ready) })) }()
	err := error(nil)
	// Work begins when tries of dead processes are available again, so that none is sent
	// later than it must be.
	select {
	case <-ready:
		err = q.work(ctx, base)
	case <-ctx.Done():
	case err = <-ended:
		die()
		return err
	}

	die()
	return errors.Join(err, <-ended)
}

// work sends until ctx ends. Then it takes no new job, waits for running tries, and at last
// cancels them.
func (q *Queue) work(ctx, base context.Context) error {
	if err := q.client.Start(base); err != nil {
		return fmt.Errorf("start the webhook queue: %w", err)
	}

	<-ctx.Done()
	soft, cancel := context.WithTimeout(base, q.config.StopTimeout)
	defer cancel()
	if err := q.client.Stop(soft); err == nil {
		return nil
	}

	hard, cancel := context.WithTimeout(base, recordTimeout)
	defer cancel()
	if err := q.client.StopAndCancel(hard); err != nil {
		return fmt.Errorf("stop the webhook queue: %w", err)
	}

	return nil
}

// Close closes the file or the connections. Call it after Run has returned.
func (q *Queue) Close() error {
	q.transport.CloseIdleConnections()
	return q.engine.close()
}

// Enqueue implements notify.Queue. It inserts in batches. If one fails, those before it are
// kept, and a repetition of the whole call drops them.
func (q *Queue) Enqueue(ctx context.Context, jobs []notify.Job) error {
	type key struct{ event, endpoint, delivery string }
	seen := make(map[key]struct{}, len(jobs))
	batch := make([]river.InsertManyParams, 0, min(len(jobs), insertBatch))
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		_, err := q.client.InsertMany(ctx, batch)
		batch = batch[:0]
		return err
	}
	for _, j := range jobs {
		k := key{j.Event, j.Endpoint, j.Delivery}
		if _, twice := seen[k]; twice {
			continue
		}
		seen[k] = struct{}{}
		batch = append(batch, river.InsertManyParams{Args: args{
			Event: j.Event, Endpoint: j.Endpoint, Delivery: j.Delivery, Test: j.Test, Redelivery: j.Redelivery,
			Account: j.Account, Mode: j.Mode, EventType: j.EventType, SealedBody: j.SealedBody,
		}})
		if len(batch) == insertBatch {
			if err := flush(); err != nil {
				return fmt.Errorf("enqueue webhooks: %w", err)
			}
		}
	}

	if err := flush(); err != nil {
		return fmt.Errorf("enqueue webhooks: %w", err)
	}

	return nil
}

// Advance moves the account's scheduled test deliveries forward by the duration. Those that
// are due then are tried at once. Live deliveries stay.
func (q *Queue) Advance(ctx context.Context, account string, by time.Duration) error {
	if err := q.engine.advance(ctx, account, by); err != nil {
		return fmt.Errorf("move webhooks in time: %w", err)
	}
	return nil
}

// unfinished are the states of a job whose event is still to be sent.
var unfinished = []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
	rivertype.JobStateRunning, rivertype.JobStateScheduled}

// EachJob visits the unfinished jobs, oldest first, for a move to another queue. There each has
// all its tries again.
func (q *Queue) EachJob(ctx context.Context, visit func(notify.Job) error) error {
	page := river.NewJobListParams().Kinds(args{}.Kind()).States(unfinished...).OrderBy(river.JobListOrderByID,
		river.SortOrderAsc).First(insertBatch)

	for {
		found, err := q.client.JobList(ctx, page)
		if err != nil {
			return fmt.Errorf("list webhooks: %w", err)
		}
		for _, row := range found.Jobs {
			var a args
			if err := json.Unmarshal(row.EncodedArgs, &a); err != nil {
				return fmt.Errorf("read webhook job %d: %w", row.ID, err)
			}
			if err := visit(notify.Job{Account: a.Account, Mode: a.Mode, Endpoint: a.Endpoint, Event: a.Event, EventType: a.EventType,
				Delivery: a.Delivery, Test: a.Test, Redelivery: a.Redelivery, SealedBody: a.SealedBody}); err != nil {
				return err
			}
		}
		if len(found.Jobs) < insertBatch {
			return nil
		}
		page = page.After(found.LastCursor)
	}
}

// args is a job as it is stored. Event, endpoint and delivery make it unique.
type args struct {
	Event      string `json:"event" river:"unique"`
	Endpoint   string `json:"endpoint" river:"unique"`
	Delivery   string `json:"delivery" river:"unique"` // empty unless it is a redelivery or a test
	Test       bool   `json:"test,omitempty"`
	Redelivery string `json:"redelivery,omitempty"`
	Account    string `json:"account"`
	Mode       string `json:"mode"`
	EventType  string `json:"eventType"`
	SealedBody []byte `json:"sealedBody"`

	next time.Time // set by a failed try: when the next one is due
}

// Kind implements river.JobArgs.
func (args) Kind() string { return "webhook" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (args) InsertOpts() river.InsertOpts {
	return river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: rivertype.JobStates()}}
}

// spread changes a delay by up to the jitter, so that jobs that failed together do not come
// back together.
func spread(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()*2-1)*jitter*float64(d))
}

// warnings is a handler that drops everything below warn.
type warnings struct{ slog.Handler }

// Enabled implements slog.Handler.
func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}

func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }
