package answer

import (
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

// streamsRetry is after how long a refused stream may be requested again.
const streamsRetry = 10 * time.Second

// Share is what live streams with the same key may have of all places.
type Share struct {
	Key  string // such as an account, a link or a network; "": no share
	Most int
}

// Streams bounds the live streams of this process: all of them together, and those that have a
// share in common, so that one reader cannot take every place. It is safe for concurrent use.
type Streams struct {
	most int
	mu   sync.Mutex
	all  int
	by   map[string]int
}

// NewStreams returns most places.
func NewStreams(most int) *Streams { return &Streams{most: most, by: map[string]int{}} }

// Enter takes a place, and returns the function that releases it, which must be called once. If
// there is no place left, or one of the shares is used up, it returns too_many_streams; instead
// ends the sentence with what to do.
func (s *Streams) Enter(instead string, shares ...Share) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := s.all >= s.most
	for _, share := range shares {
		full = full || share.Key != "" && s.by[share.Key] >= share.Most
	}
	if full {
		return nil, &fault.Error{Kind: fault.KindRateLimited, Code: "too_many_streams", RetryAfter: streamsRetry,
			Detail: "Too many live streams are open. " + instead}
	}

	s.add(shares, 1)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.add(shares, -1)
	}, nil
}

// add changes the counts by n. A count of zero takes no memory.
func (s *Streams) add(shares []Share, n int) {
	s.all += n
	for _, share := range shares {
		if share.Key == "" {
			continue
		}
		if s.by[share.Key] += n; s.by[share.Key] == 0 {
			delete(s.by, share.Key)
		}
	}
}
