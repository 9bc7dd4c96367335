package score

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
)

// ReadCSV reads labeled transactions in order of time: a header with the columns transaction, time
// (RFC 3339), card, merchant, amount (at most two decimals) and fraud (0 or 1). The first line that
// is wrong ends it with an error that names the line.
func ReadCSV(r io.Reader) iter.Seq2[Labelled, error] {
	return func(yield func(Labelled, error) bool) {
		in := csv.NewReader(r)
		in.ReuseRecord = true
		header, err := in.Read()
		if err != nil {
			yield(Labelled{}, fmt.Errorf("line 1: %w", err))
			return
		}

		at := map[string]int{}
		for i, name := range header {
			at[name] = i
		}
		for _, name := range []string{"transaction", "time", "card", "merchant", "amount", "fraud"} {
			if _, ok := at[name]; !ok {
				yield(Labelled{}, fmt.Errorf("line 1: the column %q is missing", name))
				return
			}
		}

		var last time.Time
		for line := 2; ; line++ {
			record, err := in.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			var l Labelled
			if err == nil {
				l, err = parseRecord(record, at)
			}
			if err == nil && l.At.Before(last) {
				err = errors.New("not in chronological order")
			}
			if err != nil {
				yield(Labelled{}, fmt.Errorf("line %d: %w", line, err))
				return
			}
			last = l.At
			if !yield(l, nil) {
				return
			}
		}
	}
}

// parseRecord reads one line; at has the column of each name. The texts are copied, because the
// reader reuses its memory.
func parseRecord(record []string, at map[string]int) (Labelled, error) {
	get := func(name string) string { return record[at[name]] }
	when, err := time.Parse(time.RFC3339, get("time"))
	if err != nil {
		return Labelled{}, fmt.Errorf("time: %w", err)
	}
	minor, err := parseCents(get("amount"))
	if err != nil {
		return Labelled{}, fmt.Errorf("amount: %w", err)
	}
	truth := get("fraud")
	if truth != "0" && truth != "1" {
		return Labelled{}, fmt.Errorf("fraud: %q is not 0 or 1", truth)
	}
	return Labelled{
		Attempt: Attempt{
			ID:      strings.Clone(get("transaction")),
			At:      when,
			Card:    strings.Clone(get("card")),
			Account: strings.Clone(get("merchant")),
			Minor:   minor,
		},
		Outcome: Authorised,
		Fraud:   truth == "1",
	}, nil
}

// parseCents returns an amount with at most two decimals in cents.
func parseCents(s string) (int64, error) {
	whole, part, _ := strings.Cut(s, ".")
	if len(part) > 2 {
		return 0, fmt.Errorf("%q has more than two decimals", s)
	}
	return strconv.ParseInt(whole+(part + "00")[:2], 10, 64)
}
