package rpc

import (
	"context"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/merchant"
)

// UsersService is the name of the users service.
const UsersService = "users"

// Users is the client of merchant.Service, with the service's idempotency records. Answers omit
// hashes and sealed credentials, which stay in the service.
type Users struct {
	records
	peer *Peer
}

var _ merchant.Service = (*Users)(nil)

// NewUsers returns the client.
func NewUsers(p *Peer) *Users { return &Users{records: records{p}, peer: p} }

// sessionAndUser is what a session's token stands for.
type sessionAndUser struct {
	Session merchant.Session
	User    merchant.User
}

// userAndAccount is a user with the account.
type userAndAccount struct {
	User    merchant.User
	Account merchant.Account
}

// methodsForm replaces an account's payment methods.
type methodsForm struct {
	Account string
	Methods []merchant.MethodInput
}

// keysForm is a page of an account's keys.
type keysForm struct {
	Account, Before string
	Limit           int
}

// keyForm names a key; a rotation also uses the grace period.
type keyForm struct {
	Account, ID  string
	GraceSeconds int64
}

// keyCredentials are a key's id and secret, or the secret alone.
type keyCredentials struct{ ID, Secret string }

// named is the request of calls that take one text: an id, a token or a reference.
type named struct{ ID string }

// SignUp implements merchant.Service.
func (u *Users) SignUp(ctx context.Context, r merchant.SignUpRequest, t *idempotency.Ticket) (merchant.SignedUp, error) {
	return callTicketed[merchant.SignUpRequest, merchant.SignedUp](ctx, u.peer, "SignUp", r, t)
}

// SignIn implements merchant.Service.
func (u *Users) SignIn(ctx context.Context, r merchant.SignInRequest, t *idempotency.Ticket) (merchant.SignedIn, error) {
	return callTicketed[merchant.SignInRequest, merchant.SignedIn](ctx, u.peer, "SignIn", r, t)
}

// Authenticate implements merchant.Service.
func (u *Users) Authenticate(ctx context.Context, bearer string) (merchant.Session, merchant.User, error) {
	a, err := call[named, sessionAndUser](ctx, u.peer, "Authenticate", read, &named{bearer})
	if err != nil {
		return merchant.Session{}, merchant.User{}, err
	}
	return a.Session, a.User, nil
}

// SignOut implements merchant.Service.
func (u *Users) SignOut(ctx context.Context, session string) error {
	_, err := call[named, struct{}](ctx, u.peer, "SignOut", harmless, &named{session})
	return err
}

// Me implements merchant.Service.
func (u *Users) Me(ctx context.Context, user string) (merchant.User, merchant.Account, error) {
	a, err := call[named, userAndAccount](ctx, u.peer, "Me", read, &named{user})
	if err != nil {
		return merchant.User{}, merchant.Account{}, err
	}
	return a.User, a.Account, nil
}

// GetAccount implements merchant.Service.
func (u *Users) GetAccount(ctx context.Context, id string) (merchant.Account, error) {
	return value(call[named, merchant.Account](ctx, u.peer, "GetAccount", read, &named{id}))
}

// SetMethods implements merchant.Service.
func (u *Users) SetMethods(
	ctx context.Context,
	account string,
	in []merchant.MethodInput,
	t *idempotency.Ticket,
) (merchant.Account, error) {
	return callTicketed[methodsForm, merchant.Account](ctx, u.peer, "SetMethods", methodsForm{account, in}, t)
}

// zoneForm chooses or guesses an account's time zone.
type zoneForm struct {
	Account, Zone string
	Guess         bool
}

// SetTimeZone implements merchant.Service.
func (u *Users) SetTimeZone(ctx context.Context, account, zone string) (merchant.Account, error) {
	return value(call[zoneForm, merchant.Account](ctx, u.peer, "SetTimeZone", harmless, &zoneForm{Account: account, Zone: zone}))
}

