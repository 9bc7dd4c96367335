package sqlstore

import "sync"

// maxCached bounds a cache; a full one starts anew.
const maxCached = 10_000

// cache keeps rows that every request reads and that seldom change. It is exact
// because one process owns the file: each write forgets its row after the commit
// and before it is answered, so who was told of a change never sees the old row.
// A read that was under way while its row changed is not kept.
type cache[T any] struct {
	mu      sync.Mutex
	rows    map[string]T
	changes uint64 // counts what was forgotten
	off     bool   // other processes change rows too: nothing is kept
}

func (c *cache[T]) get(id string, read func() (T, error)) (T, error) {
	if c.off {
		return read()
	}
	c.mu.Lock()
	row, ok := c.rows[id]
	before := c.changes
	c.mu.Unlock()
	if ok {
		return row, nil
	}
	row, err := read()
	if err != nil {
		return row, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes == before {
		if c.rows == nil || len(c.rows) >= maxCached {
			c.rows = map[string]T{}
		}
		c.rows[id] = row
	}
	return row, nil
}

func (c *cache[T]) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.rows, id)
	c.changes++
}
