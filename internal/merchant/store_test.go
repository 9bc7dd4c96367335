package merchant

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/money"
)

// shelf holds the stores in memory.
type shelf struct {
	AccessStore
	mu       sync.Mutex
	users    map[string]User
	accounts map[string]Account
	keys     map[string]Key
	sessions map[string]Session
	records  map[string]idempotency.Record
	guesses  map[string]Guesses
	reads    int
	touches  int
	commits  int    // calls of Apply
	race     func() // before the next conditional write
	fail     error  // of the next TouchKeys
}

func (s *shelf) record(r *idempotency.Record) error {
	if r == nil {
		return nil
	}
	if _, ok := s.records[r.Scope+"\x00"+r.Key]; ok {
		return idempotency.ErrRaced
	}
	s.records[r.Scope+"\x00"+r.Key] = *r
	return nil
}

// Apply makes users and sessions and changes passwords; the rest of a Change is tested on a
// real store.
func (s *shelf) Apply(_ context.Context, c Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	for _, o := range s.users {
		if c.User != nil && (o.Username == c.User.Username || o.Email == c.User.Email) {
			return ErrTaken
		}
	}
	if err := s.record(c.Record); err != nil {
		return err
	}
	if c.User != nil {
		s.users[c.User.ID], s.accounts[c.Account.ID] = *c.User, *c.Account
	}
	if c.Session != nil {
		s.sessions[c.Session.ID] = *c.Session
	}
	for _, key := range c.Forget {
		delete(s.guesses, key)
	}
	if u, ok := s.users[c.PasswordUser]; ok && (c.PasswordWas == "" || c.PasswordWas == u.PasswordHash) {
		u.PasswordHash = c.Password
		s.users[u.ID] = u
	}
	return nil
}

func (s *shelf) GuardOf(_ context.Context, user string) (Guard, error) { return Guard{User: user}, nil }
func (s *shelf) GuessesOf(_ context.Context, key string) (Guesses, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guesses[key], nil
}

func (s *shelf) PutGuesses(_ context.Context, key string, was, is Guesses) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guesses[key] != was {
		return ErrChanged
	}
	s.guesses[key] = is
	return nil
}

func (s *shelf) PruneTokens(context.Context, time.Time, int) (int, error)  { return 0, nil }
func (s *shelf) PruneGuesses(context.Context, time.Time, int) (int, error) { return 0, nil }
func (s *shelf) Note(context.Context) error                                { return nil }
func (s *shelf) PruneActivity(context.Context, time.Time, int) (int, error) {
	return 0, nil
}
func (s *shelf) Activity(context.Context, string, activity.Filter, int) ([]activity.Event, error) {
	return nil, nil
}
func (s *shelf) TouchSessions(context.Context, map[string]time.Time) error { return nil }

func (s *shelf) UserByLogin(_ context.Context, login string) (User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		if u.Username == login || u.Email == login {
			return u, nil
		}
	}
	return User{}, fault.NotFound("user")
}

func get[T any](s *shelf, m map[string]T, id string) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	v, ok := m[id]
	if !ok {
		return v, fault.NotFound("thing")
	}
	return v, nil
}

func (s *shelf) UserByID(_ context.Context, id string) (User, error) { return get(s, s.users, id) }
func (s *shelf) GetAccount(_ context.Context, id string) (Account, error) {
	return get(s, s.accounts, id)
}
func (s *shelf) KeyByID(_ context.Context, id string) (Key, error) { return get(s, s.keys, id) }
func (s *shelf) SessionByID(_ context.Context, id string) (Session, error) {
	return get(s, s.sessions, id)
}

func (s *shelf) raced() {
	if f := s.race; f != nil {
		s.race = nil
		f()
	}
}

func (s *shelf) PutMethods(_ context.Context, account string, revision int64, m []Method, r *idempotency.Record) error {
	s.raced()
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[account]
	if a.Revision != revision {
		return ErrChanged
	}
	if err := s.record(r); err != nil {
		return err
	}
	a.Methods, a.Revision = m, revision+1
	s.accounts[account] = a
	return nil
}

