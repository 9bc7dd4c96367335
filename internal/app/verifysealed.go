package app

import (
	"context"
	"fmt"
	"time"

	"github.com/paylink/paylink/internal/archive"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// openSealed opens everything that is sealed in the stores, to see whether these are its keys and
// nothing was altered, and returns a line that says what it did. Without keys, or if they cannot be
// read, it opens nothing and says why: a backup has none, and the money is checked all the same.
func (a *audit) openSealed(ctx context.Context, cfg Config, s *sqlstore.Store) (done string, err error) {
	folder, err := cfg.keys()
	if err != nil {
		return "", err
	}
	if !folder.Exists() {
		return fmt.Sprintf("NOT OPENED: what is sealed, because there are no keys in %s", folder.Path), nil
	}
	// As a share, so that nothing is added to the file.
	ring, err := folder.OpenShare([]keyring.Share{use(keyring.StoreSeal), use(keyring.TOTPSeal), use(keyring.AnswerSeal),
		use(keyring.WebhookSeal), use(keyring.MailSeal)}, time.Now())
	if err != nil {
		return fmt.Sprintf("NOT OPENED: what is sealed, because the keys cannot be read: %v", err), nil
	}
	opens := func(what string, p keyring.Purpose, sealed, about []byte) {
		if len(sealed) == 0 {
			return
		}
		a.sealed++
		if _, err := ring.Unseal(p, sealed, about); err != nil {
			a.say("%s: %v", what, err)
		}
	}

	if err := s.EachMerchant(ctx, func(m archive.Merchant) error {
		switch {
		case m.Account != nil:
			for _, method := range m.Account.Methods {
				p, sealed, about := method.Sealed(m.Account.ID)
				opens("credentials of "+method.ID, p, sealed, about)
			}
		case m.Guard != nil:
			p, sealed, about := m.Guard.Guard.Sealed(ring)
			opens("authenticator of "+m.Guard.Guard.User, p, sealed, about)
		case m.Endpoint != nil:
			opens("secret of "+m.Endpoint.ID, keyring.WebhookSeal, m.Endpoint.SealedSecret, aboutWebhooks)
			opens("previous secret of "+m.Endpoint.ID, keyring.WebhookSeal, m.Endpoint.PreviousSealedSecret, aboutWebhooks)
		case m.Delivery != nil:
			opens("body of "+m.Delivery.ID, keyring.WebhookSeal, m.Delivery.SealedBody, aboutWebhooks)
		}
		return nil
	}); err != nil {
		return "", err
	}
	response := func(r idempotency.Record) error {
		opens("response under the idempotency key "+r.Key+" of "+r.Scope, keyring.AnswerSeal, r.Answer, r.Associated())
		return nil
	}
	err = s.EachRecord(ctx, response)
	if err == nil && a.table != nil {
		err = a.table.EachRecord(ctx, response)
	}
	if err != nil {
		return "", err
	}
	err = s.EachMail(ctx, func(m mail.Message) error {
		if len(m.Sealed) > 0 {
			a.sealed++
			if _, err := m.Open(ring); err != nil {
				a.say("%s: %v", m.ID, err)
			}
		}
		return nil
	})
	return fmt.Sprintf("opened %d sealed values", a.sealed), err
}
