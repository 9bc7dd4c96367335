// Package keyring holds paylink's own keys, one list per purpose, and does everything that
// needs them: sign, verify, seal, unseal, MAC. A key never leaves the package.
//
// The keys are in one file, keys.json, readable by its owner (and group) only. It is replaced
// as a whole (write beside it, fsync, rename, fsync of the folder), under a lock that the
// kernel releases if the holder dies. After a crash at any point the file is the old one or the
// new one.
//
// A rotated key becomes active ActivateAfter later, so that every instance has reloaded the
// file before anyone signs with it. Its predecessor keeps verifying for as long as anything
// that it signed may live. A revoked key verifies nothing from the moment an instance has
// reloaded the file.
//
// All methods of a Ring are safe for concurrent use; using a key costs one atomic load.
package keyring

import (
	"crypto"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// Purpose is what a key is for. A key has one purpose, ever.
type Purpose string

// The purposes.
const (
	LinkSign    Purpose = "link-sign"    // Ed25519, tokens of payment links
	LinkSeal    Purpose = "link-seal"    // XChaCha20-Poly1305, claims of payment links
	SessionSign Purpose = "session-sign" // Ed25519, sessions of users
	WebhookSign Purpose = "webhook-sign" // Ed25519, webhook deliveries
	StoreSeal   Purpose = "store-seal"   // XChaCha20-Poly1305, credentials of issuers at rest
	TOTPSeal    Purpose = "totp-seal"    // XChaCha20-Poly1305, secrets of authenticators at rest
	AnswerSeal  Purpose = "answer-seal"  // XChaCha20-Poly1305, answers kept for replay
	WebhookSeal Purpose = "webhook-seal" // XChaCha20-Poly1305, secrets and bodies of webhooks at rest
	CardSeal    Purpose = "card-seal"    // XChaCha20-Poly1305, a card between two of our processes
	MailSeal    Purpose = "mail-seal"    // XChaCha20-Poly1305, mails at rest, and what their one-click links say
	ReceiptSign Purpose = "receipt-sign" // Ed25519, statements about payments
	MACKey      Purpose = "mac"          // HMAC-SHA256, fingerprints of requests
	PuzzleMAC   Purpose = "puzzle-mac"   // HMAC-SHA256, proofs of work that payers must give
)

// Purposes lists all purposes.
var Purposes = []Purpose{LinkSign, LinkSeal, SessionSign, WebhookSign, StoreSeal, TOTPSeal, AnswerSeal, WebhookSeal, CardSeal,
	MailSeal, ReceiptSign, MACKey, PuzzleMAC}

// cardMAC is a purpose of an earlier version, for fingerprints of cards. With its key, a card's
// number could be computed from a stored payment. A file with the key is read without it, and
// written without it as soon as possible.
const cardMAC Purpose = "card-mac"

// Limits.
const (
	// ActivateAfter is how long a new key rests, so that all instances know it before one of
	// them uses it. Watch at an interval of a third of this, or less.
	ActivateAfter = time.Minute
	// MaxRest bounds a longer rest.
	MaxRest = 7 * 24 * time.Hour
	// SealOverheadBytes is what Seal adds: key id, nonce and tag.
	SealOverheadBytes = 4 + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

	linkLife    = 181 * 24 * time.Hour // longest link, and a day
	sessionLife = 24 * time.Hour
	webhookLife = 7 * 24 * time.Hour        // retries end after three days
	cardLife    = 24 * time.Hour            // a card is on its way for seconds
	puzzleLife  = time.Hour                 // a proof of work is due within minutes
	receiptLife = 10 * 366 * 24 * time.Hour // receipts are kept with the books
)

// ErrUnseal is the only error for everything that can't be unsealed.
var ErrUnseal = errors.New("not sealed by our keys, or altered")

// kind is what a key of a purpose can do.
type kind uint8

// The kinds. Zero is no kind: the purpose is unknown.
const (
	kindSign kind = iota + 1
	kindSeal
	kindMAC
)

// kind returns the kind of a purpose, or 0 if the purpose is unknown.
func (p Purpose) kind() kind {
	switch p {
	case LinkSign, SessionSign, WebhookSign, ReceiptSign:
		return kindSign
	case LinkSeal, StoreSeal, TOTPSeal, AnswerSeal, WebhookSeal, CardSeal, MailSeal:
		return kindSeal
	case MACKey, PuzzleMAC:
		return kindMAC
	case cardMAC: // no longer a purpose
	}
	return 0
}

// life returns how long after its retirement a key is still needed; 0 means forever.
func (p Purpose) life() time.Duration {
	switch p {
	case LinkSign, LinkSeal:
		return linkLife
	case SessionSign:
		return sessionLife
	case WebhookSign:
		return webhookLife
	case CardSeal:
		return cardLife
	case ReceiptSign:
		return receiptLife
	case PuzzleMAC:
		return puzzleLife
	default:
		return 0
	}

}

// key is one key, ready for use. Which of the last four fields are set depends on the kind; a share
// that only verifies has no private key.
type key struct {
	id       uint32
	purpose  Purpose
	activeAt time.Time
	revoked  bool
	private  ed25519.PrivateKey
	public   ed25519.PublicKey
	aead     cipher.AEAD
	mac      []byte
}

// set is an immutable view of all keys.
type set struct {
	byID      map[uint32]*key
	byPurpose map[Purpose][]*key // oldest first
	jwks      []byte
	unknown   []string // keys of purposes that this version does not know
}

// Ring holds the keys in memory: all of them, or one service's share. To use a key that a share
// does not hold is a bug and panics, except that a missing key verifies and unseals nothing.
type Ring struct {
	folder Folder  // without a path in memory
	shares []Share // nil: everything
	keys   atomic.Pointer[set]
	raw    atomic.Pointer[[]byte] // the file as last read
	clock  func() time.Time
}

// NewMemory returns a ring that is not written to disk, for tests.
func NewMemory(now time.Time) *Ring {
	f := file{Version: fileVersion}
	f.complete(now)
	s, err := f.set()
	if err != nil {
		panic("keyring: fresh keys are broken: " + err.Error())
	}
	r := newRing(Folder{}, now)
	r.keys.Store(s)
	return r
}

// newRing returns a ring whose time runs on from now by the monotonic clock, so a wall clock
// that jumps neither activates a key early nor goes back to an old one.
func newRing(d Folder, now time.Time) *Ring {
	start := time.Now()
	return &Ring{folder: d, clock: func() time.Time { return now.Add(time.Since(start)) }}
}

// String returns a text without keys.
func (*Ring) String() string { return "[keyring]" }

// GoString returns a text without keys.
func (*Ring) GoString() string { return "[keyring]" }

// active returns the newest key of the purpose that is active and not revoked. If the clock is
// before all of them, it returns the oldest one.
func (r *Ring) active(p Purpose) *key {
	keys := r.keys.Load().byPurpose[p]
	now := r.clock()

	var oldest *key
	for _, k := range slices.Backward(keys) {
		if k.revoked {
			continue
		}
		if !k.activeAt.After(now) {
			return k
		}
		oldest = k
	}
	if oldest == nil {
		panic(fmt.Sprintf("keyring: this process holds no key for %q", p)) // file.set refuses a file that lacks a required key
	}
	return oldest
}

// Signer is the active signing key of a purpose, held fixed so that its id can be part of what it
// signs. It is a crypto.Signer. Do not keep it: a rotation would not reach it.
type Signer struct{ key *key }

var _ crypto.Signer = Signer{}

// Signer returns the active signing key. It panics if the purpose does not sign, or if this process
// holds only public keys of it.
func (r *Ring) Signer(p Purpose) Signer {
	if p.kind() != kindSign {
		panic(fmt.Sprintf("keyring: %q does not sign", p))
	}

	k := r.active(p)
	if k.private == nil {
		panic(fmt.Sprintf("keyring: this process holds only the public keys of %q", p))
	}
	return Signer{k}
}

// KeyID returns the id of the key.
func (s Signer) KeyID() uint32 { return s.key.id }

// SignMessage returns the signature of msg (RFC 8032 Ed25519).
func (s Signer) SignMessage(msg []byte) []byte { return ed25519.Sign(s.key.private, msg) }

// Public returns the public key.
func (s Signer) Public() crypto.PublicKey { return s.key.public }

// Sign implements crypto.Signer: msg is the message itself, not a digest.
func (s Signer) Sign(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts != nil && opts.HashFunc() != 0 {
		return nil, errors.New("keyring: Ed25519 signs messages, not digests")
	}
	return s.SignMessage(msg), nil
}

// String returns a text without the key.
func (Signer) String() string { return "[signer]" }

// GoString returns a text without the key.
func (Signer) GoString() string { return "[signer]" }

// Sign signs msg with the active key, and returns the key's id with the signature.
func (r *Ring) Sign(p Purpose, msg []byte) (kid uint32, sig []byte) {
	s := r.Signer(p)
	return s.KeyID(), s.SignMessage(msg)
}

// Verify reports whether sig is the signature of msg under the unrevoked key kid of the
// purpose. A refusal takes as long as an acceptance, whatever is wrong.
func (r *Ring) Verify(p Purpose, kid uint32, msg, sig []byte) bool {
	public, ok := r.PublicKey(p, kid)
	return verify(public, ok, msg, sig)
}

// PublicKey returns an unrevoked signing key of the purpose, and whether there is one.
func (r *Ring) PublicKey(p Purpose, kid uint32) (ed25519.PublicKey, bool) {
	k, ok := r.keys.Load().byID[kid]
	if !ok || k.purpose != p || k.revoked || k.public == nil {
		return nil, false
	}
	return k.public, true
}

// verify does the whole computation even if the answer is clear before it: against a fixed key
// if there is none, and with a canonical scalar if the given one would end the computation
// early.
func verify(public ed25519.PublicKey, known bool, msg, sig []byte) bool {
	good := known
	if !known {
		public = decoyPublic
	}
	if len(sig) != ed25519.SignatureSize || !canonicalScalar(sig[32:]) {
		sig, good = decoySignature, false
	}
	return ed25519.Verify(public, msg, sig) && good
}

// The key and the signature with which verify computes when there is nothing to check.
var (
	decoyPrivate   = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	decoyPublic    = ed25519.PublicKey(decoyPrivate[32:])
	decoySignature = ed25519.Sign(decoyPrivate, []byte("paylink decoy"))
)

// groupOrder is L of RFC 8032 section 5.1, big endian.
var groupOrder = [32]byte{
	0x10, 15: 0,
	16: 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c, 0xd6,
	24: 0x58, 0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
}

// canonicalScalar reports whether the little-endian scalar is below the order.
func canonicalScalar(s []byte) bool {
	for i := range 32 {
		if c, l := s[31-i], groupOrder[i]; c != l {
			return c < l
		}
	}
	return false
}

// Seal encrypts and authenticates plaintext, and authenticates additional with it. The result
// is key id, nonce, ciphertext. The nonce has 24 random bytes, so the number of messages per
// key needs no limit.
func (r *Ring) Seal(p Purpose, plaintext, additional []byte) []byte {
	if p.kind() != kindSeal {
		panic(fmt.Sprintf("keyring: %q does not seal", p))
	}

	k := r.active(p)
	out := make([]byte, 4+chacha20poly1305.NonceSizeX, SealOverheadBytes+len(plaintext))
	binary.BigEndian.PutUint32(out, k.id)
	_, _ = rand.Read(out[4:]) // never fails; the runtime ends the process instead
	return k.aead.Seal(out, out[4:], plaintext, additional)
}

// Unseal is the reverse of Seal. The error is ErrUnseal.
func (r *Ring) Unseal(p Purpose, sealed, additional []byte) ([]byte, error) {
	if len(sealed) < SealOverheadBytes {
		return nil, ErrUnseal
	}
	k, ok := r.keys.Load().byID[binary.BigEndian.Uint32(sealed)]
	if !ok || k.purpose != p || k.revoked || k.aead == nil {
		return nil, ErrUnseal
	}

	const head = 4 + chacha20poly1305.NonceSizeX
	plain, err := k.aead.Open(nil, sealed[4:head], sealed[head:], additional)
	if err != nil {
		return nil, ErrUnseal
	}
	return plain, nil
}

// SealedFor reports whether a value is sealed under a key of the purpose that this process holds.
func (r *Ring) SealedFor(p Purpose, sealed []byte) bool {
	if len(sealed) < SealOverheadBytes {
		return false
	}
	k, ok := r.keys.Load().byID[binary.BigEndian.Uint32(sealed)]
	return ok && k.purpose == p
}

// Authenticator makes and checks tags under the MAC keys of one purpose.
type Authenticator struct {
	ring    *Ring
	purpose Purpose
}

// MinTagBytes is the length below which Check refuses a tag that was cut short.
const MinTagBytes = 16

// Authenticator returns the authenticator of a purpose. It panics if the purpose does not
// authenticate.
func (r *Ring) Authenticator(p Purpose) Authenticator {
	if p.kind() != kindMAC {
		panic(fmt.Sprintf("keyring: %q does not authenticate", p))
	}
	return Authenticator{r, p}
}

// Tag returns the HMAC-SHA256 of msg under the active key.
func (a Authenticator) Tag(msg []byte) []byte { return a.ring.active(a.purpose).tag(msg) }

// Check reports whether tag is the HMAC of msg, or its first MinTagBytes or more, under any
// unrevoked key of the purpose: what was made before a rotation is still recognized.
func (a Authenticator) Check(msg, tag []byte) bool {
	good := false
	for _, k := range a.ring.keys.Load().byPurpose[a.purpose] {
		if want := k.tag(msg); !k.revoked && len(tag) >= MinTagBytes && len(tag) <= len(want) && hmac.Equal(tag, want[:len(tag)]) {
			good = true
		}
	}
	return good
}

// tag returns the HMAC-SHA256 of msg under a MAC key.
func (k *key) tag(msg []byte) []byte {
	m := hmac.New(sha256.New, k.mac)
	m.Write(msg)
	return m.Sum(nil)
}

// Name names a key, without its secret.
type Name struct {
	ID      string
	Purpose Purpose
}

// AtRest returns the keys of this process under which data at rest may be sealed: without one of
// them, some of it could never be read again.
func (r *Ring) AtRest() []Name {
	var all []Name
	s := r.keys.Load()
	for _, p := range Purposes {
		if p.kind() != kindSeal || p.life() != 0 {
			continue
		}
		for _, k := range s.byPurpose[p] {
			all = append(all, Name{FormatKeyID(k.id), p})
		}
	}
	return all
}

// Unknown lists the keys whose purposes this version does not know, as "id (purpose)". They stay in
// the file, and nothing uses them.
func (r *Ring) Unknown() []string { return r.keys.Load().unknown }
