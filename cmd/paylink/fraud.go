package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/paylink/paylink/internal/app"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/score"
)

// training holds the flags of both commands that train.
type training struct {
	CSV   string `required:"" help:"Labelled transactions in the order of time: transaction, time, card, merchant, amount, fraud. May be gzipped." name:"csv" type:"path"`
	Train string `required:"" help:"Days to learn from, FROM..TO, the last one not included."`
	Delay string `help:"How long after a payment its label is known, such as 7d or 36h." default:"7d"`
}

type frauds struct {
	Rebuild struct {
		long
	} `cmd:"" help:"Make the analytics store anew from the links and payments, also while the server runs."`
	Evaluate struct {
		training
		Test string `required:"" help:"Days to test on, FROM..TO, the last one not included. They begin after the training's labels are known."`
	} `cmd:"" help:"Learn from one stretch of labelled transactions and tell how well another is scored."`
	Train struct {
		long
		CSV      string `help:"Learn from this file instead of the labels in the analytics store; with --train and --out." name:"csv" type:"path"`
		Train    string `help:"With --csv: days to learn from, FROM..TO, the last one not included."`
		Out      string `help:"With --csv: file to write the model to." type:"path"`
		Delay    string `help:"How long after a payment it is known whether it was fraud, such as 30d or 36h." default:"7d"`
		Days     int    `help:"Days to learn from." default:"28"`
		TestDays int    `help:"Days to test on, after the labels of the training are known." default:"7"`
	} `cmd:"" help:"Learn a model from labels: disputes, and what people said in review. It decides nothing until it is promoted."`
	Models modelCommands     `cmd:"" help:"What was trained."`
	Rules  ruleCommands      `cmd:"" help:"The installation's rules: every account's payments are held against them."`
	Lists  fraudListCommands `cmd:"" help:"The installation's lists."`
	Policy policyCommands    `cmd:"" help:"What happens where no rule decides, to accounts that do not say."`
}

type modelCommands struct {
	List struct {
		stores
	} `cmd:"" help:"List them, the newest first."`
	Compare struct {
		stores
		Version string `arg:"" help:"Version of the model to set beside the running one."`
		Delay   string `help:"How long after a payment it is known whether it was fraud." default:"7d"`
		Days    int    `help:"Days to compare on; those from which one of them learned are left out." default:"14"`
	} `cmd:"" help:"Set a model beside the running one, on payments from which neither learned."`
	Shadow   modelVersion `cmd:"" help:"Let a model score beside the running one, without a say."`
	Promote  modelVersion `cmd:"" help:"Let a model score from now on; the one before is retired."`
	Retire   modelVersion `cmd:"" help:"Take a model out. Without a running one there is no score."`
	Rollback struct {
		stores
	} `cmd:"" help:"Promote the model that ran before."`
}

type modelVersion struct {
	stores
	Version string `arg:"" help:"Version of the model."`
}

func (f frauds) dispatch(ctx context.Context, command string, out, errs io.Writer) error {
	set := func(m modelVersion, state string) error {
		return app.SetModel(ctx, m.config(), m.Version, state, out)
	}
	switch {
	case strings.HasPrefix(command, "fraud rules "):
		return f.Rules.dispatch(ctx, command, out)
	case strings.HasPrefix(command, "fraud lists "):
		return f.Lists.dispatch(ctx, command, out)
	case strings.HasPrefix(command, "fraud policy "):
		return f.Policy.dispatch(ctx, command, out)
	}
	switch command {
	case "fraud evaluate":
		return f.evaluate(ctx, out)
	case "fraud train":
		return f.train(ctx, out, errs)
	case "fraud models list":
		return app.ListModels(ctx, f.Models.List.config(), out)
	case "fraud models compare <version>":
		delay, err := parseDelay(f.Models.Compare.Delay)
		if err != nil {
			return err
		}
		return app.CompareModel(ctx, f.Models.Compare.config(), f.Models.Compare.Version, delay, f.Models.Compare.Days, out)
	case "fraud models shadow <version>":
		return set(f.Models.Shadow, learning.Shadow)
	case "fraud models promote <version>":
		return set(f.Models.Promote, learning.Running)
	case "fraud models retire <version>":
		return set(f.Models.Retire, learning.Retired)
	case "fraud models rollback":
		return app.RollBackModel(ctx, f.Models.Rollback.config(), out)
	}
	return fmt.Errorf("unknown command %q", command)
}

