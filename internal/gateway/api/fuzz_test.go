package api

import (
	"encoding/json"
	"testing"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
)

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"amount":"1","currency":"EUR"}`, `{"amount":1.10,"maxUses":null}`, `{"a":1,"a":2}`, `{"amount":{}}`, "{\"realm\":\"\xff\"}", `{} {}`, `null`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in createLinkBody
		err := decode(body, &in)
		if err == nil {
			// Whatever passes is what every other parser calls JSON, too.
			if !json.Valid(body) {
				t.Fatalf("accepted %q", body)
			}
			return
		}
		if e := fault.From(err); e.Kind != fault.KindInvalid || e.Code == "" {
			t.Fatalf("%q: %v", body, err)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor{ID: id.New(id.Payment), At: 1}.String())
	f.Add("eyJpIjoieCJ9")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCursor(s, id.Payment)
		if err != nil {
			if fault.Code(err) != "cursor_invalid" {
				t.Fatal(err)
			}
			return
		}
		if c.String() != s || !id.Valid(id.Payment, c.ID) {
			t.Fatalf("%q is accepted as %+v", s, c)
		}
	})
}

func FuzzAmount(f *testing.F) {
	for _, s := range []string{`"12.50"`, `12.50`, `1e3`, `-1`, `"1,5"`, `""`, `true`, `"` + "\u0661" + `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var in amountBody
		if decode([]byte(`{"amount":`+s+`}`), &in) != nil || checkAmount("amount", in.Amount) != nil {
			return
		}
		for _, c := range string(in.Amount.Value) {
			if (c < '0' || c > '9') && c != '.' {
				t.Fatalf("%q is accepted as %q", s, in.Amount.Value)
			}
		}
	})
}
