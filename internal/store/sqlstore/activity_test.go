package sqlstore_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
)

// TestActivity: an entry is written with its change or not at all, once, and found by what it says.
func TestActivity(t *testing.T) {
	sqltest.OnEach(t, func(t *testing.T, url string) {
		s := sqltest.Open(t, url)
		account, key, ada := id.New(id.Account), id.New(id.Key), id.New(id.User)
		by := activity.With(t.Context(), activity.Actor{Kind: activity.User, ID: ada, Session: "ses_1", Network: "192.0.2.0/24",
			Agent: "Firefox ü", Request: "req_1"})
		did := func(ctx context.Context, e activity.Event) context.Context {
			if e.Account == "" {
				e.Account = account
			}
			return activity.Record(ctx, e)
		}
		good := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		list := func(f activity.Filter, limit int) (kinds []string) {
			t.Helper()
			found, err := s.Activity(t.Context(), account, f, limit)
			good(err)
			for _, e := range found {
				kinds = append(kinds, e.Kind)
			}
			return kinds
		}
		is := func(got []string, want ...string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		}

		k := merchant.Key{ID: key, Account: account, Name: "till", Mode: merchant.Test, Scopes: []string{"links:read"},
			Hash: []byte(key), CreatedAt: storetest.Epoch, Revision: 1}
		made := did(by, activity.Event{At: storetest.Epoch, Kind: activity.KeyCreated, Target: key, Details: map[string]string{"name": "till"}})
		good(s.CreateKey(made, k, nil))
		// The change fails, and so does its entry.
		if err := s.CreateKey(did(by, activity.Event{At: storetest.Epoch, Kind: activity.KeyCreated, Target: key}), k, nil); err == nil {
			t.Fatal("a key was created twice")
		}
		stale := k
		stale.Revision = 7
		if err := s.UpdateKey(did(by, activity.Event{At: storetest.Epoch, Kind: activity.KeyRotated, Target: key}), stale, nil); !errors.Is(err,
			merchant.ErrChanged) {
			t.Fatal(err)
		}
		is(list(activity.Filter{}, 10), activity.KeyCreated)
		good(s.Note(made)) // the same entry
		found, err := s.Activity(t.Context(), account, activity.Filter{}, 10)
		good(err)
		if len(found) != 1 || found[0].Actor.ID != ada || found[0].Actor.Agent != "Firefox ü" || found[0].Actor.Request != "req_1" ||
			found[0].Target != key || found[0].Details["name"] != "till" || found[0].Count != 1 || found[0].Outcome != activity.Done {
			t.Errorf("%+v", found)
		}

		// Failures of one hour are one entry.
		for i := range 5 {
			good(s.Note(did(by, activity.Event{At: storetest.Epoch.Add(time.Duration(1+15*i) * time.Minute), Kind: activity.SignInFailed,
				Outcome: activity.Failed, Folds: true})))
		}
		is(list(activity.Filter{}, 10), activity.SignInFailed, activity.SignInFailed, activity.KeyCreated)
		if found, err = s.Activity(t.Context(), account, activity.Filter{Kind: activity.SignInFailed}, 10); err != nil ||
			found[0].Count+found[1].Count != 5 {
			t.Errorf("%+v, %v", found, err)
		}

		// Filters and pages.
		good(s.Note(activity.Record(t.Context(), activity.Event{Account: account, At: storetest.Epoch.Add(-time.Hour), Kind: activity.Exported})))
		is(list(activity.Filter{By: ada, Target: key}, 10), activity.KeyCreated)
		is(list(activity.Filter{By: "usr_other"}, 10))
		is(list(activity.Filter{To: storetest.Epoch}, 10), activity.Exported)
		is(list(activity.Filter{From: storetest.Epoch.Add(2 * time.Minute)}, 10), activity.SignInFailed)
		var paged []string
		var before string
		for {
			page, err := s.Activity(t.Context(), account, activity.Filter{Before: before}, 1)
			good(err)
			if len(page) == 0 {
				break
			}
			paged, before = append(paged, page[0].Kind), page[0].ID
		}
		is(paged, list(activity.Filter{}, 10)...)
		if other, err := s.Activity(t.Context(), id.New(id.Account), activity.Filter{}, 10); err != nil || len(other) != 0 {
			t.Errorf("another account: %v, %v", other, err)
		}

		n, err := s.PruneActivity(t.Context(), storetest.Epoch, 10)
		good(err)
		if n != 1 {
			t.Errorf("%d entries removed", n)
		}
		is(list(activity.Filter{To: storetest.Epoch}, 10))
	})
}
