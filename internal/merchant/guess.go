package merchant

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

// Guessing is bounded per user. After freeGuesses failures each further try waits twice as long
// as the one before, up to longestWait. A day without a failure, a password reset or a success
// deletes the count. A try within the wait is refused unchecked, and not counted. The hasher
// bounds concurrent tries.
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
)

// guessKey returns the key under which a user's failures are counted.
func guessKey(u User) string { return "user:" + u.ID }

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

// mayGuess returns too_many_attempts, with the time to wait, for a try that comes too soon.
// The wait is rounded up to whole seconds. It counts nothing.
func (l *Local) mayGuess(ctx context.Context, key string) error {
	g, err := l.access.GuessesOf(ctx, key)
	if err != nil {
		return err
	}
	now := l.time()
	left := g.At.Add(g.wait()).Sub(now)
	if left <= 0 || now.Sub(g.At) >= guessLife {
		return nil
	}
	f := fault.New(fault.KindRateLimited, "too_many_attempts", "Too many wrong attempts. Wait before the next one.")
	f.RetryAfter = left.Truncate(time.Second) + time.Second
	return f
}

// wrong counts a failure and returns the error for it, or the store's error if the failure
// could not be counted: then a wrong answer must not pass for a checked one.
func (l *Local) wrong(ctx context.Context, key string, answer error) error {
	now := l.time()
	if err := l.access.Guess(ctx, key, now, now.Add(-guessLife)); err != nil {
		return err
	}
	return answer
}
