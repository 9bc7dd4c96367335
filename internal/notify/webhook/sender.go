package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/riverqueue/river"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/notify"
)

// How long a try's bookkeeping may take, and when it is tried again.
const (
	recordTimeout = 10 * time.Second // for the row of a try
	storeRetry    = 5 * time.Second  // while the store of endpoints cannot be read
)

// sender processes one job at a time: one try to reach one endpoint.
type sender struct {
	river.WorkerDefaults[args]
	config Config
	client *http.Client
	slots  *slots
	crowd  func(ctx context.Context, endpoint string) error
}

// newSender returns a sender with the configured number of workers.
func newSender(c Config, t *http.Transport) *sender {
	return &sender{config: c, client: client(t), slots: newSlots(c.Workers)}
}

// NextRetry implements river.Worker with the decision of the failed try.
func (s *sender) NextRetry(job *river.Job[args]) time.Time {
	if job.Args.next.IsZero() { // it panicked: the schedule alone decides
		return time.Now().Add(s.delay(job.Attempt, 0))
	}
	return job.Args.next
}

// delay returns the pause before the next try: the schedule's, spread by the jitter, or
// what the receiver asked for if that is longer, up to MaxRetryAfter.
func (s *sender) delay(attempt int, retryAfter time.Duration) time.Duration {
	i := min(max(attempt, 1), len(s.config.Schedule)) - 1
	if i < 0 {
		return min(retryAfter, MaxRetryAfter)
	}
	return max(spread(s.config.Schedule[i]), min(retryAfter, MaxRetryAfter))
}

// Work implements river.Worker. It makes one try, records it, and returns what the queue
// does next: nil ends the job, JobCancel ends it without success, JobSnooze repeats it
// without counting, and any other error means the next try. A crash anywhere in it repeats
// the try.
func (s *sender) Work(ctx context.Context, job *river.Job[args]) error {
	a := &job.Args
	endpoint, err := s.config.Store.Endpoint(ctx, a.Account, a.Endpoint)
	switch {
	case fault.KindOf(err) == fault.KindNotFound:
		return river.JobCancel(errors.New("the endpoint was deleted"))
	case err != nil:
		s.config.Logger.WarnContext(ctx, "webhook: cannot read an endpoint", "endpoint", a.Endpoint, "error", err)
		return river.JobSnooze(storeRetry)
	}

	d := notify.Delivery{
		ID: a.Delivery, Account: a.Account, Mode: a.Mode, Endpoint: a.Endpoint, Event: a.Event,
		EventType: a.EventType, Attempt: job.Attempt, At: s.config.Now(), SealedBody: a.SealedBody, Test: a.Test,
	}

	// The first try of a redelivery or a test updates the pending row that the caller got.
	// Every other try has a row of its own.
	if d.ID == "" || job.Attempt > 1 {
		d.ID = id.New(id.Delivery)
	} else {
		d.Redelivery = a.Redelivery
	}
	if !endpoint.Enabled() && !a.Test {
		d.Attempt = job.Attempt - 1
		d.Error = "endpoint_disabled: the endpoint was disabled (" + endpoint.DisabledReason + ") before this could be sent"
		return s.deadLetter(ctx, d)
	}

	// A free slot is taken last, so that jobs that end without a request need none.
	give, again := s.slots.take(a.Account, a.Endpoint, job.Queue == crowdedQueue)
	if give == nil {
		s.makeWay(ctx, job)
		return river.JobSnooze(again + rand.N(2*again))
	}
	defer give()

	body, headers, err := s.sign(endpoint, d)
	if err != nil {
		s.config.Logger.ErrorContext(ctx, "webhook: cannot sign", "delivery", d.ID, "error", err)
		d.Error = "not_signed: the stored body or secret could not be opened with the keys at hand"
		return s.deadLetter(ctx, d)
	}

	d.Request = request(endpoint.URL, headers)
	answer := s.post(ctx, d.Request, body)
	if ctx.Err() != nil { // stopped hard: this try does not count
		return river.JobSnooze(0)
	}

	s.logCause(ctx, d, answer)
	d.HTTPStatus, d.Answer, d.Error, d.DurationMs = answer.status, answer.body, answer.problem, answer.took.Milliseconds()
	if d.Test {
		return s.settleTest(ctx, d, answer)
	}

	return s.settle(ctx, job, endpoint, d, answer)
}

