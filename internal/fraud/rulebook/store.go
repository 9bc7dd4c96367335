package rulebook

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
)

// Book is what is stored for one account and mode: its rules, with its states for the default
// set, its lists, and its policy (nil if it has none).
type Book struct {
	Rules   []Rule
	Entries []Entry
	Policy  *Policy
}

// Name identifies a book; an empty Account means the installation.
type Name struct{ Account, Mode string }

// Store stores books. Every change of a book raises the revision of all and records it with the
// book, in one commit, so that a reader of changes after a revision misses none.
type Store interface {
	// FraudBooks returns the books that changed after a revision, and the present revision.
	FraudBooks(ctx context.Context, after int64) ([]Name, int64, error)
	FraudBook(ctx context.Context, account, mode string) (Book, error)
	// FraudRules returns a book's rules, oldest first, without its lists.
	FraudRules(ctx context.Context, account, mode string) ([]Rule, error)
	FraudPolicy(ctx context.Context, account, mode string) (*Policy, error)
	// PutFraudRule creates a rule (expected 0) or replaces the expected version, and stores the
	// version beside the earlier ones. It returns ErrRuleChanged if there is another version, and
	// fault.NotFound if there is none. Repeating the same version is not an error.
	PutFraudRule(ctx context.Context, r Rule, expected int, record *idempotency.Record) error
	// DeleteFraudRule removes a rule. gone becomes the last of its versions.
	DeleteFraudRule(ctx context.Context, gone Rule) error
	// FraudRuleVersions returns versions newest first, also those of a deleted rule.
	FraudRuleVersions(ctx context.Context, account, mode, id string, limit int) ([]Rule, error)
	FraudListEntries(ctx context.Context, account, mode string, kind Kind, before string, limit int) ([]Entry, error)
	FraudListEntry(ctx context.Context, account, mode, id string) (Entry, error)
	// PutFraudListEntry creates or replaces an entry. It returns ErrEntryExists if another has
	// its value.
	PutFraudListEntry(ctx context.Context, e Entry, record *idempotency.Record) error
	DeleteFraudListEntry(ctx context.Context, account, mode, id string) error
	PutFraudPolicy(ctx context.Context, account, mode string, p Policy) error
	// PruneFraudLists removes at most limit entries that expired before the given time.
	PruneFraudLists(ctx context.Context, before time.Time, limit int) (int, error)
}
