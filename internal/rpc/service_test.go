package rpc_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/receipt"
)

func TestUsersService(t *testing.T) { both(t, usersSuite) }

// zoneSuite sets an account's time zone, after a guess.
func zoneSuite(t *testing.T, users merchant.Service, account string) {
	t.Helper()
	ctx := t.Context()
	good(t, users.GuessTimeZone(ctx, account, "Asia/Kathmandu"))
	good(t, users.GuessTimeZone(ctx, account, "Asia/Tokyo"))
	if of, err := users.GetAccount(ctx, account); err != nil || of.TimeZone != "Asia/Kathmandu" {
		t.Errorf("guessed %q, %v", of.TimeZone, err)
	}
	if of, err := users.SetTimeZone(ctx, account, "Europe/Berlin"); err != nil || of.TimeZone != "Europe/Berlin" {
		t.Errorf("chosen %q, %v", of.TimeZone, err)
	}
	_, err := users.SetTimeZone(ctx, account, "Mars/Phobos")
	is(t, err, fault.KindInvalid, "time_zone_unknown", "timeZone")
}

func usersSuite(t *testing.T, b serviceSet) {
	ctx, users := t.Context(), b.users
	first := b.world.ticket("public", "sign-up-1", "user")
	up, err := users.SignUp(ctx, merchant.SignUpRequest{Username: "ada", Email: "ada@example.com", Password: "correct horse battery"}, first)
	good(t, err)
	b.world.kept(t, b.records.Users, first)
	_, err = users.SignUp(ctx, merchant.SignUpRequest{Username: "ada", Email: "x@example.com", Password: "correct horse battery"}, nil)
	if !errors.Is(err, merchant.ErrTaken) {
		t.Errorf("a taken name: %v", err)
	}
	_, err = users.SignUp(ctx, merchant.SignUpRequest{Username: "bob", Email: "bob@example.com", Password: "short"}, nil)
	is(t, err, fault.KindInvalid, "password_too_short", "password")
	_, err = users.SignUp(
		ctx,
		merchant.SignUpRequest{Username: "eve", Email: "eve@example.com", Password: "correct horse battery"},
		b.world.ticket("public", "sign-up-1", "user"),
	)
	if !errors.Is(err, idempotency.ErrRaced) {
		t.Errorf("a key that was recorded: %v", err)
	}
	_, err = users.SignIn(ctx, merchant.SignInRequest{Login: "ada", Password: "wrong"}, nil)
	if !errors.Is(err, merchant.ErrCredentials) {
		t.Errorf("a wrong password: %v", err)
	}
	in, err := users.SignIn(ctx, merchant.SignInRequest{Login: "ada", Password: "correct horse battery"}, nil)
	good(t, err)
	session, user, err := users.Authenticate(ctx, in.Token)
	good(t, err)
	if !reflect.DeepEqual(session, in.Session) || user.ID != up.User.ID || user.Email != "ada@example.com" ||
		!user.CreatedAt.Equal(up.User.CreatedAt) {
		t.Errorf("authenticated %+v %+v", session, user)
	}
	enabled := false
	account, err := users.SetMethods(
		ctx,
		up.Account.ID,
		[]merchant.MethodInput{{Type: "card", Issuer: "simulator", Currencies: []string{"EUR"},
			Enabled: &enabled, Credentials: map[string]string{"token": "s3cret"}}},
		nil,
	)
	good(t, err)
	if account.Revision != 2 || account.Methods[0].Enabled {
		t.Errorf("account %+v", account)
	}
	zoneSuite(t, users, up.Account.ID)
	// Credentials that are not sent stay; sent as empty they are removed. Nil is not empty.
	for _, c := range []struct {
		given map[string]string
		kept  bool
	}{{nil, true}, {map[string]string{}, false}} {
		_, err = users.SetMethods(
			ctx,
			up.Account.ID,
			[]merchant.MethodInput{{Type: "card", Issuer: "simulator", Currencies: []string{"EUR"}, Credentials: c.given}},
			nil,
		)
		good(t, err)
		stored, err := b.world.store.GetAccount(ctx, up.Account.ID)
		good(t, err)
		if kept := len(stored.Methods[0].SealedCredentials) > 0; kept != c.kept {
			t.Errorf("credentials given as %v: kept %v", c.given, kept)
		}
	}
	_, err = users.SetMethods(
		ctx,
		up.Account.ID,
		[]merchant.MethodInput{{Type: "card", Issuer: "simulator", Currencies: []string{"AFN"}}},
		nil,
	)
	is(t, err, fault.KindInvalid, "currency_unsupported", "paymentMethods[0].currencies[0]")
	me, of, err := users.Me(ctx, user.ID)
	good(t, err)
	if me.Username != "ada" || of.ID != account.ID {
		t.Errorf("me %+v of %+v", me, of)
	}
	if _, err := users.GetAccount(ctx, "acct_00000000000000000000000000"); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("an unknown account: %v", err)
	}
	keysSuite(t, b, up.Account.ID)
	good(t, users.SignOut(ctx, session.ID))
	if _, _, err := users.Authenticate(ctx, in.Token); !errors.Is(err, merchant.ErrSession) {
		t.Errorf("a session that is signed out: %v", err)
	}
}