func parseDays(flag, s string) (score.Range, error) {
	from, to, ok := strings.Cut(s, "..")
	if !ok {
		return score.Range{}, fmt.Errorf("--%s: %q is not FROM..TO, such as 2018-07-04..2018-07-11", flag, s)
	}
	var r score.Range
	for _, end := range []struct {
		text string
		into *time.Time
	}{{from, &r.From}, {to, &r.To}} {
		t, err := time.Parse(time.DateOnly, end.text)
		if err != nil {
			return r, fmt.Errorf("--%s: %q is not a day, such as 2018-07-04", flag, end.text)
		}
		*end.into = t
	}
	return r, nil
}

func parseDelay(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil // 16 bits
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("--delay: %q is not a time, such as 7d or 36h", s)
	}
	return d, nil
}

func (l training) open() (io.ReadCloser, error) {
	f, err := os.Open(l.CSV)
	if err != nil || filepath.Ext(l.CSV) != ".gz" {
		return f, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--csv: %w", err), f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

func (l training) prepare(test string) (train, tests score.Set, p score.Protocol, err error) {
	if p.Train, err = parseDays("train", l.Train); err != nil {
		return train, tests, p, err
	}
	if p.Delay, err = parseDelay(l.Delay); err != nil {
		return train, tests, p, err
	}
	// Without a test, the model is used from the time when its labels are known.
	p.Test = score.Range{From: p.Train.To.Add(p.Delay), To: p.Train.To.Add(p.Delay + 1)}
	if test != "" {
		if p.Test, err = parseDays("test", test); err != nil {
			return train, tests, p, err
		}
	}
	if err = p.Check(); err != nil {
		return train, tests, p, err
	}
	in, err := l.open()
	if err != nil {
		return train, tests, p, err
	}
	defer func() { _ = in.Close() }()
	train, tests, err = score.Prepare(score.ReadCSV(in), p)
	if err != nil {
		err = fmt.Errorf("%s: %w", l.CSV, err)
	}
	return train, tests, p, err
}

func (f frauds) evaluate(_ context.Context, out io.Writer) error {
	start := time.Now()
	train, test, p, err := f.Evaluate.prepare(f.Evaluate.Test)
	if err != nil {
		return err
	}
	if len(test.Rows) == 0 {
		return errors.New("there is no transaction in the days of the test")
	}
	read := time.Since(start)
	start = time.Now()
	m, err := score.Fit(train, p.Train, time.Now())
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "learned from %d transactions with %d frauds in %.1f s (features of all: %.1f s)\n", m.Payments, m.Frauds, time.Since(start).Seconds(), read.Seconds())
	frauds := 0
	for _, is := range test.Fraud {
		if is {
			frauds++
		}
	}
	_, _ = fmt.Fprintf(out, "tested on %d transactions with %d frauds, labels %s late, cards known to be defrauded left out\n\n", len(test.Rows), frauds, f.Evaluate.Delay)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "model\tAUC ROC\taverage precision\tcard precision@100")
	for _, r := range score.Evaluate(m, test) {
		_, _ = fmt.Fprintf(w, "%s\t%.4f\t%.4f\t%.4f\n", r.Model, r.AUCROC, r.AveragePrecision, r.CardPrecision100)
	}
	return w.Flush()
}

func (f frauds) train(ctx context.Context, out, errs io.Writer) error {
	t := f.Train
	if t.CSV == "" && t.Train == "" && t.Out == "" {
		delay, err := parseDelay(t.Delay)
		if err != nil {
			return err
		}
		return app.TrainModel(ctx, t.config(errs), learning.Training{Now: time.Now(), Delay: delay, Days: t.Days, Test: t.TestDays}, out)
	}
	if t.CSV == "" || t.Train == "" || t.Out == "" {
		return errors.New("--csv, --train and --out go together; without them it learns from the analytics store")
	}
	train, _, p, err := training{CSV: t.CSV, Train: t.Train, Delay: t.Delay}.prepare("")
	if err != nil {
		return err
	}
	m, err := score.Fit(train, p.Train, time.Now())
	if err != nil {
		return err
	}
	if err := score.WriteModelFile(t.Out, m); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "model %s: learned from %d transactions with %d frauds\n", m.Version, m.Payments, m.Frauds)
	return err
}
