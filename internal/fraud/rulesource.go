package fraud

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
)

// Book is what is kept for one account and mode: its rules, with the switches that it
// gave to the default set, its lists, its policy (nil: it has said nothing).
type Book struct {
	Rules   []Rule
	Entries []ListEntry
	Policy  *Policy
}

// BookName names a book; Account "" is the installation's.
type BookName struct{ Account, Mode string }

// RuleStore keeps books. Every change of a book raises the revision of all of them
// and notes it with the book, in one commit, so that nobody who asks what changed
// after a revision misses a change.
type RuleStore interface {
	// FraudBooks are the books that changed after a revision, and the revision now.
	FraudBooks(ctx context.Context, after int64) ([]BookName, int64, error)
	FraudBook(ctx context.Context, account, mode string) (Book, error)
	// FraudRules are a book's rules, oldest first, without its lists.
	FraudRules(ctx context.Context, account, mode string) ([]Rule, error)
	FraudPolicy(ctx context.Context, account, mode string) (*Policy, error)
	// PutFraudRule makes a rule (expected 0) or replaces the version that was expected
	// (ErrRuleChanged if there is another, fault.NotFound if there is none), and keeps
	// the version beside those before it. The same version of the same rule again is no
	// error.
	PutFraudRule(ctx context.Context, r Rule, expected int, record *idempotency.Record) error
	// DeleteFraudRule removes a rule; gone becomes the last of its versions.
	DeleteFraudRule(ctx context.Context, gone Rule) error
	// FraudRuleVersions newest first; those of a deleted rule too.
	FraudRuleVersions(ctx context.Context, account, mode, id string, limit int) ([]Rule, error)
	FraudListEntries(ctx context.Context, account, mode string, kind ListKind, before string, limit int) ([]ListEntry, error)
	FraudListEntry(ctx context.Context, account, mode, id string) (ListEntry, error)
	// PutFraudListEntry makes or replaces an entry; ErrEntryExists if another has its
	// value.
	PutFraudListEntry(ctx context.Context, e ListEntry, record *idempotency.Record) error
	DeleteFraudListEntry(ctx context.Context, account, mode, id string) error
	PutFraudPolicy(ctx context.Context, account, mode string, p Policy) error
	// PruneFraudLists removes entries that ended before, at most limit.
	PruneFraudLists(ctx context.Context, before time.Time, limit int) (int, error)
}

// RuleSource gives what an account is judged by, from memory.
type RuleSource interface {
	Ruleset(account, mode string) *Ruleset
}

// The rhythm of a source.
const (
	rulesReload = time.Second // a change is in force in every process within two of these
	rulesRead   = 10 * time.Second
	listsPrune  = time.Hour
	listsKept   = 30 * 24 * time.Hour // after their end
	pruneLimit  = 500
)

// Rules is the source that follows the store. Load it before it is asked, then Run it.
type Rules struct {
	store RuleStore
	log   *slog.Logger
	now   func() time.Time

	programs programs
	loading  sync.Mutex // one reload at a time

	mu       sync.RWMutex
	revision int64
	books    map[BookName]Book // that are not empty
	sets     map[BookName]*Ruleset
	plain    map[string]*Ruleset // by mode: of accounts without a book
}

var _ RuleSource = (*Rules)(nil)

// NewRules makes a source that knows the default set alone.
func NewRules(store RuleStore, now func() time.Time, log *slog.Logger) *Rules {
	r := &Rules{store: store, now: now, log: log, books: map[BookName]Book{}, sets: map[BookName]*Ruleset{}, plain: map[string]*Ruleset{}}
	for _, mode := range []string{modeLive, modeTest} {
		r.plain[mode] = newRuleset(mode, Book{}, Book{}, &r.programs)
	}
	return r
}

// Ruleset implements RuleSource.
func (r *Rules) Ruleset(account, mode string) *Ruleset {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if s := r.sets[BookName{account, mode}]; s != nil {
		return s
	}
	if s := r.plain[mode]; s != nil {
		return s
	}
	return r.plain[modeTest]
}

// Load reads what changed since the last time.
func (r *Rules) Load(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	ctx, cancel := context.WithTimeout(ctx, rulesRead)
	defer cancel()
	changed, revision, err := r.store.FraudBooks(ctx, r.revision)
	if err != nil || len(changed) == 0 {
		return err
	}
	fresh := make(map[BookName]Book, len(changed))
	for _, name := range changed {
		if fresh[name], err = r.store.FraudBook(ctx, name.Account, name.Mode); err != nil {
			return err
		}
	}
	r.mu.RLock()
	books := make(map[BookName]Book, len(r.books)+len(fresh))
	for name, b := range r.books {
		books[name] = b
	}
	r.mu.RUnlock()
	again := map[BookName]bool{}
	for name, b := range fresh {
		books[name] = b
		again[name] = true
		if name.Account == "" { // everybody of this mode is judged by it
			for other := range books {
				again[other] = again[other] || other.Mode == name.Mode
			}
		}
	}
	made := map[BookName]*Ruleset{}
	for name := range again {
		own := books[name]
		if name.Account == "" {
			own = Book{}
		}
		made[name] = newRuleset(name.Mode, own, books[BookName{"", name.Mode}], &r.programs)
		if broken := made[name].Broken(); len(broken) > 0 {
			r.log.Error("rules do not compile and are not asked", "account", name.Account, "mode", name.Mode, "rules", broken)
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

// Run reads again and again until ctx ends (nil). While the store cannot be read, what
// is in memory stays in force.
func (r *Rules) Run(ctx context.Context) error {
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
			r.log.Warn("rules could not be read again; those in memory stay in force", "error", err)
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