func keysSuite(t *testing.T, b serviceSet, account string) {
	ctx, users := t.Context(), b.users
	ticket := b.world.ticket(account+"/test", "key-1", "api_key")
	made, err := users.CreateKey(ctx, merchant.CreateKeyRequest{Account: account, Name: "all", Mode: "test", Scopes: merchant.Scopes}, ticket)
	good(t, err)
	b.world.kept(t, b.records.Users, ticket)
	k, err := users.AuthenticateKey(ctx, made.Key.ID, made.Secret)
	good(t, err)
	if k.ID != made.Key.ID || !k.Allows("links:write") || !reflect.DeepEqual(k.Scopes, made.Key.Scopes) {
		t.Errorf("key %+v", k)
	}
	rotated, err := users.RotateKey(ctx, account, made.Key.ID, 60, nil)
	good(t, err)
	if _, err := users.AuthenticateSecret(ctx, made.Secret); err != nil || rotated.Key.Revision != 2 {
		t.Errorf("the old secret within its grace: %v", err)
	}
	all, err := users.Keys(ctx, account, "", 10)
	good(t, err)
	if len(all) != 1 || all[0].Name != "all" || all[0].PreviousUntil.IsZero() || !all[0].RevokedAt.IsZero() {
		t.Errorf("keys %+v", all)
	}
	if k, err := users.GetKey(ctx, account, made.Key.ID); err != nil || k.ID != made.Key.ID || k.Name != made.Key.Name {
		t.Errorf("key %+v, %v", k, err)
	}
	if _, err := users.GetKey(ctx, id.New(id.Account), made.Key.ID); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("another account's key: %v", err)
	}
	revoked, err := users.RevokeKey(ctx, account, made.Key.ID)
	good(t, err)
	if revoked.RevokedAt.IsZero() {
		t.Errorf("revoked %+v", revoked)
	}
	_, err = users.AuthenticateSecret(ctx, rotated.Secret)
	is(t, err, fault.KindUnauthenticated, "api_key_revoked", "")
	_, err = users.RotateKey(ctx, account, made.Key.ID, -1, nil)
	is(t, err, fault.KindInvalid, "grace_invalid", "graceSeconds")
}

func TestLinksService(t *testing.T) { both(t, linksSuite) }

