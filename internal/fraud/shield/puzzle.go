package shield

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// A puzzle is a seed and a number of bits. Solved, it is a proof: the seed, a point, and a
// decimal number, such that the SHA-256 of all of it begins with that many zero bits. The seed is
// bound to one payment, identified by its link and attempt, so a proof is valid for one attempt
// only. It is sealed with a MAC, so the work cannot be reduced, and nothing is stored until it
// comes back.
const (
	// PuzzleLife is how long a puzzle is valid: long enough for a slow phone, too short to
	// stockpile many.
	PuzzleLife = 5 * time.Minute

	puzzleVersion = 1
	macBytes      = 16
	headBytes     = 1 + 1 + 8 // version, bits, end in seconds
	maxNumberLen  = 16        // digits of the number
	seedLen       = 35        // of headBytes and macBytes in base64, without padding
)

// MAC seals and opens puzzles: it makes tags of messages, and checks them. A tag may be cut to
// macBytes.
type MAC interface {
	Tag(message []byte) []byte
	Check(message, tag []byte) bool
}

// Seal returns the seed of a puzzle with that many bits for a payment.
func Seal(mac MAC, payment string, bits int, now time.Time) (seed string) {
	head := make([]byte, headBytes, headBytes+macBytes)
	head[0], head[1] = puzzleVersion, byte(bits)                             // at most MaxBits
	binary.BigEndian.PutUint64(head[2:], uint64(now.Add(PuzzleLife).Unix())) // after 1970
	return base64.RawURLEncoding.EncodeToString(append(head, mac.Tag(sealed(payment, head))[:macBytes]...))
}

// sealed returns what the tag of a puzzle's head covers.
func sealed(payment string, head []byte) []byte {
	return append(append([]byte("paylink proof of work\x00"), head...), payment...)
}

// Open reports whether a proof is for the payment, not expired, and solved. The work that it
// requires is part of the sealed head.
func Open(mac MAC, payment, proof string, now time.Time) bool {
	seed, number, ok := strings.Cut(proof, ".")
	if !ok || len(seed) != seedLen || number == "" || len(number) > maxNumberLen {
		return false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(seed)
	if err != nil || len(raw) != headBytes+macBytes || raw[0] != puzzleVersion {
		return false
	}

	head := raw[:headBytes]
	end := time.Unix(int64(binary.BigEndian.Uint64(head[2:])), 0) // sealed by us, checked below
	return mac.Check(sealed(payment, head), raw[headBytes:]) && now.Before(end) && zeros(proof) >= int(head[1])
}

// Solve solves a puzzle as a page does. It is for clients in Go and for tests. Each bit doubles the
// work.
func Solve(seed string, bits int) (proof string) {
	for n := 0; ; n++ {
		if proof = seed + "." + strconv.Itoa(n); zeros(proof) >= bits {
			return proof
		}
	}
}

// zeros returns the number of leading zero bits of a text's SHA-256.
func zeros(text string) (n int) {
	for _, b := range sha256.Sum256([]byte(text)) {
		n += bits.LeadingZeros8(b)
		if b != 0 {
			break
		}
	}
	return n
}
