package rpc_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
)

func TestFormsService(t *testing.T) { both(t, formsSuite) }

func formRequest(a merchant.Account) link.FormRequest {
	w := linkRequest(a)
	return link.FormRequest{
		Account:  w.Account,
		Mode:     w.Mode,
		Payee:    w.Payee,
		Methods:  w.Methods,
		Name:     "Tickets",
		Amounts:  []string{"5", "12.50"},
		Currency: "EUR",
		Fields:   []link.Field{{Name: "email", Required: true}, {Name: "size", Label: "Größe"}},
		Origins:  []string{"https://shop.example"},
	}
}

func formsSuite(t *testing.T, b serviceSet) {
	ctx := t.Context()
	account := b.account(t).Account
	ticket := b.world.ticket(account.ID+"/test", "form-1", "form")
	r := formRequest(account)
	r.Ticket = ticket
	f, err := b.forms.CreateForm(ctx, r)
	good(t, err)
	b.world.kept(t, b.records.Links, ticket)
	r.Ticket = b.world.ticket(account.ID+"/test", "form-1", "form")
	if _, err := b.forms.CreateForm(ctx, r); !errors.Is(err, idempotency.ErrRaced) {
		t.Errorf("the same key: %v", err)
	}
	bad := formRequest(account)
	bad.Origins = []string{"https://*.example"}
	_, err = b.forms.CreateForm(ctx, bad)
	is(t, err, fault.KindInvalid, "origin_invalid", "origins[0]")
	for what, find := range map[string]func() (link.Form, error){
		"get":  func() (link.Form, error) { return b.forms.GetForm(ctx, account.ID, link.Test, f.ID) },
		"open": func() (link.Form, error) { return b.publicForms.Form(ctx, f.ID) },
	} {
		if got, err := find(); err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%s gives %+v, %v", what, got, err)
		}
	}
	_, err = b.publicForms.Form(ctx, id.New(id.Form))
	is(t, err, fault.KindNotFound, "not_found", "")
	_, err = b.forms.GetForm(ctx, account.ID, link.Live, f.ID)
	is(t, err, fault.KindNotFound, "not_found", "")
	all, err := b.forms.ListForms(ctx, link.FormFilter{Account: account.ID, Mode: link.Test})
	good(t, err)
	if len(all) != 1 || !reflect.DeepEqual(all[0], f) {
		t.Errorf("list %+v", all)
	}
	fill := link.FormLinkRequest{
		Form:    f.ID,
		Attempt: link.NewAttempt(),
		Amount:  "12.50",
		Values:  map[string]string{"email": "grace@example.com", "size": "L"},
		Payee:   account.Name,
		Methods: r.Methods,
	}
	l, err := b.forms.FormLink(ctx, fill)
	good(t, err)
	if again, err := b.forms.FormLink(ctx, fill); err != nil || !reflect.DeepEqual(again, l) {
		t.Errorf("again %+v, %v", again, err)
	}
	if opened, err := b.verifier.Open(ctx, l.Token); err != nil || !reflect.DeepEqual(opened, l) || opened.Form != f.ID ||
		opened.Shown.Email != "grace@example.com" {
		t.Errorf("opened %+v, %v", opened, err)
	}
	next := formRequest(account)
	next.Disabled = true
	f, err = b.forms.UpdateForm(ctx, f.ID, 1, next)
	good(t, err)
	_, err = b.forms.UpdateForm(ctx, f.ID, 1, next)
	is(t, err, fault.KindConflict, "changed_meanwhile", "")
	_, err = b.forms.FormLink(ctx, fill)
	is(t, err, fault.KindConflict, "form_inactive", "")
	for range 2 {
		gone, err := b.forms.ArchiveForm(ctx, account.ID, link.Test, f.ID)
		good(t, err)
		if gone.Status() != link.FormArchived {
			t.Errorf("archived %+v", gone)
		}
	}
}
