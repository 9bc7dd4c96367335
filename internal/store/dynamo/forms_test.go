package dynamo_test

import (
	"reflect"
	"testing"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/storetest"
)

// Forms from an archive are found by id alone, listed, and read with one call. Loading them again
// changes nothing.
func TestFormsAreLoaded(t *testing.T) {
	reads := 0
	s := open(t, func(o *dynamo.Options) {
		o.Observe = func(c dynamo.Call) {
			if c.Operation == "GetItem" {
				reads++
			}
		}
	})
	account := id.New(id.Account)
	forms := []link.Form{storetest.NewForm(account), storetest.NewForm(account)}
	for range 2 {
		if err := s.LoadForms(t.Context(), forms); err != nil {
			t.Fatal(err)
		}
	}
	reads = 0
	if got, err := s.FindForm(t.Context(), forms[0].ID); err != nil || !reflect.DeepEqual(got, forms[0]) || reads != 1 {
		t.Errorf("%+v, %v, by %d reads", got, err, reads)
	}
	seen := 0
	if err := s.EachForm(t.Context(), func(_ link.Form, err error) error { seen++; return err }); err != nil || seen != 2 {
		t.Errorf("%d visited, %v", seen, err)
	}
	if list, err := s.ListForms(t.Context(), link.FormFilter{Account: account, Mode: link.Test, Limit: 10}); err != nil || len(list) != 2 ||
		list[0].ID != forms[1].ID {
		t.Errorf("listed %+v, %v", list, err)
	}
}
