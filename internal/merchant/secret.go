package merchant

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"math/big"
	"strings"
)

// The secret of an API key is
//
//	pl_test_ or pl_live_   the mode
//	43 characters          256 random bits as a number in base 62, big end first
//	6 characters           CRC-32 (IEEE) of all before it, in base 62, big end first
//
// with the digits 0-9, A-Z, a-z, padded with 0. The checksum lets a secret scanner distinguish
// a leaked secret from a lookalike offline; it is no protection.
const (
	secretTest        = "pl_test_"
	secretLive        = "pl_live_"
	secretPrefixChars = 8
	secretBodyChars   = 43
	secretCheckChars  = 6
	secretChars       = secretPrefixChars + secretBodyChars + secretCheckChars
	base62            = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newSecret returns a secret for a mode.
func newSecret(mode string) string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails; the runtime ends the process instead
	s := "pl_" + mode + "_" + inBase62(new(big.Int).SetBytes(b[:]), secretBodyChars)
	return s + checksum(s)
}

// checksum returns the last characters of a secret that begins with s.
func checksum(s string) string {
	return inBase62(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(s)))), secretCheckChars)
}

// inBase62 returns n with exactly that many digits, and sets n to zero. n must fit.
func inBase62(n *big.Int, chars int) string {
	out := make([]byte, chars)
	base, digit := big.NewInt(int64(len(base62))), new(big.Int)
	for i := chars - 1; i >= 0; i-- {
		n.QuoRem(n, base, digit)
		out[i] = base62[digit.Int64()]
	}
	return string(out)
}

// CheckSecret reports whether s has the form of one of our secrets, with its checksum. It reads
// nothing; a secret that passes may belong to no key.
func CheckSecret(s string) bool {
	if len(s) != secretChars || (!strings.HasPrefix(s, secretTest) && !strings.HasPrefix(s, secretLive)) {
		return false
	}
	for i := secretPrefixChars; i < len(s); i++ {
		if strings.IndexByte(base62, s[i]) < 0 {
			return false
		}
	}
	body := s[:secretChars-secretCheckChars]
	return checksum(body) == s[len(body):]
}

// hashSecret returns the form in which a secret is stored and looked up.
func hashSecret(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}
