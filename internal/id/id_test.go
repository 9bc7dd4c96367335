package id_test

import (
	"sort"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paylink/paylink/internal/id"
)

var prefixes = []string{id.User, id.Account, id.Key, id.Method, id.Link, id.Payment, id.Refund, id.Event, id.Endpoint, id.Delivery,
	id.Session, id.Change, id.Request, id.Form, id.Dispute}

func TestNew(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range prefixes {
		if seen[p] {
			t.Errorf("the prefix %s names two things", p)
		}
		seen[p] = true
		s := id.New(p)
		if !id.Valid(p, s) || len(s) != len(p)+1+id.BodyLength || s != strings.ToLower(s) {
			t.Errorf("%s: %s", p, s)
		}
		for _, other := range prefixes {
			if other != p && id.Valid(other, s) {
				t.Errorf("%s is taken for a %s", s, other)
			}
		}
	}
}

func TestNewIsUniqueAndSortsByTime(t *testing.T) {
	var ids []string
	seen := map[string]bool{}
	for range 10_000 {
		s := id.New(id.Payment)
		if seen[s] {
			t.Fatalf("%s twice", s)
		}
		seen[s] = true
		ids = append(ids, s)
	}
	if !sort.StringsAreSorted(ids) {
		t.Error("ids do not sort by creation")
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b, other [16]byte
		copy(b[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		copy(other[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "other"))
		p := rapid.SampledFrom(prefixes).Draw(t, "prefix")
		s := id.FromBytes(p, b)
		back, ok := id.Bytes(s)
		if !ok || back != b || !id.Valid(p, s) {
			t.Fatalf("%x became %s and %x", b, s, back)
		}
		// The order of the text is the order of the bits.
		if s2 := id.FromBytes(p, other); (s < s2) != (string(b[:]) < string(other[:])) {
			t.Fatalf("%s and %s sort another way than their bits", s, s2)
		}
	})
}

func TestOneSpelling(t *testing.T) {
	s := id.FromBytes(id.Payment, [16]byte{1, 2, 3, 15: 255})
	bad := []string{"", "_", "pay", "pay_", s[4:], strings.ToUpper(s), "pay_" + strings.ToUpper(s[4:]), s + "0", s[:len(s)-1],
		" " + s, s + "\n",
		"pay__" + s[5:], "pay-" + s[4:], s[:10] + "i" + s[11:], s[:10] + "l" + s[11:], s[:10] + "o" + s[11:], s[:10] + "u" + s[11:],
		s[:10] + "é" + s[12:], s[:10] + "\n" + s[11:], s[:10] + "\r\n" + s[12:]}
	for _, x := range bad {
		if id.Valid(id.Payment, x) {
			t.Errorf("%q is taken for an id", x)
		}
	}
	// The last character holds three bits of the id; the two spare ones are zero.
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	valid := 0
	for _, c := range alphabet {
		if id.Valid(id.Payment, s[:len(s)-1]+string(c)) {
			valid++
		}
	}
	if valid != 8 {
		t.Errorf("%d last characters are accepted, want 8", valid)
	}
}

func TestDerive(t *testing.T) {
	const parent = "lnk_01arz3ndektsv4rrffq69g5fag"
	if !id.Valid(id.Link, parent) {
		t.Fatal("the parent is no id")
	}
	got := id.Derive(id.Payment, parent, "attempt-1")
	if got != id.Derive(id.Payment, parent, "attempt-1") || !id.Valid(id.Payment, got) {
		t.Errorf("%s", got)
	}
	const golden = "pay_01arz3ndek"
	if !strings.HasPrefix(got, golden[:len(golden)-1]) {
		t.Errorf("%s does not sit beside its parent", got)
	}
	for _, other := range []string{id.Derive(id.Payment, parent, "attempt-2"), id.Derive(id.Payment, id.New(id.Link), "attempt-1"),
		id.Derive(id.Refund, parent, "attempt-1"), id.Derive(id.Payment, parent+"\x00attempt-1", ""), id.Derive(id.Payment, "", "attempt-1")} {
		if other[4:] == got[4:] || !id.Valid(other[:3], other) {
			t.Errorf("%s and %s", other, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p, n := rapid.String().Draw(t, "parent"), rapid.String().Draw(t, "name")
		if s := id.Derive(id.Event, p, n); s != id.Derive(id.Event, p, n) || !id.Valid(id.Event, s) {
			t.Fatalf("%q %q gives %s", p, n, s)
		}
	})
}

// TestPlaced: an id carries its place, passes it on to derived ids, and is otherwise an id like
// all others.
func TestPlaced(t *testing.T) {
	for _, plain := range []string{"", "lnk_", "nothing", id.New(id.Link)} {
		if _, bucket, ok := id.Placed(plain); ok || bucket != 0 || id.Bucket(plain) != 0 {
			t.Errorf("%q is placed", plain)
		}
	}
	owner := id.New(id.Account)
	seen := map[string]bool{}
	for _, n := range []uint16{0, 1, 2, 7, 256, 1000} {
		n = max(n, 1)
		counts := map[uint16]int{}
		last := ""
		for range 4000 {
			s := id.NewPlaced(id.Link, owner, n)
			tag, bucket, ok := id.Placed(s)
			if !ok || !id.Valid(id.Link, s) || bucket >= n || tag != id.TagOf(owner) || seen[s] {
				t.Fatalf("%s is in bucket %d of %d, %v", s, bucket, n, ok)
			}
			seen[s] = true
			if s[:len("lnk_")+9] < last { // the milliseconds
				t.Fatalf("%s sorts before an older one", s)
			}
			last = s[:len("lnk_")+9]
			counts[bucket]++
			p := id.Derive(id.Payment, s, "attempt")
			if ptag, pbucket, ok := id.Placed(p); !ok || ptag != tag || pbucket != bucket || !id.Valid(id.Payment, p) || seen[p] {
				t.Fatalf("the payment of %s is %s", s, p)
			}
			seen[p] = true
		}
		n = min(n, 256)
		for b := range n {
			if want := 4000 / int(n); counts[b] < want/5 {
				t.Errorf("bucket %d of %d holds %d, want about %d", b, n, counts[b], want)
			}
		}
	}
	// Ids that were derived before there were buckets stay the same.
	if got := id.Derive(id.Payment, "lnk_01arz3ndektsv4rrffq69g5fag", "attempt-1"); got != "pay_01arz3ndeg1wx2p9sy7h7yrda8" {
		t.Errorf("a derived id changed to %s", got)
	}
}

// FuzzBytes: an accepted id is the only spelling of its bits.
func FuzzBytes(f *testing.F) {
	f.Add("pay_01arz3ndektsv4rrffq69g5fag")
	f.Fuzz(func(t *testing.T, s string) {
		b, ok := id.Bytes(s)
		if !ok {
			return
		}
		prefix, _, _ := strings.Cut(s, "_")
		if id.FromBytes(prefix, b) != s || !id.Valid(prefix, s) {
			t.Fatalf("%q is a second spelling of %s", s, id.FromBytes(prefix, b))
		}
	})
}

// TestDeriveAt: an id that is derived at a time sorts by it, and is placed with a placed
// parent.
func TestDeriveAt(t *testing.T) {
	at := time.UnixMilli(1_900_000_000_123)
	for _, form := range []string{id.New(id.Form), id.NewPlaced(id.Form, "acct_1", 200)} {
		first, later := id.DeriveAt(id.Link, form, "a", at), id.DeriveAt(id.Link, form, "a", at.Add(time.Millisecond))
		if first != id.DeriveAt(id.Link, form, "a", at) || first == id.DeriveAt(id.Link, form, "b", at) || !id.Valid(id.Link, first) {
			t.Errorf("%s is no function of its name", first)
		}
		if first >= later || !id.Time(first).Equal(at) {
			t.Errorf("%s does not tell its time, or sorts after %s", first, later)
		}
		tag, bucket, placed := id.Placed(first)
		wantTag, wantBucket, want := id.Placed(form)
		if tag != wantTag || bucket != wantBucket || placed != want {
			t.Errorf("%s does not lie with %s", first, form)
		}
	}
}
