package storetest

import (
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
)

// NewForm returns a form of the account.
func NewForm(account string) link.Form {
	return link.Form{
		ID:          id.New(id.Form),
		Account:     account,
		Mode:        link.Test,
		Name:        "Donations",
		Payee:       "Ada's shop",
		Currency:    "EUR",
		Amounts:     []int64{500, 1000},
		Fields:      []link.Field{{Name: "email", Required: true}, {Name: "size", Label: "Size"}},
		Origins:     []string{"https://shop.example"},
		Look:        link.Look{Accent: "#1f4fd1", AccentDark: "#8fb0ff", Corners: link.CornersSoft},
		LifeSeconds: 3600,
		Capture:     link.CaptureAutomatic,
		LatePolicy:  link.LateAccept,
		Revision:    1,
		CreatedAt:   Epoch,
		UpdatedAt:   Epoch,
	}
}

func (s suite) form(t *testing.T) link.Form {
	t.Helper()
	f := NewForm(s.account)
	if err := s.CreateForm(s.ctx, f, nil); err != nil {
		t.Fatal(err)
	}
	return f
}

func formRoundTrip(t *testing.T, s suite) {
	f := s.form(t)
	got, err := s.FindForm(s.ctx, f.ID)
	if err != nil || !reflect.DeepEqual(got, f) {
		t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, f)
	}
	if err := s.CreateForm(s.ctx, f, nil); err != nil {
		t.Fatalf("the same form again: %v", err)
	}
	_, err = s.FindForm(s.ctx, id.New(id.Form))
	wantCode(t, err, "not_found")
	record := func() *idempotency.Record {
		return &idempotency.Record{
			Scope:       s.account,
			Key:         "form-1",
			Fingerprint: []byte{1},
			Status:      200,
			Answer:      []byte("sealed"),
			CreatedAt:   Epoch,
		}
	}
	if err := s.CreateForm(s.ctx, NewForm(s.account), record()); err != nil {
		t.Fatal(err)
	}
	second := NewForm(s.account)
	if err := s.CreateForm(s.ctx, second, record()); !errors.Is(err, idempotency.ErrRaced) {
		t.Fatalf("the same key: %v", err)
	}
	_, err = s.FindForm(s.ctx, second.ID)
	wantCode(t, err, "not_found")
}

func formUpdates(t *testing.T, s suite) {
	f := s.form(t)
	f.Name, f.Revision = "Tickets", 2
	for range 2 { // the first answer was lost
		if err := s.UpdateForm(s.ctx, f, 1); err != nil {
			t.Fatal(err)
		}
	}
	stale := f
	stale.Name = "Other"
	if err := s.UpdateForm(s.ctx, stale, 1); !errors.Is(err, link.ErrFormChanged) {
		t.Fatalf("a stale revision: %v", err)
	}
	foreign := f
	foreign.Account, foreign.Revision = id.New(id.Account), 3
	wantCode(t, s.UpdateForm(s.ctx, foreign, 2), "not_found")
	unknown := NewForm(s.account)
	wantCode(t, s.UpdateForm(s.ctx, unknown, 1), "not_found")
	var won atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			mine := f
			mine.Name, mine.Revision = id.New(id.Change), 3
			switch err := s.UpdateForm(s.ctx, mine, 2); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, link.ErrFormChanged):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 8 updates of one revision won", won.Load())
	}
}

func formPages(t *testing.T, s suite) {
	var made []string
	for range 7 {
		made = append(made, s.form(t).ID)
	}
	gone := s.form(t)
	gone.ArchivedAt, gone.Revision = Epoch.Add(time.Minute), 2
	if err := s.UpdateForm(s.ctx, gone, 1); err != nil {
		t.Fatal(err)
	}
	s.link(t, 1) // beside them
	var seen []string
	for before := ""; ; {
		page, err := s.ListForms(s.ctx, link.FormFilter{Account: s.account, Mode: link.Test, Before: before, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, f := range page {
			seen = append(seen, f.ID)
		}
		before = seen[len(seen)-1]
		s.form(t) // newer ones must not disturb the pages
	}
	if len(seen) != 7 {
		t.Fatalf("saw %d of 7", len(seen))
	}
	for i, got := range seen {
		if got != made[6-i] {
			t.Fatalf("place %d is %s, want %s", i, got, made[6-i])
		}
	}
	archived, err := s.ListForms(s.ctx, link.FormFilter{Account: s.account, Mode: link.Test, Archived: true, Limit: 10})
	if err != nil || len(archived) != 1 || archived[0].ID != gone.ID || !archived[0].ArchivedAt.Equal(gone.ArchivedAt) {
		t.Errorf("archived %+v, %v", archived, err)
	}
	for _, f := range []link.FormFilter{{Account: s.account, Mode: link.Live, Limit: 10},
		{Account: id.New(id.Account), Mode: link.Test, Limit: 10}} {
		if none, err := s.ListForms(s.ctx, f); err != nil || len(none) != 0 {
			t.Errorf("%+v sees %d forms, %v", f, len(none), err)
		}
	}
}
