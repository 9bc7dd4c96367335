package shield_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/shield"
)

func mac(key string) shield.MAC {
	return keyed(key)
}

// keyed is an HMAC under a key.
type keyed string

func (k keyed) Tag(m []byte) []byte {
	h := hmac.New(sha256.New, []byte(k))
	h.Write(m)
	return h.Sum(nil)
}

func (k keyed) Check(m, tag []byte) bool { return hmac.Equal(k.Tag(m)[:len(tag)], tag) }

// TestAProofIsOfOnePaymentAndItsTime checks that an altered, expired or unsolved proof, or
// another payment's, is invalid.
func TestAProofIsOfOnePaymentAndItsTime(t *testing.T) {
	ours, bits := mac("ours"), 12
	seed := shield.Seal(ours, "pay_1", bits, start)
	proof := shield.Solve(seed, bits)
	for _, c := range []struct {
		name           string
		mac            shield.MAC
		payment, proof string
		at             time.Time
		want           bool
	}{
		{"good", ours, "pay_1", proof, start, true},
		{"good to the end", ours, "pay_1", proof, start.Add(shield.PuzzleLife - time.Second), true},
		{"late", ours, "pay_1", proof, start.Add(shield.PuzzleLife), false},
		{"of another payment", ours, "pay_2", proof, start, false},
		{"under another key", mac("theirs"), "pay_1", proof, start, false},
		{"not worked out", ours, "pay_1", unsolved(seed, bits), start, false},
		{"no number", ours, "pay_1", seed + ".", start, false},
		{"no point", ours, "pay_1", seed, start, false},
		{"nothing", ours, "pay_1", "", start, false},
		{"too long a number", ours, "pay_1", seed + "." + strings.Repeat("1", 17), start, false},
		{"long", ours, "pay_1", strings.Repeat("A", 1<<16), start, false},
	} {
		if got := shield.Open(c.mac, c.payment, c.proof, c.at); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(seed)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 { // every altered seed, solved again
		altered := append([]byte(nil), raw...)
		altered[bit/8] ^= 1 << (bit % 8)
		if p := shield.Solve(base64.RawURLEncoding.EncodeToString(altered), 4); shield.Open(ours, "pay_1", p, start) {
			t.Errorf("bit %d may be altered", bit)
		}
	}
}

// unsolved returns a number that does not solve the puzzle.
func unsolved(seed string, bits int) string {
	for n := byte('0'); ; n++ {
		if p := seed + "." + string(n); !strings.HasPrefix(p, shield.Solve(seed, bits)) {
			return p
		}
	}
}

func FuzzOpen(f *testing.F) {
	seed := shield.Seal(mac("ours"), "pay_1", 8, start)
	f.Add(shield.Solve(seed, 8))
	f.Add(seed)
	f.Add("")
	f.Fuzz(func(t *testing.T, proof string) {
		if shield.Open(mac("theirs"), "pay_1", proof, start) {
			t.Error("a proof that nobody sealed")
		}
	})
}
