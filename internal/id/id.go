// Package id makes the identifiers that paylink hands out: a type prefix, an
// underscore, and 128 bits in 26 characters of Crockford's base32 in lower
// case. They sort by creation time (UUID version 7, RFC 9562) and are opaque to
// callers.
package id

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash/fnv"
	"strings"

	"github.com/google/uuid"
)

// The prefixes: what an id names can be read off it.
const (
	User     = "usr"
	Account  = "acct"
	Key      = "key"
	Method   = "pm"
	Link     = "lnk"
	Payment  = "pay"
	Refund   = "rfd"
	Event    = "evt"
	Endpoint = "whe"
	Delivery = "dlv"
	Session  = "ses"
	Change   = "chg"
	Request  = "req"
)

// BodyLength is the number of characters after the underscore.
const BodyLength = 26

var encoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// New makes a fresh id with the given prefix.
func New(prefix string) string {
	u := uuid.Must(uuid.NewV7())
	return prefix + "_" + encoding.EncodeToString(u[:])
}

// A partitioned store spreads what belongs together over numbered buckets. The
// bucket of an id is part of the id, so that finding a thing needs no index. Ids
// of bucket 0 are of UUID version 7, like all others; ids of another bucket say
// so by version 8, which RFC 9562 leaves to us, and end with the bucket's number.
const (
	versionByte  = 6
	bucketOffset = 14
	versionMask  = 0xf0
	inBucket     = 0x80
)

// NewSpread is New in one of n buckets, picked by the hash of the id.
func NewSpread(prefix string, n uint16) string {
	u := uuid.Must(uuid.NewV7())
	if n > 1 {
		h := fnv.New32a()
		_, _ = h.Write(u[:])
		putBucket(u[:], uint16(h.Sum32()%uint32(n)))
	}
	return prefix + "_" + encoding.EncodeToString(u[:])
}

// Bucket is the bucket that an id of New or NewSpread carries. Of an id derived
// from a link it is the link's; where that is 0, one id in sixteen says otherwise
// by chance, so who looks a payment up by it must look in bucket 0 too.
func Bucket(s string) uint16 {
	b, ok := Bytes(s)
	if !ok || b[versionByte]&versionMask != inBucket {
		return 0
	}
	return binary.BigEndian.Uint16(b[bucketOffset:])
}

func putBucket(b []byte, bucket uint16) {
	if bucket == 0 {
		return
	}
	b[versionByte] = b[versionByte]&^versionMask | inBucket
	binary.BigEndian.PutUint16(b[bucketOffset:], bucket)
}

// Derive makes an id that is a pure function of parent and name: the same pair
// gives the same id, for ever. The first 48 bits are the parent's, so derived
// ids of a young parent sit beside it in an index; the rest is SHA-256, but for
// the bucket of a link where that is not 0.
func Derive(prefix, parent, name string) string {
	raw, ok := Bytes(parent)
	sum := sha256.Sum256([]byte(prefix + "\x00" + parent + "\x00" + name))
	if ok {
		copy(sum[:6], raw[:6])
		if strings.HasPrefix(parent, Link+"_") {
			putBucket(sum[:16], Bucket(parent))
		}
	}
	return prefix + "_" + encoding.EncodeToString(sum[:16])
}

// Valid reports whether s is an id with the given prefix.
func Valid(prefix, s string) bool {
	p, _, ok := strings.Cut(s, "_")
	if !ok || p != prefix {
		return false
	}
	_, ok = Bytes(s)
	return ok
}

// Bytes returns the 128 bits of an id of any prefix.
func Bytes(s string) (b [16]byte, ok bool) {
	_, body, found := strings.Cut(s, "_")
	if !found || len(body) != BodyLength {
		return b, false
	}
	raw, err := encoding.DecodeString(body)
	if err != nil || len(raw) != 16 {
		return b, false
	}
	copy(b[:], raw)
	// 26 characters hold 130 bits: the two spare ones must be zero, so that an
	// id has one spelling.
	return b, encoding.EncodeToString(raw) == body
}

// FromBytes spells 128 bits as an id with the given prefix.
func FromBytes(prefix string, b [16]byte) string {
	return prefix + "_" + encoding.EncodeToString(b[:])
}
