package lake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/parquet-go/parquet-go"

	"github.com/paylink/paylink/internal/fraud/lake"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
)

func onEach(t *testing.T, test func(t *testing.T, s *sqlstore.Store)) {
	t.Helper()
	for name, url := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { t.Helper(); return "sqlite:" + filepath.Join(t.TempDir(), "paylink.db") },
		"PostgreSQL": func(t *testing.T) string { t.Helper(); return pgtest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) { test(t, sqltest.Open(t, url(t))) })
	}
}

// pay makes payments of the account: captured, partly refunded, labeled and disputed, declined,
// and one with an unknown outcome, in turn.
func pay(t *testing.T, s *sqlstore.Store, account string, n int) {
	t.Helper()
	for i := range n {
		l := storetest.NewLink(account, 1)
		if err := s.CreateLink(t.Context(), l, nil, nil); err != nil {
			t.Fatal(err)
		}
		begin := storetest.Begin(t, l, fmt.Sprintf("attempt-%012d", i))
		outcome := []issuer.Outcome{issuer.Approved, issuer.Declined, issuer.Ambiguous}[i%3]
		answer := storetest.Answered(t, begin.Payment, outcome)
		answer.WhenLinkPaid = nil
		if err := errors.Join(s.CommitPayment(t.Context(), begin), s.CommitPayment(t.Context(), answer)); err != nil {
			t.Fatal(err)
		}
		if outcome == issuer.Approved {
			refund(t, s, answer.Payment, 250, issuer.Approved)
			p, err := s.GetPayment(t.Context(), account, answer.Payment.ID)
			if err != nil {
				t.Fatal(err)
			}
			refund(t, s, p, 100, issuer.Declined)
			object(t, s, p.ID, account, i)
		}
	}
}

// object opens disputes of a payment and advances them, each as far as n says, and labels it.
func object(t *testing.T, s *sqlstore.Store, paid, account string, n int) {
	t.Helper()
	p, err := s.GetPayment(t.Context(), account, paid)
	if err != nil {
		t.Fatal(err)
	}
	due := storetest.Epoch.AddDate(0, 0, 20)
	for _, in := range []payment.Input{
		{Kind: payment.Disputed, DisputeID: "dsp_1" + paid, Dispute: payment.DisputeInput{Reference: "1", Reason: "fraudulent",
			Amount: fmt.Sprintf("%d.50", 1+n), EvidenceDueAt: due}},
		{Kind: payment.Disputed, DisputeID: "dsp_1" + paid, Dispute: payment.DisputeInput{Reference: "1", State: payment.DisputeUnderReview}},
		{Kind: payment.Marked, Label: payment.LabelFraud, By: "usr_1"},
		{Kind: payment.Disputed, DisputeID: "dsp_2" + paid, Dispute: payment.DisputeInput{Reference: "2", Reason: "duplicate"}},
		{Kind: payment.Disputed, DisputeID: "dsp_1" + paid, Dispute: payment.DisputeInput{Reference: "1",
			State: []string{payment.DisputeLost, payment.DisputeWon}[n%2]}},
		{Kind: payment.Marked, Label: payment.LabelLegitimate, By: "usr_1"},
	} {
		in.Change, in.At, in.Actor = id.New(id.Change), storetest.Epoch.Add(25*time.Hour), "merchant"
		c, err := payment.Next(p, in)
		if err == nil {
			err = s.CommitPayment(t.Context(), c)
		}
		if err != nil {
			t.Fatal(err)
		}
		p = c.Payment
	}
}

func refund(t *testing.T, s *sqlstore.Store, p payment.Payment, minor int64, o issuer.Outcome) {
	t.Helper()
	name := id.New(id.Refund)
	for _, in := range []payment.Input{{Kind: payment.RefundAsked, Refund: name, Amount: money.Of(minor, p.Amount.Currency)},
		{Kind: payment.RefundAnswer, Refund: name, Answer: issuer.Answer{Outcome: o, Amount: money.Of(minor, p.Amount.Currency)}}} {
		in.Change, in.At = id.New(id.Change), storetest.Epoch.Add(24*time.Hour) // the next day, so that there are two
		c, err := payment.Next(p, in)
		if err == nil {
			err = s.CommitPayment(t.Context(), c)
		}
		if err != nil {
			t.Fatal(err)
		}
		p = c.Payment
	}
}

