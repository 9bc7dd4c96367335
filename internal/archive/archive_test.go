package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/archive"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// world is a store and the jobs of a queue.
type world struct {
	*sqlstore.Store
	jobs []notify.Job
}

func (w *world) EachJob(_ context.Context, visit func(notify.Job) error) error {
	for _, j := range w.jobs {
		if err := visit(j); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) LoadJobs(_ context.Context, jobs []notify.Job) error {
	w.jobs = append(w.jobs, jobs...)
	return nil
}

// engines between which an archive moves.
var engines = map[string]func(*testing.T) string{
	"SQLite":     func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "paylink.db") },
	"PostgreSQL": func(t *testing.T) string { return pgtest.Database(t) },
}

func open(t *testing.T, engine string) *world {
	t.Helper()
	return openAt(t, engines[engine](t))
}

func openAt(t *testing.T, url string) *world {
	t.Helper()
	s := sqltest.Open(t, url)
	return &world{Store: s}
}

// fill puts one of everything into a store, and links in every state.
func fill(t *testing.T, w *world) (account string) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	account = id.New(id.Account)
	user := id.New(id.User)
	record := func(key string) *idempotency.Record {
		return &idempotency.Record{
			Scope:       account,
			Key:         key,
			Fingerprint: []byte{1, 2},
			Status:      200,
			Answer:      []byte("sealed"),
			CreatedAt:   storetest.Epoch,
		}
	}
	must(
		w.Apply(
			ctx,
			merchant.Change{User: &merchant.User{ID: user, Account: account, Username: "ada", Email: "ada@example.com", PasswordHash: "$argon2id$x",
				CreatedAt: storetest.Epoch, ConfirmedAt: storetest.Epoch},
				Guard: &merchant.Guard{User: user, SealedTOTP: []byte{7}, TOTPOn: true, TOTPStep: 3, Recovery: [][]byte{{1}}},
				Tokens: []merchant.Token{
					{ID: id.New(id.Invite), Hash: []byte("hash"), Kind: merchant.KindInvite, User: user, Account: account, Email: "bob@example.com",
						CreatedAt: storetest.Epoch, ExpiresAt: storetest.Epoch.Add(time.Hour)},
				}, Record: record("sign-up"),
				Account: &merchant.Account{
					ID:        account,
					Name:      "Ada's shop",
					Revision:  1,
					CreatedAt: storetest.Epoch,
					Methods: []merchant.Method{{ID: "pm_1", Type: "card",
						Issuer: "simulator", Currencies: []money.Currency{"EUR"}, Enabled: true, SealedCredentials: []byte{0, 255}}},
				}},
		),
	)
	must(w.CreateKey(ctx, merchant.Key{ID: id.New(id.Key), Account: account, Name: "till", Mode: merchant.Test, Scopes: []string{"links:read"},
		Hash: []byte("hash"), PreviousHash: []byte("old"), PreviousUntil: storetest.Epoch, CreatedAt: storetest.Epoch, Revision: 1}, nil))
	must(
		w.Apply(ctx, merchant.Change{Session: &merchant.Session{ID: id.New(id.Session), User: user, Account: account, CreatedAt: storetest.Epoch,
			ExpiresAt: storetest.Epoch.Add(time.Hour), Browser: true, Agent: "Firefox", Network: "192.0.2.0/24", LastSeenAt: storetest.Epoch}}),
	)
	must(w.Note(activity.Record(activity.With(ctx, activity.Actor{Kind: activity.User, ID: user, Network: "192.0.2.0/24", Agent: "Firefox"}),
		activity.Event{Account: account, At: storetest.Epoch, Kind: activity.SignInFailed, Target: user, Outcome: activity.Failed, Count: 3,
			Folds: true})))
	endpoint := notify.Endpoint{
		ID:           id.New(id.Endpoint),
		Account:      account,
		Mode:         link.Test,
		URL:          "https://example.com/hook",
		Events:       []string{"*"},
		SealedSecret: []byte("secret"),
		CreatedAt:    storetest.Epoch,
	}
	must(w.CreateEndpoint(ctx, endpoint, nil))
	must(
		w.RecordDelivery(
			ctx,
			notify.Delivery{ID: id.New(id.Delivery), Account: account, Mode: link.Test, Endpoint: endpoint.ID, Event: id.New(id.Event),
				EventType: "link.created", Attempt: 2, Status: notify.Failed, HTTPStatus: 500, At: storetest.Epoch, SealedBody: []byte("body")},
			nil,
		),
	)
	for i, o := range []issuer.Outcome{issuer.Approved, issuer.Declined, issuer.Ambiguous} {
		l := storetest.NewLink(account, int64(i)) // the first is unlimited
		must(w.CreateLink(ctx, l, []stream.Event{{ID: id.New(id.Event), Type: "link.created", Account: account, Mode: link.Test, Object: l.ID,
			ObjectSeq: 1, CreatedAt: storetest.Epoch, Data: []byte(`{}`)}}, record(l.ID)))
		begin := storetest.Begin(t, l, "attempt-000000000001")
		must(w.CommitPayment(ctx, begin))
		must(w.CommitPayment(ctx, storetest.Answered(t, begin.Payment, o)))
	}
	must(w.CreateForm(ctx, storetest.NewForm(account), nil))
	gone := storetest.NewForm(account)
	gone.ArchivedAt = storetest.Epoch
	must(w.CreateForm(ctx, gone, nil))
	canceled := storetest.NewLink(account, 1)
	must(w.CreateLink(ctx, canceled, nil, nil))
	must(
		w.CancelLink(
			ctx,
			account,
			canceled.ID,
			storetest.Epoch,
			stream.Event{ID: id.New(id.Event), Type: "link.canceled", Account: account, Mode: link.Test,
				Object: canceled.ID, ObjectSeq: 2, CreatedAt: storetest.Epoch, Data: []byte(`{}`)},
			nil,
		),
	)
	w.jobs = []notify.Job{
		{Account: account, Mode: link.Test, Endpoint: endpoint.ID, Event: id.New(id.Event), EventType: "link.created", SealedBody: []byte("b")},
	}
	return account
}

