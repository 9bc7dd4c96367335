package projection

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// Project writes the events as one batch, as the process that reads the feed does, from the
// checkpoint.
func (a *Analytics) Project(ctx context.Context, events []stream.Event) error {
	s, err := a.state(ctx)
	if err != nil {
		return err
	}
	return a.ProjectFrom(ctx, s.Position, s.Event, events)
}

// ProjectFrom is Project of a process that believes the checkpoint to be at a given place.
func (a *Analytics) ProjectFrom(ctx context.Context, position int64, event string, events []stream.Event) error {
	g := newGatheredFraud()
	for _, e := range events {
		if !slices.Contains(quiet, e.Type) {
			g.add(e)
		}
	}
	last := events[len(events)-1]
	return a.commit(ctx, a.feed.Reader(), g, feed.Place{Position: position, Event: event}, feed.Place{Position: last.Position, Event: last.ID})
}

// Begin makes an empty store valid, so that events can be projected.
func (a *Analytics) Begin(ctx context.Context) error { return a.Rebuild(ctx, func(Build) {}) }

// At returns the checkpoint.
func (a *Analytics) At(ctx context.Context) (position int64, event string, err error) {
	s, err := a.state(ctx)
	return s.Position, s.Event, err
}

// Load writes rows as the consumer does, without the events behind them.
func (a *Analytics) Load(ctx context.Context, all []history.Row) error {
	owner := ownerKey{all[0].Account, all[0].Mode}
	n, err := a.ensureOwner(ctx, owner)
	if err != nil {
		return err
	}
	return a.write(ctx, func(t *sqldb.Tx) error {
		f := &folding{a: a, t: t, owners: map[ownerKey]int64{owner: n}, sums: newDaySums()}
		order, facts := make([]string, len(all)), make(map[string]fact, len(all))
		for i, r := range all {
			order[i], facts[r.ID] = r.ID, whole{row: r}
		}
		return f.write(order, facts, nil)
	})
}

// Dump returns everything in the store except the owners' numbers and the numbers of rows that
// collided.
func (a *Analytics) Dump(ctx context.Context) (string, error) {
	var b strings.Builder
	for _, table := range []string{"payments", "links", "refunds", "disputes", "days", "scores", "rules", "labels"} {
		rows, err := a.own.Query(ctx, "SELECT * FROM analytics_"+table)
		if err != nil {
			return "", err
		}
		names, err := rows.Columns()
		if err != nil {
			return "", err
		}
		var lines []string
		for rows.Next() {
			row := make([]any, len(names))
			for i := range row {
				row[i] = new(any)
			}
			if err := rows.Scan(row...); err != nil {
				return "", err
			}
			line, nothing := table+":", true
			for i, v := range row {
				if names[i] == "number" {
					continue
				}
				line += fmt.Sprintf(" %s=%v", names[i], *v.(*any))
				key := slices.Contains([]string{"owner", "day", "currency", "band", "rule", "rule_version", "action", "shadow"}, names[i])
				nothing = nothing && (key || fmt.Sprint(*v.(*any)) == "0")
			}
			if !nothing { // sums that returned to zero
				lines = append(lines, line)
			}
		}
		if err := rows.Err(); err != nil {
			return "", err
		}
		_ = rows.Close()
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return b.String(), nil
}

// Generation returns how often the store was rebuilt.
func (a *Analytics) Generation(ctx context.Context) (int64, error) {
	s, err := a.state(ctx)
	return s.generation, err
}
