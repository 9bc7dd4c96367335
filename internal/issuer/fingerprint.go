package issuer

import (
	"crypto/sha256"
	"strings"
)

// What is stored of a number. Beside the first and last digits, hiddenDigits or more stay unknown,
// so that with the check digit at least 10,000 numbers share what is stored. A number of
// bucketDigits or more has at least 100,000 such relatives: its bucket divides them by eight.
const (
	binDigits    = 6
	last4Digits  = 4
	hiddenDigits = 5
	bucketDigits = 16
	buckets      = 8
)

// bucketDomain separates the hash of a bucket from every other use of SHA-256.
const bucketDomain = "paylink card bucket 1\x00"

// fingerprintPrefix begins every fingerprint.
const fingerprintPrefix = "card_"

// bucketOf returns the bucket of a number as a digit. It depends on the number alone. With a key,
// or with account or time in it, each of several records of a card would narrow the number by
// another factor of eight.
func bucketOf(number []byte) byte {
	h := sha256.New()
	h.Write([]byte(bucketDomain))
	h.Write(number)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	bucket := '0' + sum[0]%buckets

	// The hash keeps the last bytes that it got, in its state and in a copy on the stack of Sum.
	// Two blocks of zeros, and the sum of them, overwrite both.
	h.Write(make([]byte, 2*sha256.BlockSize))
	h.Sum(sum[:0])
	return bucket
}

// FingerprintOf returns the fingerprint of all cards with these first and last digits, as stored
// before fingerprints had a bucket, and for numbers too short to have one: card_BBBBBB_LLLL. It
// stands for every card whose fingerprint begins with it.
func FingerprintOf(bin, last4 string) string {
	if bin == "" || last4 == "" {
		return ""
	}
	return fingerprintPrefix + bin + "_" + last4
}

// WithoutBucket returns a fingerprint without its bucket, or "" if it has none.
func WithoutBucket(fingerprint string) string {
	n := len(fingerprint) - len("_0")
	if !IsFingerprint(fingerprint) || strings.Count(fingerprint, "_") < 3 {
		return ""
	}
	return fingerprint[:n]
}

// IsFingerprint reports whether a text has the form of a card's fingerprint, with a bucket or
// without.
func IsFingerprint(s string) bool {
	rest, ok := strings.CutPrefix(s, fingerprintPrefix)
	parts := strings.Split(rest, "_")
	if !ok || len(parts) < 2 || len(parts) > 3 || len(parts[0]) < 3 || len(parts[0]) > binDigits || len(parts[1]) != last4Digits {
		return false
	}
	for _, p := range parts {
		if !allDigits([]byte(p)) {
			return false
		}
	}
	return len(parts) == 2 || len(parts[2]) == 1 && parts[2][0] < '0'+buckets
}

// SameCard reports whether two fingerprints may be of one card: they are equal, or they agree and
// one of them has no bucket.
func SameCard(a, b string) bool {
	return a != "" && b != "" && (a == b || WithoutBucket(a) == b || WithoutBucket(b) == a)
}