func linksSuite(t *testing.T, b serviceSet) {
	ctx := t.Context()
	account := b.account(t).Account
	ticket := b.world.ticket(account.ID+"/test", "order-1", "link")
	r := linkRequest(account)
	r.Ticket = ticket
	l, err := b.links.Create(ctx, r)
	good(t, err)
	b.world.kept(t, b.records.Links, ticket)
	r.Ticket = b.world.ticket(account.ID+"/test", "order-1", "link")
	if _, err := b.links.Create(ctx, r); !errors.Is(err, idempotency.ErrRaced) {
		t.Errorf("the same key: %v", err)
	}
	bad := linkRequest(account)
	bad.Amount = "12.505"
	_, err = b.links.Create(ctx, bad)
	var f *fault.Error
	if !errors.As(err, &f) || f.Param != "amount" {
		t.Errorf("a bad amount: %v", err)
	}
	got, err := b.links.Get(ctx, account.ID, link.Test, l.ID)
	good(t, err)
	if !reflect.DeepEqual(got, l) {
		t.Errorf("created\n%+v\nread\n%+v", l, got)
	}
	_, err = b.links.Get(ctx, account.ID, link.Live, l.ID)
	is(t, err, fault.KindNotFound, "not_found", "")
	opened, err := b.verifier.Open(ctx, l.Token)
	good(t, err)
	if !reflect.DeepEqual(opened, l) {
		t.Errorf("opened %+v", opened)
	}
	last := map[bool]string{true: "B", false: "A"}[strings.HasSuffix(l.Token, "A")]
	for _, token := range []string{"", "nonsense", l.Token[:len(l.Token)-1] + last, l.Token + l.Token} {
		if _, err := b.verifier.Open(ctx, token); !errors.Is(err, link.ErrToken) {
			t.Errorf("token %q: %v", token, err)
		}
	}
	v, err := b.verifier.Verify(ctx, public+"/l/"+l.Token)
	good(t, err)
	if !v.Ours || v.Expired || !v.ExpiresAt.Equal(l.ExpiresAt.Truncate(time.Second)) || len(v.KeyID) != 8 {
		t.Errorf("verdict %+v", v)
	}
	if v, err = b.verifier.Verify(ctx, "https://evil.example/l/"+l.Token); err != nil || v.Ours {
		t.Errorf("under a stranger's address: %+v %v", v, err)
	}
	all, err := b.links.List(ctx, link.Filter{Account: account.ID, Mode: link.Test, Limit: 10})
	good(t, err)
	if len(all) != 1 || !reflect.DeepEqual(all[0], l) {
		t.Errorf("list %+v", all)
	}
	if _, err = b.links.List(ctx, link.Filter{Account: account.ID, Mode: link.Test, Status: "odd"}); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("an unknown status: %v", err)
	}
	cancel := b.world.ticket(account.ID+"/test", "cancel-1", "link")
	gone, err := b.links.Cancel(ctx, account.ID, link.Test, l.ID, cancel)
	good(t, err)
	b.world.kept(t, b.records.Links, cancel)
	if gone.CanceledAt.IsZero() || gone.Status(time.Now()) != link.Canceled {
		t.Errorf("canceled %+v", gone)
	}
	_, err = b.links.Cancel(ctx, account.ID, link.Test, l.ID, nil)
	is(t, err, fault.KindConflict, "link_canceled", "")
}

func TestTransactionsService(t *testing.T) { both(t, transactionsSuite) }

