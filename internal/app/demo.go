package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
)

// demoLogin is what --demo prints. It is stored in the data folder so that the second start
// prints the same.
type demoLogin struct {
	Username string `json:"username"`
	Password string `json:"password"`
	KeyID    string `json:"keyId"`
	Secret   string `json:"secret"`
}

// demo creates an account, a key and a link in test mode, and prints them. The account and the key
// are created once; each start makes a new link. It runs before the process serves anything.
func (s *services) demo(ctx context.Context, out io.Writer) error {
	d, err := s.demoAccount(ctx)
	if err != nil {
		return fmt.Errorf("demo account: %w", err)
	}
	key, err := s.users.AuthenticateKey(ctx, d.KeyID, d.Secret)
	if err != nil {
		return fmt.Errorf("demo key: %w", err)
	}
	account, err := s.users.GetAccount(ctx, key.Account)
	if err != nil {
		return err
	}

	// The link is made as the API would make it, with the account's payment methods.
	var methods []link.Method
	caps := simulator.Capabilities()
	for _, m := range account.Methods {
		methods = append(methods, link.Method{ID: m.ID, Type: m.Type, Issuer: m.Issuer, Currencies: m.Currencies, Enabled: m.Enabled,
			MinMinor: caps.MinMinor, MaxMinor: caps.MaxMinor, Test: caps.Test})
	}

	one := int64(1)
	l, err := s.links.Create(ctx, link.CreateRequest{Account: account.ID, Payee: account.Name, Mode: link.Test, Methods: methods,
		Amount: "12.50", Currency: "EUR", Description: "A first payment", Reference: "demo-1", MaxUses: &one})
	if err != nil {
		return fmt.Errorf("demo link: %w", err)
	}

	_, err = fmt.Fprintf(out, `
paylink is running in test mode at %[1]s

  pay this link   %[2]s
  with the card   4242 4242 4242 4242, any future expiry, any security code

  dashboard       %[1]s/dashboard
  sign in as      %[3]s  password  %[4]s
  API key         %[5]s  secret  %[6]s

  see the history curl -u %[5]s:%[6]s %[1]s/api/payments

`, s.cfg.PublicURL, s.cfg.PublicURL+"/l/"+l.Token, d.Username, d.Password, d.KeyID, d.Secret)
	return err
}

// demoAccount returns the demo login from its file, or signs up and writes the file. If the process
// crashed between the two, the next start signs in instead and creates another key.
func (s *services) demoAccount(ctx context.Context) (demoLogin, error) {
	// A second start prints the same login.
	path := filepath.Join(s.cfg.DataDir, "demo.json")
	raw, err := os.ReadFile(path)
	if err == nil {
		var d demoLogin
		err = json.Unmarshal(raw, &d)
		return d, err
	}
	if !errors.Is(err, os.ErrNotExist) {
		return demoLogin{}, err
	}

	// The password is no secret: it is printed, and the account exists in test mode only.
	d := demoLogin{Username: "demo", Password: "try paylink today"}

	up, err := s.users.SignUp(ctx, merchant.SignUpRequest{Username: d.Username, Email: "demo@example.com", Password: d.Password}, nil)
	var account string
	switch {
	case err == nil:
		account = up.Account.ID
	case errors.Is(err, merchant.ErrTaken): // a crash came before the file was written
		in, err := s.users.SignIn(ctx, merchant.SignInRequest{Login: d.Username, Password: d.Password}, nil)
		if err != nil {
			return d, err
		}
		account = in.Session.Account
	default:
		return d, err
	}

	// A secret can be read only now, so it is stored for the next start.
	key, err := s.users.CreateKey(
		ctx,
		merchant.CreateKeyRequest{Account: account, Name: "demo", Mode: link.Test, Scopes: merchant.Scopes},
		nil,
	)
	if err != nil {
		return d, err
	}
	d.KeyID, d.Secret = key.Key.ID, key.Secret

	if raw, err = json.MarshalIndent(d, "", "  "); err != nil { //nolint:gosec // printed anyway, and the file is the owner's
		return d, err
	}
	return d, os.WriteFile(path, append(raw, '\n'), 0o600)
}
