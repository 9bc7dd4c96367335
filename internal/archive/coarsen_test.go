package archive_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/archive"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/storetest"
)

// TestImportOfTheVersionBefore checks that an archive of the version before brings no fingerprint of
// it, and that a list entry for a card follows the payments of its account. One that no payment
// shows stays as it is.
func TestImportOfTheVersionBefore(t *testing.T) {
	from, to := open(t, "SQLite"), open(t, "SQLite")
	ctx := t.Context()
	account := id.New(id.Account)
	l := storetest.NewLink(account, 0)
	if err := from.CreateLink(ctx, l, nil, nil); err != nil {
		t.Fatal(err)
	}
	begin := storetest.BeginBefore(t, l, "attempt-000000000001")
	if err := from.CommitPayment(ctx, begin); err != nil {
		t.Fatal(err)
	}
	entry := rulebook.Entry{ID: id.New(id.FraudEntry), Account: account, Mode: link.Test, Kind: rulebook.KindCard,
		Value: storetest.CoarseFingerprint, Action: payment.Block, CreatedAt: storetest.Epoch}
	unknown := entry
	unknown.ID, unknown.Value = id.New(id.FraudEntry), strings.Repeat("0", 32)
	for _, e := range []rulebook.Entry{entry, unknown} {
		if err := from.PutFraudListEntry(ctx, e, nil); err != nil {
			t.Fatal(err)
		}
	}
	// An archive of this version has coarse fingerprints only: bring the old ones back.
	whole := bytes.ReplaceAll(export(t, from), []byte(`"`+storetest.CoarseFingerprint+`"`), []byte(`"`+storetest.OldFingerprint+`"`))
	lines := bytes.SplitAfter(whole, []byte("\n"))
	old := resealed(t, lines[:len(lines)-1], func(map[string]int64) {})
	if bytes.Count(old, []byte(storetest.OldFingerprint)) < 5 {
		t.Fatal("the archive is not of the version before")
	}
	if _, err := archive.Import(ctx, bytes.NewReader(old), to, false); err != nil {
		t.Fatal(err)
	}
	if got := export(t, to); bytes.Contains(got, []byte(storetest.OldFingerprint)) || content(got) != content(export(t, from)) {
		t.Errorf("the new store has\n%s", got)
	}
	entries, err := to.FraudListEntries(ctx, account, link.Test, rulebook.KindCard, "", 10)
	if err != nil || len(entries) != 2 || entries[0].Value != unknown.Value || entries[1].Value != entry.Value {
		t.Errorf("entries %+v, %v", entries, err)
	}
}