func files(t *testing.T, address string) lake.Files {
	t.Helper()
	f, err := lake.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func catchUp(t *testing.T, s *sqlstore.Store, f lake.Files) {
	t.Helper()
	if err := lake.New(s, f, 0, slog.New(slog.DiscardHandler)).CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// content returns every file of a lake in a folder.
func content(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[name], err = os.ReadFile(filepath.Join(dir, name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rows reads a table.
func rows[T any](t *testing.T, files map[string][]byte, table string) (all []T) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasPrefix(name, "table="+table+"/") {
			continue
		}
		if path.Ext(name) != ".parquet" {
			t.Errorf("%s lies in the lake", name)
		}
		part, err := parquet.Read[T](bytes.NewReader(files[name]), int64(len(files[name])))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, part...)
	}
	return all
}

// agrees compares the lake's sums and objects with the store's own.
func agrees(t *testing.T, s *sqlstore.Store, files map[string][]byte, account string) {
	t.Helper()
	want, err := s.Balances(t.Context(), account, link.Test)
	if err != nil || want["EUR"].Available.Minor == 0 {
		t.Fatalf("%v, %v", want, err)
	}
	got := map[money.Currency]ledger.Balance{}
	legs, seen := map[string]int64{}, map[string]bool{}
	for _, r := range rows[lake.TransferRow](t, files, "transfers") {
		if key := fmt.Sprint(r.Transfer, r.Leg); seen[key] {
			t.Errorf("leg %d of %s is there twice", r.Leg, r.Transfer)
		} else {
			seen[key] = true
		}
		legs[r.Transfer] += r.Minor
		if r.Account == account {
			c := money.Currency(r.Currency)
			got[c] = ledger.Balance{
				Available: money.Of(got[c].Available.Minor+r.AvailableMinor, c),
				Pending:   money.Of(got[c].Pending.Minor+r.PendingMinor, c),
			}
		}
	}
	for transfer, sum := range legs {
		if sum != 0 {
			t.Errorf("the legs of %s sum to %d", transfer, sum)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("balances by the lake %v, by the ledger %v", got, want)
	}
	last := map[string]lake.PaymentRow{}
	for _, r := range rows[lake.PaymentRow](t, files, "payments") {
		if r.Seq > last[r.ID].Seq {
			last[r.ID] = r
		}
	}
	refunded := refundsAgree(t, s, files, account)
	disputed := disputesAgree(t, s, files, account)
	for _, r := range last {
		p, err := s.GetPayment(t.Context(), r.Account, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if r.CapturedMinor != p.CapturedMinor || refunded[r.ID] != p.RefundedMinor || r.AmountMinor != p.Amount.Minor ||
			r.DeclineCode != p.DeclineCode ||
			r.Label != p.Risk.Label {
			t.Errorf("%+v\nis in the store %s, captured %d, refunded %d, %s", r, p.Amount, p.CapturedMinor, p.RefundedMinor, p.DeclineCode)
		}
		var minor int64
		for _, d := range p.Disputes {
			minor += d.Minor
		}
		if disputed[p.ID] != minor {
			t.Errorf("of %s %d are disputed by the lake, %d by the store", p.ID, disputed[p.ID], minor)
		}
	}
}

// refundsAgree compares the last row of every refund with the payment's refund, and their total
// with the ledger's. It returns the sums by payment.
func refundsAgree(t *testing.T, s *sqlstore.Store, files map[string][]byte, account string) map[string]int64 {
	t.Helper()
	last := map[string]lake.RefundRow{}
	for _, r := range rows[lake.RefundRow](t, files, "refunds") {
		if r.Seq > last[r.ID].Seq {
			last[r.ID] = r
		}
	}
	sums, all := map[string]int64{}, int64(0)
	for _, p := range paymentsOf(t, s, account) {
		for _, want := range p.Refunds {
			r := last[want.ID]
			delete(last, want.ID)
			if r.Payment != p.ID || r.Status != string(want.Status) || r.AmountMinor != want.Minor || r.Currency != string(p.Amount.Currency) ||
				r.Code != want.Code ||
				r.CreatedAt != want.CreatedAt.UnixMicro() {
				t.Errorf("%+v\nis in the store %+v", r, want)
			}
			if r.Status == string(payment.RefundSucceeded) {
				sums[p.ID] += r.AmountMinor
				all += r.AmountMinor
			}
		}
	}
	if len(last) > 0 {
		t.Errorf("refunds that no payment has: %v", slices.Sorted(maps.Keys(last)))
	}
	var moved int64
	for _, r := range rows[lake.TransferRow](t, files, "transfers") {
		if r.Kind == string(ledger.KindRefund) && r.Phase == string(ledger.Posted) && r.Account == account && r.Book == ledger.Funds(account) {
			moved += r.Minor
		}
	}
	if all == 0 || moved != all {
		t.Errorf("the ledger gave back %d, the refunds are %d", moved, all)
	}
	return sums
}

// disputesAgree compares the last row of every dispute with the payment's dispute, and returns
// the sums by payment.
func disputesAgree(t *testing.T, s *sqlstore.Store, files map[string][]byte, account string) map[string]int64 {
	t.Helper()
	last, events := map[string]lake.DisputeRow{}, map[string]bool{}
	for _, r := range rows[lake.DisputeRow](t, files, "disputes") {
		if key := r.EventID + r.ID; events[key] {
			t.Errorf("%s says twice what %s is", r.EventID, r.ID)
		} else {
			events[key] = true
		}
		if r.Seq > last[r.ID].Seq {
			last[r.ID] = r
		}
	}
	sums, states := map[string]int64{}, map[string]int{}
	for _, p := range paymentsOf(t, s, account) {
		for _, want := range p.Disputes {
			r := last[want.ID]
			delete(last, want.ID)
			due, closed := int64(0), int64(0) // null if there is none
			if !want.EvidenceDueAt.IsZero() {
				due = want.EvidenceDueAt.UnixMicro()
			}
			if !want.ClosedAt.IsZero() {
				closed = want.ClosedAt.UnixMicro()
			}
			if r.Payment != p.ID || r.State != want.State || r.Reason != want.Reason || r.AmountMinor != want.Minor ||
				r.Currency != string(p.Amount.Currency) ||
				r.Reference != want.Reference || r.EvidenceDueAt != due ||
				r.CreatedAt != want.CreatedAt.UnixMicro() ||
				r.ClosedAt != closed {
				t.Errorf("%+v\nis in the store %+v", r, want)
			}
			sums[p.ID] += r.AmountMinor
			states[r.State]++
		}
	}
	if len(last) > 0 {
		t.Errorf("disputes that no payment has: %v", slices.Sorted(maps.Keys(last)))
	}
	if states[payment.DisputeLost] == 0 || states[payment.DisputeNeedsResponse] == 0 {
		t.Errorf("the disputes are %v", states)
	}
	return sums
}

func paymentsOf(t *testing.T, s *sqlstore.Store, account string) (all []payment.Payment) {
	t.Helper()
	err := s.EachPayment(t.Context(), func(p payment.Payment, damage error) error {
		if p.Account == account {
			all = append(all, p)
		}
		return damage
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestLake checks that the store's contents are in the files once, also if the process dies
// between any two writes, and that the files of an interrupted run are byte for byte those of an
// uninterrupted one.
func TestLake(t *testing.T) {
	onEach(t, func(t *testing.T, s *sqlstore.Store) {
		account := id.New(id.Account)
		dir := t.TempDir()
		f := files(t, dir)
		catchUp(t, s, f)
		if c := content(t, dir); len(c) != 0 {
			t.Errorf("an empty feed makes %d files", len(c))
		}
		for round := range 3 {
			pay(t, s, account, 4)
			before := content(t, dir)
			for puts := range 20 {
				err := lake.New(s, &dying{Files: f, left: puts}, 0, slog.New(slog.DiscardHandler)).CatchUp(t.Context())
				if err == nil {
					break
				}
				if !errors.Is(err, errDied) {
					t.Fatal(err)
				}
				if puts == 19 {
					t.Fatal("it never came to an end")
				}
			}
			c := content(t, dir)
			agrees(t, s, c, account)
			for name, body := range before {
				if name != "_paylink.json" && !bytes.Equal(c[name], body) {
					t.Errorf("round %d changed %s", round, name)
				}
			}
		}
		whole := content(t, dir)
		catchUp(t, s, f)
		if again := content(t, dir); !maps.EqualFunc(again, whole, bytes.Equal) {
			t.Error("nothing happened, and the lake is another")
		}
		if days := slices.Compact(slices.Sorted(maps.Keys(daysOf(whole)))); !slices.Equal(days, []string{"day=2030-05-06", "day=2030-05-07"}) {
			t.Errorf("the days are %v", days)
		}
	})
}

func daysOf(files map[string][]byte) map[string]bool {
	days := map[string]bool{}
	for name := range files {
		if parts := strings.Split(name, "/"); len(parts) == 3 {
			days[parts[1]] = true
		}
	}
	return days
}

var errDied = errors.New("the process died")

// dying fails after that many files: the last of them is written, and no caller was notified.
type dying struct {
	lake.Files
	left int
}

func (d *dying) Put(ctx context.Context, name string, body []byte) error {
	if d.left == 0 {
		return errDied
	}
	d.left--
	if err := d.Files.Put(ctx, name, body); err != nil {
		return err
	}
	if d.left == 0 {
		return errDied
	}
	return nil
}

// TestBucket checks that a bucket contains the same files as a folder, and that its own files are
// recognized.
func TestBucket(t *testing.T) {
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	defer server.Close()
	bucket := "s3://lake/some/prefix?region=eu-west-1&accessKey=key&secretKey=secret&endpoint=" + server.URL
	s := sqltest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "paylink.db"))
	account := id.New(id.Account)
	pay(t, s, account, 5)
	f := files(t, bucket)
	catchUp(t, s, f)
	dir := t.TempDir()
	if err := lake.Reset(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	catchUp(t, s, files(t, dir))
	want := content(t, dir)
	agrees(t, s, want, account)
	if got := objects(t, backend); !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("the bucket has %v, the folder %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	if err := f.Put(t.Context(), "notes.txt", []byte("mine")); err != nil {
		t.Fatal(err)
	}
	if err := f.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := objects(t, backend); len(got) != 1 || string(got["notes.txt"]) != "mine" {
		t.Errorf("after it was cleared, the bucket has %v", slices.Sorted(maps.Keys(got)))
	}
}

func objects(t *testing.T, backend gofakes3.Backend) map[string][]byte {
	t.Helper()
	list, err := backend.ListBucket("lake", nil, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, o := range list.Contents {
		object, err := backend.GetObject("lake", o.Key, nil)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(object.Contents); err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(o.Key, "some/prefix/")] = b.Bytes()
	}
	return all
}

// TestRebuild checks that the lake matches the feed again, whatever happened to either, and that
// another installation's lake is left unchanged.
func TestRebuild(t *testing.T) {
	s := sqltest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "paylink.db"))
	account := id.New(id.Account)
	dir := t.TempDir()
	f := files(t, dir)
	pay(t, s, account, 3)
	catchUp(t, s, f)
	for what, harm := range map[string]func() error{
		"it was emptied":               func() error { return f.Clear(t.Context()) },
		"its mark was lost":            func() error { return os.Remove(filepath.Join(dir, "_paylink.json")) },
		"its rebuilding was asked for": func() error { return lake.Reset(t.Context(), s) },
		"it is of another schema":      func() error { return edit(dir, `"schema":1`, `"schema":0`) },
		"it is ahead of the store":     func() error { return edit(dir, `"through":`, `"through":9`) },
		"the store is from a backup": func() error {
			at := position(t, s)
			return errors.Join(s.MoveCheckpoint(t.Context(), lake.Consumer, at, 1), s.MoveCheckpoint(t.Context(), lake.Consumer+" planned", at, 1))
		},
	} {
		if err := harm(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		pay(t, s, account, 1)
		catchUp(t, s, f)
		t.Log(what)
		agrees(t, s, content(t, dir), account)
	}
	if err := edit(dir, `"feed":"evt_`, `"feed":"evt_x`); err != nil {
		t.Fatal(err)
	}
	if err := lake.New(s, f, 0, slog.New(slog.DiscardHandler)).CatchUp(t.Context()); !errors.Is(err, lake.ErrForeign) {
		t.Errorf("another installation's lake: %v", err)
	}
}

func position(t *testing.T, s *sqlstore.Store) int64 {
	t.Helper()
	at, err := s.Checkpoint(t.Context(), lake.Consumer)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func edit(dir, from, to string) error {
	name := filepath.Join(dir, "_paylink.json")
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	changed := strings.Replace(string(raw), from, to, 1)
	if changed == string(raw) {
		return fmt.Errorf("%s is not in %s", from, raw)
	}
	return os.WriteFile(name, []byte(changed), 0o600)
}

// TestFollows checks that a running lake writes new events when they are old enough, and notices
// a request to rebuild.
func TestFollows(t *testing.T) {
	s := sqltest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "paylink.db"))
	account := id.New(id.Account)
	dir := t.TempDir()
	l := lake.New(s, files(t, dir), time.Millisecond, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	run := func() { ended <- l.Run(ctx) }
	go run()
	pay(t, s, account, 3)
	until(t, func() bool { n, err := s.Lag(t.Context(), lake.Consumer); return err == nil && n == 0 })
	agrees(t, s, content(t, dir), account)
	if err := lake.Reset(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, lake.ErrMoved) {
			t.Fatal(err)
		}
	case <-time.After(3 * time.Minute):
		t.Fatal("it does not notice that its checkpoint was moved")
	}
	go run()
	until(t, func() bool { n, err := s.Lag(t.Context(), lake.Consumer); return err == nil && n == 0 })
	agrees(t, s, content(t, dir), account)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func until(t *testing.T, is func() bool) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	late := time.After(3 * time.Minute)
	for !is() {
		select {
		case <-late:
			t.Fatal("it does not come about")
		case <-look.C:
		}
	}
}

// TestAddresses checks that an invalid location of a lake is refused without quoting a secret.
func TestAddresses(t *testing.T) {
	for _, good := range []string{"/var/lib/lake", "lake", "s3://bucket",
		"s3://bucket/a/b?region=eu-west-1&endpoint=http://127.0.0.1:9000&accessKey=a&secretKey=b"} {
		if err := lake.Check(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "gs://bucket", "s3:bucket", "s3:///prefix", "s3://bucket/x?secret=hush", "s3://user:hush@bucket/x",
		"s3://bucket/%zzhush"} {
		if err := lake.Check(bad); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
