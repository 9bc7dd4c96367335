package rpc

import (
	"sync"
	"time"
)

// Limits of the memory of accepted requests. A request is fresh for twice maxSkew at most: its
// time may be ahead of ours, and then lie behind it.
const (
	seenFor = 2 * maxSkew
	maxSeen = 1 << 20 // requests within seenFor; 16 bytes each
)

// seenSet remembers the accepted requests for as long as they are fresh, by a part of their MAC,
// which covers a random nonce. The zero value is ready for use, and safe for concurrent use.
type seenSet struct {
	mu            sync.Mutex
	turned        time.Time
	recent, older map[[16]byte]struct{} // older: added before turned
}

// first reports whether a request was not accepted before, and remembers it. If there are more
// fresh requests than it can remember, it returns false.
func (s *seenSet) first(mac []byte, now time.Time) bool {
	var key [16]byte
	copy(key[:], mac)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch age := now.Sub(s.turned); {
	case s.recent == nil || age >= 2*seenFor:
		s.older, s.recent, s.turned = nil, map[[16]byte]struct{}{}, now
	case age >= seenFor:
		s.older, s.recent, s.turned = s.recent, map[[16]byte]struct{}{}, now
	case age < 0: // the clock was set back: keep everything for longer
		s.turned = now
	}
	_, again := s.recent[key]
	if !again {
		_, again = s.older[key]
	}
	if again || len(s.recent) >= maxSeen {
		return false
	}
	s.recent[key] = struct{}{}
	return true
}