// GuessTimeZone implements merchant.Service.
func (u *Users) GuessTimeZone(ctx context.Context, account, zone string) error {
	_, err := call[zoneForm, merchant.Account](ctx, u.peer, "SetTimeZone", harmless, &zoneForm{account, zone, true})
	return err
}

// CreateKey implements merchant.Service.
func (u *Users) CreateKey(ctx context.Context, r merchant.CreateKeyRequest, t *idempotency.Ticket) (merchant.NewKey, error) {
	return callTicketed[merchant.CreateKeyRequest, merchant.NewKey](ctx, u.peer, "CreateKey", r, t)
}

// Keys implements merchant.Service.
func (u *Users) Keys(ctx context.Context, account, before string, limit int) ([]merchant.Key, error) {
	return value(call[keysForm, []merchant.Key](ctx, u.peer, "Keys", read, &keysForm{account, before, limit}))
}

// GetKey implements merchant.Service.
func (u *Users) GetKey(ctx context.Context, account, id string) (merchant.Key, error) {
	return value(call[keyForm, merchant.Key](ctx, u.peer, "GetKey", read, &keyForm{Account: account, ID: id}))
}

// RotateKey implements merchant.Service.
func (u *Users) RotateKey(ctx context.Context, account, id string, graceSeconds int64, t *idempotency.Ticket) (merchant.NewKey, error) {
	return callTicketed[keyForm, merchant.NewKey](ctx, u.peer, "RotateKey", keyForm{account, id, graceSeconds}, t)
}

// RevokeKey implements merchant.Service.
func (u *Users) RevokeKey(ctx context.Context, account, id string) (merchant.Key, error) {
	return value(call[keyForm, merchant.Key](ctx, u.peer, "RevokeKey", harmless, &keyForm{Account: account, ID: id}))
}

// AuthenticateKey implements merchant.Service.
func (u *Users) AuthenticateKey(ctx context.Context, id, secret string) (merchant.Key, error) {
	return value(call[keyCredentials, merchant.Key](ctx, u.peer, "AuthenticateKey", read, &keyCredentials{id, secret}))
}

// AuthenticateSecret implements merchant.Service.
func (u *Users) AuthenticateSecret(ctx context.Context, secret string) (merchant.Key, error) {
	return value(call[keyCredentials, merchant.Key](ctx, u.peer, "AuthenticateSecret", read, &keyCredentials{Secret: secret}))
}

// value returns what an answer points to, or the zero value with an error.
func value[A any](a *A, err error) (A, error) {
	if err != nil {
		var none A
		return none, err
	}
	return *a, nil
}

// The functions below remove what never leaves the service: hashes and sealed credentials.

func bareUser(u merchant.User) merchant.User { u.PasswordHash = ""; return u }

func bareKey(k merchant.Key) merchant.Key { k.Hash, k.PreviousHash = nil, nil; return k }

func bareNewKey(n merchant.NewKey) merchant.NewKey { n.Key = bareKey(n.Key); return n }

// bareAccount copies the methods, because the account may share them with a cache.
func bareAccount(a merchant.Account) merchant.Account {
	methods := make([]merchant.Method, len(a.Methods))
	for i, m := range a.Methods {
		m.SealedCredentials = nil
		methods[i] = m
	}
	a.Methods = methods
	return a
}

