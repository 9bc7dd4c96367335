package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/merchant"
)

func newToken(kind, user string) merchant.Token {
	return merchant.Token{
		Hash:      []byte("hash of " + id.New(id.Change)),
		Kind:      kind,
		User:      user,
		Account:   "acct_1",
		Email:     "a@example.com",
		Mailed:    true,
		CreatedAt: Epoch,
		ExpiresAt: Epoch.Add(time.Hour),
	}
}

func newSession(user string) merchant.Session {
	return merchant.Session{ID: id.New(id.Session), User: user, Account: "acct_1", CreatedAt: Epoch, ExpiresAt: Epoch.Add(time.Hour),
		Browser: true, Agent: "Firefox ü", Network: "192.0.2.0/24", LastSeenAt: Epoch}
}

func joinedAccount(t *testing.T, s merchants) {
	u, a := newUser()
	ok(t, s.createUser(u, a, nil))
	second, _ := newUser()
	second.Account = a.ID
	ok(t, s.Apply(s.ctx, merchant.Change{At: Epoch, User: &second}))
	same(t, a)(s.GetAccount(s.ctx, a.ID))
	same(t, []merchant.User{u, second})(s.UsersByAccount(s.ctx, a.ID, 10))
	same(t, []merchant.User{u})(s.UsersByAccount(s.ctx, a.ID, 1))
}

