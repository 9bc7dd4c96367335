package storetest

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/money"
)

// Merchants is what an engine must implement for users, keys and sessions.
type Merchants interface {
	merchant.UserStore
	merchant.KeyStore
	merchant.SessionStore
	merchant.AccessStore
	idempotency.Store
}

type merchants struct {
	Merchants
	ctx context.Context
}

func (s merchants) createUser(u merchant.User, a merchant.Account, r *idempotency.Record) error {
	return s.Apply(s.ctx, merchant.Change{At: Epoch, User: &u, Account: &a, Record: r})
}

func (s merchants) createSession(n merchant.Session, r *idempotency.Record) error {
	return s.Apply(s.ctx, merchant.Change{At: Epoch, Session: &n, Record: r})
}

// RunMerchants runs the suite of the merchant's stores.
func RunMerchants(t *testing.T, open func(t *testing.T) Merchants) {
	s := open(t)
	for name, test := range map[string]func(*testing.T, merchants){
		"user and account are read back as written": userRoundTrip,
		"a taken login leaves nothing":              takenLogin,
		"one of many sign-ups wins":                 signUpRace,
		"methods change under their revision":       methods,
		"key is read back as written":               keyRoundTrip,
		"a key is found by either secret":           keyByHash,
		"keys page newest first":                    keyPages,
		"a key changes under its revision":          keyUpdate,
		"last use never goes back":                  touch,
		"session is revoked once":                   sessions,
		"expired sessions are pruned":               prunedSessions,
		"a joined account is not made again":        joinedAccount,
		"a guard changes under its revision":        guards,
		"a token is spent once":                     tokens,
		"a challenge is answered once":              challenges,
		"an account's time zone":                    timeZone,
		"a password ends sessions and tokens":       passwords,
		"an address is confirmed":                   confirmed,
		"invitations are listed and withdrawn":      invitations,
		"sessions of a user":                        userSessions,
		"guesses are counted and forgotten":         guesses,
		"of many guesses at once one is counted":    guessRace,
		"a refused change leaves nothing":           refusedChange,
		"old tokens and guesses are pruned":         prunedAccess,
		"I14 a record is kept with its effect":      merchantRecords,
	} {
		t.Run(name, func(t *testing.T) { test(t, merchants{s, t.Context()}) })
	}
}

func newUser() (merchant.User, merchant.Account) {
	account, user := id.New(id.Account), id.New(id.User)
	u := merchant.User{ID: user, Account: account, Username: "ada-" + user, Email: user + "@example.com", Date: Epoch.Add(-time.Hour),
		PasswordHash: "$argon2id$x", CreatedAt: Epoch}
	a := merchant.Account{
		ID:        account,
		Name:      "Ada's shop",
		Revision:  1,
		CreatedAt: Epoch,
		TimeZone:  "Pacific/Auckland",
		Methods: []merchant.Method{{ID: "pm_1", Type: "card",
			Issuer: "simulator", Currencies: []money.Currency{"EUR", "JPY"}, Enabled: true, SealedCredentials: []byte{0, 1, 255}}},
	}
	return u, a
}

func newKey(account string) merchant.Key {
	k := id.New(id.Key)
	return merchant.Key{ID: k, Account: account, Name: "Till", Mode: merchant.Test, Scopes: []string{"links:write", "payments:read"},
		Hash: []byte("hash of " + k), CreatedAt: Epoch, Revision: 1}
}

func record(scope string) *idempotency.Record {
	return &idempotency.Record{Scope: scope, Key: "k", Fingerprint: []byte{1}, Status: 201, Answer: []byte("first"), CreatedAt: Epoch}
}

