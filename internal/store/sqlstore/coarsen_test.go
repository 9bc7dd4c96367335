package sqlstore_test

import (
	"context"
	_ "embed"
	"regexp"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/progress"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// writeAsBefore makes the events of a store after a position those of the version before.
func writeAsBefore(t *testing.T, s *sqlstore.Store, position int64) {
	t.Helper()
	if err := s.Exec(t.Context(), `UPDATE events SET data = REPLACE(data, '"`+storetest.CoarseFingerprint+`"', '"`+storetest.OldFingerprint+
		`"') WHERE position > $1`, position); err != nil {
		t.Fatal(err)
	}
}

// holding returns how many payments, events and list entries have an earlier fingerprint.
func holding(t *testing.T, s *sqlstore.Store) (n [3]int64) {
	t.Helper()
	for i, where := range []string{"payments WHERE doc", "events WHERE data", "fraud_list_entries WHERE doc || value"} {
		count := "SELECT COUNT(*) FROM " + where + " LIKE '%" + storetest.OldFingerprint + "%'"
		if err := s.Feed.Reader().QueryRow(t.Context(), count).Scan(&n[i]); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// readCoarse checks that payments of an account and its events are read with the coarse fingerprint.
func readCoarse(t *testing.T, s *sqlstore.Store, when string, paid []payment.Payment) {
	t.Helper()
	for _, p := range paid {
		got, err := s.GetPayment(t.Context(), p.Account, p.ID)
		if err != nil || got.Risk.Fingerprint != storetest.CoarseFingerprint || got.Risk.Values[0].Value != storetest.CoarseFingerprint ||
			got.Revision != p.Revision || len(got.Verify()) > 0 {
			t.Errorf("%s: %+v, %v, %v", when, got.Risk, err, got.Verify())
		}
	}
	events, err := s.Events(t.Context(), paid[0].Account, link.Test, 0, 100)
	if err != nil || len(events) < 4 {
		t.Fatal(events, err)
	}
	for _, e := range events {
		if strings.Contains(string(e.Data), storetest.OldFingerprint) || !strings.Contains(string(e.Data), storetest.CoarseFingerprint) {
			t.Errorf("%s: event %s", when, e.Data)
		}
	}
}

// entryOf returns a list entry of an account for a card.
func entryOf(account, fingerprint string) rulebook.Entry {
	return rulebook.Entry{ID: id.New(id.FraudEntry), Account: account, Mode: link.Test, Kind: rulebook.KindCard, Value: fingerprint,
		Action: payment.Block, CreatedAt: storetest.Epoch}
}

// TestCoarsen checks that a store of the version before is read as if its fingerprints were coarse,
// and that Coarsen makes them so: payments with their checksum and chain, events, and the list
// entries that a payment of their account explains.
func TestCoarsen(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		ctx := t.Context()
		other, account := id.New(id.Account), id.New(id.Account)
		l := storetest.NewLink(account, 0)
		if err := s.CreateLink(ctx, l, nil, nil); err != nil {
			t.Fatal(err)
		}
		var paid []payment.Payment
		for _, attempt := range []string{"attempt-000000000001", "attempt-000000000002"} {
			begin := storetest.BeginBefore(t, l, attempt)
			held := storetest.Answered(t, begin.Payment, issuer.Approved)
			for _, c := range []payment.Change{begin, held} {
				if err := s.CommitPayment(ctx, c); err != nil {
					t.Fatal(err)
				}
			}
			paid = append(paid, held.Payment)
		}
		writeAsBefore(t, s, 0)
		mine, foreign := entryOf(account, storetest.OldFingerprint), entryOf(other, storetest.OldFingerprint)
		for _, e := range []rulebook.Entry{foreign, mine} {
			if err := s.PutFraudListEntry(ctx, e, nil); err != nil {
				t.Fatal(err)
			}
		}
		_, revision, err := s.FraudBooks(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n := holding(t, s); n[0] != 2 || n[1] < 4 || n[2] != 2 {
			t.Fatalf("%v payments, events and entries of the version before", n)
		}
		readCoarse(t, s, "before", paid)

		if was, err := s.WasCoarsened(ctx); was || err != nil {
			t.Error("it was coarse already", err)
		}
		done, err := s.Coarsen(ctx, progress.To{})
		if err != nil || done.Payments != 2 || done.Events < 4 || done.Entries != 1 || done.Unknown != 1 {
			t.Fatalf("%+v, %v", done, err)
		}
		if n := holding(t, s); n != [3]int64{0, 0, 1} {
			t.Errorf("%v payments, events and entries are left", n)
		}
		readCoarse(t, s, "after", paid)
		if e, err := s.FraudListEntry(ctx, account, link.Test, mine.ID); err != nil || e.Value != storetest.CoarseFingerprint {
			t.Errorf("%+v, %v", e, err)
		}
		if e, err := s.FraudListEntry(ctx, other, link.Test, foreign.ID); err != nil || e.Value != storetest.OldFingerprint {
			t.Errorf("another account's entry: %+v, %v", e, err)
		}
		if books, now, err := s.FraudBooks(ctx, revision); err != nil || now == revision || len(books) != 1 || books[0].Account != account {
			t.Errorf("the changed book: %v, %v", books, err)
		}
		if done, err := s.Coarsen(ctx, progress.To{}); err != nil || done != (sqlstore.Coarse{Unknown: 1}) {
			t.Errorf("again: %+v, %v", done, err)
		}
		if err := s.MarkCoarsened(ctx); err != nil {
			t.Fatal(err)
		}
		if was, err := s.WasCoarsened(ctx); !was || err != nil {
			t.Error("it is not marked", err)
		}
	})
}

// TestCoarsenBesideTheVersionBefore checks that what servers of the version before write after a
// migration is rewritten by the next, and that a payment that changes meanwhile stays whole.
func TestCoarsenBesideTheVersionBefore(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		ctx := t.Context()
		l := storetest.NewLink(id.New(id.Account), 0)
		if err := s.CreateLink(ctx, l, nil, nil); err != nil {
			t.Fatal(err)
		}
		if done, err := s.Coarsen(ctx, progress.To{}); err != nil || done != (sqlstore.Coarse{}) {
			t.Fatal(done, err)
		}
		begin := storetest.BeginBefore(t, l, "attempt-000000000001")
		if err := s.CommitPayment(ctx, begin); err != nil {
			t.Fatal(err)
		}
		writeAsBefore(t, s, 0)
		if done, err := s.Coarsen(ctx, progress.To{}); err != nil || done.Payments != 1 || done.Events == 0 {
			t.Fatalf("%+v, %v", done, err)
		}
		end, err := s.End(ctx)
		if err != nil {
			t.Fatal(err)
		}
		// A change that was made from the payment as it was before the migration.
		held := storetest.Answered(t, begin.Payment, issuer.Approved)
		if err := s.CommitPayment(ctx, held); err != nil {
			t.Fatal(err)
		}
		writeAsBefore(t, s, end)
		if done, err := s.Coarsen(ctx, progress.To{}); err != nil || done.Payments != 1 {
			t.Fatalf("%+v, %v", done, err)
		}
		if n := holding(t, s); n != [3]int64{} {
			t.Errorf("%v payments, events and entries are left", n)
		}
		got, err := s.GetPayment(ctx, l.Account, begin.Payment.ID)
		if err != nil || got.Status != payment.Authorized && got.Status != payment.Succeeded || len(got.Verify()) > 0 {
			t.Errorf("%s %v %v", got.Status, got.Verify(), err)
		}
	})
}

