package dynamo

import "time"

// ForgetRest lets an account's buckets grow again at once.
func (s *Store) ForgetRest(account string) {
	s.heat.mu.Lock()
	defer s.heat.mu.Unlock()
	s.heat.account(account).grownAt = time.Time{}
}

// Heat counts units of the account's first partition, all in one second.
func (s *Store) Heat(account string, units float64) {
	s.heat.addAt(partition(account, 0), units, time.Unix(1, 0))
}