func transactionsSuite(t *testing.T, b serviceSet) {
	ctx, account := t.Context(), b.account(t).Account
	l, err := b.links.Create(ctx, linkRequest(account))
	good(t, err)
	const attempt = "attempt-0000000001"
	if _, found, err := b.transactions.ByAttempt(ctx, l, attempt); found || err != nil {
		t.Errorf("before: %v %v", found, err)
	}
	_, err = b.transactions.Submit(ctx, payment.Submit{Link: l, Attempt: attempt})
	is(t, err, fault.KindInvalid, "parameter_missing", "card")
	p, err := b.transactions.Submit(ctx, payment.Submit{Link: l, Attempt: attempt, Card: card(t, "4242424242424242"), PayerName: "Ada Payer"})
	good(t, err)
	if p.Status != payment.Succeeded || p.CardLast4 != "4242" || p.PayerName != "Ada Payer" || p.Revision == 0 {
		t.Errorf("paid %+v", p)
	}
	if broken := p.Verify(); len(broken) > 0 {
		t.Errorf("the log does not survive the way: %v", broken)
	}
	again, err := b.transactions.Submit(ctx, payment.Submit{Link: l, Attempt: attempt, Card: card(t, "4242424242424242")})
	good(t, err)
	found, ok, err := b.transactions.ByAttempt(ctx, l, attempt)
	good(t, err)
	if !ok || again.ID != p.ID || !reflect.DeepEqual(again, found) {
		t.Errorf("the same attempt again: %+v", again)
	}
	paid, err := b.verifier.Open(ctx, l.Token)
	good(t, err)
	if paid.LastPayment != p.ID || paid.Uses != 1 || paid.PaidAt.IsZero() {
		t.Errorf("the link %+v", paid)
	}
	if latest, ok, err := b.transactions.Latest(ctx, paid); err != nil || !ok || latest.ID != p.ID {
		t.Errorf("latest %+v %v %v", latest, ok, err)
	}
	_, err = b.transactions.Submit(ctx, payment.Submit{Link: l, Attempt: "attempt-0000000002", Card: card(t, "4242424242424242")})
	is(t, err, fault.KindConflict, "link_paid", "")
	refund := b.world.ticket(account.ID+"/test", "refund-1", "refund")
	done, r, err := b.transactions.Refund(ctx, account.ID, link.Test, p.ID, payment.RefundInput{Amount: "2.50"}, refund)
	good(t, err)
	b.world.kept(t, b.records.Transactions, refund)
	if r.Status != payment.RefundSucceeded || done.RefundedMinor != 250 {
		t.Errorf("refunded %+v %+v", r, done)
	}
	_, _, err = b.transactions.Refund(ctx, account.ID, link.Test, p.ID, payment.RefundInput{Amount: "999"}, nil)
	if fault.KindOf(err) == fault.KindInternal || err == nil {
		t.Errorf("too much: %v", err)
	}
	_, _, err = b.transactions.Refund(ctx, account.ID, link.Live, p.ID, payment.RefundInput{Amount: "1"}, nil)
	is(t, err, fault.KindNotFound, "not_found", "")
	receiptSuite(t, b, l, done)
	manualSuite(t, b, account)
	paymentsSuite(t, b, account, done)
}

// receiptSuite checks that a receipt is a statement about one payment with its own link.
func receiptSuite(t *testing.T, b serviceSet, l link.Link, p payment.Payment) {
	ctx := t.Context()
	token, err := b.transactions.Receipt(ctx, l, p.ID)
	good(t, err)
	published, err := keyring.ParseJWKS(b.world.ring.JWKS())
	good(t, err)
	s, err := receipt.Verify(published, token)
	good(t, err)
	if s.Payment != p.ID || s.Link != l.ID || s.Issuer != public || s.Status != "partially_refunded" || s.Refunded.Minor != 250 ||
		s.Card != "visa 4242" ||
		len(s.KeyID) != 8 {
		t.Errorf("statement %+v", s)
	}
	_, err = b.transactions.Receipt(ctx, l, id.New(id.Payment))
	is(t, err, fault.KindNotFound, "not_found", "")
	r := linkRequest(b.known(t, l.Account))
	other, err := b.links.Create(ctx, r)
	good(t, err)
	_, err = b.transactions.Receipt(ctx, other, p.ID)
	is(t, err, fault.KindNotFound, "not_found", "")
}

