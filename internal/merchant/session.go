package merchant

import (
	"context"
	"maps"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
)

// maxSeen bounds the sessions whose last use is not written yet.
const maxSeen = 100_000

// over reports whether the session has ended: signed out, expired, or, in a browser, unused for
// too long. It does not know what other instances saw in the last minute, so a session may end
// up to a minute early on one of them.
func (l *Local) over(s Session) bool {
	now := l.now()
	if !s.RevokedAt.IsZero() || !now.Before(s.ExpiresAt) {
		return true
	}
	return s.Browser && now.Sub(l.lastSeen(s)) >= BrowserIdle
}

// lastSeen returns the newest use that this process knows, from the store or its own
// memory.
func (l *Local) lastSeen(s Session) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.seen[s.ID]; at.After(s.LastSeenAt) {
		return at
	}
	return s.LastSeenAt
}

// saw records a use in memory; RunTouches writes it. A crash loses the uses of the last minute,
// so a session that was idle for 59 minutes before may be over then.
func (l *Local) saw(s Session) {
	now := l.time()
	if now.Sub(s.LastSeenAt) < touchEvery {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, noted := l.seen[s.ID]; noted || len(l.seen) < maxSeen {
		l.seen[s.ID] = now
	}
}

// flushSeen writes the collected uses of sessions. If the write fails, they wait for the
// next round.
func (l *Local) flushSeen(ctx context.Context) {
	l.mu.Lock()
	batch := l.seen
	l.seen = make(map[string]time.Time)
	l.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	if err := l.access.TouchSessions(ctx, batch); err != nil {
		l.log.WarnContext(ctx, "last uses of sessions could not be written; trying again", "error", err)
		l.mu.Lock()
		maps.Copy(batch, l.seen) // later uses win
		l.seen = batch
		l.mu.Unlock()
	}
}

// SignOut ends a session at once, on every instance.
func (l *Local) SignOut(ctx context.Context, session string) error {
	s, err := l.sessions.SessionByID(ctx, session)
	if err != nil {
		return unknown(err, nil) // there is none to end
	}
	return l.sessions.RevokeSession(l.did(ctx, s.Account, activity.SignedOut, session, nil), session, l.time())
}

// Sessions returns the user's active sessions, newest first, at most maxListed, with their
// last use as this process knows it.
func (l *Local) Sessions(ctx context.Context, user string) ([]Session, error) {
	list, err := l.access.SessionsByUser(ctx, user, l.now(), maxListed)
	if err != nil {
		return nil, err
	}
	out := make([]Session, 0, len(list))
	for _, s := range list {
		if !l.over(s) {
			s.LastSeenAt = l.lastSeen(s)
			out = append(out, s)
		}
	}
	return out, nil
}

// EndSession ends one of the user's sessions. A session of another user is fault.NotFound.
func (l *Local) EndSession(ctx context.Context, user, session string) error {
	if !id.Valid(id.Session, session) {
		return fault.NotFound("session")
	}
	s, err := l.sessions.SessionByID(ctx, session)
	if err == nil && s.User != user {
		err = fault.NotFound("session")
	}
	if err != nil {
		return err
	}
	return l.sessions.RevokeSession(l.did(ctx, s.Account, activity.SessionsEnded, session, nil), session, l.time())
}

// EndSessions ends all sessions of the user but keep.
func (l *Local) EndSessions(ctx context.Context, user, keep string) error {
	u, err := l.users.UserByID(ctx, user)
	if err != nil {
		return err
	}
	return l.access.Apply(l.didUser(ctx, u, activity.SessionsEnded, nil), Change{At: l.time(), Revoke: user, Keep: keep})
}