func guards(t *testing.T, s merchants) {
	user := id.New(id.User)
	same(t, merchant.Guard{User: user})(s.GuardOf(s.ctx, user))
	g := merchant.Guard{User: user, SealedTOTP: []byte{0, 255}, TOTPOn: true, TOTPStep: 7, Recovery: [][]byte{{1}, {2}}, TOTPSince: Epoch,
		Passkeys: []merchant.Passkey{{ID: "a", Name: "Key ü", Credential: []byte(`{"id":"YQ=="}`), CreatedAt: Epoch}}}
	put := func(g merchant.Guard) error { return s.Apply(s.ctx, merchant.Change{At: Epoch, Guard: &g}) }
	ok(t, put(g))
	wantErr(t, put(g), merchant.ErrChanged) // created in the meantime
	g.Revision = 1
	same(t, g)(s.GuardOf(s.ctx, user))
	var wg sync.WaitGroup
	var won atomic.Int64
	for range 8 {
		wg.Go(func() {
			mine := g
			mine.TOTPStep = 8
			switch err := put(mine); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, merchant.ErrChanged):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("a code was used %d times", won.Load())
	}
	g.Revision, g.TOTPStep = 2, 8
	same(t, g)(s.GuardOf(s.ctx, user))

	other := merchant.Guard{User: id.New(id.User), SealedTOTP: []byte{1}}
	ok(t, put(other))
	other.Revision = 1
	same(t, []merchant.Guard{g})(s.Guards(s.ctx, "", 1))
	same(t, []merchant.Guard{g, other})(s.Guards(s.ctx, "", 10))
	same(t, []merchant.Guard{other})(s.Guards(s.ctx, user, 10))
	none, err := s.Guards(s.ctx, other.User, 10)
	ok(t, err)
	if len(none) != 0 {
		t.Errorf("%d guards after the last user", len(none))
	}
}

func tokens(t *testing.T, s merchants) {
	user := id.New(id.User)
	k := newToken(merchant.KindReset, user)
	later := newToken(merchant.KindReset, user)
	later.CreatedAt = Epoch.Add(time.Minute)
	ok(t, s.Apply(s.ctx, merchant.Change{At: Epoch, Tokens: []merchant.Token{later, k}}))
	same(t, k)(s.TokenByHash(s.ctx, k.Kind, k.Hash))
	same(t, later)(s.LatestToken(s.ctx, k.Kind, user))
	_, err := s.TokenByHash(s.ctx, merchant.KindConfirm, k.Hash)
	wantCode(t, err, "not_found")
	_, err = s.LatestToken(s.ctx, merchant.KindConfirm, user)
	wantCode(t, err, "not_found")
	spend := func(k merchant.Token, at time.Time) error { return s.Apply(s.ctx, merchant.Change{At: at, Spend: &k}) }
	wantErr(t, spend(k, k.ExpiresAt), merchant.ErrToken)
	other := k
	other.Kind = merchant.KindConfirm
	wantErr(t, spend(other, Epoch), merchant.ErrToken)
	ok(t, spend(k, Epoch.Add(time.Second)))
	wantErr(t, spend(k, Epoch.Add(time.Second)), merchant.ErrToken)
	k.UsedAt = Epoch.Add(time.Second)
	same(t, k)(s.TokenByHash(s.ctx, k.Kind, k.Hash))
}

func challenges(t *testing.T, s merchants) {
	k := newToken(merchant.KindChallenge, id.New(id.User))
	var wg sync.WaitGroup
	var won atomic.Int64
	for range 8 {
		wg.Go(func() {
			n := newSession(k.User)
			switch err := s.Apply(s.ctx, merchant.Change{At: Epoch, Spend: &k, Session: &n}); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, merchant.ErrToken):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := s.SessionsByUser(s.ctx, k.User, Epoch, 10)
	if won.Load() != 1 || len(list) != 1 || err != nil {
		t.Errorf("one answer opened %d sessions, %d are listed, %v", won.Load(), len(list), err)
	}
}

func passwords(t *testing.T, s merchants) {
	u, a := newUser()
	ok(t, s.createUser(u, a, nil))
	kept, ended, others := newSession(u.ID), newSession(u.ID), newSession(id.New(id.User))
	reset, confirm := newToken(merchant.KindReset, u.ID), newToken(merchant.KindConfirm, u.ID)
	for _, n := range []merchant.Session{kept, ended, others} {
		ok(t, s.createSession(n, nil))
	}
	ok(t, s.Apply(s.ctx, merchant.Change{At: Epoch, Tokens: []merchant.Token{reset, confirm}}),
		s.PutGuesses(s.ctx, u.ID, merchant.Guesses{}, merchant.Guesses{Failures: 1, At: Epoch}))
	at := Epoch.Add(time.Minute)
	ok(
		t,
		s.Apply(
			s.ctx,
			merchant.Change{
				At:           at,
				Password:     "$new",
				PasswordUser: u.ID,
				Revoke:       u.ID,
				Keep:         kept.ID,
				Void:         merchant.KindReset,
				VoidUser:     u.ID,
				Forget:       []string{id.New(id.User), u.ID},
			},
		),
	)
	u.PasswordHash, ended.RevokedAt, reset.UsedAt = "$new", at, at
	same(t, u)(s.UserByID(s.ctx, u.ID))
	same(t, kept)(s.SessionByID(s.ctx, kept.ID))
	same(t, ended)(s.SessionByID(s.ctx, ended.ID))
	same(t, others)(s.SessionByID(s.ctx, others.ID))
	same(t, reset)(s.TokenByHash(s.ctx, merchant.KindReset, reset.Hash))
	same(t, confirm)(s.TokenByHash(s.ctx, merchant.KindConfirm, confirm.Hash))
	same(t, merchant.Guesses{})(s.GuessesOf(s.ctx, u.ID))
	wantCode(t, s.Apply(s.ctx, merchant.Change{At: at, Password: "$new", PasswordUser: id.New(id.User)}), "not_found")
	ok(t, s.Apply(s.ctx, merchant.Change{At: at, Password: "$late", PasswordUser: u.ID, PasswordWas: "$argon2id$x"})) // it has changed
	same(t, u)(s.UserByID(s.ctx, u.ID))
	ok(t, s.Apply(s.ctx, merchant.Change{At: at, Password: "$renewed", PasswordUser: u.ID, PasswordWas: "$new"}))
	u.PasswordHash = "$renewed"
	same(t, u)(s.UserByID(s.ctx, u.ID))
}

func confirmed(t *testing.T, s merchants) {
	u, a := newUser()
	ok(t, s.createUser(u, a, nil))
	same(t, a)(s.GetAccount(s.ctx, a.ID)) // and it may be cached
	first := Epoch.Add(time.Minute)
	ok(t, s.Apply(s.ctx, merchant.Change{At: first, Confirmed: u.ID, ConfirmedEmail: "another@example.com"}))
	same(t, u)(s.UserByID(s.ctx, u.ID))
	ok(t, s.Apply(s.ctx, merchant.Change{At: first, Confirmed: u.ID, ConfirmedEmail: u.Email}),
		s.Apply(s.ctx, merchant.Change{At: first.Add(time.Hour), Confirmed: u.ID, ConfirmedEmail: u.Email}))
	u.ConfirmedAt, a.ConfirmedAt = first, first
	same(t, u)(s.UserByID(s.ctx, u.ID))
	same(t, a)(s.GetAccount(s.ctx, a.ID))
}

func invitations(t *testing.T, s merchants) {
	account, user := id.New(id.Account), id.New(id.User)
	var made []merchant.Token
	for range 4 {
		k := newToken(merchant.KindInvite, user)
		k.ID, k.Account, k.Mailed = id.New(id.Invite), account, false
		made = append(made, k)
	}
	plain := newToken(merchant.KindConfirm, user)
	plain.Account = account
	made[0].ExpiresAt = Epoch
	ok(
		t,
		s.Apply(s.ctx, merchant.Change{At: Epoch, Tokens: append([]merchant.Token{plain}, made...)}),
		s.Apply(s.ctx, merchant.Change{At: Epoch, Spend: &made[1]}),
	)
	same(t, []merchant.Token{made[3], made[2]})(s.Invitations(s.ctx, account, Epoch, 10))
	same(t, []merchant.Token{made[3]})(s.Invitations(s.ctx, account, Epoch, 1))
	wantCode(t, s.WithdrawInvitation(s.ctx, id.New(id.Account), made[3].ID, Epoch), "not_found")
	ok(t, s.WithdrawInvitation(s.ctx, account, made[3].ID, Epoch))
	wantCode(t, s.WithdrawInvitation(s.ctx, account, made[3].ID, Epoch), "not_found")
	same(t, []merchant.Token{made[2]})(s.Invitations(s.ctx, account, Epoch, 10))
	wantErr(t, s.Apply(s.ctx, merchant.Change{At: Epoch, Spend: &made[3]}), merchant.ErrToken)
}

func userSessions(t *testing.T, s merchants) {
	user := id.New(id.User)
	first, second, expired, revoked, others := newSession(
		user,
	), newSession(
		user,
	), newSession(
		user,
	), newSession(
		user,
	), newSession(
		id.New(id.User),
	)
	expired.ExpiresAt = Epoch
	for _, n := range []merchant.Session{first, second, expired, revoked, others} {
		ok(t, s.createSession(n, nil))
	}
	ok(t, s.RevokeSession(s.ctx, revoked.ID, Epoch))
	for _, at := range []time.Duration{time.Minute, 2 * time.Minute, 0} { // never backwards
		ok(t, s.TouchSessions(s.ctx, map[string]time.Time{first.ID: Epoch.Add(at), id.New(id.Session): Epoch}))
	}
	first.LastSeenAt = Epoch.Add(2 * time.Minute)
	same(t, []merchant.Session{second, first})(s.SessionsByUser(s.ctx, user, Epoch, 10))
	same(t, []merchant.Session{second})(s.SessionsByUser(s.ctx, user, Epoch, 1))
}

func guesses(t *testing.T, s merchants) {
	who := id.New(id.User)
	var none merchant.Guesses
	one, two := merchant.Guesses{Failures: 1, At: Epoch}, merchant.Guesses{Failures: 2, At: Epoch.Add(time.Second)}
	same(t, none)(s.GuessesOf(s.ctx, who))
	wantErr(t, s.PutGuesses(s.ctx, who, one, two), merchant.ErrChanged)
	wantErr(t, s.PutGuesses(s.ctx, who, one, none), merchant.ErrChanged)
	ok(t, s.PutGuesses(s.ctx, who, none, one))
	wantErr(t, s.PutGuesses(s.ctx, who, none, two), merchant.ErrChanged)
	wantErr(t, s.PutGuesses(s.ctx, who, merchant.Guesses{Failures: 1, At: Epoch.Add(time.Second)}, two), merchant.ErrChanged)
	ok(t, s.PutGuesses(s.ctx, who, one, two))
	same(t, two)(s.GuessesOf(s.ctx, who))
	wantErr(t, s.PutGuesses(s.ctx, who, one, none), merchant.ErrChanged)
	ok(t, s.PutGuesses(s.ctx, who, two, one), s.PutGuesses(s.ctx, who, one, none))
	same(t, none)(s.GuessesOf(s.ctx, who))
	ok(t, s.PutGuesses(s.ctx, who, none, two), s.Apply(s.ctx, merchant.Change{At: Epoch, Forget: []string{who}}))
	same(t, none)(s.GuessesOf(s.ctx, who))
}

// guessRace counts for many at once, from what each of them has read.
func guessRace(t *testing.T, s merchants) {
	who := id.New(id.User)
	for _, was := range []merchant.Guesses{{}, {Failures: 1, At: Epoch}} {
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				switch err := s.PutGuesses(s.ctx, who, was, merchant.Guesses{Failures: was.Failures + 1, At: Epoch}); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, merchant.ErrChanged):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("after %d guesses, %d counted the next one", was.Failures, won.Load())
		}
	}
}

// refusedChange makes the last part of a change be refused.
func refusedChange(t *testing.T, s merchants) {
	u, a := newUser()
	r := record(a.ID)
	ok(t, s.createUser(u, a, r))
	invited, b := newUser()
	k, n := newToken(merchant.KindInvite, u.ID), newSession(invited.ID)
	ok(t, s.Apply(s.ctx, merchant.Change{At: Epoch, Tokens: []merchant.Token{k}}))
	wantErr(t, s.Apply(s.ctx, merchant.Change{At: Epoch, Spend: &k, User: &invited, Account: &b, Session: &n, Record: r,
		Guard: &merchant.Guard{User: invited.ID}, Password: "$lost", PasswordUser: u.ID}), idempotency.ErrRaced)
	same(t, k)(s.TokenByHash(s.ctx, k.Kind, k.Hash))
	same(t, u)(s.UserByID(s.ctx, u.ID))
	same(t, merchant.Guard{User: invited.ID})(s.GuardOf(s.ctx, invited.ID))
	for _, read := range []error{second(s.UserByID(s.ctx, invited.ID)), second(s.GetAccount(s.ctx, b.ID)),
		second(s.SessionByID(s.ctx, n.ID))} {
		wantCode(t, read, "not_found")
	}
}

func second[T any](_ T, err error) error { return err }

func prunedAccess(t *testing.T, s merchants) {
	user := id.New(id.User)
	old, young := newToken(merchant.KindReset, user), newToken(merchant.KindReset, user)
	old.ExpiresAt = Epoch.Add(-48 * time.Hour)
	young.CreatedAt = Epoch.Add(time.Minute)
	long := Epoch.Add(-1000 * time.Hour)
	ok(t, s.Apply(s.ctx, merchant.Change{At: Epoch, Tokens: []merchant.Token{old, young}}),
		s.PutGuesses(s.ctx, user, merchant.Guesses{}, merchant.Guesses{Failures: 1, At: long}))
	for _, want := range []int{1, 0} {
		n, err := s.PruneTokens(s.ctx, Epoch.Add(-47*time.Hour), 10)
		if n != want || err != nil {
			t.Fatalf("%d tokens, %v, want %d", n, err, want)
		}
		n, err = s.PruneGuesses(s.ctx, long.Add(time.Second), 10)
		if n != want || err != nil {
			t.Fatalf("%d guesses, %v, want %d", n, err, want)
		}
	}
	same(t, young)(s.LatestToken(s.ctx, merchant.KindReset, user))
}
