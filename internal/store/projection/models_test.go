package projection_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/storetest"
)

const (
	labelledDays  = 60
	labelledDaily = 60
)

// labeled returns the payments of two months. Cards are stolen for some days, and then pay much
// more than their owners do; the dispute comes up to five days later.
func labeled(account string, now time.Time) []history.Row {
	random := rand.New(rand.NewPCG(7, 7))
	stolen := map[int]int{} // until which day
	var all []history.Row
	for day := range labelledDays {
		for range 2 {
			stolen[random.IntN(200)] = day + 5
		}
		for i := range labelledDaily {
			card, minor := random.IntN(200), int64(500+random.IntN(4000))
			at := now.AddDate(0, 0, day-labelledDays).Add(time.Duration(i) * 20 * time.Minute)
			r := history.Row{
				ID:         payment.IDFor(fmt.Sprint("lnk", day), fmt.Sprint(day, i)),
				Account:    account,
				Mode:       link.Test,
				Link:       fmt.Sprint("lnk_", day),
				Status:     payment.Succeeded,
				CreatedAt:  at,
				UpdatedAt:  at,
				AnsweredAt: at.Add(time.Second),
				Authorised: true,
				Risk:       payment.Risk{Fingerprint: fmt.Sprint("card", card), BIN: "424242", Action: payment.Allow},
				Seq:        3,
			}
			if stolen[card] > day && random.IntN(4) > 0 {
				minor *= 6
				r.Disputes = []payment.Dispute{
					{
						ID:        "dp_1",
						Reason:    "fraudulent",
						State:     payment.DisputeNeedsResponse,
						Minor:     minor,
						CreatedAt: at.Add(time.Duration(random.IntN(120)) * time.Hour),
					},
				}
				r.Seq++
			}
			r.Amount = money.Of(minor, "EUR")
			all = append(all, r)
		}
	}
	return all
}

// TestTrainFromLabels checks that the analytics store's labels train a model that finds fraud on
// days that it did not see, that what became known after the test period began does not change
// it, and that too few frauds train none.
func TestTrainFromLabels(t *testing.T) {
	s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "paylink.db"))
	account, now := id.New(id.Account), storetest.Epoch.Truncate(24*time.Hour)
	rows := labeled(account, now)
	training := learning.Training{Now: now, Delay: 7 * 24 * time.Hour, Days: 28, Test: 7}
	learned := func(change func(*history.Row)) (learning.Info, []byte) {
		t.Helper()
		a := openAnalytics(t, s, filepath.Join(t.TempDir(), "analytics.db"))
		var changed []history.Row
		for _, r := range rows {
			change(&r)
			changed = append(changed, r)
		}
		if err := a.Load(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		m, info, err := learning.Learn(t.Context(), a, training, nil)
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if err := score.WriteModel(&file, m); err != nil {
			t.Fatal(err)
		}
		return info, file.Bytes()
	}
	info, file := learned(func(*history.Row) {})
	t.Logf("%+v", info)
	if info.Frauds < score.MinFrauds || info.TestedPayments < 100 || info.AUC < 0.8 || info.AveragePrecision < 0.5 ||
		info.TestedFrom.Sub(info.To) < training.Delay {
		t.Errorf("learned %+v", info)
	}
	turned := 0
	_, same := learned(func(r *history.Row) { // every label that was not known when the test period began
		if is, since, known := r.Fraud(); (known && since.After(info.TestedFrom)) || (!known && r.CreatedAt.After(info.TestedFrom)) {
			r.Disputes = nil
			if !is {
				r.Disputes = []payment.Dispute{
					{ID: "dp_1", Reason: "fraudulent", State: payment.DisputeNeedsResponse, CreatedAt: r.CreatedAt.Add(7 * 24 * time.Hour)},
				}
			}
			turned++
		}
	})
	if turned < 100 || !bytes.Equal(same, file) {
		t.Errorf("%d labels of later were turned around, and the model is the same: %v", turned, bytes.Equal(same, file))
	}
	few := openAnalytics(t, s, filepath.Join(t.TempDir(), "few.db"))
	if err := few.Load(t.Context(), rows[:labelledDaily*30]); err != nil {
		t.Fatal(err)
	}
	if _, err := learning.Train(t.Context(), few, s, training, nil); !errors.Is(err, score.ErrTooFewFrauds) {
		t.Errorf("too few frauds: %v", err)
	}
	if all, err := s.Models(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("a refused training left %v, %v", all, err)
	}
}

// pastRows are rows from which a model can learn without a store.
type pastRows []history.Row

