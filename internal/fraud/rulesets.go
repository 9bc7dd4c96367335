package fraud

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/link"
)

// The intervals of the rulesets.
const (
	rulesReload = time.Second // a change is active in every process within two of these
	rulesRead   = 10 * time.Second
	listsPrune  = time.Hour
	listsKept   = 30 * 24 * time.Hour // after their end
	pruneLimit  = 500
)

// Rulesets holds the active rulesets in memory and follows the store. Call Load before they are
// used, then Run.
type Rulesets struct {
	store rulebook.Store
	log   *slog.Logger
	now   func() time.Time

	programs programs
	loading  sync.Mutex // one reload at a time

	mu       sync.RWMutex
	revision int64
	books    map[rulebook.Name]rulebook.Book // that are not empty
	sets     map[rulebook.Name]*Ruleset
	plain    map[string]*Ruleset // by mode: of accounts without a book
}

// NewRulesets returns rulesets with only the default set. A default rule that does not compile is
// listed by its ruleset.
func NewRulesets(store rulebook.Store, now func() time.Time, log *slog.Logger) *Rulesets {
	r := &Rulesets{
		store: store,
		now:   now,
		log:   log,
		books: map[rulebook.Name]rulebook.Book{},
		sets:  map[rulebook.Name]*Ruleset{},
		plain: map[string]*Ruleset{},
	}
	for _, mode := range []string{link.Live, link.Test} {
		r.plain[mode] = newRuleset(mode, rulebook.Book{}, rulebook.Book{}, &r.programs)
	}
	return r
}

// Ruleset returns an account's ruleset, from memory. An account without a book has the
// installation's rules and the default set; an unknown mode is treated as test.
func (r *Rulesets) Ruleset(account, mode string) *Ruleset {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if s := r.sets[rulebook.Name{Account: account, Mode: mode}]; s != nil {
		return s
	}
	if s := r.plain[mode]; s != nil {
		return s
	}
	return r.plain[link.Test]
}

// Load reads what changed since the last call, compiles it, and replaces the rulesets at once. If
// anything cannot be read, all stay as they are. A change of the installation's book makes the
// rulesets of all accounts of its mode again.
func (r *Rulesets) Load(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	ctx, cancel := context.WithTimeout(ctx, rulesRead)
	defer cancel()

	changed, revision, err := r.store.FraudBooks(ctx, r.revision)
	if err != nil || len(changed) == 0 {
		return err
	}

	fresh := make(map[rulebook.Name]rulebook.Book, len(changed))
	for _, name := range changed {
		if fresh[name], err = r.store.FraudBook(ctx, name.Account, name.Mode); err != nil {
			return err
		}
	}

	r.mu.RLock()
	books := make(map[rulebook.Name]rulebook.Book, len(r.books)+len(fresh))
	for name, b := range r.books {
		books[name] = b
	}
	r.mu.RUnlock()

	again := map[rulebook.Name]bool{}
	for name, b := range fresh {
		books[name] = b
		again[name] = true
		if name.Account == "" { // it applies to all accounts of this mode
			for other := range books {
				again[other] = again[other] || other.Mode == name.Mode
			}
		}
	}

	made := map[rulebook.Name]*Ruleset{}
	for name := range again {
		own := books[name]
		if name.Account == "" {
			own = rulebook.Book{}
		}
		made[name] = newRuleset(name.Mode, own, books[rulebook.Name{Mode: name.Mode}], &r.programs)
		if broken := made[name].Broken(); len(broken) > 0 {
			r.log.Error("rules do not compile and are ignored", "account", name.Account, "mode", name.Mode, "rules", broken)
		}
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.books, r.revision = books, revision
	for name, s := range made {
		if name.Account == "" {
			r.plain[name.Mode] = s
		} else {
			r.sets[name] = s
		}
	}

	return nil
}

// Run reloads periodically until ctx ends (nil). While the store cannot be read, what is in memory
// stays active. Once an hour it removes list entries that ended long ago.
func (r *Rulesets) Run(ctx context.Context) error {
	tick := time.NewTicker(rulesReload)
	defer tick.Stop()
	pruned, failing := r.now(), false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}

		err := r.Load(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			r.log.Warn("rules could not be reloaded; those in memory stay in force", "error", err)
		}
		failing = err != nil

		if now := r.now(); now.Sub(pruned) > listsPrune {
			pruned = now
			if _, err := r.store.PruneFraudLists(ctx, now.Add(-listsKept), pruneLimit); err != nil && ctx.Err() == nil {
				r.log.Warn("old list entries could not be removed", "error", err)
			}
		}
	}
}
