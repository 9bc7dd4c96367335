package rulebook

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
)

// Book is what is kept for one account and mode: its rules, with the switches that it
// gave to the default set, its lists, its policy (nil: it has said nothing).
type Book struct {
	Rules   []Rule
	Entries []Entry
	Policy  *Policy
}

// Name names a book; Account "" is the installation's.
type Name struct{ Account, Mode string }

// Store keeps books. Every change of a book raises the revision of all of them
// and notes it with the book, in one commit, so that nobody who asks what changed
// after a revision misses a change.
type Store interface {
	// FraudBooks are the books that changed after a revision, and the revision now.
	FraudBooks(ctx context.Context, after int64) ([]Name, int64, error)
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
	FraudListEntries(ctx context.Context, account, mode string, kind Kind, before string, limit int) ([]Entry, error)
	FraudListEntry(ctx context.Context, account, mode, id string) (Entry, error)
	// PutFraudListEntry makes or replaces an entry; ErrEntryExists if another has its
	// value.
	PutFraudListEntry(ctx context.Context, e Entry, record *idempotency.Record) error
	DeleteFraudListEntry(ctx context.Context, account, mode, id string) error
	PutFraudPolicy(ctx context.Context, account, mode string, p Policy) error
	// PruneFraudLists removes entries that ended before, at most limit.
	PruneFraudLists(ctx context.Context, before time.Time, limit int) (int, error)
}
