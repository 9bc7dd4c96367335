package keyring

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
)

// jwk is a public key according to RFC 8037, with its purpose.
type jwk struct {
	Type      string  `json:"kty"`
	Curve     string  `json:"crv"`
	Algorithm string  `json:"alg"`
	Use       string  `json:"use"`
	ID        string  `json:"kid"`
	X         string  `json:"x"`
	Purpose   Purpose `json:"paylink:purpose"`
}

// jwkSet is a JSON Web Key Set.
type jwkSet struct {
	Keys []jwk `json:"keys"`
}

// maxJWKSBytes bounds what ParseJWKS reads.
const maxJWKSBytes = 1 << 20

// FormatKeyID formats a key id as JWKS, tokens and commands do: 8 hex digits.
func FormatKeyID(kid uint32) string { return fmt.Sprintf("%08x", kid) }

// ParseKeyID is the reverse of FormatKeyID. It accepts only that spelling.
func ParseKeyID(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || FormatKeyID(uint32(n)) != s {
		return 0, false
	}
	return uint32(n), true
}

// JWKS returns the JSON Web Key Set (RFC 7517) of all unrevoked public keys, including retired
// ones that still verify, and those that are not active yet.
func (r *Ring) JWKS() []byte { return r.keys.Load().jwks }

// renderJWKS returns the key set of the public keys, in the order of Purposes.
func renderJWKS(keys map[Purpose][]*key) ([]byte, error) {
	out := jwkSet{Keys: []jwk{}}
	for _, p := range Purposes {
		for _, k := range keys[p] {
			if k.public == nil || k.revoked {
				continue
			}
			out.Keys = append(out.Keys, jwk{
				Type: "OKP", Curve: "Ed25519", Algorithm: "EdDSA", Use: "sig",
				ID: FormatKeyID(k.id), X: base64.RawURLEncoding.EncodeToString(k.public), Purpose: p,
			})
		}
	}

	return json.Marshal(out)
}

// Public is a set of public keys, for checks without the ring. It cannot sign.
type Public struct{ keys map[uint32]jwkKey }

// jwkKey is a public key and what it is for.
type jwkKey struct {
	purpose Purpose
	public  ed25519.PublicKey
}

// ParseJWKS reads a key set that JWKS rendered. It ignores keys that are not Ed25519 signing keys
// with a purpose. A key id that repeats or is malformed is an error, and so is a key of the wrong
// length.
func ParseJWKS(b []byte) (*Public, error) {
	if len(b) > maxJWKSBytes {
		return nil, fmt.Errorf("keyring: a key set must be at most %d bytes", maxJWKSBytes)
	}

	var in jwkSet
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("keyring: not a JSON Web Key Set: %w", err)
	}
	out := &Public{keys: make(map[uint32]jwkKey)}
	for _, k := range in.Keys {
		if k.Type != "OKP" || k.Curve != "Ed25519" || k.Use != "sig" || k.Purpose.kind() != kindSign {
			continue
		}

		kid, ok := ParseKeyID(k.ID)
		if !ok {
			return nil, fmt.Errorf("keyring: key id %q is not 8 hex digits", k.ID)
		}
		x, err := base64.RawURLEncoding.Strict().DecodeString(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("keyring: key %s has no Ed25519 public key of 32 bytes", k.ID)
		}
		if _, twice := out.keys[kid]; twice {
			return nil, fmt.Errorf("keyring: key id %s occurs twice", k.ID)
		}
		out.keys[kid] = jwkKey{k.Purpose, x}
	}

	return out, nil
}

// Verify is Ring.Verify with public keys only.
func (p *Public) Verify(purpose Purpose, kid uint32, msg, sig []byte) bool {
	k, ok := p.keys[kid]
	ok = ok && k.purpose == purpose
	return verify(k.public, ok, msg, sig)
}