func (s *shelf) PutTimeZone(_ context.Context, account, zone string, first bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, known := s.accounts[account]; known && (!first || a.TimeZone == "") {
		a.TimeZone = zone
		s.accounts[account] = a
	}
	return nil
}

func (s *shelf) CreateKey(_ context.Context, k Key, r *idempotency.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.record(r); err != nil {
		return err
	}
	s.keys[k.ID] = k
	return nil
}

func (s *shelf) KeyByHash(_ context.Context, hash []byte) (Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	for _, k := range s.keys {
		if bytes.Equal(k.Hash, hash) || bytes.Equal(k.PreviousHash, hash) {
			return k, nil
		}
	}
	return Key{}, fault.NotFound("key")
}

func (s *shelf) KeysByAccount(_ context.Context, account, before string, limit int) ([]Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Key
	for _, k := range slices.Backward(slices.Sorted(maps.Keys(s.keys))) {
		if s.keys[k].Account == account && (before == "" || k < before) && len(out) < limit {
			out = append(out, s.keys[k])
		}
	}
	return out, nil
}

func (s *shelf) UpdateKey(_ context.Context, k Key, r *idempotency.Record) error {
	s.raced()
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.keys[k.ID]
	if old.Revision != k.Revision {
		return ErrChanged
	}
	if err := s.record(r); err != nil {
		return err
	}
	k.Revision, k.LastUsedAt = k.Revision+1, old.LastUsedAt
	s.keys[k.ID] = k
	return nil
}

func (s *shelf) TouchKeys(_ context.Context, used map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touches++
	if err := s.fail; err != nil {
		s.fail = nil
		return err
	}
	for id, at := range used {
		if k, ok := s.keys[id]; ok && at.After(k.LastUsedAt) {
			k.LastUsedAt = at
			s.keys[id] = k
		}
	}
	return nil
}

func (s *shelf) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.touches
}

func (s *shelf) lastUse(key string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[key].LastUsedAt
}

func (s *shelf) failNext(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *shelf) PruneSessions(_ context.Context, before time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for id, ses := range s.sessions {
		if n < limit && ses.ExpiresAt.Before(before) {
			delete(s.sessions, id)
			n++
		}
	}
	return n, nil
}

func (s *shelf) RevokeSession(_ context.Context, id string, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.sessions[id]
	if n.RevokedAt.IsZero() {
		n.RevokedAt = at
		s.sessions[id] = n
	}
	return nil
}

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type bench struct {
	*Local
	store *shelf
	ring  *keyring.Ring
	now   time.Time
}

const publicURL = "https://pay.example"

func newBench(connectors ...Connector) *bench {
	s := &shelf{users: map[string]User{}, accounts: map[string]Account{}, keys: map[string]Key{}, sessions: map[string]Session{},
		records: map[string]idempotency.Record{}, guesses: map[string]Guesses{}}
	if connectors == nil {
		connectors = []Connector{{"simulator", issuer.Capabilities{Types: []string{"card"},
			Currencies: []money.Currency{"EUR", "USD", "JPY"}, Test: true}}}
	}
	b := &bench{store: s, ring: keyring.NewMemory(t0), now: t0}
	b.Local = New(Config{Users: s, Keys: s, Sessions: s, Access: s, Activity: s, Ring: b.ring, Connectors: connectors, PublicURL: publicURL,
		Now: func() time.Time { return b.now }})
	return b
}

const password = "correct horse battery"

func (b *bench) signUp(t *testing.T) SignedUp {
	t.Helper()
	out, err := b.SignUp(t.Context(), SignUpRequest{Username: "Ada.L", Email: "Ada@Example.com", Password: password}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// is fails the test unless err is the fault of that parameter and code.
func is(t *testing.T, err error, param, code string) {
	t.Helper()
	if code == "" && err == nil {
		return
	}
	if f := fault.From(err); err == nil || f.Param != param || f.Code != code {
		t.Errorf("%v, want %s: %q", err, param, code)
	}
}
