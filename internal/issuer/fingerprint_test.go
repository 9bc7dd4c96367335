package issuer_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/paylink/paylink/internal/issuer"
)

// fewest is how many numbers must share everything that is stored of one.
const fewest = 10_000

// randomNumber returns a number of n digits that passes the check.
func randomNumber(r *rand.Rand, n int) string {
	b := make([]byte, n-1)
	for i := range b {
		b[i] = '0' + byte(r.IntN(10))
	}
	return string(b) + luhnDigit(string(b))
}

// stored is everything that is kept of a number.
func stored(t *testing.T, number []byte) [4]string {
	t.Helper()
	c, err := issuer.NewCard(number, 1, 2030, []byte("123"), "", now)
	if err != nil {
		t.Fatal(err)
	}
	return [4]string{c.Brand(), c.BIN(), c.Last4(), c.Fingerprint()}
}

// TestI15StoredIsOfThousands counts, for numbers of every length, how many numbers have the same
// stored data. It tries all numbers with these first and last digits, or the first hundred thousand
// valid ones if there are more.
func TestI15StoredIsOfThousands(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 1))
	for digits := 12; digits <= 19; digits++ {
		for range 2 {
			number := randomNumber(r, digits)
			want := stored(t, []byte(number))
			first, last := len(want[1]), digits-4
			if !strings.HasPrefix(number, want[1]) || number[last:] != want[2] {
				t.Fatalf("%d digits: %q", digits, want)
			}
			all, same := 0, 0
			for hidden := range tenTo(last - first) {
				candidate := []byte(number)
				for i := last - 1; i >= first; i-- {
					candidate[i] = '0' + byte(hidden%10)
					hidden /= 10
				}
				if luhnDigit(string(candidate[:digits-1])) != want[2][3:] {
					continue
				}
				if all++; all > 100_000 {
					break
				}
				if stored(t, candidate) == want {
					same++
				}
			}
			if same < fewest {
				t.Errorf("%d digits: only %d numbers share %q", digits, same, want)
			}
			if digits == 16 && (all != 100_000 || same > 14_000) {
				t.Errorf("%d of %d numbers share %q: the fingerprint says too little", same, all, want)
			}
		}
	}
}

// tenTo returns 10^n.
func tenTo(n int) int {
	p := 1
	for range n {
		p *= 10
	}
	return p
}

func TestFingerprintForms(t *testing.T) {
	for number, want := range map[string]string{
		"4242424242424242": "card_424242_4242_", "378282246310005": "card_378282_0005", "30569309025904": "card_30569_5904",
		"4222222222222": "card_4222_2222", "400000000000" + luhnDigit("400000000000"): "card_4000_000" + luhnDigit("400000000000"),
	} {
		got := stored(t, []byte(number))[3]
		if !strings.HasPrefix(got, want) || !issuer.IsFingerprint(got) || (len(number) >= 16) != (len(got) == len(want)+1) {
			t.Errorf("%s has %s, want %s", number, got, want)
		}
	}
	// The bucket is stored, so it must never change.
	if got := stored(t, []byte("4242424242424242"))[3]; got != "card_424242_4242_0" {
		t.Errorf("the fingerprint is %s now", got)
	}
	for fingerprint, want := range map[string]string{"card_424242_4242_3": "card_424242_4242", "card_424242_4242": "", "": "", "f00": "",
		"card_424242_4242_8": "", "card_424242_4242_33": "", "0123456789abcdef0123456789abcdef": ""} {
		if got := issuer.WithoutBucket(fingerprint); got != want {
			t.Errorf("%q without its bucket is %q, want %q", fingerprint, got, want)
		}
	}
	for pair, want := range map[[2]string]bool{
		{"card_424242_4242_3", "card_424242_4242_3"}: true, {"card_424242_4242_3", "card_424242_4242"}: true,
		{"card_424242_4242", "card_424242_4242_3"}: true, {"card_424242_4242_3", "card_424242_4242_4"}: false,
		{"", ""}: false, {"card_424242_4242", ""}: false, {"", "card_424242_4242_3"}: false, {"f00", "f01"}: false,
	} {
		if issuer.SameCard(pair[0], pair[1]) != want {
			t.Errorf("%q: %v", pair, !want)
		}
	}
}

// TestI15ClearedCard checks that a cleared card has nothing left, in every copy, and that clearing
// waits for a connector.
func TestI15ClearedCard(t *testing.T) {
	c := newCard(t)
	copied := c
	reading, cleared := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		if err := copied.Reveal(func(s issuer.Secret) error {
			close(reading)
			for range 1000 {
				if string(s.Number) != number || string(s.CVC) != code {
					return errors.New("the card changed while it was read")
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	group.Go(func() {
		<-reading
		c.Clear()
		close(cleared)
	})
	group.Wait()
	<-cleared
	for _, c := range []issuer.Card{c, copied} {
		err := c.Reveal(func(issuer.Secret) error {
			t.Error("a cleared card was revealed")
			return nil
		})
		if !errors.Is(err, issuer.ErrNoCard) || c.Empty() || c.Last4() != number[12:] || c.BIN() != number[:6] || c.Brand() != "visa" ||
			!strings.HasPrefix(c.Fingerprint(), "card_400000_9995_") {
			t.Errorf("a cleared card: %v, %s", err, c.Fingerprint())
		}
	}
	var leaked issuer.Secret
	third := newCard(t)
	if err := third.Reveal(func(s issuer.Secret) error { leaked = s; return nil }); err != nil {
		t.Fatal(err)
	}
	third.Clear()
	third.Clear()
	if strings.Trim(string(leaked.Number)+string(leaked.CVC), "\x00") != "" {
		t.Errorf("the memory still has %q, %q", leaked.Number, leaked.CVC)
	}
	issuer.Card{}.Clear()
}
