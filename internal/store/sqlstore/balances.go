package sqlstore

import (
	"context"

	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// balanceConsumer is the consumer of the feed that adds up transfers.
const balanceConsumer = "balances"

type funds struct{ account, mode, currency string }

// RunBalances applies the feed to the balances table until ctx ends. The sums and the checkpoint
// move in one commit, so every transfer counts exactly once, also after a crash.
func (s *Store) RunBalances(ctx context.Context) error {
	sums := map[funds]ledger.Balance{}
	return s.Follow(ctx, feed.Follower{
		Consumer: balanceConsumer,
		Part:     feed.Transfers,
		Handle: func(_ context.Context, events []stream.Event) error {
			for _, e := range events {
				for _, tr := range e.Transfers {
					addEffect(sums, funds{e.Account, e.Mode, string(tr.Currency)}, tr)
				}
			}
			return nil
		},
		Save: func(ctx context.Context, _ sqldb.Reader, from, to feed.Place) error {
			done := sums
			sums = map[funds]ledger.Balance{}
			return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
				for f, b := range done {
					if _, err := t.Exec(`INSERT INTO balances (account, mode, currency, available, pending) VALUES ($1, $2, $3, $4, $5)
						ON CONFLICT (account, mode, currency) DO UPDATE SET available = balances.available + excluded.available,
						pending = balances.pending + excluded.pending`, f.account, f.mode, f.currency, b.Available.Minor, b.Pending.Minor); err != nil {
						return err
					}
				}
				return feed.SaveCheckpoint(t, balanceConsumer, from.Position, to.Position)
			})
		},
	})
}

func addEffect(sums map[funds]ledger.Balance, f funds, tr ledger.Transfer) {
	available, pending := tr.Effect(f.account)
	b := sums[f]
	b.Available = money.Of(b.Available.Minor+available, tr.Currency)
	b.Pending = money.Of(b.Pending.Minor+pending, tr.Currency)
	sums[f] = b
}

// Balances implements payment.Store. It adds the events that the projection has not reached, in
// the same snapshot, so an answer is never behind a commit.
func (s *Store) Balances(ctx context.Context, account, mode string) (map[money.Currency]ledger.Balance, error) {
	snapshot, end, err := s.db.Moment(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	sums := map[funds]ledger.Balance{}
	err = snapshot.Each(ctx, func(row sqldb.Scanner) error {
		var c money.Currency
		var available, pending int64
		err := row.Scan(&c, &available, &pending)
		sums[funds{account, mode, string(c)}] = ledger.Balance{Available: money.Of(available, c), Pending: money.Of(pending, c)}
		return err
	}, "SELECT currency, available, pending FROM balances WHERE account = $1 AND mode = $2", account, mode)
	if err != nil {
		return nil, err
	}

	// A read of its own, not a join: the planner must know how short the tail is.
	position, err := feed.ReadCheckpoint(ctx, snapshot, balanceConsumer)
	if err != nil {
		return nil, err
	}
	events, err := s.MovesAfter(ctx, snapshot, account, mode, position)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		for _, tr := range e.Transfers {
			addEffect(sums, funds{account, mode, string(tr.Currency)}, tr)
		}
	}

	out := map[money.Currency]ledger.Balance{}
	for f, b := range sums {
		out[money.Currency(f.currency)] = b
	}
	return out, nil
}
