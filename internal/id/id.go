// Package id makes paylink's identifiers: a type prefix, an underscore, and 128 bits in 26
// characters of Crockford's base32 in lower case. They sort by creation time (UUID version 7,
// RFC 9562) and are opaque to callers.
package id

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash/fnv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The prefixes, which name the type of an id's object.
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
	Invite   = "inv" // an invitation
	Mail     = "mail"
	Form     = "frm"
	Dispute  = "dsp" // of a payment
	Activity = "act" // what somebody did
)

// The prefixes of an account's fraud rules, and of entries of its lists.
const (
	FraudRule  = "frl"
	FraudEntry = "fle"
)

// Redelivery is the prefix of a bulk redelivery of webhooks.
const Redelivery = "rdv"

// BodyLength is the number of characters after the underscore.
const BodyLength = 26

var encoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// New returns a fresh id with the given prefix.
func New(prefix string) string {
	u := uuid.Must(uuid.NewV7())
	return prefix + "_" + encoding.EncodeToString(u[:])
}

// A partitioned store spreads an account's objects over numbered buckets, and must find an
// object by its id alone. So its ids are placed: they are UUIDs of version 8, which RFC 9562
// leaves to the application, and end with a tag of the owner (24 bits of a hash, which owners
// may share) and the bucket. All others are of version 7 and in bucket 0.
const (
	timeBytes   = 6
	versionByte = 6
	placeOffset = 12 // tag 3 bytes, bucket 1 byte
	versionMask = 0xf0
	placed      = 0x80
	timed       = 0x70
	maxBuckets  = 256
	bucketBits  = 8
	bucketMask  = maxBuckets - 1
	tagBits     = 24
	tagMask     = 1<<tagBits - 1
)

// NewPlaced returns a fresh id for an object of the owner, in one of n buckets (up to 256),
// picked by the hash of the id.
func NewPlaced(prefix, owner string, n uint16) string {
	u := uuid.Must(uuid.NewV7())
	putPlace(u[:], TagOf(owner)<<bucketBits|hash(string(u[:]))%uint32(min(max(n, 1), maxBuckets)))
	return prefix + "_" + encoding.EncodeToString(u[:])
}

// TagOf returns the tag in the ids of the owner's objects.
func TagOf(owner string) uint32 { return hash(owner) & tagMask }

func hash(s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s))
	return h.Sum32()
}

// Placed returns the tag and the bucket in an id that NewPlaced made, or that was derived from
// one. One in sixteen ids that are derived from unplaced ids looks placed by chance, so a
// caller that finds nothing in the bucket must try bucket 0 too.
func Placed(s string) (tag uint32, bucket uint16, ok bool) {
	b, valid := Bytes(s)
	if !valid || b[versionByte]&versionMask != placed {
		return 0, 0, false
	}
	place := binary.BigEndian.Uint32(b[placeOffset:])
	return place >> bucketBits, uint16(place & bucketMask), true
}

// Bucket returns the bucket of a placed id; 0 for others.
func Bucket(s string) uint16 {
	_, bucket, _ := Placed(s)
	return bucket
}

func putPlace(b []byte, place uint32) {
	b[versionByte] = b[versionByte]&^versionMask | placed
	binary.BigEndian.PutUint32(b[placeOffset:], place)
}

// Derive returns an id that is a pure function of parent and name: the same pair gives the same
// id, forever. It is SHA-256, except that the first 48 bits are the parent's, so the derived
// ids of a young parent are beside it in an index. An id that is derived from a placed link is
// placed with it.
func Derive(prefix, parent, name string) string {
	raw, ok := Bytes(parent)
	sum := sha256.Sum256([]byte(prefix + "\x00" + parent + "\x00" + name))
	tag, bucket, isPlaced := Placed(parent)
	switch {
	case isPlaced && strings.HasPrefix(parent, Link+"_"):
		putPlace(sum[:16], tag<<bucketBits|uint32(bucket))
	case ok:
		copy(sum[:timeBytes], raw[:timeBytes])
	}
	return prefix + "_" + encoding.EncodeToString(sum[:16])
}

// DeriveAt is Derive for an id that only the name decides and that must still sort by its
// creation time: the first 48 bits are the time's milliseconds, so the same parent, name and
// time give the same id. It is placed with a placed parent.
func DeriveAt(prefix, parent, name string, at time.Time) string {
	sum := sha256.Sum256([]byte(prefix + "\x00" + parent + "\x00" + name))
	binary.BigEndian.PutUint64(sum[16:], uint64(at.UnixMilli())) // after 1970
	copy(sum[:timeBytes], sum[16+2:])
	if tag, bucket, ok := Placed(parent); ok {
		putPlace(sum[:16], tag<<bucketBits|uint32(bucket))
	} else {
		sum[versionByte] = sum[versionByte]&^versionMask | timed
	}
	return prefix + "_" + encoding.EncodeToString(sum[:16])
}

// Time returns when an id was made. For an id of Derive the result means nothing.
func Time(s string) time.Time {
	b, _ := Bytes(s)
	return time.UnixMilli(int64(binary.BigEndian.Uint64(append([]byte{0, 0}, b[:timeBytes]...)))).UTC() // 48 bits
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
	// 26 characters hold 130 bits: the two spare ones must be zero, so that an id has one
	// spelling.
	return b, encoding.EncodeToString(raw) == body
}

// FromBytes returns the id of 128 bits with the given prefix.
func FromBytes(prefix string, b [16]byte) string {
	return prefix + "_" + encoding.EncodeToString(b[:])
}
