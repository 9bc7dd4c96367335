package archive_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/archive"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/storetest"
)

// looked returns an assessment of an attempt with every field set.
func looked(action payment.Action) payment.Risk {
	return payment.Risk{
		Fingerprint:   "card_424242_4242_3",
		BIN:           "424242",
		Address:       "203.0.113.0/24",
		Country:       "NZ",
		Action:        action,
		Challenge:     true,
		Why:           "rule",
		Rule:          "frl_1",
		Version:       3,
		Values:        []payment.RiskValue{{Name: "country", Value: "NZ"}},
		Shadow:        []payment.ShadowHit{{Rule: "frl_2", Version: 1, Action: payment.Block}},
		Score:         71,
		Basis:         "known",
		Model:         "m1",
		Reasons:       []payment.RiskReason{{Feature: "card.attempted_1h", Value: 3.5, Share: 0.25}},
		ShadowModel:   "m2",
		ShadowScore:   12,
		ReviewSeconds: 7200,
	}
}

// judged puts payments into a store that were blocked, held, reviewed in each way, labeled, and
// disputed, and returns them in their final state.
func judged(t *testing.T, w *world, account string) (all []payment.Payment) {
	t.Helper()
	l := storetest.NewLink(account, 0)
	if err := w.CreateLink(t.Context(), l, nil, nil); err != nil {
		t.Fatal(err)
	}
	commit := func(c payment.Change) payment.Payment {
		t.Helper()
		if err := w.CommitPayment(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		return c.Payment
	}
	approved := func(p payment.Payment) issuer.Answer {
		return issuer.Answer{Outcome: issuer.Approved, Amount: p.Amount, IssuerReference: "iss", At: storetest.Epoch}
	}
	verdict := func(v string) payment.Input {
		return payment.Input{Kind: payment.Reviewed, Actor: "merchant", Verdict: v, By: "usr_1", Owner: "w", Refund: id.New(id.Refund)}
	}
	mark := func(label string) payment.Input {
		return payment.Input{Kind: payment.Marked, Actor: "merchant", Label: label, By: "key_1"}
	}
	dispute := func(d payment.DisputeInput) payment.Input {
		return payment.Input{Kind: payment.Disputed, Actor: "issuer", DisputeID: "dsp_" + d.Reference, Dispute: d}
	}
	captured := payment.Input{Kind: payment.CaptureAnswer, Actor: "issuer"}
	opened := payment.DisputeInput{Reference: "1", Reason: "fraudulent", Amount: "3.50", EvidenceDueAt: storetest.Epoch.Add(time.Hour)}
	for n, life := range []struct {
		action payment.Action
		steps  []payment.Input
	}{
		{payment.Block, nil},
		{payment.Hold, nil},
		{payment.Hold, []payment.Input{verdict(payment.ReviewDeclined)}},
		{payment.Hold, []payment.Input{verdict(payment.ReviewApproved), captured, mark(payment.LabelLegitimate), dispute(opened),
			dispute(payment.DisputeInput{Reference: "1", State: payment.DisputeUnderReview})}},
		{payment.Hold, []payment.Input{verdict(payment.ReviewApproved), captured, dispute(opened),
			dispute(payment.DisputeInput{Reference: "1", State: payment.DisputeLost}),
			dispute(payment.DisputeInput{Reference: "2", Reason: "duplicate"})}},
		{payment.Hold, []payment.Input{verdict(payment.ReviewRefunded)}},
		{payment.Hold, []payment.Input{verdict(payment.ReviewApproved), captured, mark(payment.LabelFraud), mark("")}},
	} {
		p := commit(storetest.BeginWith(t, l, fmt.Sprintf("attempt-judged-%04d", n), looked(life.action)))
		if life.action == payment.Hold {
			p = commit(step(t, p, payment.Input{Kind: payment.Sync, Actor: "issuer", Answer: approved(p)}))
		}
		for _, in := range life.steps {
			if in.Kind == payment.CaptureAnswer {
				in.Answer = approved(p)
			}
			p = commit(step(t, p, in))
		}
		all = append(all, p)
	}
	return all
}

func step(t *testing.T, p payment.Payment, in payment.Input) payment.Change {
	t.Helper()
	in.Change, in.At = id.New(id.Change), storetest.Epoch.Add(time.Duration(len(p.Log))*time.Minute)
	c, err := payment.Next(p, in)
	if err != nil || c.Nothing {
		t.Fatalf("%s: nothing %v, %v", in.Kind, c.Nothing, err)
	}
	return c
}

// kept puts rules with versions, one of them deleted, switches of the default set, lists,
// policies, and a model in each state into a store, for the account and for the installation.
func kept(t *testing.T, w *world, account string) {
	t.Helper()
	ctx, at := t.Context(), storetest.Epoch
	var errs []error
	for _, of := range []string{account, ""} {
		for _, mode := range []string{link.Test, link.Live} {
			r := rulebook.Rule{
				ID:        id.New(id.FraudRule),
				Account:   of,
				Mode:      mode,
				Name:      "Many declines",
				Action:    payment.Block,
				When:      "card.declined_1h >= 3",
				State:     rulebook.Shadow,
				Version:   1,
				UpdatedAt: at,
				UpdatedBy: "usr_1",
			}
			next, gone := r, r
			next.Version, next.State = 2, rulebook.On
			gone.ID, gone.Name = id.New(id.FraudRule), "A mistake"
			last := gone
			last.Version, last.State = 2, rulebook.Deleted
			builtin := rulebook.Rule{
				ID:        rulebook.BuiltinID("card_declines"),
				Account:   of,
				Mode:      mode,
				Name:      "n",
				Action:    payment.Block,
				When:      "true",
				State:     rulebook.Off,
				Version:   2,
				Builtin:   true,
				UpdatedAt: at,
				UpdatedBy: "usr_1",
			}
			errs = append(
				errs,
				w.PutFraudRule(ctx, r, 0, nil),
				w.PutFraudRule(ctx, next, 1, nil),
				w.PutFraudRule(ctx, gone, 0, nil),
				w.DeleteFraudRule(ctx, last),
				w.PutFraudRule(ctx, builtin, 0, nil),
				w.PutFraudListEntry(
					ctx,
					rulebook.Entry{
						ID:        id.New(id.FraudEntry),
						Account:   of,
						Mode:      mode,
						Kind:      rulebook.KindEmail,
						Action:    payment.Block,
						Value:     "@mail.example",
						Note:      "seen",
						ExpiresAt: at.Add(time.Hour),
						CreatedAt: at,
						CreatedBy: "usr_1",
					},
					nil,
				),
				w.PutFraudListEntry(
					ctx,
					rulebook.Entry{
						ID:        id.New(id.FraudEntry),
						Account:   of,
						Mode:      mode,
						Kind:      rulebook.KindBIN,
						Action:    payment.Allow,
						Value:     "424242",
						CreatedAt: at,
					},
					nil,
				),
			)
		}
		errs = append(errs, w.PutFraudPolicy(ctx, of, link.Test, rulebook.Policy{FailOpen: true, ReviewFor: 2 * time.Hour, UpdatedAt: at}))
	}
	for n, state := range []string{learning.Retired, learning.Running, learning.Shadow, learning.Trained} {
		file := make([]byte, []int{0, 512 << 10, 1<<20 + 17, 300}[n]) // one line, one that is full, three
		random := rand.NewChaCha8([32]byte{byte(n)})
		_, _ = random.Read(file) // never fails
		info := learning.Info{
			Version:          fmt.Sprint("m", n),
			TrainedAt:        at.Add(time.Duration(n) * time.Hour),
			From:             at.AddDate(0, -2, 0),
			To:               at.AddDate(0, -1, 0),
			Payments:         40000,
			Frauds:           310,
			AUC:              0.93,
			AveragePrecision: 0.61,
			CardPrecision:    0.4,
			TestedFrom:       at.AddDate(0, -1, 7),
			TestedTo:         at,
			TestedPayments:   9000,
		}
		errs = append(errs, w.AddModel(ctx, info, file))
		if state == learning.Retired {
			errs = append(errs, w.SetModel(ctx, info.Version, learning.Running))
		}
		if state != learning.Trained {
			errs = append(errs, w.SetModel(ctx, info.Version, state))
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// holdings is everything about fraud that a store returns to its callers.
type holdings struct {
	Books    map[rulebook.Name]rulebook.Book
	Versions map[string][]rulebook.Rule
	Models   []learning.Info
	Files    [][]byte
	Payments []payment.Payment
}

func holdingsOf(t *testing.T, w *world) holdings {
	t.Helper()
	ctx := t.Context()
	h := holdings{Books: map[rulebook.Name]rulebook.Book{}, Versions: map[string][]rulebook.Rule{}}
	names, _, err := w.FraudBooks(ctx, 0)
	for _, n := range names {
		book, failed := w.FraudBook(ctx, n.Account, n.Mode)
		err = errors.Join(err, failed)
		h.Books[n] = book
	}
	err = errors.Join(err, w.EachFraud(ctx, func(f archive.Fraud) error { // includes the ids of deleted rules
		if f.Version != nil {
			h.Versions[f.Version.ID+f.Version.Account+f.Version.Mode] = nil
			all, err := w.FraudRuleVersions(ctx, f.Version.Account, f.Version.Mode, f.Version.ID, 10)
			h.Versions[f.Version.ID+f.Version.Account+f.Version.Mode] = all
			return err
		}
		return nil
	}))
	infos, failed := w.Models(ctx)
	h.Models = infos
	err = errors.Join(err, failed)
	for _, m := range infos {
		file, failed := w.Model(ctx, m.Version)
		h.Files = append(h.Files, file)
		err = errors.Join(err, failed)
	}
	err = errors.Join(err, w.EachPayment(ctx, func(p payment.Payment, damage error) error {
		h.Payments = append(h.Payments, p)
		return damage
	}))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// complete checks that every field of the type has a value in at least one of the objects, so
// that the comparison leaves nothing out.
func complete[T any](t *testing.T, all ...T) {
	t.Helper()
	kind := reflect.TypeFor[T]()
	for i := range kind.NumField() {
		if !slices.ContainsFunc(all, func(v T) bool { return !reflect.ValueOf(v).Field(i).IsZero() }) {
			t.Errorf("no %s has %s", kind, kind.Field(i).Name)
		}
	}
}

func (h holdings) complete(t *testing.T) {
	t.Helper()
	var rules []rulebook.Rule
	var entries []rulebook.Entry
	var policies []rulebook.Policy
	for _, b := range h.Books {
		rules, entries = append(rules, b.Rules...), append(entries, b.Entries...)
		if b.Policy != nil {
			policies = append(policies, *b.Policy)
		}
	}
	var risks []payment.Risk
	var disputes []payment.Dispute
	for _, p := range h.Payments {
		risks, disputes = append(risks, p.Risk), append(disputes, p.Disputes...)
	}
	complete(t, rules...)
	complete(t, entries...)
	complete(t, policies...)
	complete(t, h.Models...)
	complete(t, risks...)
	complete(t, disputes...)
	if len(h.Books) != 4 || len(h.Versions) != 12 || len(h.Models) != 4 || len(policies) != 2 {
		t.Errorf("%d books, %d rules, %d models, %d policies", len(h.Books), len(h.Versions), len(h.Models), len(policies))
	}
}

// figures returns the figures of an analytics store rebuilt from the store's payments.
func figures(t *testing.T, w *world, account string) history.Figures {
	t.Helper()
	a, err := projection.OpenAnalytics(
		t.Context(),
		w.Store.Feed,
		w.Store.Pages(),
		filepath.Join(t.TempDir(), "analytics.db"),
		slog.New(slog.DiscardHandler),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := a.Rebuild(t.Context(), func(projection.Build) {}); err != nil {
		t.Fatal(err)
	}
	f, err := a.Figures(t.Context(), account, link.Test, storetest.Epoch.AddDate(0, 0, -1), storetest.Epoch.AddDate(0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestArchiveBringsFraudAcross checks that rules with all versions, lists, policies, models with
// their states and files, and payments with their assessments are the same on both sides, field
// by field, and so are the figures derived from the payments.
func TestArchiveBringsFraudAcross(t *testing.T) {
	for _, way := range [][2]string{{"SQLite", "SQLite"}, {"SQLite", "PostgreSQL"}, {"PostgreSQL", "SQLite"}} {
		t.Run(way[0]+" to "+way[1], func(t *testing.T) {
			from, to := open(t, way[0]), open(t, way[1])
			account := fill(t, from)
			kept(t, from, account)
			made := judged(t, from, account)
			whole := export(t, from)
			counts, err := archive.Import(t.Context(), bytes.NewReader(whole), to, false)
			if err != nil {
				t.Fatal(err)
			}
			for kind, want := range map[string]int64{"rules": 8, "rule versions": 20, "list entries": 8, "policies": 2, "models": 4,
				"payments": 10} {
				if counts[kind] != want {
					t.Errorf("%d %s, want %d", counts[kind], kind, want)
				}
			}
			want, got := holdingsOf(t, from), holdingsOf(t, to)
			want.complete(t)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the new store holds\n%+v\nthe old one\n%+v", got, want)
			}
			for _, p := range made {
				is, err := to.GetPayment(t.Context(), account, p.ID)
				if err != nil || !reflect.DeepEqual(is, p) {
					t.Errorf("%v\nis\n%+v\nwas\n%+v", err, is, p)
				}
			}
			before, after := figures(t, from, account), figures(t, to, account)
			if !reflect.DeepEqual(before, after) {
				t.Errorf("figures\n%+v\nwere\n%+v", after, before)
			}
			if day := before.Days[len(before.Days)-1]; day.Blocked != 1 || day.Held != 6 || day.ReviewOpened != 6 || day.ReviewClosed != 5 ||
				day.Fraud == 0 ||
				day.Legitimate == 0 ||
				len(before.Rules) == 0 {
				t.Errorf("%+v", before)
			}
			if again := content(export(t, to)); again != content(whole) {
				t.Error("an archive of the new store differs")
			}
		})
	}
}

// resealed returns an archive of these lines with matching counts and checksum, as an attacker
// who knows the format would write it.
func resealed(t *testing.T, lines [][]byte, change func(counts map[string]int64)) []byte {
	t.Helper()
	body := bytes.Join(lines[:len(lines)-1], nil)
	var last struct {
		End struct {
			Counts map[string]int64 `json:"counts"`
			SHA256 string           `json:"sha256"`
		} `json:"end"`
	}
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil {
		t.Fatal(err)
	}
	change(last.End.Counts)
	sum := sha256.Sum256(body)
	last.End.SHA256 = hex.EncodeToString(sum[:])
	end, err := json.Marshal(last)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(body, end...), '\n')
}

// lines returns the lines of an archive with rules and models.
func fraudLines(t *testing.T) [][]byte {
	t.Helper()
	from := open(t, "SQLite")
	account := fill(t, from)
	kept(t, from, account)
	whole := bytes.SplitAfter(export(t, from), []byte("\n"))
	return whole[:len(whole)-1]
}

// TestArchiveOfBeforeFraudIsRead imports an archive from before archives contained rules and
// models.
func TestArchiveOfBeforeFraudIsRead(t *testing.T) {
	to := open(t, "SQLite")
	var old [][]byte
	for _, l := range fraudLines(t) {
		if !bytes.HasPrefix(l, []byte(`{"fraud"`)) && !bytes.HasPrefix(l, []byte(`{"model"`)) {
			old = append(old, bytes.Replace(l, []byte(`{"version":2`), []byte(`{"version":1`), 1))
		}
	}
	counts, err := archive.Import(t.Context(), bytes.NewReader(resealed(t, old, func(counts map[string]int64) {
		for _, kind := range []string{"rules", "rule versions", "list entries", "policies", "models"} {
			delete(counts, kind)
		}
	})), to, false)
	if err != nil || counts["payments"] != 3 || counts["rules"] != 0 {
		t.Fatalf("%v, %v", counts, err)
	}
}

// TestArchiveOfBrokenModelIsRefused checks that a model whose pieces do not add up to its file is
// refused before anything is loaded, even if counts and checksum match.
func TestArchiveOfBrokenModelIsRefused(t *testing.T) {
	to := open(t, "SQLite")
	whole := fraudLines(t)
	nothing := func(map[string]int64) {}
	piece := slices.IndexFunc(whole, func(l []byte) bool { return bytes.HasPrefix(l, []byte(`{"model":{"data"`)) })
	if piece < 0 {
		t.Fatal("no model needed two lines")
	}
	for name, lines := range map[string][][]byte{
		"a piece is missing": slices.Delete(slices.Clone(whole), piece, piece+1),
		"a piece twice":      slices.Insert(slices.Clone(whole), piece, whole[piece]),
		"an empty piece":     slices.Insert(slices.Clone(whole), piece, []byte(`{"model":{}}`+"\n")),
		"nobody's piece":     slices.Insert(slices.Clone(whole), 1, whole[piece]),
		"of a later version": slices.Insert(slices.Clone(whole[1:]), 0, []byte(`{"version":4,"told":0}`+"\n")),
	} {
		_, err := archive.Import(t.Context(), bytes.NewReader(resealed(t, lines, nothing)), to, false)
		if !errors.Is(err, archive.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "of a later version" && !strings.Contains(fmt.Sprint(err), "version is 4, this binary reads 1 to 3") {
			t.Error(err)
		}
	}
	if empty, err := to.Empty(t.Context()); err != nil || !empty {
		t.Fatalf("something was loaded, %v", err)
	}
	if _, err := archive.Import(t.Context(), bytes.NewReader(resealed(t, whole, nothing)), to, false); err != nil {
		t.Fatal(err)
	}
}

// TestArchiveFraudIsTakenUpAgain checks that an import that was interrupted after rules and
// models is refused as new and continues as begun, without duplicates.
func TestArchiveFraudIsTakenUpAgain(t *testing.T) {
	from, to := open(t, "SQLite"), open(t, "PostgreSQL")
	account := fill(t, from)
	kept(t, from, account)
	judged(t, from, account)
	whole := export(t, from)
	if _, err := archive.Import(t.Context(), bytes.NewReader(whole), &dying{world: to}, false); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	if _, err := archive.Import(t.Context(), bytes.NewReader(whole), to, false); err == nil {
		t.Fatal("a store with rules and models was taken for an empty one")
	}
	if _, err := archive.Import(t.Context(), bytes.NewReader(whole), to, true); err != nil {
		t.Fatal(err)
	}
	if want, got := holdingsOf(t, from), holdingsOf(t, to); !reflect.DeepEqual(got, want) {
		t.Errorf("the new store holds\n%+v\nthe old one\n%+v", got, want)
	}
}

// TestArchiveOfDamagedFraudIsNone checks that a damaged rule, entry, policy or model ends the
// export.
func TestArchiveOfDamagedFraudIsNone(t *testing.T) {
	for table, code := range map[string]string{"fraud_rules": "rule_damaged", "fraud_rule_versions": "rule_damaged",
		"fraud_list_entries": "list_entry_damaged",
		"fraud_policies":     "policy_damaged", "fraud_models": "model_damaged"} {
		path := filepath.Join(t.TempDir(), "paylink.db")
		w := openAt(t, "sqlite:"+path)
		kept(t, w, id.New(id.Account))
		export(t, w)
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.ExecContext(t.Context(), "UPDATE "+table+" SET doc = doc || ' '")
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Export(t.Context(), w, &bytes.Buffer{}); fault.Code(err) != code {
			t.Errorf("%s: %v", table, err)
		}
	}
}
