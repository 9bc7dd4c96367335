package merchant

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

// A guess is a try to give a secret that could be found by trying: a password, or a code. It is
// counted by one conditional write before the secret is compared. A right answer gives it back,
// and so does a try that never got to the comparison. So however many guesses come at once, in
// however many processes, no more are compared than the count allows. If the process crashes in
// between, the guess stays counted as a failure.
//
// After freeGuesses failures under a key, each further try waits twice as long as the one before,
// up to longestWait. A day without a try, a password reset or a success deletes the count. A try
// within the wait is refused unchecked, and not counted.
//
// Sign-ins of a user are counted together, except those from a known device, which has a count of
// its own: strangers cannot make it wait. Passwords and codes that a signed-in user repeats have
// another count, for the same reason.
//
// A login that nobody has is counted like one that exists, so that neither the answer nor its
// duration reveals which it is. Such logins share a fixed number of counters, so that invented
// ones do not fill the store.
const (
	freeGuesses   = 5
	firstWait     = time.Second
	longestWait   = 15 * time.Minute
	guessLife     = 24 * time.Hour
	strangersMask = 1<<20 - 1
	codesPerProof = 5                // codes that are compared for one proof of the password
	guessTries    = 20               // a guess is counted again after another process was faster
	giveBackTime  = 10 * time.Second // for giving a guess back after the caller is gone
)

// guessKey returns the key for sign-ins of a user from devices that are not known.
func guessKey(user string) string { return "user:" + user }

// againKey returns the key for what a signed-in user repeats.
func againKey(user string) string { return "again:" + user }

// strangerKey returns the key for a login that nobody has: one of 2^20, chosen by its hash.
func strangerKey(login string) string {
	sum := sha256.Sum256([]byte(login))
	return fmt.Sprintf("login:%05x", binary.BigEndian.Uint32(sum[:])&strangersMask)
}

// wait returns how long after the last failure the next try is accepted. The shift is
// bounded, so that a large count cannot overflow it.
func (g Guesses) wait() time.Duration {
	n := g.Failures - freeGuesses
	if n < 0 {
		return 0
	}
	if d := firstWait << min(n, 20); d < longestWait {
		return d
	}
	return longestWait
}

// patient returns too_many_attempts, with the time to wait, for a try that came too soon.
func patient(g Guesses, came time.Time) error {
	if wait := g.wait(); wait > 0 && g.At.Add(wait).After(came) {
		return tooMany(min(g.At.Add(wait).Sub(came), wait))
	}
	return nil
}

// fewCodes returns too_many_attempts if the proof has had all of its codes.
func fewCodes(g Guesses, _ time.Time) error {
	if g.Failures >= codesPerProof {
		return tooMany(0)
	}
	return nil
}

// tooMany returns the fault of a try that must wait. The time is rounded up to whole seconds.
func tooMany(left time.Duration) error {
	f := fault.New(fault.KindRateLimited, "too_many_attempts", "Too many wrong attempts. Wait before the next one.")
	f.RetryAfter = left.Truncate(time.Second) + time.Second
	return f
}

// verdict is what became of a guess.
type verdict int

const (
	wrong  verdict = iota // it stays counted
	spared                // right but not the last step, or never compared: given back
	right                 // the count is deleted
	stored                // right, and the commit that it led to has deleted the count
)

// guess runs compare as one guess under the key, and returns its error. Guesses under one key run
// one at a time in each process. The wait after a failure counts from it to the time at which the
// guess came, so a crowd that queues here does not wait it out. The error is too_many_attempts, and compare does not run, if the
// guess comes too soon, or if it cannot have its turn in time.
func (l *Local) guess(ctx context.Context, key string, compare func() (verdict, error)) error {
	came := l.time()
	leave, err := l.turns.take(ctx, key)
	if err != nil {
		return err
	}
	defer leave()

	was, is, err := l.count(ctx, key, came, patient)
	if err != nil {
		return err
	}

	v, err := compare()
	switch v {
	case spared:
		l.giveBack(ctx, key, is, was)
	case right:
		l.giveBack(ctx, key, is, Guesses{})
	case wrong, stored:
	}
	return err
}

// count counts one more guess, which came at that time, under the key if may allows it. It returns
// the stored guesses before and after. If the error is of the store, the guess may or may not be counted.
func (l *Local) count(
	ctx context.Context,
	key string,
	came time.Time,
	may func(Guesses, time.Time) error,
) (was, is Guesses, err error) {
	for range guessTries {
		if was, err = l.access.GuessesOf(ctx, key); err != nil {
			return was, is, err
		}

		now, recent := l.time(), was
		if now.Sub(was.At) >= guessLife {
			recent = Guesses{}
		}
		if err = may(recent, came); err != nil {
			return was, is, err
		}

		is = Guesses{Failures: recent.Failures + 1, At: now}
		if is.At.Before(recent.At) { // by another process's clock
			is.At = recent.At
		}
		if err = l.access.PutGuesses(ctx, key, was, is); !errors.Is(err, ErrChanged) {
			return was, is, err
		}
	}

	return was, is, tooMany(0)
}

// giveBack replaces the guesses that count has stored. If they have changed since, or the store
// fails, the guess stays counted.
func (l *Local) giveBack(ctx context.Context, key string, is, was Guesses) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTime)
	defer cancel()
	if err := l.access.PutGuesses(ctx, key, is, was); err != nil && !errors.Is(err, ErrChanged) {
		l.log.WarnContext(ctx, "a right guess stays counted", "error", err)
	}
}

// turns admits one guess at a time for each key. The zero value is ready to use.
type turns struct {
	mu sync.Mutex
	of map[string]*turn
}

// turn is the place of one key. It is dropped when nobody has it or waits for it.
type turn struct {
	taken chan struct{} // full while somebody has it
	users int
}

// take waits for the key's turn, and returns a function that ends it. It fails with
// too_many_attempts after hashWait, and with the error of ctx.
func (t *turns) take(ctx context.Context, key string) (leave func(), err error) {
	t.mu.Lock()
	if t.of == nil {
		t.of = make(map[string]*turn)
	}
	its := t.of[key]
	if its == nil {
		its = &turn{taken: make(chan struct{}, 1)}
		t.of[key] = its
	}
	its.users++
	t.mu.Unlock()

	drop := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if its.users--; its.users == 0 {
			delete(t.of, key)
		}
	}

	limit := time.NewTimer(hashWait)
	defer limit.Stop()
	select {
	case its.taken <- struct{}{}:
		return func() { <-its.taken; drop() }, nil
	case <-limit.C:
		err = tooMany(0)
	case <-ctx.Done():
		err = ctx.Err()
	}
	drop()
	return nil, err
}