// manualSuite captures, voids, repairs and sends notices for authorized payments.
func manualSuite(t *testing.T, b serviceSet, account merchant.Account) {
	ctx := t.Context()
	pay := func(attempt, number string) payment.Payment {
		t.Helper()
		r := linkRequest(account)
		r.Capture = link.CaptureManual
		l, err := b.links.Create(ctx, r)
		good(t, err)
		p, err := b.transactions.Submit(ctx, payment.Submit{Link: l, Attempt: attempt, Card: card(t, number)})
		good(t, err)
		return p
	}
	p := pay("attempt-0000000003", "4242424242424242")
	ticket := b.world.ticket(account.ID+"/test", "capture-1", "payment")
	captured, err := b.transactions.Capture(ctx, account.ID, link.Test, p.ID, "10", ticket)
	good(t, err)
	b.world.kept(t, b.records.Transactions, ticket)
	if captured.CapturedMinor != 1000 {
		t.Errorf("captured %+v", captured)
	}
	_, err = b.transactions.Void(ctx, account.ID, link.Test, p.ID, nil)
	if fault.KindOf(err) != fault.KindConflict {
		t.Errorf("voiding what was captured: %v", err)
	}
	p = pay("attempt-0000000004", "4242424242424242")
	if voided, err := b.transactions.Void(ctx, account.ID, link.Test, p.ID, nil); err != nil || voided.Status != payment.Canceled {
		t.Errorf("voided %+v %v", voided, err)
	}
	p = pay("attempt-0000000005", "4000000000006108") // the answer is lost
	if p.Status != payment.Unknown {
		t.Fatalf("an answer that was lost: %s", p.Status)
	}
	if repaired := b.transactions.Repair(ctx, p); repaired.Status != payment.Authorized {
		t.Errorf("repaired: %s", repaired.Status)
	}
	if err := b.transactions.Notice(ctx, issuer.Notice{Reference: p.IssuerKey(),
		Answer: issuer.Answer{Outcome: issuer.Approved, Amount: p.Amount}}); err != nil {
		t.Errorf("a notice that comes second: %v", err)
	}
	if err := b.transactions.Notice(ctx, issuer.Notice{Reference: "nonsense"}); err == nil {
		t.Error("a notice of nothing was taken")
	}
	declined := pay("attempt-0000000006", "4000000000000002")
	if declined.Status != payment.Declined || declined.DeclineCode == "" {
		t.Errorf("declined %+v", declined)
	}
}

func paymentsSuite(t *testing.T, b serviceSet, account merchant.Account, paid payment.Payment) {
	ctx := t.Context()
	p, err := b.payments.GetPayment(ctx, account.ID, paid.ID)
	good(t, err)
	if !reflect.DeepEqual(p, paid) {
		t.Errorf("read\n%+v\nknown\n%+v", p, paid)
	}
	if _, err := b.payments.GetPayment(ctx, account.ID, "pay_00000000000000000000000000"); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("an unknown payment: %v", err)
	}
	all, err := b.payments.ListPayments(
		ctx,
		payment.Filter{Account: account.ID, Mode: link.Test, Link: paid.Link, From: paid.CreatedAt, Limit: 10},
	)
	good(t, err)
	if len(all) != 1 || !reflect.DeepEqual(all[0], paid) {
		t.Errorf("list %+v", all)
	}
	balances, err := b.payments.Balances(ctx, account.ID, link.Test)
	good(t, err)
	if got := balances["EUR"]; got.Available.Minor != 1000+1000 || got.Pending.Minor != 1250 {
		t.Errorf("balances %+v", balances)
	}
	events, err := b.payments.Events(ctx, account.ID, link.Test, 0, 100)
	good(t, err)
	direct, err := b.world.store.Events(ctx, account.ID, link.Test, 0, 100)
	good(t, err)
	if len(events) < 10 || !reflect.DeepEqual(events, direct) {
		t.Errorf("%d events, %d in the store", len(events), len(direct))
	}
	moves, err := b.payments.Moves(ctx, account.ID, link.Test, events[len(events)-1].Seq, 3)
	good(t, err)
	direct, err = b.world.store.Moves(ctx, account.ID, link.Test, events[len(events)-1].Seq, 3)
	good(t, err)
	if len(moves) != 3 || len(moves) != len(direct) || moves[0].ID != direct[0].ID ||
		!reflect.DeepEqual(moves[0].Transfers, direct[0].Transfers) {
		t.Errorf("moves %+v, in the store %+v", moves, direct)
	}
}