func ok(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func same[T any](t *testing.T, want T) func(T, error) {
	return func(got T, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

func userRoundTrip(t *testing.T, s merchants) {
	u, a := newUser()
	ok(t, s.createUser(u, a, nil))
	same(t, u)(s.UserByID(s.ctx, u.ID))
	same(t, u)(s.UserByLogin(s.ctx, u.Username))
	same(t, u)(s.UserByLogin(s.ctx, u.Email))
	same(t, a)(s.GetAccount(s.ctx, a.ID))
	_, err := s.UserByID(s.ctx, id.New(id.User))
	wantCode(t, err, "not_found")
	_, err = s.UserByLogin(s.ctx, "nobody")
	wantCode(t, err, "not_found")
	_, err = s.GetAccount(s.ctx, id.New(id.Account))
	wantCode(t, err, "not_found")
}

func takenLogin(t *testing.T, s merchants) {
	u, a := newUser()
	ok(t, s.createUser(u, a, nil))
	for _, take := range []func(*merchant.User){
		func(v *merchant.User) { v.Username = u.Username },
		func(v *merchant.User) { v.Email = u.Email },
	} {
		v, b := newUser()
		fresh := v
		take(&v)
		wantErr(t, s.createUser(v, b, record(b.ID)), merchant.ErrTaken)
		_, err := s.UserByID(s.ctx, v.ID)
		wantCode(t, err, "not_found")
		_, err = s.GetAccount(s.ctx, b.ID)
		wantCode(t, err, "not_found")
		same[*idempotency.Record](t, nil)(s.GetIdempotency(s.ctx, b.ID, "k"))
		ok(t, s.createUser(fresh, b, nil)) // the free half of the refused one was not kept
	}
	same(t, u)(s.UserByLogin(s.ctx, u.Email))
}

func signUpRace(t *testing.T, s merchants) {
	first, _ := newUser()
	var wg sync.WaitGroup
	var won atomic.Int64
	for range 16 {
		wg.Go(func() {
			u, a := newUser()
			u.Username = first.Username
			switch err := s.createUser(u, a, nil); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, merchant.ErrTaken):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d users have one name", won.Load())
	}
}

func timeZone(t *testing.T, s merchants) {
	u, a := newUser()
	a.TimeZone = ""
	ok(t, s.createUser(u, a, nil), s.PutTimeZone(s.ctx, a.ID, "Asia/Kathmandu", true), s.PutTimeZone(s.ctx, a.ID, "Asia/Tokyo", true))
	a.TimeZone = "Asia/Kathmandu" // the first guess stays
	same(t, a)(s.GetAccount(s.ctx, a.ID))
	ok(t, s.PutTimeZone(s.ctx, a.ID, "Europe/Berlin", false), s.PutTimeZone(s.ctx, a.ID, "UTC", true))
	a.TimeZone = "Europe/Berlin"
	same(t, a)(s.GetAccount(s.ctx, a.ID))
	ok(t, s.PutMethods(s.ctx, a.ID, a.Revision, a.Methods, nil)) // at the revision before: a change of zone does not raise it
	a.Revision++
	same(t, a)(s.GetAccount(s.ctx, a.ID))
	ok(t, s.PutTimeZone(s.ctx, id.New(id.Account), "UTC", false))
}

func methods(t *testing.T, s merchants) {
	u, a := newUser()
	ok(t, s.createUser(u, a, nil))
	a.Methods = append(a.Methods, merchant.Method{ID: "pm_2", Type: "card", Issuer: "other", Currencies: []money.Currency{"USD"}})
	ok(t, s.PutMethods(s.ctx, a.ID, 1, a.Methods, nil))
	a.Revision = 2
	same(t, a)(s.GetAccount(s.ctx, a.ID))
	for _, stale := range []int64{0, 1, 3} {
		wantErr(t, s.PutMethods(s.ctx, a.ID, stale, nil, record(a.ID)), merchant.ErrChanged)
	}
	same(t, a)(s.GetAccount(s.ctx, a.ID))
	same[*idempotency.Record](t, nil)(s.GetIdempotency(s.ctx, a.ID, "k"))
	wantErr(t, s.PutMethods(s.ctx, id.New(id.Account), 1, nil, nil), merchant.ErrChanged)
}

func keyRoundTrip(t *testing.T, s merchants) {
	k := newKey(id.New(id.Account))
	ok(t, s.CreateKey(s.ctx, k, nil))
	same(t, k)(s.KeyByID(s.ctx, k.ID))
	full := newKey(k.Account)
	full.PreviousHash, full.PreviousUntil, full.ExpiresAt = []byte("old "+full.ID), Epoch.Add(time.Hour), Epoch.Add(2*time.Hour)
	full.LastUsedAt, full.RevokedAt = Epoch.Add(time.Minute), Epoch.Add(time.Second)
	ok(t, s.CreateKey(s.ctx, full, nil))
	same(t, full)(s.KeyByID(s.ctx, full.ID))
	_, err := s.KeyByID(s.ctx, id.New(id.Key))
	wantCode(t, err, "not_found")
}

func keyByHash(t *testing.T, s merchants) {
	k := newKey(id.New(id.Account))
	ok(t, s.CreateKey(s.ctx, k, nil))
	rotated := k
	rotated.PreviousHash, rotated.Hash, rotated.PreviousUntil = k.Hash, []byte("new "+k.ID), Epoch.Add(time.Hour)
	ok(t, s.UpdateKey(s.ctx, rotated, nil))
	rotated.Revision = 2
	same(t, rotated)(s.KeyByHash(s.ctx, rotated.Hash))
	same(t, rotated)(s.KeyByHash(s.ctx, rotated.PreviousHash))
	for _, none := range [][]byte{[]byte("none"), {}, nil} { // an empty hash does not match a key without a previous one
		_, err := s.KeyByHash(s.ctx, none)
		wantCode(t, err, "not_found")
	}
}

func keyPages(t *testing.T, s merchants) {
	account := id.New(id.Account)
	made := map[string]bool{}
	for range 7 {
		k := newKey(account)
		made[k.ID] = true
		ok(t, s.CreateKey(s.ctx, k, nil), s.CreateKey(s.ctx, newKey(id.New(id.Account)), nil))
	}
	before := ""
	for {
		page, err := s.KeysByAccount(s.ctx, account, before, 3)
		ok(t, err)
		if len(page) == 0 {
			break
		}
		if len(page) > 3 {
			t.Fatalf("%d keys on a page of 3", len(page))
		}
		for _, k := range page {
			if !made[k.ID] || (before != "" && k.ID >= before) {
				t.Fatalf("%s is another's, out of order, or listed twice", k.ID)
			}
			delete(made, k.ID)
			before = k.ID
		}
	}
	if len(made) != 0 {
		t.Fatalf("%d keys were not listed", len(made))
	}
}

func keyUpdate(t *testing.T, s merchants) {
	k := newKey(id.New(id.Account))
	ok(t, s.CreateKey(s.ctx, k, nil), s.TouchKeys(s.ctx, map[string]time.Time{k.ID: Epoch}))
	changed := k
	changed.Name, changed.Scopes, changed.RevokedAt = "New name", []string{"links:read"}, Epoch.Add(time.Hour)
	changed.LastUsedAt = Epoch.Add(99 * time.Hour) // not written
	ok(t, s.UpdateKey(s.ctx, changed, nil))
	wantErr(t, s.UpdateKey(s.ctx, changed, record(k.Account)), merchant.ErrChanged)
	changed.Revision, changed.LastUsedAt = 2, Epoch
	same(t, changed)(s.KeyByID(s.ctx, k.ID))
	same[*idempotency.Record](t, nil)(s.GetIdempotency(s.ctx, k.Account, "k"))
	unknown := newKey(k.Account)
	wantErr(t, s.UpdateKey(s.ctx, unknown, nil), merchant.ErrChanged)
}

func touch(t *testing.T, s merchants) {
	k := newKey(id.New(id.Account))
	ok(t, s.CreateKey(s.ctx, k, nil))
	for _, at := range []time.Duration{time.Minute, 2 * time.Minute, 0} {
		ok(t, s.TouchKeys(s.ctx, map[string]time.Time{k.ID: Epoch.Add(at), id.New(id.Key): Epoch}))
	}
	k.LastUsedAt = Epoch.Add(2 * time.Minute)
	same(t, k)(s.KeyByID(s.ctx, k.ID)) // and the revision has not changed
	ok(t, s.TouchKeys(s.ctx, nil))
}

func sessions(t *testing.T, s merchants) {
	n := merchant.Session{
		ID:        id.New(id.Session),
		User:      id.New(id.User),
		Account:   id.New(id.Account),
		CreatedAt: Epoch,
		ExpiresAt: Epoch.Add(time.Hour),
	}
	ok(t, s.createSession(n, nil))
	same(t, n)(s.SessionByID(s.ctx, n.ID))
	ok(t, s.RevokeSession(s.ctx, n.ID, Epoch.Add(time.Minute)), s.RevokeSession(s.ctx, n.ID, Epoch.Add(2*time.Minute)))
	n.RevokedAt = Epoch.Add(time.Minute)
	same(t, n)(s.SessionByID(s.ctx, n.ID))
	_, err := s.SessionByID(s.ctx, id.New(id.Session))
	wantCode(t, err, "not_found")
}

func prunedSessions(t *testing.T, s merchants) {
	var ids []string
	for i := range 5 {
		n := merchant.Session{
			ID:        id.New(id.Session),
			User:      "usr_1",
			Account:   "acct_1",
			CreatedAt: Epoch,
			ExpiresAt: Epoch.Add(-time.Duration(i) * time.Minute),
		}
		ok(t, s.createSession(n, nil))
		ids = append(ids, n.ID)
	}
	// The oldest first, at most the limit, and none that ends at the bound.
	for _, want := range []struct{ limit, removed, left int }{{1, 1, 4}, {10, 3, 1}, {10, 0, 1}} {
		n, err := s.PruneSessions(s.ctx, Epoch, want.limit)
		if err != nil || n != want.removed {
			t.Fatalf("%d, %v, want %d", n, err, want.removed)
		}
		for i, sessionID := range ids {
			_, err := s.SessionByID(s.ctx, sessionID)
			if (err == nil) != (i < want.left) {
				t.Fatalf("after %d: session %d is there: %v", n, i, err == nil)
			}
		}
	}
}

// merchantRecords sends every write with a key that already has a record.
func merchantRecords(t *testing.T, s merchants) {
	u, a := newUser()
	r := record(a.ID)
	ok(t, s.createUser(u, a, r))
	same(t, r)(s.GetIdempotency(s.ctx, a.ID, "k"))
	other, b := newUser()
	wantErr(t, s.createUser(other, b, r), idempotency.ErrRaced)
	_, err := s.UserByLogin(s.ctx, other.Email)
	wantCode(t, err, "not_found")
	wantErr(t, s.PutMethods(s.ctx, a.ID, 1, nil, r), idempotency.ErrRaced)
	same(t, a)(s.GetAccount(s.ctx, a.ID))
	k := newKey(a.ID)
	wantErr(t, s.CreateKey(s.ctx, k, r), idempotency.ErrRaced)
	_, err = s.KeyByID(s.ctx, k.ID)
	wantCode(t, err, "not_found")
	ok(t, s.CreateKey(s.ctx, k, nil))
	renamed := k
	renamed.Name = "Renamed"
	wantErr(t, s.UpdateKey(s.ctx, renamed, r), idempotency.ErrRaced)
	same(t, k)(s.KeyByID(s.ctx, k.ID))
	n := merchant.Session{ID: id.New(id.Session), User: u.ID, Account: a.ID, CreatedAt: Epoch, ExpiresAt: Epoch.Add(time.Hour)}
	wantErr(t, s.createSession(n, r), idempotency.ErrRaced)
	_, err = s.SessionByID(s.ctx, n.ID)
	wantCode(t, err, "not_found")
	if got, err := s.GetIdempotency(s.ctx, a.ID, "k"); err != nil || !bytes.Equal(got.Answer, r.Answer) {
		t.Fatalf("the first answer became %q, %v", got.Answer, err)
	}
}
