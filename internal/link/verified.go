package link

import (
	"encoding/binary"
	"sync"

	"github.com/paylink/paylink/internal/keyring"
)

// maxVerified bounds each of the two generations of verified tokens.
const maxVerified = 8192

// verified remembers tokens whose signature was verified recently, or that were signed here. A
// payer's page and payment carry the same token, and checking the signature is the most
// expensive part of each. Only valid tokens are kept, so a refused one always costs the whole
// check (F27). A key that was revoked since is refused all the same.
type verified struct {
	mu         sync.Mutex
	young, old map[string]struct{}
}

// add remembers a token. When the young generation is full it becomes the old one, so at
// most twice maxVerified tokens are kept, and one in use stays.
func (v *verified) add(token string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.young == nil || len(v.young) >= maxVerified {
		v.young, v.old = make(map[string]struct{}), v.young
	}
	v.young[token] = struct{}{}
}

// has reports whether the token was added recently.
func (v *verified) has(token string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, young := v.young[token]
	_, old := v.old[token]
	return young || old
}

// claims opens a token, and skips the signature check if it was done recently.
func (l *LocalVerifier) claims(token string) (Claims, error) {
	if l.verified.has(token) {
		raw, ok := decodeToken(token)
		if ok {
			if _, known := l.keys.PublicKey(keyring.LinkSign, binary.BigEndian.Uint32(raw[1:headBytes])); known {
				return l.opener.unseal(raw)
			}
		}
	}
	c, err := l.opener.Open(token)
	if err == nil {
		l.verified.add(token)
	}
	return c, err
}