func TestNotifierService(t *testing.T) { both(t, notifierSuite) }

func notifierSuite(t *testing.T, b serviceSet) {
	ctx, n := t.Context(), b.notifier
	account := b.account(t).Account.ID
	ticket := b.world.ticket(account+"/test", "hook-1", "webhook_endpoint")
	made, err := n.Create(
		ctx,
		notify.Draft{Account: account, Mode: "test", URL: "https://shop.example/hooks", Events: []string{"payment.succeeded"}},
		ticket,
	)
	good(t, err)
	b.world.kept(t, b.records.Webhooks, ticket)
	if made.Secret == "" || made.Endpoint.URL != "https://shop.example/hooks" {
		t.Errorf("made %+v", made)
	}
	_, err = n.Create(ctx, notify.Draft{Account: account, Mode: "test", URL: "http://shop.example/"}, nil)
	is(t, err, fault.KindInvalid, "url_not_https", "url")
	got, err := n.Get(ctx, account, "test", made.Endpoint.ID)
	good(t, err)
	if !got.Subscribed("payment.succeeded") || got.Subscribed("link.paid") || got.Revision != 1 || !got.Enabled() {
		t.Errorf("got %+v", got)
	}
	rotated, err := n.Rotate(ctx, account, "test", made.Endpoint.ID, nil)
	good(t, err)
	if rotated.Secret == made.Secret || rotated.Endpoint.PreviousUntil.IsZero() {
		t.Errorf("rotated %+v", rotated)
	}
	good(
		t,
		b.world.store.RecordDelivery(
			ctx,
			notify.Delivery{ID: "dlv_01234567890123456789012345", Account: account, Mode: "test", Endpoint: made.Endpoint.ID,
				Event: "evt_1", EventType: "payment.succeeded", Attempt: 1, Status: notify.Failed, HTTPStatus: 500, At: time.Now(),
				SealedBody: []byte("sealed")},
			nil,
		),
	)
	tries, err := n.Deliveries(ctx, account, "test", made.Endpoint.ID, notify.DeliveryQuery{Limit: 10})
	good(t, err)
	if len(tries) != 1 || tries[0].HTTPStatus != 500 || tries[0].Status != notify.Failed {
		t.Errorf("tries %+v", tries)
	}
	repeat := b.world.ticket(account+"/test", "again-1", "delivery")
	d, err := n.Redeliver(ctx, account, "test", made.Endpoint.ID, tries[0].ID, repeat)
	good(t, err)
	b.world.kept(t, b.records.Webhooks, repeat)
	if d.Status != notify.Pending || len(b.world.queue.all) != 1 {
		t.Errorf("redelivery %+v", d)
	}
	if all, err := n.List(ctx, account, "test"); err != nil || len(all) != 1 {
		t.Errorf("list %+v %v", all, err)
	}
	changeSuite(t, b, account, made.Endpoint.ID)
	good(t, n.Delete(ctx, account, "test", made.Endpoint.ID))
	_, err = n.Get(ctx, account, "test", made.Endpoint.ID)
	is(t, err, fault.KindNotFound, "not_found", "")
	if none, err := n.List(ctx, account, "test"); err != nil || len(none) != 0 {
		t.Errorf("after the delete: %+v %v", none, err)
	}
}

