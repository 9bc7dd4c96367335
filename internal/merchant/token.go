package merchant

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

// ErrToken does not distinguish an unknown token from a used or expired one.
var ErrToken error = fault.New(fault.KindInvalid, "token_invalid",
	"This link is invalid, was already used, or has expired. Request a new one.")

// The size of a token, and the longest text that is looked up as one.
const (
	tokenBytes    = 32
	maxTokenChars = 64
)

// newToken returns a secret of 256 random bits and the token that is stored.
func newToken(kind string, now time.Time, life time.Duration) (secret string, t Token) {
	var b [tokenBytes]byte
	_, _ = rand.Read(b[:]) // never fails; the runtime ends the process instead
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	return secret, Token{Kind: kind, Hash: hashToken(kind, secret), CreatedAt: now, ExpiresAt: now.Add(life)}
}

// hashToken binds a token to its kind: one that resets a password confirms nothing.
func hashToken(kind, secret string) []byte {
	sum := sha256.Sum256([]byte("paylink " + kind + "\x00" + secret))
	return sum[:]
}

// usable reports whether the token can still be spent.
func (t Token) usable(now time.Time) bool { return t.UsedAt.IsZero() && now.Before(t.ExpiresAt) }
