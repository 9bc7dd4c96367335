// Package id makes the identifiers that paylink hands out: a type prefix, an
// underscore, and 128 bits in 26 characters of Crockford's base32 in lower
// case. They sort by creation time (UUID version 7, RFC 9562) and are opaque to
// callers.
package id

import (
	"crypto/sha256"
	"encoding/base32"
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

// Derive makes an id that is a pure function of parent and name: the same pair
// gives the same id, for ever. The first 48 bits are the parent's, so derived
// ids of a young parent sit beside it in an index; the rest is SHA-256.
func Derive(prefix, parent, name string) string {
	raw, ok := Bytes(parent)
	sum := sha256.Sum256([]byte(prefix + "\x00" + parent + "\x00" + name))
	if ok {
		copy(sum[:6], raw[:6])
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