// changeSuite changes an endpoint, reads a delivery, sends tests and bulk redeliveries.
func changeSuite(t *testing.T, b serviceSet, account, endpoint string) {
	t.Helper()
	ctx, n := t.Context(), b.notifier
	off, events := false, []string{"link.paid"}
	changed, err := n.Update(ctx, notify.Change{Account: account, Mode: "test", ID: endpoint, Events: &events, Enabled: &off})
	good(t, err)
	if changed.Enabled() || changed.DisabledReason != notify.ReasonManual || !changed.Subscribed("link.paid") || changed.URL == "" {
		t.Errorf("changed %+v", changed)
	}
	_, err = n.RedeliverAll(ctx, account, "test", endpoint, notify.Filter{}, nil)
	is(t, err, fault.KindConflict, "endpoint_disabled", "")
	on := true
	changed, err = n.Update(ctx, notify.Change{Account: account, Mode: "test", ID: endpoint, Enabled: &on})
	good(t, err)
	if !changed.Enabled() || !changed.Subscribed("link.paid") {
		t.Errorf("changed %+v", changed)
	}
	ticket := b.world.ticket(account+"/test", "test-1", "delivery")
	d, err := n.Test(ctx, account, "test", endpoint, "payment.succeeded", ticket)
	good(t, err)
	b.world.kept(t, b.records.Webhooks, ticket)
	shown, err := n.Delivery(ctx, account, "test", endpoint, d.ID)
	good(t, err)
	if !shown.Test || !strings.Contains(string(shown.Body), `"test":true`) {
		t.Errorf("shown %+v %s", shown, shown.Body)
	}
	_, err = n.Test(ctx, account, "test", endpoint, "no.such", nil)
	is(t, err, fault.KindInvalid, "event_type_unknown", "type")
	bulk := b.world.ticket(account+"/test", "bulk-1", "redelivery")
	r, err := n.RedeliverAll(ctx, account, "test", endpoint, notify.Filter{Status: notify.Failed, From: time.Now().Add(-time.Hour)}, bulk)
	good(t, err)
	b.world.kept(t, b.records.Webhooks, bulk)
	if all, err := n.Redeliveries(ctx, account, "test", endpoint, "", 10); err != nil || len(all) != 1 || all[0].State != notify.Running {
		t.Errorf("redeliveries %+v %v", all, err)
	}
	ended, err := n.CancelRedelivery(ctx, account, "test", endpoint, r.ID)
	good(t, err)
	again, err := n.Redelivery(ctx, account, "test", endpoint, r.ID)
	good(t, err)
	if ended.State != notify.Canceled || again.State != notify.Canceled || again.Filter.Status != notify.Failed {
		t.Errorf("canceled %+v, read %+v", ended, again)
	}
	_, err = n.Redelivery(ctx, account, "test", endpoint, "rdv_01234567890123456789012345")
	is(t, err, fault.KindNotFound, "not_found", "")
}

// TestRecordsService checks a record that no commit carries, such as that of a decline.
func TestRecordsService(t *testing.T) {
	both(t, func(t *testing.T, b serviceSet) {
		r := idempotency.Record{
			Scope:       "acct/test",
			Key:         "k",
			Fingerprint: []byte{1},
			Status:      402,
			Answer:      []byte{0, 255},
			CreatedAt:   time.Now().UTC().Truncate(time.Microsecond),
		}
		for name, s := range map[string]idempotency.Store{"users": b.records.Users, "links": b.records.Links,
			"transactions": b.records.Transactions, "notifier": b.records.Webhooks} {
			r.Key = name
			if none, err := s.GetIdempotency(t.Context(), r.Scope, name); none != nil || err != nil {
				t.Errorf("%s: %+v %v", name, none, err)
			}
			good(t, s.PutIdempotency(t.Context(), r))
			if err := s.PutIdempotency(t.Context(), r); !errors.Is(err, idempotency.ErrRaced) {
				t.Errorf("%s: twice: %v", name, err)
			}
			got, err := s.GetIdempotency(t.Context(), r.Scope, name)
			good(t, err)
			if !reflect.DeepEqual(*got, r) {
				t.Errorf("%s: put\n%+v\ngot\n%+v", name, r, *got)
			}
		}
	})
}