func export(t *testing.T, w *world) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := archive.Export(t.Context(), w, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// places match what a store assigns again: an event's position, and the notifier's.
var places = regexp.MustCompile(`"(position|told)":[0-9]+`)

// content returns an archive without places, and without the checksum at its end.
func content(whole []byte) string {
	lines := bytes.SplitAfter(places.ReplaceAll(whole, []byte(`"$1":0`)), []byte("\n"))
	return string(bytes.Join(lines[:len(lines)-2], nil))
}

// untold consumes as the notifier does until the event with the last object comes.
func untold(t *testing.T, w *world, last string) (types []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	err := w.Consume(ctx, sqlstore.NotifyConsumer, func(_ context.Context, events []stream.Event) error {
		for _, e := range events {
			types = append(types, e.Type)
			if e.Object == last {
				stop()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return types
}

func TestArchiveBringsEverythingAcross(t *testing.T) {
	for _, way := range [][2]string{{"SQLite", "SQLite"}, {"SQLite", "PostgreSQL"}, {"PostgreSQL", "SQLite"}} {
		t.Run(way[0]+" to "+way[1], func(t *testing.T) { bringsAcross(t, open(t, way[0]), open(t, way[1])) })
	}
}

func bringsAcross(t *testing.T, from, to *world) {
	account := fill(t, from)
	seen := from.newest(t, account)
	if n := len(untold(t, from, seen)); n == 0 {
		t.Fatal("nothing was told")
	}
	late := storetest.NewLink(id.New(id.Account), 1) // only the new store sends its event
	if err := from.CreateLink(t.Context(), late, []stream.Event{{ID: id.New(id.Event), Type: "link.created", Account: late.Account,
		Mode:   link.Test,
		Object: late.ID, ObjectSeq: 1, CreatedAt: storetest.Epoch, Data: []byte(`{}`)}}, nil); err != nil {
		t.Fatal(err)
	}
	first := export(t, from)
	counts, err := archive.Import(t.Context(), bytes.NewReader(first), to, false)
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]int64{"merchants": 9, "links": 5, "payments": 3, "forms": 2, "records": 4, "jobs": 1} {
		if counts[kind] != want {
			t.Errorf("%d %s, want %d", counts[kind], kind, want)
		}
	}
	if a, b := content(first), content(export(t, to)); a != b {
		t.Fatalf("an archive of the new store differs:\n%s\n%s", a, b)
	}
	if _, err := archive.Import(t.Context(), bytes.NewReader(first), to, false); err == nil {
		t.Fatal("an import into a store that holds something was accepted")
	}
	want, err := from.Balances(t.Context(), account, link.Test)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := to.Balances(t.Context(), account, link.Test); err != nil || got["EUR"] != want["EUR"] || got["EUR"].Available.Minor == 0 {
		t.Fatalf("balance %v, want %v, %v", got, want, err)
	}
	if types := untold(t, to, late.ID); len(types) != 1 {
		t.Fatalf("the new store's notifier is told %v, want the one event that nobody was told of", types)
	}
}

// newest returns the object of the account's last event.
func (w *world) newest(t *testing.T, account string) string {
	t.Helper()
	events, err := w.Events(t.Context(), account, link.Test, 0, 100)
	if err != nil || len(events) == 0 {
		t.Fatal(events, err)
	}
	return events[len(events)-1].Object
}

func TestArchiveDamagedIsRefusedWhole(t *testing.T) {
	from, to := open(t, "SQLite"), open(t, "PostgreSQL")
	fill(t, from)
	whole := export(t, from)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	cases := map[string][]byte{
		"empty":          {},
		"no end":         bytes.Join(lines[:len(lines)-2], nil),
		"cut in a line":  whole[:len(whole)-10],
		"a line missing": append(append([]byte{}, lines[0]...), bytes.Join(lines[2:], nil)...),
		"a line twice":   append(append([]byte{}, bytes.Join(lines[:2], nil)...), bytes.Join(lines[1:], nil)...),
		"an amount":      bytes.Replace(whole, []byte(`"capturedMinor":1250`), []byte(`"capturedMinor":9250`), 1),
		"more after end": append(append([]byte{}, whole...), lines[1]...),
		"other version":  bytes.Replace(whole, []byte(`{"version":3`), []byte(`{"version":4`), 1),
	}
	for name, damaged := range cases {
		if _, err := archive.Import(t.Context(), bytes.NewReader(damaged), to, false); !errors.Is(err, archive.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if empty, err := to.Empty(t.Context()); err != nil || !empty {
		t.Fatalf("something of a damaged archive was loaded, %v", err)
	}
}

// dying fails its n-th load.
type dying struct {
	*world
	left int
}

var errDied = errors.New("the process died")

func (d *dying) LoadPayments(ctx context.Context, list []payment.Payment) error {
	if d.left--; d.left < 0 {
		return errDied
	}
	return d.world.LoadPayments(ctx, list)
}

func TestArchiveImportIsTakenUpAgain(t *testing.T) {
	from, to := open(t, "SQLite"), open(t, "PostgreSQL")
	fill(t, from)
	whole := export(t, from)
	if _, err := archive.Import(t.Context(), bytes.NewReader(whole), &dying{world: to}, false); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	if _, err := archive.Import(t.Context(), io.NewSectionReader(bytes.NewReader(whole), 0, int64(len(whole))), to, true); err != nil {
		t.Fatal(err)
	}
	if content(whole) != content(export(t, to)) {
		t.Fatal("an archive of the store differs after an import in two goes")
	}
}