// makeWay moves the waiting jobs of an endpoint that has its share out of the way of others. If
// that fails, the endpoint's next job tries again.
func (s *sender) makeWay(ctx context.Context, job *river.Job[args]) {
	if job.Queue == crowdedQueue || s.crowd == nil || !s.slots.mayMove(job.Args.Endpoint) {
		return
	}
	if err := s.crowd(ctx, job.Args.Endpoint); err != nil {
		s.config.Logger.WarnContext(ctx, "webhook: cannot move a backlog aside", "endpoint", job.Args.Endpoint, "error", err)
	}
}

// logCause logs why a try failed in the words of the network, which only operators may see. The
// error's URL is left out, because it may contain a secret.
func (s *sender) logCause(ctx context.Context, d notify.Delivery, a answer) {
	cause := a.cause
	if u, ok := errors.AsType[*url.Error](cause); ok {
		cause = u.Err
	}
	if cause != nil {
		s.config.Logger.WarnContext(ctx, "webhook: no complete answer", "endpoint", d.Endpoint, "delivery", d.ID, "error", cause.Error())
	}
}

// settleTest records the result of a test. There is one try, and it changes nothing about the
// endpoint, because a person is watching.
func (s *sender) settleTest(ctx context.Context, d notify.Delivery, answer answer) error {
	if answer.problem == "" {
		d.Status = notify.Succeeded
		s.record(ctx, d)
		return nil
	}
	d.Status = notify.Failed
	if !s.record(ctx, d) {
		return river.JobSnooze(storeRetry)
	}
	return river.JobCancel(errors.New(d.Error))
}

// sign opens the body and signs it for the endpoint. It fails only if a key is missing.
func (s *sender) sign(e notify.Endpoint, d notify.Delivery) ([]byte, notify.Headers, error) {
	body, err := s.config.Keys.Unseal(d.SealedBody)
	if err != nil {
		return nil, notify.Headers{}, fmt.Errorf("unseal the body: %w", err)
	}
	headers, err := s.config.Keys.SignFor(e, d.Event, d.At, body)
	return body, headers, err
}

// settle records the result of a try and returns to the queue what to do next. An endpoint
// that answered 410, or that failed for FailingLimit, is disabled; a job without tries left
// is parked.
func (s *sender) settle(ctx context.Context, job *river.Job[args], e notify.Endpoint, d notify.Delivery, answer answer) error {
	switch {
	case answer.problem == "":
		d.Status = notify.Succeeded
		s.record(ctx, d)
		return nil
	case answer.status == http.StatusGone:
		return s.disable(ctx, d, notify.ReasonGone)
	case e.Failing(d.At):
		return s.disable(ctx, d, notify.ReasonFailing)
	case job.Attempt >= s.config.tries():
		return s.deadLetter(ctx, d)
	}

	delay := s.delay(job.Attempt, answer.retryAfter)
	d.Status, d.NextAt = notify.Failed, s.config.Now().Add(delay)
	job.Args.next = time.Now().Add(delay) // the queue uses the machine's clock
	s.record(ctx, d)
	return errors.New(d.Error)
}

// disable turns the endpoint off and parks the delivery. The endpoint's other jobs are parked
// when their turn comes, unless it is enabled by then.
func (s *sender) disable(ctx context.Context, d notify.Delivery, reason string) error {
	err := notify.Disable(ctx, s.config.Store, d.Account, d.Endpoint, reason, d.At)
	if err != nil {
		s.config.Logger.ErrorContext(ctx, "webhook: cannot disable an endpoint", "endpoint", d.Endpoint, "error", err)
		return river.JobSnooze(storeRetry)
	}
	s.config.Logger.WarnContext(ctx, "webhook endpoint disabled", "endpoint", d.Endpoint, "reason", reason)
	return s.deadLetter(ctx, d)
}

// deadLetter ends a job without success. A person must see its row, so without it the job does not
// end: the try is made again when the store is back.
func (s *sender) deadLetter(ctx context.Context, d notify.Delivery) error {
	d.Status, d.NextAt = notify.DeadLetter, time.Time{}
	if !s.record(ctx, d) {
		return river.JobSnooze(storeRetry)
	}
	s.config.Logger.WarnContext(ctx, "webhook parked", "delivery", d.ID, "endpoint", d.Endpoint, "event", d.Event,
		"attempt", d.Attempt, slog.String("reason", d.Error))
	return river.JobCancel(errors.New(d.Error))
}

// record writes the row of a try, even while the queue is being stopped. A success or failure
// that could not be written is only logged: sending again for the row's sake would disturb the
// receiver.
func (s *sender) record(ctx context.Context, d notify.Delivery) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := s.config.Store.RecordDelivery(ctx, d, nil); err != nil {
		s.config.Logger.ErrorContext(ctx, "webhook: cannot record a delivery", "delivery", d.ID, "status", string(d.Status), "error", err)
		return false
	}
	return true
}
