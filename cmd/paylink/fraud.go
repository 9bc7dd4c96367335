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
	CSV   string `required:"" help:"Labeled transactions in chronological order: transaction, time, card, merchant, amount, fraud. May be gzipped." name:"csv" type:"path"`
	Train string `required:"" help:"Days to learn from, FROM..TO, without the last one."`
	Delay string `help:"How long after a payment its label is known, such as 7d or 36h." default:"7d"`
}

type frauds struct {
	Rebuild struct {
		long
	} `cmd:"" help:"Rebuild the analytics store from links and payments; works while the server runs."`
	Evaluate struct {
		training
		Test string `required:"" help:"Days to test on, FROM..TO, without the last one; they begin after the labels of the training are known."`
	} `cmd:"" help:"Train on one period of labeled transactions and measure the scores of another."`
	Train struct {
		long
		CSV      string `help:"Learn from this file instead of the labels in the analytics store; with --train and --out." name:"csv" type:"path"`
		Train    string `help:"With --csv: days to learn from, FROM..TO, without the last one."`
		Out      string `help:"With --csv: file to write the model to." type:"path"`
		Delay    string `help:"How long after a payment its label is known, such as 30d or 36h." default:"7d"`
		Days     int    `help:"Days to learn from." default:"28"`
		TestDays int    `help:"Days to test on, after the labels of the training are known." default:"7"`
	} `cmd:"" help:"Train a model on labels from disputes and reviews. It has no effect until it is promoted."`
	Models modelCommands     `cmd:"" help:"Manage trained models."`
	Rules  ruleCommands      `cmd:"" help:"Manage the installation's rules, which apply to every account."`
	Lists  fraudListCommands `cmd:"" help:"Manage the installation's lists."`
	Policy policyCommands    `cmd:"" help:"Show or change the installation's policy, for accounts without their own."`
}

type modelCommands struct {
	List struct {
		stores
	} `cmd:"" help:"List the models, newest first."`
	Compare struct {
		stores
		Version string `arg:"" help:"Version of the model to compare with the running one."`
		Delay   string `help:"How long after a payment its label is known." default:"7d"`
		Days    int    `help:"Days to compare on, without those from which either model learned." default:"14"`
	} `cmd:"" help:"Compare a model with the running one, on payments from which neither learned."`
	Shadow   modelVersion `cmd:"" help:"Run a model in shadow: it scores, and decides nothing."`
	Promote  modelVersion `cmd:"" help:"Make a model the running one; the previous one is retired."`
	Retire   modelVersion `cmd:"" help:"Retire a model. Without a running model payments have no score."`
	Rollback struct {
		stores
	} `cmd:"" help:"Promote the previously running model."`
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
		return 0, fmt.Errorf("--delay: %q is not a duration such as 7d or 36h", s)
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
		return errors.New("the days of --test have no transactions")
	}
	read := time.Since(start)
	start = time.Now()
	m, err := score.Fit(train, p.Train, time.Now())
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(
		out,
		"learned from %d transactions with %d frauds in %.1f s (features of all: %.1f s)\n",
		m.Payments,
		m.Frauds,
		time.Since(start).Seconds(),
		read.Seconds(),
	)
	frauds := 0
	for _, is := range test.Fraud {
		if is {
			frauds++
		}
	}
	_, _ = fmt.Fprintf(
		out,
		"tested on %d transactions with %d frauds, labels known after %s, cards with known fraud excluded\n\n",
		len(test.Rows),
		frauds,
		f.Evaluate.Delay,
	)
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
		return errors.New("--csv, --train and --out must be given together; without them the model is trained on the analytics store")
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