// ServeUsers serves the users service, with the idempotency records that its commits write.
func ServeUsers(s *Server, svc merchant.Service, store idempotency.Store) {
	const name = UsersService
	serveRecords(s, name, store)
	handleTicketed(s, name, "SignUp", func(ctx context.Context, q merchant.SignUpRequest, t *idempotency.Ticket) (merchant.SignedUp, error) {
		out, err := svc.SignUp(ctx, q, t)
		return merchant.SignedUp{User: bareUser(out.User), Account: bareAccount(out.Account)}, err
	})
	handleTicketed(s, name, "SignIn", func(ctx context.Context, q merchant.SignInRequest, t *idempotency.Ticket) (merchant.SignedIn, error) {
		return svc.SignIn(ctx, q, t)
	})
	handle(s, name, "Authenticate", func(ctx context.Context, q *named) (*sessionAndUser, error) {
		session, user, err := svc.Authenticate(ctx, q.ID)
		return &sessionAndUser{session, bareUser(user)}, err
	})
	handle(s, name, "SignOut", func(ctx context.Context, q *named) (*struct{}, error) { return &struct{}{}, svc.SignOut(ctx, q.ID) })
	handle(s, name, "Me", func(ctx context.Context, q *named) (*userAndAccount, error) {
		user, account, err := svc.Me(ctx, q.ID)
		return &userAndAccount{bareUser(user), bareAccount(account)}, err
	})
	handle(s, name, "GetAccount", func(ctx context.Context, q *named) (*merchant.Account, error) {
		account, err := svc.GetAccount(ctx, q.ID)
		account = bareAccount(account)
		return &account, err
	})
	handleTicketed(s, name, "SetMethods", func(ctx context.Context, q methodsForm, t *idempotency.Ticket) (merchant.Account, error) {
		account, err := svc.SetMethods(ctx, q.Account, q.Methods, t)
		return bareAccount(account), err
	})
	handle(s, name, "SetTimeZone", func(ctx context.Context, q *zoneForm) (*merchant.Account, error) {
		if q.Guess {
			return &merchant.Account{}, svc.GuessTimeZone(ctx, q.Account, q.Zone)
		}
		account, err := svc.SetTimeZone(ctx, q.Account, q.Zone)
		account = bareAccount(account)
		return &account, err
	})
	serveAPIKeys(s, svc)
	serveClocks(s, svc)
	serveActivity(s, svc)
	serveAccess(s, svc)
}

// serveAPIKeys serves API keys. A secret leaves the service only in the answer that makes
// it.
func serveAPIKeys(s *Server, svc merchant.Service) {
	const name = UsersService
	handleTicketed(
		s,
		name,
		"CreateKey",
		func(ctx context.Context, q merchant.CreateKeyRequest, t *idempotency.Ticket) (merchant.NewKey, error) {
			out, err := svc.CreateKey(ctx, q, t)
			return bareNewKey(out), err
		},
	)
	handle(s, name, "Keys", func(ctx context.Context, q *keysForm) (*[]merchant.Key, error) {
		keys, err := svc.Keys(ctx, q.Account, q.Before, q.Limit)
		for i := range keys {
			keys[i] = bareKey(keys[i])
		}
		return &keys, err
	})
	handleTicketed(s, name, "RotateKey", func(ctx context.Context, q keyForm, t *idempotency.Ticket) (merchant.NewKey, error) {
		out, err := svc.RotateKey(ctx, q.Account, q.ID, q.GraceSeconds, t)
		return bareNewKey(out), err
	})
	one := func(k merchant.Key, err error) (*merchant.Key, error) {
		k = bareKey(k)
		return &k, err
	}
	handle(s, name, "GetKey", func(ctx context.Context, q *keyForm) (*merchant.Key, error) {
		return one(svc.GetKey(ctx, q.Account, q.ID))
	})
	handle(s, name, "RevokeKey", func(ctx context.Context, q *keyForm) (*merchant.Key, error) {
		return one(svc.RevokeKey(ctx, q.Account, q.ID))
	})
	handle(s, name, "AuthenticateKey", func(ctx context.Context, q *keyCredentials) (*merchant.Key, error) {
		return one(svc.AuthenticateKey(ctx, q.ID, q.Secret))
	})
	handle(s, name, "AuthenticateSecret", func(ctx context.Context, q *keyCredentials) (*merchant.Key, error) {
		return one(svc.AuthenticateSecret(ctx, q.Secret))
	})
}
