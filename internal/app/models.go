package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// openModels opens the trained models and, in the fraud service, what scores with them. A model
// that cannot be read stops no process: without one, a score is unknown.
func (s *services) openModels(ctx context.Context) error {
	switch p := s.peer("fraud"); {
	case s.cfg.runs("fraud"):
		s.fraud.Models, s.models = s.stores.sql, learning.NewHolder(s.stores.sql, s.log)
		if err := s.models.Load(ctx); err != nil {
			s.log.ErrorContext(ctx, "the fraud models could not be read", "error", err)
		}
		s.background["models"] = s.models.Run
		s.serve(func(r *rpc.Server) { rpc.ServeModels(r, s.stores.sql) })
	case p != nil:
		s.fraud.Models = rpc.NewModels(p)
	}

	return nil
}

// lab holds what the commands about models work with: the store, and the analytics store if they
// need past payments.
type lab struct {
	store     *sqlstore.Store
	analytics *projection.Analytics // nil unless requested
}

// openLab opens what a command about models or rules needs, runs work, and closes it. With history,
// the analytics store is opened too. Servers may run beside it.
func (c Config) openLab(ctx context.Context, history bool, out io.Writer, work func(lab) error) error {
	return withStore(ctx, c, out, func(store *sqlstore.Store, log *slog.Logger) error {
		l := lab{store: store}
		if history {
			var err error
			if l.analytics, err = projection.OpenAnalytics(ctx, store.Feed, store.Pages(), c.analyticsPath(), log); err != nil {
				return err
			}
			defer func() { _ = l.analytics.Close() }()
		}
		return work(l)
	})
}

// TrainModel trains a model on the labels in the analytics store and stores it. The model decides
// nothing until it is promoted. It prints on how many payments it was trained and tested, and how
// well it did.
func TrainModel(ctx context.Context, cfg Config, t learning.Training, out io.Writer) error {
	return cfg.openLab(ctx, true, out, func(l lab) error {
		// How many payments there are is not known before they are read.
		meter := cfg.Progress.Start("read the payments", "payments", 0)
		read := int64(0)
		info, err := learning.Train(ctx, l.analytics, l.store, t, func() { read++; meter.Set(read) })
		meter.End()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, `model %s: learned from %d payments with %d frauds, of %s to %s
tested on %d payments of %s to %s: AUC ROC %.4f, average precision %.4f, card precision@100 %.4f
It decides nothing yet. Next: paylink fraud models shadow %[1]s, and promote.
`, info.Version, info.Payments, info.Frauds, date(info.From), date(info.To), info.TestedPayments, date(info.TestedFrom), date(info.TestedTo), info.AUC, info.AveragePrecision, info.CardPrecision)
		return err
	})
}

// date returns the day of t in UTC.
func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// ListModels prints the trained models, newest first, or what training needs if there are none.
func ListModels(ctx context.Context, cfg Config, out io.Writer) error {
	return cfg.openLab(ctx, false, out, func(l lab) error {
		all, err := l.store.Models(ctx)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			_, err := fmt.Fprintf(out, "no models yet: paylink fraud train needs %d known frauds\n", score.MinFrauds)
			return err
		}

		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		_, _ = fmt.Fprintln(w, "version\tstate\ttrained\tlearned from\tpayments\tfrauds\tAUC ROC\taverage precision\tcard precision@100")
		for _, m := range all {
			_, _ = fmt.Fprintf(
				w,
				"%s\t%s\t%s\t%s..%s\t%d\t%d\t%.4f\t%.4f\t%.4f\n",
				m.Version,
				m.State,
				m.TrainedAt.UTC().Format(time.RFC3339),
				date(m.From),
				date(m.To),
				m.Payments,
				m.Frauds,
				m.AUC,
				m.AveragePrecision,
				m.CardPrecision,
			)
		}
		return w.Flush()
	})
}

// CompareModel compares a model with the active one on payments from which neither has learned, and
// prints both results. delay is how long labels take to arrive, and days the length of the period.
func CompareModel(ctx context.Context, cfg Config, version string, delay time.Duration, days int, out io.Writer) error {
	return cfg.openLab(ctx, true, out, func(l lab) error {
		c, err := learning.Compare(ctx, l.analytics, l.store, version, time.Now(), delay, days)
		if err != nil {
			return err
		}

		_, _ = fmt.Fprintf(
			out,
			"%d payments of %s to %s with %d known frauds, from which neither model learned\n\n",
			c.Payments,
			date(c.From),
			date(c.To),
			c.Frauds,
		)
		w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
		_, _ = fmt.Fprintln(w, "model\tAUC ROC\taverage precision\tcard precision@100")
		_, _ = fmt.Fprintf(
			w,
			"%s (running)\t%.4f\t%.4f\t%.4f\n",
			c.Running.Version,
			c.RunningAUC,
			c.RunningAveragePrecision,
			c.RunningCardPrecision,
		)
		_, _ = fmt.Fprintf(
			w,
			"%s (%s)\t%.4f\t%.4f\t%.4f\n",
			c.Candidate.Version,
			c.Candidate.State,
			c.CandidateAUC,
			c.CandidateAveragePrecision,
			c.CandidateCardPrecision,
		)
		return w.Flush()
	})
}

// SetModel moves a model to a state: running, shadow or retired. Running processes notice within
// ten seconds.
func SetModel(ctx context.Context, cfg Config, version, state string, out io.Writer) error {
	return cfg.openLab(ctx, false, out, func(l lab) error {
		if err := l.store.SetModel(ctx, version, state); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "model %s is %s; every process applies this within ten seconds\n", version, state)
		return err
	})
}

// RollBackModel promotes the model that was active before the present one.
func RollBackModel(ctx context.Context, cfg Config, out io.Writer) error {
	return cfg.openLab(ctx, false, out, func(l lab) error {
		m, err := learning.RollBack(ctx, l.store)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "model %s is running again; every process applies this within ten seconds\n", m.Version)
		return err
	})
}
