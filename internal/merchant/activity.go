package merchant

import (
	"context"
	"strings"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
)

// Activity implements Service.
func (l *Local) Activity(ctx context.Context, account string, f activity.Filter, limit int) ([]activity.Event, error) {
	switch {
	case f.Before != "" && !id.Valid(id.Activity, f.Before):
		return nil, fault.Invalid("cursor", "cursor_invalid", "Invalid cursor: pass nextCursor from a previous page.")
	case f.Kind != "" && !activity.Known(f.Kind):
		return nil, fault.Invalid("kind", "value_invalid", "kind must be one of: %s.", strings.Join(activity.Kinds, ", "))
	}
	if limit <= 0 || limit > MaxActivityPage+1 {
		limit = MaxActivityPage + 1
	}
	return l.activity.Activity(ctx, account, f, limit)
}

// Exported implements Service.
func (l *Local) Exported(ctx context.Context, account, what string) error {
	return l.activity.Note(l.did(ctx, account, activity.Exported, account, map[string]string{"what": what}))
}

// did returns ctx with an event that the next commit writes with its change.
func (l *Local) did(ctx context.Context, account, kind, target string, details map[string]string) context.Context {
	return activity.Record(ctx, activity.Event{Account: account, At: l.time(), Kind: kind, Target: target, Details: details})
}

// didUser is did for a change of the user's own sign-in.
func (l *Local) didUser(ctx context.Context, u User, kind string, details map[string]string) context.Context {
	return l.did(as(ctx, u.ID, ""), u.Account, kind, u.ID, details)
}

// as returns ctx with the user as the actor, who is known only now. A session that signed the user
// in before stays.
func as(ctx context.Context, user, session string) context.Context {
	a := activity.From(ctx)
	if a.Kind == activity.User && a.ID == user {
		return ctx
	}
	a.Kind, a.ID, a.Session = activity.User, user, session
	return activity.With(ctx, a)
}

// firstInAWhile reports whether a lockout under a key has not been noted in this minute.
func (l *Local) firstInAWhile(key string) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.lockouts[key]) < touchEvery {
		return false
	}
	if len(l.lockouts) >= maxSeen {
		clear(l.lockouts)
	}
	l.lockouts[key] = now
	return true
}

// refused notes a sign-in that failed, in one entry an hour for each user, network and reason. Of a
// user who is locked out, it counts one a minute. An unknown login belongs to no account, and its
// entry does not contain it: people type passwords there too. If the store fails, the refusal stands
// all the same.
func (l *Local) refused(ctx context.Context, c claim, cause error) {
	f := fault.From(cause)
	if f.Kind != fault.KindUnauthenticated && f.Kind != fault.KindRateLimited || f.Code == fault.Code(ErrOTPRequired) {
		return
	}
	if f.Kind == fault.KindRateLimited && !l.firstInAWhile(c.key) {
		return // so that a flood that is refused unchecked is not written down, one by one
	}
	who := User{}
	if c.known {
		who = c.user
		ctx = as(ctx, who.ID, "")
	}
	ctx = activity.Record(ctx, activity.Event{Account: who.Account, At: l.time(), Kind: activity.SignInFailed, Target: who.ID,
		Outcome: activity.Failed, Details: map[string]string{"reason": f.Code}, Folds: true})
	if err := l.activity.Note(ctx); err != nil {
		l.log.WarnContext(ctx, "a refused sign-in could not be recorded", "error", err)
	}
}