// TestLoadedEventsAreCoarse checks that events of the version before lose its fingerprints on their
// way into a feed, by an import and by a relay.
func TestLoadedEventsAreCoarse(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		l := storetest.NewLink(id.New(id.Account), 0)
		events := storetest.BeginBefore(t, l, "attempt-000000000001").Events
		for i := range events {
			events[i].Seq = int64(i + 1)
		}
		for name, write := range map[string]func(context.Context, []stream.Event) error{
			"import": func(ctx context.Context, list []stream.Event) error { return s.LoadEvents(ctx, list, 0) },
			"relay": func(ctx context.Context, list []stream.Event) error {
				return s.AppendBatch(ctx, "table", stream.Batch{Events: list})
			},
		} {
			if err := write(t.Context(), events); err != nil {
				t.Fatal(name, err)
			}
			if n := holding(t, s); n[1] != 0 {
				t.Errorf("%s: %d events of the version before", name, n[1])
			}
		}
	})
}

// storedBefore are rows as the last version with keyed fingerprints wrote them: a card that was paid
// with, listed and held, another card, and a list entry for a card that nobody paid with.
//
//go:embed testdata/before_coarse.sql
var storedBefore string

// TestCoarsenWhatWasStored checks rows of the version before as it wrote them, not as the test
// imitates it.
func TestCoarsenWhatWasStored(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		ctx := t.Context()
		for statement := range strings.SplitSeq(storedBefore, ";\n") {
			if err := s.Exec(ctx, statement); err != nil {
				t.Fatal(err)
			}
		}
		done, err := s.Coarsen(ctx, progress.To{})
		if err != nil || done != (sqlstore.Coarse{Events: 10, Payments: 3, Entries: 1, Unknown: 1}) {
			t.Fatalf("%+v, %v", done, err)
		}
		seen := map[string]int{}
		err = s.EachPayment(ctx, func(p payment.Payment, err error) error {
			if err != nil || len(p.Verify()) > 0 {
				t.Error(err, p.Verify())
			}
			seen[p.Risk.Fingerprint]++
			if p.Status == payment.Authorized && (len(p.Risk.Values) != 1 || p.Risk.Values[0].Value != p.Risk.Fingerprint) {
				t.Errorf("the rule saw %+v", p.Risk.Values)
			}
			return nil
		})
		if err != nil || seen["card_424242_4242"] != 2 || seen["card_413416_8406"] != 1 {
			t.Errorf("%v, %v", seen, err)
		}
		rows, err := s.Stored(ctx, 0, 100)
		if err != nil || len(rows) != 10 {
			t.Fatal(len(rows), err)
		}
		hash := regexp.MustCompile(`"[0-9a-f]{32}"`)
		for _, e := range rows {
			if hash.Match(e.Data) || !strings.Contains(string(e.Data), `"fingerprint":"card_4`) {
				t.Errorf("event %s: %s", e.ID, e.Data)
			}
		}
		books, _, err := s.FraudBooks(ctx, 0)
		if err != nil || len(books) != 1 {
			t.Fatal(books, err)
		}
		entries, err := s.FraudListEntries(ctx, books[0].Account, link.Test, rulebook.KindCard, "", 10)
		if err != nil || len(entries) != 2 || entries[1].Value != "card_424242_4242" || entries[0].Value != "0000000000000000000000000000000f" {
			t.Errorf("%+v, %v", entries, err)
		}
	})
}
