package rulebook

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// Kinds lists all kinds.
var Kinds = []Kind{KindCard, KindBIN, KindEmail, KindAddress, KindCountry}

// Lists implements Service. It returns the account's own entries, newest first: 25 if limit is 0.
// An unknown kind is list_kind_invalid.
func (l *Local) Lists(ctx context.Context, account, mode string, kind Kind, before string, limit int) ([]Entry, error) {
	if kind != "" && !slices.Contains(Kinds, kind) {
		return nil, badKind()
	}
	if limit <= 0 {
		limit = 25
	}
	return l.Store.FraudListEntries(ctx, account, mode, kind, before, min(limit, maxEntriesPage))
}

// badKind returns the fault of an unknown kind.
func badKind() error {
	return fault.Invalid("kind", "list_kind_invalid", "kind must be card, bin, email, address or country.")
}

// PutListEntry implements Service. Kind and value of an existing entry stay unchanged. The value is
// stored in its canonical spelling. An entry of another account is fault.NotFound, and a value that
// another entry has list_entry_exists.
func (l *Local) PutListEntry(ctx context.Context, e Entry, by string, t *idempotency.Ticket) (Entry, error) {
	now := l.Now().UTC().Truncate(time.Microsecond)
	if err := CheckMode(e.Mode); err != nil {
		return Entry{}, err
	}

	if e.ID != "" {
		was, err := l.Store.FraudListEntry(ctx, e.Account, e.Mode, e.ID)
		if err != nil {
			return Entry{}, err
		}
		e.Kind, e.Value, e.CreatedAt, e.CreatedBy = was.Kind, was.Value, was.CreatedAt, was.CreatedBy
	}

	if err := checkEntry(&e, now); err != nil {
		return Entry{}, err
	}
	if e.ID == "" {
		e.ID, e.CreatedAt, e.CreatedBy = id.New(id.FraudEntry), now, by
	}

	record, err := t.Fill(e, now)
	if err != nil {
		return Entry{}, err
	}
	ctx = l.did(ctx, e.Account, activity.ListEntrySaved, e.ID, map[string]string{"mode": e.Mode, "list": string(e.Kind),
		"action": string(e.Action)})
	if err := l.Store.PutFraudListEntry(ctx, e, record); err != nil {
		return Entry{}, err
	}
	l.changed(ctx)
	return e, nil
}

// checkEntry validates an entry, and brings its value and note into their stored form.
func checkEntry(e *Entry, now time.Time) error {
	if !slices.Contains(Kinds, e.Kind) {
		return badKind()
	}
	if e.Account == "" && e.Kind == KindCard {
		return fault.Invalid(
			"kind",
			"list_kind_invalid",
			"kind must not be card: other cards share a fingerprint, so an installation-wide list cannot contain cards.",
		)
	}
	if e.Action != payment.Allow && e.Action != payment.Block && e.Action != payment.Hold {
		return fault.Invalid("action", "list_action_invalid", "action must be allow, block or review.")
	}
	if utf8.RuneCountInString(e.Note) > maxNoteChars || !utf8.ValidString(e.Note) {
		return fault.Invalid("note", "note_too_long", "note must be at most %d characters.", maxNoteChars)
	}
	if e.Note = spelling.Name(e.Note); spelling.Deceives(e.Note, "\t\r\n") {
		return fault.Invalid(
			"note",
			"invalid_characters",
			"note must not contain control characters or characters that change the reading direction.",
		)
	}
	if err := issuer.NoNumber("note", e.Note); err != nil {
		return err
	}
	if err := issuer.NoNumber("value", e.Value); err != nil {
		return err
	}
	if !e.ExpiresAt.IsZero() && !e.ExpiresAt.After(now) {
		return fault.Invalid("expiresAt", "expiry_invalid", "expiresAt must be in the future.")
	}
	value, rule := Canonical(e.Kind, e.Value)
	if value == "" {
		return fault.Invalid("value", "list_value_invalid", "%s", rule)
	}
	e.Value = value
	return nil
}

// Lengths of values.
const (
	binDigits  = 6
	mappedBits = 96 // before an IPv4 address in IPv6 form
)

// Canonical returns a value, however typed or pasted, in the form that attempts have, or "" with
// the rule that it breaks, as a sentence for the caller.
func Canonical(kind Kind, v string) (value, rule string) {
	v = spelling.Pasted(v)
	switch kind {
	case KindCard:
		if v = strings.ToLower(v); !issuer.IsFingerprint(v) {
			return "", "value must be a card fingerprint as shown on a payment, such as card_424242_4242_3. " +
				"Fingerprints of 32 hexadecimal digits are no longer used."
		}
		return v, ""
	case KindBIN:
		v = strings.ReplaceAll(spelling.Typed(v), "-", "")
		if len(v) != binDigits || strings.Trim(v, "0123456789") != "" {
			return "", "value must be the first 6 digits of a card number."
		}
		return v, ""
	case KindEmail:
		v = strings.ReplaceAll(v, "＠", "@")
		if domain, all := strings.CutPrefix(v, "@"); all {
			if host, err := spelling.Host(domain); err == nil {
				return "@" + host, ""
			}
		} else if key := spelling.EmailKey(v); key != "" {
			return key, ""
		}
		return "", "value must be an email address, or @ and a domain for all of its addresses."
	case KindAddress:
		v = strings.Trim(spelling.Typed(v), "[]")
		if p, err := netip.ParsePrefix(v); err == nil {
			if bits := p.Bits() - mappedBits; p.Addr().Is4In6() && bits >= 0 {
				p = netip.PrefixFrom(p.Addr().Unmap(), bits)
			}
			if spelling.Network(p.Addr()) == p.Masked().String() {
				return spelling.Network(p.Addr()), ""
			}
		}
		if addr, err := netip.ParseAddr(v); err == nil {
			return spelling.Network(addr), ""
		}
		return "", "value must be an IP address, or its /24 (IPv4) or /48 (IPv6) network; lists contain only networks of these sizes."
	case KindCountry: // below
	}

	upper := strings.ToUpper(spelling.Typed(v))
	if len(upper) != 2 || upper[0] < 'A' || upper[0] > 'Z' || upper[1] < 'A' || upper[1] > 'Z' {
		return "", "value must be a two-letter country code (ISO 3166), such as DE."
	}
	return upper, ""
}

// DeleteListEntry implements Service. A missing entry is fault.NotFound.
func (l *Local) DeleteListEntry(ctx context.Context, account, mode, id string) error {
	ctx = l.did(ctx, account, activity.ListEntryDeleted, id, map[string]string{"mode": mode})
	if err := l.Store.DeleteFraudListEntry(ctx, account, mode, id); err != nil {
		return err
	}
	l.changed(ctx)
	return nil
}
