package merchant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/money"
)

// putAttempts bounds how often SetMethods reads the account again after a concurrent
// change.
const putAttempts = 3

// SetMethods replaces the payment methods and returns the account. Credentials that are
// left out stay, so the methods are read first, and written only if they have not changed.
// After putAttempts concurrent changes it fails with ErrChanged and has changed nothing.
func (l *Local) SetMethods(ctx context.Context, account string, in []MethodInput, t *idempotency.Ticket) (Account, error) {
	methods, err := l.methods(account, in)
	if err != nil {
		return Account{}, err
	}

	for range putAttempts {
		var a Account
		if a, err = l.users.GetAccount(ctx, account); err != nil {
			return Account{}, err
		}
		revision := a.Revision
		a.Methods, a.Revision = withKept(methods, in, a.Methods), revision+1
		record, ferr := t.Fill(a, l.time())
		if ferr != nil {
			return Account{}, ferr
		}
		did := l.did(ctx, account, activity.MethodsChanged, account, described(a.Methods, in))
		if err = l.users.PutMethods(did, account, revision, a.Methods, record); err == nil {
			return a, nil
		}
		if !errors.Is(err, ErrChanged) {
			return Account{}, err
		}
	}

	return Account{}, err
}

// described says what the methods are now, and which of them got other credentials.
func described(methods []Method, in []MethodInput) map[string]string {
	var names, fresh []string
	for i, m := range methods {
		if m.Enabled {
			names = append(names, m.Issuer)
		}
		if in[i].Credentials != nil {
			fresh = append(fresh, m.Issuer)
		}
	}
	return map[string]string{"enabled": strings.Join(names, " "), "credentials": strings.Join(fresh, " ")}
}

// withKept returns the methods with the credentials that stay: those of a method for which
// the request has none. It changes neither list.
func withKept(methods []Method, in []MethodInput, old []Method) []Method {
	out := slices.Clone(methods)
	for i := range out {
		if in[i].Credentials != nil {
			continue
		}
		for _, o := range old {
			if o.ID == out[i].ID {
				out[i].SealedCredentials = o.SealedCredentials
			}
		}
	}
	return out
}

// methods checks the request against the connectors' capabilities and returns the methods
// with sealed credentials. A fault names the method by its index. Type and issuer together
// may occur once.
func (l *Local) methods(account string, in []MethodInput) ([]Method, error) {
	if len(in) > MaxMethods {
		return nil, fault.Invalid("paymentMethods", "too_long", "paymentMethods must have at most %d entries.", MaxMethods)
	}

	out := make([]Method, 0, len(in))
	for i, m := range in {
		at := fmt.Sprintf("paymentMethods[%d].", i)
		c, err := l.connector(at, m)
		if err != nil {
			return nil, err
		}
		method := Method{ID: methodID(account, m.Type, m.Issuer), Type: m.Type, Issuer: m.Issuer, Enabled: m.Enabled == nil || *m.Enabled}
		if slices.ContainsFunc(out, func(o Method) bool { return o.ID == method.ID }) {
			return nil, fault.Invalid(at+"issuer", "payment_method_duplicate", "Duplicate payment method (type %s, issuer %s).", m.Type, m.Issuer)
		}
		if method.Currencies, err = currencies(at, m, c); err != nil {
			return nil, err
		}
		if m.Credentials != nil {
			if method.SealedCredentials, err = l.sealCredentials(at, account, method.ID, m.Credentials); err != nil {
				return nil, err
			}
		}
		out = append(out, method)
	}

	return out, nil
}

// connector returns the connector that a method names, or a fault that lists those that
// there are, or the types that it serves.
func (l *Local) connector(at string, m MethodInput) (Connector, error) {
	var names []string
	for _, c := range l.connectors {
		if c.Name != m.Issuer {
			names = append(names, c.Name)
			continue
		}
		if !slices.Contains(c.Capabilities.Types, m.Type) {
			return c, fault.Invalid(at+"type", "type_unsupported", "%s supports the types: %s.", c.Name, strings.Join(c.Capabilities.Types, ", "))
		}
		return c, nil
	}
	return Connector{}, fault.Invalid(at+"issuer", "issuer_unknown", "issuer must be one of: %s.", strings.Join(names, ", "))
}

// currencies returns the currencies of a method, in the order of the request.
func currencies(at string, m MethodInput, c Connector) ([]money.Currency, error) {
	if len(m.Currencies) == 0 {
		return nil, fault.Invalid(at+"currencies", "currencies_missing", "A payment method must have at least one currency.")
	}

	var out []money.Currency
	for i, s := range m.Currencies {
		param := fmt.Sprintf("%scurrencies[%d]", at, i)
		cur, err := money.ParseCurrency(s)
		if err != nil {
			return nil, fault.Invalid(param, "currency_invalid", "Unknown currency %.10q: use an ISO 4217 code in upper case, such as EUR.", s)
		}
		if !slices.Contains(c.Capabilities.Currencies, cur) {
			return nil, fault.Invalid(param, "currency_unsupported", "%s is not supported by %s.", cur, c.Name)
		}
		if slices.Contains(out, cur) {
			return nil, fault.Invalid(param, "currency_duplicate", "%s is listed twice.", cur)
		}
		out = append(out, cur)
	}

	return out, nil
}

// sealCredentials returns the credentials sealed for one method of one account, so that
// they cannot be opened as those of another. An empty map returns nil, which removes them.
func (l *Local) sealCredentials(at, account, method string, c map[string]string) ([]byte, error) {
	if len(c) > MaxCredentials {
		return nil, fault.Invalid(at+"credentials", "too_long", "credentials must have at most %d entries.", MaxCredentials)
	}

	for k, v := range c {
		if k == "" || len(k) > maxCredentialKeyBytes || len(v) > maxCredentialValueBytes {
			return nil, fault.Invalid(at+"credentials", "too_long", "A credential's name must be 1 to %d bytes and its value at most %d.",
				maxCredentialKeyBytes, maxCredentialValueBytes)
		}
	}

	if len(c) == 0 {
		return nil, nil // given as empty: removed
	}

	plain, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}

	return l.ring.Seal(keyring.StoreSeal, plain, credentialContext(account, method)), nil
}

// credentialContext binds sealed credentials to their account and method.
func credentialContext(account, method string) []byte {
	return []byte("credentials\x00" + account + "\x00" + method)
}

// Sealed returns the sealed credentials of an account's method, if it has some, and what opens them.
func (m Method) Sealed(account string) (p keyring.Purpose, sealed, about []byte) {
	return keyring.StoreSeal, m.SealedCredentials, credentialContext(account, m.ID)
}

// Credentials opens the credentials of a method, for its connector only; nil if there are none.
func (l *Local) Credentials(account string, m Method) (map[string]string, error) {
	if len(m.SealedCredentials) == 0 {
		return nil, nil
	}
	plain, err := l.ring.Unseal(keyring.StoreSeal, m.SealedCredentials, credentialContext(account, m.ID))
	if err != nil {
		return nil, fmt.Errorf("merchant: credentials of %s: %w", m.ID, err)
	}
	var c map[string]string
	if err := json.Unmarshal(plain, &c); err != nil {
		return nil, fmt.Errorf("merchant: credentials of %s: %w", m.ID, err)
	}
	return c, nil
}
