package link

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
)

// A token, version 1, is base64url without padding (RFC 4648 section 5) of
//
//	version      1 byte, 1
//	signing key  4 bytes, big endian
//	sealed       sealing key 4, nonce 24, ciphertext 40, tag 16
//	signature    64 bytes, Ed25519
//
// The claims are encrypted and then signed. The signature covers signDomain and
// everything before it; the AEAD authenticates sealDomain, version and signing
// key too. A token is opened without any store: an Opener has none to read.
const (
	MaxTokenChars = 256

	tokenVersion = 1
	claimsBytes  = 16 + 16 + 2 + 5 + 1
	headBytes    = 1 + 4
	signBytes    = 64
	tokenBytes   = headBytes + keyring.SealOverheadBytes + claimsBytes + signBytes
	sealDomain   = "paylink link token: seal\x00"
	signDomain   = "paylink link token: sign\x00"
	maxUint40    = 1<<40 - 1
)

// ErrToken is the only error for any token that is not ours, or was changed.
var ErrToken error = fault.New(fault.KindNotFound, "link_unknown", "This payment link is invalid or was altered.")

// tokenEncoding refuses spare bits, so that a token has a single spelling.
var tokenEncoding = base64.RawURLEncoding.Strict()

// Claims are the content of a token. Only paylink can read or make them.
type Claims struct {
	Link      string
	Account   string
	Bucket    uint16
	ExpiresAt time.Time // whole seconds
	Mode      string
}

// Mint returns the token of the claims. They come from our own ids and a checked expiry, so
// Mint panics on anything else.
func Mint(ring *keyring.Ring, c Claims) string {
	signer := ring.Signer(keyring.LinkSign)
	head := tokenHead(signer.KeyID())
	return assemble(signer, head, ring.Seal(keyring.LinkSeal, c.encode(), sealContext(head)))
}

// tokenHead returns the unsealed beginning of a token: version and signing key.
func tokenHead(kid uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{tokenVersion}, kid)
}

// sealContext is what the sealing authenticates besides the claims.
func sealContext(head []byte) []byte { return append([]byte(sealDomain), head...) }

// assemble returns the token: head, sealed claims, and the signature over both.
func assemble(signer keyring.Signer, head, sealed []byte) string {
	msg := append(append([]byte(signDomain), head...), sealed...)
	return tokenEncoding.EncodeToString(append(msg[len(signDomain):], signer.SignMessage(msg)...))
}

// Opener opens tokens. It holds keys and nothing else, so no token, good or bad, can make it
// read a store.
type Opener struct{ Ring *keyring.Ring }

// Open returns the claims of a genuine token. The error is always ErrToken, and costs the same
// whatever the reason. Open ignores the expiry: the caller checks it.
func (o Opener) Open(token string) (Claims, error) {
	c, _, err := o.open(token)
	return c, err
}

// open is Open, and also returns the id of the signing key.
func (o Opener) open(token string) (Claims, uint32, error) {
	raw, kid, err := checkSignature(o.Ring, token)
	if err != nil {
		return Claims{}, 0, err
	}
	c, err := o.unseal(raw)
	return c, kid, err
}

// unseal opens the claims of a token whose signature is valid.
func (o Opener) unseal(raw []byte) (Claims, error) {
	plain, err := o.Ring.Unseal(keyring.LinkSeal, raw[headBytes:tokenBytes-signBytes], sealContext(raw[:headBytes]))
	if err != nil {
		return Claims{}, ErrToken
	}
	c, ok := decodeClaims(plain)
	if !ok {
		return Claims{}, ErrToken
	}
	return c, nil
}

// VerifySignature checks a token with public keys alone, and returns the id of the key that
// signed it. The error is always ErrToken.
func VerifySignature(keys *keyring.Public, token string) (kid uint32, err error) {
	_, kid, err = checkSignature(keys, token)
	return kid, err
}

// verifier checks a signature: a key ring, or public keys alone.
type verifier interface {
	Verify(p keyring.Purpose, kid uint32, msg, sig []byte) bool
}

// checkSignature decodes a token and checks its signature. It does the same work for every
// token that is not ours.
func checkSignature(v verifier, token string) (raw []byte, kid uint32, err error) {
	raw, ok := decodeToken(token)
	if !ok {
		// This does the same work as for a well-formed token of another signer: key 0 never
		// exists, and the verifier computes all the same.
		raw = make([]byte, tokenBytes)
	}
	kid = binary.BigEndian.Uint32(raw[1:headBytes])
	body, sig := raw[:tokenBytes-signBytes], raw[tokenBytes-signBytes:]
	if !v.Verify(keyring.LinkSign, kid, append([]byte(signDomain), body...), sig) || !ok {
		return nil, 0, ErrToken
	}
	return raw, kid, nil
}

// decodeToken accepts one spelling of a token: no padding, no line breaks (which
// encoding/base64 ignores), no spare bits, one length, one version.
func decodeToken(token string) ([]byte, bool) {
	if len(token) > MaxTokenChars || len(token) != tokenEncoding.EncodedLen(tokenBytes) {
		return nil, false
	}
	raw, err := tokenEncoding.DecodeString(token)
	if err != nil || len(raw) != tokenBytes || raw[0] != tokenVersion {
		return nil, false
	}
	return raw, true
}

// encode returns the claims in their fixed layout. It panics on claims that we never make.
func (c Claims) encode() []byte {
	link, ok1 := id.Bytes(c.Link)
	account, ok2 := id.Bytes(c.Account)
	seconds := c.ExpiresAt.Unix()
	if !ok1 || !ok2 || seconds < 0 || seconds > maxUint40 || (c.Mode != Test && c.Mode != Live) {
		panic(fmt.Sprintf("link: claims cannot be minted: link %q account %q expiry %v mode %q", c.Link, c.Account, c.ExpiresAt, c.Mode))
	}

	b := make([]byte, 0, claimsBytes)
	b = append(b, link[:]...)
	b = append(b, account[:]...)
	b = binary.BigEndian.AppendUint16(b, c.Bucket)
	b = append(b, byte(seconds>>32), byte(seconds>>24), byte(seconds>>16), byte(seconds>>8),
		byte(seconds)) // cut into bytes on purpose
	if c.Mode == Live {
		return append(b, 1)
	}

	return append(b, 0)
}

// decodeClaims is the inverse of encode. ok is false for bytes that encode never returns.
func decodeClaims(b []byte) (c Claims, ok bool) {
	if len(b) != claimsBytes || b[39] > 1 {
		return Claims{}, false
	}

	seconds := int64(b[34])<<32 | int64(binary.BigEndian.Uint32(b[35:39]))
	c = Claims{
		Link:      id.FromBytes(id.Link, [16]byte(b[:16])),
		Account:   id.FromBytes(id.Account, [16]byte(b[16:32])),
		Bucket:    binary.BigEndian.Uint16(b[32:34]),
		ExpiresAt: time.Unix(seconds, 0).UTC(),
		Mode:      Test,
	}
	if b[39] == 1 {
		c.Mode = Live
	}
	return c, true
}

// isTokenError reports whether err is ErrToken.
func isTokenError(err error) bool { return errors.Is(err, ErrToken) }