func (h pastRows) Replay(_ context.Context, _, _ string, from, to time.Time, each func(history.Row) error) error {
	for _, r := range h {
		if r.CreatedAt.Before(from) || !r.CreatedAt.Before(to) {
			continue
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

type trained struct {
	info learning.Info
	file []byte
}

// trainedTwo are two models of consecutive days, trained once for all engines.
var trainedTwo = sync.OnceValue(func() (two []trained) {
	now := storetest.Epoch.Truncate(24 * time.Hour)
	rows := pastRows(labeled(id.New(id.Account), now))
	for _, days := range []int{-2, -1} {
		m, info, err := learning.Learn(
			context.Background(),
			rows,
			learning.Training{Now: now.AddDate(0, 0, days), Delay: 7 * 24 * time.Hour, Days: 28, Test: 7},
			nil,
		)
		if err != nil {
			panic(err)
		}
		var file bytes.Buffer
		if err := score.WriteModel(&file, m); err != nil {
			panic(err)
		}
		info.Version, info.State = m.Version, learning.Trained
		two = append(two, trained{info, file.Bytes()})
	}
	return two
})

// bothScore checks that an attempt is scored by the active model and by the shadow model, each
// with what it has learned.
func bothScore(t *testing.T, h *learning.Holder) {
	t.Helper()
	var saw score.Vector
	l := fraud.NewLocal(fraud.LocalConfig{Models: h, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Decide: func(_ *fraud.Attempt, v *score.Vector, _ *score.Assessment) (payment.Risk, bool) {
			saw = *v
			return payment.Risk{Action: payment.Allow}, true
		}})
	v, err := l.Assess(
		t.Context(),
		fraud.Attempt{
			Payment:     id.New(id.Payment),
			Account:     "acct_1",
			Mode:        link.Test,
			Link:        "plink_1",
			Amount:      money.Of(900_00, "EUR"),
			Fingerprint: "card",
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	running, shadow := h.Running(), h.Shadow()
	if r := v.Risk; r.Model != running.Version || r.Score != running.Score(&saw) || r.ShadowModel != shadow.Version ||
		r.ShadowScore != shadow.Score(&saw) ||
		r.Score == 0 {
		t.Errorf("scored %+v; the one that runs says %d, the one in shadow %d", r, running.Score(&saw), shadow.Score(&saw))
	}
}

// TestModels checks that trained models are stored, one is active and one in shadow, a running
// process follows, and a roll-back promotes the previous one. A damaged file is not served, and
// leaves the active one in place.
func TestModels(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s, ctx := open(t, url), t.Context()
		holder := learning.NewHolder(s, slog.New(slog.DiscardHandler))
		runs := func(running, shadow string) {
			t.Helper()
			if err := holder.Load(ctx); err != nil {
				t.Fatal(err)
			}
			version := func(m *score.Model) string {
				if m == nil {
					return ""
				}
				return m.Version
			}
			if version(holder.Running()) != running || version(holder.Shadow()) != shadow {
				t.Errorf("runs %q, in shadow %q; want %q and %q", version(holder.Running()), version(holder.Shadow()), running, shadow)
			}
		}
		runs("", "")
		if a := holder.Running().Assess(&score.Vector{}); a.Basis != score.NoModel || a.Score != 0 {
			t.Errorf("without a model: %+v", a)
		}
		now, two := storetest.Epoch.Truncate(24*time.Hour), trainedTwo()
		a := openAnalytics(t, s, filepath.Join(t.TempDir(), "analytics.db"))
		if err := a.Load(ctx, labeled(id.New(id.Account), now)); err != nil {
			t.Fatal(err)
		}
		for _, m := range two {
			if err := s.AddModel(ctx, m.info, m.file); err != nil {
				t.Fatal(err)
			}
		}
		first, second, delay := two[0].info, two[1].info, 7*24*time.Hour
		if first.Version == second.Version {
			t.Fatal("two trainings made the same model")
		}
		runs("", "") // a trained model is not active
		if _, err := learning.Compare(ctx, a, s, second.Version, now, delay, 14); !errors.Is(err, learning.ErrNoModelRuns) {
			t.Errorf("a comparison with nothing: %v", err)
		}
		set := func(version, state string) {
			t.Helper()
			if err := s.SetModel(ctx, version, state); err != nil {
				t.Fatal(err)
			}
		}
		set(first.Version, learning.Running)
		set(second.Version, learning.Shadow)
		runs(first.Version, second.Version)
		bothScore(t, holder)
		c, err := learning.Compare(ctx, a, s, second.Version, now, delay, 14)
		if err != nil || c.Payments < 100 || c.Frauds == 0 || c.RunningAUC < 0.7 || c.CandidateAUC < 0.7 || c.From.Before(first.TestedFrom) ||
			c.From.Before(second.TestedFrom) {
			t.Errorf("comparison %+v, %v", c, err)
		}
		if _, err := learning.RollBack(ctx, s); err == nil {
			t.Error("rolled back to nothing")
		}
		set(second.Version, learning.Running)
		runs(second.Version, "")
		if back, err := learning.RollBack(ctx, s); err != nil || back.Version != first.Version {
			t.Errorf("rolled back to %s: %v", back.Version, err)
		}
		runs(first.Version, "")
		if err := s.AddModel(ctx, first, []byte("another file")); err != nil {
			t.Fatal(err)
		}
		runs(first.Version, "") // a version stays as it is
		broken := second
		broken.Version = "broken"
		if err := s.AddModel(ctx, broken, []byte("no model")); err != nil {
			t.Fatal(err)
		}
		set("broken", learning.Running)
		if err := holder.Load(ctx); !errors.Is(err, score.ErrDamagedModel) || holder.Running().Version != first.Version {
			t.Errorf("a damaged model: %v, and %s runs", err, holder.Running().Version)
		}
		if _, err := s.Model(ctx, "nobody's"); fault.KindOf(err) != fault.KindNotFound {
			t.Errorf("a model that is not there: %v", err)
		}
		if err := s.SetModel(ctx, "nobody's", learning.Running); fault.KindOf(err) != fault.KindNotFound {
			t.Errorf("a model that is not there: %v", err)
		}
		if err := s.SetModel(ctx, first.Version, "best"); fault.Code(err) != "value_invalid" {
			t.Errorf("a state that there is not: %v", err)
		}
		all, err := s.Models(ctx)
		if err != nil || len(all) != 3 {
			t.Fatalf("%v, %v", all, err)
		}
		for _, m := range all {
			if m.Version == first.Version &&
				(m.AUC != first.AUC || m.Frauds != first.Frauds || !m.From.Equal(first.From) || m.PromotedAt.IsZero() || m.State != learning.Retired) {
				t.Errorf("kept %+v, want %+v", m, first)
			}
		}
	})
}
