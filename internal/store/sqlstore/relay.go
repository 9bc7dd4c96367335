package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

var _ stream.Feed = (*Store)(nil)

// maxObjectSeq is the highest number of an object's event that a relay carries, because relayed has
// one bit for each. A payment's log has no more entries.
const maxObjectSeq = 64

// Checkpoints implements stream.Feed. It returns by shard how far the source's stream was read.
func (s *Store) Checkpoints(ctx context.Context, source string) (map[string]string, error) {
	rows, err := s.db.Query(ctx, "SELECT shard, checkpoint FROM relay_checkpoints WHERE source = $1", source)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()

	at := map[string]string{}
	for rows.Next() {
		var shard, checkpoint string
		if err := rows.Scan(&shard, &checkpoint); err != nil {
			return nil, err
		}
		at[shard] = checkpoint
	}

	return at, rows.Err()
}

// AppendBatch implements stream.Feed. The events, the marks of those seen, and the checkpoints are
// one commit, so a relay that dies between two batches neither loses nor duplicates any. An event
// whose number does not fit is set aside. Two relays that run for a moment at once append each
// event once, because the marks are written first.
func (s *Store) AppendBatch(ctx context.Context, source string, b stream.Batch) error {
	aside := slices.Clone(b.Aside)
	carried := slices.DeleteFunc(slices.Clone(b.Events), func(e stream.Event) bool {
		fits := e.ObjectSeq >= 1 && e.ObjectSeq <= maxObjectSeq
		if !fits {
			aside = append(aside, stream.Aside{Item: e.ID, Account: e.Account, At: time.Now(),
				Reason: fmt.Sprintf("it has the number %d of its object: a relay carries 1 to %d", e.ObjectSeq, maxObjectSeq)})
		}
		return !fits
	})

	for i := range aside {
		aside[i].Consumer = "relay " + source
		s.Log().ErrorContext(
			ctx,
			"a change cannot be read, and its events are not in the feed",
			"item",
			aside[i].Item,
			"account",
			aside[i].Account,
			"error",
			aside[i].Reason,
		)
	}

	rows, err := feed.Encode(carried)
	if err != nil {
		return err
	}
	accounts := make([]string, len(carried))
	for i, e := range carried {
		accounts[i] = e.Account
	}

	return s.db.Write(ctx, accounts, func(t *sqldb.Tx) error {
		fresh, err := unseen(t, rows)
		if err != nil {
			return err
		}
		if err := s.appendByOwner(t, fresh); err != nil {
			return err
		}
		if err := feed.PutAside(t, aside); err != nil {
			return err
		}
		if err := putActivity(t, b.Activity); err != nil {
			return err
		}
		// A fresh start forgets where the shards of the earlier stream were.
		if b.Fresh {
			if _, err := t.Exec("DELETE FROM relay_checkpoints WHERE source = $1", source); err != nil {
				return err
			}
		}

		for shard, checkpoint := range b.Checkpoints {
			if checkpoint == "" {
				if _, err := t.Exec("DELETE FROM relay_checkpoints WHERE source = $1 AND shard = $2", source, shard); err != nil {
					return err
				}
				continue
			}
			if _, err := t.Exec(`INSERT INTO relay_checkpoints (source, shard, checkpoint) VALUES ($1, $2, $3)
				ON CONFLICT (source, shard) DO UPDATE SET checkpoint = excluded.checkpoint`, source, shard, checkpoint); err != nil {
				return err
			}
		}
		return nil
	})
}

// unseen marks the events as seen and returns those that were not seen before. The mark of an event
// is one bit in its object's row, set only if it is clear.
func unseen(t *sqldb.Tx, rows []feed.Row) ([]feed.Row, error) {
	var fresh []feed.Row
	for _, e := range rows {
		n, err := t.Exec(`INSERT INTO relayed (object, seen) VALUES ($1, $2)
			ON CONFLICT (object) DO UPDATE SET seen = relayed.seen | excluded.seen WHERE relayed.seen & excluded.seen = 0`,
			e.Object, int64(1)<<(e.ObjectSeq-1))
		if err != nil {
			return nil, err
		}
		if n == 1 {
			fresh = append(fresh, e)
		}
	}

	return fresh, nil
}

// appendByOwner appends the events of each account and mode together, in order, so that an
// object's events stay in order too.
func (s *Store) appendByOwner(t *sqldb.Tx, rows []feed.Row) error {
	type owner struct{ account, mode string }
	groups := map[owner][]feed.Row{}
	for _, e := range rows {
		o := owner{e.Account, e.Mode}
		groups[o] = append(groups[o], e)
	}
	order := slices.SortedFunc(maps.Keys(groups), func(a, b owner) int {
		return cmp.Or(strings.Compare(a.account, b.account), strings.Compare(a.mode, b.mode))
	})

	for _, o := range order { // a fixed order, so that two relays never deadlock
		for group := groups[o]; len(group) > 0; {
			n := min(len(group), maxInsert)
			if err := s.Append(t, group[:n]); err != nil {
				return err
			}
			group = group[n:]
		}
	}
	return nil
}

// maxInsert limits the events in one statement, so that few statements of different length stay
// prepared.
const maxInsert = 8
