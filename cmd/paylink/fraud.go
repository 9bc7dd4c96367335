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

	"github.com/paylink/paylink/internal/fraud/score"
)

// learning is what both commands that learn are told.
type learning struct {
	CSV   string `required:"" help:"Labelled transactions in the order of time: transaction, time, card, merchant, amount, fraud. May be gzipped." name:"csv" type:"path"`
	Train string `required:"" help:"Days to learn from, FROM..TO, the last one not included."`
	Delay string `help:"How long after a payment its label is known, such as 7d or 36h." default:"7d"`
}

type frauds struct {
	Rebuild struct {
		long
	} `cmd:"" help:"Make the analytics store anew from the links and payments, also while the server runs."`
	Evaluate struct {
		learning
		Test string `required:"" help:"Days to test on, FROM..TO, the last one not included. They begin after the training's labels are known."`
	} `cmd:"" help:"Learn from one stretch of labelled transactions and tell how well another is scored."`
	Train struct {
		learning
		Out string `required:"" help:"File to write the model to." type:"path"`
	} `cmd:"" help:"Learn a model from labelled transactions."`
}

func (f frauds) dispatch(ctx context.Context, command string, out io.Writer) error {
	switch command {
	case "fraud evaluate":
		return f.evaluate(ctx, out)
	case "fraud train":
		return f.train(ctx, out)
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
			return time.Duration(n) * 24 * time.Hour, nil //nolint:gosec // 16 bits
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("--delay: %q is not a time, such as 7d or 36h", s)
	}
	return d, nil
}

func (l learning) open() (io.ReadCloser, error) {
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

func (l learning) prepare(test string) (train, tests score.Set, p score.Protocol, err error) {
	if p.Train, err = parseDays("train", l.Train); err != nil {
		return train, tests, p, err
	}
	if p.Delay, err = parseDelay(l.Delay); err != nil {
		return train, tests, p, err
	}
	// Without a test, what is learned is used from the moment on that its labels
	// are known.
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

func (f frauds) train(_ context.Context, out io.Writer) error {
	train, _, p, err := f.Train.prepare("")
	if err != nil {
		return err
	}
	m, err := score.Fit(train, p.Train, time.Now())
	if err != nil {
		return err
	}
	if err := score.WriteModelFile(f.Train.Out, m); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "model %s: learned from %d transactions with %d frauds\n", m.Version, m.Payments, m.Frauds)
	return err
}
