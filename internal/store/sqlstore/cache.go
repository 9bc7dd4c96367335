package sqlstore

import (
	"sync"

	"github.com/paylink/paylink/internal/store/sqldb"
)

// maxCached limits a cache; a full one is emptied.
const maxCached = 10_000

// cache keeps rows that every request reads and that seldom change. It is exact because one process
// owns the file: each write removes its row after the commit and before it is answered, even if its
// caller has given up waiting, so nobody reads the old row once the change is stored. A read during which any row changed is not
// cached. The zero value is ready, and safe for concurrent use.
type cache[T any] struct {
	mu      sync.Mutex
	rows    map[string]T
	changes uint64 // counts removals
	off     bool   // other processes change rows too: nothing is cached
}

// get returns the cached row, or the result of read, which it caches. Errors are not cached. read
// runs without the lock, so slow reads do not block each other; it may run twice at once for one
// id.
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
		c.keep(id, row)
	}
	return row, nil
}

// put caches a row that was written for the first time. Call it by Tx.OnCommit, so that no later
// commit's forget can come before it.
func (c *cache[T]) put(id string, row T) {
	if c.off {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(id, row)
}

// keep stores the row. It empties a full cache first, which is simpler than evicting single rows
// and rare enough. The caller holds mu.
func (c *cache[T]) keep(id string, row T) {
	if c.rows == nil || len(c.rows) >= maxCached {
		c.rows = map[string]T{}
	}
	c.rows[id] = row
}

// forgetAfter removes the row once the transaction has ended, whatever its outcome, and even if the
// caller of the commit has given up waiting by then.
func (c *cache[T]) forgetAfter(t *sqldb.Tx, id string) { t.OnEnd(func() { c.forget(id) }) }

// forget removes the row and makes reads that are under way keep their result to themselves.
func (c *cache[T]) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.rows, id)
	c.changes++
}
